/**
 * A plane in which a shift can be seen: principal components of the pooled rows of two checkpoints.
 *
 * Or, as temporal PCA, of the rows of each about their own mean and of the shifts, so that a shift which all
 * rows share cannot fall out of the plane. The basis belongs to the pair; every checkpoint of the run is projected into it, so that pictures of
 * different checkpoints share axes, centre and scale.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import type { Projection } from '../contract/report.ts';
import { sha256OfBytes, writeFileAtomic } from '../files/atomic.ts';
import { encodeSafetensors } from '../files/safetensors.ts';
import { parseSite } from '../graph/sites.ts';
import { through, type Multiply } from '../math/multiply.ts';
import { rowsOf, type Rows } from '../math/rows.ts';
import { fitPcaSteps, fitTemporalPcaSteps, project } from '../../probes/pca.ts';
import { inPlaneShare } from '../../probes/shift.ts';
import type { Run } from '../record/run.ts';
import { entryId } from './ids.ts';

export interface ProjectionRequest {
  readonly before: string;
  readonly after: string;
  readonly position: string;
  readonly site: string;
  /** What spans the plane; `pooled` if left out. */
  readonly basis?: 'pooled' | 'temporal';
}

/** Axes kept; the scatter shows two of them. */
const componentCount = 5;

/**
 * @param multiply Carries out large products; in this language if left out.
 * @returns null where there is no plane to see a shift in: rows vary along fewer than two directions, as one
 *   token's embeddings do, or nothing moved.
 */
export async function projection(
  run: Run,
  request: ProjectionRequest,
  multiply?: Multiply,
): Promise<Projection | null> {
  const { before, after, position, site, basis = 'pooled' } = request;
  const checkpoints = run.manifest.checkpoints
    .filter(({ files }) => Object.hasOwn(files, site))
    .map(({ name }) => name);
  const rows = new Map<string, Rows>();
  for (const name of checkpoints) rows.set(name, await run.activations(name, site, position));
  const [first, second] = [activationsOf(rows, before), activationsOf(rows, after)];
  const count = Math.min(componentCount, first.d, 2 * first.n - 1);
  const steps =
    basis === 'pooled'
      ? fitPcaSteps(stacked(first, second), count, { least: 0 })
      : fitTemporalPcaSteps(first, second, count, { least: 0 });
  const pca = await through(steps, multiply);
  const k = pca.components.n;
  if (k < 2) return null;
  const coordinates = new Float32Array(checkpoints.length * first.n * k);
  [...rows.values()].forEach((values, c) => {
    coordinates.set(project(pca, values).data, c * first.n * k);
  });
  const plane = rowsOf(2, first.d, pca.components.data.subarray(0, 2 * first.d));
  const share = inPlaneShare(first, second, plane);
  if (!Number.isFinite(share.pooled)) return null;
  const bytes = encodeSafetensors([
    {
      name: 'coordinates',
      dtype: 'F32',
      shape: [checkpoints.length, first.n, k],
      data: coordinates,
    },
    {
      name: 'components',
      dtype: 'F32',
      shape: [k, first.d],
      data: Float32Array.from(pca.components.data),
    },
    { name: 'mean', dtype: 'F32', shape: [first.d], data: Float32Array.from(pca.mean) },
    { name: 'in_plane', dtype: 'F32', shape: [first.n], data: Float32Array.from(share.rows) },
  ]);
  const { kind, block } = parseSite(site);
  const words = [basis === 'pooled' ? 'pca' : 'temporal', `${before}-${after}`, position, site];
  const id = entryId(words, { before, after, position, site, basis });
  const file = `probes/${id}.safetensors`;
  await writeFileAtomic(join(run.folder, file), bytes);
  return {
    id,
    position,
    site,
    site_kind: kind,
    layer: block ?? 0,
    pair: `${before}..${after}`,
    checkpoints,
    rows: first.n,
    components: k,
    explained: pca.explained,
    ...(basis === 'pooled' ? {} : { basis }),
    in_plane: share.pooled,
    file,
    sha256: sha256OfBytes(bytes),
  };
}

function activationsOf(rows: ReadonlyMap<string, Rows>, name: string): Rows {
  const found = rows.get(name);
  if (found !== undefined) return found;
  throw new UserError('USAGE', `the run holds no activations of "${name}" there`, {
    fix: `Choose among ${[...rows.keys()].join(', ')}.`,
  });
}

/** One matrix above the other. Shape: `[n, d], [m, d] → [n + m, d]`. */
function stacked(a: Rows, b: Rows): Rows {
  const data = new Float64Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return rowsOf(a.n + b.n, a.d, data);
}
