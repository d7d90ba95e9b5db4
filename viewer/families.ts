/** Entries that one command wrote about the same rows: what may stand side by side. */

import { slug, unique } from './model.ts';

/** The conditions of an entry that decide which rows it is of. */
interface Rows {
  readonly where: string;
  readonly benign: string;
  readonly trigger: string;
}

/** Stands in addresses. */
export function familyKey({ where, benign, trigger }: Rows): string {
  return slug([where === '' ? 'all' : where, 'benign', benign, 'by', trigger]);
}

/** In words, for a choice. */
function familyWords({ where, benign }: Rows): string {
  return `${where === '' ? 'all rows' : where} · benign: ${benign}`;
}

/** The families of `entries`, the latest first, each with its words. */
export function familiesOf(entries: readonly Rows[]): [key: string, words: string][] {
  const words = new Map(entries.map((entry) => [familyKey(entry), familyWords(entry)]));
  return unique(entries.map(familyKey))
    .toReversed()
    .map((key) => [key, words.get(key) ?? key]);
}
