/**
 * Does a run keep to itself? It writes nothing outside its folder and speaks to nobody: no socket from
 * JavaScript (a preloaded script records every attempt), none from native code (its open sockets are
 * looked up in the kernel's tables while it runs), no file in any place where libraries like to leave one.
 */

import { execFile } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { organismFolder, root } from '../support/golden.ts';
import { start, type Ended } from '../support/program.ts';
import { scratchFolder } from '../support/scratch.ts';

/** Records every attempt to reach anyone, and fails it. */
const witness = `
const { appendFileSync } = require('node:fs');
const record = (what) => {
  appendFileSync(process.env.WITNESS, what + '\\n');
  throw new Error('offline: ' + what);
};
const net = require('node:net');
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) { record('connect ' + JSON.stringify(args[0])); return connect.apply(this, args); };
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) { record('listen'); return listen.apply(this, args); };
for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) require('node:dns')[name] = () => record('dns ' + name);
require('node:dgram').createSocket = () => record('dgram');
globalThis.fetch = (url) => record('fetch ' + url);
`;

/** Path → size and time of last change, of everything below a folder. */
function listing(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return new Map(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return [path, entry.isDirectory() ? 'folder' : `${size} ${mtimeMs}`];
    }),
  );
}

/** Sockets of a process and its children that the kernel lists as TCP or UDP. */
function openConnections(pid: number): string[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean);
  const tables = ['tcp', 'tcp6', 'udp', 'udp6'].map((table) => readOr(`/proc/${pid}/net/${table}`));
  const known = new Set(
    tables.flatMap((table) =>
      table
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/)[9]),
    ),
  );
  const own = descriptorsOf(pid).filter((inode) => known.has(inode));
  return [...own, ...children.flatMap((child) => openConnections(Number(child)))];
}

function descriptorsOf(pid: number): string[] {
  return namesIn(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    } catch {
      return []; // closed as we looked, as is the descriptor that we look through
    }
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // the process has ended
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

describe('extract', () => {
  const world = scratchFolder('world');
  const places = ['home', 'tmp', 'cwd', 'cache', 'config', 'data', 'state'];
  const log = join(scratchFolder(), 'attempts');
  const preload = join(scratchFolder(), 'witness.cjs');
  const env = {
    PATH: process.env['PATH'],
    NODE_OPTIONS: `--require ${preload}`,
    WITNESS: log,
    HOME: join(world, 'home'),
    USERPROFILE: join(world, 'home'),
    TMPDIR: join(world, 'tmp'),
    TEMP: join(world, 'tmp'),
    TMP: join(world, 'tmp'),
    XDG_CACHE_HOME: join(world, 'cache'),
    XDG_CONFIG_HOME: join(world, 'config'),
    XDG_DATA_HOME: join(world, 'data'),
    XDG_STATE_HOME: join(world, 'state'),
  };
  const out = join(scratchFolder('outside'), 'run');
  const models = ['base', 'planb'].map(organismFolder);
  const watched = [world, ...models, join(root, 'dist')];
  let before: Map<string, string>[];
  let after: Map<string, string>[];
  let ended: Ended;
  const connections: string[] = [];
  let looks = 0;

  beforeAll(async () => {
    for (const place of places) mkdirSync(join(world, place));
    writeFileSync(preload, witness);
    writeFileSync(log, '');
    before = watched.map(listing);
    const prompts = join(root, 'models', 'organism', 'prompts.jsonl');
    const options = '--sites resid_post --positions last,all --batch-tokens 64 --threads 2';
    const running = start(
      ['extract', ...models, ...options.split(' '), '--prompts', prompts, '--out', out],
      { cwd: join(world, 'cwd'), env },
    );
    while (running.child.exitCode === null && running.child.signalCode === null) {
      connections.push(...openConnections(running.child.pid ?? 0));
      looks++;
      await sleep(10);
    }
    ended = await running.ended;
    after = watched.map(listing);
  });

  it('runs with no home, no network and a working folder of its own', () => {
    expect(ended.exitCode, ended.stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual([
      'activations',
      'logs',
      'manifest.json',
      'prompts.jsonl',
      'rows.jsonl',
    ]);
  });

  it('writes nothing but its run', () => {
    watched.forEach((folder, i) => {
      const changed = [...after[i]].filter(([path, state]) => before[i].get(path) !== state);
      const gone = [...before[i].keys()].filter((path) => !after[i].has(path));
      expect({ folder, changed, gone }).toEqual({ folder, changed: [], gone: [] });
    });
  });

  it('speaks to nobody', () => {
    expect(readFileSync(log, 'utf8')).toBe('');
    expect(looks).toBeGreaterThan(5);
    expect(connections).toEqual([]);
  });

  it('would have been caught', async () => {
    const script = "require('node:net').connect(9, '127.0.0.1')";
    const tried = promisify(execFile)(process.execPath, ['-e', script], { env });
    await expect(tried).rejects.toThrow('offline: connect');
    expect(readFileSync(log, 'utf8')).toMatch(/^connect /);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(openConnections(process.pid).length).toBeGreaterThan(0);
    server.close();
  });
});
