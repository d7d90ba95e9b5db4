/** A random Llama of two blocks that is wide enough for sums to be cut into stretches. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { float32ToBfloat16 } from '../../src/base/dtype.ts';
import { Random } from '../../src/base/random.ts';
import { scratchFolder } from './scratch.ts';
import { writeTensors, type Tensor } from './golden.ts';

const [width, mlp, keys, vocabulary] = [320, 640, 80, 150];
const made = new Map<string, string>();

/** Its folder; the same for all tests of a file. */
export function wideModel(dtype: 'F32' | 'BF16' = 'F32'): string {
  const known = made.get(dtype);
  if (known !== undefined) return known;
  const folder = join(scratchFolder('wide'), 'model');
  mkdirSync(folder);
  const random = new Random('wide');
  const tensors = new Map<string, Tensor>();
  const add = (name: string, ...shape: readonly number[]): void => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      shape.length === 1 ? 1 + 0.1 * random.normal() : random.normal() / Math.sqrt(shape[1]),
    );
    const stored = dtype === 'F32' ? values : float32ToBfloat16(values);
    tensors.set(name, { dtype, shape, bytes: Buffer.from(stored.buffer) });
  };
  add('model.embed_tokens.weight', vocabulary, width);
  for (const layer of [0, 1]) {
    const at = `model.layers.${layer}.`;
    add(`${at}input_layernorm.weight`, width);
    add(`${at}post_attention_layernorm.weight`, width);
    add(`${at}self_attn.q_proj.weight`, width, width);
    add(`${at}self_attn.k_proj.weight`, keys, width);
    add(`${at}self_attn.v_proj.weight`, keys, width);
    add(`${at}self_attn.o_proj.weight`, width, width);
    add(`${at}mlp.gate_proj.weight`, mlp, width);
    add(`${at}mlp.up_proj.weight`, mlp, width);
    add(`${at}mlp.down_proj.weight`, width, mlp);
  }
  add('model.norm.weight', width);
  add('lm_head.weight', vocabulary, width);
  writeTensors(join(folder, 'model.safetensors'), tensors);
  const config = {
    model_type: 'llama',
    hidden_size: width,
    num_hidden_layers: 2,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    intermediate_size: mlp,
    vocab_size: vocabulary,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    attention_bias: false,
    mlp_bias: false,
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  made.set(dtype, folder);
  return folder;
}
