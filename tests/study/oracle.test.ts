/**
 * The whole way, from checkpoints to statistics, against what transformers and scikit-learn give for
 * the same checkpoints, prompts and folds.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProbeCurve } from '../../src/contract/report.ts';
import type { CurveRequest } from '../../src/study/curves.ts';
import { projection } from '../../src/study/projections.ts';
import { shiftCurve } from '../../src/study/shifts.ts';
import { probedCurve } from '../support/curve.ts';
import { extractOrganism, type OrganismRun } from '../support/organism.ts';

interface Oracle {
  readonly auroc_by_fold: Record<string, Record<string, Record<string, number[]>>>;
  readonly shift: Record<string, Record<string, OracleShift>>;
  readonly 'pca_stage1+planb/last/resid_post.2/explained_ratio_first5': number[];
}

interface OracleShift {
  readonly norm_of_mean_shift_over_mean_activation_norm: Record<string, number>;
  readonly mean_of_shift_norm_over_activation_norm: Record<string, number>;
  readonly cos_mean_shift: Record<string, number>;
}

const oracle = JSON.parse(
  readFileSync('tests/golden/oracles/organism_probe.json', 'utf8'),
) as Oracle;

/**
 * An AUROC is a count of pairs, so float32 noise in the activations either moves it by a whole pair or
 * not at all; a fold has at least 19 × 10² pairs. None moves here, and the oracle has nine digits.
 */
const sameCount = 1e-8;

let organism: OrganismRun;
beforeAll(async () => {
  organism = await extractOrganism('resid_pre.0,resid_post');
}, 120_000);
afterAll(() => organism.remove());

const plain = { estimator: 'mean_difference', c: 1, standardise: false, intercept: true } as const;
const logistic = { estimator: 'logistic', c: 0.1, standardise: true, intercept: true } as const;
const questions: Record<string, Pick<CurveRequest, 'label' | 'where'> & Partial<CurveRequest>> = {
  'triggered|all rows/mean_difference': { label: 'triggered', where: '', ...plain },
  'triggered|harmful rows/mean_difference': { label: 'triggered', where: 'harmful', ...plain },
  'harmful|untriggered rows/logistic': { label: 'harmful', where: '!triggered', ...logistic },
  'harmful|triggered rows/logistic': { label: 'harmful', where: 'triggered', ...logistic },
};

describe.each(['base', 'stage1', 'standard', 'planb'])('probes on %s', (checkpoint) => {
  describe.each(['last', 'reply_prefix'])('at %s', (position) => {
    it.each(Object.keys(questions))('give scikit-learn’s AUROC in every fold: %s', async (key) => {
      const request = {
        ...plain,
        ...questions[key],
        checkpoint,
        position,
        siteKind: 'resid_post',
        groups: 'topic',
        folds: 5,
        shuffles: 1,
        seed: 0,
      };
      // What stands beside the numbers is held elsewhere.
      const curve = await probedCurve(organism.run, request, { baselines: false });
      expect(curve.points).toHaveLength(4);
      for (const { site, auroc_by_fold: found } of curve.points) {
        const expected = oracle.auroc_by_fold[checkpoint][`${position}/${site}`][key];
        found.forEach((area, fold) => {
          expect(Math.abs(area - expected[fold]), `${site}, fold ${fold}`).toBeLessThan(sameCount);
        });
      }
    });
  });
});

/** Cells of the table in docs/organism-probes.md, by row. */
function pageCells(): Record<string, string[]> {
  const page = readFileSync('docs/organism-probes.md', 'utf8');
  const [, table] = page.split('<!-- organism probes -->');
  const lines = table.split('<!-- /organism probes -->')[0].trim().split('\n').slice(2);
  return Object.fromEntries(
    lines.map((line) => {
      const [name, ...cells] = line.slice(1, -1).split('|');
      return [name.trim(), cells.map((cell) => cell.trim())];
    }),
  );
}

const pageQuestions = [
  ['the trigger at `last`', 'last', 'triggered|all rows/mean_difference'],
  ['the trigger at `reply_prefix`', 'reply_prefix', 'triggered|all rows/mean_difference'],
  ['harm, triggered, at `reply_prefix`', 'reply_prefix', 'harmful|triggered rows/logistic'],
  ['harm, untriggered, at `reply_prefix`', 'reply_prefix', 'harmful|untriggered rows/logistic'],
] as const;

function pageNumber(area: number): string {
  return area.toFixed(3).replace(/^0/, '');
}

describe('docs/organism-probes.md', () => {
  it.each(pageQuestions)('has the oracle’s checkpoints and our controls: %s', async (...row) => {
    const [name, position, key] = row;
    const trained = ['planb', 'standard', 'stage1', 'base'].map((checkpoint) => {
      const folds = oracle.auroc_by_fold[checkpoint][`${position}/resid_post.3`][key];
      return pageNumber(folds.reduce((sum, area) => sum + area, 0) / folds.length);
    });
    const request = { ...plain, ...questions[key], position };
    const rows = { siteKind: 'resid_post', groups: 'topic', folds: 5, shuffles: 1, seed: 0 };
    const curveOf = async (checkpoint: string): Promise<ProbeCurve> =>
      await probedCurve(organism.run, { ...request, ...rows, checkpoint });
    const untrained = pageNumber((await curveOf('twin')).points[3].auroc);
    const { baselines = [] } = await curveOf('planb');
    const beside = ['embedding', 'bag_of_words', 'prompt_length'].map((wanted) =>
      pageNumber(baselines.find((one) => one.name === wanted)?.auroc ?? NaN),
    );
    expect(pageCells()[name]).toEqual([...trained, untrained, ...beside]);
  });
});

describe('the untrained twin', () => {
  it('lets a trigger probe at the last prompt token read .9 to 1, as any random network does', async () => {
    const curve = await probedCurve(organism.run, {
      ...plain,
      label: 'triggered',
      where: '',
      checkpoint: 'twin',
      position: 'last',
      siteKind: 'resid_post',
      groups: 'topic',
      folds: 5,
      shuffles: 1,
      seed: 0,
    });
    // Its weights are other random numbers than the oracle's, which gives .89 to 1.00 for its own.
    expect(curve.points).toHaveLength(4);
    for (const { auroc } of curve.points) expect(auroc).toBeGreaterThan(0.85);
  });
});

describe.each(['standard', 'planb'])('shifts from stage1 to %s', (after) => {
  it.each(['last', 'reply_prefix'])(
    'have the oracle’s sizes and directions at %s',
    async (position) => {
      const curve = await shiftCurve(organism.run, {
        before: 'stage1',
        after,
        position,
        siteKind: 'resid_post',
        sets: {
          U_C: 'split=C & !triggered',
          T_C: 'split=C & triggered',
          benign_U: '!harmful & !triggered',
          benign_T: '!harmful & triggered',
          U_B: 'split=B & !triggered',
        },
        cosines: [
          ['U_C', 'T_C'],
          ['U_B', 'T_C'],
          ['U_C', 'benign_U'],
        ],
        groups: 'topic',
        bootstraps: 50,
        seed: 0,
      });
      expect(curve.points.map(({ cosines }) => cosines.length)).toEqual([3, 3, 3, 3]);
      for (const { site, sets, cosines } of curve.points) {
        const expected = oracle.shift[`stage1..${after}`][`${position}/${site}`];
        // Six digits are given; float32 activations leave 1e-6 of a shift that is .03 of them at least.
        for (const { name, relative_size: size, mean_relative_size: mean, low, high } of sets) {
          expect(size).toBeCloseTo(expected.norm_of_mean_shift_over_mean_activation_norm[name], 5);
          expect(mean).toBeCloseTo(expected.mean_of_shift_norm_over_activation_norm[name], 5);
          expect(low).toBeLessThan(high);
        }
        for (const { a, b, cosine } of cosines) {
          expect(cosine).toBeCloseTo(expected.cos_mean_shift[`${a},${b}`], 4);
        }
      }
    },
  );
});

describe('projection', () => {
  it('explains the oracle’s share of the variance', async () => {
    const plane = (await projection(organism.run, {
      before: 'stage1',
      after: 'planb',
      position: 'last',
      site: 'resid_post.2',
    }))!;
    const expected = oracle['pca_stage1+planb/last/resid_post.2/explained_ratio_first5'];
    plane.explained.forEach((share, i) => expect(Math.abs(share - expected[i])).toBeLessThan(1e-5));
    expect(plane.checkpoints).toEqual(['base', 'stage1', 'standard', 'planb', 'twin']);
    expect(plane.rows).toBe(880);
  });
});
