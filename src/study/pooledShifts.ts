/**
 * What moved, over several runs that differ in the seed of their training only?
 *
 * What one run shows may be that seed's. Seeds are drawn, and the prompts that all of them share once for
 * all; one site of one run is in memory at a time.
 */

import { UserError } from '../base/errors.ts';
import type { ShouldStop } from '../base/progress.ts';
import { Random } from '../base/random.ts';
import type {
  NamedPooled,
  PooledNumber,
  PooledNumbers,
  PooledPoint,
  PooledSettings,
} from '../contract/pooled.ts';
import { parseSite } from '../graph/sites.ts';
import { crossedInterval, lengthDraws, type SeedDraws } from '../../probes/bootstrap.ts';
import {
  contrastNumbers,
  contrastOf,
  momentsOf,
  setNames,
  type ContrastNumbers,
} from '../../probes/contrast.ts';
import { bootstrapContrast } from '../../probes/contrastTests.ts';
import { signFlip } from '../../probes/significance.ts';
import type { Run } from '../record/run.ts';
import { contrastRows, orNull, rowGroups, type ContrastRows } from './contrasts.ts';
import { endedEarly } from './curves.ts';

export interface PooledRequest extends ContrastRows {
  readonly before: string;
  readonly after: string;
  readonly control: string | null;
  readonly position: string;
  readonly site: string;
  readonly settings: PooledSettings;
}

/** The numbers of one seed, as they are and under each drawing of prompts. */
export interface Seed {
  readonly numbers: ContrastNumbers;
  readonly draws: readonly ContrastNumbers[];
}

type Read = (numbers: ContrastNumbers) => number;

/**
 * One site at one position, over runs that `checkCompatible` has let pass.
 *
 * @throws {UserError} `ENDED_EARLY` between runs.
 */
export async function pooledPoint(
  runs: readonly Run[],
  request: PooledRequest,
  shouldStop: ShouldStop = () => false,
): Promise<PooledPoint> {
  const { control, position, site, settings } = request;
  const random = new Random(settings.seed).fork('pooled', position, site);
  const sets = contrastRows(runs[0], position, request);
  const pairs: Seed[] = [];
  const controls: Seed[] = [];
  let groups = 0;
  for (const run of runs) {
    if (shouldStop()) throw endedEarly();
    const before = await run.activations(request.before, site, position);
    const names = rowGroups(run, position, settings.groups);
    for (const after of control === null ? [request.after] : [request.after, control]) {
      const moved = await run.activations(after, site, position);
      const contrast = contrastOf(before, moved, sets, names);
      const moments = momentsOf(contrast);
      if (moments === null) throw new UserError('LABELS_INVALID', 'a set has no rows');
      // The same stream in each run: the b-th draw takes the same prompts everywhere.
      const draws = bootstrapContrast(contrast, settings.bootstraps, random.fork('prompts'));
      const seed = { numbers: contrastNumbers(moments), draws };
      (after === request.after ? pairs : controls).push(seed);
      groups = contrast.groups;
    }
  }
  return {
    site,
    layer: parseSite(site).block ?? 0,
    n_groups: groups,
    n: setNames.map((name) => ({ name, n: sets[name].length })),
    numbers: pooledNumbers(pairs, random),
    control: control === null ? null : pooledNumbers(controls, random),
    over_control: control === null ? null : overControl(pairs, controls, random),
  };
}

/**
 * Refuses runs that cannot stand for seeds of one experiment.
 *
 * @param trained Checkpoints that must differ between runs; all may start from one checkpoint.
 * @throws {UserError} `RUN_INVALID` naming two runs and what they differ in, or what they must not share.
 */
export function checkCompatible(runs: readonly Run[], trained: readonly string[]): void {
  const [first, ...others] = runs;
  for (const run of others) {
    for (const [what, read] of Object.entries(shared)) {
      if (read(run) === read(first)) continue;
      throw new UserError('RUN_INVALID', `two runs differ in their ${what}`, {
        where: `${first.folder} and ${run.folder}`,
        fix: 'Extract every seed with the same prompts, sites, positions and forced reply.',
      });
    }
  }
  for (const name of trained) {
    const seen = new Map<string, Run>();
    for (const run of runs) {
      const record = run.manifest.checkpoints.find((checkpoint) => checkpoint.name === name);
      if (record === undefined) continue; // sitesOfKind names what the run has instead
      const twin = seen.get(record.sha256);
      if (twin !== undefined) {
        throw new UserError('RUN_INVALID', `one seed would count twice: "${name}" is the same`, {
          where: `${twin.folder} and ${run.folder}`,
          fix: 'Name each seed’s run once, and train each seed’s checkpoints from its own start.',
        });
      }
      seen.set(record.sha256, run);
    }
  }
}

/** What all seeds must have in common for a prompt, a site and a position to mean the same. */
const shared: Readonly<Record<string, (run: Run) => string>> = {
  prompts: ({ manifest }) => manifest.prompts.sha256,
  'forced reply': ({ manifest }) => String(manifest.prompts.force_reply),
  positions: ({ manifest }) =>
    manifest.positions.map(({ name, rows }) => `${name} (${rows})`).join(', '),
  sites: ({ manifest }) => [...manifest.sites].sort().join(', '),
  rows: (run) =>
    run.manifest.positions
      .flatMap(({ name }) => run.rowsAt(name).map(({ id, token_index: at }) => `${id} ${at}`))
      .join('\n'),
};

/** How often S seeds agree in sign by chance: no sign-flip p can be smaller. Beyond 16 seeds signs are drawn. */
export function smallestP(seeds: number): number {
  return seeds <= 16 ? 2 / 2 ** seeds : 1e-4;
}

/** What is said of one training over its seeds. */
export function pooledNumbers(seeds: readonly Seed[], random: Random): PooledNumbers {
  const plain = (read: Read): PooledNumber =>
    pooled(
      seeds.map((seed) => drawsOf(seed, read)),
      random,
      false,
    );
  const signed = (read: Read): PooledNumber =>
    pooled(
      seeds.map((seed) => drawsOf(seed, read)),
      random,
      true,
    );
  const size = (s: number): PooledNumber =>
    pooled(
      seeds.map((seed) => {
        const { value, draws } = drawsOf(seed, ({ sizes }) => sizes[s]);
        return { value, draws: lengthDraws(value, draws) };
      }),
      random,
      false,
    );
  return {
    sizes: setNames.map((name, s) => ({ name, ...size(s) })),
    over_benign: overBenign(seeds, random),
    cosine: plain(({ cosine }) => cosine),
    residual_cosine: signed(({ residualCosine }) => residualCosine),
    projection: plain(({ projection }) => projection),
    residual_projection: signed(({ residualProjection }) => residualProjection),
  };
}

function overBenign(seeds: readonly Seed[], random: Random): NamedPooled[] {
  return ([0, 1] as const).map((s) => ({
    name: setNames[s],
    ...pooled(
      seeds.map((seed) => difference(sizeOf(seed, s), sizeOf(seed, s + 2))),
      random,
      true,
    ),
  }));
}

function overControl(
  pairs: readonly Seed[],
  controls: readonly Seed[],
  random: Random,
): PooledNumbers {
  const between = (read: (seed: Seed) => SeedDraws): PooledNumber =>
    pooled(
      pairs.map((seed, s) => difference(read(seed), read(controls[s]))),
      random,
      true,
    );
  const of = (read: Read): PooledNumber => between((seed) => drawsOf(seed, read));
  return {
    sizes: setNames.map((name, s) => ({ name, ...between((seed) => sizeOf(seed, s)) })),
    over_benign: ([0, 1] as const).map((s) => ({
      name: setNames[s],
      ...between((seed) => difference(sizeOf(seed, s), sizeOf(seed, s + 2))),
    })),
    cosine: of(({ cosine }) => cosine),
    residual_cosine: of(({ residualCosine }) => residualCosine),
    projection: of(({ projection }) => projection),
    residual_projection: of(({ residualProjection }) => residualProjection),
  };
}

function drawsOf({ numbers, draws }: Seed, read: Read): SeedDraws {
  return { value: read(numbers), draws: Float64Array.from(draws, read) };
}

/** Sets differ in their rows, and so in what noise adds to their size: compared are sizes free of it. */
function sizeOf(seed: Seed, set: number): SeedDraws {
  return drawsOf(seed, ({ freeSizes }) => freeSizes[set]);
}

function difference(a: SeedDraws, b: SeedDraws): SeedDraws {
  return {
    value: a.value - b.value,
    draws: Float64Array.from(a.draws, (draw, i) => draw - b.draws[i]),
  };
}

function pooled(seeds: readonly SeedDraws[], random: Random, isSigned: boolean): PooledNumber {
  const values = seeds.map(({ value }) => value);
  const isWhole = values.every(Number.isFinite);
  // The same seeds are drawn for every number of a site, so that their draws go together.
  const { low, high } = crossedInterval(seeds, random.fork('seeds'));
  return {
    value: orNull(values.reduce((sum, value) => sum + value, 0) / values.length),
    low: orNull(low),
    high: orNull(high),
    by_seed: values.map(orNull),
    p: isSigned && isWhole ? signFlip(values, random.fork('signs')).p : null,
  };
}
