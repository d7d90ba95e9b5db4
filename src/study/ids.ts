/** Names of report entries: readable, and unique by everything that decides their numbers. */

import { sha256OfBytes } from '../files/atomic.ts';

/** @param request Everything that decides the numbers, but for the run. */
export function entryId(words: readonly string[], request: object): string {
  const hash = sha256OfBytes(JSON.stringify(request)).slice(0, 8);
  const name = words
    .join('.')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, '-')
    .slice(0, 110);
  return `${name}.${hash}`;
}
