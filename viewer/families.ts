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
  const key = slug([where === '' ? 'all' : where, 'benign', benign, 'by', trigger]);
  // Addresses take so many letters; what is beyond them decides the end of a longer key.
  return key.length <= 190
    ? key
    : `${key.slice(0, 180)}~${checksum(`${where} ${benign} ${trigger}`)}`;
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

/** FNV-1a, in 8 hexadecimal digits. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, '0');
}
