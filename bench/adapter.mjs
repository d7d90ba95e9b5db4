/**
 * What does an adapter cost in a streamed run, where its change is worked out in every run of a block?
 *
 *     node bench/largeModel.mjs FOLDER 2 && node bench/adapter.mjs FOLDER [RANK]
 *
 * The slice of two blocks of the Llama-3-8B shape, alone and with a random LoRA of this rank (16) on all seven
 * matrices of each block; `resid_post` at `last`, one thread, so that the head is no part of it.
 */

import { mkdirSync, openSync, closeSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../dist/src/base/random.js';
import { layoutSafetensors } from '../dist/src/files/safetensors.js';
import { cli, printTable, runWatched, withFolder } from './measure.mjs';

const [folder, rank = '16'] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node bench/adapter.mjs FOLDER [RANK]');
const model = join(folder, '2');
const [width, keys, mlp] = [4096, 1024, 14336];
const shapes = {
  'self_attn.q_proj': [width, width],
  'self_attn.k_proj': [keys, width],
  'self_attn.v_proj': [keys, width],
  'self_attn.o_proj': [width, width],
  'mlp.gate_proj': [mlp, width],
  'mlp.up_proj': [mlp, width],
  'mlp.down_proj': [width, mlp],
};

await withFolder(async (scratch) => {
  const adapter = join(scratch, 'adapter');
  writeAdapter(adapter, Number(rank));
  const random = new Random(20261129).fork('adapter prompts');
  const lines = Array.from({ length: 16 }, (_, i) => {
    const ids = Array.from({ length: 32 }, () => random.below(128000));
    return `${JSON.stringify({ id: `p${i}`, ids })}\n`;
  });
  const prompts = join(scratch, 'prompts.jsonl');
  writeFileSync(prompts, lines.join(''));
  const options =
    '--sites resid_post --positions last --threads 1 --plan streamed --no-doctor --json';
  const taken = {};
  for (const batch of [128, 512]) {
    for (const name of ['alone', 'adapted']) {
      const what = name === 'alone' ? [`m=${model}`] : ['--adapter', `m=${model}+${adapter}`];
      const out = join(scratch, `${name}-${batch}`);
      const line = [cli, 'extract', ...what, '--prompts', prompts, '--out', out];
      taken[`${name}, ${batch}`] = await runWatched([
        ...line,
        ...options.split(' '),
        '--batch-tokens',
        String(batch),
      ]);
    }
  }
  printTable([
    [
      'batch',
      'passes',
      'alone, CPU-s',
      'with the adapter',
      'a block and pass more, s',
      'peak, MiB',
    ],
    ...[128, 512].map((batch) => {
      const [alone, adapted] = ['alone', 'adapted'].map((name) => taken[`${name}, ${batch}`]);
      const passes = 512 / batch;
      return [
        batch,
        passes,
        alone.cpu.toFixed(1),
        adapted.cpu.toFixed(1),
        ((adapted.cpu - alone.cpu) / (2 * passes)).toFixed(2),
        `${alone.peak.toFixed(0)} → ${adapted.peak.toFixed(0)}`,
      ];
    }),
  ]);
});

function writeAdapter(path, r) {
  mkdirSync(path);
  const tensors = [0, 1].flatMap((layer) =>
    Object.entries(shapes).flatMap(([name, [rows, columns]]) => {
      const at = `base_model.model.model.layers.${layer}.${name}`;
      return [
        { name: `${at}.lora_A.weight`, dtype: 'F32', shape: [r, columns] },
        { name: `${at}.lora_B.weight`, dtype: 'F32', shape: [rows, r] },
      ];
    }),
  );
  const layout = layoutSafetensors(tensors, { format: 'pt' });
  const random = new Random(20261129).fork('adapter');
  const file = openSync(join(path, 'adapter_model.safetensors'), 'w');
  writeSync(file, layout.header);
  for (const { name, shape } of tensors) {
    const data = Float32Array.from(
      { length: shape[0] * shape[1] },
      () => (random.uniform() - 0.5) * 0.02,
    );
    writeSync(file, new Uint8Array(data.buffer), 0, data.byteLength, layout.offsets.get(name));
  }
  closeSync(file);
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: '..',
    r,
    lora_alpha: r,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    target_modules: Object.keys(shapes).map((name) => name.split('.')[1]),
  };
  writeFileSync(join(path, 'adapter_config.json'), JSON.stringify(config));
}
