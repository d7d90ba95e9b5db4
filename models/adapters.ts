/**
 * What does an adapter change in this model?
 *
 * Every tensor of the adapter must find its weight, and every weight that the adapter's config speaks
 * of must find its tensors: peft itself passes over both kinds of gap, and then computes something else
 * than what was trained.
 *
 * @see Hu et al. 2021, arXiv:2106.09685 (LoRA); Kalajdzievski 2023, arXiv:2312.03732 (rsLoRA);
 *   Liu et al. 2024, arXiv:2402.09353 (DoRA).
 */

import { UserError } from '../src/base/errors.ts';
import { equalTensors } from '../src/files/compare.ts';
import type { Adapter } from '../src/files/peft.ts';
import { isTargeted, isWithin, rankAndScale } from '../src/files/peftSettings.ts';
import type { StoredTensor } from '../src/files/safetensors.ts';
import {
  absent,
  noPlace,
  readAdapterTensors,
  requireShape,
  type AdapterTensors,
  type Factors,
} from './adapterTensors.ts';
import type { Parameter } from './architecture.ts';
import { parametersOf, type Model } from './model.ts';

export type Change = { readonly kind: 'replace'; readonly tensor: StoredTensor } | LowRank;

/** W + scale · B · A, each output's weights then brought to the length `magnitude` if there is one. */
export interface LowRank {
  readonly kind: 'low-rank';
  /** `[r, in]` */
  readonly a: StoredTensor;
  /** `[out, r]` */
  readonly b: StoredTensor;
  /** `[out]` */
  readonly magnitude: StoredTensor | null;
  readonly scale: number;
  /** How the weight is stored: `[out, in]`, or `[in, out]` as in tables of embeddings. */
  readonly layout: 'out-in' | 'in-out';
}

export interface Match {
  /** The base with the settings that it has under the adapter. */
  readonly model: Model;
  /** What happens to each weight, in order. */
  readonly changes: ReadonlyMap<string, readonly Change[]>;
  /** Weights that were not the base's own before: the name → that of the weight it starts from. */
  readonly untied: ReadonlyMap<string, string>;
}

const head = 'lm_head.weight';

/** @throws {UserError} naming the tensor that is missing, left over, or of the wrong shape. */
export async function matchAdapter(base: Model, adapter: Adapter): Promise<Match> {
  const tensors = readAdapterTensors(base.architecture, adapter);
  const { embedding } = base.architecture;
  const staysTied =
    base.settings.isTied &&
    (adapter.settings.keepsTies
      ? !tensors.factors.has(head) && !tensors.whole.has(head)
      : ![embedding, head].some(
          (name) => tensors.factors.has(name) || isSaved(adapter, tensors, name),
        ));
  await requireOneStorage(base, adapter, tensors);
  const settings = {
    ...base.settings,
    isTied: staysTied,
    vocabulary: vocabularyOf(base, tensors),
  };
  const parameters = parametersOf(base.architecture, settings);
  const changes = new Map<string, Change[]>();
  for (const parameter of parameters) {
    const list = changesOf(parameter, base, adapter, tensors);
    if (list.length > 0) changes.set(parameter.name, list);
    if (list[0]?.kind !== 'replace') requireSameSize(parameter, base, settings.vocabulary, adapter);
  }
  requireAllUsed(base, adapter, tensors, changes);
  requireComplete(base, adapter, tensors, parameters);
  const untied = new Map(base.settings.isTied && !staysTied ? [[head, embedding]] : []);
  const weights = new Map(base.weights);
  const table = base.weights.get(embedding);
  if (untied.size > 0 && table !== undefined) weights.set(head, table);
  return { model: { ...base, settings, weights }, changes, untied };
}

function changesOf(
  parameter: Parameter,
  base: Model,
  adapter: Adapter,
  tensors: AdapterTensors,
): Change[] {
  const changes: Change[] = [];
  const whole = wholeFor(parameter.name, base, adapter, tensors);
  if (whole !== undefined) {
    requireShape(whole, parameter.shape, 'the model asks for');
    changes.push({ kind: 'replace', tensor: whole });
  }
  const factors = tensors.factors.get(parameter.name);
  if (factors !== undefined) changes.push(lowRank(parameter, base, adapter, factors));
  return changes;
}

/** A vocabulary that grows must do so in every weight that knows it. */
function requireSameSize(
  { name, shape }: Parameter,
  base: Model,
  vocabulary: number,
  adapter: Adapter,
): void {
  const stored = base.weights.get(
    name === head && base.settings.isTied ? base.architecture.embedding : name,
  );
  if (stored === undefined || stored.shape.join() === shape.join()) return;
  throw absent(`"${name}" for its vocabulary of ${vocabulary}`, adapter);
}

/** The tensor that replaces a weight: its own, or that of the weight it shares its storage with. */
function wholeFor(
  name: string,
  base: Model,
  adapter: Adapter,
  tensors: AdapterTensors,
): StoredTensor | undefined {
  const own = tensors.whole.get(name)?.tensor;
  const { embedding } = base.architecture;
  if (own !== undefined || !base.settings.isTied) return own;
  const other = name === head ? embedding : name === embedding ? head : undefined;
  // What modules_to_save names was trained as a copy, and leaves the other use as it was.
  if (other === undefined || (isSaved(adapter, tensors, other) && !adapter.settings.keepsTies)) {
    return undefined;
  }
  return tensors.whole.get(other)?.tensor;
}

/** Whether the whole weight is there because `modules_to_save` says so. */
function isSaved(adapter: Adapter, tensors: AdapterTensors, name: string): boolean {
  const whole = tensors.whole.get(name);
  return (
    whole !== undefined &&
    adapter.settings.savedModules.some((saved) => isWithin(whole.module, saved))
  );
}

function lowRank(
  { name, shape, layout }: Parameter,
  base: Model,
  adapter: Adapter,
  { module, isTable, a, b, magnitude }: Factors,
): LowRank {
  const where = `${adapter.folder} → ${module}`;
  const { settings } = adapter;
  if (shape.length !== 2 || isTable !== isTableOf(base, name)) {
    throw new UserError('TENSOR_UNEXPECTED', `"${module}" is not a module of that kind`, {
      where,
      fix: 'Check that the adapter was trained on this base.',
    });
  }
  if (a === undefined) throw absent(`lora_${isTable ? 'embedding_' : ''}A of "${module}"`, adapter);
  if (b === undefined) throw absent(`lora_${isTable ? 'embedding_' : ''}B of "${module}"`, adapter);
  const isTransposed = isTable || layout === 'in-out';
  const [inputs, outputs] = isTransposed ? shape : shape.toReversed();
  const { rank, scale } = rankAndScale(settings, module);
  requireShape(a, [rank, inputs], 'the base and the rank ask for');
  requireShape(b, [outputs, rank], 'the base and the rank ask for');
  if (settings.hasMagnitudes) {
    if (magnitude === undefined) throw absent(`lora_magnitude_vector of "${module}"`, adapter);
    requireShape(magnitude, [outputs], 'the base asks for');
  }
  return {
    kind: 'low-rank',
    a,
    b,
    magnitude: magnitude ?? null,
    scale,
    layout: isTransposed ? 'in-out' : 'out-in',
  };
}

/** Whether rows of the weight are looked up rather than multiplied. */
function isTableOf({ architecture }: Model, name: string): boolean {
  return name === architecture.embedding || /^(wpe|embed_positions)\.weight$/.test(name);
}

/** Rows of the embedding that the adapter brings, or as many as the base has. */
function vocabularyOf(base: Model, { whole }: AdapterTensors): number {
  const own = [base.architecture.embedding, head].flatMap((name) => {
    const tensor = whole.get(name)?.tensor;
    return tensor?.shape.length === 2 ? [tensor.shape[0]] : [];
  });
  return own[0] ?? base.settings.vocabulary;
}

/** A tied model that was saved with both its matrices must have saved the same one twice. */
async function requireOneStorage(
  base: Model,
  adapter: Adapter,
  tensors: AdapterTensors,
): Promise<void> {
  const { embedding } = base.architecture;
  const [table, unembedding] = [tensors.whole.get(embedding), tensors.whole.get(head)];
  if (!base.settings.isTied || table === undefined || unembedding === undefined) return;
  const isCopy = isSaved(adapter, tensors, embedding) || isSaved(adapter, tensors, head);
  if (isCopy && !adapter.settings.keepsTies) return;
  if (await equalTensors(table.tensor, unembedding.tensor)) return;
  throw new UserError(
    'TENSOR_UNEXPECTED',
    `the head is tied, yet "${unembedding.tensor.name}" is not "${table.tensor.name}"`,
    {
      where: unembedding.tensor.file,
      fix: 'Add lm_head to modules_to_save if it was trained on its own, or save the adapter again.',
    },
  );
}

function requireAllUsed(
  base: Model,
  adapter: Adapter,
  { factors, whole }: AdapterTensors,
  changes: ReadonlyMap<string, readonly Change[]>,
): void {
  const { settings } = adapter;
  for (const [name, { module, first, magnitude }] of factors) {
    if (!changes.has(name)) throw noPlace(first, `the base has no module "${module}"`);
    const follows = name === head && settings.keepsTies && factors.has(base.architecture.embedding);
    if (!follows && !isTargeted(settings, module, isLinear(base, name))) {
      throw noPlace(first, `target_modules does not name "${module}"`);
    }
    if (!settings.hasMagnitudes && magnitude !== undefined) {
      throw noPlace(magnitude, 'use_dora is false');
    }
  }
  for (const [name, { module, tensor }] of whole) {
    const isShared = base.settings.isTied && name === head;
    if (!changes.has(name) && !isShared) throw noPlace(tensor, `the base has no "${name}"`);
    if (!isTrained(base, adapter, name, module)) {
      throw noPlace(tensor, 'nothing in its config says that this weight was trained');
    }
  }
}

/** Whether the config, or a vocabulary that was changed, explains that a weight is in the file whole. */
function isTrained(base: Model, { settings }: Adapter, name: string, module: string): boolean {
  if (settings.savedModules.some((saved) => isWithin(module, saved))) return true;
  if (name === base.architecture.embedding || name === head) return true;
  return name.endsWith('.bias') && hasTrainedBias(base, settings, name, module);
}

function hasTrainedBias(
  base: Model,
  settings: Adapter['settings'],
  name: string,
  module: string,
): boolean {
  if (settings.bias !== 'lora_only') return settings.bias === 'all';
  return isTargeted(settings, module, isLinear(base, name.replace(/bias$/, 'weight')));
}

/** Whether a weight is that of a linear map other than the head. */
function isLinear(base: Model, name: string): boolean {
  return name !== head && !isTableOf(base, name) && base.weights.get(name)?.shape.length === 2;
}

/** Everything that the config says was trained must be there. */
function requireComplete(
  base: Model,
  adapter: Adapter,
  tensors: AdapterTensors,
  parameters: readonly Parameter[],
): void {
  const { settings } = adapter;
  for (const { name, shape } of parameters) {
    const module = tensors.moduleOf(name);
    const isMatrix = name.endsWith('.weight') && shape.length === 2;
    if (
      isMatrix &&
      !tensors.factors.has(name) &&
      isTargeted(settings, module, isLinear(base, name))
    ) {
      throw absent(`lora_A and lora_B of "${module}", which target_modules names`, adapter);
    }
    const isKept = settings.savedModules.some((saved) => isWithin(module, saved));
    if (isKept && wholeFor(name, base, adapter, tensors) === undefined) {
      throw absent(`"${name}", which modules_to_save names`, adapter);
    }
    if (
      name.endsWith('.bias') &&
      !tensors.whole.has(name) &&
      hasTrainedBias(base, settings, name, module)
    ) {
      throw absent(`"${name}", which bias "${settings.bias}" says was trained`, adapter);
    }
  }
}
