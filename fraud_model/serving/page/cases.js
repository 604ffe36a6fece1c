/** The last flagged transactions, and what people say of them. */

import { $, make, tell } from "./dom.js";
import { model, textOf } from "./model.js";
import { ask, refusal, server, tokenOf } from "./server.js";
import { count, percent } from "./words.js";

const WORDS = [["fraud", "Fraud"], ["genuine", "Genuine"]];

/** `onOpen` is given the values of a transaction to look at. */
export const cases = { onOpen: () => {} };

const when = (text) => new Date(text).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "medium" });

/** Asks for the list, if this server keeps labels. */
export async function showCases() {
  $("cases").hidden = !model.flagged;
  if (!model.flagged) return;
  if (!tokenOf()) { tell($("case-note"), "The list needs a token: enter it under Connection."); return; }
  const to = server.base;
  try {
    const reply = await ask("flagged");
    if (to !== server.base) return;
    if (!reply.answer.ok) throw refusal(reply);
    const found = reply.content?.cases ?? [];
    $("case-list").replaceChildren(...found.map(line));
    tell($("case-note"), found.length ? `The last ${count(found.length)} flagged, the latest first.` : "Nothing has been flagged yet.");
  } catch (fault) {
    if (to !== server.base) return;
    $("case-list").replaceChildren();
    tell($("case-note"), `${fault.title}. ${fault.message}`);
  }
}

/** A transaction with its two buttons; the one that was pressed last is the label. */
function line(found) {
  const { request_id, row, time, fraud_probability: probability, features } = found, name = `${when(time)}, ${percent(probability)}`;
  const open = make("button", { type: "button", title: "Open it in the form, with its reasons" }, when(time));
  open.addEventListener("click", () => cases.onOpen(valuesIn(features), `Loaded: row ${row} of request ${request_id}.`));
  const said = make("span", { className: "hint" });
  const buttons = WORDS.map(([label, word]) => {
    const button = make("button", { type: "button" }, word);
    button.setAttribute("aria-label", `${word}: ${name}`);
    button.addEventListener("click", () => decide(found, label, show));
    return [label, button];
  });
  const show = (fault) => {
    for (const [label, button] of buttons) button.setAttribute("aria-pressed", String(label === found.label));
    said.classList.toggle("warning", Boolean(fault));
    said.textContent = fault ? `Not written. ${fault.title}. ${fault.message}` : found.label ? `by ${found.labelled_by}, ${when(found.labelled_at)}` : "";
  };
  show();
  const amount = features[model.amount] ?? null, written = typeof amount === "number" ? amount.toLocaleString("en") : amount;
  return make("li", {}, open, make("span", {}, percent(probability)), make("span", {}, written === null ? "" : `${model.amount} ${written}`),
    make("span", { className: "row" }, ...buttons.map(([, button]) => button)), said);
}

async function decide(found, label, show) {
  const { request_id, row } = found;
  try {
    const reply = await ask("labels", { request_id, row, label });
    if (!reply.answer.ok) throw refusal(reply);
    Object.assign(found, reply.content);
    show();
    tell($("case-said"), `${label === "fraud" ? "Fraud" : "Genuine"}, written.`);
  } catch (fault) {
    show(fault);
    tell($("case-said"), `Not written. ${fault.title}.`);
  }
}

/** The values of the features as texts; what the model does not take is left out. */
function valuesIn(features) {
  const values = new Map();
  for (const name of model.features) {
    const cell = features[name];
    if (cell === null || cell === undefined) continue;
    const text = textOf(name, cell);
    if (text !== null) values.set(name, text);
  }
  return values;
}
