import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import {
  parseSite,
  heldSites,
  selectSites,
  siteKey,
  transformerLensName,
  type SiteKind,
  type SiteOffer,
} from '../../src/graph/sites.ts';

const kinds: readonly SiteKind[] = [
  'resid_pre',
  'resid_mid',
  'resid_post',
  'attn_out',
  'mlp_out',
  'pattern',
  'final_norm',
  'logits',
];
const offer: SiteOffer = {
  layers: 12,
  kinds: new Set(kinds),
  absent: { attn_out_raw: 'No norm stands between attention and the stream.' },
};

const selected = (text: string): string[] => selectSites(text, offer).map(siteKey);

function refusal(text: string) {
  try {
    selectSites(text, offer);
  } catch (error) {
    if (error instanceof UserError) {
      return { what: error.what, where: error.where, cause: error.cause, fix: error.fix };
    }
  }
  throw new Error(`"${text}" was accepted`);
}

describe('selectSites', () => {
  it('reads a kind as all its blocks, a block, and a range with both ends', () => {
    expect(selected('resid_post')).toEqual(Array.from({ length: 12 }, (_, i) => `resid_post.${i}`));
    expect(selected('resid_post.3')).toEqual(['resid_post.3']);
    expect(selected('attn_out.9-11')).toEqual(['attn_out.9', 'attn_out.10', 'attn_out.11']);
    expect(selected('logits, final_norm')).toEqual(['logits', 'final_norm']);
  });

  it('keeps the order of the selection and names nothing twice', () => {
    expect(selected('resid_post.2,logits,resid_post.1-2,logits')).toEqual([
      'resid_post.2',
      'logits',
      'resid_post.1',
    ]);
  });

  it('reads the names of TransformerLens that mean the same', () => {
    const names = [
      'blocks.3.hook_resid_pre',
      'blocks.3.hook_resid_mid',
      'blocks.3.hook_resid_post',
      'blocks.3.hook_attn_out',
      'blocks.3.hook_mlp_out',
      'blocks.3.attn.hook_pattern',
    ];
    const keys = kinds.slice(0, 6).map((kind) => `${kind}.3`);
    expect(selected(names.join(','))).toEqual(keys);
    expect(keys.map((key) => transformerLensName(parseSite(key)))).toEqual(names);
    expect(transformerLensName(parseSite('final_norm'))).toBeUndefined();
  });

  it('refuses a name that is none, and says which may be meant', () => {
    expect(refusal('resid_pst.3')).toEqual({
      what: 'no site is called "resid_pst.3"',
      where: '--sites',
      cause: undefined,
      fix: 'Did you mean "resid_post"?',
    });
    expect(refusal('hidden_states').fix).toMatch(
      /^Choose among resid_pre, .*, logits, with a block/,
    );
    const others = ['', 'resid_post.', 'resid_post.-1', 'resid_post.1-', 'RESID_POST', 'logits.1'];
    for (const text of [...others, 'blocks.3.ln_final.hook_normalized', 'resid_post.1,,logits']) {
      expect(refusal(text).what).toMatch(/^no site is called/);
    }
  });

  it('refuses blocks past the end and ranges that run backwards', () => {
    expect(refusal('resid_post.12')).toEqual({
      what: 'no block 12 in a model of 12',
      where: '--sites resid_post.12',
      cause: undefined,
      fix: 'Blocks count from 0: choose within resid_post.0-11.',
    });
    expect(refusal('resid_post.8-12').what).toBe('no block 12 in a model of 12');
    expect(refusal('resid_post.5-3').where).toBe('--sites resid_post.5-3');
  });

  it('refuses what this family lacks, and says why', () => {
    expect(refusal('attn_out_raw.1')).toEqual({
      what: 'this model has no site "attn_out_raw"',
      where: '--sites attn_out_raw.1',
      cause: 'No norm stands between attention and the stream.',
      fix: `Choose among ${kinds.join(', ')}.`,
    });
  });
});

describe('heldSites', () => {
  const held = ['resid_pre.0', 'resid_post.2', 'resid_post.3', 'resid_post.7', 'final_norm'];

  it('reads the same selections among what a run holds, in its order', () => {
    expect(heldSites('resid_post', held)).toEqual(['resid_post.2', 'resid_post.3', 'resid_post.7']);
    expect(heldSites('final_norm,resid_post.3-9', held)).toEqual([
      'resid_post.3',
      'resid_post.7',
      'final_norm',
    ]);
    expect(heldSites('blocks.2.hook_resid_post', held)).toEqual(['resid_post.2']);
  });

  it('refuses what the run does not hold, and what is no site', () => {
    expect(() => heldSites('resid_post.4-6', held)).toThrow(
      'the run holds no site "resid_post.4-6" — --sites',
    );
    expect(() => heldSites('resid_past', held)).toThrow('no site is called "resid_past"');
  });
});

describe('parseSite', () => {
  it('reads back every key', () => {
    for (const site of selectSites(kinds.join(','), offer)) {
      expect(parseSite(siteKey(site))).toEqual(site);
    }
  });

  it('refuses a block where none belongs, and none where one belongs', () => {
    expect(() => parseSite('logits.1')).toThrow('no site is called "logits.1"');
    expect(() => parseSite('resid_post')).toThrow('no site is called "resid_post"');
  });
});
