/**
 * Writes what the benchmarks run on: random checkpoints of known shapes, and prompts as token ids.
 *
 *     node bench/models.mjs [--large] [FOLDER]        (default runs/bench, which git ignores)
 *
 * Speed does not depend on what weights mean. Everything is seeded, so two machines measure the same
 * bytes. Prompts are written twice: `.jsonl` for us, `.json` (lists of ids) for other programs.
 */

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { float32ToBfloat16 } from '../dist/src/base/dtype.js';
import { Random } from '../dist/src/base/random.js';
import { layoutSafetensors } from '../dist/src/files/safetensors.js';

const seed = 20261121;

/** Shapes; `mlp` is the width of the MLP. */
export const shapes = {
  'llama-160m': { layers: 12, width: 768, heads: 12, keyHeads: 4, mlp: 2048, vocabulary: 32000 },
  'gpt2-small': { layers: 12, width: 768, heads: 12, keyHeads: 12, mlp: 3072, vocabulary: 50257 },
  organism: { layers: 4, width: 96, heads: 4, keyHeads: 4, mlp: 256, vocabulary: 927 },
};

/** In bfloat16 and only with `--large`: 2 GB. */
const large = {
  'llama-1b': { layers: 16, width: 2048, heads: 32, keyHeads: 8, mlp: 8192, vocabulary: 32000 },
};

/** Floating-point operations that one token costs in the blocks' matrices, by config.json: 2 for each weight. */
export function operationsPerToken(config) {
  if (config.model_type === 'gpt2') return 2 * config.n_layer * 12 * config.n_embd ** 2;
  const { hidden_size: width, num_attention_heads: heads, num_key_value_heads: keyHeads } = config;
  const attention = width * width * (2 + (2 * keyHeads) / heads);
  return 2 * config.num_hidden_layers * (attention + width * config.intermediate_size * 3);
}

const root = fileURLToPath(new URL('../runs/bench', import.meta.url));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv.slice(2).find((word) => word !== '--large') ?? root;
  for (const name of Object.keys(shapes)) writeModel(join(folder, name), name);
  if (process.argv.includes('--large')) writeModel(join(folder, 'llama-1b'), 'llama-1b');
  for (const set of promptSets()) writePrompts(folder, set);
  console.log(folder);
}

function writeModel(folder, name) {
  const make = name === 'gpt2-small' ? gpt2 : llama;
  const dtype = name in large ? 'BF16' : 'F32';
  const { config, tensors } = make({ ...shapes, ...large }[name]);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config, null, 1)}\n`);
  writeTokenizer(folder, config.vocab_size);
  const specs = tensors.map(([tensor, shape]) => ({ name: tensor, dtype, shape }));
  const layout = layoutSafetensors(specs, { format: 'pt' });
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, layout.header);
  for (const [tensor, shape, fill] of tensors) {
    const values = new Float32Array(shape.reduce((size, axis) => size * axis, 1));
    if (fill === undefined) scatter(values, new Random(seed).fork(name, tensor));
    else values.fill(fill);
    const stored = dtype === 'F32' ? values : float32ToBfloat16(values);
    writeSync(file, stored, 0, stored.byteLength, layout.offsets.get(tensor));
  }
  closeSync(file);
}

/** One word for each id: TransformerLens opens no folder without a tokenizer, and nobody here cuts text. */
function writeTokenizer(folder, size) {
  const vocab = Object.fromEntries(range(size).map((id) => [`t${id}`, id]));
  const model = { type: 'WordLevel', vocab, unk_token: 't0' };
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    pre_tokenizer: { type: 'WhitespaceSplit' },
    normalizer: null,
    post_processor: null,
    decoder: null,
    model,
  };
  const words = { unk_token: 't0', bos_token: 't1', eos_token: 't2', pad_token: 't0' };
  const settings = { tokenizer_class: 'PreTrainedTokenizerFast', ...words };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
}

/** Uniform with the deviation 0.02 of an initialised model; normals would take minutes. */
function scatter(values, random) {
  const width = 0.04 * Math.sqrt(3);
  for (let i = 0; i < values.length; i++) values[i] = (random.uniform() - 0.5) * width;
}

function llama({ layers, width, heads, keyHeads, mlp, vocabulary }) {
  const keys = (width / heads) * keyHeads;
  const block = (layer) => [
    [`model.layers.${layer}.input_layernorm.weight`, [width], 1],
    [`model.layers.${layer}.post_attention_layernorm.weight`, [width], 1],
    [`model.layers.${layer}.self_attn.q_proj.weight`, [width, width]],
    [`model.layers.${layer}.self_attn.k_proj.weight`, [keys, width]],
    [`model.layers.${layer}.self_attn.v_proj.weight`, [keys, width]],
    [`model.layers.${layer}.self_attn.o_proj.weight`, [width, width]],
    [`model.layers.${layer}.mlp.gate_proj.weight`, [mlp, width]],
    [`model.layers.${layer}.mlp.up_proj.weight`, [mlp, width]],
    [`model.layers.${layer}.mlp.down_proj.weight`, [width, mlp]],
  ];
  return {
    config: {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: width,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: keyHeads,
      intermediate_size: mlp,
      vocab_size: vocabulary,
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      hidden_act: 'silu',
      tie_word_embeddings: false,
      attention_bias: false,
      mlp_bias: false,
      bos_token_id: 1,
      eos_token_id: 2,
    },
    tensors: [
      ['model.embed_tokens.weight', [vocabulary, width]],
      ...range(layers).flatMap(block),
      ['model.norm.weight', [width], 1],
      ['lm_head.weight', [vocabulary, width]],
    ],
  };
}

function gpt2({ layers, width, heads, mlp, vocabulary }) {
  const norm = (name) => [
    [`${name}.weight`, [width], 1],
    [`${name}.bias`, [width], 0],
  ];
  const map = (name, inputs, outputs) => [
    [`${name}.weight`, [inputs, outputs]],
    [`${name}.bias`, [outputs], 0],
  ];
  const block = (layer) => [
    ...norm(`transformer.h.${layer}.ln_1`),
    ...map(`transformer.h.${layer}.attn.c_attn`, width, 3 * width),
    ...map(`transformer.h.${layer}.attn.c_proj`, width, width),
    ...norm(`transformer.h.${layer}.ln_2`),
    ...map(`transformer.h.${layer}.mlp.c_fc`, width, mlp),
    ...map(`transformer.h.${layer}.mlp.c_proj`, mlp, width),
  ];
  return {
    config: {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      n_embd: width,
      n_layer: layers,
      n_head: heads,
      n_positions: 1024,
      vocab_size: vocabulary,
      layer_norm_epsilon: 1e-5,
      activation_function: 'gelu_new',
      bos_token_id: 1,
      eos_token_id: 2,
    },
    tensors: [
      ['transformer.wte.weight', [vocabulary, width]],
      ['transformer.wpe.weight', [1024, width]],
      ...range(layers).flatMap(block),
      ...norm('transformer.ln_f'),
    ],
  };
}

/**
 * `short`: 256 prompts of 12–64 tokens, as instructions are; `short-128`: the first half of them;
 * `long`: 48 of 256–512; `small`: 1,600 of 12–64 within the organism's vocabulary.
 */
function promptSets() {
  const short = drawn('short', 256, 32000, (random) =>
    Math.min(64, Math.max(12, Math.round(Math.exp(3.25 + 0.4 * random.normal())))),
  );
  const long = drawn('long', 48, 32000, (random) => 256 + random.below(257));
  const small = drawn('small', 1600, 927, (random) => 12 + random.below(53));
  return [short, { name: 'short-128', rows: short.rows.slice(0, 128) }, long, small];
}

function drawn(name, count, vocabulary, lengthOf) {
  const random = new Random(seed).fork('prompts', name);
  const row = () =>
    Array.from({ length: lengthOf(random) }, () => 5 + random.below(vocabulary - 5));
  return { name, rows: range(count).map(row) };
}

function writePrompts(folder, { name, rows }) {
  const lines = rows.map((ids, i) => `${JSON.stringify({ id: `${name}-${i}`, ids })}\n`);
  writeFileSync(join(folder, `prompts-${name}.jsonl`), lines.join(''));
  writeFileSync(join(folder, `prompts-${name}.json`), JSON.stringify(rows));
}

function range(count) {
  return Array.from({ length: count }, (_, i) => i);
}
