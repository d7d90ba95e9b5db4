/**
 * SHA-256 of files too large to wait for: worked out on a thread of its own while this one goes on.
 *
 * onnxruntime blocks the thread that it is called from; a digest of 1 GB takes a second of a core.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../base/errors.ts';
import { sha256OfStream } from './atomic.ts';

/**
 * What the thread does. It is text because a thread begins with a file, and sources and dist/ would
 * each need one of their own.
 */
const work = `
const { createHash } = require('node:crypto');
const { closeSync, openSync, readSync } = require('node:fs');
const { parentPort, workerData: { texts, paths } } = require('node:worker_threads');
const hash = createHash('sha256');
for (const text of texts) hash.update(text);
const bytes = Buffer.allocUnsafeSlow(2 ** 20);
for (const path of paths) {
  const file = openSync(path, 'r');
  for (let read; (read = readSync(file, bytes)) > 0;) hash.update(bytes.subarray(0, read));
  closeSync(file);
}
parentPort.postMessage(hash.digest('hex'));
`;

const running = new Set<Worker>();

/** Gives up what is still being digested, so that a program may end that needs it no more. */
export function abandonDigests(): void {
  for (const thread of running) void thread.terminate();
}

/**
 * The same digest as `sha256OfStream`, worked out beside what this thread does.
 *
 * @throws {UserError} with `code` where a file cannot be read.
 */
export async function sha256Beside(
  texts: readonly string[],
  paths: readonly string[],
  code: ErrorCode = 'USAGE',
): Promise<string> {
  try {
    const thread = new Worker(work, { eval: true, workerData: { texts, paths } });
    running.add(thread);
    thread.once('exit', () => running.delete(thread));
    const [digest]: unknown[] = await once(thread, 'message');
    return String(digest);
  } catch {
    // Whatever is wrong with a file is met, and explained, here as well.
    return await sha256OfStream(texts, paths, code);
  }
}
