/** The page's elements, and what the user is told of a mistake. */

export const $ = (id) => document.getElementById(id);

/** An element; strings among its parts become text, never markup. */
export function make(tag, properties, ...parts) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...parts);
  return element;
}

/** Sets a text only if it differs: a live region would announce it again. */
export function tell(element, text) { if (element.textContent !== text) element.textContent = text; }

/** What the user can fix; `at` is a position in the text, `field` or the id `fix` the input to fix. */
export class Fault extends Error {
  constructor(title, message, more = {}) { super(message); this.title = title; Object.assign(this, more); }
}

export function clearError() { $("error").hidden = true; $("error-title").textContent = $("error-text").textContent = ""; }

/** Shows what went wrong, with a button to mend it or, while there is no model, to try again. */
export function showError(fault, again = null) {
  $("error-title").textContent = fault.title ?? "Something went wrong on this page";
  $("error-text").textContent = fault.message;
  $("fix").hidden = !fault.fix && !again;
  $("fix").textContent = fault.fix ? `Enter the ${fault.fix}` : "Try again";
  $("fix").onclick = fault.fix ? () => { $("connecting").open = true; $(fault.fix).focus(); } : again;
  $("error").hidden = false;
}

/** Copies a text, and says so on the button; where the browser forbids it, selects what shows it. */
export async function copy(button, shows) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(shows.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(shows);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, 2_000);
}
