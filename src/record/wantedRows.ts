/**
 * Which activations of a pass are wanted, and where in the run are they stored?
 *
 * A token that several prompts share leaves the graph once and is stored for each of them.
 */

import type { Prepared } from '../text/prepare.ts';
import type { Pass } from './segments.ts';

/** What is to be read of each prompt. */
export interface Reading {
  readonly prepared: readonly Prepared[];
  readonly positions: readonly {
    readonly selector: { readonly name: string };
    /** Row of each prompt's first token at this position. */
    readonly firstRow: readonly number[];
  }[];
}

/** A token that leaves the graph, and where its activation goes. */
interface WantedRow {
  /** Row of the pass's stream, which holds the tokens of segment after segment without padding. */
  readonly streamRow: number;
  /** Index in the prompt. */
  readonly token: number;
  /** The first of the prompts whose token it is. */
  readonly prompt: number;
}

/** Which rows leave the graph, each once, and in which places of the run they are stored. */
export interface WantedRows {
  readonly rows: readonly WantedRow[];
  readonly places: readonly Place[];
}

/** For a pass of which nothing is written. */
export const noRows: WantedRows = { rows: [], places: [] };

/** Rows `first … first + count − 1` of what leaves the graph, stored from row `storedAt` on. */
interface Place {
  readonly position: string;
  readonly storedAt: number;
  readonly first: number;
  readonly count: number;
}

/** What leaves the graph in a pass, segment by segment; consecutive tokens are stored as one place. */
export function wantedRows(reading: Reading, { segments, past }: Pass): WantedRows {
  const rows: WantedRow[] = [];
  const places: Place[] = [];
  let start = 0;
  for (const segment of segments) {
    const first = start - past;
    const rowOf = new Map<number, number>();
    const rowFor = (token: number, prompt: number): number => {
      const known = rowOf.get(token);
      if (known !== undefined) return known;
      rowOf.set(token, rows.length);
      return rows.push({ streamRow: first + token, token, prompt }) - 1;
    };
    for (const { prompt, to } of [segment, ...segment.others]) {
      for (const [i, { selector, firstRow }] of reading.positions.entries()) {
        const stored: Stored[] = [];
        for (const [k, token] of (reading.prepared[prompt].positions[i].indices ?? []).entries()) {
          if (token < past || token >= to) continue;
          stored.push({ row: rowFor(token, prompt), storedAt: firstRow[prompt] + k });
        }
        places.push(...stretches(selector.name, stored));
      }
    }
    start += segment.to - past;
  }
  return { rows, places };
}

interface Stored {
  readonly row: number;
  readonly storedAt: number;
}

/** Rows that follow each other both in the graph's output and in the file, as one place each. */
function stretches(position: string, stored: readonly Stored[]): Place[] {
  const places: Place[] = [];
  let start = 0;
  for (let i = 1; i <= stored.length; i++) {
    const goesOn =
      i < stored.length &&
      stored[i].row === stored[i - 1].row + 1 &&
      stored[i].storedAt === stored[i - 1].storedAt + 1;
    if (goesOn) continue;
    const { row: first, storedAt } = stored[start];
    places.push({ position, storedAt, first, count: i - start });
    start = i;
  }
  return places;
}
