/** Fetched things kept in memory, the latest few. */

/** From `kept`, or fetched and kept; the oldest goes first, a failure at once. */
export function keep<T>(
  kept: Map<string, Promise<T>>,
  key: string,
  fetchIt: () => Promise<T>,
  most: number,
): Promise<T> {
  const found = kept.get(key);
  if (found !== undefined) return found;
  const value = fetchIt();
  kept.set(key, value);
  value.catch(() => kept.delete(key));
  const [oldest] = kept.keys();
  if (kept.size > most) kept.delete(oldest);
  return value;
}
