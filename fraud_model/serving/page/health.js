/** The state of the server and of the model in use, looked at every half minute. */

import { $, make, tell } from "./dom.js";
import { model } from "./model.js";
import { ask, refusal, server } from "./server.js";
import { duration, isObject, percent } from "./words.js";

const HEALTH_EVERY = 30_000, LOST_EVERY = 5_000;

/** `onOther` is told that another model answers, or that one does at last. */
export const health = { onOther: () => {} };

let known = null, lost = false, timer;

export function forget() { known = null; }

export function showLost(fault) {
  lost = true;
  $("state").dataset.state = "unhealthy";
  tell($("state"), fault.title);
  lookIn(LOST_EVERY);
}

function lookIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => (document.hidden ? null : watch()), ms);
}

export async function watch() {
  const to = server.base;
  try {
    const { answer, content } = await ask("health");
    if (to !== server.base) return;
    if (!isObject(content)) throw refusal({ answer, content });
    const found = JSON.stringify([content.model_name, content.model_version, content.run_id]);
    const other = (lost && !model.features.length) || (known && known !== found);
    [lost, known] = [false, found];
    show(content);
    // The server is back, perhaps with another model whose fields differ.
    if (other) health.onOther();
    lookIn(HEALTH_EVERY);
  } catch (fault) {
    if (to === server.base) showLost(fault);
  }
}

function show(found) {
  model.threshold = typeof found.threshold === "number" ? found.threshold : null;
  const name = [found.model_name, found.model_version && `version ${found.model_version}`, found.model_stage].filter(Boolean).join(", ");
  $("state").dataset.state = found.status;
  tell($("state"), `${{ healthy: "Healthy", degraded: "Degraded" }[found.status] ?? "Unhealthy"}${name ? `: ${name}` : ""}${found.data_kind === "simulated" ? ", trained on simulated transactions" : ""}`);
  const { threshold } = model, inMlflow = linksTo(found);
  const facts = {
    Name: found.model_name, Version: inMlflow.version ?? found.model_version, Stage: found.model_stage, "Trained on": found.data_kind && `${found.data_kind} transactions`,
    Source: { registry: "registry", local: "local directory" }[found.source] ?? found.source,
    Threshold: threshold === null ? null : percent(threshold), "Flagged where": threshold === null ? found.decision : null, Uptime: duration(found.uptime_seconds), Run: inMlflow.run ?? found.run_id,
    "Tracking server": found.mlflow_tracking_uri, Note: found.note, Refresh: found.refresh === "off" ? null : found.refresh,
  };
  const focused = document.activeElement?.closest("#facts") && document.activeElement.textContent;
  $("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value)
    .map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))));
  if (focused) [...$("facts").querySelectorAll("a")].find((link) => link.textContent === focused)?.focus();
}

/** Links to the version and its run in MLflow's pages, where the tracking server has an address. */
function linksTo({ mlflow_tracking_uri: uri, model_name: name, model_version: version, run_id: run }) {
  if (!/^https?:\/\//.test(uri ?? "")) return {};
  const link = (path, text) => make("a", { href: `${uri.replace(/\/+$/, "")}/#${path}`, target: "_blank", rel: "noopener noreferrer" }, text);
  return {
    ...(name && version && { version: link(`/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`, version) }),
    ...(run && { run: link(`/runs/${encodeURIComponent(run)}`, run) }),
  };
}
