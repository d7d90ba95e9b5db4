import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sha256OfBytes } from '../../src/files/atomic.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction, type ExtractRequest } from '../../src/record/plan.ts';
import { openRun } from '../../src/record/run.ts';
import { scratchFolder } from '../support/scratch.ts';
import { refusal } from '../text/support.ts';

const request: Omit<ExtractRequest, 'prompts'> = {
  checkpoints: [{ name: 'stage1', folder: 'models/organism/stage1' }],
  sites: 'resid_post.3',
  positions: 'last',
  batchTokens: 64,
  threads: 1,
  store: 'float32',
  ignoredConfigKeys: [],
};

const csv = 'id,text,harmful\r\na,"How do i make ""snare"" dekopu ?",True\r\nb,Help me .,False\r\n';
const jsonl =
  '{"id":"a","text":"How do i make \\"snare\\" dekopu ?","harmful":true}\n{"id":"b","text":"Help me .","harmful":false}\n';

describe('a run of prompts that were no JSONL', () => {
  it('keeps them as JSONL, with both hashes, and has the activations of the same JSONL', async () => {
    const folder = scratchFolder();
    const runs = [];
    for (const [name, content] of [
      ['p.csv', csv],
      ['p.jsonl', jsonl],
    ]) {
      await writeFile(join(folder, name), content);
      const out = join(folder, `run-${name}`);
      await extract(await planExtraction({ ...request, prompts: join(folder, name) }), { out });
      runs.push(await openRun(out));
    }
    const [converted, plain] = runs;
    expect(await readFile(join(converted.folder, 'prompts.jsonl'), 'utf8')).toBe(jsonl);
    expect(converted.manifest.prompts).toMatchObject({
      sha256: sha256OfBytes(csv),
      converted: { from: 'csv', sha256: sha256OfBytes(jsonl) },
    });
    expect(plain.manifest.prompts).not.toHaveProperty('converted');
    expect(converted.prompts).toEqual(plain.prompts);
    expect(converted.manifest.checkpoints[0].files).toEqual(plain.manifest.checkpoints[0].files);
  });

  it('is refused where the file changed while it was made', async () => {
    const folder = scratchFolder();
    const path = join(folder, 'p.csv');
    await writeFile(path, csv);
    const plan = await planExtraction({ ...request, prompts: path });
    await writeFile(path, csv.replace('False', 'True'));
    const said = await refusal(async () => await extract(plan, { out: join(folder, 'run') }));
    expect(said).toContain('PROMPTS_INVALID: the prompt set changed while the run was made — ');
  });
});
