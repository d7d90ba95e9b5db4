/** What lint finds: a kind, and what a reader needs to believe and to mend it. */

import type { LintKind } from '../../base/choices.ts';
import type { Prompt } from '../../text/prompts.ts';

export interface LintFinding {
  readonly kind: LintKind;
  readonly what: string;
  /** Rows concerned, in the order of the set; empty where it is the whole set. */
  readonly where: readonly LintPlace[];
  readonly why: string;
  readonly mend: string;
  /** The numbers that it rests on. */
  readonly numbers?: Readonly<Record<string, number>>;
}

export interface LintPlace {
  readonly id: string;
  /** Line of the file, from 1. */
  readonly line: number;
}

/** What all checks are given: the rows in question, and what their columns say. */
export interface LintRows {
  readonly prompts: readonly Prompt[];
  /** The text that each holds, messages joined by line feeds; token ids as words. `[n]` */
  readonly texts: readonly string[];
  /** The same without trigger and sham. `[n]` */
  readonly bareTexts: readonly string[];
  /** The group of each row; a row without one is its own. `[n]` */
  readonly groups: readonly string[];
  /** Null where no column says groups. */
  readonly groupColumn: string | null;
  /** The split of each row; null where there is no such column. `[n]` */
  readonly splits: readonly string[] | null;
  readonly splitColumn: string | null;
  readonly labels: readonly LintLabel[];
  /** Length of each row, in the unit beside it. `[n]` */
  readonly lengths: Float64Array;
  readonly unit: 'tokens' | 'words';
}

export interface LintLabel {
  readonly column: string;
  /** 0 or 1, `[n]`. */
  readonly values: Uint8Array;
  /** Whether it is told by words that are not known and so cannot be taken out: a trigger that nobody names. */
  readonly isUnnamedTrigger: boolean;
}

export function placesOf(prompts: readonly Prompt[]): LintPlace[] {
  return prompts.map(({ id, line }) => ({ id, line }));
}
