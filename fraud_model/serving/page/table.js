/** Reads a text as a table: JSON, JSON Lines, CSV, or lines of the audit log. */

import { Fault } from "./dom.js";
import { count, isObject, rowsOf } from "./words.js";

export const MOST_ROWS = 10_000;

const SPACE = /[ \t\r\n]*/y, NAME = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const PLAIN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const PAYLOADS = ["dataframe_records", "dataframe_split", "inputs", "instances"];

/** Where JSON is invalid and what was expected there: not every browser's JSON.parse says it. */
function faultInJson(text, line = 1) {
  let at = 0;
  const eat = (pattern) => { pattern.lastIndex = at; const found = pattern.test(text); if (found) at = pattern.lastIndex; return found; };
  const need = (pattern, what) => { eat(SPACE); if (!eat(pattern)) throw what; };
  const list = (end, name, item) => {
    eat(SPACE);
    if (eat(end)) return;
    do item(); while ((eat(SPACE), eat(/,/y)));
    need(end, `a comma or ${name}`);
  };
  const value = () => {
    eat(SPACE);
    if (eat(/\{/y)) list(/\}/y, "}", () => { need(NAME, "a name in double quotes"); need(/:/y, "a colon"); value(); });
    else if (eat(/\[/y)) list(/\]/y, "]", value);
    else if (!eat(NAME) && !eat(PLAIN)) throw "a value";
    eat(SPACE);
  };
  let want = "the end";
  try { value(); } catch (what) { want = typeof what === "string" ? what : "less nesting"; }
  const found = at < text.length ? `found ${JSON.stringify(String.fromCodePoint(text.codePointAt(at)))}` : "the text ends";
  const before = text.slice(0, at).split("\n");
  const place = `Line ${line + before.length - 1}, column ${before.at(-1).length + 1}`;
  return new Fault("This is not valid JSON", `${place}: expected ${want}, ${found}.`, line === 1 ? { at } : {});
}

/**
 * The table in a text: {names, rows, isCsv, notes}. A row is an array of cells in the order of
 * `names`, undefined where it has no such column; cells of CSV are texts.
 */
export function readTable(text, features) {
  const plain = text.replace(/^\uFEFF/, "");
  const table = /^\s*[{[]/.test(plain) ? tableOfJson(plain) : tableOfCsv(plain, features);
  if (table.rows.length > MOST_ROWS) throw new Fault("There are too many rows", `There are ${rowsOf(table.rows.length)}, and this page takes ${count(MOST_ROWS)}. The entry point score takes a table of any size.`);
  return table;
}

/** A cell as a value: that of CSV is a number where the model takes one and it reads as one. */
export const cellOf = ({ isCsv }, kind, cell) => (isCsv && kind === "number" && NUMBER.test(cell) ? Number(cell) : cell);

function tableOfJson(text) {
  const notes = [];
  let found = parsed(text);
  if (isObject(found) && PAYLOADS.some((name) => isObject(found[name]) || Array.isArray(found[name]))) {
    if (found.params) notes.push("Its params are ignored.");
    const split = found.dataframe_split;
    found = split ? (split.data ?? []).map((data) => Object.fromEntries(split.columns.map((name, i) => [name, data[i]]))) : PAYLOADS.map((name) => found[name]).find(Boolean);
  }
  const records = Array.isArray(found) ? found : [found];
  if (!records.every(isObject) || !records.length) throw new Fault("No transaction found", "Paste one JSON object with a number for each feature.");
  // Lines of the audit log hold the row as `features`; those of refusals and shadows hold none.
  const isAudit = records.some((record) => isObject(record.features) && "request_id" in record);
  const kept = isAudit ? records.filter((record) => isObject(record.features)) : records;
  if (kept.length < records.length) notes.push(`${count(records.length - kept.length)} audit lines of refused requests or shadows are left out.`);
  const flat = isAudit ? kept.map(({ features, request_id, row, time }) => ({ ...features, request_id, row, time })) : kept;
  const maps = flat.map((record) => new Map(Object.entries(record)));
  const all = new Set();
  for (const row of maps) for (const name of row.keys()) all.add(name);
  const names = [...all];
  return { names, rows: maps.map((row) => names.map((name) => row.get(name))), isCsv: false, notes };
}

/** The value of JSON, or the list of the values of JSON Lines. */
function parsed(text) {
  try { return JSON.parse(text); } catch { /* lines, or a mistake */ }
  const lines = text.split("\n"), found = [];
  const isValid = (line) => { try { return isObject(JSON.parse(line)); } catch { return false; } };
  if (!isValid(lines.find((line) => line.trim())) || lines.filter((line) => line.trim()).length < 2) throw faultInJson(text);
  for (const [i, line] of lines.entries()) {
    if (!line.trim()) continue;
    try { found.push(JSON.parse(line)); } catch { throw faultInJson(line, i + 1); }
  }
  return found;
}

function tableOfCsv(text, features) {
  const top = text.slice(0, text.search(/[\r\n]|$/));
  const comma = [",", ";", "\t"].map((mark) => [top.split(mark).length, mark]).sort((a, b) => b[0] - a[0])[0][1];
  const lines = linesOfCsv(text, comma);
  const first = lines[0]?.cells ?? [], bare = first.every((cell) => NUMBER.test(cell)), notes = [];
  if (bare && first.length !== features.length) throw new Fault("The CSV has no header", `Its first line has ${first.length} numbers and the model ${features.length} features. Put a line with their names above it.`);
  if (bare) notes.push("No header: the values are read in the model's order.");
  if (!bare && lines.length < 2) throw new Fault("This is neither JSON nor CSV with a header", "Paste a JSON object that begins with {, or a line of names with a line of numbers below it.");
  const names = bare ? [...features] : first, body = bare ? lines : lines.slice(1);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Fault("Two columns have the same name", `The CSV has two columns called ${JSON.stringify(twice)}.`);
  const odd = body.find(({ cells }) => cells.length !== names.length);
  if (odd) throw new Fault("The CSV line does not fit its header", `Line ${odd.number} has ${odd.cells.length} values, its header ${names.length} names.`);
  return { names, rows: body.map(({ cells }) => cells), isCsv: true, notes };
}

/** The lines that hold something, with their numbers; a quoted cell may span several. */
function linesOfCsv(text, comma) {
  const cell = new RegExp(` *(?:"([^"]*(?:""[^"]*)*)" *|([^${comma}\r\n]*))(${comma}|\r?\n|\r|$)`, "y");
  const lines = [];
  let cells = [], number = 1, begins = 1;
  for (let hit; cell.lastIndex < text.length && (hit = cell.exec(text));) {
    cells.push(hit[1] === undefined ? hit[2].trim() : hit[1].replaceAll('""', '"'));
    number += hit[0].split("\n").length - 1;
    if (hit[3] === comma && cell.lastIndex === text.length) cells.push("");
    if (hit[3] === comma && cell.lastIndex < text.length) continue;
    if (cells.length > 1 || cells[0]) lines.push({ cells, number: begins });
    [cells, begins] = [[], number];
  }
  return lines;
}
