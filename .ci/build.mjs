/**
 * Builds `dist/`: the sources by TypeScript, the viewer by Vite.
 *
 * A step is left out when the contents of its inputs have not changed since it last succeeded, so
 * this may be called before every test and demo. Two builds started at once take turns, and each
 * step writes beside `dist/` and swaps its folders in when whole, so that nobody reads a half.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => join(root, ...parts);
const lock = at('dist', '.build', 'lock');

const steps = [
  {
    name: 'sources',
    inputs: ['src', 'probes', 'models', 'tsconfig.json', 'package-lock.json', '.ci/build.mjs'],
    keeps: (path) => !path.includes('organism') || path.endsWith('.ts'),
    outputs: ['src/cli/bin.js'],
    folders: ['src', 'probes', 'models'],
    command: (out) => ['node_modules/typescript/bin/tsc', '-p', '.', '--outDir', out],
    finish: (out) => {
      const bin = join(out, 'src', 'cli', 'bin.js');
      if (fs.existsSync(bin)) fs.chmodSync(bin, 0o755);
    },
  },
  {
    name: 'viewer',
    needs: 'viewer/vite.config.ts',
    inputs: ['viewer', 'src/contract', 'package-lock.json', '.ci/build.mjs'],
    keeps: () => true,
    outputs: ['viewer/index.html'],
    folders: ['viewer'],
    command: (out) => [
      'node_modules/vite/bin/vite.js',
      'build',
      '--config=viewer/vite.config.ts',
      '--logLevel=warn',
      `--outDir=${join(out, 'viewer')}`,
      '--emptyOutDir',
    ],
    finish: () => {},
  },
];

fs.mkdirSync(at('dist', '.build'), { recursive: true });
await takeLock();
try {
  const results = steps.map(runStep);
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  fs.rmSync(lock, { force: true });
}

/** True when the step's outputs are up to date afterwards. */
function runStep(step) {
  if (step.needs !== undefined && !fs.existsSync(at(step.needs))) {
    console.error(`build: left out the ${step.name}, for there is no ${step.needs}`);
    return true;
  }
  const stamp = at('dist', '.build', `${step.name}.sha256`);
  const wanted = digest(step);
  const whole = step.outputs.every((path) => fs.existsSync(at('dist', path)));
  if (whole && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return true;

  const out = at('dist', '.build', `${step.name}-${process.pid}`);
  try {
    const { status, error } = spawnSync(process.execPath, step.command(out), {
      cwd: root,
      stdio: ['ignore', 2, 2],
      env: { ...process.env, NODE_ENV: 'production' },
    });
    if (status !== 0) {
      console.error(
        `build: the ${step.name} failed${error === undefined ? '' : `: ${error.message}`}`,
      );
      return false;
    }
    step.finish(out);
    for (const folder of step.folders) swapIn(join(out, folder), at('dist', folder));
    fs.writeFileSync(stamp, wanted);
    return true;
  } finally {
    fs.rmSync(out, { recursive: true, force: true });
  }
}

/** Puts a finished folder in place of the old one, so that files of deleted sources go too. */
function swapIn(fresh, place) {
  const old = `${fresh}.old`;
  if (fs.existsSync(place)) fs.renameSync(place, old);
  if (fs.existsSync(fresh)) fs.renameSync(fresh, place);
}

function digest(step) {
  const hash = createHash('sha256');
  for (const input of step.inputs) {
    for (const path of filesUnder(input).filter(step.keeps)) {
      hash
        .update(`${path}\0`)
        .update(fs.readFileSync(at(path)))
        .update('\0');
    }
  }
  return hash.digest('hex');
}

/** Repository paths of the files at or under `path`, in a fixed order. */
function filesUnder(path) {
  const stat = fs.statSync(at(path), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isFile()) return [path];
  return fs
    .readdirSync(at(path))
    .toSorted()
    .flatMap((name) => filesUnder(`${path}/${name}`));
}

/** Waits for a build that is under way; takes over from one that died. */
async function takeLock() {
  for (const end = Date.now() + 300_000; Date.now() < end; await sleep(100)) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (!isAlive(Number(readOr(lock, '0')))) fs.rmSync(lock, { force: true });
    }
  }
  throw new Error(`another build has held ${lock} for five minutes; delete it if none is running`);
}

function isAlive(pid) {
  if (pid === 0) return true; // written an instant from now, or just removed
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readOr(path, fallback) {
  try {
    return fs.readFileSync(path, 'utf8') || fallback;
  } catch {
    return fallback;
  }
}
