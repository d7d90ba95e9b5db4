/** One process of a crew: does the tasks that it is told, one after the other; see crew.ts. */

import { on } from 'node:events';
import { openRun } from '../record/run.ts';
import type { Run } from '../record/run.ts';
import { withMultiply } from '../runtime/multiply.ts';
import { readReport } from '../study/report.ts';
import { perform, type Tools } from '../study/tasks.ts';
import { failureOf, type CrewAnswer, type CrewRequest } from './crew.ts';
import { stopOnParent } from './signals.ts';

// Both listen before anything is awaited, so that no message is missed.
const requests = on(process, 'message', { close: ['disconnect'] });
const { shouldStop } = stopOnParent();

await withMultiply(async (multiply) => {
  let opened: { readonly run: Run; readonly tools: Tools } | undefined;
  for await (const parts of requests) {
    const [request]: CrewRequest[] = parts;
    if ('stop' in request) continue;
    try {
      opened ??= await open(request.folder, multiply);
      const { run, tools } = opened;
      const entries = await perform(run, request.task, tools, () => say({ kind: 'site' }));
      say({ kind: 'found', entries });
    } catch (error) {
      say({ kind: 'failed', failure: failureOf(error) });
    }
  }
});

async function open(
  folder: string,
  multiply: Tools['multiply'],
): Promise<{ readonly run: Run; readonly tools: Tools }> {
  const run = await openRun(folder);
  const known = await readReport(run);
  return { run, tools: { known, promptBaselines: new Map(), multiply, shouldStop } };
}

function say(answer: CrewAnswer): void {
  if (process.connected) process.send?.(answer);
}
