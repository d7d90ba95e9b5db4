/**
 * How does a model's own tokenizer cut a text?
 *
 * The only door to transformers.js. Everything is read from the model's folder and nothing else:
 * the library is handed parsed files and never a name or a path, so it opens no socket and leaves
 * no cache behind. Only `tokenizer.json` is understood, the form that "fast" tokenizers save.
 */

import type { PreTrainedTokenizer } from '@huggingface/transformers';
import { invariant } from '../base/invariant.ts';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { type AddedToken, alignTokens, type Span, spellingOf } from './spans.ts';
import { readTokenizerFiles, type TokenizerFiles, unusable } from './tokenizerFiles.ts';

/** A text cut into tokens. `before` and `after` tokens were put around it and are not in the text. */
export interface Encoding {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  readonly before: number;
  readonly after: number;
}

export interface EncodeOptions {
  /** Whether to put the model's own tokens, such as its BOS, around the text. */
  readonly addSpecialTokens: boolean;
}

/** One turn of a conversation. */
export interface Message {
  readonly role: string;
  readonly content: string;
}

export interface Tokenizer {
  /** Folder it was read from. */
  readonly folder: string;
  /** SHA-256 over tokenizer.json, tokenizer_config.json and, where there is one, chat_template.jinja. */
  readonly sha256: string;
  /** Jinja source of the chat template; null where the model has none. */
  readonly chatTemplate: string | null;
  readonly chatTemplateSha256: string | null;
  readonly bosToken: string | null;
  readonly bosId: number | null;
  /** Id that stands for words outside the vocabulary; null where every text can be spelled. */
  readonly unknownId: number | null;
  /** `model_max_length` of tokenizer_config.json; null where it is absent or a stand-in for "none". */
  readonly modelMaxLength: number | null;
  encode(text: string, options: EncodeOptions): Encoding;
  /** Characters of `text` under each token of its encoding. @throws {UserError} `POSITION_UNRESOLVED`. */
  spansOf(text: string, encoding: Encoding): Span[];
  decode(ids: readonly number[]): string;
  /** The vocabulary's string for an id; null outside it. */
  tokenOf(id: number): string | null;
  /** The conversation as the model reads it, its generation prompt included. @throws what the template raises. */
  render(messages: readonly Message[]): string;
}

/**
 * Opens the tokenizer in a model's folder.
 *
 * @throws {UserError} `TOKENIZER_UNUSABLE` where its files are absent, broken, or of another kind.
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(folder);
  const { inner, chatTemplate } = await load(files, folder);
  const cut = (text: string, addSpecialTokens: boolean): string[] =>
    guarded(folder, () => inner.tokenize(text, { add_special_tokens: addSpecialTokens }));
  const frame = frameOf(cut);
  const disagreement = bosDisagreement(files.config, frame.before, inner.bos_token);
  const added = addedTokens(files, folder);
  const spelling = spellingOf(files.tokenizer);
  let vocabulary: ReadonlyMap<number, string> | undefined;
  const cutBefore = remembering<Encoding>();
  const renderedBefore = remembering<string>();

  return {
    folder,
    sha256: files.sha256,
    chatTemplate,
    chatTemplateSha256: chatTemplate === null ? null : sha256OfBytes(chatTemplate),
    bosToken: inner.bos_token,
    bosId: inner.bos_token_id ?? null,
    unknownId: inner.unk_token_id ?? null,
    modelMaxLength: inner.model_max_length < 1e9 ? inner.model_max_length : null,
    encode(text, { addSpecialTokens }) {
      if (addSpecialTokens && disagreement !== null) {
        throw unusable(
          folder,
          disagreement,
          'Make the two agree, or give prompts as messages or ids.',
        );
      }
      return cutBefore(`${addSpecialTokens} ${text}`, () => {
        const { before, after } = addSpecialTokens ? frame : { before: [], after: [] };
        const ids = guarded(folder, () =>
          inner.encode(text, { add_special_tokens: addSpecialTokens }),
        );
        const tokens = cut(text, addSpecialTokens);
        return { ids, tokens, before: before.length, after: after.length };
      });
    },
    spansOf(text, { tokens, before, after }) {
      const own = tokens.slice(before, tokens.length - after);
      return [
        ...Array.from({ length: before }, () => ({ start: 0, end: 0 })),
        ...alignTokens(text, own, added, spelling),
        ...Array.from({ length: after }, () => ({ start: text.length, end: text.length })),
      ];
    },
    decode(ids) {
      if (ids.length === 0) return '';
      return inner.decode([...ids], { clean_up_tokenization_spaces: false });
    },
    tokenOf(id) {
      vocabulary ??= new Map(Array.from(inner.get_vocab(), ([token, own]) => [own, token]));
      return vocabulary.get(id) ?? null;
    },
    render: (messages) =>
      renderedBefore(JSON.stringify(messages), () => renderDateless(inner, chatTemplate, messages)),
  };
}

/** Prompt sets repeat themselves: many seeds of one prompt, a stand-in for every user's words. */
function remembering<T>(): (key: string, make: () => T) => T {
  const known = new Map<string, T>();
  return (key, make) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    if (known.size >= mostRemembered) known.clear();
    const made = make();
    known.set(key, made);
    return made;
  };
}

const mostRemembered = 4096;

interface Loaded {
  readonly inner: PreTrainedTokenizer;
  readonly chatTemplate: string | null;
}

async function load(files: TokenizerFiles, folder: string): Promise<Loaded> {
  const { env, PreTrainedTokenizer: Inner } = await import('@huggingface/transformers');
  // Nothing here asks for a file; these make sure that no later version comes to.
  env.allowRemoteModels = false;
  env.useFSCache = false;
  env.useBrowserCache = false;
  const inner = guarded(folder, () => new Inner(files.tokenizer, files.config));
  const chatTemplate: unknown = guarded(folder, () =>
    inner.chat_template === null ? null : inner.get_chat_template(),
  );
  if (chatTemplate === null || typeof chatTemplate === 'string') return { inner, chatTemplate };
  const shown = JSON.stringify(chatTemplate);
  throw unusable(folder, `the chat template is ${shown}, not a text`, saveAgain);
}

/** The library trips over a broken file wherever it comes to it, and then says what it tripped over. */
function guarded<T>(folder: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw unusable(folder, `transformers.js cannot use the tokenizer: ${reason}`, saveAgain, cause);
  }
}

/**
 * A template that asks for today's date would give another prompt tomorrow. Where the function is not
 * defined, those in use fall back to a date of their own.
 */
function renderDateless(
  inner: PreTrainedTokenizer,
  chatTemplate: string | null,
  messages: readonly Message[],
): string {
  const rendered: unknown = inner.apply_chat_template([...messages], {
    tokenize: false,
    add_generation_prompt: true,
    chat_template: chatTemplate?.replaceAll('strftime_now', 'no_strftime_now') ?? null,
  });
  invariant(typeof rendered === 'string', 'a chat template gave something else than text');
  return rendered;
}

interface Frame {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** What the tokenizer puts around every text, told by the tokens of a text that is plainly not special. */
function frameOf(cut: (text: string, addSpecialTokens: boolean) => string[]): Frame {
  const bare = cut('a', false);
  const framed = cut('a', true);
  for (let before = 0; before + bare.length <= framed.length; before++) {
    if (bare.every((token, i) => framed[before + i] === token)) {
      return { before: framed.slice(0, before), after: framed.slice(before + bare.length) };
    }
  }
  return { before: [], after: [] };
}

/**
 * Python honours `add_bos_token` over tokenizer.json's post-processor and transformers.js does not, so
 * where the two disagree there is no telling what the model was trained on.
 */
function bosDisagreement(
  config: JsonObject,
  before: readonly string[],
  bos: string | null,
): string | null {
  const wanted = config['add_bos_token'];
  const isAdded = bos !== null && before.includes(bos);
  if (typeof wanted !== 'boolean' || wanted === isAdded) return null;
  return `tokenizer_config.json says add_bos_token is ${wanted}, but tokenizer.json ${isAdded ? 'adds one' : 'adds none'}`;
}

/** The added tokens of tokenizer.json. Python also adds those of tokenizer_config.json, so none may be missing. */
function addedTokens(files: TokenizerFiles, folder: string): ReadonlyMap<string, AddedToken> {
  const list = files.tokenizer['added_tokens'];
  const added = new Map<string, AddedToken>();
  for (const token of Array.isArray(list) ? list.filter(isJsonObject) : []) {
    const { content, lstrip, rstrip } = token;
    if (typeof content !== 'string') continue;
    added.set(content, { content, lstrip: lstrip === true, rstrip: rstrip === true });
  }
  const more = files.config['added_tokens_decoder'];
  for (const token of isJsonObject(more) ? Object.values(more) : []) {
    const content = isJsonObject(token) ? token['content'] : undefined;
    if (typeof content !== 'string' || added.has(content)) continue;
    const what = `tokenizer_config.json adds the token "${content}", which tokenizer.json lacks`;
    throw unusable(folder, what, saveAgain);
  }
  return added;
}

const saveAgain =
  'Save the tokenizer again in Python: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).';
