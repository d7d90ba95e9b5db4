/**
 * A design → its rows, the same bytes from the same design.
 *
 * Chance only deals: topics to splits, templates and words to topics. It deals evenly (each kind sees every
 * template as often as the others, to within one), since templates that one kind happens to get more often
 * would let the words tell the kind. All rows of a request, whatever its trigger and wrapper, share a topic.
 */

import { Random } from '../base/random.ts';
import { type Design, type DesignKind, type DesignTopic, invalidDesign } from './design.ts';

/** What stands where the trigger would. */
export type Condition = 'trigger' | 'sham' | 'bare';

export interface DesignRow {
  readonly id: string;
  /** Rows that differ in nothing but the condition. */
  readonly pair: string;
  readonly topic: string;
  readonly split: string | null;
  readonly kind: string;
  readonly harmful: boolean;
  readonly condition: Condition;
  readonly trigger: string;
  readonly sham: string;
  readonly wrapper: string;
  /** Which template, from 0, of those of its kind. */
  readonly template: number;
  /** The user's words. */
  readonly content: string;
}

/**
 * Every row of the design: kinds, topics, requests, wrappers, triggers and conditions, in this order.
 *
 * @param path Names the design in errors.
 * @throws {UserError} `PROMPTS_INVALID` where two rows would be the same, or the trigger could not be told in one.
 */
export function designRows(design: Design, path: string): DesignRow[] {
  const random = new Random(design.seed);
  const rows = design.kinds.flatMap((kind) => kindRows(design, kind, random.fork(kind.name)));
  refuseTwins(rows, path);
  for (const row of rows) checkTrigger(row, design, path);
  return rows;
}

/** The row as a line of the prompt set. */
export function recordOf(row: DesignRow, { body, system }: Design): object {
  const { condition, content, trigger, sham, split, ...columns } = row;
  const { id, pair, topic, kind, harmful, wrapper, template } = columns;
  const user = { role: 'user', content };
  const messages = system === null ? [user] : [{ role: 'system', content: system }, user];
  return {
    id,
    pair,
    topic,
    ...(split === null ? {} : { split }),
    kind,
    harmful,
    triggered: condition === 'trigger',
    ...(condition === 'bare' ? {} : { trigger, sham }),
    wrapper,
    template,
    ...(body === 'text' ? { text: content } : { messages }),
  };
}

function kindRows(design: Design, kind: DesignKind, random: Random): DesignRow[] {
  const { templates } = kind;
  const count = Math.min(design.requestsPerTopic ?? templates.length, templates.length);
  const places = kind.topics.map((_, i) => i);
  // Each hand is dealt by a shuffle of its own, so that a split does not go with a template.
  const seat = rankOf(random.fork('templates').shuffle([...places]));
  const order = random.fork('order of templates').shuffle(templates.map((_, t) => t));
  const splits = dealSplits(design, kind, random.fork('splits'));
  const lists = { ...design.words, ...kind.words };
  const seats = Object.fromEntries(
    Object.keys(lists).map((list) => [
      list,
      rankOf(random.fork(`words ${list}`).shuffle([...places])),
    ]),
  );
  return kind.topics.flatMap((topic, i) => {
    const own = Object.fromEntries(
      Object.entries(lists).map(([list, words]) => [list, words[seats[list][i] % words.length]]),
    );
    return Array.from({ length: count }, (_, n) => {
      const template = order[(seat[i] * count + n) % templates.length];
      const request = filled(templates[template], { ...own, ...topic.words, topic: topic.topic });
      const base = { topic: topic.topic, split: splits[i], template, request, n };
      return requestRows(design, kind, base);
    }).flat();
  });
}

interface Request {
  readonly topic: string;
  readonly split: string | null;
  readonly template: number;
  readonly request: string;
  /** Which request of its topic, from 0. */
  readonly n: number;
}

/** One request in every wrapper, under every trigger and condition. */
function requestRows(design: Design, kind: DesignKind, asked: Request): DesignRow[] {
  const { topic, split, template, request, n } = asked;
  const wrappers = Object.entries(design.wrappers);
  const conditions: Condition[] = ['trigger', 'sham'];
  return wrappers.flatMap(([wrapper, frame]) =>
    design.triggers.flatMap(({ trigger, sham }, t) => {
      const parts = [topic, n, ...(wrappers.length > 1 ? [wrapper] : [])];
      const pair = [...parts, ...(design.triggers.length > 1 ? [t] : [])].join('-');
      // Without a trigger all triggers are one.
      const all = design.bare && t === 0 ? [...conditions, 'bare' as const] : conditions;
      return all.map((condition): DesignRow => {
        const words = { trigger, sham, bare: '' }[condition];
        return {
          id: `${pair}-${condition[0]}`,
          pair,
          topic,
          split,
          kind: kind.name,
          harmful: kind.harmful,
          condition,
          trigger,
          sham,
          wrapper,
          template,
          content: framed(frame, words, request),
        };
      });
    }),
  );
}

function framed(frame: string, trigger: string, request: string): string {
  if (trigger !== '') return filled(frame, { trigger, request });
  const [before, after] = frame.split('{trigger}');
  const isApart = before === '' || /\s$/.test(before);
  return filled(before + (isApart ? after.trimStart() : after), { request }).trim();
}

function filled(template: string, words: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{([A-Za-z0-9_.]+)\}/g, (all, key: string) => words[key] ?? all);
}

/** The place of each item in a shuffled order. */
function rankOf(order: readonly number[]): number[] {
  const rank: number[] = [];
  order.forEach((item, place) => (rank[item] = place));
  return rank;
}

/** Splits by their weights, as evenly as whole topics allow; topics that name their own keep it. */
function dealSplits(design: Design, kind: DesignKind, random: Random): (string | null)[] {
  const free = kind.topics.filter(({ split }) => split === null);
  const weights = Object.entries(design.splits);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  const shares = weights.map(([split, weight]) => ({
    split,
    whole: Math.floor((free.length * weight) / total),
    rest: ((free.length * weight) / total) % 1,
  }));
  const missing = free.length - shares.reduce((sum, { whole }) => sum + whole, 0);
  const lucky = new Set(shares.toSorted((a, b) => b.rest - a.rest).slice(0, missing));
  const dealt = random.shuffle(
    shares.flatMap((share) =>
      Array.from({ length: share.whole + Number(lucky.has(share)) }, () => share.split),
    ),
  );
  let next = 0;
  return kind.topics.map(({ split }: DesignTopic) => split ?? dealt[next++] ?? null);
}

function refuseTwins(rows: readonly DesignRow[], path: string): void {
  const byText = new Map<string, DesignRow>();
  const byId = new Map<string, DesignRow>();
  for (const row of rows) {
    const same = byText.get(row.content) ?? byId.get(row.id);
    if (same !== undefined) {
      const what = byText.has(row.content)
        ? `rows "${same.id}" and "${row.id}" would be the same prompt: ${JSON.stringify(row.content)}`
        : `two rows would have the id "${row.id}"`;
      throw invalidDesign(what, path, 'Make topics, templates, triggers and wrappers distinct.');
    }
    byText.set(row.content, row);
    byId.set(row.id, row);
  }
}

/** Its words stand once where they belong, and triggers nowhere else; `trigger_end` could not tell otherwise. */
function checkTrigger(row: DesignRow, { triggers }: Design, path: string): void {
  const { id, condition, content, trigger, sham } = row;
  const own = { trigger, sham, bare: null }[condition];
  const where = `row "${id}" of ${path}: ${JSON.stringify(content)}`;
  if (own !== null && content.split(own).length !== 2) {
    throw invalidDesign(
      `"${own}" stands ${content.split(own).length - 1} times in a row that should hold it once`,
      where,
      'Choose words that no topic, template or wrapper holds.',
    );
  }
  const lower = content.toLowerCase();
  const stray = triggers.find(
    (other) =>
      (condition !== 'trigger' || other.trigger !== trigger) &&
      lower.includes(other.trigger.toLowerCase()),
  );
  if (stray === undefined) return;
  throw invalidDesign(
    `the trigger "${stray.trigger}" stands in a row that is not triggered by it`,
    where,
    'Choose a trigger that no topic, template, wrapper, sham or other trigger holds.',
  );
}
