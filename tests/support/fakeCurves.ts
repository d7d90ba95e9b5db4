/** Probe curves of random numbers, for tests/support/fakeRun.ts. */

import type { Random } from '../../src/base/random.ts';
import type { ProbeCurve, ProbePoint } from '../../src/contract/report.ts';

/** What the curves depend on. */
export interface CurveOptions {
  readonly checkpoints: readonly string[];
  readonly layers: number;
  readonly saturated: boolean;
  readonly prompts: number;
}

const siteKind = 'resid_post';

/** Six questions, each in every checkpoint; the last checkpoint reads nothing. */
export function makeCurves(settled: CurveOptions, random: Random): ProbeCurve[] {
  const questions = [
    { label: 'harmful', where: '', position: 'last', estimator: 'logistic' },
    { label: 'harmful', where: 'triggered', position: 'last', estimator: 'logistic' },
    { label: 'harmful', where: '!triggered', position: 'last', estimator: 'logistic' },
    { label: 'harmful', where: '', position: 'last', estimator: 'mean_difference' },
    { label: 'triggered', where: '', position: 'last', estimator: 'logistic' },
    { label: 'harmful', where: '', position: 'instruction_end', estimator: 'logistic' },
  ] as const;
  return questions.flatMap((question, q) =>
    settled.checkpoints.map((checkpoint, c): ProbeCurve => {
      const n = question.where === '' ? settled.prompts : settled.prompts / 2;
      const stream = random.fork(q, c);
      const isTwin = c === settled.checkpoints.length - 1;
      const ceiling = isTwin ? 0.56 : 0.97 - 0.05 * c - 0.02 * q;
      return {
        id: `curve.q${q}.c${c}`,
        checkpoint,
        ...question,
        site_kind: siteKind,
        settings: {
          c: question.estimator === 'logistic' ? 1 : null,
          standardise: false,
          intercept: true,
          groups: 'topic',
          folds: 5,
          shuffles: 200,
          shuffled: 'within groups',
          interval: 'clustered DeLong',
          seed: 0,
        },
        points: Array.from({ length: settled.layers }, (_, layer) =>
          settled.saturated && !isTwin
            ? makePoint(layer, n, 1, 0, stream)
            : makePoint(layer, n, rise(layer, settled.layers, ceiling), 0.03, stream),
        ),
        baselines: [
          { name: 'bag_of_words', auroc: 0.7, auroc_by_fold: [0.7, 0.7], low: 0.65, high: 0.75 },
        ],
        remarks: ['it beats a bag of the prompt’s words (AUROC 0.700) at only 3 of 12 sites'],
      };
    }),
  );
}

function rise(layer: number, layers: number, ceiling: number): number {
  return 0.52 + (ceiling - 0.52) / (1 + Math.exp(-(layer - layers / 3) * 1.6));
}

function makePoint(
  layer: number,
  n: number,
  mean: number,
  spread: number,
  random: Random,
): ProbePoint {
  const auroc = Math.min(1, mean + random.normal() * spread * 0.3);
  const median = 0.5 + random.normal() * 0.005;
  return {
    site: `${siteKind}.${layer}`,
    layer,
    n,
    n_positive: n / 2,
    n_groups: Math.ceil(n / 4),
    auroc,
    auroc_by_fold: Array.from({ length: 5 }, () => Math.min(1, auroc + random.normal() * spread)),
    low: Math.max(0, auroc - spread),
    high: Math.min(1, auroc + spread * 0.8),
    random_directions: { count: 1000, best: 0.62, median: 0.53 },
    over: [
      {
        baseline: 'bag_of_words',
        difference: auroc - 0.7,
        low: auroc - 0.75,
        high: auroc - 0.65,
        p: 0.01,
      },
    ],
    null: { low: median - 0.07, median, high: median + 0.07, max: median + 0.11, p: 1 / 201 },
    probe: `probes/harmful.${layer}.safetensors`,
  };
}
