/** The transaction in hand: its text and its fields, kept in step. */

import { $, Fault, clearError, make, tell } from "./dom.js";
import { isFar, model, rangeOf, textOf, valueOf } from "./model.js";
import { cellOf, readTable } from "./table.js";
import { listed, rounded, rowsOf } from "./words.js";

const FEW_FIELDS = 40;

/** `onChange` is told that a value has changed, `onTable` of a text with several rows. */
export const form = { onChange: () => {}, onTable: () => {} };

// By feature: its input, the exact text of it, which the input shows rounded, and its hint.
let fields = new Map(), textFault = null, noteTimer;

/** The transaction in a row of a table: a Map from feature to the text of its field. */
export function valuesOf(table, cells) {
  const values = new Map(), place = (table.places ??= new Map(table.names.map((name, i) => [name, i])));
  for (const name of model.features) {
    const cell = place.has(name) ? cells[place.get(name)] : undefined;
    if (cell === undefined) continue;
    const text = textOf(name, cellOf(table, model.columns.get(name).kind, cell));
    if (text !== null) values.set(name, text);
  }
  return values;
}

/** Reads a text with one transaction, or more: {table, values of the first, notes}. */
export function readText(text) {
  const table = readTable(text, model.features), [first] = table.rows, { features } = model;
  const values = valuesOf(table, first), missing = features.filter((name) => first[table.names.indexOf(name)] === undefined);
  if (missing.length === features.length || !values.size) throw new Fault("No feature found", `None of the model's ${features.length} features (${listed(features)}) is in the text.`);
  const left = table.names.filter((name) => !fields.has(name));
  const notes = [missing.length ? `${missing.length} of ${features.length} features missing: ${listed(missing)}.` : `All ${features.length} features read.`];
  if (table.rows.length > 1) notes.push(`Row 1 of ${rowsOf(table.rows.length)} is in the fields; all of them are below, under Many transactions.`);
  if (left.length) notes.push(`Not used by the model: ${listed(left)}.`);
  return { table, values, notes: notes.concat(table.notes) };
}

export const rowOf = (values) => Object.fromEntries([...values].map(([name, text]) => [name, valueOf(name, text)]));
export const written = (values) => JSON.stringify(rowOf(values), null, 1);
export const inFields = () => new Map([...fields].filter(([, { exact }]) => exact !== "").map(([name, { exact }]) => [name, exact]));
export const farFrom = (values) => [...values].filter(([name, text]) => model.columns.has(name) && isFar(name, text)).map(([name]) => name);

/** Shows a value, rounded unless somebody edits it. A date that the browser's own field cannot hold is shown as a text. */
function put(name, text) {
  const field = fields.get(name), { input } = field, { kind } = model.columns.get(name);
  field.exact = text;
  input.removeAttribute("aria-invalid");
  mark(name);
  if (kind === "time") {
    input.type = "datetime-local";
    input.value = text.replace(" ", "T").replace(/(\.\d{3})\d*$/, "$1");
    if (input.value || !text) return;
    input.type = "text";
  }
  input.value = kind === "number" && input !== document.activeElement ? rounded(text) : text;
}

function mark(name) {
  const { hint, exact } = fields.get(name);
  if (!hint) return;
  const far = isFar(name, exact);
  hint.classList.toggle("far", far);
  tell(hint, far ? `⚠ far outside ${rangeOf(model.columns.get(name))}` : rangeOf(model.columns.get(name)));
}

function fill(values) {
  for (const name of fields.keys()) put(name, values.get(name) ?? "");
  changed();
}

function changed() {
  const far = farFrom(inFields());
  tell($("far"), far.length ? `${listed(far)}: far outside the usual range. The model has learned nothing about such values.` : "");
  form.onChange();
}

function say(note, bad = false) {
  clearTimeout(noteTimer);
  $("note").textContent = note;
  $("note").classList.toggle("bad", bad);
}

/** Brings the fields in step with the text. */
export function followText() {
  textFault = null;
  clearTimeout(noteTimer);
  $("text").removeAttribute("aria-invalid");
  if (!$("text").value.trim()) { fill(new Map()); say(""); return; }
  if (!model.features.length) return;
  try {
    const { table, values, notes } = readText($("text").value);
    fill(values);
    say(notes.join(" "));
    if (table.rows.length > 1) form.onTable(table, "The rows above");
  } catch (fault) {
    textFault = fault instanceof Fault ? fault : new Fault("This cannot be read", "Paste one JSON object with a number for each feature.");
    // While someone types, the text is incomplete: report only after a pause.
    noteTimer = setTimeout(() => { $("text").setAttribute("aria-invalid", "true"); say(`${textFault.title}. ${textFault.message}`, true); }, 600);
  }
}

/** Puts a transaction into text and fields. */
export function load(values, note) {
  $("text").value = written(values);
  textFault = null;
  $("text").removeAttribute("aria-invalid");
  fill(values);
  say(note);
  clearError();
}

/** Makes a field for each column of the model; values that are there already stay. */
export function makeFields() {
  const kept = inFields(), { features } = model;
  fields = new Map();
  $("grid").replaceChildren(...features.map((name, i) => {
    const id = `field-${i}`, column = model.columns.get(name), { kind, choices } = column, parts = [];
    const input = kind === "boolean" ? make("select", { id }, make("option", { value: "" }, "–"), make("option", {}, "true"), make("option", {}, "false"))
      : make("input", { id, ...(kind === "number" ? { type: "number", step: "any" } : { type: "text", autocomplete: "off", spellcheck: false }) });
    if (kind === "time") input.step = "0.001";
    if (choices.length) {
      parts.push(make("datalist", { id: `choices-${i}` }, ...choices.map((value) => make("option", { value }))));
      input.setAttribute("list", `choices-${i}`);
    }
    const hint = kind === "number" && column.usual ? make("small", { id: `usual-${i}`, title: "Nearly all values in training lie in this range" }) : null;
    if (hint) { input.setAttribute("aria-describedby", hint.id); parts.push(hint); }
    input.addEventListener("input", () => edited(name));
    if (kind === "number") {
      input.addEventListener("focus", () => {
        const { exact } = fields.get(name);
        if (input.validity.badInput || input.value === exact) return;
        input.value = exact;
        // As the Tab key has it, so that typing replaces the value.
        input.select();
      });
      input.addEventListener("blur", () => { if (!input.validity.badInput) input.value = rounded(fields.get(name).exact); });
    }
    fields.set(name, { input, hint, exact: "" });
    put(name, kept.get(name) ?? "");
    return make("div", {}, make("label", { htmlFor: id }, name), input, ...parts);
  }));
  $("searching").hidden = features.length <= FEW_FIELDS;
  $("search").value = "";
  $("found").textContent = "";
}

function edited(name) {
  const field = fields.get(name);
  field.exact = field.input.value;
  field.input.removeAttribute("aria-invalid");
  mark(name);
  textFault = null;
  $("text").removeAttribute("aria-invalid");
  $("text").value = written(inFields());
  say("");
  changed();
}

/** Shows the fields whose names hold what is searched for. */
export function search() {
  const wanted = $("search").value.trim().toLowerCase();
  let shown = 0;
  for (const [name, { input }] of fields) {
    input.parentElement.hidden = !name.toLowerCase().includes(wanted);
    shown += Number(!input.parentElement.hidden);
  }
  tell($("found"), wanted ? `${shown} of ${fields.size} fields` : "");
}

/** The fields' values; an empty field is a missing value where the model takes one. */
export function checked() {
  if (textFault) { say(""); $("text").setAttribute("aria-invalid", "true"); throw textFault; }
  const isWrong = ([name, { input, exact }]) => input.validity.badInput || (exact === "" ? !model.columns.get(name).optional : model.columns.get(name).kind === "number" && !Number.isFinite(Number(exact)));
  const wrong = [...fields].filter(isWrong), names = wrong.map(([name]) => name);
  if (!inFields().size) throw new Fault("There is no transaction", "Paste one, fill the fields, or pick an example.");
  for (const [, { input }] of wrong) { input.setAttribute("aria-invalid", "true"); input.parentElement.hidden = false; }
  const [one, more] = names.every((name) => model.columns.get(name).kind === "number") ? ["is not a number", "are not numbers"] : ["has no value", "have no values"];
  if (wrong.length) throw new Fault(wrong.length === 1 ? `One field ${one}` : `${wrong.length} fields ${more}`, `${listed(names)}: the model needs ${[...model.columns.values()].some(({ optional }) => optional) ? "them" : "every feature"}.`, { field: wrong[0][1].input });
  return inFields();
}
