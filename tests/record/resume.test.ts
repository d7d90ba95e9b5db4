/** Is a run gone on with by what began it, and by nothing else? */

import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { extract } from '../../src/record/extract.ts';
import { planFor } from '../../src/record/foresight.ts';
import { planExtraction, type ExtractRequest, type PlanKind } from '../../src/record/plan.ts';
import { goldenFacts, goldenFolder } from '../support/golden.ts';
import { contentsOf, differences } from '../support/runBytes.ts';
import { scratchFolder, scratchPath } from '../support/scratch.ts';

/** A base with an adapter on it, and prompts, all of which may be changed. */
function inputs(): { readonly folder: string; readonly prompts: string } {
  const folder = join(scratchFolder(), 'model');
  cpSync(goldenFolder('lora_plain'), folder, { recursive: true });
  const prompts = scratchPath('prompts.jsonl');
  const lines = goldenFacts('lora_plain').prompts.map((ids, i) =>
    JSON.stringify({ id: `p${i}`, ids }),
  );
  writeFileSync(prompts, lines.join('\n'));
  return { folder, prompts };
}

/** Changes the last bit of a file, and gives back what changes it back. */
function flip(path: string): () => void {
  const bytes = readFileSync(path);
  const changed = Buffer.from(bytes);
  changed[changed.length - 1] ^= 1;
  writeFileSync(path, changed);
  return () => writeFileSync(path, bytes);
}

describe('an unfinished run', () => {
  it.each(['whole', 'streamed'] as const)(
    'that is %s goes on with the same weights, adapters and prompts only',
    async (kind: PlanKind) => {
      const { folder, prompts } = inputs();
      const adapter = join(folder, 'adapter');
      const request: ExtractRequest = {
        checkpoints: [
          { name: 'base', folder },
          { name: 'tuned', folder, adapters: [{ path: adapter }] },
        ],
        prompts,
        sites: 'resid_post',
        positions: 'last',
        batchTokens: 8,
        threads: 1,
        store: 'float32',
        plan: kind,
        ignoredConfigKeys: [],
      };
      const [undisturbed, out] = [scratchPath('run'), scratchPath('run')];
      await extract(await planExtraction(request), { out: undisturbed });
      let asked = 0;
      const shouldStop = (): boolean => asked++ === 2;
      const begun = extract(await planExtraction(request), { out, shouldStop });
      await expect(begun).rejects.toMatchObject({ code: 'ENDED_EARLY' });
      const goOn = async (): Promise<unknown> =>
        await extract(await planExtraction(request), { out });
      const conflict = (what: string): object => ({
        code: 'PLAN_CONFLICT',
        what: `the folder holds an unfinished run with other ${what}`,
      });
      for (const weights of [
        join(folder, 'model.safetensors'),
        join(adapter, 'adapter_model.safetensors'),
      ]) {
        const undo = flip(weights);
        await expect(goOn()).rejects.toMatchObject(conflict('checkpoints or sites'));
        undo();
      }
      const text = readFileSync(prompts, 'utf8');
      writeFileSync(prompts, text.replace('"ids":[', '"ids":[1,'));
      await expect(goOn()).rejects.toMatchObject(conflict('prompts'));
      writeFileSync(prompts, text);
      expect(existsSync(join(out, 'manifest.json'))).toBe(false);
      // A command that leaves the kind open goes on with what was begun.
      const { plan: _, ...open } = request;
      await extract(
        await planFor(await planExtraction(open), out, { budgetBytes: 2 ** 40, hasDoctor: false }),
        { out },
      );
      expect(differences(out, contentsOf(undisturbed))).toEqual([]);
    },
  );
});

describe('a finished run', () => {
  it('is refused a twin of the same name from another seed', async () => {
    const { folder, prompts } = inputs();
    const request = (twinSeed: number): ExtractRequest => ({
      checkpoints: [{ name: 'twin', folder, twinSeed }],
      prompts,
      sites: 'resid_post',
      positions: 'last',
      batchTokens: 64,
      threads: 1,
      store: 'float32',
      ignoredConfigKeys: [],
    });
    const out = scratchPath('run');
    await extract(await planExtraction(request(1)), { out });
    expect(await extract(await planExtraction(request(1)), { out })).toMatchObject({ ran: false });
    await expect(extract(await planExtraction(request(2)), { out })).rejects.toMatchObject({
      code: 'PLAN_CONFLICT',
      what: 'the folder holds another checkpoint called "twin"',
    });
  });
});
