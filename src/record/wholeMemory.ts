/** How much memory does a run of whole models take, and what does attention score at once in it? */

import { largestOf } from '../math/vectors.ts';
import type { Site } from '../graph/sites.ts';
import { pieceLength } from '../../models/attendInPieces.ts';
import { parametersOf, type Model } from '../../models/model.ts';
import { predictPeakBytes } from '../runtime/budget.ts';
import { cacheFloats, cacheShape } from './caches.ts';
import { rowShape, type Plan, type PlannedCheckpoint } from './plan.ts';
import { sharesPasts } from './segments.ts';
import { wantedRows } from './wantedRows.ts';

/** Bytes of memory at the peak, over all checkpoints. */
export function peakOfWhole(plan: Plan): number {
  const rows = largestOf(plan.passes.map((pass) => wantedRows(plan, pass).rows.length));
  const batchTokens = largestOf(
    plan.passes.map(({ segments, length }) => segments.length * length),
  );
  return Math.max(
    ...plan.checkpoints.map((checkpoint) => {
      const { model, sites, passingFloats } = checkpoint;
      const { settings } = model;
      const { passes } = plan;
      return predictPeakBytes({
        parameters: heldParameters(checkpoint),
        halfBytes: halfBytes(model),
        batchTokens,
        queriesAtOnce: queriesAtOnce(plan, sites),
        width: settings.width,
        mlpWidth: settings.mlpWidth,
        heads: settings.heads,
        passing: passingFloats,
        cached: sharesPasts(passes) ? cacheFloats(passes, cacheShape(model, sites)) : 0,
        fetched:
          rows * sites.reduce((sum, s) => sum + product(rowShape(s, model, plan.longest)), 0),
      });
    }),
  );
}

/** How many queries of a prompt attention scores at once in blocks with these sites. */
export function queriesAtOnce(plan: Plan, sites: readonly Site[]): number {
  const { passes, longest, request } = plan;
  const isWhole =
    sharesPasts(passes) ||
    sites.some(({ kind }) => kind === 'pattern') ||
    (request.device ?? 'cpu') !== 'cpu';
  return isWhole ? longest : Math.min(longest, pieceLength(longest));
}

/** Bytes of the largest weight in half precision: it is there while it is widened, the others are not. */
function halfBytes({ weights }: Model): number {
  return largestOf(
    Array.from(weights.values(), ({ dtype, length }) => (dtype === 'F32' ? 0 : length)),
  );
}

/** Elements of the weights that the graph of these sites holds, and of what is made on the way to it. */
function heldParameters({ model, sites, record }: PlannedCheckpoint): number {
  const { architecture, settings } = model;
  const wantsLogits = sites.some(({ kind }) => kind === 'logits');
  const elements = parametersOf(architecture, settings)
    .filter(({ name }) => wantsLogits || !name.startsWith('lm_head.'))
    // A tied table is looked up as it is stored, and multiplied by in a packed copy.
    .map(({ name, shape }) => {
      const isReadTwice = wantsLogits && settings.isTied && name === architecture.embedding;
      return product(shape) * (isReadTwice ? 2 : 1);
    });
  // A twin's weights lie in no file: they are drawn, encoded, read and packed in memory.
  const copies = record.twin_seed === null ? 1 : 4;
  return copies * elements.reduce((sum, size) => sum + size, 0);
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, axis) => size * axis, 1);
}
