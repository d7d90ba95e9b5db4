/** The shapes of src/contract/contrasts.ts, checked field by field. */

import { z } from 'zod';
import type { Geometry, ShiftContrast, ShiftMap } from '../contract/contrasts.ts';
import { condition, count, finite, id, name } from './fields.ts';

const maybe = finite.nullable();
const share = finite.min(0).max(1);

const estimate = z.object({ value: maybe, low: maybe, high: maybe });
const nullBand = z.object({
  family: z.enum([
    'isotropic',
    'covariance',
    'random difference',
    'shuffled labels',
    'benign shift',
  ]),
  p95: finite,
  max: finite,
  p: share,
});
const cosine = estimate.extend({
  reliability_triggered: maybe,
  reliability_untriggered: maybe,
  ceiling: maybe,
  disattenuated: maybe,
  nulls: z.array(nullBand).optional(),
});
const madeBy = name.optional();

/** @see ShiftContrast */
export const contrastSchema: z.ZodType<ShiftContrast> = z.object({
  id,
  pair: name,
  control: name.nullable(),
  position: name,
  site_kind: name,
  where: condition,
  benign: condition,
  trigger: name,
  settings: z.object({
    groups: name,
    bootstraps: count,
    permutations: count,
    splits: count,
    folds: count,
    seed: finite,
  }),
  points: z.array(
    z.object({
      site: name,
      layer: count,
      n_groups: count,
      sets: z.array(
        z.object({
          name,
          n: count,
          relative_size: estimate,
          row_size: estimate,
          effective_rank: maybe,
        }),
      ),
      residuals: z.array(z.object({ name, relative_size: estimate, p: share })),
      cosine,
      residual_cosine: cosine,
      projection: estimate,
      residual_projection: estimate,
      generic_cosine: estimate,
      affine: z.object({ r2_untriggered: finite, r2_triggered: finite }).nullable(),
      directions: z.string().optional(),
    }),
  ),
  made_by: madeBy,
});

/** @see ShiftMap */
export const mapSchema: z.ZodType<ShiftMap> = z.object({
  id,
  pair: name,
  site_kind: name,
  where: condition,
  benign: condition,
  trigger: name,
  groups: name,
  permutations: count,
  seed: finite,
  cells: z.array(
    z.object({
      site: name,
      layer: count,
      position: name,
      part: z.enum(['template', 'instruction', 'trigger', 'reply']).optional(),
      set: z.enum(['triggered', 'untriggered']),
      n_groups: count,
      n_benign_groups: count,
      size: finite.nonnegative(),
      benign_size: finite.nonnegative(),
      t: finite,
      p: share,
      p_adjusted: share,
      q: share,
    }),
  ),
  made_by: madeBy,
});

const matrix = z.array(z.array(maybe));

const geometryPoint = z
  .object({
    site: name,
    layer: count,
    n: count,
    directions: z.array(name),
    cosines: matrix,
    whitened: matrix,
    bands: z
      .object({ d: count, isotropic: finite, covariance: finite, covariance_whitened: finite })
      .optional(),
    agreements: z.array(
      z.object({
        label: name,
        cosine: maybe,
        nulls: z.array(nullBand),
      }),
    ),
    subspaces: z.object({
      k: count,
      angles: z.array(finite),
      overlap: finite,
      chance: finite,
      matched_p95: finite,
      effective_dimension: finite,
    }),
    similarity: z.object({
      cka: finite,
      cka_debiased: finite,
      procrustes: finite,
      rsa: finite,
      svcca: maybe,
      pwcca: maybe,
    }),
  })
  // A matrix that is not as its names say would put numbers under wrong names.
  .refine(
    ({ directions: { length: k }, cosines, whitened }) =>
      [cosines, whitened].every(
        (rows) => rows.length === k && rows.every((row) => row.length === k),
      ),
    'the matrices do not fit the directions',
  );

/** @see Geometry */
export const geometrySchema: z.ZodType<Geometry> = z.object({
  id,
  pair: name,
  position: name,
  site_kind: name,
  where: condition,
  labels: z.array(name),
  groups: name,
  draws: count,
  seed: finite,
  points: z.array(geometryPoint),
  made_by: madeBy,
});
