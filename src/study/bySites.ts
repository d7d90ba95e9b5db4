/**
 * How is an entry of the report made site by site, watched, stopped, and taken up again after a kill?
 *
 * Finished sites are kept in `report.partial/ID.jsonl` of the run until the entry is in the report. A
 * number read back from JSON is the same number, so that who was killed comes to the same bytes.
 */

import { join } from 'node:path';
import { isJsonObject } from '../base/json.ts';
import type { ShouldStop } from '../base/progress.ts';
import { openJournal } from '../files/journal.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { endedEarly } from './curves.ts';

export interface Working<Entry> {
  /** Entries that are there already; one with the same id, made by this version, is taken as it is. */
  readonly known?: readonly Entry[];
  readonly shouldStop?: ShouldStop;
  /** Told after each site, of an entry that was known as well. */
  readonly onSite?: (site: string) => void;
  /** Puts a finished entry in its place. Without it nothing is written anywhere. */
  readonly keep?: (entry: Entry) => Promise<unknown>;
}

interface Made<Point> {
  readonly id: string;
  readonly points: readonly Point[];
  readonly made_by?: string | undefined;
}

export interface Making<Point, Entry> {
  readonly run: Pick<Run, 'folder' | 'manifestSha256'>;
  readonly id: string;
  readonly sites: readonly string[];
  readonly measure: (site: string) => Promise<Point>;
  readonly entryOf: (points: readonly Point[]) => Entry;
}

/** @throws {UserError} `ENDED_EARLY` between two sites, when asked to stop. */
export async function bySites<Point extends { readonly site: string }, Entry extends Made<Point>>(
  { run, id, sites, measure, entryOf }: Making<Point, Entry>,
  { known = [], shouldStop = () => false, onSite = () => undefined, keep }: Working<Entry>,
): Promise<Entry> {
  const found = known.find((entry) => entry.id === id && entry.made_by === packageVersion());
  if (found?.points.length === sites.length) {
    sites.forEach(onSite);
    return found;
  }
  const path = join(run.folder, 'report.partial', `${id}.jsonl`);
  const work = { id, made_by: packageVersion(), manifest_sha256: run.manifestSha256 };
  const journal = keep === undefined ? null : await openJournal(path, work);
  try {
    const points: Point[] = [];
    for (const site of sites) {
      if (shouldStop()) throw endedEarly();
      // A journal is only ever written by this version of this program: what it holds `measure` gave.
      const isOfSite = (value: unknown): value is Point =>
        isJsonObject(value) && value['site'] === site;
      const earlier = journal?.values.find(isOfSite);
      const point = earlier ?? (await measure(site));
      if (earlier === undefined) journal?.append(point);
      points.push(point);
      onSite(site);
    }
    const entry = entryOf(points);
    await keep?.(entry);
    await journal?.remove();
    return entry;
  } finally {
    journal?.close();
  }
}
