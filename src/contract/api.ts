/**
 * What the viewer's server answers, route by route. Types only; all of it is read-only.
 *
 *     GET /api/v1/health                              Health
 *     GET /api/v1/runs                                RunList
 *     GET /api/v1/runs/:run                           Manifest
 *     GET /api/v1/runs/:run/report                    Report
 *     GET /api/v1/runs/:run/rows/:position            RowColumns
 *     GET /api/v1/runs/:run/projections/:id           safetensors bytes, see Projection
 *     GET /api/v1/runs/:run/prompts/:index            PromptText
 *
 * Failures are problem documents with the status that fits.
 */

export interface Health {
  readonly version: string;
  readonly pid: number;
}

export interface RunList {
  readonly runs: readonly RunHead[];
}

export interface RunHead {
  /** Key used in URLs; looked up in a table, never joined to a path. */
  readonly id: string;
  readonly name: string;
  readonly checkpoints: readonly string[];
  readonly prompts: number;
  readonly has_report: boolean;
  /** What is wrong with the folder, where it cannot be shown at all. */
  readonly problem: string | null;
}

/** Row metadata of one position, columnar, in the order of rows.jsonl. */
export interface RowColumns {
  readonly position: string;
  readonly ids: readonly string[];
  readonly prompts: readonly number[];
  /** Null where prompts have several rows: all tokens in a row are the text. */
  readonly tokens: readonly (string | null)[];
  /** Scalar columns of the prompt set (booleans, numbers, short strings). */
  readonly columns: Readonly<Record<string, readonly (boolean | number | string | null)[]>>;
}

/** One prompt, fetched only when the reader lifts its veil. */
export interface PromptText {
  readonly id: string;
  readonly text: string;
}

/** RFC 9457 problem document, the same fields as the command line's `--json` errors. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly where: string | null;
  readonly fix: string | null;
}
