/**
 * Who may ask, and what may a page do with the answer?
 *
 * A server on loopback is still reachable from any page the user has open: through DNS rebinding
 * (hence the Host list), through cross-site requests (hence Origin and Sec-Fetch-Site) and through
 * frames (hence the framing rules). The page itself may load nothing from elsewhere and turn no
 * string into code (content security policy with Trusted Types).
 */

import type { NextFunction, Request, Response } from 'express';
import { sendProblem } from './problems.ts';

/** The policy of every answer; the viewer is built to need nothing beyond it. */
export const contentSecurityPolicy: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types worker-url',
].join('; ');

const headers = {
  'Content-Security-Policy': contentSecurityPolicy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Permissions-Policy':
    'accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), ' +
    'microphone=(), midi=(), payment=(), serial=(), usb=(), browsing-topics=()',
};

/** Names under which a loopback server may be asked for. */
export const loopbackHosts: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** Sets the security headers on every answer, refusals included. */
export function securityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set(headers);
  next();
}

/** Lets pass only requests that name this server, come from its own page, and only read. */
export function gate(hosts: readonly string[]) {
  const allowed = new Set(hosts.map((host) => host.toLowerCase()));
  return (request: Request, response: Response, next: NextFunction): void => {
    const named = request.headersDistinct['host'] ?? [];
    if (named.length !== 1 || !allowed.has(withoutPort(named[0]))) {
      sendProblem(response, {
        status: 403,
        code: 'HOST_REFUSED',
        title: 'this server answers only to its own name',
        fix: 'Open the address that the command printed.',
      });
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('Allow', 'GET, HEAD');
      sendProblem(response, {
        status: 405,
        code: 'METHOD_REFUSED',
        title: 'this server is read-only',
      });
      return;
    }
    if (isForeign(request, named[0])) {
      sendProblem(response, {
        status: 403,
        code: 'ORIGIN_REFUSED',
        title: 'only the viewer’s own page may ask for this',
      });
      return;
    }
    next();
  };
}

function isForeign(request: Request, host: string): boolean {
  const origin = request.headersDistinct['origin'];
  if (origin !== undefined && (origin.length !== 1 || origin[0] !== `http://${host}`)) return true;
  const site = request.headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  // A link from elsewhere may open the page; it may not fetch data, scripts or frames.
  return (
    request.path.startsWith('/api/') ||
    request.headers['sec-fetch-mode'] !== 'navigate' ||
    request.headers['sec-fetch-dest'] !== 'document'
  );
}

/** `127.0.0.1:7411` → `127.0.0.1`; anything that is not host[:port] → the empty string. */
function withoutPort(host: string): string {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?$/i.exec(host)?.[1].toLowerCase() ?? '';
}
