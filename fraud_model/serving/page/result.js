/** The answer to one transaction: decision, probability, and the reasons, which add up to it. */

import { $, make } from "./dom.js";
import { farFrom, inFields, written } from "./form.js";
import { model } from "./model.js";
import { clock, figure, listed, milliseconds, percent, signed } from "./words.js";

const MOST_REASONS = 8;
const PASS = "M2.5 8.5l3.5 3.5 7.5-8", FLAG = "M3.5 15V1.5h9l-2 3.5 2 3.5h-9";

let shown = null;

export const isShown = (record) => record === shown;
export const hasProbability = ({ prediction }) => typeof prediction?.fraud_probability === "number";

/** Says whether the fields are still those of the answer. */
export function compareWithFields() { $("stale").hidden = !shown || written(inFields()) === written(shown.values); }

export function show(record) {
  shown = record;
  $("nothing").hidden = true;
  $("answer").hidden = false;
  $("when").textContent = `${clock(record.when)}, ${milliseconds(record.latency)}`;
  for (const id of ["decision", "scale", "risk", "reasons", "no-reasons"]) $(id).hidden = !hasProbability(record);
  $("no-probability").hidden = hasProbability(record);
  $("measure").textContent = hasProbability(record) ? "probability of fraud" : "prediction";
  $("request").hidden = !record.id;
  $("request-id").textContent = record.id ?? "";
  const far = farFrom(record.values);
  $("unusual").hidden = !far.length;
  $("unusual").textContent = far.length ? `⚠ ${listed(far)}: far outside the usual range, so this score says little.` : "";
  if (hasProbability(record)) showProbability(record);
  else {
    $("percent").textContent = $("percent").title = JSON.stringify(record.prediction);
    $("said").textContent = `Prediction ${JSON.stringify(record.prediction)}.`;
  }
  compareWithFields();
  const { top } = $("result").getBoundingClientRect();
  if (top < 0 || top > innerHeight * 0.6) $("result").scrollIntoView();
}

function showProbability(record) {
  const { prediction } = record, share = Math.min(100, Math.max(0, prediction.fraud_probability * 100));
  const verdict = prediction.is_fraud ? "flag" : "pass", word = prediction.is_fraud ? "Flag" : "Pass", level = String(prediction.risk_level);
  $("percent").textContent = percent(prediction.fraud_probability);
  $("percent").title = String(prediction.fraud_probability);
  for (const id of ["decision", "meter", "risk"]) { $(id).classList.remove("flag", "pass"); }
  $("decision").classList.add(verdict);
  $("meter").classList.add(verdict);
  $("decided").textContent = word;
  $("sign").setAttribute("d", prediction.is_fraud ? FLAG : PASS);
  $("filled").style.width = `${share}%`;
  $("meter").setAttribute("aria-valuenow", share);
  $("meter").setAttribute("aria-valuetext", percent(prediction.fraud_probability));
  $("mark").hidden = $("marked").hidden = record.threshold === null;
  const limit = (record.threshold ?? 0) * 100;
  $("mark").style.left = $("marked").style.left = `${limit}%`;
  $("marked").style.transform = `translateX(-${limit}%)`;
  $("marked").textContent = `threshold ${percent(record.threshold ?? 0)}`;
  const steps = ["Low", "Medium", "High"].indexOf(level) + 1;
  [...$("risk").querySelectorAll("span")].forEach((step, i) => step.classList.toggle("on", i < steps));
  $("level").textContent = `${level} risk`;
  showReasons(Array.isArray(prediction.reasons) ? prediction.reasons : [], record);
  $("said").textContent = `${word}. Probability of fraud ${percent(prediction.fraud_probability)}. ${level} risk.${$("unusual").textContent && ` ${$("unusual").textContent}`}`;
}

function showReasons(reasons, { values, prediction }) {
  $("reasons").hidden = !reasons.length;
  $("no-reasons").hidden = reasons.length > 0;
  const largest = Math.max(...reasons.map((reason) => Math.abs(reason.contribution)), 1e-9);
  const sum = (some) => some.reduce((total, { contribution }) => total + contribution, 0);
  const most = reasons.slice(0, MOST_REASONS), others = reasons.slice(MOST_REASONS);
  $("reasons").tBodies[0].replaceChildren(...most.map(({ feature, contribution }) => {
    const text = values.get(feature) ?? "missing", isNumber = model.columns.get(feature)?.kind === "number" && values.has(feature);
    return line(feature, isNumber ? figure(Number(text)) : text, contribution, largest);
  }));
  // With every contribution the remainder of the score is what the model says of no transaction in particular.
  const { fraud_probability: probability } = prediction, total = Math.log(probability / (1 - probability));
  const isWhole = reasons.length >= model.features.length && Number.isFinite(total);
  $("reasons").tFoot.replaceChildren(...(!isWhole ? [] : [
    ...(others.length ? [line(`${others.length} other${others.length > 1 ? "s" : ""}`, "", sum(others), largest)] : []),
    line("Base value", "", total - sum(reasons)), line("Score", percent(probability), total),
  ]));
}

function line(name, value, amount, largest = 0) {
  const length = make("i");
  if (largest) length.style.width = `${Math.min(50, (Math.abs(amount) / largest) * 50)}%`;
  return make("tr", {}, make("th", { scope: "row" }, name, ...(value ? [make("small", {}, value)] : [])),
    make("td", {}, ...(largest ? [make("span", { className: `bar ${amount > 0 ? "flag" : "pass"}` }, length)] : [])),
    make("td", {}, signed(amount)));
}
