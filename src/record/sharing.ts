/**
 * Are prompts read whole, or each only from where it differs from the others?
 *
 * A plan's passes follow from token ids, the batch size and the shapes of the models, and from nothing
 * else, so that a resumed run comes to the same ones. Prompts share what they have in common where that
 * is predicted to be worth it.
 */

import { formatCount, plural } from '../base/units.ts';
import type { SharingRecord } from '../contract/manifest.ts';
import type { Settings } from '../../models/architecture.ts';
import type { Model } from '../../models/model.ts';
import { turningKind } from '../../models/rotary.ts';
import { bestLevels, costOf, type PassCosts } from './prefixLevels.ts';
import { prefixPasses } from './prefixPasses.ts';
import { prefixTree, readsAt, type Branch } from './prefixTree.ts';
import { plainPasses, tokensRead, type Pass } from './segments.ts';

/** `faster`: where the prediction says so; `always`: wherever two prompts begin with the same token. */
export type PrefixSharing = 'faster' | 'always' | 'never';

export interface SharingOptions {
  readonly batchTokens: number;
  /** All models of the run, which has one plan. */
  readonly models: readonly Pick<Model, 'architecture' | 'settings'>[];
  readonly sharing: PrefixSharing;
}

/** How many times less the shared passes must be predicted to cost; predictions came out up to a seventh too high. */
export const leastGain = 1.2;

/** Bytes of keys and values that are kept between passes before their order changes to let go of some. */
const keptBytes = 256 * 2 ** 20;

/** Operations that cost as much as moving one byte of a cache. See docs/decisions/0024-shared-prefixes.md. */
const operationsPerByte = 64;

/** The passes of a run. */
export function planPasses(
  prompts: readonly (readonly number[])[],
  { batchTokens, models, sharing }: SharingOptions,
): Pass[] {
  const plain = plainPasses(
    prompts.map((ids) => ids.length),
    batchTokens,
  );
  if (sharing === 'never') return plain;
  const costs = { batchTokens, movedShare: most(models, movedShare) };
  const branches = prefixTree(prompts, kindsOf(prompts, models));
  const levels = sharing === 'always' ? allLevels(branches) : bestLevels(branches, costs);
  const shared = prefixPasses(readsAt(branches, levels), {
    ...costs,
    keptTokens: Math.floor(keptBytes / most(models, ({ settings }) => cachedBytes(settings))),
  });
  const gain = totalCost(plain, costs) / totalCost(shared, costs);
  return sharing === 'always' || gain >= leastGain ? shared : plain;
}

function most(
  models: SharingOptions['models'],
  of: (model: SharingOptions['models'][number]) => number,
): number {
  return Math.max(...models.map(of));
}

/** What turns positions may depend on how long a prompt is; only prompts of one kind compute alike. */
function kindsOf(
  prompts: readonly (readonly number[])[],
  models: SharingOptions['models'],
): string[] {
  const turnings = models.flatMap(({ architecture, settings }) => [
    ...architecture.rotary(settings).values(),
  ]);
  return prompts.map(({ length }) =>
    turnings.map((turning) => turningKind(turning, length)).join(' '),
  );
}

/** Wherever a branch leaves another. */
export function allLevels(branches: readonly Branch[]): number[] {
  const inner = branches.filter(({ shared, length }) => shared > 0 && shared < length);
  return [...new Set(inner.map(({ shared }) => shared))].sort((a, b) => a - b);
}

function totalCost(passes: readonly Pass[], costs: PassCosts): number {
  return passes.reduce((sum, pass) => sum + costOf(pass, costs), 0);
}

/** Bytes of one token's keys and values in all blocks. */
function cachedBytes({ layers, keyHeads, headDim }: Settings): number {
  return 2 * layers * keyHeads * headDim * Float32Array.BYTES_PER_ELEMENT;
}

/** What moving one token's keys and values costs, as a share of what computing the token does. */
export function movedShare({ settings }: Pick<Model, 'settings'>): number {
  const { layers, width, heads, keyHeads, headDim, mlpWidth } = settings;
  const operations = 2 * layers * width * (2 * (heads + keyHeads) * headDim + 3 * mlpWidth);
  return (operationsPerByte * cachedBytes(settings)) / operations;
}

/** What is read and what there is to read. */
interface Shared {
  readonly passes: readonly Pass[];
  /** Of all prompts together. */
  readonly tokens: number;
}

/** How much less is read where prompts share what they begin with; null where each is read whole. */
export function prefixSharing({ passes, tokens }: Shared): SharingRecord | null {
  const read = tokensRead(passes);
  if (read === tokens) return null;
  return { tokens_read: read, tokens_in_prompts: tokens, passes: passes.length };
}

/** What sharing comes to, as a part of the plan's identity: it follows from the shapes of the models as well. */
export function sharedCore(plan: Shared): { readonly prefix_sharing?: string } {
  const sharing = prefixSharing(plan);
  if (sharing === null) return {};
  const { tokens_read: read, tokens_in_prompts: all, passes } = sharing;
  return { prefix_sharing: `${read} of ${all} tokens in ${passes} passes` };
}

/** The same in words; null where each prompt is read whole. */
export function describeSharing(plan: Shared): string | null {
  const sharing = prefixSharing(plan);
  if (sharing === null) return null;
  const { tokens_read: read, tokens_in_prompts: all } = sharing;
  return `many begin alike: reads ${formatCount(read)} of ${plural(all, 'token')}, ${(all / read).toFixed(1)} × less (--no-prefix-sharing reads all)`;
}
