/** What the server says of its model: the columns of a row, the examples, the decision. */

import { Fault } from "./dom.js";
import { figure, isObject, listed } from "./words.js";

/** How many widths of its usual range a value may lie outside of it: Tukey's fences are as wide. */
const FAR = 3;

export const model = { features: [], columns: new Map(), examples: {}, explains: false, threshold: null, amount: null, target: null, flagged: false };

/** Takes the model from the server's OpenAPI document; `at` makes an address of one of its paths. */
export function takeModel(described, at) {
  const body = described?.paths?.["/invocations"]?.post?.requestBody?.content?.["application/json"];
  const transaction = described?.components?.schemas?.Transaction;
  if (!isObject(transaction)) throw new Fault("This is not a scoring server", `${at("openapi.json")} describes no transaction.`);
  model.columns = columnsOf(transaction, at);
  model.features = [...model.columns.keys()];
  model.explains = isObject(body?.schema?.oneOf?.[0]?.properties?.params?.properties?.explain);
  model.examples = body?.examples ?? {};
  model.amount = transaction["x-amount"] ?? null;
  model.target = transaction["x-label"] ?? null;
  model.flagged = isObject(described.paths["/flagged"]);
}

/** What the columns of a row hold: {kind, optional, choices, usual} by the feature's name. */
function columnsOf({ properties }, at) {
  const elsewhere = `Score with a request to ${at("invocations")}.`;
  if (!isObject(properties)) throw new Fault("This page cannot show the model's fields", `The model has no signature that names its features. ${elsewhere}`);
  const others = [], found = new Map();
  for (const [name, { type = "number", format, examples: choices = [], "x-usual-range": usual = null }] of Object.entries(properties)) {
    const types = [type].flat(), kind = types.find((each) => each !== "null");
    if (!["number", "integer", "string", "boolean"].includes(kind) || format === "byte") others.push(name);
    found.set(name, { kind: kind === "integer" ? "number" : format === "date-time" ? "time" : kind, optional: types.includes("null"), choices, usual });
  }
  if (others.length) throw new Fault("This page cannot show the model's fields", `It has no fields for these: ${listed(others)}. ${elsewhere}`);
  return found;
}

export const exampleOf = (name) => Object.hasOwn(model.examples, name) && model.examples[name]?.value?.dataframe_records?.[0];

/** What a request holds for the text of a field. */
export function valueOf(name, text) {
  const { kind } = model.columns.get(name);
  return kind === "number" ? Number(text) : kind === "boolean" ? text === "true" : text;
}

/** The text of a field for a cell of a table, or null where it is missing. */
export function textOf(name, cell) {
  const { kind: wanted, optional } = model.columns.get(name);
  if (optional && (cell === null || cell === "")) return null;
  if (wanted === "boolean" && /^(true|false)$/i.test(cell)) return String(cell).toLowerCase();
  if (["string", "time"].includes(wanted) && ["string", "number"].includes(typeof cell) && cell !== "") return String(cell);
  if (wanted === "number" && typeof cell === "number" && Number.isFinite(cell)) return String(cell);
  const kind = typeof cell === "number" ? "too large" : Array.isArray(cell) ? "a list" : cell === null ? "null"
    : typeof cell === "string" ? (cell === "" ? "empty" : `${JSON.stringify(cell.slice(0, 20))}, a text`) : typeof cell;
  const must = { number: "a finite number", boolean: "true or false", time: "a date or time", string: "a text" }[wanted];
  throw new Fault(wanted === "number" ? "A value is not a number" : "A value cannot be used", `${name} is ${kind}; it must be ${must}.`);
}

export const rangeOf = ({ usual }) => usual && `${figure(usual[0], 3)} to ${figure(usual[1], 3)}`;

/** Whether the text of a field is a number far outside of what training usually saw. */
export function isFar(name, text) {
  const { kind, usual } = model.columns.get(name);
  if (!usual || kind !== "number" || text === "" || !Number.isFinite(Number(text))) return false;
  const [low, high] = usual, width = high - low || Math.abs(high) || 1;
  return Number(text) < low - FAR * width || Number(text) > high + FAR * width;
}
