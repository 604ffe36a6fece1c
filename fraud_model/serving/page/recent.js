/** What was scored in this tab. */

import { $, make } from "./dom.js";
import { load } from "./form.js";
import { hasProbability, isShown, show } from "./result.js";
import { clock, median, milliseconds, percent } from "./words.js";

const MOST_RECENT = 20;
const recent = [], totals = { scored: 0, flagged: 0, latencies: [] };

/** Adds a prediction, and shows it. */
export function add(record) {
  recent.unshift(record);
  recent.length = Math.min(recent.length, MOST_RECENT);
  totals.scored += 1;
  totals.flagged += Number(Boolean(record.prediction?.is_fraud));
  totals.latencies.push(record.latency);
  show(record);
  showRecent();
}

function showRecent() {
  $("scored").textContent = totals.scored;
  $("flagged").textContent = totals.flagged;
  $("rate").textContent = recent.some(hasProbability) ? percent(totals.flagged / totals.scored) : "–";
  $("latency").textContent = milliseconds(median(totals.latencies));
  const focused = recent.findIndex((record) => record.button && record.button === document.activeElement);
  $("strip").replaceChildren(...recent.map((record) => {
    const { prediction, when, latency } = record, [kind, word] = !hasProbability(record) ? ["", "–"] : prediction.is_fraud ? ["flag", "⚑ Flag"] : ["pass", "✓ Pass"];
    const value = hasProbability(record) ? percent(prediction.fraud_probability) : JSON.stringify(prediction);
    record.button = make("button", { type: "button" }, make("span", {}, clock(when)), " ", make("span", {}, value), " ",
      make("span", { className: kind }, word), " ", make("span", {}, milliseconds(latency)));
    record.button.setAttribute("aria-current", String(isShown(record)));
    record.button.addEventListener("click", () => { load(record.values, `Loaded: the transaction of ${clock(when)}.`); show(record); showRecent(); });
    return make("li", {}, record.button);
  }));
  if (focused >= 0) recent[focused].button.focus();
}
