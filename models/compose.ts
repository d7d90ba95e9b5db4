/**
 * Composes an architecture's blocks into one graph that gives the wanted sites at the wanted rows.
 *
 * Inputs are `input_ids` and `position_ids` `[batch, position]` and `rows` `[rows]`, where row b · T + t
 * is token t of prompt b in a batch padded to T. Only those rows leave the graph. The graph ends at the
 * last block that a wanted site needs. Where positions turn by a prompt's own length and some prompt
 * is longer than what was trained, there is an input `lengths` `[batch]` besides.
 */

import { invariant } from '../src/base/invariant.ts';
import { Builder } from '../src/graph/builder.ts';
import { checked } from '../src/graph/legal.ts';
import type { Graph, Value } from '../src/graph/onnx.ts';
import { prune } from '../src/graph/prune.ts';
import { siteKey, type BlockSiteKind, type Site } from '../src/graph/sites.ts';
import type { Architecture, Frame, Params, Settings } from './architecture.ts';
import type { Binding } from './bindings.ts';
import { unembed } from './parts.ts';
import { rotaryOf } from './rotary.ts';

export interface Composition {
  readonly sites: readonly Site[];
  /** Longest prompt that the graph will see; rotary tables reach as far. */
  readonly length: number;
  /**
   * Changes the stream at a site: gets the value there and gives what flows on. Patterns, the final
   * norm and the logits are read after the fact, so they are not offered to it.
   */
  readonly edit?: (g: Builder, site: Site, value: Value) => Value;
}

/** The whole model as one graph with an output for each site, named by its key. Shape: `[rows, …]`. */
export function composeModel(
  architecture: Architecture,
  settings: Settings,
  bind: Binding,
  { sites, length, edit }: Composition,
): Graph {
  const g = new Builder(architecture.family);
  const frame = frameOf(g, architecture, settings, length);
  const rows = g.input('rows', 'int64', ['rows']);
  const params = once((name) => bind(g, name));
  const wanted = new Set(sites.map(siteKey));
  const outputs = new Map<string, Value>();

  const tapAt =
    (layer: number) =>
    (kind: BlockSiteKind, value: Value): Value => {
      const site = { kind, block: layer };
      const isStream = kind !== 'pattern';
      const flowing = edit === undefined || !isStream ? value : edit(g, site, value);
      const key = siteKey(site);
      if (wanted.has(key)) {
        const byRow = kind === 'pattern' ? patternByToken(g, frame, flowing) : flowing;
        outputs.set(key, g.gather(byRow, rows));
      }
      return flowing;
    };

  let hidden = g.within('embed', () => architecture.embed(g, frame, params, settings));
  const depth = blocksNeeded(sites, settings.layers);
  for (let layer = 0; layer < depth; layer++) {
    const prefix = architecture.blockPrefix(layer);
    const ports = {
      param: (name: string) => params(prefix + name),
      tap: tapAt(layer),
      wantsPattern: wanted.has(`pattern.${layer}`),
      past: null,
      keep: null,
    };
    hidden = g.within(`blocks.${layer}`, () =>
      architecture.block(g, frame, ports, settings, layer, hidden),
    );
  }
  if (wanted.has('final_norm') || wanted.has('logits')) {
    g.within('head', () => {
      const norm = architecture.finalNorm(g, params, settings, g.gather(hidden, rows));
      outputs.set('final_norm', norm);
      if (wanted.has('logits'))
        outputs.set('logits', headOf(g, architecture, settings, params, norm));
    });
  }
  return checked(
    prune(
      g.finish(
        sites.map((site) => {
          const value = outputs.get(siteKey(site));
          invariant(value !== undefined, `${architecture.family} taps no ${siteKey(site)}`);
          return g.named(siteKey(site), value);
        }),
      ),
    ),
  );
}

/** The head on rows that the final norm has passed. Shape: `[rows, d] → [rows, vocabulary]`. */
export function headOf(
  g: Builder,
  architecture: Architecture,
  settings: Settings,
  params: Params,
  norm: Value,
): Value {
  const unembedding = params(settings.isTied ? architecture.embedding : 'lm_head.weight');
  return (
    architecture.logits?.(g, params, settings, norm, unembedding) ?? unembed(g, norm, unembedding)
  );
}

/** How many blocks must run before the last wanted site is known. */
function blocksNeeded(sites: readonly Site[], layers: number): number {
  return Math.max(0, ...sites.map(({ block }) => (block === null ? layers : block + 1)));
}

/** What all blocks read, from the inputs `input_ids` and `position_ids`; see `Composition` for the length. */
export function frameOf(
  g: Builder,
  architecture: Architecture,
  settings: Settings,
  length: number,
): Frame {
  const ids = g.input('input_ids', 'int64', ['batch', 'position']);
  const positions = g.input('position_ids', 'int64', ['batch', 'position']);
  return g.within('frame', (): Frame => {
    const rest = g.integers('rest', [-1]);
    const flat = (x: Value): Value => g.reshape(x, rest, ['tokens']);
    const flatIds = flat(ids);
    let lengths: Value | undefined;
    const tokens = {
      positions,
      lengths: () => (lengths ??= g.input('lengths', 'int64', ['batch'])),
      longest: length,
    };
    const rotary = [...architecture.rotary(settings)].map(
      ([name, turning]) => [name, rotaryOf(g, name, turning, tokens)] as const,
    );
    return {
      ids: flatIds,
      positions,
      flatPositions: flat(positions),
      byPosition: g.concat([g.sizes(ids, 0, 2), rest]),
      byToken: g.concat([g.sizes(flatIds, 0, 1), rest]),
      rotary: new Map(rotary),
    };
  });
}

/** `[batch, heads, query, key] → [tokens, heads · key]`, so that a pattern's rows are queries like any site's. */
function patternByToken(g: Builder, frame: Frame, pattern: Value): Value {
  return g.reshape(g.transpose(pattern, [0, 2, 1, 3]), frame.byToken, ['tokens', 'heads·keys']);
}

/** Each parameter enters the graph once, however often it is read. */
export function once(bind: Params): Params {
  const bound = new Map<string, Value>();
  return (name) => {
    const value = bound.get(name) ?? bind(name);
    bound.set(name, value);
    return value;
  };
}
