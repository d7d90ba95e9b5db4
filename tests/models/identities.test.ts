/**
 * What must hold between the numbers of one pass, whatever the weights: sums of the stream, ports
 * that change nothing unless used, a cache that changes nothing at all.
 */

import { describe, expect, it } from 'vitest';
import { Builder } from '../../src/graph/builder.ts';
import { checked } from '../../src/graph/legal.ts';
import type { Value } from '../../src/graph/onnx.ts';
import { parseSite, siteKey } from '../../src/graph/sites.ts';
import { openSession, type Feed } from '../../src/runtime/session.ts';
import type { Ports } from '../../models/architecture.ts';
import { fromCheckpoint, untrainedTwin } from '../../models/bindings.ts';
import { composeModel, frameOf } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import {
  allSites,
  bitsOf,
  feedsOf,
  forward,
  goldenFacts,
  goldenFolder,
  modelIn,
  tinyCases,
} from '../support/golden.ts';

const cases = [...tinyCases, 'stories260K'] as const;

/** Largest error of `sum` against the exact a + b, as a share of what rounding once may do: 2⁻²⁴ of the sum. */
function addingError(a: Float32Array, b: Float32Array, sum: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < sum.length; i++) {
    const rounding = Math.max(Math.abs(sum[i]), 2 ** -126) * 2 ** -24;
    worst = Math.max(worst, Math.abs(sum[i] - (a[i] + b[i])) / rounding);
  }
  return worst;
}

describe.each(cases)('the stream of %s', (name) => {
  it('is what came in plus what attention and MLP add, each sum rounded once', async () => {
    const model = await modelIn(goldenFolder(name));
    const { prompts } = goldenFacts(name);
    const at = await forward(model, { prompts, sites: allSites(model) });
    for (let layer = 0; layer < model.settings.layers; layer++) {
      const of = (kind: string): Float32Array => at[`${kind}.${layer}`].data;
      expect(addingError(of('resid_pre'), of('attn_out'), of('resid_mid'))).toBeLessThanOrEqual(1);
      expect(addingError(of('resid_mid'), of('mlp_out'), of('resid_post'))).toBeLessThanOrEqual(1);
      if (layer > 0) {
        expect(bitsOf(at[`resid_post.${layer - 1}`].data)).toEqual(bitsOf(of('resid_pre')));
      }
    }
  });

  it('is seen through taps that change nothing: one site and all give the same bits', async () => {
    const model = await modelIn(goldenFolder(name));
    const { prompts } = goldenFacts(name);
    const all = await forward(model, { prompts, sites: allSites(model) });
    for (const site of allSites(model)) {
      const alone = await forward(model, { prompts, sites: [site] });
      const key = siteKey(site);
      expect(bitsOf(alone[key].data).equals(bitsOf(all[key].data)), key).toBe(true);
    }
  });

  it('gives patterns that are probabilities of the keys up to the query', async () => {
    const model = await modelIn(goldenFolder(name));
    const { prompts } = goldenFacts(name);
    const length = Math.max(...prompts.map((ids) => ids.length));
    const sites = [parseSite('pattern.0')];
    const { data } = (await forward(model, { prompts, sites }))['pattern.0'];
    for (let start = 0; start < data.length; start += length) {
      const query = Math.floor(start / (length * model.settings.heads)) % length;
      const row = data.subarray(start, start + length);
      expect(row.subarray(query + 1).every((p) => p === 0)).toBe(true);
      // Each of at most 32 quotients is rounded once: 2⁻²⁴ of itself, and they sum to 1.
      const sum = row.reduce((total, p) => total + p, 0);
      expect(Math.abs(sum - 1)).toBeLessThan(2 ** -20);
    }
  });
});

describe.each(['llama_gqa_llama3', 'gpt2'])('the edit port of %s', (name) => {
  const { prompts } = goldenFacts(name);

  /** A pass in which `value` is added to every feature at one site. */
  async function adding(model: Model, at: string, value: number) {
    return await forward(model, {
      prompts,
      sites: allSites(model),
      edit(g, site, x) {
        if (siteKey(site) !== at) return x;
        const { width } = model.settings;
        const data = new Float32Array(width).fill(value);
        return g.add(x, g.floats('added', [width], data));
      },
    });
  }

  it('changes nothing when zero is added', async () => {
    const model = await modelIn(goldenFolder(name));
    const plain = await forward(model, { prompts, sites: allSites(model) });
    const edited = await adding(model, 'resid_post.0', 0);
    for (const key of Object.keys(plain)) {
      expect(bitsOf(edited[key].data).equals(bitsOf(plain[key].data)), key).toBe(true);
    }
  });

  it('changes what is downstream of the site and nothing upstream', async () => {
    const model = await modelIn(goldenFolder(name));
    const plain = await forward(model, { prompts, sites: allSites(model) });
    // A layer norm does not see a constant added to all features, so one site is before a branch.
    const edited = await adding(model, 'resid_post.0', 0.5);
    const changed = Object.keys(plain).filter(
      (key) => !bitsOf(edited[key].data).equals(bitsOf(plain[key].data)),
    );
    expect(changed).toContain('resid_post.0');
    expect(changed).toContain('resid_pre.1');
    expect(changed).toContain(`resid_post.${model.settings.layers - 1}`);
    expect(changed.filter((key) => key.endsWith('.0') && key !== 'resid_post.0')).toEqual([]);
    const moved = edited['resid_post.0'].data.map(
      (value, i) => value - plain['resid_post.0'].data[i],
    );
    // Adding .5 rounds to half a unit of values below 16: 2⁻²¹ of the sum and of this difference.
    expect(moved.every((step) => Math.abs(step - 0.5) < 2 ** -19)).toBe(true);
  });

  it.each(['resid_pre.1', 'attn_out.1', 'resid_mid.1', 'mlp_out.1'])(
    'reaches %s, and from there the end of the block',
    async (at) => {
      const model = await modelIn(goldenFolder(name));
      const plain = await forward(model, { prompts, sites: allSites(model) });
      const edited = await adding(model, at, 0.5);
      const changed = Object.keys(plain).filter(
        (key) => !bitsOf(edited[key].data).equals(bitsOf(plain[key].data)),
      );
      expect(changed).toEqual(expect.arrayContaining([at, 'resid_post.1']));
      expect(changed.filter((key) => key.endsWith('.0'))).toEqual([]);
      expect(at !== 'mlp_out.1' || !changed.includes('resid_mid.1')).toBe(true);
    },
  );
});

describe('untrainedTwin', () => {
  it.each(['llama_mha', 'gpt2'])('gives the same outputs for the same seed (%s)', async (name) => {
    const model = await modelIn(goldenFolder(name));
    const { prompts } = goldenFacts(name);
    const run = async (seed: number) => {
      const bind = untrainedTwin(model, seed);
      return (await forward(model, { prompts, sites: [parseSite('logits')], bind }))['logits'].data;
    };
    const first = await run(1);
    expect(bitsOf(await run(1)).equals(bitsOf(first))).toBe(true);
    expect(bitsOf(await run(2)).equals(bitsOf(first))).toBe(false);
    expect(first.every(Number.isFinite)).toBe(true);
  });

  it('draws matrices with the initialiser range of the config, gains 1, biases 0', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const g = new Builder('twin');
    const bind = untrainedTwin(model, 0);
    bind(g, 'h.0.mlp.c_fc.weight');
    bind(g, 'h.0.ln_1.weight');
    bind(g, 'h.0.ln_1.bias');
    const [matrix, gain, bias] = g.finish([]).initializers.map(({ data }) => {
      if (data.kind !== 'inline') throw new Error('a twin reads no file');
      return new Float32Array(data.bytes.buffer, data.bytes.byteOffset, data.bytes.length / 4);
    });
    const n = matrix.length;
    const mean = matrix.reduce((sum, value) => sum + value, 0) / n;
    const deviation = Math.sqrt(matrix.reduce((sum, value) => sum + value ** 2, 0) / n);
    // 9216 draws: four standard errors of the mean, 4σ/√n, and of σ itself, 4σ/√(2n).
    expect(Math.abs(mean)).toBeLessThan((4 * 0.02) / Math.sqrt(n));
    expect(Math.abs(deviation - 0.02)).toBeLessThan((4 * 0.02) / Math.sqrt(2 * n));
    expect(gain.every((value) => value === 1)).toBe(true);
    expect(bias.every((value) => value === 0)).toBe(true);
  });
});

describe('composeModel', () => {
  it('ends at the last block that a wanted site needs, and reads no weight beyond it', async () => {
    const model = await modelIn(goldenFolder('llama_mha'));
    const graphOf = (key: string) =>
      composeModel(model.architecture, model.settings, fromCheckpoint(model), {
        sites: [parseSite(key)],
        length: 8,
      });
    const weights = graphOf('resid_post.0').initializers.map(({ name }) => name);
    expect(weights.filter((name) => /layers\.[12]|lm_head|^norm/.test(name))).toEqual([]);
    expect(weights).toContain('layers.0.mlp.down_proj.weight');
    const early = graphOf('resid_pre.0').initializers.map(({ name }) => name);
    expect(early.filter((name) => name.includes('weight'))).toEqual(['embed_tokens.weight']);
    const attention = graphOf('attn_out.1').initializers.map(({ name }) => name);
    expect(attention.filter((name) => name.startsWith('layers.1.mlp'))).toEqual([]);
  });

  it('gives only the wanted rows, in the order in which they are asked', async () => {
    const model = await modelIn(goldenFolder('gpt2'));
    const { prompts } = goldenFacts('gpt2');
    const sites = [parseSite('resid_post.2'), parseSite('logits')];
    const all = await forward(model, { prompts, sites });
    const rows = [40, 3, 3, 21];
    const some = await forward(model, { prompts, sites, rows });
    const { width } = model.settings;
    rows.forEach((row, i) => {
      const wanted = all['resid_post.2'].data.subarray(row * width, (row + 1) * width);
      const got = some['resid_post.2'].data.subarray(i * width, (i + 1) * width);
      expect(bitsOf(got).equals(bitsOf(wanted))).toBe(true);
    });
    expect(some['logits'].shape).toEqual([4, model.settings.vocabulary]);
  });
});

describe.each([
  'llama_gqa_llama3',
  'gpt2_inverse_layer',
  'mistral_sliding',
  'gpt_neo',
  'gemma3_text',
  'phi3',
])('the cache ports of %s', (name) => {
  it('give in two pieces what the block gives in one', async () => {
    const model = await modelIn(goldenFolder(name));
    const ids = goldenFacts(name).prompts[2];
    const cut = 13;
    const layer = 1;
    const stream = (await forward(model, { prompts: [ids], sites: [parseSite('resid_pre.1')] }))[
      'resid_pre.1'
    ].data;
    const wanted = (await forward(model, { prompts: [ids], sites: [parseSite('resid_post.1')] }))[
      'resid_post.1'
    ].data;
    const { width } = model.settings;
    const first = await runBlock(model, layer, ids.length, {
      hidden: stream.subarray(0, cut * width),
      from: 0,
    });
    const second = await runBlock(model, layer, ids.length, {
      hidden: stream.subarray(cut * width),
      from: cut,
      past: first,
    });
    const floor = goldenFacts(name).noise_floor['resid_post.1'].max_abs;
    const ours = Float32Array.of(...first.hidden, ...second.hidden);
    const worst = ours.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i])), 0);
    expect(worst).toBeLessThanOrEqual(floor);
    // Without its past the second piece must come out wrong, or the cache was never read.
    const alone = await runBlock(model, layer, ids.length, {
      hidden: stream.subarray(cut * width),
      from: cut,
    });
    const error = alone.hidden.reduce(
      (most, v, i) => Math.max(most, Math.abs(v - wanted[cut * width + i])),
      0,
    );
    expect(error).toBeGreaterThan(1000 * floor);
  });
});

interface Piece {
  readonly hidden: Float32Array;
  /** Position of the first token. */
  readonly from: number;
  readonly past?: Kept;
}

interface Kept {
  readonly hidden: Float32Array;
  readonly key: Feed;
  readonly value: Feed;
}

/** One block by hand: its frame made from a whole model's graph inputs, its cache fed and fetched. */
async function runBlock(model: Model, layer: number, context: number, piece: Piece): Promise<Kept> {
  const { architecture, settings } = model;
  const { headDim, keyHeads, width } = settings;
  const g = new Builder('block');
  const frame = frameOf(g, model.architecture, model.settings, { length: context });
  const hidden = g.input('hidden', 'float32', ['tokens', width]);
  const cache = ['batch', keyHeads, 'past', headDim];
  const past =
    piece.past === undefined
      ? null
      : {
          key: g.input('past_key', 'float32', cache),
          value: g.input('past_value', 'float32', cache),
          kind: 'whole' as const,
        };
  const bind = fromCheckpoint(model);
  const bound = new Map<string, Value>();
  const kept: Value[] = [];
  const ports: Ports = {
    param(name) {
      const value = bound.get(name) ?? bind(g, architecture.blockPrefix(layer) + name);
      bound.set(name, value);
      return value;
    },
    tap: (_, value) => value,
    wantsPattern: false,
    past,
    keep: ({ key, value }) => kept.push(g.named('key', key), g.named('value', value)),
  };
  const out = architecture.block(g, frame, ports, settings, layer, hidden);
  const graph = checked(g.finish([g.named('out', out), ...kept]));
  const tokens = piece.hidden.length / width;
  const feeds = feedsOf([Array.from({ length: tokens }, () => 0)]);
  const session = await openSession(graph, { threads: 1 });
  try {
    const fetched = await session.run({
      input_ids: feeds['input_ids'],
      position_ids: {
        data: BigInt64Array.from({ length: tokens }, (_, t) => BigInt(piece.from + t)),
        shape: [1, tokens],
      },
      hidden: { data: piece.hidden.slice(), shape: [tokens, width] },
      ...(piece.past === undefined
        ? {}
        : { past_key: piece.past.key, past_value: piece.past.value }),
    });
    return { hidden: fetched['out'].data, key: fetched['key'], value: fetched['value'] };
  } finally {
    await session.close();
  }
}
