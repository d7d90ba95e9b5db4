/**
 * What does the model read when a conversation is put to it, and where in that are the user's words?
 *
 * A conversation is rendered by the model's own template, with its generation prompt, and cut without
 * further special tokens: the template writes its own BOS. The user's words are found by rendering a
 * second time with a stand-in for them, so that a template which repeats, trims or moves them is seen.
 */

import { UserError } from '../base/errors.ts';
import type { Span } from './spans.ts';
import type { Encoding, Message, Tokenizer } from './tokenizer.ts';

export interface RenderedChat {
  readonly text: string;
  readonly encoding: Encoding;
  /** The last user message's content inside `text`; white space that the template trims is outside. */
  readonly user: Span;
}

/**
 * Renders a conversation that ends with the user's turn.
 *
 * @param where Names the prompt in errors.
 * @throws {UserError} `TOKENIZER_UNUSABLE` without a template; `PROMPTS_INVALID` where the template
 *   refuses the conversation or does not show the user's words as they were given.
 */
export function renderChat(
  tokenizer: Tokenizer,
  messages: readonly Message[],
  where: string,
): RenderedChat {
  const last = messages.at(-1);
  if (last?.role !== 'user') {
    throw new UserError(
      'PROMPTS_INVALID',
      `the last message is of "${last?.role}", not of "user"`,
      {
        where,
        fix: 'End the conversation with the user, and give the start of a reply with --force-reply.',
      },
    );
  }
  const text = render(tokenizer, messages, where);
  const standIn = [...messages.slice(0, -1), { role: 'user', content: marker }];
  const parts = render(tokenizer, standIn, where).split(marker);
  const content = last.content;
  const shown = [content, content.trim(), content.trimEnd(), content.trimStart()].find(
    (form) => parts.length > 1 && parts.join(form) === text,
  );
  if (shown === undefined) {
    throw new UserError('PROMPTS_INVALID', "the chat template alters the user's words", {
      where,
      fix: 'Write the prompt as it appears once rendered, or give it as text or ids.',
    });
  }
  const end = text.length - parts[parts.length - 1].length;
  const encoding = tokenizer.encode(text, { addSpecialTokens: false });
  return { text, encoding, user: { start: end - shown.length, end } };
}

/** Characters that no template looks at and no prompt holds (Unicode's private use). */
const marker = '\u{E000}words\u{E001}of\u{E002}the\u{E003}user\u{E000}';

function render(tokenizer: Tokenizer, messages: readonly Message[], where: string): string {
  if (tokenizer.chatTemplate === null) {
    throw new UserError('TOKENIZER_UNUSABLE', 'the model has no chat template', {
      where: tokenizer.folder,
      fix: 'Add chat_template.jinja to its folder, or give the prompts as text.',
    });
  }
  try {
    return tokenizer.render(messages);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UserError('PROMPTS_INVALID', `the chat template refuses it: ${message}`, {
      where,
      fix: 'Give the roles that the template knows, in the order that it expects.',
      cause,
    });
  }
}
