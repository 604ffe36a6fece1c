/** Talks to the server: its address, the token for it, and what it refuses. */

import { Fault } from "./dom.js";

const PATIENCE = 35_000, TOKEN_OF = "scoring-token ";

/** `base` is the address of the server's paths; `onLost` is told that it does not answer. */
export const server = { base: null, onLost: () => {} };

export const address = (url = server.base) => url.href.replace(/\/$/, "");
export const at = (path) => new URL(path, server.base);
export const tokenOf = (url = server.base) => sessionStorage.getItem(TOKEN_OF + address(url)) ?? "";

/** Keeps a token for this tab and this server. */
export function keepToken(token) {
  if (token) sessionStorage.setItem(TOKEN_OF + address(), token);
  else sessionStorage.removeItem(TOKEN_OF + address());
}

/** An address as the base of the server's paths. */
export function serverAt(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol)) throw new Fault("The server's address cannot be used", `${JSON.stringify(text)}: write it as https://host.`, { fix: "server" });
  url.search = url.hash = url.username = url.password = "";
  url.pathname = url.pathname.replace(/\/*$/, "/");
  return url;
}

/** Asks for a path, or sends it a body as JSON: {answer, content}, the content null if it is none. */
export async function ask(path, body) {
  const to = server.base, token = tokenOf();
  const headers = { ...(body && { "Content-Type": "application/json", "X-Request-Source": "page" }), ...(token && { Authorization: `Bearer ${token}` }) };
  let answer, text;
  try {
    answer = await fetch(at(path), { ...(body && { method: "POST", body: JSON.stringify(body) }), headers, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE) });
    text = await answer.text();
  } catch (error) {
    const fault = unanswered(error);
    if (to === server.base) server.onLost(fault);
    throw fault;
  }
  let content;
  try { content = JSON.parse(text); } catch { content = null; }
  return { answer, content };
}

function unanswered(error) {
  if (error.name === "TimeoutError") return new Fault("The server did not answer in time", `No answer from ${address()} within ${PATIENCE / 1000} seconds.`);
  const elsewhere = server.base.origin === location.origin ? "" : ` Or it does not let this page call it: its ALLOWED_ORIGINS must name ${window.origin}.`;
  return new Fault("The server cannot be reached", `No answer from ${address()}: it is down, or the network is.${elsewhere}`);
}

/** A status that is not 200 as a mistake, in the server's own words. */
export function refusal({ answer, content }) {
  const said = typeof content?.message === "string" ? content.message : `Status ${answer.status} ${answer.statusText}`.trim() + ".";
  const wait = answer.headers.get("Retry-After"), { status } = answer;
  switch (status) {
    case 401: return new Fault("The server requires a token", "The token is missing or wrong. Enter it under Connection.", { fix: "token", status });
    case 413: return new Fault("The request is too large", said, { status });
    case 429: return new Fault("The server is busy", `${said} ${wait ? `Try again in ${wait} s.` : "Try again in a moment."}`, { status, wait: Number(wait) || 1 });
    default: return new Fault(status < 500 ? "The server refused the transaction" : "The server failed", said, { status });
  }
}
