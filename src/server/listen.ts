/**
 * Opens the viewer's server to this machine, and to nobody else unless told so in plain words.
 *
 * The port is fixed (so that links keep working) and gives way to the next free one on a clash.
 */

import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { UserError, isErrno } from '../base/errors.ts';

const defaultPort = 7411;

/** Ports tried after the one asked for. */
const attempts = 20;

export interface ListenOptions {
  /** Default 7411; 0 takes any free one. */
  readonly port?: number;
  /** Refuse to move to the next free port. */
  readonly strictPort?: boolean;
  /** Address to bind, default 127.0.0.1. */
  readonly host?: string;
  /** Allows an address that others can reach; whoever reaches it can read the runs. */
  readonly allowUnauthenticated?: boolean;
}

export interface Listening {
  /** For example `http://127.0.0.1:7411`. */
  readonly url: string;
  readonly port: number;
  /** Stops at once, open connections included. */
  readonly close: () => Promise<void>;
}

/**
 * Names for `AppOptions.hosts` when binding `host`: none for loopback, else the address itself, or
 * every address of this machine for `0.0.0.0` and `::`.
 */
export function hostNames(host: string): string[] {
  if (isLoopback(host)) return [];
  if (host !== '0.0.0.0' && host !== '::') return [bracketed(host)];
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address }) => bracketed(address));
}

/**
 * Listens with `app`.
 *
 * @throws {UserError} `USAGE` for an address that others can reach without `allowUnauthenticated`,
 *   `PORT_TAKEN` where the port (with `strictPort`) or it and the next 20 are taken.
 */
export async function listen(
  app: RequestListener,
  options: ListenOptions = {},
): Promise<Listening> {
  const { port = defaultPort, strictPort = false, host = '127.0.0.1' } = options;
  if (!isLoopback(host) && options.allowUnauthenticated !== true) {
    throw new UserError(
      'USAGE',
      `"${host}" can be reached from other machines, without a password`,
      {
        where: '--host',
        fix: 'Use ssh -L, or add --unsafe-allow-unauthenticated if everyone on that network may read the runs.',
      },
    );
  }
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new UserError('USAGE', `"${port}" is not a port`, {
      where: '--port',
      fix: 'Give a number from 0 to 65535.',
    });
  }
  const last = strictPort || port === 0 ? port : Math.min(port + attempts, 65535);
  for (let candidate = port; candidate <= last; candidate++) {
    const server = await tryPort(app, candidate, host);
    if (server !== undefined) return opened(server, host);
  }
  throw new UserError('PORT_TAKEN', `port ${port} is in use`, {
    where: host,
    fix: 'Give another with --port, or --port 0 for any free one.',
  });
}

function tryPort(app: RequestListener, port: number, host: string): Promise<Server | undefined> {
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16_384,
    },
    app,
  );
  server.maxConnections = 128;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (isErrno(error, 'EADDRINUSE')) resolve(undefined);
      else reject(hostError(error, host));
    });
    server.listen(port, host, () => resolve(server));
  });
}

function hostError(error: Error, host: string): Error {
  if (!isErrno(error, 'EADDRNOTAVAIL') && !isErrno(error, 'ENOTFOUND')) return error;
  return new UserError('USAGE', `this machine has no address "${host}"`, {
    where: '--host',
    fix: 'Leave --host out to serve this machine only.',
    cause: error,
  });
}

function opened(server: Server, host: string): Listening {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://${bracketed(host)}:${port}`,
    port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
