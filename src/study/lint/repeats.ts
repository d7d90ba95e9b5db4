/**
 * Does a prompt stand in the set twice, to the letter or nearly so?
 *
 * Near: word triples (shingles) of two rows of different groups, Jaccard |A ∩ B| / |A ∪ B| ≥ 0.8. Sets built of
 * templates share most triples by design; so a pair must also share at least half of its *own* triples, those that
 * few groups have. Trigger and sham are taken out first: a triggered copy is a copy.
 *
 * @see Broder 1997, On the resemblance and containment of documents (shingles).
 */

import { plural } from '../../base/units.ts';
import { wordsOf } from '../../../probes/bagOfWords.ts';
import type { Prompt } from '../../text/prompts.ts';
import { type LintFinding, type LintRows, placesOf } from './finding.ts';

/** Alike from here on. */
const nearly = 0.8;

/** And in their own shingles, of which there may be very few. */
const nearlyOwn = 0.5;

/** Words in a shingle. */
const width = 3;

/** Shingles that more groups share than these are the template's. */
const fewGroups = { count: 3, share: 0.05 };

/** Prompts that are the same to the letter, white space aside. */
export function duplicates({ prompts, texts, splits }: LintRows): LintFinding[] {
  const same = [
    ...membersOf(texts.map((text) => text.normalize('NFC').replaceAll(/\s+/g, ' ').trim())),
  ]
    .map(([, rows]) => rows)
    .filter((rows) => rows.length > 1);
  if (same.length === 0) return [];
  const across = same.filter(
    (rows) => splits !== null && new Set(rows.map((i) => splits[i])).size > 1,
  );
  const sides = across.length > 0 ? `, ${across.length} of them in more than one split` : '';
  return [
    {
      kind: 'duplicates',
      what: `${plural(same.length, 'prompt stands', 'prompts stand')} more than once${sides}`,
      where: placesOf(same.flat().map((i) => prompts[i])),
      why: 'A probe has seen the test row among its training rows, or one row counts as several.',
      mend: 'Keep one row of each.',
      numbers: { prompts: same.length, rows: same.flat().length, across_splits: across.length },
    },
  ];
}

/** Rows of different groups that are nearly the same. */
export function nearDuplicates(rows: LintRows): LintFinding[] {
  const pairs = nearPairs(rows);
  if (pairs.length === 0) return [];
  const { prompts, splits } = rows;
  const across = pairs.filter(({ a, b }) => splits !== null && splits[a] !== splits[b]).length;
  const [worst] = pairs.toSorted((x, y) => y.jaccard - x.jaccard);
  const named = (i: number): string => `"${prompts[i].id}"`;
  const sides = across > 0 ? `, ${across} of them across splits` : '';
  const concerned = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))].sort((a, b) => a - b);
  return [
    {
      kind: 'near_duplicates',
      what: `${plural(pairs.length, 'pair')} of rows of different groups ${pairs.length === 1 ? 'is' : 'are'} nearly the same${sides}, first ${named(worst.a)} and ${named(worst.b)} (Jaccard ${worst.jaccard.toFixed(2)})`,
      where: placesOf(concerned.map((i) => prompts[i])),
      why: 'Folds keep groups apart, not these: a probe may recognise the test row by its twin.',
      mend: 'Give them one group, or keep one of them.',
      numbers: { pairs: pairs.length, across_splits: across, jaccard: worst.jaccard },
    },
  ];
}

interface NearPair {
  readonly a: number;
  readonly b: number;
  readonly jaccard: number;
}

function nearPairs({ prompts, texts, bareTexts, groups }: LintRows): NearPair[] {
  const shingles = bareTexts.map(shinglesOf);
  const uses = new Map([...membersOf(texts)].map(([text, rows]) => [text, rows.length]));
  const groupsWith = new Map<string, Set<string>>();
  shingles.forEach((own, i) => {
    for (const shingle of own) {
      groupsWith.set(shingle, (groupsWith.get(shingle) ?? new Set()).add(groups[i]));
    }
  });
  const most = Math.max(fewGroups.count, fewGroups.share * new Set(groups).size);
  const own = shingles.map(
    (all) => new Set([...all].filter((shingle) => (groupsWith.get(shingle)?.size ?? 0) <= most)),
  );
  const earlier = new Map<string, number[]>();
  const pairs: NearPair[] = [];
  own.forEach((set, b) => {
    const shared = new Map<number, number>();
    for (const shingle of set) {
      const holders = earlier.get(shingle) ?? [];
      for (const a of holders) shared.set(a, (shared.get(a) ?? 0) + 1);
      earlier.set(shingle, [...holders, b]);
    }
    for (const [a, common] of shared) {
      const [one, other] = [a, b].map((i) => prompts[i].columns['pair'] ?? null);
      // Twins by design: if they are in two groups, that is what is named.
      if (groups[a] === groups[b] || (one !== null && one === other)) continue;
      // A prompt that stands twice is another finding, and its twins under a trigger come with it.
      if ([a, b].some((i) => (uses.get(texts[i]) ?? 1) > 1)) continue;
      if (common < nearlyOwn * (own[a].size + set.size - common)) continue;
      const jaccard = jaccardOf(shingles[a], shingles[b]);
      if (jaccard >= nearly) pairs.push({ a, b, jaccard });
    }
  });
  return pairs;
}

function shinglesOf(text: string): ReadonlySet<string> {
  const words = wordsOf(text);
  if (words.length <= width) return new Set([words.join(' ')]);
  return new Set(words.slice(width - 1).map((_, i) => words.slice(i, i + width).join(' ')));
}

function jaccardOf(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let common = 0;
  for (const item of a) if (b.has(item)) common++;
  return common / (a.size + b.size - common);
}

/** Rows by their value, in the order of first use. */
export function membersOf(values: readonly string[]): Map<string, number[]> {
  const members = new Map<string, number[]>();
  values.forEach((value, i) => {
    const rows = members.get(value);
    if (rows === undefined) members.set(value, [i]);
    else rows.push(i);
  });
  return members;
}

/** Every word of a prompt as the checks see it. */
export function textOf({ body }: Pick<Prompt, 'body'>): string {
  if (body.kind === 'text') return body.text;
  if (body.kind === 'ids') return body.ids.join(' ');
  if (body.kind === 'none') return '';
  return body.messages.map(({ content }) => content).join('\n');
}
