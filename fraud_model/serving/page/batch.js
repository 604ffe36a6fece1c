/** Many transactions: scored in batches, sorted, judged at a threshold, downloaded. */

import { $, Fault, make, tell } from "./dom.js";
import { farFrom, valuesOf } from "./form.js";
import { Ranking, figuresOf, interval, labelOf } from "./figures.js";
import { model, valueOf } from "./model.js";
import { ask, refusal } from "./server.js";
import { MOST_ROWS } from "./table.js";
import { count, figure, listed, percent, rowsOf } from "./words.js";

const AT_ONCE = 500, MOST_REFUSED = 20, MOST_WAITS = 20, ON_A_PAGE = 25, MOST_BYTES = 200_000_000, MOST_WORDS = 20;
// The slider is in log-odds, because most probabilities are close to 0.
const SLIDER = 14;

/** `onOpen` is given the values of a row to look at. */
export const batch = { onOpen: () => {} };

let table = null, source = "", rows = [], scored = [], ranking = null, limit = 0.5, page = 0;
// What is being scored: {stopped, refused, waits, done, all}.
let job = null;

const own = () => model.threshold ?? null;
const odds = (probability) => Math.min(SLIDER, Math.max(-SLIDER, Math.log(probability / (1 - probability))));

/** The text of a file: UTF-8, UTF-16 with its mark, or else Windows-1252. */
export async function textIn(file) {
  if (file.size > MOST_BYTES) throw new Fault("The file is too large", `${file.name} has ${count(file.size)} bytes; this page takes ${count(MOST_ROWS)} rows and ${count(MOST_BYTES)} bytes. The entry point score takes a table of any size.`);
  const bytes = new Uint8Array(await file.arrayBuffer()), [one, two] = bytes;
  if (one === 0xff && two === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (one === 0xfe && two === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return new TextDecoder("windows-1252").decode(bytes); }
}

/** Takes the rows of a table; those that the model cannot take are told and left out. */
export function take(found, from) {
  stop();
  [table, source] = [found, from];
  const far = new Map();
  rows = found.rows.map((cells, place) => {
    const row = { place, cells, problem: "", prediction: null };
    try {
      const values = valuesOf(found, cells), missing = model.features.filter((name) => !values.has(name) && !model.columns.get(name).optional);
      if (missing.length) throw new Fault("", `${listed(missing)} missing.`);
      for (const name of farFrom(values)) far.set(name, (far.get(name) ?? 0) + 1);
    } catch (fault) { row.problem = fault.message; }
    return row;
  });
  const bad = rows.filter(({ problem }) => problem);
  const notes = [`${source}: ${rowsOf(rows.length)}.`, ...found.notes];
  if (bad.length) notes.push(`${rowsOf(bad.length)} cannot be scored; row ${bad[0].place + 1}: ${bad[0].problem}`);
  if (far.size) notes.push(`⚠ Far outside the usual range: ${listed([...far].sort((a, b) => b[1] - a[1]).map(([name, times]) => `${name} (${rowsOf(times)})`))}.`);
  $("batch-note").textContent = notes.join(" ");
  choose("amounts", found.names, model.amount);
  choose("labels", found.names, model.target);
  $("batch-error").hidden = $("scored-rows").hidden = true;
  [scored, ranking, page] = [[], null, 0];
  showButton();
}

/** Takes the rows once more, for another model. */
export function takeAgain() { if (table) take(table, source); }

function choose(id, names, wanted) {
  const options = names.filter((name) => !["request_id", "row", "time"].includes(name));
  $(id).replaceChildren(make("option", { value: "" }, "none"), ...options.map((name) => make("option", { value: name }, name)));
  $(id).value = options.includes(wanted) ? wanted : "";
}

const waiting = () => rows.filter(({ problem, prediction }) => !problem && prediction === null);

function showButton() {
  const left = waiting().length, some = left < rows.filter(({ problem }) => !problem).length;
  $("batch-act").hidden = !job && !left;
  $("score-rows").hidden = Boolean(job);
  $("stop").hidden = $("progress").hidden = !job;
  $("score-rows").textContent = some ? `Score the other ${rowsOf(left)}` : `Score ${rowsOf(left)}`;
}

export function stop() {
  if (job) job.stopped = true;
  job = null;
  showButton();
}

/** Scores the rows that wait, and goes on after a stop or a mistake where it left off. */
export async function scoreRows() {
  if (job) return;
  const left = waiting(), mine = { stopped: false, refused: 0, waits: 0, done: 0, all: left.length };
  job = mine;
  const isFocused = document.activeElement === $("score-rows");
  $("batch-error").hidden = true;
  progress(0, mine);
  showButton();
  if (isFocused) $("stop").focus();
  try {
    for (let i = 0; i < left.length && !mine.stopped; i += AT_ONCE) await send(left.slice(i, i + AT_ONCE), mine);
  } catch (fault) {
    $("batch-error").hidden = mine.stopped;
    $("batch-error").textContent = `${fault.title ?? "Something went wrong on this page"}. ${fault.message}`;
  }
  if (job === mine) finish();
}

/** Ends the scoring, complete or not, and shows what was scored. */
export function finish() {
  const isFocused = document.activeElement === $("stop");
  stop();
  showScored();
  if (isFocused) ($("batch-act").hidden ? $("slider") : $("score-rows")).focus();
}

/** Scores some rows. What is too much at once, or refused, is halved, down to the row at fault. */
async function send(some, work) {
  if (work.stopped) return;
  const { features } = model;
  const data = some.map(({ cells }) => {
    const values = valuesOf(table, cells);
    return features.map((name) => (values.has(name) ? valueOf(name, values.get(name)) : null));
  });
  const reply = await ask("invocations", { dataframe_split: { columns: features, data } });
  if (work.stopped) return;
  if (!reply.answer.ok) return await sendAgain(refusal(reply), some, work);
  const predictions = reply.content?.predictions, id = reply.answer.headers.get("X-Request-ID");
  if (!Array.isArray(predictions) || predictions.length !== some.length) throw new Fault("The answer cannot be read", "It does not have one prediction for each row.");
  if (typeof predictions[0]?.fraud_probability !== "number") throw new Fault("These rows cannot be sorted", "The model answers without a fraud probability.");
  some.forEach((row, i) => Object.assign(row, { prediction: predictions[i], id, at: i }));
  progress(some.length, work);
}

async function sendAgain(fault, some, work) {
  if (fault.status === 429 && work.waits++ < MOST_WAITS) {
    await new Promise((resolve) => setTimeout(resolve, fault.wait * 1_000));
    return send(some, work);
  }
  if (![400, 413].includes(fault.status)) throw fault;
  if (some.length > 1) {
    const half = some.length >> 1;
    await send(some.slice(0, half), work);
    return send(some.slice(half), work);
  }
  if (work.refused++ >= MOST_REFUSED) throw new Fault("The server refuses too many rows", `Row ${some[0].place + 1}: ${fault.message}`);
  some[0].problem = fault.message;
  progress(1, work);
}

function progress(more, work) {
  work.done += more;
  $("progress").max = work.all;
  $("progress").value = work.done;
}

// What was scored

const amountOf = ({ cells }, place) => { const cell = place < 0 ? "" : cells[place], number = Number(cell); return cell === "" || cell === null || cell === undefined || !Number.isFinite(number) ? null : number; };

function showScored() {
  const done = rows.filter(({ prediction }) => prediction), bad = rows.filter(({ problem }) => problem);
  if (bad.length) tell($("batch-note"), `${rowsOf(done.length)} scored. ${rowsOf(bad.length)} cannot be; row ${bad[0].place + 1}: ${bad[0].problem}`);
  else if (done.length) tell($("batch-note"), `${rowsOf(done.length)} scored${done.length < rows.length ? ` of ${count(rows.length)}` : ""}.`);
  if (!done.length) return;
  scored = done.map((row) => ({ row, probability: row.prediction.fraud_probability, flag: row.prediction.is_fraud, amount: null, label: null }))
    .sort((a, b) => b.probability - a.probability || a.row.place - b.row.place);
  page = 0;
  $("scored-rows").hidden = false;
  $("own").hidden = own() === null;
  $("own").textContent = own() === null ? "" : `The version's own: ${percent(own())}`;
  readLabels();
  moveTo(own() ?? 0.5);
}

/** Reads the chosen column of labels, and asks what means fraud where its words do not say it. */
export function readLabels() {
  const place = table.names.indexOf($("labels").value), cells = place < 0 ? [] : rows.map(({ cells: row }) => row[place]);
  const words = cells.every((cell) => labelOf(cell) !== undefined) ? [] : [...new Set(cells.map((cell) => String(cell ?? "")))].filter(Boolean);
  const isChoice = words.length > 0 && words.length <= MOST_WORDS;
  $("meaning").hidden = !isChoice;
  $("fraud").replaceChildren(make("option", { value: "" }, "choose"), ...(isChoice ? words : []).map((value) => make("option", { value }, value)));
  $("label-note").textContent = words.length > MOST_WORDS ? `${$("labels").value} holds no labels: 1 or 0, true or false, yes or no, empty while unknown.` : "";
  readColumns();
}

/** Reads amounts and labels as they are chosen. */
export function readColumns() {
  const [amounts, labels] = ["amounts", "labels"].map((id) => table.names.indexOf($(id).value)), fraud = $("fraud").value;
  for (const each of scored) {
    each.amount = amountOf(each.row, amounts);
    each.label = labels < 0 ? null : labelOf(each.row.cells[labels], fraud) ?? null;
  }
  if ($("label-note").textContent || (!$("meaning").hidden && !fraud)) for (const each of scored) each.label = null;
  ranking = new Ranking(scored);
  showFigures();
}

/** Moves the threshold, and all that shows it. */
export function moveTo(threshold, from = null) {
  limit = threshold;
  if (from !== $("slider")) $("slider").value = odds(threshold);
  if (from !== $("threshold")) $("threshold").value = Number(threshold.toPrecision(4));
  $("slider").setAttribute("aria-valuetext", percent(threshold));
  showFigures();
}

export function slide() {
  const value = Number($("slider").value);
  moveTo(value <= -SLIDER ? 0 : value >= SLIDER ? 1 : 1 / (1 + Math.exp(-value)), $("slider"));
}

export function type() {
  const value = Number($("threshold").value), isOne = $("threshold").value !== "" && value >= 0 && value <= 1;
  $("threshold").setAttribute("aria-invalid", String(!isOne));
  if (isOne) moveTo(value, $("threshold"));
}

export const resetThreshold = () => moveTo(own());

function showFigures() {
  if (!ranking) return;
  const here = ranking.at(limit), version = figuresOf(scored), columns = [here, version];
  const hasLabels = scored.some(({ label }) => label !== null), hasAmounts = scored.some(({ amount }) => amount !== null);
  const share = (hits, of) => (of ? `${percent(hits / of)} [${interval(hits, of).map((each) => (each * 100).toFixed(1)).join(", ")}]` : "–");
  const lines = [["Flagged", ({ flagged, rows: all }) => `${count(flagged)} of ${count(all)}`], ["Share of rows", ({ flagged, rows: all }) => percent(flagged / all)]];
  if (hasAmounts) lines.push(["Amount flagged", ({ amount, amounts }) => `${figure(amount)} of ${figure(amounts)}`]);
  if (hasLabels) lines.push(["Frauds caught", ({ hits, frauds }) => `${count(hits)} of ${count(frauds)}`], ["Precision", ({ hits, labelled }) => share(hits, labelled)], ["Recall", ({ hits, frauds }) => share(hits, frauds)]);
  $("summary").tBodies[0].replaceChildren(...lines.map(([name, cell]) => make("tr", {}, make("th", { scope: "row" }, name), ...columns.map((each) => make("td", {}, cell(each))))));
  $("interval-note").hidden = !hasLabels;
  tell($("slid"), `At ${percent(limit)}: ${count(here.flagged)} of ${count(here.rows)} flagged.`);
  showPage();
}

export function turn(by) { page = Math.max(0, page + by); showPage(); }

function showPage() {
  const last = Math.max(0, Math.ceil(scored.length / ON_A_PAGE) - 1), first = Math.min(page, last) * ON_A_PAGE;
  const hasAmounts = scored.some(({ amount }) => amount !== null), hasLabels = scored.some(({ label }) => label !== null);
  const focused = document.activeElement?.closest("#rows") && document.activeElement.textContent;
  $("rows").tHead.replaceChildren(make("tr", {}, ...["Row", "Probability", "Decision", ...(hasAmounts ? ["Amount"] : []), ...(hasLabels ? ["Label"] : [])].map((name) => make("th", { scope: "col" }, name))));
  $("rows").tBodies[0].replaceChildren(...scored.slice(first, first + ON_A_PAGE).map(({ row, probability, amount, label }) => {
    const flag = probability >= limit, open = make("button", { type: "button", title: "Open it in the form, with its reasons" }, `Row ${count(row.place + 1)}`);
    open.addEventListener("click", () => batch.onOpen(valuesOf(table, row.cells), `Loaded: row ${count(row.place + 1)}.`));
    return make("tr", {}, make("th", { scope: "row" }, open), make("td", {}, percent(probability)), make("td", { className: flag ? "flag" : "pass" }, flag ? "⚑ Flag" : "✓ Pass"),
      ...(hasAmounts ? [make("td", {}, amount === null ? "–" : amount.toLocaleString("en"))] : []),
      ...(hasLabels ? [make("td", {}, label === null ? "–" : label ? "fraud" : "genuine")] : []));
  }));
  if (focused) [...$("rows").querySelectorAll("button")].find((button) => button.textContent === focused)?.focus();
  $("of-rows").textContent = `${count(first + 1)} to ${count(Math.min(first + ON_A_PAGE, scored.length))} of ${rowsOf(scored.length)}`;
  page = first / ON_A_PAGE;
  $("before").setAttribute("aria-disabled", String(page === 0));
  $("after").setAttribute("aria-disabled", String(page === last));
}

/** Saves all rows as CSV, in their order, with what was answered, or why they were not scored. */
export function download() {
  const answers = ["fraud_probability", "is_fraud", "risk_level"], problems = rows.some(({ problem }) => problem);
  const ids = ["request_id", "row"].filter((name) => !table.names.includes(name));
  const kept = table.names.map((name, i) => [name, i]).filter(([name]) => ![...answers, "flagged", "not_scored"].includes(name));
  const cell = (value) => { const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value); return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text; };
  const lines = [[...kept.map(([name]) => name), ...ids, ...answers, "flagged", ...(problems ? ["not_scored"] : [])]];
  for (const { cells, prediction, id, at, problem } of rows) {
    const found = { request_id: prediction && id, row: prediction && at };
    lines.push([...kept.map(([, i]) => cells[i]), ...ids.map((name) => found[name]), ...answers.map((name) => prediction?.[name]), prediction ? prediction.fraud_probability >= limit : "", ...(problems ? [problem] : [])]);
  }
  const link = make("a", { href: URL.createObjectURL(new Blob(lines.map((line) => `${line.map(cell).join(",")}\n`), { type: "text/csv" })), download: "scored.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
