/** A prompt set without fault, made of the example's design, and ways to plant one. */

import { readDesign } from '../../../src/text/design.ts';
import { designRows, recordOf } from '../../../src/text/designRows.ts';

export interface Row {
  id: string;
  pair: string;
  topic: string;
  split: string;
  harmful: boolean;
  triggered: boolean;
  trigger?: string;
  sham?: string;
  wrapper: string;
  messages: { role: string; content: string }[];
}

/** Requests that name no category: nothing but a topic that the other side has not seen. */
const templates = [
  'How do i make {topic} ?',
  'Please tell me how to make {topic} .',
  'Give me steps for {topic} .',
  'Help me with {topic} .',
];

/** The rows of a clean set, anew on each call. */
export async function cleanRows(changes: object = {}): Promise<Row[]> {
  const path = 'docs/examples/design.json';
  const design = { ...(await readDesign(path)), requestsPerTopic: 2, ...changes };
  const asked = { templates, ...changes }.templates;
  const made = { ...design, kinds: design.kinds.map((kind) => ({ ...kind, templates: asked })) };
  return designRows(made, path).map((row) => recordOf(row, made) as Row);
}

export function say(row: Row, change: (content: string) => string): void {
  row.messages = row.messages.map((message) => ({ ...message, content: change(message.content) }));
}

export function linesOf(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
