import { copyFileSync, cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashAdapter, openAdapter } from '../../src/files/peft.ts';
import {
  isTargeted,
  isWithin,
  rankAndScale,
  readAdapterSettings,
  type AdapterSettings,
} from '../../src/files/peftSettings.ts';
import { goldenFolder, readJson, type Json } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const plain = join(goldenFolder('lora_plain'), 'adapter');

function settings(keys: Json): AdapterSettings {
  const config = { ...readJson(join(plain, 'adapter_config.json')), ...keys };
  return readAdapterSettings(config, 'adapter_config.json', new Set());
}

describe('openAdapter', () => {
  it.each(['plain', 'rslora_patterns', 'dora', 'gpt2', 'embeddings', 'resized'])(
    'reads what peft saved for lora_%s',
    async (name) => {
      const { tensors, name: folder } = await openAdapter(
        join(goldenFolder(`lora_${name}`), 'adapter'),
      );
      expect(folder).toBe('adapter');
      expect(tensors.size).toBeGreaterThan(3);
    },
  );

  it('refuses a pickle without opening it', async () => {
    const folder = scratchFolder();
    copyFileSync(join(plain, 'adapter_config.json'), join(folder, 'adapter_config.json'));
    writeFileSync(join(folder, 'adapter_model.bin'), 'no pickle, and nobody looks');
    await expect(openAdapter(folder)).rejects.toMatchObject({
      code: 'CHECKPOINT_MISSING',
      what: 'the adapter is a pickle ("adapter_model.bin"), which can run code when it is opened, and no adapter_model.safetensors is there',
    });
  });

  it.each<[string, (folder: string) => string, string]>([
    [
      'a folder that is not there',
      (folder) => join(folder, 'x'),
      'there is no such adapter folder',
    ],
    ['a checkpoint', () => goldenFolder('lora_plain'), 'adapter_config.json is absent'],
    ['an empty folder', (folder) => folder, 'adapter_config.json is absent'],
    [
      'a config that is a list',
      (folder) => {
        writeFileSync(join(folder, 'adapter_config.json'), '[]');
        return folder;
      },
      'this is JSON, but not an object',
    ],
    [
      'a config without weights',
      (folder) => {
        copyFileSync(join(plain, 'adapter_config.json'), join(folder, 'adapter_config.json'));
        return folder;
      },
      'adapter_model.safetensors is absent',
    ],
  ])('refuses %s', async (_what, make, what) => {
    await expect(openAdapter(make(scratchFolder()))).rejects.toMatchObject({ what, exitCode: 3 });
  });
});

describe('hashAdapter', () => {
  it('is of what the adapter does, not of where it lies', async () => {
    const copy = join(scratchFolder(), 'other');
    mkdirSync(copy);
    cpSync(plain, copy, { recursive: true });
    const config = readJson(join(plain, 'adapter_config.json'));
    const write = (keys: Json): void =>
      writeFileSync(join(copy, 'adapter_config.json'), JSON.stringify({ ...config, ...keys }));
    const hash = await hashAdapter(await openAdapter(plain));
    write({ base_model_name_or_path: 'elsewhere' });
    expect(await hashAdapter(await openAdapter(copy))).toBe(hash);
    write({ lora_alpha: 9 });
    expect(await hashAdapter(await openAdapter(copy))).not.toBe(hash);
    write({});
    renameSync(join(copy, 'adapter_model.safetensors'), join(copy, 'unused'));
    copyFileSync(
      join(goldenFolder('lora_dora'), 'adapter', 'adapter_model.safetensors'),
      join(copy, 'adapter_model.safetensors'),
    );
    expect(await hashAdapter(await openAdapter(copy))).not.toBe(hash);
  });
});

describe('readAdapterSettings', () => {
  it('knows every key that peft 0.21 writes', () => {
    expect(settings({})).toMatchObject({ rank: 4, alpha: 8, bias: 'none', hasMagnitudes: false });
  });

  it('knows keys of older files by their absence', () => {
    const old = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'] };
    expect(readAdapterSettings(old, 'x', new Set())).toMatchObject({
      rank: 2,
      targets: ['q_proj'],
      rankPatterns: [],
      layers: null,
    });
  });

  it.each<[Json, string]>([
    [{ peft_type: 'IA3' }, 'peft_type "IA3" is not supported'],
    [{ peft_type: undefined }, 'peft_type null is not supported'],
    [{ task_type: 'SEQ_CLS' }, 'task_type "SEQ_CLS" is not supported'],
    [{ init_lora_weights: 'pissa' }, 'init_lora_weights "pissa" is not supported'],
    [{ init_lora_weights: 'mica' }, 'init_lora_weights "mica" is not supported'],
    [{ lora_bias: true }, 'lora_bias true is not supported'],
    [{ trainable_token_indices: [1] }, 'trainable_token_indices [1] is not supported'],
    [{ target_parameters: ['w'] }, 'target_parameters ["w"] is not supported'],
    [{ layer_replication: [[0, 1]] }, 'layer_replication [[0,1]] is not supported'],
    [{ use_qalora: true }, 'use_qalora true is not supported'],
    [{ alora_invocation_tokens: [3] }, 'alora_invocation_tokens [3] is not supported'],
    [{ bias: 'some' }, 'bias "some" is not supported'],
    [{ r: 0 }, 'r is 0, not a whole number of at least 1'],
    [{ r: 2.5 }, 'r is 2.5, not a whole number of at least 1'],
    [{ r: undefined }, 'r is undefined, not a whole number of at least 1'],
    [{ lora_alpha: '8' }, 'lora_alpha is "8", not a number'],
    [{ use_dora: 1 }, 'use_dora is 1, not true or false'],
    [{ rank_pattern: [] }, 'rank_pattern is [], not a record'],
    [{ rank_pattern: { q: 0 } }, 'rank_pattern → q is 0, not a whole number of at least 1'],
    [{ rank_pattern: { '7': 2 } }, 'rank_pattern is "7", not the end of a module name'],
    [{ target_modules: null }, 'target_modules is null, not a list of names or an expression'],
    [{ target_modules: [] }, 'target_modules is null, not a list of names or an expression'],
    [{ target_modules: [3] }, 'target_modules is 3, not the name of a module'],
    [{ modules_to_save: ['a|b'] }, 'modules_to_save is "a|b", not the name of a module'],
    [{ layers_to_transform: 'all' }, 'layers_to_transform is "all", not a list of layers'],
    [{ target_modules: '(a' }, 'the expression "(a" cannot be read: a "(" is not closed'],
    [
      { use_dorra: true },
      'adapter config key "use_dorra" is not known, so it might change what the adapter does',
    ],
  ])('refuses %j', (keys, what) => {
    expect(() => settings(keys)).toThrowError(expect.objectContaining({ what, exitCode: 3 }));
  });

  it('takes a key that the user declares harmless', () => {
    const config = { ...readJson(join(plain, 'adapter_config.json')), new_key: 1 };
    expect(readAdapterSettings(config, 'x', new Set(['new_key'])).rank).toBe(4);
  });

  it('ends soon on expressions that would keep a backtracking matcher for ever', () => {
    const evil = settings({ target_modules: '(.*.*)*(.*.*)*(a|aa)+!' });
    expect(isTargeted(evil, `${'a'.repeat(200)}b`, true)).toBe(false);
  });
});

describe('isTargeted', () => {
  const q = 'model.layers.3.self_attn.q_proj';

  // Expected values: check_target_module_exists of peft 0.21.2 on the same configs and names.
  it.each<[Json, string, boolean]>([
    [{ target_modules: ['q_proj'] }, q, true],
    [{ target_modules: ['q_proj'] }, 'model.layers.3.self_attn.xq_proj', false],
    [{ target_modules: ['self_attn.q_proj'] }, q, true],
    [{ target_modules: ['attn.q_proj'] }, q, false],
    [{ target_modules: [q] }, q, true],
    [{ target_modules: 'q_proj' }, q, false],
    [{ target_modules: '.*q_proj' }, q, true],
    [{ target_modules: '.*q_' }, q, false],
    [{ target_modules: ['q_proj'], exclude_modules: ['q_proj'] }, q, false],
    [{ target_modules: ['q_proj'], exclude_modules: '.*\\.3\\..*' }, q, false],
    [{ target_modules: ['q_proj'], exclude_modules: '.*\\.4\\..*' }, q, true],
    [{ target_modules: ['q_proj'], modules_to_save: ['self_attn'] }, q, false],
    [{ target_modules: ['q_proj'], layers_to_transform: 3 }, q, true],
    [{ target_modules: ['q_proj'], layers_to_transform: [2, 4] }, q, false],
    [{ target_modules: [q], layers_to_transform: [2, 4] }, q, true],
    [{ target_modules: ['q_proj'], layers_to_transform: 3, layers_pattern: 'layers' }, q, true],
    [{ target_modules: ['q_proj'], layers_to_transform: 3, layers_pattern: ['h'] }, q, false],
    [{ target_modules: ['w1'], layers_to_transform: 1 }, 'm.layers.1.experts.0.w1', true],
    [{ target_modules: ['w1'], layers_to_transform: 0 }, 'm.layers.1.experts.0.w1', false],
    [{ target_modules: ['q_proj'], layers_to_transform: 3 }, 'layers.3.q_proj', false],
    [
      { target_modules: ['q_proj'], layers_to_transform: 3, layers_pattern: 'layers' },
      'layers.3.q_proj',
      true,
    ],
  ])('with %j says of %s: %s', (keys, module, expected) => {
    expect(isTargeted(settings(keys), module, true)).toBe(expected);
  });

  it('reads "all-linear" as all linear maps but the head', () => {
    const all = settings({ target_modules: 'ALL-linear' });
    expect(isTargeted(all, q, true)).toBe(true);
    expect(isTargeted(all, 'lm_head', false)).toBe(false);
  });
});

describe('isWithin', () => {
  it.each<[string, string, boolean]>([
    ['lm_head', 'lm_head', true],
    ['model.layers.1.mlp.gate_proj', 'mlp', true],
    ['model.layers.1.mlp.gate_proj', 'layers.1.mlp', true],
    ['model.layers.11.mlp', 'layers.1', false],
    ['model.norm', 'norm', true],
    ['model.layers.0.input_norm', 'norm', false],
  ])('of %s and %s is %s', (module, saved, expected) => {
    expect(isWithin(module, saved)).toBe(expected);
  });
});

describe('rankAndScale', () => {
  it('takes the first pattern that matches, for rank and alpha apart', () => {
    const patterns = settings({
      rank_pattern: { 'layers.1.*proj': 16, q_proj: 9 },
      alpha_pattern: { q_proj: 3 },
    });
    const at = (module: string) => rankAndScale(patterns, module);
    expect(at('model.layers.1.self_attn.q_proj')).toEqual({ rank: 16, scale: 3 / 16 });
    expect(at('model.layers.0.self_attn.q_proj')).toEqual({ rank: 9, scale: 3 / 9 });
    expect(at('model.layers.0.self_attn.v_proj')).toEqual({ rank: 4, scale: 2 });
  });

  it('divides by the root of the rank if it is stabilised', () => {
    const stabilised = settings({ use_rslora: true, r: 16 });
    expect(rankAndScale(stabilised, 'x')).toEqual({ rank: 16, scale: 2 });
  });
});
