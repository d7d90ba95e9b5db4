/** The shapes of src/contract/readings.ts, checked field by field. */

import { z } from 'zod';
import type {
  Attention,
  DetectorScan,
  HeldOut,
  OnlineCode,
  TransferMatrix,
} from '../contract/readings.ts';
import type { Margin } from '../contract/report.ts';
import { condition, count, finite, id, name } from './fields.ts';

const interval = { low: finite, high: finite };

export const baselineNames = ['prompt_length', 'bag_of_words', 'embedding'] as const;

export const estimatorNames = [
  'mean_difference',
  'logistic',
  'lda',
  'ridge',
  'nearest_centroid',
  'contrast_pair',
  'lat',
  'attention_pool',
] as const;

/** @see Margin */
export const marginSchema: z.ZodType<Margin> = z.object({
  baseline: z.enum([...baselineNames, 'random_weights', 'mean_of_tokens']),
  auroc: finite.optional(),
  difference: finite,
  ...interval,
  p: finite,
});

const rate = z.object({ hits: count, n: count, rate: finite, ...interval });
const operatingPoint = z.object({ threshold: finite, tpr: rate, fpr: rate });

/** @see HeldOut */
export const heldOutSchema: z.ZodType<HeldOut> = z.object({
  average_precision: finite,
  at_1_percent_fpr: operatingPoint,
  probabilities: z.object({ brier: finite, log_loss: finite, ece: finite }).nullable(),
});

/** @see OnlineCode */
export const onlineCodeSchema: z.ZodType<OnlineCode> = z.object({
  bits: finite,
  compression: finite,
  shuffled_bits: finite,
});

/** @see Attention */
export const attentionSchema: z.ZodType<Attention> = z.object({
  effective_tokens: finite,
  tokens: finite,
  first: finite,
  last: finite,
});

/** @see TransferMatrix */
export const transferSchema: z.ZodType<TransferMatrix> = z.object({
  id,
  label: name,
  site: name,
  position: name,
  estimator: z.enum(estimatorNames),
  settings: z.object({
    c: finite.nullable(),
    standardise: z.boolean(),
    groups: name,
    folds: count,
    interval: z.literal('clustered DeLong'),
    seed: finite,
  }),
  cells: z.array(
    z.object({
      checkpoint: name,
      is_twin: z.boolean(),
      where: condition,
      n: count,
      n_positive: count,
    }),
  ),
  entries: z.array(
    z.array(
      z.object({
        auroc: finite,
        ...interval,
        over_twin: z.object({ difference: finite, ...interval, p: finite }).optional(),
      }),
    ),
  ),
  remarks: z.array(z.string()),
  made_by: name,
});

/** @see DetectorScan */
export const scanSchema: z.ZodType<DetectorScan> = z.object({
  id,
  checkpoint: name,
  site: name,
  position: name,
  label: name,
  where: condition,
  settings: z.object({ groups: name, interval: z.literal('clustered DeLong'), seed: finite }),
  n_reference: count,
  n_clean: count,
  n_suspect: count,
  detections: z.array(
    z.object({ detector: name, auroc: finite, ...interval, at_1_percent_fpr: operatingPoint }),
  ),
  clusters: z.object({ smaller: finite, silhouette: finite, clean_silhouette: finite }),
  made_by: name,
});
