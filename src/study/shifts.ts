/** How far did sets of rows move between two checkpoints, and in the same direction? Site by site. */

import { Random } from '../base/random.ts';
import type { ShiftCurve, ShiftPoint } from '../contract/report.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { parseSite } from '../graph/sites.ts';
import { shiftCosine, shiftSize } from '../../probes/shift.ts';
import type { Run } from '../record/run.ts';
import { groupOf, sitesOfKind } from './chosen.ts';
import { parseWhere } from './where.ts';

export interface ShiftRequest {
  readonly before: string;
  readonly after: string;
  readonly position: string;
  readonly siteKind: string;
  /** Name → condition on columns. */
  readonly sets: Readonly<Record<string, string>>;
  /** Pairs of names whose mean shifts are compared. */
  readonly cosines: readonly (readonly [string, string])[];
  readonly groups: string;
  readonly bootstraps: number;
  readonly seed: number;
}

export async function shiftCurve(run: Run, request: ShiftRequest): Promise<ShiftCurve> {
  const { before, after, position, siteKind } = request;
  const sites = sitesOfKind(run, before, siteKind);
  const points: ShiftPoint[] = [];
  for (const site of sites) points.push(await shiftPoint(run, request, site));
  const hash = sha256OfBytes(JSON.stringify(request)).slice(0, 8);
  const words = `shift.${before}-${after}.${position}.${siteKind}`;
  return {
    id: `${words
      .toLowerCase()
      .replaceAll(/[^a-z0-9._-]/g, '-')
      .slice(0, 110)}.${hash}`,
    pair: `${before}..${after}`,
    position,
    site_kind: siteKind,
    points,
  };
}

async function shiftPoint(run: Run, request: ShiftRequest, site: string): Promise<ShiftPoint> {
  const { position, bootstraps } = request;
  const before = await run.activations(request.before, site, position);
  const after = await run.activations(request.after, site, position);
  const prompts = run.rowsAt(position).map(({ prompt }) => run.prompts[prompt]);
  const groups = prompts.map((prompt) => groupOf(prompt, request.groups));
  const random = new Random(request.seed).fork(
    'shift',
    request.before,
    request.after,
    position,
    site,
  );
  const sizes = Object.entries(request.sets).map(([name, where]) => {
    const matches = parseWhere(where);
    const index = prompts.flatMap((prompt, i) => (matches(prompt) ? [i] : []));
    const size = shiftSize(before, after, index, { groups, bootstraps, random: random.fork(name) });
    return { name, where, size };
  });
  const sizeOf = new Map(sizes.map(({ name, size }) => [name, size]));
  return {
    site,
    layer: parseSite(site).block ?? 0,
    sets: sizes.map(({ name, where, size }) => ({
      name,
      where,
      n: size.n,
      relative_size: size.relativeSize,
      low: size.low,
      high: size.high,
      mean_relative_size: size.meanRelativeSize,
    })),
    cosines: request.cosines.flatMap(([a, b]) => {
      const [first, second] = [sizeOf.get(a), sizeOf.get(b)];
      if (first === undefined || second === undefined) return [];
      const cosine = shiftCosine(first, second);
      // A set that did not move has no direction.
      return Number.isFinite(cosine) ? [{ a, b, cosine }] : [];
    }),
  };
}
