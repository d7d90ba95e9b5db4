/**
 * What is this checkpoint, and is it whole?
 *
 * A `Model` is a checkpoint whose config was understood key by key and whose tensors are exactly those
 * that its architecture asks for, each with the right shape. Nothing is read of the weights but, for a
 * tied head that is stored all the same, the two matrices that must be equal.
 */

import { nearest, UserError } from '../src/base/errors.ts';
import type { Checkpoint } from '../src/files/checkpoint.ts';
import { equalTensors } from '../src/files/compare.ts';
import type { StoredTensor } from '../src/files/safetensors.ts';
import { blockSiteKinds, modelSiteKinds, type SiteOffer } from '../src/graph/sites.ts';
import type { Architecture, Parameter, Settings } from './architecture.ts';
import { architectureFor } from './registry.ts';
import { ConfigReader } from './settings.ts';

export interface Model {
  readonly folder: string;
  readonly architecture: Architecture;
  readonly settings: Settings;
  /** Where this model can be looked at. */
  readonly sites: SiteOffer;
  /** Canonical name (without the file's prefix) → where it lies. */
  readonly weights: ReadonlyMap<string, StoredTensor>;
  /** Standard deviation that fresh weights of this config would have. */
  readonly initialiserRange: number;
  readonly ignoredConfigKeys: readonly string[];
}

export interface ModelOptions {
  /** Config keys that the user declares harmless. */
  readonly ignoredConfigKeys?: readonly string[];
}

const weightTypes: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);
const head = 'lm_head.weight';

/** Understands a checkpoint. @throws {UserError} naming the key or tensor that is wrong, and the mend. */
export async function openModel(
  checkpoint: Checkpoint,
  options: ModelOptions = {},
): Promise<Model> {
  const ignoredConfigKeys = options.ignoredConfigKeys ?? [];
  const where = `${checkpoint.folder}/config.json`;
  const architecture = architectureFor(checkpoint.config['model_type'], where);
  const config = new ConfigReader(checkpoint.config, where);
  const settings = architecture.readSettings(config);
  const rangeKey = ['initializer_range', 'init_std'].find((key) => config.has(key));
  const range = rangeKey === undefined ? 0.02 : config.positive(rangeKey);
  config.finish(architecture.irrelevantKeys, new Set(ignoredConfigKeys));
  return {
    folder: checkpoint.folder,
    architecture,
    settings,
    sites: siteOffer(architecture, settings),
    weights: await matchWeights(checkpoint, architecture, settings),
    initialiserRange: range,
    ignoredConfigKeys,
  };
}

function siteOffer(architecture: Architecture, settings: Settings): SiteOffer {
  const absent = architecture.absentSites(settings);
  const kinds = [...blockSiteKinds, ...modelSiteKinds].filter((kind) => absent[kind] === undefined);
  return { layers: settings.layers, kinds: new Set(kinds), absent };
}

/** All parameters by their canonical names, head included where it is not tied. */
export function parametersOf(architecture: Architecture, settings: Settings): Parameter[] {
  const blocks = Array.from({ length: settings.layers }, (_, layer) =>
    architecture.blockParameters(settings, layer).map((parameter) => ({
      ...parameter,
      name: architecture.blockPrefix(layer) + parameter.name,
    })),
  );
  const headShape = [settings.vocabulary, settings.wordWidth ?? settings.width];
  const own = settings.isTied ? [] : [{ name: head, shape: headShape }];
  return [...architecture.parameters(settings), ...blocks.flat(), ...own];
}

async function matchWeights(
  checkpoint: Checkpoint,
  architecture: Architecture,
  settings: Settings,
): Promise<Map<string, StoredTensor>> {
  const prefix = prefixOf(checkpoint, architecture);
  const headName = headNameOf(checkpoint, architecture);
  const canonical = new Map<string, StoredTensor>();
  for (const tensor of checkpoint.tensors.values()) {
    const isTrunk = prefix !== '' && tensor.name.startsWith(prefix);
    const name = isTrunk ? tensor.name.slice(prefix.length) : tensor.name;
    const key = name === headName ? head : name;
    // Two names for one parameter, with and without the prefix or of the head: which one is meant?
    if (canonical.has(key)) throw unexpected(tensor);
    canonical.set(key, tensor);
  }
  const weights = new Map<string, StoredTensor>();
  for (const parameter of parametersOf(architecture, settings)) {
    const tensor = canonical.get(parameter.name);
    if (tensor === undefined) {
      const isHead = parameter.name.startsWith('lm_head.');
      const name = parameter.name === head ? headName : parameter.name;
      throw missing(isHead ? name : prefix + name, checkpoint);
    }
    checkTensor(tensor, parameter);
    weights.set(parameter.name, tensor);
    canonical.delete(parameter.name);
  }
  if (settings.isTied) await checkTiedHead(canonical, weights, architecture);
  for (const [name, tensor] of canonical) {
    if (!architecture.buffers.some((pattern) => pattern.test(name))) throw unexpected(tensor);
  }
  return weights;
}

/** The prefix under which the file holds the family's first tensor. */
function prefixOf(checkpoint: Checkpoint, architecture: Architecture): string {
  const found = architecture.prefixes.find((prefix) =>
    checkpoint.tensors.has(prefix + architecture.embedding),
  );
  return found ?? architecture.prefixes[0];
}

/** The name that this file gives the head's matrix. */
function headNameOf(checkpoint: Checkpoint, { headNames = [head] }: Architecture): string {
  return headNames.find((name) => checkpoint.tensors.has(name)) ?? headNames[0];
}

function checkTensor(tensor: StoredTensor, { shape }: Parameter): void {
  const where = `${tensor.file} → ${tensor.name}`;
  if (!weightTypes.has(tensor.dtype)) {
    throw new UserError('SHAPE_MISMATCH', `a weight of type ${tensor.dtype}`, {
      where,
      fix: 'Save the weights as float32, float16 or bfloat16.',
    });
  }
  if (tensor.shape.length === shape.length && tensor.shape.every((size, i) => size === shape[i]))
    return;
  throw new UserError(
    'SHAPE_MISMATCH',
    `shape [${tensor.shape.join(', ')}] where config.json asks for [${shape.join(', ')}]`,
    {
      where,
      fix: 'Check that config.json and the weights come from the same model.',
    },
  );
}

/** A tied model may hold the head as well, if it says the same as the embedding. */
async function checkTiedHead(
  canonical: Map<string, StoredTensor>,
  weights: ReadonlyMap<string, StoredTensor>,
  architecture: Architecture,
): Promise<void> {
  const stored = canonical.get(head);
  const embedding = weights.get(architecture.embedding);
  if (stored === undefined || embedding === undefined) return;
  canonical.delete(head);
  if (await equalTensors(stored, embedding)) return;
  throw new UserError(
    'TENSOR_UNEXPECTED',
    `the head is tied, yet ${stored.name} differs from ${embedding.name}`,
    {
      where: stored.file,
      cause: 'Versions of transformers disagree on which of the two they use.',
      fix: 'Set tie_word_embeddings to false if the head was trained on its own, or remove the head from the file.',
    },
  );
}

function missing(name: string, checkpoint: Checkpoint): UserError {
  const near = nearest(name, checkpoint.tensors.keys());
  return new UserError('TENSOR_MISSING', `there is no tensor "${name}"`, {
    where: checkpoint.folder,
    ...(near === undefined ? {} : { cause: `The nearest name in the file is "${near}".` }),
    fix: 'Check that the download is complete and that config.json belongs to these weights.',
  });
}

function unexpected(tensor: StoredTensor): UserError {
  return new UserError(
    'TENSOR_UNEXPECTED',
    `config.json has no place for tensor "${tensor.name}"`,
    {
      where: tensor.file,
      cause: 'A weight that is left out would make every number wrong without a sign.',
      fix: 'Check that config.json and the weights come from the same model.',
    },
  );
}
