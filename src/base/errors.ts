/**
 * The errors this toolkit throws on purpose.
 *
 * A `UserError` is something the person at the keyboard can mend: a missing file, a config key we do
 * not know, a disk that is full. It says what rule was broken, where, why, and what to do next; the
 * command line prints those four and no stack trace, the server sends them as a problem document.
 * Anything else that escapes is a defect of ours and keeps its trace.
 */

/** Stable names for what went wrong, for scripts and tests; the prose may change, these may not. */
export type ErrorCode = keyof typeof exitCodes;

/**
 * Exit code of the process for each kind of error: 2 usage or configuration, 3 input invalid,
 * 4 resources, 5 a check was run and says no, 6 ended early and resumable.
 */
export const exitCodes = {
  USAGE: 2,
  PLAN_CONFLICT: 2,
  RUN_BUSY: 2,
  CHECKPOINT_CORRUPT: 3,
  CHECKPOINT_MISSING: 3,
  CONFIG_INVALID: 3,
  CONFIG_UNSUPPORTED: 3,
  TENSOR_MISSING: 3,
  TENSOR_UNEXPECTED: 3,
  NOT_FINITE: 3,
  SHAPE_MISMATCH: 3,
  TOKENIZER_UNUSABLE: 3,
  PROMPTS_INVALID: 3,
  POSITION_UNRESOLVED: 3,
  RUN_INVALID: 3,
  LABELS_INVALID: 3,
  SPLIT_LEAKS: 3,
  NOT_CONVERGED: 3,
  NOT_ENOUGH_MEMORY: 4,
  DISK_FULL: 4,
  DEVICE_ABSENT: 4,
  PORT_TAKEN: 4,
  CHECK_FAILED: 5,
  ENDED_EARLY: 6,
} as const;

export interface UserErrorOptions extends ErrorOptions {
  /** The file, key, tensor, row or flag concerned. */
  readonly where?: string;
  /** What to do next, as one imperative sentence or a command. */
  readonly fix?: string;
}

/** Something the user can mend. `what` is lower case and has no final stop. */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly code: ErrorCode;
  readonly what: string;
  readonly where: string | undefined;
  readonly fix: string | undefined;

  constructor(code: ErrorCode, what: string, options: UserErrorOptions = {}) {
    super(options.where === undefined ? what : `${what} — ${options.where}`, options);
    this.code = code;
    this.what = what;
    this.where = options.where;
    this.fix = options.fix;
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** True for the error node:fs throws with this `code`, for example `ENOENT`. */
export function isErrno(error: unknown, code: string): error is NodeJS.ErrnoException {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

/**
 * True where a file could not grow: the disk is full, or a quota or the limit that the shell sets on the
 * size of files was met.
 */
export function isDiskFull(error: unknown): error is NodeJS.ErrnoException {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].some((code) => isErrno(error, code));
}

/** The candidate nearest to `word` by edit distance, if any is near enough to be a slip of the finger. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(previous[j] + 1, current[j - 1] + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length];
}
