/**
 * What do these files say? Read again in the plainest way, to hold the program's reading against.
 *
 * Nothing is imported from src/. Each check throws where the program accepted what the plain reading
 * finds wrong, or read something else; it is only asked about what the program accepted.
 */

import { deepStrictEqual, ok } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
const same = (ours, theirs, what) => {
  try {
    deepStrictEqual(plain(ours), plain(theirs));
  } catch (error) {
    throw new Error(`another reading of ${what}: ${error.message}`, { cause: error });
  }
};
const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

const sizes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1 };
Object.assign(sizes, { U16: 2, U32: 4, U64: 8, BOOL: 1 });

/** Name → dtype, shape and bytes of one safetensors file. */
function tensorsIn(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
  const data = bytes.subarray(8 + length);
  const found = new Map();
  let held = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { dtype, shape, data_offsets: offsets } = entry;
    const size = shape.reduce((product, extent) => product * extent, sizes[dtype]);
    ok(offsets[1] - offsets[0] === size, `"${name}" of ${path} has not the bytes of its shape`);
    ok(offsets[0] >= 0 && offsets[1] <= data.length, `"${name}" lies outside ${path}`);
    found.set(name, { dtype, shape, bytes: data.subarray(offsets[0], offsets[1]) });
    held += size;
  }
  ok(held === data.length, `${path} holds ${data.length} bytes for ${held} of tensors`);
  return found;
}

/** Config keys that set a size → the setting that must hold just that number, by family. */
const sizesOf = {
  llama: {
    hidden_size: 'width',
    num_hidden_layers: 'layers',
    num_attention_heads: 'heads',
    num_key_value_heads: 'keyHeads',
    head_dim: 'headDim',
    intermediate_size: 'mlpWidth',
    vocab_size: 'vocabulary',
    rms_norm_eps: 'epsilon',
    tie_word_embeddings: 'isTied',
    attention_bias: 'attentionBias',
    mlp_bias: 'mlpBias',
  },
  gpt2: {
    n_embd: 'width',
    n_layer: 'layers',
    n_head: 'heads',
    n_inner: 'mlpWidth',
    vocab_size: 'vocabulary',
    n_positions: 'context',
    layer_norm_epsilon: 'epsilon',
    tie_word_embeddings: 'isTied',
  },
};

/** Every tensor of the file is put to use, with the scale that the config says. */
export function checkAdapter(folder, { config, settings, tensors }, bytes, changes) {
  const said = json(join(folder, 'adapter', 'adapter_config.json'));
  same(config, said, 'adapter_config.json');
  const { r: rank, lora_alpha: alpha, use_rslora: isStabilised, use_dora: hasMagnitudes } = said;
  ok(settings.rank === rank && settings.alpha === alpha, `r ${rank}, lora_alpha ${alpha}`);
  ok(settings.isRankStabilised === (isStabilised ?? false), `use_rslora ${isStabilised}`);
  ok(settings.hasMagnitudes === (hasMagnitudes ?? false), `use_dora ${hasMagnitudes}`);
  const strange = Object.keys(said).find((key) => /^fuzz_|^$|^__proto__$/.test(key));
  ok(strange === undefined, `accepted the key "${strange}"`);
  const all = tensorsIn(join(folder, 'adapter', 'adapter_model.safetensors'));
  same([...tensors.keys()].toSorted(byText), [...all.keys()].toSorted(byText), 'its tensors');
  for (const [name, { bytes: due }] of all) {
    ok(Buffer.compare(bytes.get(name), due) === 0, `other bytes of "${name}"`);
  }
  const used = new Set();
  const isPlain = [said.rank_pattern, said.alpha_pattern].every(
    (pattern) => Object.keys(pattern ?? {}).length === 0,
  );
  for (const change of [...changes.values()].flat()) {
    for (const each of [change.a, change.b, change.magnitude, change.tensor]) used.add(each?.name);
    if (change.kind !== 'low-rank' || !isPlain) continue;
    const scale = alpha / (isStabilised ? Math.sqrt(rank) : rank);
    ok(Math.abs(change.scale - scale) <= 1e-12 * scale, `scale ${change.scale}, not ${scale}`);
    ok(change.a.shape[0] === rank || change.a.shape[1] === rank, `rank ${change.a.shape}`);
  }
  const idle = [...all.keys()].filter((name) => !used.has(name));
  ok(idle.length === 0, `not put to use: ${idle.join(', ')}`);
}

export const checkCheckpoint = {
  files(folder, { config, tensors }, bytes) {
    same(config, json(join(folder, 'config.json')), 'config.json');
    const index = join(folder, 'model.safetensors.index.json');
    const shards = existsSync(index)
      ? [...new Set(Object.values(json(index).weight_map))]
      : ['model.safetensors'];
    ok(
      shards.every((shard) => !/[/\\:\0]/.test(shard)),
      `shards ${shards.join()}`,
    );
    const all = new Map(shards.flatMap((shard) => [...tensorsIn(join(folder, shard))]));
    const [ours, due] = [tensors, all].map((map) => [...map.keys()].toSorted(byText));
    same(ours, due, 'the names of the tensors');
    for (const [name, { dtype, shape, bytes: theirs }] of all) {
      same([tensors.get(name).dtype, tensors.get(name).shape], [dtype, shape], `"${name}"`);
      ok(Buffer.compare(bytes.get(name), theirs) === 0, `other bytes of "${name}"`);
    }
  },

  model(folder, base, { config }, { architecture, settings }) {
    ok(architecture.family === config.model_type, `family of model_type ${config.model_type}`);
    for (const [key, setting] of Object.entries(sizesOf[architecture.family] ?? {})) {
      const value = config[key];
      if (value === undefined || value === null) continue;
      ok(
        Object.is(settings[setting], value),
        `${setting} ${settings[setting]} for ${key} ${value}`,
      );
    }
    const strange = Object.keys(config).find((key) => /^fuzz_|^$|^__proto__$/.test(key));
    ok(strange === undefined, `accepted the key "${strange}"`);
    // What does not stand in the config must not be in the settings: equal configs, equal models.
    if (JSON.stringify(config) === JSON.stringify(json(join(base, 'config.json')))) {
      const before = settingsOf.get(base) ?? plain(settings);
      settingsOf.set(base, before);
      same(settings, before, 'the same config');
    }
  },

  finite({ tensors }, names, bytes) {
    for (const name of names) {
      const { dtype } = tensors.get(name);
      const view = new DataView(bytes.get(name).buffer);
      for (let at = 0; at < view.byteLength; at += sizes[dtype]) {
        const value =
          dtype === 'F32'
            ? view.getFloat32(at, true)
            : dtype === 'F16'
              ? (view.getUint16(at, true) & 0x7c00) === 0x7c00
                ? Number.NaN
                : 0
              : (view.getUint16(at, true) & 0x7f80) === 0x7f80
                ? Number.NaN
                : 0;
        ok(Number.isFinite(value), `"${name}" holds ${value} and was passed`);
      }
    }
  },
};

const settingsOf = new Map();
const encodingsOf = new Map();

export function checkTokenizer(folder, base, encodings) {
  for (const { ids, tokens } of encodings) {
    ok(
      ids.every((id) => Number.isSafeInteger(id) && id >= 0),
      `ids ${ids.join()}`,
    );
    ok(ids.length === tokens.length, `${ids.length} ids for ${tokens.length} tokens`);
  }
  const text = (at) =>
    ['tokenizer.json', 'tokenizer_config.json'].map((name) => JSON.stringify(json(join(at, name))));
  if (text(folder).join() !== text(base).join()) return;
  const before = encodingsOf.get(base) ?? plain(encodings);
  encodingsOf.set(base, before);
  same(encodings, before, 'the same tokenizer');
}

export function checkRun(folder, run, data) {
  // In tables of names an own key "__proto__" is passed over, and nobody looks anything up by it.
  const text = readFileSync(join(folder, 'manifest.json'), 'utf8');
  const due = JSON.parse(text, (key, value) => (key === '__proto__' ? undefined : value));
  same(run.manifest, due, 'manifest.json');
  const lines = (name) =>
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line));
  const rows = lines('rows.jsonl');
  const ours = run.manifest.positions.flatMap(({ name }) => run.rowsAt(name));
  same(ours.toSorted(byPlace), rows.toSorted(byPlace), 'rows.jsonl');
  const ids = lines('prompts.jsonl').map(({ id }) => id);
  for (const { id, prompt } of rows) {
    ok(run.prompts[prompt]?.id === id && ids[prompt] === id, `row of "${id}" is prompt ${prompt}`);
  }
  for (const [key, { n, d, data: values }] of data) {
    const [checkpoint, site, ...position] = key.split('/');
    const path = join(folder, 'activations', checkpoint, `${site}.safetensors`);
    const { shape, bytes } = tensorsIn(path).get(position.join('/'));
    same([n, d], [shape[0], shape.slice(1).reduce((a, b) => a * b, 1)], key);
    ok(Buffer.compare(Buffer.from(values.buffer), bytes) === 0, `other numbers of ${key}`);
  }
}

const byText = (a, b) => (a < b ? -1 : Number(a > b));
const byPlace = (a, b) =>
  a.position < b.position ? -1 : a.position > b.position ? 1 : a.row - b.row;

export function checkArray(folder, { dtype, shape }, values) {
  const bytes = readFileSync(join(folder, 'array.npy'));
  const begin = bytes[6] === 1 ? 10 : 12;
  const end = begin + (bytes[6] === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8));
  const header = JSON.parse(
    bytes
      .subarray(begin, end)
      .toString('latin1')
      .replaceAll("'", '"')
      .replaceAll('(', '[')
      .replaceAll(')', ']')
      .replaceAll(/\bFalse\b/g, 'false')
      .replaceAll(/\bTrue\b/g, 'true')
      .replaceAll(/,(\s*[\]}])/g, '$1'),
  );
  ok(header.fortran_order === false, 'Fortran order was read');
  same([dtype, shape], [header.descr, header.shape], 'the header');
  const data = bytes.subarray(end);
  ok(values.length === shape.reduce((a, b) => a * b, 1), `${values.length} numbers`);
  if (dtype === '<f2') return;
  ok(Buffer.compare(Buffer.from(values.buffer), data) === 0, 'other numbers');
}
