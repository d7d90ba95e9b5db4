/**
 * Which rows look poisoned at a site, by detectors that see no labels?
 *
 * Clean rows make the reference; half of the clean groups are kept out of it, so that clean rows are judged
 * unseen as suspects are. Suspects with a sibling in the reference are not judged: they would seem as clean as it. Where the
 * suspects' label is known the AUROC says how well each detector would have done; nothing here holds against a model that was trained to evade it.
 */

import { UserError } from '../base/errors.ts';
import type { DetectorScan } from '../contract/readings.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { takeRows, type Rows } from '../math/rows.ts';
import { activationClusters } from '../../probes/clusters.ts';
import {
  mahalanobis,
  quantumEntropy,
  referenceOf,
  relativeMahalanobis,
  spectralSignatures,
} from '../../probes/detectors.ts';
import { distinctGroups } from '../../probes/folds.ts';
import { clusteredInterval } from '../../probes/interval.ts';
import { auroc } from '../../probes/metrics.ts';
import { tprAtFpr } from '../../probes/operating.ts';
import type { Run } from '../record/run.ts';
import { packageVersion } from '../record/versions.ts';
import { chosenRows, type RowsRequest } from './chosen.ts';
import { entryId } from './ids.ts';
import { refuseSplitTopics, topicColumn } from './straddle.ts';

export interface DetectRequest extends Omit<RowsRequest, 'folds'> {
  readonly checkpoint: string;
  readonly site: string;
  /** Of the starts of clustering. */
  readonly seed: number;
}

/**
 * Scores rows with label 1 and the other half of those with label 0 against the first half of label 0, none of a
 * group or topic that the reference has.
 *
 * @throws {UserError} `LABELS_INVALID` where too few clean groups are there, `SPLIT_LEAKS` where a topic lies in both halves.
 */
export async function detect(run: Run, request: DetectRequest): Promise<DetectorScan> {
  const { checkpoint, site, position, label, where, seed } = request;
  // Folds of all prompts are not the halves that are made here, of the clean rows.
  const { index, labels, groups, prompts } = chosenRows(run, {
    ...request,
    folds: 2,
    splitsTopics: true,
  });
  const of = (keep: (i: number) => boolean): number[] => [...index.keys()].filter(keep);
  const spared = of((i) => labels[i] === 0);
  const half = halvesOf(spared.map((i) => groups[i]));
  if (request.splitsTopics !== true) {
    const halves = Int32Array.from(spared, (i) => half.get(groups[i]) ?? 0);
    const own = spared.map((i) => groups[i]);
    const made = { column: request.groups, groups: own, folds: halves };
    refuseSplitTopics(
      spared.map((i) => prompts[i]),
      made,
    );
  }
  const reference = spared.filter((i) => half.get(groups[i]) === 0);
  const clean = spared.filter((i) => half.get(groups[i]) === 1);
  const kin = (i: number): string[] => {
    const topic = prompts[i].columns[topicColumn] ?? null;
    const isApart = topic === null || request.splitsTopics === true;
    return [`group ${groups[i]}`, ...(isApart ? [] : [`topic ${JSON.stringify(topic)}`])];
  };
  const known = new Set(reference.flatMap(kin));
  const suspect = of((i) => labels[i] === 1 && !kin(i).some((name) => known.has(name)));
  if (Math.min(reference.length, clean.length, suspect.length) < 2) {
    throw new UserError(
      'LABELS_INVALID',
      `${reference.length} clean rows of one half of the groups, ${clean.length} of the other and ${suspect.length} suspects are too few`,
      { fix: 'Choose rows of more groups and of both labels.' },
    );
  }
  const all = await run.activations(checkpoint, site, position);
  const rows = (chosen: readonly number[]): Rows =>
    takeRows(
      all,
      chosen.map((i) => index[i]),
    );
  const judged = [...clean, ...suspect];
  const truth = judged.map((i) => labels[i]);
  const owners = judged.map((i) => groups[i]);
  const x = rows(judged);
  const clusters = activationClusters(x, { seed });
  const usual = activationClusters(rows(clean), { seed });
  const scores = { ...scoresOf(rows(reference), x), activation_clustering: clusters.scores };
  return {
    id: entryId(['scan', checkpoint, position, site, label], request),
    checkpoint,
    site,
    position,
    label,
    where,
    settings: { groups: request.groups, interval: 'clustered DeLong', seed },
    n_reference: reference.length,
    n_clean: clean.length,
    n_suspect: suspect.length,
    detections: Object.entries(scores).map(([detector, found]) => {
      const area = auroc(found, truth);
      const side = { scores: found, labels: truth, groups: owners };
      const interval = clusteredInterval(area, [side]);
      return { detector, auroc: area, ...interval, at_1_percent_fpr: tprAtFpr(found, truth) };
    }),
    clusters: {
      smaller: clusters.smaller,
      silhouette: clusters.silhouette,
      clean_silhouette: usual.silhouette,
    },
    made_by: packageVersion(),
  };
}

/**
 * Which half each group is in. Their names' order says something of them (`theme 1 chat`, `theme 1 code`, …): the
 * order of the names' hashes does not.
 */
function halvesOf(groups: readonly string[]): ReadonlyMap<string, number> {
  const names = distinctGroups(groups).map((name) => ({ name, hash: sha256OfBytes(name) }));
  const mixed = names.toSorted((a, b) => (a.hash < b.hash ? -1 : 1));
  return new Map(mixed.map(({ name }, i) => [name, i % 2]));
}

/** The background of the relative distance is everything that is judged, which needs no labels. */
function scoresOf(reference: Rows, x: Rows): Readonly<Record<string, Float64Array>> {
  const shrunk = referenceOf(reference, 'ledoit_wolf');
  return {
    mahalanobis: mahalanobis(shrunk, x),
    mahalanobis_diagonal: mahalanobis(referenceOf(reference, 'diagonal'), x),
    mahalanobis_relative: relativeMahalanobis(shrunk, referenceOf(x, 'ledoit_wolf'), x),
    quantum_entropy: quantumEntropy(shrunk, x),
    spectral_signatures: spectralSignatures(x),
  };
}
