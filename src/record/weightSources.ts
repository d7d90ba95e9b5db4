/**
 * Opens what a run reads weights from: checkpoints, adapters on them, ways between them.
 *
 * Each checkpoint and each adapter is opened and hashed once, however many variants rest on it. Hashing a
 * large one goes on after `open` has answered: who needs the hash waits for it.
 */

import { canonicalJson } from '../base/json.ts';
import type { AdapterRecord, DerivationRecord, SourceRecord } from '../contract/manifest.ts';
import { sha256OfBytes } from '../files/atomic.ts';
import { hashCheckpoint, openCheckpoint } from '../files/checkpoint.ts';
import { hashAdapter, openAdapter, type Adapter } from '../files/peft.ts';
import { openModel, type Model } from '../../models/model.ts';
import { asStored, between, withAdapter, type Variant } from '../../models/variants.ts';

/** A checkpoint's folder, and adapters in the order in which they lie on it. */
export interface SourceRequest {
  readonly folder: string;
  readonly adapters?: readonly AdapterRequest[];
}

export interface AdapterRequest {
  readonly path: string;
  /** Share of the adapter's change that is made; 1 unless told. */
  readonly scale?: number;
}

export interface Source {
  readonly variant: Variant;
  /** What it is made of, and `identityOfWeights`; rejected with what `hashCheckpoint` throws. */
  readonly derivation: Promise<DerivationRecord>;
  readonly identity: Promise<string>;
}

export class Sources {
  readonly #ignoredKeys: readonly string[];
  readonly #models = new Map<string, Promise<{ model: Model; sha256: Promise<string> }>>();
  readonly #adapters = new Map<string, Promise<{ adapter: Adapter; sha256: string }>>();
  /** One file is read at a time. */
  #hashed: Promise<unknown> = Promise.resolve();

  constructor(ignoredKeys: readonly string[]) {
    this.#ignoredKeys = ignoredKeys;
  }

  /** @throws {UserError} for whatever is wrong with the checkpoint, an adapter, or the two together. */
  async open({ folder, adapters = [] }: SourceRequest): Promise<Source> {
    const { model, sha256: base } = await once(this.#models, folder, () => this.#openModel(folder));
    let variant = asStored(model);
    const records: AdapterRecord[] = [];
    for (const { path, scale = 1 } of adapters) {
      const { adapter, sha256 } = await once(this.#adapters, path, () => this.#openAdapter(path));
      variant = await withAdapter(variant, adapter, scale);
      records.push({ name: adapter.name, sha256, scale });
    }
    return sourceOf(
      variant,
      base.then((sha256) => ({ base: sha256, adapters: records, towards: null })),
    );
  }

  /** The point `at` of the way from a source to another, 0 being the first and 1 the second. */
  async walk(
    from: Source,
    { at, ...to }: SourceRequest & { readonly at: number },
  ): Promise<Source> {
    const { variant, derivation } = await this.open(to);
    const both = Promise.all([from.derivation, derivation]);
    return sourceOf(
      between(from.variant, variant, at),
      both.then(([own, { base, adapters }]) => ({ ...own, towards: { base, adapters, at } })),
    );
  }

  async #openModel(folder: string): Promise<{ model: Model; sha256: Promise<string> }> {
    const files = await openCheckpoint(folder);
    const model = await openModel(files, { ignoredConfigKeys: this.#ignoredKeys });
    const begin = (): Promise<string> => hashCheckpoint(files);
    const sha256 = waitedFor(this.#hashed.then(begin, begin));
    this.#hashed = sha256;
    return { model, sha256 };
  }

  async #openAdapter(path: string): Promise<{ adapter: Adapter; sha256: string }> {
    const adapter = await openAdapter(path, this.#ignoredKeys);
    return { adapter, sha256: await hashAdapter(adapter) };
  }
}

/** A model with adapters on it, for those who keep no record. */
export async function adaptedModel(
  model: Model,
  requests: readonly AdapterRequest[],
  ignoredKeys: readonly string[],
): Promise<{ variant: Variant; adapters: readonly Adapter[] }> {
  let variant = asStored(model);
  const adapters: Adapter[] = [];
  for (const { path, scale = 1 } of requests) {
    const adapter = await openAdapter(path, ignoredKeys);
    variant = await withAdapter(variant, adapter, scale);
    adapters.push(adapter);
  }
  return { variant, adapters };
}

/** Whether the weights are other than the base's own. */
export function isDerived({ adapters, towards }: DerivationRecord): boolean {
  return adapters.length > 0 || towards !== null;
}

/** SHA-256 that is the same for the same weights: the base's own, or one over all that goes into them. */
export function identityOfWeights(derivation: DerivationRecord): string {
  if (!isDerived(derivation)) return derivation.base;
  const nameless = ({ base, adapters }: SourceRecord): object => ({
    base,
    adapters: adapters.map(({ sha256, scale }) => ({ sha256, scale })),
  });
  const { towards } = derivation;
  const way = towards === null ? null : { ...nameless(towards), at: towards.at };
  return sha256OfBytes(canonicalJson({ ...nameless(derivation), towards: way }));
}

/** In words, to follow a checkpoint's name; nothing where the weights are its own. */
export function describeDerivation(derivation: DerivationRecord | null): string {
  if (derivation === null) return '';
  const { adapters, towards } = derivation;
  const on = (list: readonly AdapterRecord[]): string =>
    list.map(({ name, scale }) => `${name}${scale === 1 ? '' : ` × ${scale}`}`).join(' + ');
  return [
    adapters.length === 0 ? '' : `, with ${on(adapters)}`,
    towards === null ? '' : `, ${towards.at} of the way to another`,
    towards === null || towards.adapters.length === 0 ? '' : ` with ${on(towards.adapters)}`,
  ].join('');
}

function sourceOf(variant: Variant, derivation: Promise<DerivationRecord>): Source {
  return {
    variant,
    derivation: waitedFor(derivation),
    identity: waitedFor(derivation.then(identityOfWeights)),
  };
}

/** A promise that may be rejected before anybody waits for it. */
function waitedFor<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

async function once<T>(
  known: Map<string, Promise<T>>,
  key: string,
  open: () => Promise<T>,
): Promise<T> {
  const promise = known.get(key) ?? open();
  known.set(key, promise);
  return await promise;
}
