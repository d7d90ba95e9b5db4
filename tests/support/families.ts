/**
 * The reference checkpoints of all families, and neighbours' weights under other configs
 * (tests/golden/variants, see variants.py there).
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject } from '../../src/base/json.ts';
import { openCheckpoint } from '../../src/files/checkpoint.ts';
import { readSafetensorsHeader } from '../../src/files/safetensors.ts';
import { readGolden, readNoiseFloor } from '../../src/record/golden.ts';
import { compareWithGolden, type ParityResult } from '../../src/record/parity.ts';
import type { Site } from '../../src/graph/sites.ts';
import { openModel, type Model } from '../../models/model.ts';
import { goldenFolder, readJson, type Json } from './golden.ts';

/** Folders of tests/golden that hold a checkpoint and its references, and no adapter. */
export const wholeCases: readonly string[] = readdirSync(goldenFolder('')).filter(
  (name) =>
    existsSync(join(goldenFolder(name), 'golden.safetensors')) &&
    existsSync(join(goldenFolder(name), 'config.json')) &&
    !existsSync(join(goldenFolder(name), 'adapter')),
);

export const variantCases: readonly string[] = readdirSync(goldenFolder('variants'));

/** The config of a case in one of its two spellings; undefined where there is no second one. */
export function configOf(
  name: string,
  spelling: 'config.json' | 'config.v4.json',
): Json | undefined {
  const path = join(goldenFolder(name), spelling);
  return existsSync(path) ? readJson(path) : undefined;
}

/** The case's weights under its own config with some keys replaced; `undefined` removes one. */
export async function modelOf(name: string, keys: Json = {}, config?: Json): Promise<Model> {
  const files = await openCheckpoint(goldenFolder(name));
  const changed = Object.entries({ ...(config ?? files.config), ...keys });
  return await openModel({
    ...files,
    config: Object.fromEntries(changed.filter(([, value]) => value !== undefined)),
  });
}

/** A neighbour's weights as a variant changes them. */
export async function variantModel(name: string, keys: Json = {}): Promise<Model> {
  const folder = goldenFolder(join('variants', name));
  const facts = readJson(join(folder, 'golden.json'));
  const files = await openCheckpoint(goldenFolder(String(facts['base'])));
  const without = facts['without'];
  const tensors = new Map(
    [...files.tensors].filter(
      ([tensor]) => typeof without !== 'string' || !new RegExp(without).test(tensor),
    ),
  );
  const extra = join(folder, 'extra.safetensors');
  if (existsSync(extra)) {
    for (const [tensor, stored] of (await readSafetensorsHeader(extra)).tensors) {
      tensors.set(tensor, stored);
    }
  }
  const changed = isJsonObject(facts['keys']) ? facts['keys'] : {};
  return await openModel({ ...files, tensors, config: { ...files.config, ...changed, ...keys } });
}

/** The references of a case or, as `variants/NAME`, of a variant, held against the model. */
export async function parityOf(
  model: Model,
  name: string,
  options: { readonly queriesAtOnce?: number } = {},
): Promise<ParityResult> {
  const folder = goldenFolder(name);
  const golden = await readGolden(join(folder, 'golden.safetensors'));
  const floors = await readNoiseFloor(join(folder, 'golden.json'));
  return await compareWithGolden(model, golden, { floors, threads: 1, ...options });
}

/** The worst error as a multiple of the noise floor; 4 are allowed. */
export async function worstFloors(model: Model, name: string): Promise<number> {
  const { comparisons } = await parityOf(model, name);
  // The loss and what enters block 0 have tolerances of their own, since their floors can be 0.
  const inFloors = comparisons.filter((one) => one.name !== 'loss' && one.name !== 'resid_pre.0');
  return 4 * Math.max(...inFloors.map(({ ofAllowed }) => ofAllowed));
}

/** Every site that the model offers. */
export function sitesOf(model: Model): Site[] {
  return [...model.sites.kinds].flatMap((kind): Site[] =>
    kind === 'final_norm' || kind === 'logits'
      ? [{ kind, block: null }]
      : Array.from({ length: model.settings.layers }, (_, block) => ({ kind, block })),
  );
}
