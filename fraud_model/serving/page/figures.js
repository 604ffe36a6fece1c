/** What a threshold would flag among scored rows. */

/** Words for labels, as the entry points take them. */
const LABELS = new Map([...["1", "1.0", "true", "t", "yes", "y"].map((word) => [word, 1]), ...["0", "0.0", "false", "f", "no", "n"].map((word) => [word, 0])]);

/** The label in a cell: 1, 0, or null while it is not known; undefined for anything else. `fraud` is the value that means fraud, empty for the plain words. */
export function labelOf(cell, fraud = "") {
  if (cell === undefined || cell === null || cell === "") return null;
  return fraud ? Number(String(cell) === fraud) : LABELS.get(String(cell).toLowerCase());
}

/** Sums over rows in order of falling probability, so that a threshold is looked up at once. */
export class Ranking {
  /** `rows` are {probability, amount, label}, in order; the last two are null where not known. */
  constructor(rows) {
    this.probabilities = rows.map(({ probability }) => probability);
    const sums = (value) => { const found = [0]; for (const row of rows) found.push(found.at(-1) + value(row)); return found; };
    this.amounts = sums(({ amount }) => amount ?? 0);
    this.frauds = sums(({ label }) => Number(label === 1));
    this.labelled = sums(({ label }) => Number(label !== null));
  }

  /** How many rows have this probability or more. */
  flagged(threshold) {
    let [low, high] = [0, this.probabilities.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.probabilities[middle] >= threshold) low = middle + 1; else high = middle;
    }
    return low;
  }

  /** The figures of a threshold. */
  at(threshold) {
    const n = this.flagged(threshold);
    return { flagged: n, rows: this.probabilities.length, amount: this.amounts[n], amounts: this.amounts.at(-1), hits: this.frauds[n], labelled: this.labelled[n], frauds: this.frauds.at(-1) };
  }
}

/** The same figures of the rows that the model itself flagged. */
export function figuresOf(rows) {
  const flagged = rows.filter(({ flag }) => flag), sum = (some) => some.reduce((total, { amount }) => total + (amount ?? 0), 0);
  const frauds = (some) => some.filter(({ label }) => label === 1).length;
  return { flagged: flagged.length, rows: rows.length, amount: sum(flagged), amounts: sum(rows), hits: frauds(flagged), labelled: flagged.filter(({ label }) => label !== null).length, frauds: frauds(rows) };
}

/** Wilson's interval of a share at 95 %: https://doi.org/10.1080/01621459.1927.10502953 */
export function interval(hits, of) {
  const z = 1.959964, share = hits / of, middle = share + (z * z) / (2 * of);
  const half = z * Math.sqrt((share * (1 - share)) / of + (z * z) / (4 * of * of)), scale = 1 + (z * z) / of;
  return [Math.max(0, (middle - half) / scale), Math.min(1, (middle + half) / scale)];
}
