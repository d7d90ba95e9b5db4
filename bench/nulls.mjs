/**
 * What is said of data with nothing in them, at full length: the rates at which the default report and an attention probe speak.
 *
 *     npm run build && node bench/nulls.mjs [report SETS] [attention SETS]
 *
 * Without arguments 1,000 sets of each. `report`: two checkpoints × three sites of 80 prompts (40 topics of a positive and a negative
 * one) × 16 channels of noise with a part that topics share, words and lengths without meaning, mean difference with 200 shuffles, the baselines; nothing is claimed
 * of random directions, which are left out: how often anything printed says "told apart" or "beats". `attention`: 60 prompts of 3 to 6 tokens × 4 channels,
 * attention_pool with 19 shuffles: how often p ≤ .05. Both are promised at 5 %; with each rate goes its exact 95 % interval.
 */

import { here } from '../dist/src/math/multiply.js';
import { Random } from '../dist/src/base/random.js';
import { clopperPearson } from '../dist/probes/operating.js';
import { groupedFolds } from '../dist/probes/folds.js';
import { promptBaselines, scored } from '../dist/src/study/baselines.js';
import { claimsOf } from '../dist/src/study/claims.js';
import { asFamily, judgeSite, materialOf } from '../dist/src/study/points.js';
import { printTable, timed } from './measure.mjs';

const sets = { report: 1000, attention: 1000 };
const asked = process.argv.slice(2);
if (asked.length > 0) {
  Object.assign(sets, { report: 0, attention: 0 });
  for (let i = 0; i < asked.length; i += 2) sets[asked[i]] = Number(asked[i + 1]);
}

const plain = { c: 1, standardise: false, intercept: true, folds: 5 };
const rows = [['what', 'sets', 'said something', 'rate and its 95 % interval', 'CPU-s']];
for (const [what, speaks] of Object.entries({ report: reportSpeaks, attention: attentionSpeaks })) {
  if (sets[what] === 0) continue;
  const { cpu, result: said } = await timed(async () => {
    let count = 0;
    for (let seed = 0; seed < sets[what]; seed++) if (speaks(seed)) count++;
    return count;
  });
  const { rate, low, high } = rateOf(said, sets[what]);
  const interval = `${rate.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
  rows.push([what, sets[what], said, interval, cpu.toFixed(0)]);
}
printTable(rows);

function rateOf(said, count) {
  const { low, high } = clopperPearson(said, count);
  return { rate: said / count, low, high };
}

function judgedOf(groups, labels) {
  return { groups, labels: Uint8Array.from(labels), folds: groupedFolds(groups, 5) };
}

/** Two rows a topic, one of each label. */
function reportSpeaks(seed) {
  const random = new Random(seed);
  const groups = Array.from({ length: 80 }, (_, i) => `t${String(i >> 1).padStart(2, '0')}`);
  const judged = judgedOf(
    groups,
    groups.map((_, i) => i % 2),
  );
  const prompts = groups.map((_, i) => {
    const words = Array.from({ length: 3 + random.below(3) }, () => `w${random.below(8)}`);
    return { id: `p${i}`, body: { kind: 'text', text: words.join(' ') }, columns: {} };
  });
  const tokens = prompts.map((_, i) => 5 + (i % 3));
  const request = { ...plain, estimator: 'mean_difference', shuffles: 200, seed };
  const beside = promptBaselines(judged, prompts, tokens);
  const curves = [0, 1].map(() => {
    const embedding = materialOf(topicNoise(random), null, request);
    const own = scored('embedding', judged, here(embedding.scores(judged)));
    const rivals = { baselines: [...beside, own] };
    const found = [0, 1, 2].map((block) => {
      const material = materialOf(topicNoise(random), null, request);
      return here(
        judgeSite(`resid_post.${block}`, material, judged, rivals, request, { directions: false }),
      );
    });
    const { nulls, maxima } = asFamily(found);
    const points = found.map(({ point }, i) => ({ ...point, null: nulls[i], probe: '' }));
    return { points, null_maxima: maxima, baselines: rivals.baselines.map((b) => b.baseline) };
  });
  return claimsOf(curves).some(({ toldAt, wins }) => wins > 0 || toldAt.includes(true));
}

function topicNoise(random) {
  const d = 16;
  const data = new Float64Array(80 * d);
  let shared = [];
  for (let i = 0; i < 80; i++) {
    if (i % 2 === 0) shared = Array.from({ length: d }, () => 0.7 * random.normal());
    for (let j = 0; j < d; j++) data[i * d + j] = shared[j] + random.normal();
  }
  return { n: 80, d, data };
}

function attentionSpeaks(seed) {
  const random = new Random(seed).fork('attention');
  const d = 4;
  const groups = Array.from({ length: 60 }, (_, i) => `t${String(i >> 1).padStart(2, '0')}`);
  const judged = judgedOf(
    groups,
    groups.map((_, i) => i % 2),
  );
  const sizes = groups.map(() => 3 + random.below(4));
  const n = sizes.reduce((sum, size) => sum + size, 0);
  const data = Float64Array.from({ length: n * d }, () => random.normal());
  const request = { ...plain, estimator: 'attention_pool', shuffles: 19, seed };
  const material = materialOf({ n, d, data }, sizes, request);
  return here(material.evaluate(judged, { shuffles: 19, seed })).null.p <= 0.05;
}
