/** Numbers and tables as people read them; one place, so that two views never round differently. */

export type Cell = string | number | boolean | null;

/** Exactly what a plot shows, for the table beside it and for CSV. */
export interface Table {
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** .9371 → "0.937". */
export function fixed(value: number, digits: number = 3): string {
  // Minus zero would read as a sign that is not there.
  return (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace('-', '−');
}

/** "0.937 [0.921, 0.951]". */
export function withInterval(value: number, low: number, high: number): string {
  return `${fixed(value)} [${fixed(low)}, ${fixed(high)}]`;
}

/** .4312 → "43 %". */
export function percent(share: number): string {
  return `${fixed(share * 100, Math.abs(share) < 0.0995 ? 1 : 0)} %`;
}

/** 12345 → "12 345", grouped by narrow no-break spaces. */
export function count(n: number): string {
  return String(n)
    .replace('-', '−')
    .replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

/** "a", "a and b", "a, b and c". */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** [0, 1, 2, 5] → "0–2, 5". */
export function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const n of numbers.toSorted((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last !== undefined && n <= last[1] + 1) last[1] = n;
    else parts.push([n, n]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}

/** To the next 1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ: the end of a scale, so that its ticks are short. */
export function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((m) => m * unit >= value * (1 - 1e-9)) ?? 10;
  return Number((step * unit).toPrecision(3));
}

/** A cell for the page: numbers to four significant places. */
export function cellText(cell: Cell): string {
  if (cell === null) return '–';
  if (typeof cell === 'number') {
    if (Number.isInteger(cell)) return count(cell);
    return (Math.abs(cell) < 1e-4 ? cell.toExponential(2) : cell.toPrecision(4)).replace('-', '−');
  }
  return typeof cell === 'boolean' ? (cell ? 'yes' : 'no') : cell;
}

/** RFC 4180, with full precision; text that a spreadsheet would run as a formula gets a quote mark. */
export function csv({ columns, rows }: Table): string {
  return [columns, ...rows].map((row) => row.map(csvField).join(',')).join('\r\n') + '\r\n';
}

function csvField(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell !== 'string') return String(cell);
  const inert = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

/** Controls and format characters: what cannot be seen, or turns the direction of a line. */
const unseen = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** Text of unknown origin with what cannot be seen written out; tabs and line feeds stay. */
export function visible(text: string): string {
  return text.replace(unseen, (mark) => {
    if (mark === '\n' || mark === '\t') return mark;
    const code = mark.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}
