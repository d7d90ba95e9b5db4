/**
 * The built viewer, held in memory.
 *
 * A request names a key of this table, never a path: what was not there when the server started
 * cannot be asked for, so there is nothing to traverse, link or list.
 */

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { UserError, isErrno } from '../base/errors.ts';

export interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly sha256: string;
  /** True where the name carries a hash of the content, so that it may be kept for ever. */
  readonly isHashed: boolean;
}

const types: Readonly<Record<string, string | undefined>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * Reads the built viewer: URL path → file.
 *
 * @throws {UserError} `USAGE` where it has not been built.
 */
export function loadAssets(folder: string): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const path of filesBelow(folder)) {
    const type = types[extname(path)];
    if (type === undefined) continue;
    const body = readFileSync(path);
    const key = `/${relative(folder, path).split(sep).join('/')}`;
    const sha256 = createHash('sha256').update(body).digest('hex');
    assets.set(key, { body, type, sha256, isHashed: key.startsWith('/assets/') });
  }
  if (!assets.has('/index.html')) {
    throw new UserError('USAGE', 'the viewer has not been built', {
      where: folder,
      fix: 'npm run build',
    });
  }
  return assets;
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
