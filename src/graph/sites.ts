/**
 * Names of the places where a run can look, and selections of them.
 *
 * A site is `resid_post.3`, never "layer 4": block indices count from 0. Names of TransformerLens are
 * accepted and can be printed where it has one that means the same.
 */

import { nearest, UserError } from '../base/errors.ts';

/** Sites that stand once in each block. */
export const blockSiteKinds = [
  'resid_pre',
  'resid_mid',
  'resid_post',
  'attn_out',
  'mlp_out',
  'attn_out_raw',
  'mlp_out_raw',
  'pattern',
] as const;

/** Sites that stand once in a model. */
export const modelSiteKinds = ['final_norm', 'logits'] as const;

export type BlockSiteKind = (typeof blockSiteKinds)[number];
export type ModelSiteKind = (typeof modelSiteKinds)[number];
export type SiteKind = BlockSiteKind | ModelSiteKind;

/** A place in the network; `block` is null for `final_norm` and `logits`. */
export interface Site {
  readonly kind: SiteKind;
  readonly block: number | null;
}

const lensNames: Readonly<Partial<Record<SiteKind, string>>> = {
  resid_pre: 'hook_resid_pre',
  resid_mid: 'hook_resid_mid',
  resid_post: 'hook_resid_post',
  attn_out: 'hook_attn_out',
  mlp_out: 'hook_mlp_out',
  pattern: 'attn.hook_pattern',
};

/** `resid_post.3`, `final_norm`. */
export function siteKey(site: Site): string {
  return site.block === null ? site.kind : `${site.kind}.${site.block}`;
}

/** `blocks.3.hook_resid_post`; undefined where TransformerLens has no name that means the same. */
export function transformerLensName(site: Site): string | undefined {
  const name = lensNames[site.kind];
  return name === undefined || site.block === null ? undefined : `blocks.${site.block}.${name}`;
}

/** Reads one stored key back. @throws {UserError} `USAGE` where it is none. */
export function parseSite(key: string): Site {
  const match = /^([a-z_]+)(?:\.(\d+))?$/.exec(key);
  const kind = kindCalled(match?.[1]);
  const block = match?.[2];
  if (kind === undefined || isBlockKind(kind) !== (block !== undefined)) throw unknownSite(key);
  return { kind, block: block === undefined ? null : Number(block) };
}

/** What a model offers to look at. */
export interface SiteOffer {
  readonly layers: number;
  readonly kinds: ReadonlySet<SiteKind>;
  /** Kind → why this family has no such site. */
  readonly absent: Readonly<Partial<Record<SiteKind, string>>>;
}

/**
 * Resolves a selection such as `resid_post`, `resid_post.0-11,final_norm` or
 * `blocks.3.hook_resid_post` against a model.
 *
 * @returns Sites in the order of the selection, without repetition.
 * @throws {UserError} `USAGE` for a name that is none, a block past the end, or a site that the family lacks.
 */
export function selectSites(selection: string, offer: SiteOffer): Site[] {
  const chosen = new Map<string, Site>();
  for (const item of selection.split(',').map((part) => part.trim())) {
    for (const site of expand(item, offer)) chosen.set(siteKey(site), site);
  }
  return [...chosen.values()];
}

/**
 * The same selection among sites that a run holds.
 *
 * @param held Keys, in the order that the answer has.
 * @throws {UserError} `USAGE` for a name that is none, or an item that none of them meets.
 */
export function heldSites(selection: string, held: readonly string[]): string[] {
  const chosen = new Set<string>();
  for (const item of selection.split(',').map((part) => part.trim())) {
    const { kind, first, last } = parseItem(item);
    const found = held.filter((key) => {
      const site = parseSite(key);
      return site.kind === kind && (site.block ?? first) >= first && (site.block ?? first) <= last;
    });
    if (found.length === 0) {
      throw new UserError('USAGE', `the run holds no site "${item}"`, {
        where: '--sites',
        fix: `Choose among ${held.join(', ')}.`,
      });
    }
    for (const key of found) chosen.add(key);
  }
  return held.filter((key) => chosen.has(key));
}

/** A kind and the blocks asked for: all where none is named. */
function parseItem(item: string): {
  readonly kind: SiteKind;
  readonly first: number;
  readonly last: number;
} {
  const [, name, from, to] = /^([a-z_]+)(?:\.(\d+)(?:-(\d+))?)?$/.exec(canonical(item)) ?? [];
  const kind = kindCalled(name);
  if (kind === undefined || (from !== undefined && !isBlockKind(kind))) throw unknownSite(item);
  if (from === undefined) return { kind, first: 0, last: Number.POSITIVE_INFINITY };
  return { kind, first: Number(from), last: Number(to ?? from) };
}

function expand(item: string, offer: SiteOffer): Site[] {
  const { kind, first, last: asked } = parseItem(item);
  if (!offer.kinds.has(kind)) {
    throw new UserError('USAGE', `this model has no site "${kind}"`, {
      where: `--sites ${item}`,
      ...(offer.absent[kind] === undefined ? {} : { cause: offer.absent[kind] }),
      fix: `Choose among ${[...offer.kinds].join(', ')}.`,
    });
  }
  if (!isBlockKind(kind)) return [{ kind, block: null }];
  const last = asked === Number.POSITIVE_INFINITY ? offer.layers - 1 : asked;
  if (first > last || last >= offer.layers) {
    throw new UserError(
      'USAGE',
      `no block ${Math.max(first, last)} in a model of ${offer.layers}`,
      {
        where: `--sites ${item}`,
        fix: `Blocks count from 0: choose within ${kind}.0-${offer.layers - 1}.`,
      },
    );
  }
  return Array.from({ length: last - first + 1 }, (_, i) => ({ kind, block: first + i }));
}

function kindCalled(name: string | undefined): SiteKind | undefined {
  return [...blockSiteKinds, ...modelSiteKinds].find((kind) => kind === name);
}

function isBlockKind(kind: SiteKind): kind is BlockSiteKind {
  return blockSiteKinds.some((known) => known === kind);
}

/** `blocks.3.hook_resid_post` → `resid_post.3`; anything else as it is. */
function canonical(item: string): string {
  const match = /^blocks\.(\d+)\.(.+)$/.exec(item);
  if (match === null) return item;
  const kind = Object.entries(lensNames).find(([, name]) => name === match[2])?.[0];
  if (kind === undefined) throw unknownSite(item);
  return `${kind}.${match[1]}`;
}

function unknownSite(item: string): UserError {
  const known = [...blockSiteKinds, ...modelSiteKinds];
  const near = nearest(item.replace(/\..*$/, ''), known);
  return new UserError('USAGE', `no site is called "${item}"`, {
    where: '--sites',
    fix:
      near === undefined
        ? `Choose among ${known.join(', ')}, with a block or a range as in resid_post.0-11.`
        : `Did you mean "${near}"?`,
  });
}
