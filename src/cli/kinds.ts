/** Which kinds of site does a command work on? */

import { UserError } from '../base/errors.ts';
import { parseSite } from '../graph/sites.ts';
import type { Run } from '../record/run.ts';

/** Those that were named, or all in the run whose rows are vectors of one width. */
export function kindsOf({ manifest, folder }: Run, sites?: string): readonly string[] {
  const kinds =
    sites?.split(',').map((kind) => kind.trim()) ??
    [...new Set(manifest.sites.map((site) => parseSite(site).kind))].filter(
      (kind) => kind !== 'pattern',
    );
  if (kinds.length > 0) return kinds;
  throw new UserError('RUN_INVALID', 'the run holds nothing that can be compared', {
    where: folder,
    fix: 'Extract resid_post with --add.',
  });
}
