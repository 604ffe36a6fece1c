/** How figures and lists are written. */

export const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
export const listed = (names) => names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
export const count = (number) => number.toLocaleString("en");
export const rowsOf = (number) => `${count(number)} ${number === 1 ? "row" : "rows"}`;
export const clock = (when) => when.toLocaleTimeString("en-GB");
export const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`);
const withMinus = (text) => text.replace("-", "−");

export function percent(probability) {
  const hundredths = probability * 100, rest = 100 - hundredths;
  if (hundredths === 0 || rest === 0) return `${hundredths} %`;
  if (hundredths < 0.0001) return "< 0.0001 %";
  if (rest < 0.0001) return "> 99.9999 %";
  const near = Math.min(hundredths, rest);
  const digits = near >= 1 ? 1 : Math.ceil(-Math.log10(near)) + 1;
  return `${Number(hundredths.toFixed(digits))} %`;
}

/** A number for people: a few digits, a real minus sign. */
export function figure(number, digits = 5) {
  const size = Math.abs(number);
  const text = size >= 1e9 || (size && size < 1e-4) ? number.toExponential(2)
    : number.toLocaleString("en", { maximumSignificantDigits: digits, useGrouping: size >= 10_000 });
  return withMinus(text);
}

/** A contribution with its sign. */
export function signed(number) {
  const text = Math.abs(number).toFixed(2);
  return (text === "0.00" ? "" : number > 0 ? "+" : "−") + text;
}

/** The text of a number as its field shows it while nobody edits it: six digits at most. */
export function rounded(text) {
  const number = Number(text);
  return text === "" || !Number.isFinite(number) || Number.isInteger(number) ? text : String(Number(number.toPrecision(6)));
}

export function duration(seconds) {
  if (typeof seconds !== "number") return null;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(([size, unit], i, all) => [Math.floor((i ? seconds % all[i - 1][0] : seconds) / size), unit]);
  const first = Math.max(0, parts.findIndex(([value]) => value));
  return seconds < 1 ? "0 s" : parts.slice(first, first + 2).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
