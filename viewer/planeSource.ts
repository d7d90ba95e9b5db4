/** Fetches what the plane is drawn from, once, and keeps the latest few. */

import type { RowColumns } from '../src/contract/api.ts';
import type { Projection } from '../src/contract/report.ts';
import { fetchPlane, fetchRows } from './client.ts';
import type { Plane } from './client.ts';
import { keep } from './keep.ts';
import type { PlaneData } from './views/planeParts.ts';

/** Planes kept in memory; those of a run with many layers are some megabytes each. */
const keptPlanes = 24;
const keptRows = 8;

export class PlaneSource {
  readonly #planes = new Map<string, Promise<Plane>>();
  readonly #rows = new Map<string, Promise<RowColumns>>();

  /** @throws {RangeError} where coordinates and rows do not fit each other. */
  async fetch(run: string, projection: Projection): Promise<PlaneData> {
    const { id, position } = projection;
    const [plane, rows] = await Promise.all([
      keep(this.#planes, id, () => fetchPlane(run, projection), keptPlanes),
      keep(this.#rows, position, () => fetchRows(run, position), keptRows),
    ]);
    if (rows.ids.length !== projection.rows) {
      throw new RangeError('the plane and rows.jsonl have different numbers of rows');
    }
    return { projection, plane, rows };
  }
}
