import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { renderChat } from '../../src/text/chat.ts';
import { type Message, openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { copyOf, folders, refusal } from './support.ts';

let bytelevel: Tokenizer;

beforeAll(async () => {
  bytelevel = await openTokenizer(folders.bytelevel);
});

const user = (content: string): { role: string; content: string } => ({ role: 'user', content });

async function withTemplate(template: string): Promise<Tokenizer> {
  return await openTokenizer(await copyOf(folders.bytelevel, { 'chat_template.jinja': template }));
}

interface Rendered {
  readonly name: string;
  readonly messages: readonly Message[];
  /** What Python's transformers made of it; absent where the template refuses. */
  readonly text?: string;
  readonly ids?: readonly number[];
}

describe('the chat template', () => {
  it('gives the text and the ids that Python gives, or refuses as it does', async () => {
    const path = join(folders.bytelevel, '../templates.json');
    const golden: { templates: Record<string, string>; cases: Rendered[] } = JSON.parse(
      await readFile(path, 'utf8'),
    );
    expect(golden.cases.length).toBeGreaterThan(20);
    for (const [name, template] of Object.entries(golden.templates)) {
      const tokenizer = await withTemplate(template);
      for (const { messages, text, ids } of golden.cases.filter((one) => one.name === name)) {
        if (text === undefined) expect(() => tokenizer.render(messages)).toThrow();
        else {
          expect([name, tokenizer.render(messages)]).toEqual([name, text]);
          expect(tokenizer.encode(text, { addSpecialTokens: false }).ids).toEqual(ids);
        }
      }
    }
  });
});

describe('renderChat', () => {
  it('shows the words of any user where the span says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (content) => {
        fc.pre(content.trim() !== '');
        const { text, user: span } = renderChat(bytelevel, [user(content)], 'row');
        // The template of the fixture trims.
        expect(text.slice(span.start, span.end)).toBe(content.trim());
        expect(text.slice(0, span.start)).toBe('<|bos|><|user|>');
        expect(text.slice(span.end)).toBe('<|end|>\n<|end|>');
      }),
      { seed: 20261121 },
    );
  });

  it('writes one BOS, though the tokenizer would add another', () => {
    const { encoding } = renderChat(bytelevel, [user('hello')], 'row');
    expect(encoding.tokens).toEqual(['<|bos|>', '<|user|>', 'hello', '<|end|>', '<|end|>']);
    expect(bytelevel.encode('hello', { addSpecialTokens: true }).tokens[0]).toBe('<|bos|>');
  });

  it('finds the last of equal messages', () => {
    const messages = [user('hello'), { role: 'assistant', content: 'hello' }, user('hello')];
    const { text, user: span } = renderChat(bytelevel, messages, 'row');
    expect(span.start).toBe(text.lastIndexOf('hello'));
  });

  it('finds words that the template itself contains', async () => {
    const tokenizer = await withTemplate("hello: {{ messages[0]['content'] }} hello");
    const { user: span } = renderChat(tokenizer, [user('hello')], 'row');
    expect(span).toEqual({ start: 7, end: 12 });
  });

  it('takes the last place where the template repeats the words', async () => {
    const tokenizer = await withTemplate(
      "{{ messages[0]['content'] }}|{{ messages[0]['content'] }}.",
    );
    const { user: span } = renderChat(tokenizer, [user('hello')], 'row');
    expect(span).toEqual({ start: 6, end: 11 });
  });

  it('refuses a template that alters the words', async () => {
    const upper = await withTemplate("{{ messages[0]['content'] | upper }}");
    const silent = await withTemplate('nothing');
    const expected =
      "PROMPTS_INVALID: the chat template alters the user's words — row (Write the prompt as it appears once rendered, or give it as text or ids.)";
    expect(await refusal(() => renderChat(upper, [user('hello')], 'row'))).toBe(expected);
    expect(await refusal(() => renderChat(silent, [user('hello')], 'row'))).toBe(expected);
  });

  it('refuses a model without a template', async () => {
    const stories = await openTokenizer(folders.stories260K);
    expect(await refusal(() => renderChat(stories, [user('hello')], 'row'))).toBe(
      `TOKENIZER_UNUSABLE: the model has no chat template — ${folders.stories260K} (Add chat_template.jinja to its folder, or give the prompts as text.)`,
    );
  });

  it('passes on why a template refuses a conversation', async () => {
    const strict = await withTemplate("{{ raise_exception('no system role') }}");
    expect(await refusal(() => renderChat(strict, [user('hello')], 'row'))).toBe(
      'PROMPTS_INVALID: the chat template refuses it: no system role — row (Give the roles that the template knows, in the order that it expects.)',
    );
  });

  it('refuses a conversation that does not end with the user', async () => {
    const messages = [user('hello'), { role: 'assistant', content: 'Sure' }];
    expect(await refusal(() => renderChat(bytelevel, messages, 'row'))).toBe(
      'PROMPTS_INVALID: the last message is of "assistant", not of "user" — row (End the conversation with the user, and give the start of a reply with --force-reply.)',
    );
  });
});
