/** Is config.json read without guessing? Every refusal by its exact words. */

import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import { openModel } from '../../models/model.ts';
import {
  goldenFolder,
  modelIn,
  readJson,
  withConfig,
  withKeys,
  type Json,
} from '../support/golden.ts';

const mha = goldenFolder('llama_mha');
const gpt2 = goldenFolder('gpt2');

/** What and fix of the refusal; the path of the temporary folder is left out. */
async function refusalOf(folder: string): Promise<{ what: string; where: string; fix: string }> {
  try {
    await modelIn(folder);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const where = (error.where ?? '').replace(`${folder}/`, '');
    return { what: error.what, where, fix: error.fix ?? '' };
  }
  throw new Error('the config was accepted');
}

const origin = 'Take config.json from the same place as the weights';

describe('openModel refuses', () => {
  it('a key that it does not know, and names the one that may be meant', async () => {
    expect(await refusalOf(withKeys(mha, { rms_norm_epss: 1e-6 }))).toEqual({
      what: 'config key "rms_norm_epss" is not known, so it might change what the model computes',
      where: 'config.json → rms_norm_epss',
      fix: 'Did you mean "rms_norm_eps"? If it is harmless, pass --ignore-config-key rms_norm_epss.',
    });
    expect(await refusalOf(withKeys(gpt2, { rotary_dim: 64 }))).toEqual({
      what: 'config key "rotary_dim" is not known, so it might change what the model computes',
      where: 'config.json → rotary_dim',
      fix: 'If you know that it is harmless, pass --ignore-config-key rotary_dim.',
    });
  });

  it.each<[string, Json, string, string]>([
    [
      'a number as a text',
      { hidden_size: '48' },
      'hidden_size is "48", not a whole number of at least 1',
      `${origin}.`,
    ],
    [
      'a fraction of a head',
      { num_attention_heads: 4.5 },
      'num_attention_heads is 4.5, not a whole number of at least 1',
      `${origin}.`,
    ],
    [
      'no block at all',
      { num_hidden_layers: 0 },
      'num_hidden_layers is 0, not a whole number of at least 1',
      `${origin}.`,
    ],
    [
      'a negative epsilon',
      { rms_norm_eps: -1e-5 },
      'rms_norm_eps is -0.00001, not a number above 0',
      `${origin}.`,
    ],
    [
      'a flag as a number',
      { attention_bias: 0 },
      'attention_bias is 0, not true or false',
      `${origin}.`,
    ],
    [
      'a rope as a text',
      { rope_parameters: 'linear' },
      'rope_parameters is "linear", not a record',
      `${origin}.`,
    ],
    [
      'a missing size',
      { hidden_size: undefined },
      'hidden_size is missing',
      `${origin}; sizes are never guessed.`,
    ],
    [
      'a size that is null',
      { vocab_size: null },
      'vocab_size is missing',
      `${origin}; sizes are never guessed.`,
    ],
    [
      'a missing epsilon',
      { rms_norm_eps: undefined },
      'rms_norm_eps is missing',
      `${origin}; sizes are never guessed.`,
    ],
  ])('%s', async (_, keys, what, fix) => {
    const [key] = Object.keys(keys);
    const where = `config.json → ${key}`;
    expect(await refusalOf(withKeys(mha, keys))).toEqual({ what, where, fix });
  });

  it('an activation and a family that are not built in', async () => {
    expect(await refusalOf(withKeys(mha, { hidden_act: 'sillu' }))).toMatchObject({
      what: 'hidden_act "sillu" is not supported',
      fix: expect.stringMatching(/^Did you mean "silu"\? Known are silu, swish, gelu, /),
    });
    expect(await refusalOf(withKeys(mha, { model_type: 'lama' }))).toMatchObject({
      what: 'model_type "lama" is not built in',
      fix: expect.stringMatching(/^Did you mean "llama"\? Known families are .*llama/),
    });
    expect((await refusalOf(withKeys(mha, { model_type: undefined }))).what).toBe(
      'model_type undefined is not built in',
    );
  });

  it('quantised weights and remote code', async () => {
    expect(await refusalOf(withKeys(mha, { quantization_config: { bits: 4 } }))).toMatchObject({
      what: 'quantization_config {"bits":4} is not supported',
      fix: 'Export the model with unquantised weights (float32, float16 or bfloat16).',
    });
    expect((await refusalOf(withKeys(mha, { auto_map: {} }))).fix).toMatch(
      /^Remote code is never run/,
    );
  });

  it('a key that may only have one value, when it has another', async () => {
    expect((await refusalOf(withKeys(gpt2, { add_cross_attention: true }))).what).toBe(
      'add_cross_attention true is not supported',
    );
    expect((await refusalOf(withKeys(gpt2, { pruned_heads: { 0: [1] } }))).what).toBe(
      'pruned_heads {"0":[1]} is not supported',
    );
    await modelIn(withKeys(gpt2, { pruned_heads: {}, is_decoder: true }));
  });

  it('heads that do not divide', async () => {
    expect((await refusalOf(withKeys(gpt2, { n_head: 5 }))).what).toBe(
      '5 heads do not divide n_embd 48',
    );
    expect((await refusalOf(withKeys(mha, { num_key_value_heads: 3 }))).what).toBe(
      '3 key/value heads do not divide 4 attention heads',
    );
  });

  it('ropes that contradict themselves or are of another kind', async () => {
    const rope = { rope_type: 'default', rope_theta: 10_000 };
    const kinds = async (keys: Json): Promise<string> =>
      (await refusalOf(withKeys(mha, keys))).what;
    expect(await kinds({ rope_scaling: { rope_type: 'linear', factor: 2 } })).toBe(
      'both rope_parameters and rope_scaling are given',
    );
    expect(await kinds({ rope_theta: 500_000 })).toBe('rope_theta is given as 500000 and as 10000');
    expect(await kinds({ rope_parameters: { ...rope, rope_type: 'spiral' } })).toBe(
      'rope_type "spiral" is not supported',
    );
    expect(await kinds({ rope_parameters: { ...rope, factor: 2 } })).toMatch(
      /"factor" is not known/,
    );
    expect(await kinds({ rope_parameters: { ...rope, rope_type: 'linear' } })).toBe(
      'factor is missing',
    );
    expect(
      await kinds({
        rope_parameters: undefined,
        rope_scaling: { type: 'linear', rope_type: 'default' },
      }),
    ).toMatch(/disagree|not supported/);
  });

  it('a head that was tied by default and is stored with other values', async () => {
    // llama_mha's head is its own: said to be tied, it would silently be replaced by the embedding.
    expect((await refusalOf(withKeys(mha, { tie_word_embeddings: true }))).what).toBe(
      'the head is tied, yet lm_head.weight differs from model.embed_tokens.weight',
    );
    expect((await refusalOf(withKeys(gpt2, { tie_word_embeddings: false }))).what).toBe(
      'there is no tensor "lm_head.weight"',
    );
  });
});

describe('openModel accepts', () => {
  it('a key that the user declares harmless, and remembers it', async () => {
    const folder = withKeys(mha, { my_note: 'x' });
    const checkpoint = await openCheckpoint(folder);
    const { ignoredConfigKeys } = await openModel(checkpoint, { ignoredConfigKeys: ['my_note'] });
    expect(ignoredConfigKeys).toEqual(['my_note']);
    await expect(openModel(checkpoint)).rejects.toThrow('"my_note" is not known');
  });

  it('keys that change nothing in the forward pass', async () => {
    await modelIn(
      withKeys(mha, {
        use_cache: false,
        bos_token_id: [1, 5],
        attention_dropout: 0.3,
        _name_or_path: 'x',
      }),
    );
    await modelIn(withKeys(gpt2, { n_ctx: 64, task_specific_params: { a: 1 }, summary_type: 'x' }));
  });

  it('null for what has a default', async () => {
    const { settings } = await modelIn(withKeys(gpt2, { n_inner: null }));
    expect(settings.mlpWidth).toBe(4 * 48);
    const llama = await modelIn(withKeys(mha, { num_key_value_heads: null, head_dim: null }));
    expect([llama.settings.keyHeads, llama.settings.headDim]).toEqual([4, 12]);
  });

  it('the rope of transformers 5 and of transformers 4 as the same', async () => {
    const ropeOf = async (keys: Json): Promise<unknown> => {
      const keysOf4 = { rope_parameters: undefined, ...keys };
      const { architecture, settings } = await modelIn(withKeys(mha, keysOf4));
      return [...architecture.rotary(settings).values()].map(({ rope }) => rope);
    };
    const linear = await ropeOf({
      rope_parameters: { rope_type: 'linear', rope_theta: 7, factor: 2 },
    });
    expect(linear).toEqual([{ kind: 'linear', theta: 7, factor: 2 }]);
    expect(await ropeOf({ rope_theta: 7, rope_scaling: { type: 'linear', factor: 2 } })).toEqual(
      linear,
    );
    expect(
      await ropeOf({ rope_theta: 7, rope_scaling: { rope_type: 'linear', factor: 2 } }),
    ).toEqual(linear);
    expect(
      await ropeOf({
        rope_theta: 7,
        rope_scaling: { rope_type: 'linear', type: 'linear', factor: 2 },
      }),
    ).toEqual(linear);
    const plain = await ropeOf({});
    expect(plain).toEqual([{ kind: 'default', theta: 10_000 }]);
    expect(await ropeOf({ rope_theta: 10_000, rope_scaling: null })).toEqual(plain);
  });

  it('a missing tie as each family means it: tied in GPT-2, not in Llama', async () => {
    const tied = async (folder: string): Promise<boolean> =>
      (await modelIn(withKeys(folder, { tie_word_embeddings: undefined }))).settings.isTied;
    expect(await tied(gpt2)).toBe(true);
    expect(await tied(mha)).toBe(false);
  });

  it('nothing that is no JSON, and no key twice', async () => {
    const config = JSON.stringify(readJson(`${mha}/config.json`));
    await expect(modelIn(withConfig(mha, config.slice(0, -1)))).rejects.toThrow('not valid JSON');
    const twice = config.replace('{', '{"rms_norm_eps": 1e-6,');
    await expect(modelIn(withConfig(mha, twice))).rejects.toThrow(
      'the key "rms_norm_eps" stands twice',
    );
  });
});
