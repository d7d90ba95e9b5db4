/**
 * What a check says, and what all of them together say.
 *
 * Errors are counted in noise floors: one floor is what rounding one number of this size to float32
 * may change, 2⁻²⁴ of it. Rounding in another order stays within a few of them, or within what grows with
 * the width and depth of the model; a fault of layout is thousands. A check that could not be made
 * says so, and decides nothing.
 */

export type Verdict = 'RIGHT' | 'AMBIGUOUS' | 'WRONG';

/** `unclear`: a person must look; `left out`: this model does not allow the check. */
export type Outcome = 'holds' | 'unclear' | 'fails' | 'left out';

export interface Check {
  /** Stable name for scripts. */
  readonly id: string;
  readonly title: string;
  readonly outcome: Outcome;
  /** Largest error in noise floors; null where the check counts nothing. Infinity for NaN. */
  readonly worst: number | null;
  /** Largest that holds. */
  readonly allowed: number | null;
  /** What was found, in a few words. */
  readonly detail: string;
}

/** Half a unit in the last place of 1, as a share: what one rounding to float32 may change. */
export const rounding: number = 2 ** -24;

/** Any fault is WRONG, any doubt AMBIGUOUS. */
export function verdictOf(checks: readonly Check[]): Verdict {
  const has = (outcome: Outcome): boolean => checks.some((check) => check.outcome === outcome);
  if (has('fails')) return 'WRONG';
  return has('unclear') ? 'AMBIGUOUS' : 'RIGHT';
}

/** The largest of many errors, and where it was. A NaN is larger than all others. */
export class Worst {
  floors = 0;
  where = '';

  take(floors: number, where: string): void {
    const size = larger(this.floors, floors);
    if (size === this.floors) return;
    this.floors = size;
    this.where = where;
  }

  /** The check that this error decides. `exact` describes an error of 0. */
  judged(id: string, title: string, allowed: number, exact: string): Check {
    const { floors, where } = this;
    const size = `${floors < 10 ? floors.toFixed(1) : floors.toPrecision(2)} floors at ${where}`;
    const outcome = floors <= allowed ? 'holds' : 'fails';
    return { id, title, outcome, worst: floors, allowed, detail: floors === 0 ? exact : size };
  }
}

/** A check that is not made, and why. */
export function leftOut(id: string, title: string, detail: string): Check {
  return { id, title, outcome: 'left out', worst: null, allowed: null, detail };
}

/** A check of facts, where nothing is counted. */
export function stated(id: string, title: string, outcome: Outcome, detail: string): Check {
  return { id, title, outcome, worst: null, allowed: null, detail };
}

/** The larger of two errors, where a NaN is larger than all others and stays. */
export function larger(worst: number, error: number): number {
  return Number.isNaN(error) ? Infinity : Math.max(worst, error);
}

/**
 * Largest difference of two tensors of rows, in floors of the largest element of each row; 0 if they
 * are the same bits.
 */
export function rowDifference(a: Float32Array, b: Float32Array, width: number): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (let start = 0; start < a.length; start += width) {
    let size = 0;
    let error = 0;
    for (let i = start; i < start + width; i++) {
      error = larger(error, Object.is(a[i], b[i]) ? 0 : Math.abs(a[i] - b[i]));
      size = Math.max(size, Math.abs(a[i]));
    }
    worst = larger(worst, error === 0 ? 0 : error / (rounding * size));
  }
  return worst;
}
