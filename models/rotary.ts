/**
 * Rotary positions inside a graph: tables of cos and sin, and which row of them a token takes.
 *
 * Tables are worked out here in float64 and rounded once. Two kinds of scaling depend on how long the
 * prompt is. A prompt's numbers must not depend on what it is batched with, so its own length
 * decides, from the input `lengths` `[batch]`, and never the length that the batch is padded to.
 */

import type { Rotary } from '../src/graph/attention.ts';
import type { Builder } from '../src/graph/builder.ts';
import type { Value } from '../src/graph/onnx.ts';
import { pairsOf, type Dynamic, type Llama3, type Rope, type Turning, type Yarn } from './rope.ts';

/** What a graph knows of its tokens. */
export interface Tokens {
  /** `[batch, position]` */
  readonly positions: Value;
  /** `[batch]`: tokens of each prompt; the input is made when it is first asked for. */
  readonly lengths: () => Value;
  /** Longest prompt that the graph will see. */
  readonly longest: number;
}

/** Adds the tables of one turning to the graph. */
export function rotaryOf(g: Builder, name: string, turning: Turning, tokens: Tokens): Rotary {
  const { rope } = turning;
  const { positions, lengths, longest } = tokens;
  const isScaled = 'trained' in rope && longest > rope.trained;
  if (rope.kind === 'dynamic' && isScaled) return dynamicRotary(g, turning, rope, tokens);
  if (rope.kind !== 'longrope' || !isScaled) {
    return { ...tables(g, name, turning, longest, [1]), rows: positions };
  }
  // The table for short prompts, and below it the one for long prompts.
  const isLong = g.node(
    'Greater',
    [lengths(), g.integers(`${name}.trained`, [rope.trained])],
    ['batch'],
    {},
    'bool',
  );
  const below = g.mul(g.cast(isLong, 'int64'), g.integers(`${name}.below`, [longest]));
  const rows = g.add(positions, g.unsqueeze(below, 1));
  return { ...tables(g, name, turning, longest, [1, longest]), rows };
}

/**
 * Whether a text of `length` tokens turns its earlier tokens otherwise than when it was one token
 * shorter, so that keys kept from then no longer hold.
 */
export function turnsAnew({ rope }: Turning, length: number): boolean {
  if (rope.kind === 'dynamic') return length > rope.trained;
  return rope.kind === 'longrope' && length === rope.trained + 1;
}

/**
 * Which tables turn a text of `length` tokens. Texts of one kind turn equal tokens alike, so that one may
 * go on from another's keys.
 */
export function turningKind({ rope }: Turning, length: number): number {
  if (rope.kind === 'dynamic') return length > rope.trained ? length : 0;
  return rope.kind === 'longrope' && length > rope.trained ? 1 : 0;
}

/** cos and sin for positions 0 … rows − 1, once for each prompt length that is given. */
function tables(
  g: Builder,
  name: string,
  { rope, width }: Turning,
  rows: number,
  lengths: readonly number[],
): { cos: Value; sin: Value } {
  const half = pairsOf(width);
  const gain = 'gain' in rope ? rope.gain : 1;
  const cos = new Float32Array(lengths.length * rows * half);
  const sin = new Float32Array(cos.length);
  lengths.forEach((length, block) => {
    frequencies(rope, width, length).forEach((frequency, i) => {
      for (let position = 0; position < rows; position++) {
        const at = (block * rows + position) * half + i;
        cos[at] = gain * Math.cos(position * frequency);
        sin[at] = gain * Math.sin(position * frequency);
      }
    });
  });
  const shape = [lengths.length * rows, half];
  return {
    cos: g.floats(`rotary.${name}.cos`, shape, cos),
    sin: g.floats(`rotary.${name}.sin`, shape, sin),
  };
}

/** Radians a position, for prompts of this length. One for each pair. */
function frequencies(rope: Rope, width: number, length: number): number[] {
  return Array.from({ length: pairsOf(width) }, (_, i) => {
    const frequency = rope.theta ** ((-2 * i) / width);
    switch (rope.kind) {
      case 'default':
        return frequency;
      case 'linear':
        return frequency / rope.factor;
      case 'dynamic':
        return frequency * growth(rope, length) ** ((-2 * i) / (width - 2));
      case 'llama3':
        return blended(frequency, rope.factor, llama3Share(rope, frequency));
      case 'yarn':
        return blended(frequency, rope.factor, yarnShare(rope, rope.theta, width, i));
      default:
        return frequency / (length > rope.trained ? rope.long : rope.short)[i];
    }
  });
}

/** By how much θ^(width / (width − 2)) grows for a prompt of this length. */
function growth({ factor, trained }: Dynamic, length: number): number {
  return Math.max(1, (factor * length) / trained - (factor - 1));
}

/** From slowed (share 0) to kept (share 1). */
function blended(frequency: number, factor: number, share: number): number {
  const kept = Math.min(Math.max(share, 0), 1);
  return ((1 - kept) * frequency) / factor + kept * frequency;
}

function llama3Share(rope: Llama3, frequency: number): number {
  const turns = (rope.trained * frequency) / (2 * Math.PI);
  const { lowFrequencyFactor: low, highFrequencyFactor: high } = rope;
  return (turns - low) / (high - low);
}

/** Peng et al. 2023, arXiv:2309.00071, §3.2, with the ends counted in features. */
function yarnShare(rope: Yarn, theta: number, width: number, i: number): number {
  const featureThatTurns = (turns: number): number =>
    (width * Math.log(rope.trained / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [featureThatTurns(rope.fast), featureThatTurns(rope.slow)];
  const first = Math.max(rope.truncates ? Math.floor(fast) : fast, 0);
  const last = Math.min(rope.truncates ? Math.ceil(slow) : slow, width - 1);
  return 1 - (i - first) / (first === last ? 0.001 : last - first);
}

/** Frequencies of each prompt from its own length, in float64 up to cos and sin. */
function dynamicRotary(
  g: Builder,
  { rope, width }: Turning,
  { factor, trained }: Dynamic,
  { positions, lengths }: Tokens,
): Rotary {
  const half = pairsOf(width);
  const doubles = (name: string, values: readonly number[]): Value =>
    g.constant(name, values, 'float64');
  const features = Array.from({ length: half }, (_, i) => -2 * i);
  const grown = g.add(
    g.mul(g.cast(lengths(), 'float64'), doubles('slope', [factor / trained])),
    doubles('start', [1 - factor]),
  );
  const ratio = g.unsqueeze(g.node('Max', [grown, doubles('least', [1])], ['batch']), 1);
  const exponents = doubles(
    'exponents',
    features.map((i) => i / (width - 2)),
  );
  const slowing = g.node('Pow', [ratio, exponents], ['batch', half]);
  const plain = doubles(
    'frequencies',
    features.map((i) => rope.theta ** (i / width)),
  );
  const angle = g.mul(
    g.unsqueeze(g.cast(positions, 'float64'), 2),
    g.unsqueeze(g.mul(slowing, plain), 1),
  );
  const turned = (op: 'Cos' | 'Sin'): Value => g.cast(g.node(op, [angle], angle.shape), 'float32');
  return { cos: turned('Cos'), sin: turned('Sin'), rows: null };
}
