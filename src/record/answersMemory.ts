/** How much memory will answering take? Added up from what was seen to matter, before it starts. */

import { parametersOf } from '../../models/model.ts';
import { bytesOfPrompt, predictPeakBytes } from '../runtime/budget.ts';
import { roomFor } from '../runtime/cache.ts';
import { mostAtOnce } from '../runtime/decoder.ts';
import type { Batch } from './batches.ts';
import { answerBatches, batchTokensOf, cachedFloats, type AnswersPlan } from './planAnswers.ts';
import { prefillFloats, prefillPasses } from './prefill.ts';
import { movedShare } from './sharing.ts';

/** What a run of the graph reads: tokens `from … from + fresh − 1` of some rows. */
interface Reading {
  readonly rows: number;
  readonly from: number;
  readonly fresh: number;
}

/** Bytes of memory at the peak. */
export function answersPeakBytes(plan: AnswersPlan): number {
  const { request, writer, reader, prefill, prepared, longest } = plan;
  const { settings } = writer.model;
  const batches = answerBatches(plan, () => false);
  const models = reader === writer ? 1 : 2;
  const ofToken = cachedFloats(writer);
  const costs = { batchTokens: batchTokensOf(plan), movedShare: movedShare(reader.model) };
  const caches = batches.map(
    ({ prompts, length }) =>
      prompts.length * roomFor(length, length + request.maxTokens - 1) * ofToken,
  );
  const readings = readingsOf(plan, batches);
  const kept = prefill === null ? 0 : prefillFloats(prefill, batches, costs, ofToken);
  // Pasts that enter beside the batch's own, and what leaves, there and here.
  const passing = readings.map(
    ({ rows, from, fresh }) =>
      rows * ((prefill === null ? 0 : roomFor(from, from)) + 2 * fresh) * ofToken,
  );
  // Scores stand beside what becomes of them.
  const scores = readings.map(
    ({ rows, from, fresh }) =>
      2 * rows * settings.heads * fresh * (roomFor(from, longest + request.maxTokens) + fresh),
  );
  const most = (values: readonly number[]): number => Math.max(0, ...values);
  const answered = most(batches.map(({ prompts }) => prompts.length));
  return (
    predictPeakBytes({
      ...weightsOf(plan, models),
      batchTokens: most([answered, ...readings.map(({ rows, fresh }) => rows * fresh)]),
      queriesAtOnce: 0,
      width: settings.width,
      mlpWidth: settings.mlpWidth,
      heads: settings.heads,
      fetched: answered * settings.vocabulary,
      passing: writer.passingFloats + (models === 1 ? 0 : reader.passingFloats),
      // The last batch's cache is still there when the next one's is made.
      cached:
        (models + (batches.length > 1 ? 1 : 0)) * most(caches) +
        kept +
        most(passing) +
        most(scores),
    }) +
    prepared.length * bytesOfPrompt
  );
}

/** All that is read in pieces, steps of one token left aside. */
function readingsOf(plan: AnswersPlan, batches: readonly Batch[]): Reading[] {
  const { prefill, reader } = plan;
  const costs = { batchTokens: batchTokensOf(plan), movedShare: movedShare(reader.model) };
  const whole =
    prefill === null
      ? batches.map(({ prompts, length }) => ({ rows: prompts.length, from: 0, to: length - 1 }))
      : prefillPasses(prefill, batches, costs).flatMap(({ passes }) =>
          passes.map(({ branches, from, length }) => ({ rows: branches.length, from, to: length })),
        );
  return whole.flatMap(({ rows, from, to }) => {
    const pieces = Math.ceil((to - from) / mostAtOnce);
    return Array.from({ length: pieces }, (_, i) => {
      const start = from + i * mostAtOnce;
      return { rows, from: start, fresh: Math.min(mostAtOnce, to - start) };
    });
  });
}

function weightsOf({ writer }: AnswersPlan, models: number) {
  const { architecture, settings, weights } = writer.model;
  const parameters = parametersOf(architecture, settings).reduce(
    (sum, { shape }) => sum + shape.reduce((size, axis) => size * axis, 1),
    settings.isTied ? settings.vocabulary * (settings.wordWidth ?? settings.width) : 0,
  );
  const halfBytes = [...weights.values()].reduce(
    (sum, { dtype, length }) => sum + (dtype === 'F32' ? 0 : length),
    0,
  );
  return { parameters: models * parameters, halfBytes: models * halfBytes };
}
