/**
 * Which weight does each tensor of an adapter belong to?
 *
 * peft names tensors `base_model.model.MODULE.lora_A.weight`, with the module as it is called inside
 * the model in memory; here they are sorted by the name of the weight that they change.
 */

import { UserError } from '../src/base/errors.ts';
import type { Adapter } from '../src/files/peft.ts';
import type { StoredTensor } from '../src/files/safetensors.ts';
import type { Architecture } from './architecture.ts';

/** The low-rank matrices of one module. */
export interface Factors {
  /** The module as the adapter calls it. */
  readonly module: string;
  /** Whether its rows are looked up (`lora_embedding_A`). */
  readonly isTable: boolean;
  /** One of those below. */
  readonly first: StoredTensor;
  readonly a?: StoredTensor;
  readonly b?: StoredTensor;
  readonly magnitude?: StoredTensor;
}

/** A weight that the adapter holds in full. */
export interface Whole {
  readonly module: string;
  readonly tensor: StoredTensor;
}

/** All tensors of an adapter, by the canonical name of the weight they belong to. */
export interface AdapterTensors {
  readonly factors: ReadonlyMap<string, Factors>;
  readonly whole: ReadonlyMap<string, Whole>;
  /** What this adapter calls the module of a weight. */
  moduleOf(name: string): string;
}

const root = 'base_model.model.';
const head = 'lm_head.weight';
const weightTypes: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

interface Part {
  readonly ending: string;
  readonly role: 'a' | 'b' | 'magnitude';
  /** Null where both kinds of module have such a tensor. */
  readonly isTable: boolean | null;
}

const parts: readonly Part[] = [
  { ending: '.lora_A.weight', role: 'a', isTable: false },
  { ending: '.lora_B.weight', role: 'b', isTable: false },
  { ending: '.lora_embedding_A', role: 'a', isTable: true },
  { ending: '.lora_embedding_B', role: 'b', isTable: true },
  { ending: '.lora_magnitude_vector', role: 'magnitude', isTable: null },
  { ending: '.lora_magnitude_vector.weight', role: 'magnitude', isTable: null },
];

/** @throws {UserError} `TENSOR_UNEXPECTED` or `SHAPE_MISMATCH` naming the tensor. */
export function readAdapterTensors(architecture: Architecture, adapter: Adapter): AdapterTensors {
  const factors = new Map<string, Factors>();
  const whole = new Map<string, Whole>();
  for (const tensor of adapter.tensors.values()) {
    if (!weightTypes.has(tensor.dtype)) {
      throw new UserError('SHAPE_MISMATCH', `a weight of type ${tensor.dtype}`, {
        where: `${tensor.file} → ${tensor.name}`,
        fix: 'Save the adapter as float32, float16 or bfloat16.',
      });
    }
    if (!tensor.name.startsWith(root))
      throw noPlace(tensor, `its name does not begin with "${root}"`);
    const name = tensor.name.slice(root.length);
    const part = parts.find(({ ending }) => name.endsWith(ending));
    if (part === undefined) addWhole(whole, architecture, tensor, name);
    else addFactor(factors, architecture, tensor, name, part);
  }
  const prefix =
    architecture.prefixes.find(
      (start) =>
        start !== '' && [...adapter.tensors.keys()].some((key) => key.startsWith(root + start)),
    ) ?? '';
  return {
    factors,
    whole,
    moduleOf(name) {
      const known = factors.get(name)?.module ?? whole.get(name)?.module;
      const module = name.replace(/\.[^.]+$/, '');
      return known ?? (module === 'lm_head' ? module : prefix + module);
    },
  };
}

function addFactor(
  factors: Map<string, Factors>,
  architecture: Architecture,
  tensor: StoredTensor,
  name: string,
  { ending, role, isTable }: Part,
): void {
  const module = name.slice(0, -ending.length);
  const key = canonical(architecture, `${module}.weight`);
  const before = factors.get(key);
  const isOfOtherKind =
    before !== undefined &&
    isTable !== null &&
    before.isTable !== isTable &&
    (before.a ?? before.b) !== undefined;
  if (before?.[role] !== undefined || isOfOtherKind) {
    throw noPlace(tensor, `"${module}" has such a tensor already`);
  }
  factors.set(key, {
    first: tensor,
    ...before,
    module,
    isTable: isTable ?? before?.isTable ?? false,
    [role]: tensor,
  });
}

function addWhole(
  whole: Map<string, Whole>,
  architecture: Architecture,
  tensor: StoredTensor,
  name: string,
): void {
  // The module itself lies inside the one that adapts or replaces it.
  const plain = name.replace(/\.(base_layer|modules_to_save)(?=\.[^.]+$)/, '');
  const key = canonical(architecture, plain);
  if (whole.has(key)) throw noPlace(tensor, `the file holds this weight twice`);
  whole.set(key, { module: plain.replace(/\.[^.]+$/, ''), tensor });
}

/** The name of a weight without the model's prefix; the head's is the same in all families. */
function canonical({ prefixes, headNames = [head] }: Architecture, name: string): string {
  if (headNames.includes(name)) return head;
  const prefix = prefixes.find((start) => start !== '' && name.startsWith(start)) ?? '';
  return name.slice(prefix.length);
}

export function absent(what: string, { file }: Adapter): UserError {
  return new UserError('TENSOR_MISSING', `the adapter lacks ${what}`, {
    where: file,
    fix: 'Check that the adapter was saved whole, and that its config belongs to it.',
  });
}

export function noPlace(tensor: StoredTensor, why: string): UserError {
  return new UserError('TENSOR_UNEXPECTED', `nothing takes tensor "${tensor.name}": ${why}`, {
    where: tensor.file,
    fix: 'Check that the adapter was trained on this base, and that its config belongs to it.',
  });
}

/** @throws {UserError} `SHAPE_MISMATCH` */
export function requireShape(tensor: StoredTensor, shape: readonly number[], who: string): void {
  if (tensor.shape.join() !== shape.join()) throw misshapen(tensor, shape, who);
}

function misshapen(tensor: StoredTensor, shape: readonly number[], who: string): UserError {
  return new UserError(
    'SHAPE_MISMATCH',
    `shape [${tensor.shape.join(', ')}] where ${who} [${shape.join(', ')}]`,
    {
      where: `${tensor.file} → ${tensor.name}`,
      fix: 'Check that the adapter was trained on this base, and that its config belongs to it.',
    },
  );
}
