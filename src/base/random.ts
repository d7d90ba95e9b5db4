/**
 * Random numbers that are the same on every machine.
 *
 * Every source of chance in this project is a `Random` made from a seed that the report records;
 * `Math.random` is not used anywhere. Streams for different purposes are forked by name, so that
 * adding a draw in one place moves no number in another.
 */

/**
 * A seeded stream of random numbers: sfc32, whose three words of state are FNV-1a hashes of the seed
 * and the fork names from three different offsets, so that two names whose hashes collide once still
 * give different streams.
 *
 * @see Doty-Humphrey, PractRand 0.94, `sfc32`; Fowler, Noll, Vo, FNV-1a 32.
 */
export class Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string) {
    this.#seed = String(seed);
    this.#a = fnv1a(this.#seed, 0x811c9dc5);
    this.#b = fnv1a(this.#seed, 0x9e3779b9);
    this.#c = fnv1a(this.#seed, 0x243f6a88);
    // PractRand discards 15 draws where all three words are seeded.
    for (let i = 0; i < 15; i++) this.#next();
  }

  /**
   * An independent stream for one purpose, whatever has been drawn here. The same names give the same
   * stream, and `fork('a').fork('b')` is `fork('a', 'b')`.
   */
  fork(...names: readonly (string | number)[]): Random {
    return new Random([this.#seed, ...names].join('/'));
  }

  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.#next() >>> 5;
    const low = this.#next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal, by Box and Muller's transform. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles `items` in place (Fisher and Yates) and gives them back. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }

  #next(): number {
    const t = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    this.#c |= 0;
    return t >>> 0;
  }
}

function fnv1a(text: string, offset: number): number {
  let hash = offset;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash | 0;
}
