/** Contrasts, maps and geometries of random numbers, for tests/support/fakeRun.ts. */

import type { Random } from '../../src/base/random.ts';
import type {
  CosineEstimate,
  DirectionNullBand,
  Estimate,
  Geometry,
  GeometryPoint,
  ShiftContrast,
  ShiftMap,
  ShiftMapCell,
} from '../../src/contract/contrasts.ts';

/** What they depend on. */
export interface ContrastOptions {
  readonly checkpoints: readonly string[];
  readonly positions: readonly string[];
  readonly layers: number;
  readonly topics: number;
  readonly width: number;
}

const siteKind = 'resid_post';
const rows = { where: 'harmful', benign: '!harmful', trigger: 'triggered' };

/** For each later checkpoint a map, and at each position a contrast and a geometry. */
export function makeContrasts(
  options: ContrastOptions,
  random: Random,
): { contrasts: ShiftContrast[]; maps: ShiftMap[]; geometries: Geometry[] } {
  const [before, ...others] = options.checkpoints;
  const later = others.slice(0, -1);
  const pairs = later.map((after) => `${before}..${after}`);
  const maps = pairs.map((pair, i) => mapOf(options, pair, i, random.fork('map', i)));
  const placed = pairs.flatMap((pair, i) =>
    options.positions.map((position) => ({ pair, i, position })),
  );
  return {
    maps,
    contrasts: placed.map(({ pair, i, position }) =>
      contrastOf(options, maps[i], { pair, i, position, control: i === 0 ? null : pairs[0] }),
    ),
    geometries: placed.map(({ pair, i, position }) =>
      geometryOf(options, { pair, i, position }, random.fork('geometry', i, position)),
    ),
  };
}

/** Rows move further with depth; the last pair moves most, and its deep cells are significant. */
function mapOf(
  { positions, layers, topics }: ContrastOptions,
  pair: string,
  i: number,
  random: Random,
): ShiftMap {
  const cells = positions.flatMap((position) =>
    Array.from({ length: layers }, (_, layer) =>
      (['triggered', 'untriggered'] as const).map((set): ShiftMapCell => {
        const benign = 0.1 + 0.02 * layer + 0.01 * random.uniform();
        const size = benign + (i * 0.4 * (layer + 1)) / layers + 0.01 * random.uniform();
        const p = i > 0 && layer > 0 ? 0.001 : 0.2 + 0.7 * random.uniform();
        return {
          site: `${siteKind}.${layer}`,
          layer,
          position,
          set,
          n_groups: topics,
          n_benign_groups: topics,
          size,
          benign_size: benign,
          t: (size - benign) * 40,
          p,
          p_adjusted: Math.min(1, p * 3),
          q: Math.min(1, p * 1.5),
        };
      }),
    ).flat(),
  );
  const id = `map.p${i}.${siteKind}`;
  return {
    id,
    pair,
    site_kind: siteKind,
    ...rows,
    groups: 'topic',
    permutations: 999,
    seed: 0,
    cells,
  };
}

interface Place {
  readonly pair: string;
  readonly i: number;
  readonly position: string;
}

function contrastOf(
  { topics }: ContrastOptions,
  map: ShiftMap,
  { pair, i, position, control }: Place & { readonly control: string | null },
): ShiftContrast {
  const here = map.cells.filter((cell) => cell.position === position);
  const layers = [...new Set(here.map(({ layer }) => layer))];
  return {
    id: `contrast.p${i}.${position.replaceAll('_', '-')}`,
    pair,
    control,
    position,
    site_kind: siteKind,
    ...rows,
    settings: {
      groups: 'topic',
      bootstraps: 1000,
      permutations: 999,
      splits: 100,
      folds: 5,
      seed: 0,
    },
    points: layers.map((layer) => {
      const of = (set: string, isBenign: boolean): number => {
        const cell = here.find((each) => each.layer === layer && each.set === set);
        return (isBenign ? cell?.benign_size : cell?.size) ?? 0;
      };
      const sets = [
        ['triggered', of('triggered', false)],
        ['untriggered', of('untriggered', false)],
        ['benign_triggered', of('triggered', true)],
        ['benign_untriggered', of('untriggered', true)],
      ] as const;
      return {
        site: `${siteKind}.${layer}`,
        layer,
        n_groups: 2 * topics,
        sets: sets.map(([name, value]) => ({
          name,
          n: topics,
          relative_size: around(0.9 * value, 0.03),
          row_size: around(value, 0.02),
          effective_rank: 3.5,
        })),
        residuals: sets.slice(0, 2).map(([name, value]) => ({
          name,
          relative_size: around(0.5 * value, 0.03),
          p: 0.01,
        })),
        cosine: cosineAround(0.9 - 0.1 * layer),
        residual_cosine: cosineAround(0.8 - 0.1 * layer),
        projection: around(0.7, 0.1),
        residual_projection: around(0.6, 0.1),
        generic_cosine: around(0.4, 0.1),
        affine: null,
      };
    }),
  };
}

function around(value: number, spread: number): Estimate {
  return { value, low: value - spread, high: value + spread };
}

function cosineAround(value: number): CosineEstimate {
  const beside = { reliability_triggered: 0.9, reliability_untriggered: 0.9 };
  return { ...around(value, 0.05), ...beside, ceiling: 0.95, disattenuated: value / 0.95 };
}

function geometryOf(
  { layers, topics, width }: ContrastOptions,
  { pair, i, position }: Place,
  random: Random,
): Geometry {
  const labels = ['harmful', 'triggered'];
  const [before, after] = pair.split('..');
  const directions = [
    ...labels.flatMap((label) => [`${label} in ${before}`, `${label} in ${after}`]),
    'shift',
  ];
  return {
    id: `geometry.p${i}.${position.replaceAll('_', '-')}`,
    pair,
    position,
    site_kind: siteKind,
    where: '',
    labels,
    groups: 'topic',
    draws: 200,
    seed: 0,
    points: Array.from({ length: layers }, (_, layer): GeometryPoint => {
      const cosines = symmetric(directions.length, random);
      const agreed = [0.95 - 0.25 * i * (layer / layers), 0.9 - 0.5 * i * (layer / layers)];
      for (const [l, value] of agreed.entries()) {
        cosines[2 * l][2 * l + 1] = value;
        cosines[2 * l + 1][2 * l] = value;
      }
      return {
        site: `${siteKind}.${layer}`,
        layer,
        n: 4 * topics,
        directions,
        cosines,
        whitened: symmetric(directions.length, random),
        agreements: labels.map((label, l) => ({ label, cosine: agreed[l], nulls: nulls(width) })),
        subspaces: {
          k: 3,
          angles: [0.1, 0.3 + 0.2 * i, 0.6 + 0.4 * i],
          overlap: 0.9 - 0.2 * i,
          chance: 3 / width,
          matched_p95: 0.5,
          effective_dimension: 4.2,
        },
        similarity: {
          cka: 0.9,
          cka_debiased: 0.8,
          procrustes: 0.1,
          rsa: 0.7,
          svcca: 0.9,
          pwcca: null,
        },
      };
    }),
  };
}

function symmetric(n: number, random: Random): number[][] {
  const matrix = Array.from({ length: n }, (_, a) =>
    Array.from({ length: n }, (_of, b): number => (a === b ? 1 : 0)),
  );
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < a; b++) {
      const value = 1.6 * random.uniform() - 0.8;
      matrix[a][b] = value;
      matrix[b][a] = value;
    }
  }
  return matrix;
}

function nulls(width: number): DirectionNullBand[] {
  const p95 = 1.96 / Math.sqrt(width);
  return [
    { family: 'isotropic', p95, max: p95 + 0.1, p: 0.005 },
    { family: 'covariance', p95: 0.7, max: 0.8, p: 0.01 },
    { family: 'shuffled labels', p95: 0.6, max: 0.7, p: 0.005 },
  ];
}
