/** What the user does, and what follows. */

import { $, Fault, clearError, copy, showError } from "./dom.js";
import * as batch from "./batch.js";
import { cases, showCases } from "./cases.js";
import { followText, form, load, makeFields, readText, search, valuesOf } from "./form.js";
import * as health from "./health.js";
import { exampleOf, model, takeModel } from "./model.js";
import { compareWithFields } from "./result.js";
import { score as scoreFields } from "./scoring.js";
import { address, ask, at, keepToken, refusal, server, serverAt, tokenOf } from "./server.js";
import { readTable } from "./table.js";
import { listed } from "./words.js";

const score = () => scoreFields(connect);

async function connect() {
  const to = server.base, watched = health.watch();
  try {
    const reply = await ask("openapi.json");
    if (to !== server.base) return;
    if (!reply.answer.ok) throw refusal(reply);
    takeModel(reply.content, at);
    for (const name of ["low", "high"]) $(name).hidden = !exampleOf(name);
    makeFields();
    batch.takeAgain();
    clearError();
    if (reply.content.components.securitySchemes?.token && !tokenOf()) $("connecting").open = true;
    if ($("text").value.trim()) followText();
    await showCases();
  } catch (fault) { if (to === server.base) showError(fault, connect); }
  await watched;
}

/** Takes a text from outside: one transaction goes into the form, more of them below it. */
function receive(text, source) {
  try {
    const table = readTable(text, model.features), names = model.features.filter((name) => table.names.includes(name));
    if (!names.length) throw new Fault("No feature found", `${source}: none of the model's ${model.features.length} features (${listed(model.features)}) is in it.`);
    if (table.rows.length > 1) {
      batch.take(table, source);
      $("batch").scrollIntoView();
      $("score-rows").focus({ preventScroll: true });
    } else load(valuesOf(table, table.rows[0]), `Loaded: ${source}.`);
    clearError();
  } catch (fault) { showError(fault); $("error").scrollIntoView({ block: "nearest" }); }
}

async function receiveFile(file) {
  try { receive(await batch.textIn(file), file.name); } catch (fault) { showError(fault); }
}

form.onChange = compareWithFields;
form.onTable = batch.take;
server.onLost = health.showLost;
health.health.onOther = connect;
batch.batch.onOpen = cases.onOpen = (values, note) => { load(values, note); score(); };

for (const name of ["low", "high"]) {
  $(name).addEventListener("click", () => {
    try {
      const { values } = readText(JSON.stringify(exampleOf(name)));
      load(values, `Loaded: ${model.examples[name].summary ?? name}.`);
    } catch (fault) { showError(fault); }
  });
}
$("text").addEventListener("input", followText);
$("text").addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text");
  // A complete transaction replaces the old one; a fragment is inserted at the caret.
  try {
    const { table } = readText(text);
    if (table.rows.length === 1) { $("text").select(); return; }
  } catch { return; }
  event.preventDefault();
  receive(text, "Pasted");
});
$("transaction").addEventListener("submit", (event) => { event.preventDefault(); score(); });
$("search").addEventListener("input", search);
$("copy").addEventListener("click", () => copy($("copy"), $("request-id")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target === $("search")) event.preventDefault();
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.target.closest("#connection")) return;
  event.preventDefault();
  score();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden && server.base) health.watch(); });

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  if (file) await receiveFile(file);
  // The same file may be chosen again after it was changed.
  $("file").value = "";
});
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (kind === "drop" && event.dataTransfer.files.length) receiveFile(event.dataTransfer.files[0]);
  });
}
$("score-rows").addEventListener("click", batch.scoreRows);
$("stop").addEventListener("click", batch.finish);
$("slider").addEventListener("input", batch.slide);
$("threshold").addEventListener("input", batch.type);
$("own").addEventListener("click", batch.resetThreshold);
for (const id of ["amounts", "fraud"]) $(id).addEventListener("change", batch.readColumns);
$("labels").addEventListener("change", batch.readLabels);
$("before").addEventListener("click", () => batch.turn(-1));
$("after").addEventListener("click", () => batch.turn(1));
$("refresh").addEventListener("click", showCases);
$("download").addEventListener("click", batch.download);

const asked = new URLSearchParams(location.search).get("server");
const own = new URL(".", location.href).href;

$("connection").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    server.base = serverAt($("server").value.trim() || own);
    const here = new URL(location.href);
    keepToken($("token").value);
    if (server.base.href === own) here.searchParams.delete("server");
    else here.searchParams.set("server", address());
    history.replaceState(null, "", here);
    model.features = [];
    health.forget();
    clearError();
    connect();
  } catch (fault) { showError(fault); }
});

$("server").addEventListener("change", () => {
  // A token is sent only to the server it was entered for.
  try { $("token").value = tokenOf(serverAt($("server").value.trim() || own)); } catch { $("token").value = ""; }
});

try {
  server.base = serverAt(asked ?? own);
  $("server").value = address();
  $("token").value = tokenOf();
  connect();
} catch (fault) {
  $("connecting").open = true;
  showError(fault);
}
