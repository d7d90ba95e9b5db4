/**
 * What must hold between the numbers of one pass, whatever the weights?
 *
 * The stream adds up, patterns are causal probabilities, all is finite. None of it says that a setting
 * is right: a model with another rotary base keeps every one of these. It says that the sites are what
 * they are called.
 */

import { readFloats } from '../files/safetensors.ts';
import type { Model } from '../../models/model.ts';
import { larger, rounding, stated, Worst, type Check } from './examination.ts';
import { normed, usualEpsilon } from './headCheck.ts';
import { windowOf, type Prompts, type Sites } from './passes.ts';

/** A sum of two is rounded once, of three twice; another device may round once more. */
const allowedRoundings = 4;

/** resid_pre + attn_out = resid_mid, resid_mid + mlp_out = resid_post, and the next block starts there. */
export async function checkStream(at: Sites, model: Model): Promise<Check> {
  const { architecture, settings, sites } = model;
  const [id, title] = stream;
  const norms = architecture.sumNorms?.(settings) ?? null;
  if (norms !== null) return await checkNormedStream(at, model, norms);
  const worst = new Worst();
  const take = (parts: readonly string[], sum: string): void => {
    const terms = parts.map((part) => at[part].data);
    worst.take(sumError(terms, at[sum].data), `${parts.join(' + ')} = ${sum}`);
  };
  for (let layer = 0; layer < settings.layers; layer++) {
    const [pre, attention, mid, mlp, post] = parts.map((kind) => `${kind}.${layer}`);
    if (sites.kinds.has('resid_mid')) {
      take([pre, attention], mid);
      take([mid, mlp], post);
    } else {
      take([pre, attention, mlp], post);
    }
    if (layer > 0) take([`resid_post.${layer - 1}`], pre);
  }
  return worst.judged(id, title, allowedRoundings, 'every sum to the last bit');
}

const stream = ['stream', 'the stream adds up'] as const;
const parts = ['resid_pre', 'attn_out', 'resid_mid', 'mlp_out', 'resid_post'] as const;

/** The same where each sum is normed: resid_mid = norm(resid_pre + attn_out), and so on. */
async function checkNormedStream(
  at: Sites,
  { architecture, settings, weights }: Model,
  norms: { readonly mid: string; readonly post: string },
): Promise<Check> {
  const [id, title] = stream;
  const { width, layers } = settings;
  const worst = new Worst();
  for (let layer = 0; layer < layers; layer++) {
    const [pre, attention, mid, mlp, post] = parts.map((kind) => `${kind}.${layer}`);
    for (const [name, a, b, sum] of [
      [norms.mid, pre, attention, mid],
      [norms.post, mid, mlp, post],
    ]) {
      const read = async (part: string, absent: number): Promise<Float64Array> => {
        const tensor = weights.get(`${architecture.blockPrefix(layer)}${name}.${part}`);
        if (tensor === undefined) return new Float64Array(width).fill(absent);
        return Float64Array.from(await readFloats(tensor));
      };
      const [gain, bias] = [await read('weight', 1), await read('bias', 0)];
      for (let start = 0; start < at[sum].data.length; start += width) {
        const row = Float64Array.from({ length: width }, (_, i) => {
          return at[a].data[start + i] + at[b].data[start + i];
        });
        const { values, floors } = normed(row, gain, bias, usualEpsilon);
        values.forEach((value, i) => {
          const error = Math.abs(at[sum].data[start + i] - value);
          worst.take(error / floors[i], `norm(${a} + ${b}) = ${sum}`);
        });
      }
    }
  }
  return worst.judged(id, title, allowedRoundings, 'every normed sum to the last bit');
}

/** Largest error of a sum, in roundings of its largest part. */
function sumError(terms: readonly Float32Array[], sum: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < sum.length; i++) {
    let exact = 0;
    let size = Math.abs(sum[i]);
    for (const term of terms) {
      exact += term[i];
      size = Math.max(size, Math.abs(term[i]));
    }
    const error = Math.abs(sum[i] - exact);
    worst = larger(worst, error === 0 ? 0 : error / (rounding * size));
  }
  return worst;
}

/**
 * Rows of patterns sum to 1, see no key after their own and none before their window, and somewhere
 * reach as far as the window lets them.
 */
export function checkPatterns(at: Sites, model: Model, prompts: Prompts): Check {
  const { layers, heads } = model.settings;
  const keys = Math.max(...prompts.map((ids) => ids.length));
  const queries = prompts.flatMap((ids) => [...ids.keys()]);
  const worst = new Worst();
  for (let layer = 0; layer < layers; layer++) {
    const { data } = at[`pattern.${layer}`];
    const window = windowOf(model, layer) ?? Infinity;
    let reachesEdge = false;
    queries.forEach((query, row) => {
      for (let head = 0; head < heads; head++) {
        const start = (row * heads + head) * keys;
        const { floors, first } = rowError(data.subarray(start, start + keys), query, window);
        worst.take(floors, `pattern.${layer}, head ${head}, query ${query}`);
        reachesEdge ||= first === Math.max(0, query - window + 1) && query === keys - 1;
      }
    });
    worst.take(reachesEdge ? 0 : Infinity, `pattern.${layer}, whose window is too short`);
  }
  const allowed = allowedRoundings + Math.sqrt(keys);
  const check = worst.judged('patterns', 'patterns are causal probabilities', allowed, 'every row');
  return { ...check, detail: check.detail + windowNote(model, keys) };
}

function windowNote(model: Model, keys: number): string {
  const windows = Array.from({ length: model.settings.layers }, (_, l) => windowOf(model, l));
  const declared = windows.filter((window) => window !== null);
  const reached = declared.filter((window) => window < keys).length;
  return declared.length === 0 ? '' : `; ${reached} of ${declared.length} windows reached`;
}

/** How far a row is from a probability over the keys it may see, and the first key that it sees. */
function rowError(
  row: Float32Array,
  query: number,
  window: number,
): { readonly floors: number; readonly first: number } {
  let sum = 0;
  let first = query;
  for (let key = row.length - 1; key >= 0; key--) {
    const isLegal = key <= query && key > query - window ? row[key] >= 0 : row[key] === 0;
    if (!isLegal) return { floors: Infinity, first };
    if (row[key] > 0) first = key;
    sum += row[key];
  }
  return { floors: Math.abs(sum - 1) / rounding, first };
}

/** Nothing is NaN or infinite. */
export function checkFinite(at: Sites): Check {
  const [id, title] = ['finite', 'every activation is finite'];
  for (const [key, { data }] of Object.entries(at)) {
    // v − v is 0 for every finite v and NaN for all others, and a sum never loses a NaN.
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum += data[i] - data[i];
    if (sum === 0) continue;
    const wrong = data.find((value) => !Number.isFinite(value));
    return stated(id, title, 'fails', `${wrong} in ${key}`);
  }
  return stated(id, title, 'holds', `${Object.keys(at).length} sites`);
}
