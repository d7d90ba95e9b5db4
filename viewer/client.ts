/**
 * Fetches what src/contract/api.ts describes, and nothing else.
 *
 * A refusal arrives as a problem document and is thrown as a `ProblemError`; a server that does not
 * answer is thrown as an `AbsentError`, for which the page keeps what it has and tries again.
 */

import type { Problem, PromptText, RowColumns, RunList } from '../src/contract/api.ts';
import type { Manifest } from '../src/contract/manifest.ts';
import type { Projection, Report } from '../src/contract/report.ts';
import { decodeTensors } from './tensors.ts';
import type { Tensor } from './tensors.ts';

/** The server answered and refused. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** The server did not answer. */
export class AbsentError extends Error {}

/** Coordinates of one plane: what a `Projection` points to. */
export interface Plane {
  /** F32 [checkpoints, rows, components] */
  readonly coordinates: Tensor;
  /** F32 [rows] */
  readonly inPlane: Tensor;
}

/** A report with the first eight digits of its hash. */
export interface SignedReport {
  readonly report: Report;
  readonly sha8: string;
}

export function fetchRuns(): Promise<RunList> {
  return getJson('/runs');
}

export async function fetchReport(run: string): Promise<SignedReport> {
  const response = await get(`/runs/${run}/report`);
  const report: Report = await response.json();
  return { report, sha8: response.headers.get('ETag')?.slice(1, 9) ?? '' };
}

export function fetchManifest(run: string): Promise<Manifest> {
  return getJson(`/runs/${run}`);
}

export function fetchRows(run: string, position: string): Promise<RowColumns> {
  return getJson(`/runs/${run}/rows/${encodeURIComponent(position)}`);
}

export function fetchPrompt(run: string, index: number): Promise<PromptText> {
  return getJson(`/runs/${run}/prompts/${index}`);
}

/** @throws {RangeError} where the file does not hold what the report says it holds. */
export async function fetchPlane(run: string, projection: Projection): Promise<Plane> {
  const { id, sha256, checkpoints, rows, components } = projection;
  const response = await get(`/runs/${run}/projections/${id}?h=${sha256.slice(0, 8)}`);
  const tensors = decodeTensors(await response.arrayBuffer());
  return {
    coordinates: expect(tensors, 'coordinates', [checkpoints.length, rows, components]),
    inPlane: expect(tensors, 'in_plane', [rows]),
  };
}

/** Whether the server answers. */
export async function isAlive(): Promise<boolean> {
  try {
    await get('/health');
    return true;
  } catch {
    return false;
  }
}

function expect(
  tensors: ReadonlyMap<string, Tensor>,
  name: string,
  shape: readonly number[],
): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined || tensor.shape.join() !== shape.join()) {
    throw new RangeError(`"${name}" is not ${shape.join(' × ')} numbers, as the report says`);
  }
  return tensor;
}

/** The server has checked the document's shape; the page does not check it again. */
async function getJson<T>(path: string): Promise<T> {
  const response = await get(path);
  const value: T = await response.json();
  return value;
}

async function get(path: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { credentials: 'omit', redirect: 'error' });
  } catch (error) {
    throw new AbsentError('the viewer server does not answer', { cause: error });
  }
  if (response.ok) return response;
  const problem: Problem | null = await response.json().catch(() => null);
  throw new ProblemError(
    problem ?? {
      title: `the server answered ${response.status}`,
      status: response.status,
      code: 'UNEXPECTED',
      where: path,
      fix: null,
    },
  );
}
