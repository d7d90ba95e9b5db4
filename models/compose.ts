/**
 * Composes an architecture's blocks into one graph that gives the wanted sites at the wanted rows.
 *
 * Inputs are `input_ids` and `position_ids` `[batch, position]` and `rows` `[rows]`, where row b · T + t
 * is token t of prompt b in a batch padded to T. Only those rows leave the graph. A packed graph works out
 * no padding but in attention: the input `tokens` `[tokens]` names the slots b · T + t that hold a token, in
 * the order of the stream, whose rows `rows` then counts, and `slots` `[batch · T]` is the way back. The graph ends at the
 * last block that a wanted site needs. Where positions turn by a prompt's own length and some prompt
 * is longer than what was trained, there is an input `lengths` `[batch]` besides.
 *
 * A graph may also hold a part of the depth only, and may begin in the middle of texts:
 *
 * - `blocks`: the stream `[tokens, d]` enters as `stream` after the embedding, and leaves as
 *   `stream.next` for the blocks to come;
 * - `past`: what the tokens before these left behind in block L enters as `past.key.L` and
 *   `past.value.L` `[texts, heads, past, headDim]`. A past begins at position 0 and has no gaps, so it is
 *   equally long for all rows of a batch; `position_ids` go on from it;
 * - `keeps`: keys and values of the past and of these tokens leave as `present.key.L`, `present.value.L`,
 *   of all rows or of those that the input `kept` names.
 */

import { invariant } from '../src/base/invariant.ts';
import type { KeyValue } from '../src/graph/attention.ts';
import { Builder } from '../src/graph/builder.ts';
import { checked } from '../src/graph/legal.ts';
import { narrow } from '../src/graph/narrow.ts';
import type { Graph, Value } from '../src/graph/onnx.ts';
import { prune } from '../src/graph/prune.ts';
import { siteKey, type BlockSiteKind, type Site } from '../src/graph/sites.ts';
import type { Architecture, Frame, Params, Settings } from './architecture.ts';
import { piecesOf, type Pieces } from './attendInPieces.ts';
import type { Binding } from './bindings.ts';
import { unembed } from './parts.ts';
import { cacheNames, pastInputs } from './pasts.ts';
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
  /**
   * Blocks `from … to − 1` instead of all that the sites need; the embedding only where `from` is 0, the
   * head only where `to` is the depth. No block at all leaves one of the two.
   */
  readonly blocks?: BlockRange;
  /** Whether block 0 gets the stream too, from a graph that held the embedding alone. */
  readonly isEmbedded?: boolean;
  /**
   * `shared`: the input `parents` `[batch]` says which past a row goes on from. `growing`: each row has its
   * own, `[batch, heads, room, headDim]`, of which the first `held` `[1]` slots hold something; of keys and
   * values only the new ones leave, `[batch, position, heads · headDim]`, to be written behind them.
   */
  readonly past?: 'growing' | 'shared';
  /** Whether the stream holds no padding. */
  readonly isPacked?: boolean;
  /** How many queries attention takes at once where it can; what suits the longest prompt unless told. */
  readonly queriesAtOnce?: number | undefined;
  /** Whether keys and values leave the graph; `chosen`: of the rows that the input `kept` `[kept]` names. */
  readonly keeps?: boolean | 'chosen';
}

/** Blocks `from … to − 1`. */
export interface BlockRange {
  readonly from: number;
  readonly to: number;
}

/** A model, or a part of its depth, as one graph with an output for each site, named by its key. Shape: `[rows, …]`. */
export function composeModel(
  architecture: Architecture,
  settings: Settings,
  bind: Binding,
  composition: Composition,
): Graph {
  const { sites, edit, blocks, isEmbedded = false, past, keeps = false } = composition;
  const g = new Builder(architecture.family);
  const frame = frameOf(g, architecture, settings, composition);
  const rows = g.input('rows', 'int64', ['rows']);
  const params = once((name) => bind(g, name));
  const wanted = new Set(sites.map(siteKey));
  const outputs = new Map<string, Value>();
  const kept: Value[] = [];

  const tapAt =
    (layer: number) =>
    (kind: BlockSiteKind, value: Value): Value => {
      const site = { kind, block: layer };
      const isStream = kind !== 'pattern';
      const flowing = edit === undefined || !isStream ? value : edit(g, site, value);
      const key = siteKey(site);
      if (wanted.has(key)) {
        const gathered =
          kind === 'pattern' ? patternAt(g, frame, flowing, rows) : g.gather(flowing, rows);
        outputs.set(key, gathered);
      }
      return flowing;
    };

  const { from, to } = blocks ?? blocksNeeded(sites, settings.layers);
  let hidden =
    from === 0 && !isEmbedded
      ? g.within('embed', () => architecture.embed(g, frame, params, settings))
      : g.input('stream', 'float32', ['tokens', settings.width]);
  const pastOf = past === undefined ? () => null : pastInputs(g, frame, settings, past);
  const chosen = keeps === 'chosen' ? g.input('kept', 'int64', ['kept']) : undefined;
  const leaving = (x: Value): Value => (chosen === undefined ? x : g.gather(x, chosen));
  for (let layer = from; layer < to; layer++) {
    const prefix = architecture.blockPrefix(layer);
    const [keys, values] = cacheNames(layer);
    const ports = {
      param: (name: string) => params(prefix + name),
      tap: tapAt(layer),
      wantsPattern: wanted.has(`pattern.${layer}`),
      past: pastOf(layer),
      keep:
        keeps === false
          ? null
          : (present: KeyValue): void => {
              kept.push(g.named(keys.present, leaving(present.key)));
              kept.push(g.named(values.present, leaving(present.value)));
            },
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
  const tapped = sites.map((site) => {
    const value = outputs.get(siteKey(site));
    invariant(value !== undefined, `${architecture.family} taps no ${siteKey(site)}`);
    return g.named(siteKey(site), value);
  });
  const isHead = from === settings.layers;
  const carried = blocks === undefined || isHead ? [] : [g.named('stream.next', hidden)];
  return checked(prune(narrow(g.finish([...tapped, ...kept, ...carried]))));
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

/** Which blocks must run before the last wanted site is known. */
export function blocksNeeded(sites: readonly Site[], layers: number): BlockRange {
  const ends = sites.map(({ block }) => (block === null ? layers : block + 1));
  return { from: 0, to: Math.max(0, ...ends) };
}

/** What all blocks read, from the inputs `input_ids` and `position_ids`; see `Composition` for the length. */
export function frameOf(
  g: Builder,
  architecture: Architecture,
  settings: Settings,
  {
    length,
    isPacked = false,
    queriesAtOnce,
  }: Pick<Composition, 'length' | 'isPacked' | 'queriesAtOnce'>,
): Frame {
  const ids = g.input('input_ids', 'int64', ['batch', 'position']);
  const positions = g.input('position_ids', 'int64', ['batch', 'position']);
  const packing = isPacked
    ? {
        tokens: g.input('tokens', 'int64', ['tokens']),
        slots: g.input('slots', 'int64', ['slots']),
      }
    : null;
  return g.within('frame', (): Frame => {
    const rest = g.integers('rest', [-1]);
    const flat = (x: Value): Value =>
      packing === null
        ? g.reshape(x, rest, ['tokens'])
        : g.gather(g.reshape(x, rest, ['slots']), packing.tokens);
    const flatIds = flat(ids);
    let lengths: Value | undefined;
    let pieces: Pieces | null | undefined;
    const tokens = {
      positions,
      lengths: () => (lengths ??= g.input('lengths', 'int64', ['batch'])),
      longest: length,
    };
    const rotary = [...architecture.rotary(settings)].map(
      ([name, turning]) => [name, rotaryOf(g, name, turning, tokens)] as const,
    );
    const byPosition = g.concat([g.sizes(ids, 0, 2), rest]);
    const byToken = g.concat([g.sizes(flatIds, 0, 1), rest]);
    return {
      ids: flatIds,
      positions,
      flatPositions: flat(positions),
      byPosition,
      byToken,
      bySlot: packing === null ? byToken : g.concat([g.sizes(packing.slots, 0, 1), rest]),
      packing,
      pieces: () => (pieces ??= piecesOf(g, positions, length, queriesAtOnce)),
      rotary: new Map(rotary),
    };
  });
}

/** `[batch, heads, query, key] → [rows, heads · key]`: a pattern's rows are queries, as any site's are tokens. */
function patternAt(g: Builder, { packing, bySlot }: Frame, pattern: Value, rows: Value): Value {
  const byQuery = g.transpose(pattern, [0, 2, 1, 3]);
  const slots = g.reshape(byQuery, bySlot, ['slots', 'heads·keys']);
  return g.gather(slots, packing === null ? rows : g.gather(packing.tokens, rows));
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
