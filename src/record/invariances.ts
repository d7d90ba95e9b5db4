/**
 * What must not change a model's numbers?
 *
 * Being looked at, what else is in the batch, what pads it, what comes later in the prompt. On the CPU
 * all of this leaves every bit as it was; where bits move, they may move by what sums taken in another
 * order would, which grows with width and depth.
 */

import type { Model } from '../../models/model.ts';
import { greedy } from '../runtime/generate.ts';
import type { Fetch } from '../runtime/session.ts';
import { leftOut, rowDifference, stated, Worst, type Check } from './examination.ts';
import {
  openPasses,
  reachOf,
  sharedTokens,
  type Batch,
  type Prompts,
  type Sites,
  type Subject,
} from './passes.ts';

const sameBits = 'the same bits';

/** Floors that sums in another order may move a number by; a fault moves it by 10⁵. */
function allowedDrift({ settings }: Model): number {
  return 4 * Math.sqrt(settings.width) * settings.layers;
}

/**
 * The batches of a graph with hardly any tap that show what company, order and padding change: all prompts in
 * another order, padded with another token to another length, and one prompt by itself. What begins the
 * first prompt is not read again: the longer one that stands in its place begins with it.
 */
export function companyOf([first, half, ...others]: Prompts, { settings }: Model): Batch[] {
  const longer = longerThan(first);
  return [
    { prompts: [...others, longer].toReversed(), fill: settings.vocabulary - 1 },
    { prompts: [half] },
  ];
}

function longerThan(first: readonly number[]): number[] {
  return [...first, ...first.slice(0, 3)];
}

/** Outputs of two graphs over the same prompts, one with taps everywhere and one with hardly any. */
export function checkTaps(tapped: Sites, bare: Sites, model: Model): Check {
  const worst = new Worst();
  for (const [key, { data }] of Object.entries(bare)) {
    worst.take(rowDifference(tapped[key].data, data, widthOf(bare[key])), key);
  }
  return worst.judged('taps', 'taps change nothing', allowedDrift(model), sameBits);
}

/**
 * All prompts in other company, and one by itself.
 *
 * @param bare What the same graph gave of the prompts; then what it gave of `companyOf`.
 */
export function checkPadding(
  bare: Sites,
  [beside, alone]: readonly Sites[],
  model: Model,
  prompts: Prompts,
): Check {
  const worst = new Worst();
  const all = cut(bare, prompts);
  compare(worst, all[1], alone, 'prompt 1 alone');
  inOrder(beside, prompts).forEach((other, i) =>
    compare(worst, all[i], other, `prompt ${i} in other company`),
  );
  const title = 'padding, order and company change nothing';
  return worst.judged('padding', title, allowedDrift(model), sameBits);
}

/** Whether the rows of all prompts have the same bits in `beside`, a batch of `companyOf`. */
export function isUnmoved(at: Sites, beside: Sites, prompts: Prompts): boolean {
  const worst = new Worst();
  const all = cut(at, prompts);
  inOrder(beside, prompts).forEach((other, i) => compare(worst, other, all[i], ''));
  return worst.floors === 0;
}

/** Rows of the prompts in the first batch of `companyOf`. */
function inOrder(beside: Sites, [first, half, ...others]: Prompts): Rows[] {
  const [longer, ...rest] = cut(beside, [longerThan(first), ...others.toReversed()]);
  return [firstOf(longer, first.length), firstOf(longer, half.length), ...rest.toReversed()];
}

/** Other tokens after a prefix, and none: the second and third prompt begin as the first does. */
export function checkPrefix(at: Sites, model: Model, prompts: Prompts): Check {
  const known = sharedTokens(prompts[0]);
  const worst = new Worst();
  const [whole, prefix, other] = cut(at, prompts).map((rows) => firstOf(rows, known));
  compare(worst, other, whole, 'another future');
  compare(worst, prefix, whole, 'no future');
  const title = 'a prefix does not see its future';
  return worst.judged('prefix', title, allowedDrift(model), sameBits);
}

/** The words that a model says next, alone and in a batch. */
export async function checkGreedy(
  subject: Subject,
  prompts: Prompts,
  maxTokens: number = 8,
): Promise<Check> {
  const [id, title] = ['greedy', 'greedy text is the same alone and in a batch'];
  const { model, bind, threads, device = 'cpu' } = subject;
  const reach = reachOf(model);
  const starts = prompts.map((ids) => ids.slice(0, Math.max(1, reach - maxTokens)));
  const tokens = Math.min(maxTokens, reach - 1);
  if (tokens < 1) return leftOut(id, title, `a context of ${reach} leaves no room for a reply`);
  const together = await greedyBatch(subject, starts, tokens);
  for (const [i, start] of starts.entries()) {
    const alone = await greedy(model, start, {
      maxTokens: tokens,
      threads,
      device,
      ...(bind === undefined ? {} : { bind }),
    });
    const t = alone.findIndex((token, k) => token !== together[i][k]);
    if (t < 0) continue;
    const found = `prompt ${i} goes on with token ${alone[t]} alone and ${together[i][t]} in a batch, at word ${t + 1}`;
    return stated(id, title, 'fails', found);
  }
  return stated(id, title, 'holds', `${starts.length} prompts, ${tokens} tokens each`);
}

/** Greedy decoding of several prompts at once, each step over all of them. */
async function greedyBatch(
  subject: Subject,
  starts: Prompts,
  maxTokens: number,
): Promise<number[][]> {
  const sequences = starts.map((ids) => [...ids]);
  const length = Math.max(...starts.map((ids) => ids.length)) + maxTokens;
  const passes = await openPasses(subject, [{ kind: 'logits', block: null }], length);
  try {
    for (let step = 0; step < maxTokens; step++) {
      const { logits } = await passes.runAt(sequences, (ids) => ids.length - 1);
      const width = widthOf(logits);
      sequences.forEach((ids, b) => {
        const row = logits.data.subarray(b * width, (b + 1) * width);
        ids.push(row.reduce((best, value, i) => (value > row[best] ? i : best), 0));
      });
    }
  } finally {
    await passes.close();
  }
  return sequences.map((ids, b) => ids.slice(starts[b].length));
}

/** The same passes on the CPU and on another device. Rounds in another order, and perhaps in less precision. */
export function checkDevice(here: Sites, reference: Sites, model: Model, device: string): Check {
  const worst = new Worst();
  for (const [key, { data }] of Object.entries(reference)) {
    worst.take(rowDifference(data, here[key].data, widthOf(here[key])), key);
  }
  const title = `${device} computes what the CPU does`;
  const check = worst.judged('device', title, 16 * allowedDrift(model), sameBits);
  // Less precision is a property of a device and no fault of ours, but a person must know of it.
  return check.outcome === 'fails' ? { ...check, outcome: 'unclear' } : check;
}

function widthOf({ data, shape }: Fetch): number {
  return data.length / Math.max(1, shape[0]);
}

type Rows = Readonly<Record<string, { readonly values: Float32Array; readonly width: number }>>;

/** What belongs to each prompt; patterns, whose rows are as long as the batch, are left out. */
function cut(sites: Sites, prompts: readonly { readonly length: number }[]): Rows[] {
  let end = 0;
  return prompts.map((prompt) => rowsOf(sites, end, (end += prompt.length)));
}

function firstOf(rows: Rows, count: number): Rows {
  return Object.fromEntries(
    Object.entries(rows).map(([key, { values, width }]) => [
      key,
      { values: values.subarray(0, count * width), width },
    ]),
  );
}

function rowsOf(sites: Sites, start: number, end: number): Rows {
  return Object.fromEntries(
    Object.entries(sites)
      .filter(([key]) => !key.startsWith('pattern.'))
      .map(([key, fetched]) => {
        const width = widthOf(fetched);
        return [key, { values: fetched.data.subarray(start * width, end * width), width }];
      }),
  );
}

/** Each number of `expected` beside that of `found`, which may hold more sites and more rows. */
function compare(worst: Worst, expected: Rows, found: Sites | Rows, where: string): void {
  for (const [key, { values, width }] of Object.entries(expected)) {
    const other = found[key];
    const data = 'values' in other ? other.values : other.data;
    worst.take(rowDifference(values, data.subarray(0, values.length), width), `${key}, ${where}`);
  }
}
