/**
 * Writes a random bfloat16 checkpoint of Llama-3-8B's shape, and slices of its depth.
 *
 *     node bench/largeModel.mjs FOLDER [BLOCKS…]        (default 2 4 8; 32 takes 16 GB)
 *
 * Shards are written once for the deepest model; `FOLDER/N` links to those that N blocks need. Speed and
 * memory do not depend on what weights mean, so one pool of random numbers serves all tensors, each
 * from a place of its own. The deviation 0.02 is that of an initialised model.
 */

import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { float32ToBfloat16 } from '../dist/src/base/dtype.js';
import { Random } from '../dist/src/base/random.js';
import { layoutSafetensors } from '../dist/src/files/safetensors.js';

const shape = { width: 4096, heads: 32, keyHeads: 8, mlp: 14336, vocabulary: 128256 };
const poolSize = 2 ** 23;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, ...depths] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node bench/largeModel.mjs FOLDER [BLOCKS…]');
  writeLarge(folder, depths.length === 0 ? [2, 4, 8] : depths.map(Number));
}

/** Writes `folder/N` for each depth N. */
export function writeLarge(folder, depths) {
  const shards = join(folder, 'shards');
  mkdirSync(shards, { recursive: true });
  const pool = randomPool();
  const { width, vocabulary } = shape;
  const ends = {
    'embed.safetensors': [['model.embed_tokens.weight', [vocabulary, width]]],
    'head.safetensors': [
      ['model.norm.weight', [width]],
      ['lm_head.weight', [vocabulary, width]],
    ],
  };
  const deepest = Math.max(...depths);
  const files = { ...ends };
  for (let layer = 0; layer < deepest; layer++) files[blockFile(layer)] = blockTensors(layer);
  for (const [name, tensors] of Object.entries(files))
    writeShard(join(shards, name), tensors, pool);
  for (const depth of depths) {
    const own = Object.keys(files).filter((name) => name in ends || numberOf(name) < depth);
    linkModel(join(folder, String(depth)), shards, own, files, depth);
  }
}

function linkModel(folder, shards, names, files, depth) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const map = {};
  for (const name of names) {
    linkSync(join(shards, name), join(folder, name));
    for (const [tensor] of files[name]) map[tensor] = name;
  }
  const index = { metadata: {}, weight_map: map };
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(depth), null, 1));
}

function blockFile(layer) {
  return `block-${String(layer).padStart(2, '0')}.safetensors`;
}

function numberOf(name) {
  return Number(/\d+/.exec(name)?.[0]);
}

function blockTensors(layer) {
  const { width, heads, keyHeads, mlp } = shape;
  const keys = (width / heads) * keyHeads;
  const at = `model.layers.${layer}.`;
  return [
    [`${at}input_layernorm.weight`, [width]],
    [`${at}post_attention_layernorm.weight`, [width]],
    [`${at}self_attn.q_proj.weight`, [width, width]],
    [`${at}self_attn.k_proj.weight`, [keys, width]],
    [`${at}self_attn.v_proj.weight`, [keys, width]],
    [`${at}self_attn.o_proj.weight`, [width, width]],
    [`${at}mlp.gate_proj.weight`, [mlp, width]],
    [`${at}mlp.up_proj.weight`, [mlp, width]],
    [`${at}mlp.down_proj.weight`, [width, mlp]],
  ];
}

function configOf(layers) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: shape.width,
    num_hidden_layers: layers,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.keyHeads,
    intermediate_size: shape.mlp,
    vocab_size: shape.vocabulary,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 500000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    attention_bias: false,
    mlp_bias: false,
    bos_token_id: 128000,
    eos_token_id: 128001,
    torch_dtype: 'bfloat16',
  };
}

/** Uniform numbers with the deviation 0.02. */
function randomPool() {
  const random = new Random(20261128).fork('large');
  const width = 0.04 * Math.sqrt(3);
  return float32ToBfloat16(
    Float32Array.from({ length: poolSize }, () => (random.uniform() - 0.5) * width),
  );
}

function writeShard(path, tensors, pool) {
  const layout = layoutSafetensors(
    tensors.map(([name, sizes]) => ({ name, dtype: 'BF16', shape: sizes })),
    { format: 'pt' },
  );
  const file = openSync(path, 'w');
  writeSync(file, layout.header);
  for (const [i, [name, sizes]] of tensors.entries()) {
    const length = sizes.reduce((size, axis) => size * axis, 1);
    const isGain = sizes.length === 1;
    const values = isGain ? float32ToBfloat16(new Float32Array(length).fill(1)) : pool;
    let at = layout.offsets.get(name);
    // Each tensor begins elsewhere in the pool, so that no two are the same.
    let from = isGain ? 0 : (i * 1_000_003 + path.length * 7919) % pool.length;
    for (let left = length; left > 0;) {
      const count = Math.min(left, values.length - from);
      const bytes = new Uint8Array(values.buffer, values.byteOffset + 2 * from, 2 * count);
      at += writeSync(file, bytes, 0, bytes.length, at);
      left -= count;
      from = 0;
    }
  }
  closeSync(file);
}
