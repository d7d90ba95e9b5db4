/** Makes and reads the report over several runs, a file of its own: it belongs to no single run. */

import { UserError } from '../base/errors.ts';
import { canonicalJson, isJsonObject, parseJson } from '../base/json.ts';
import {
  pooledSchema,
  type PooledPoint,
  type PooledReport,
  type PooledSettings,
  type PooledShift,
} from '../contract/pooled.ts';
import { writeFileAtomic } from '../files/atomic.ts';
import { openJournal } from '../files/journal.ts';
import { readIfThere, utf8 } from '../files/whole.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import type { Working } from './bySites.ts';
import { sitesOfKind } from './chosen.ts';
import type { ContrastRows } from './contrasts.ts';
import { checkCompatible, pooledPoint, smallestP } from './pooledShifts.ts';

export interface PooledQuestion extends ContrastRows {
  readonly before: string;
  readonly after: string;
  readonly control: string | null;
  readonly places: readonly { readonly position: string; readonly siteKind: string }[];
  readonly settings: PooledSettings;
}

/**
 * Pools runs that differ in their seed, and writes the report to `out`. A file that is there and answers
 * the same question is read instead; finished sites outlive a kill in `OUT.partial/`.
 *
 * @throws {UserError} `RUN_INVALID` for runs that do not go together, `PLAN_CONFLICT` where `out` holds
 *   something else, `ENDED_EARLY`.
 */
export async function pooledReport(
  runs: readonly Run[],
  question: PooledQuestion,
  out: string,
  { shouldStop, onSite = () => undefined }: Pick<Working<never>, 'shouldStop' | 'onSite'> = {},
): Promise<PooledReport> {
  const { before, after, control, places, settings, ...rows } = question;
  checkCompatible(runs, [after, ...(control === null ? [] : [control])]);
  const head: Omit<PooledReport, 'shifts'> = {
    schema: pooledSchema,
    made_by: packageVersion(),
    runs: runs.map(({ name, manifestSha256: hash }) => ({ name, manifest_sha256: hash })),
    shares_start: sharesStart(runs, before),
    smallest_p: smallestP(runs.length),
    pair: `${before}..${after}`,
    control: control === null ? null : `${before}..${control}`,
    ...rows,
    settings,
  };
  const work = {
    ...head,
    places: places.map(({ position, siteKind }) => `${position} ${siteKind}`),
  };
  const earlier = await earlierReport(out, work);
  if (earlier !== null) return earlier;
  const journal = await openJournal(`${out}.partial/sites.jsonl`, work);
  try {
    const shifts: PooledShift[] = [];
    for (const { position, siteKind } of places) {
      const points: PooledPoint[] = [];
      for (const site of sitesOfEach(runs, [before, after, control], siteKind)) {
        const known = journal.values.find((value) => isOf(value, position, site));
        const point =
          known?.point ?? (await pooledPoint(runs, { ...question, position, site }, shouldStop));
        if (known === undefined) journal.append({ position, site, point });
        points.push(point);
        onSite(`${site} at ${position}`);
      }
      shifts.push({ position, site_kind: siteKind, points });
    }
    const report: PooledReport = { ...head, shifts };
    await writeFileAtomic(out, `${JSON.stringify(report, null, 1)}\n`);
    await journal.remove();
    return report;
  } finally {
    journal.close();
  }
}

/** Reads a report that `pooledReport` wrote. @throws {UserError} `RUN_INVALID` */
export async function readPooled(path: string): Promise<PooledReport> {
  const bytes = await readIfThere(path, 'RUN_INVALID');
  const value =
    bytes === null
      ? null
      : parseJson(utf8(bytes, path, 'RUN_INVALID'), path, { code: 'RUN_INVALID' });
  if (isPooled(value)) return value;
  throw new UserError('RUN_INVALID', `this is no report of schema "${pooledSchema}"`, {
    where: path,
    fix: 'Name a run folder, or the file that shift --out wrote.',
  });
}

async function earlierReport(
  out: string,
  work: Omit<PooledReport, 'shifts'> & { readonly places: readonly string[] },
): Promise<PooledReport | null> {
  if ((await readIfThere(out, 'USAGE')) === null) return null;
  const { shifts, ...head } = await readPooled(out);
  const places = shifts.map(({ position, site_kind: kind }) => `${position} ${kind}`);
  if (canonicalJson({ ...head, places }) === canonicalJson(work)) return { ...head, shifts };
  throw new UserError('PLAN_CONFLICT', 'the file holds the answer to another question', {
    where: out,
    fix: 'Choose another file for --out, or remove this one.',
  });
}

function sharesStart(runs: readonly Run[], before: string): boolean {
  const hashes = runs.map(
    ({ manifest }) => manifest.checkpoints.find(({ name }) => name === before)?.sha256,
  );
  return new Set(hashes).size < runs.length;
}

/** The sites of a kind that every run holds for every checkpoint. @throws {UserError} `RUN_INVALID` */
function sitesOfEach(
  runs: readonly Run[],
  checkpoints: readonly (string | null)[],
  kind: string,
): readonly string[] {
  const held = runs.flatMap((run) =>
    checkpoints.flatMap((name) =>
      name === null ? [] : [{ run, name, sites: sitesOfKind(run, name, kind) }],
    ),
  );
  const [first] = held;
  const other = held.find(({ sites }) => sites.join() !== first.sites.join());
  if (other === undefined) return first.sites;
  throw new UserError('RUN_INVALID', `not the same sites of "${kind}" everywhere`, {
    where: `${first.name} in ${first.run.folder} and ${other.name} in ${other.run.folder}`,
    fix: 'Extract the same sites of every checkpoint, with --add.',
  });
}

function isOf(
  value: unknown,
  position: string,
  site: string,
): value is { readonly point: PooledPoint } {
  return isJsonObject(value) && value['position'] === position && value['site'] === site;
}

/** As deep as a reader needs to trust the lists; the file is only ever written by this program. */
function isPooled(value: unknown): value is PooledReport {
  return (
    isJsonObject(value) &&
    value['schema'] === pooledSchema &&
    Array.isArray(value['runs']) &&
    Array.isArray(value['shifts'])
  );
}
