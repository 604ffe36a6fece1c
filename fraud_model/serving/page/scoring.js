/** Scores the transaction in the fields. */

import { $, Fault, clearError, showError } from "./dom.js";
import { checked, rowOf } from "./form.js";
import { model } from "./model.js";
import { add } from "./recent.js";
import { ask, refusal } from "./server.js";

let busy = false;

/** Scores it with all its reasons; `connect` is called instead while there is no model. */
export async function score(connect) {
  if (busy) return;
  try {
    clearError();
    if (!model.features.length) return await connect();
    const values = checked(), { features, columns } = model;
    busy = true;
    $("score").setAttribute("aria-disabled", "true");
    $("score").textContent = "Scoring…";
    const start = performance.now();
    const reply = await ask("invocations", {
      dataframe_records: [{ ...Object.fromEntries(features.filter((name) => columns.get(name).optional).map((name) => [name, null])), ...rowOf(values) }],
      ...(model.explains && { params: { explain: features.length } }),
    });
    const latency = performance.now() - start;
    if (!reply.answer.ok) throw refusal(reply);
    const prediction = reply.content?.predictions?.[0];
    if (prediction === undefined) throw new Fault("The answer cannot be read", "It has no predictions.");
    add({ values, prediction, latency, when: new Date(), threshold: model.threshold, id: reply.answer.headers.get("X-Request-ID") });
  } catch (fault) {
    showError(fault, model.features.length ? null : connect);
    if (fault.field) fault.field.focus();
    else if (fault.at !== undefined) { $("text").focus(); $("text").setSelectionRange(fault.at, fault.at + 1); }
  } finally {
    busy = false;
    $("score").removeAttribute("aria-disabled");
    $("score").textContent = "Score";
  }
}
