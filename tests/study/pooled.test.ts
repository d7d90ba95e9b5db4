/** Seeds as runs: closed forms, coverage and error rates over simulated seeds, and what does not go together. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { crossedInterval, hierarchicalBootstrap } from '../../probes/bootstrap.ts';
import { contrastNumbers, contrastOf, momentsOf, type SetRows } from '../../probes/contrast.ts';
import { bootstrapContrast } from '../../probes/contrastTests.ts';
import { Random } from '../../src/base/random.ts';
import { drawCounts } from '../../src/math/resample.ts';
import { rowsOf, type Rows } from '../../src/math/rows.ts';
import { openRun, type Run } from '../../src/record/run.ts';
import { shiftContrast } from '../../src/study/contrasts.ts';
import { pooledReport, readPooled, type PooledQuestion } from '../../src/study/pooledReport.ts';
import { checkCompatible, pooledNumbers, type Seed } from '../../src/study/pooledShifts.ts';
import { scratchPath } from '../support/scratch.ts';
import { seedRows, seedRun, type SeedRow } from '../support/seedRun.ts';

/** y[s][p] of S seeds on the same P prompts, and the crossed interval of their mean. */
function crossed(y: readonly (readonly number[])[], draws: number, random: Random) {
  const [{ length: prompts }] = y;
  const counts = new Int32Array(prompts);
  const stream = random.fork('prompts');
  const drawn = Array.from({ length: draws }, () => {
    drawCounts(stream, counts);
    return y.map((values) => values.reduce((sum, v, p) => sum + v * counts[p], 0) / prompts);
  });
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, v) => sum + v, 0) / values.length;
  const seeds = y.map((values, s) => ({ value: mean(values), draws: drawn.map((row) => row[s]) }));
  return {
    value: mean(seeds.map(({ value }) => value)),
    ...crossedInterval(seeds, random.fork('s')),
  };
}

describe('crossedInterval', () => {
  it('is as wide as the exact variance of drawing both ways says', () => {
    const random = new Random('exact');
    const [S, P] = [7, 25];
    const prompt = Array.from({ length: P }, () => random.normal());
    const y = Array.from({ length: S }, () => {
      const seed = 0.5 * random.normal();
      return prompt.map((b) => seed + b + 0.7 * random.normal());
    });
    // Var* = rows/S + columns/P + interaction/(SP), all with the divisors S, P and SP.
    const rows = y.map((v) => v.reduce((a, b) => a + b) / P);
    const columns = prompt.map((_, p) => y.reduce((sum, v) => sum + v[p], 0) / S);
    const all = rows.reduce((a, b) => a + b) / S;
    const square = (values: readonly number[]): number =>
      values.reduce((sum, v) => sum + (v - all) ** 2, 0) / values.length;
    const interaction =
      y.reduce(
        (sum, v, s) => sum + v.reduce((t, x, p) => t + (x - rows[s] - columns[p] + all) ** 2, 0),
        0,
      ) /
      (S * P);
    const sd = Math.sqrt(square(rows) / S + square(columns) / P + interaction / (S * P));
    const { low, high } = crossed(y, 4000, random);
    // 4 000 draws leave some 3 % of the distance between two percentiles open.
    expect((high - low) / (2 * 1.96 * sd)).toBeCloseTo(1, 1);
  });

  it('holds the true mean over new seeds and prompts, which drawing prompts anew in each seed does not', () => {
    const random = new Random('coverage');
    const [S, P, trials] = [8, 30, 300];
    let [held, nested] = [0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const prompt = Array.from({ length: P }, () => random.normal());
      const y = Array.from({ length: S }, () => {
        const seed = 0.2 * random.normal();
        return prompt.map((b) => seed + b + 0.5 * random.normal());
      });
      const both = crossed(y, 199, random.fork(trial));
      if (both.low <= 0 && both.high >= 0) held++;
      const inside = hierarchicalBootstrap(
        y.map(() => P),
        (s, counts) => y[s].reduce((sum, v, p) => sum + v * counts[p], 0) / P,
        { random: random.fork(trial, 'nested'), draws: 199 },
      );
      if (inside.low <= 0 && inside.high >= 0) nested++;
    }
    // Normal percentiles for 30 prompts hold some 94 %; 99.9 % of counts lie within 3.3 × 4.1.
    expect(Math.abs(held - 0.94 * trials)).toBeLessThan(14);
    // Var* misses Σ_b²/P but for a share of 1/S: sd .10 for .20, and 1.96 × .51 hold 68 %.
    expect(nested / trials).toBeLessThan(0.8);
  });
});

/** A triggered and an untriggered row for each topic. */
function design(harmful: number, benign: number): { sets: SetRows; groups: string[] } {
  const sets = {
    triggered: [],
    untriggered: [],
    benign_triggered: [],
    benign_untriggered: [],
  } as Record<keyof SetRows, number[]>;
  const groups: string[] = [];
  for (let row = 0; row < 2 * (harmful + benign); row++) {
    const side = row % 2 === 0 ? 'triggered' : 'untriggered';
    sets[row >> 1 < harmful ? side : (`benign_${side}` as const)].push(row);
    groups.push(`t${row >> 1}`);
  }
  return { sets, groups };
}

describe('the excess over harmless rows', () => {
  it('is found with the error that it says, though few rows move further by noise alone', () => {
    const random = new Random('excess');
    // 6 harmful topics against 30: the mean of few rows is the longer.
    const { sets, groups } = design(6, 30);
    const noise = (d: number): Rows =>
      rowsOf(
        72,
        d,
        Float64Array.from({ length: 72 * d }, () => random.normal()),
      );
    const trials = 400;
    let [rejected, raw] = [0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const seeds = Array.from({ length: 8 }, (): Seed => {
        const before = noise(4);
        const moved = noise(4);
        const after = { ...before, data: before.data.map((v, at) => v + 0.5 * moved.data[at]) };
        const contrast = contrastOf(before, after, sets, groups);
        return {
          numbers: contrastNumbers(momentsOf(contrast)!),
          draws: bootstrapContrast(contrast, 2, random),
        };
      });
      const { over_benign: over } = pooledNumbers(seeds, random);
      if (over[0].p! <= 0.05) rejected++;
      const plain = seeds.map(({ numbers: { sizes } }) => sizes[0] - sizes[2]);
      if (plain.every((v) => v > 0)) raw++;
    }
    // p ≤ .05 is p ≤ 12/256 with 8 seeds; 99.9 % of counts lie within 3.3 × 4.2 of 400 × .047.
    expect(Math.abs(rejected - 18.75)).toBeLessThan(15);
    // Without taking the noise off, all eight signs agree far more often than once in 256.
    expect(raw / trials).toBeGreaterThan(0.2);
  }, 30_000);
});

const rows = seedRows(24);
const question: PooledQuestion = {
  before: 'before',
  after: 'trained',
  control: 'standard',
  where: '',
  benign: '!harmful',
  trigger: 'triggered',
  places: [{ position: 'last', siteKind: 'resid_post' }],
  settings: { groups: 'topic', bootstraps: 400, seed: 0 },
};

/** Everything moves by 1 along axis 1; harmful rows of the trained checkpoint by `push` more. */
function planted(seed: number, push: number): Parameters<typeof seedRun>[2] {
  const random = new Random(`seed ${seed}`);
  const own = 0.3 * Math.sin(5 * seed);
  const topic = (row: SeedRow): number => 0.4 * Math.sin(row.topic * 2.3);
  const noise = (): number => 0.1 * random.normal();
  return {
    trained: (row, j) => (j === 1 ? 1 + (row.harmful ? push + own + topic(row) : 0) : 0) + noise(),
    standard: (_row, j) => (j === 1 ? 1 : 0) + noise(),
  };
}

let runs: Run[];
beforeAll(async () => {
  const folders = [];
  for (let seed = 0; seed < 8; seed++) {
    folders.push(await seedRun(`seed${seed}`, rows, planted(seed, 2)));
  }
  runs = await Promise.all(folders.map(openRun));
}, 60_000);

describe('pooledReport', () => {
  it('averages what each run says by itself, finds the planted excess, and is read again', async () => {
    const out = scratchPath('pooled.json');
    const report = await pooledReport(runs, question, out);
    expect(await readPooled(out)).toEqual(report);
    expect(report.smallest_p).toBe(2 / 256);
    const [{ points }] = report.shifts;
    expect(points.map(({ site }) => site)).toEqual(['resid_post.0', 'resid_post.1']);
    const settings = {
      groups: 'topic',
      bootstraps: 40,
      permutations: 19,
      splits: 4,
      folds: 3,
      seed: 0,
    };
    for (const [s, run] of runs.entries()) {
      const single = await shiftContrast(run, {
        ...question,
        position: 'last',
        siteKind: 'resid_post',
        settings,
      });
      const { sets, cosine } = single.points[0];
      const { numbers } = points[0];
      sets.forEach((set, i) => expect(numbers.sizes[i].by_seed[s]).toBe(set.relative_size.value));
      expect(numbers.cosine.by_seed[s]).toBe(cosine.value);
    }
    const [{ n, n_groups: groups, numbers, over_control: over }] = points;
    expect(n.map(({ n: count }) => count)).toEqual([12, 12, 12, 12]);
    expect(groups).toBe(24);
    // Sizes are of 10: harmful rows by 1 + 2 + what seeds and topics add, harmless ones by 1.
    const mean = (values: readonly (number | null)[]): number =>
      values.reduce<number>((sum, v) => sum + v!, 0) / values.length;
    const own = mean(Array.from({ length: 8 }, (_, seed) => 0.3 * Math.sin(5 * seed)));
    const topics = mean(Array.from({ length: 12 }, (_, t) => 0.4 * Math.sin(t * 2.3)));
    expect(numbers.sizes[0].value).toBeCloseTo(0.1 * (3 + own + topics), 2);
    expect(numbers.over_benign[0].value).toBeCloseTo(0.1 * (2 + own + topics), 2);
    expect(over?.sizes[0].value).toBeCloseTo(0.1 * (2 + own + topics), 2);
    // All eight seeds agree: the smallest p there is.
    expect(numbers.over_benign[0].p).toBe(2 / 256);
    expect(over?.sizes[0].p).toBe(2 / 256);
    expect(numbers.sizes[0].p).toBeNull();
    // Harmless rows moved alike under both trainings.
    expect(Math.abs(over!.sizes[2].value!)).toBeLessThan(0.01);
    // sd over seeds .2/√8 and over topics .28/√12, in tenths, and 1.96 of both together to either side.
    const spread = 1.96 * 0.1 * Math.hypot(0.2 / Math.sqrt(8), 0.28 / Math.sqrt(12));
    const { low, high } = numbers.sizes[0];
    expect((high! - low!) / 2 / spread).toBeGreaterThan(0.7);
    expect((high! - low!) / 2 / spread).toBeLessThan(1.3);
  });

  it('comes to the same bytes after a stop at every site, and leaves nothing else behind', async () => {
    const whole = scratchPath('whole.json');
    await pooledReport(runs, question, whole);
    const out = scratchPath('stopped.json');
    let sites = 0;
    const stopping = pooledReport(runs, question, out, {
      shouldStop: () => sites > 0,
      onSite: () => sites++,
    });
    await expect(stopping).rejects.toMatchObject({ code: 'ENDED_EARLY' });
    expect(existsSync(out)).toBe(false);
    expect(existsSync(`${out}.partial`)).toBe(true);
    await pooledReport(runs, question, out);
    expect(readFileSync(out, 'utf8')).toBe(readFileSync(whole, 'utf8'));
    expect(existsSync(`${out}.partial`)).toBe(false);
  });

  it('refuses to write over the answer to another question, and to read what is no report', async () => {
    const out = scratchPath('pooled.json');
    await pooledReport(runs.slice(0, 2), question, out);
    await expect(pooledReport(runs, question, out)).rejects.toThrow(
      'the file holds the answer to another question',
    );
    writeFileSync(out, '{}');
    await expect(readPooled(out)).rejects.toThrow('this is no report of schema');
  });

  it('says of two seeds that they cannot reach .05', async () => {
    const report = await pooledReport(runs.slice(0, 2), question, scratchPath('two.json'));
    expect(report.smallest_p).toBe(0.5);
    expect(report.shifts[0].points[0].numbers.over_benign[0].p).toBe(0.5);
    // Imported activations of one start: only the training varies.
    expect(report.shares_start).toBe(true);
  });
});

describe('checkCompatible', () => {
  it('refuses a seed that would count twice, and runs of other prompts', async () => {
    expect(() => checkCompatible([runs[0], runs[1], runs[0]], ['trained'])).toThrow(
      /one seed would count twice: "trained" is the same — .*seed0 and .*seed0/,
    );
    const other = await openRun(await seedRun('other', seedRows(20), planted(9, 2)));
    expect(() => checkCompatible([runs[0], other], ['trained'])).toThrow(
      /two runs differ in their prompts — .*seed0 and .*other/,
    );
  });
});
