/**
 * The viewer's server as an Express app that does not listen.
 *
 * It only reads. Addresses name runs, positions, projections and prompts by keys that are looked up
 * in tables; no part of an address becomes part of a path.
 */

import express from 'express';
import type { Express, NextFunction, Request, Response } from 'express';
import { loadAssets } from './assets.ts';
import type { Asset } from './assets.ts';
import { MissingError, failures, sendProblem } from './problems.ts';
import { RunReader } from './runs.ts';
import type { Document, RunFolder } from './runs.ts';
import { gate, loopbackHosts, securityHeaders } from './security.ts';
import type { Health, PromptText, RowColumns, RunList } from '../contract/api.ts';

export interface AppOptions {
  readonly runs: readonly RunFolder[];
  /** Folder of the built viewer, `dist/viewer`. */
  readonly assets: string;
  readonly version: string;
  /** Names other than loopback's under which the server may be asked for. */
  readonly hosts?: readonly string[];
  /** Told of each defect of ours; the asker sees only a 500. */
  readonly onDefect?: (error: unknown) => void;
}

/**
 * Makes the app for `runs`.
 *
 * @throws {UserError} `USAGE` where the viewer has not been built.
 */
export function createApp(options: AppOptions): Express {
  const { runs, version, hosts = [], onDefect = () => {} } = options;
  const assets = loadAssets(options.assets);
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use(securityHeaders, gate([...loopbackHosts, ...hosts]));
  app.use('/api/v1', api(runs, version));
  app.use('/api', (_request, response) => sendNothingHere(response));
  app.get(['/', '/r/:run'], (request, response) => {
    sendAsset(request, response, assets.get('/index.html'));
  });
  app.use((request, response) => sendAsset(request, response, assets.get(request.path)));
  app.use(failures(onDefect));
  return app;
}

function api(folders: readonly RunFolder[], version: string): express.Router {
  const readers = new Map(folders.map((run) => [run.id, new RunReader(run)]));
  const reader = ({ params }: { params: { run: string } }): RunReader => {
    const found = readers.get(params.run);
    if (found === undefined) {
      throw new MissingError('RUN_INVALID', 'this server shows no such run', {
        fix: 'Go to / for those that it shows.',
      });
    }
    return found;
  };
  const router = express.Router({ caseSensitive: true });
  router.get('/health', (_request, response) => {
    const health: Health = { version, pid: process.pid };
    sendFresh(response, health);
  });
  router.get('/runs', (_request, response, fail) => {
    const heads = Promise.all([...readers.values()].map((run) => run.head()));
    heads.then((runs) => sendFresh(response, { runs } satisfies RunList)).catch(fail);
  });
  router.get('/runs/:run', (request, response, fail) => {
    const document = reader(request).manifest();
    document.then((found) => sendDocument(response, found)).catch(fail);
  });
  router.get('/runs/:run/report', (request, response, fail) => {
    const document = reader(request).report();
    document.then((found) => sendDocument(response, found)).catch(fail);
  });
  router.get('/runs/:run/rows/:position', (request, response, fail) => {
    const rows = reader(request).rows(request.params.position);
    rows.then((found) => sendFresh(response, found)).catch(fail);
  });
  router.get('/runs/:run/prompts/:index', (request, response, fail) => {
    const prompt = reader(request).prompt(request.params.index);
    prompt.then((found) => sendFresh(response, found)).catch(fail);
  });
  router.get('/runs/:run/projections/:id', (request, response, fail) => {
    const projection = reader(request).projection(request.params.id);
    projection.then((found) => sendTensors(request, response, fail, found)).catch(fail);
  });
  return router;
}

/** Row metadata and prompt text: cheap to make, and not to lie in a cache on disk. */
function sendFresh(response: Response, body: Health | RunList | RowColumns | PromptText): void {
  response.set('Cache-Control', 'no-store').json(body);
}

function sendDocument(response: Response, { body, sha256 }: Document): void {
  response
    .set({ ETag: `"${sha256}"`, 'Cache-Control': 'private, no-cache' })
    .type('application/json')
    .send(body);
}

/** An address that carries the hash of what it names may be kept for ever. */
function sendTensors(
  request: Request,
  response: Response,
  next: NextFunction,
  { file, sha256 }: { readonly file: string; readonly sha256: string },
): void {
  const asked = request.query['h'];
  const isPinned = typeof asked === 'string' && asked.length >= 8 && sha256.startsWith(asked);
  response.set({
    ETag: `"${sha256}"`,
    'Content-Type': 'application/octet-stream',
    'X-Content-Layout': 'safetensors',
    'Cache-Control': isPinned ? 'private, max-age=31536000, immutable' : 'private, no-cache',
  });
  const options = { cacheControl: false, lastModified: false, dotfiles: 'allow' } as const;
  response.sendFile(file, options, (error) => {
    // A reader that hangs up in the middle is no failure of ours.
    if (error !== undefined && !response.headersSent) next(error);
  });
}

function sendAsset(request: Request, response: Response, asset: Asset | undefined): void {
  if (asset === undefined) {
    sendNothingHere(response);
    return;
  }
  response.set({
    ETag: `"${asset.sha256}"`,
    'Content-Type': asset.type,
    'Cache-Control': asset.isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  if (request.fresh) response.status(304).end();
  else response.send(asset.body);
}

function sendNothingHere(response: Response): void {
  sendProblem(response, {
    status: 404,
    code: 'NOT_FOUND',
    title: 'there is nothing at this address',
  });
}
