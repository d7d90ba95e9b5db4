/**
 * Probes beside scikit-learn, interleaved, one thread each, on the same bytes.
 *
 *     npm run build && node bench/probes.mjs PYTHON [ROUNDS] [SITES] [WIDTH] [ROWS]
 *
 * PYTHON is an interpreter that has scikit-learn. `sweep`: 5 folds by group × 5 strengths (C = 1e-3 … 10),
 * standardised in each fold, both sides to a gradient of the mean loss of 1e-6. `permutations`: refits on shuffled labels
 * at C = 0.01, to the same gradient; scikit-learn does a tenth of ours, and its time is multiplied. `pca`: ten components by scikit-learn's
 * own choice of method, which is a randomised approximation here; `pca_exact`: by its exact route over the covariance. Ours is exact both times.
 * Times are CPU-seconds of the work alone, without starting, importing and reading; ours includes compiling our own code as it runs.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fitMany } from '../dist/probes/logisticMany.js';
import { gradientTolerance, looseTolerance } from '../dist/probes/logistic.js';
import { fitPcaSteps } from '../dist/probes/pca.js';
import { Random } from '../dist/src/base/random.js';
import { through } from '../dist/src/math/multiply.js';
import { withMultiply } from '../dist/src/runtime/multiply.js';
import { median, printTable, runNode, timed, withFolder } from './measure.mjs';

const strengths = [1e-3, 1e-2, 1e-1, 1, 10];
const permutations = 1000;
const share = 10;
const self = fileURLToPath(import.meta.url);

if (process.argv[2] === '--ours') await ours(process.argv[3], process.argv[4]);
else await compare(process.argv[2], ...process.argv.slice(3).map(Number));

async function compare(python, rounds = 3, sites = 2, d = 768, n = 2000) {
  await withFolder(async (folder) => {
    const sample = permutations / share;
    const about = { n, d, sites, strengths, sample, tolerance: 1e-6 };
    writeFileSync(join(folder, 'about.json'), JSON.stringify(about));
    for (let site = 0; site < sites; site++) writeSite(folder, about, site);
    const folds = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 2) % 5);
    writeFileSync(join(folder, 'folds.i32'), folds);
    const theirs = (part) => {
      const script = fileURLToPath(new URL('./probes.py', import.meta.url));
      const { stdout, stderr, status } = spawnSync(python, [script, folder, part], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`${python} ${script}:\n${stderr}`);
      return JSON.parse(stdout);
    };
    const rows = [['what', 'scikit-learn, CPU-s', 'ours, CPU-s', 'ratio of medians']];
    for (const part of ['sweep', 'permutations', 'pca', 'pca_exact']) {
      const times = { theirs: [], ours: [] };
      for (let round = 0; round < rounds; round++) {
        const other = theirs(part);
        const own = JSON.parse((await runNode([self, '--ours', folder, part])).stdout);
        console.log(JSON.stringify({ part, round, theirs: other, ours: own }));
        times.theirs.push(other.cpu * (part === 'permutations' ? share : 1));
        times.ours.push(own.cpu);
      }
      const spread = (values) => values.map((value) => value.toFixed(2)).join(' ');
      const ratio = median(times.theirs) / median(times.ours);
      rows.push([part, spread(times.theirs), spread(times.ours), `${ratio.toFixed(1)} ×`]);
    }
    printTable(rows);
    const exact = JSON.parse((await runNode([self, '--ours', folder, 'check'])).stdout);
    console.log(JSON.stringify({ part: 'check', ours: exact, gaps: theirs('check').result }));
  });
}

/** Two classes along a planted direction, correlated channels, a few of them massive, as residual streams have. */
function writeSite(folder, { n, d }, site) {
  const random = new Random(20261128).fork('site', site);
  const scales = random.shuffle(Array.from({ length: d }, (_, j) => (j + 1) ** -0.5));
  for (let j = 0; j < 3; j++) scales[j] *= 30;
  const factors = Math.max(64, Math.floor(d / 4));
  const loadings = normals(random, factors * d).map((value) => value / Math.sqrt(factors));
  const planted = normals(random, d);
  const labels = Uint8Array.from({ length: n }, (_, i) => i % 2);
  const x = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    const row = normals(random, d).map((value) => 0.5 * value);
    for (let f = 0; f < factors; f++) {
      const factor = random.normal();
      for (let j = 0, at = f * d; j < d; j++, at++) row[j] += factor * loadings[at];
    }
    const side = ((2 * labels[i] - 1) * (0.2 + 0.1 * site)) / Math.sqrt(d);
    for (let j = 0; j < d; j++) x[i * d + j] = (row[j] + side * planted[j]) * scales[j];
  }
  writeFileSync(join(folder, `x${site}.f32`), x);
  writeFileSync(join(folder, `labels${site}.u8`), labels);
}

function normals(random, length) {
  return Float64Array.from({ length }, () => random.normal());
}

async function ours(folder, part) {
  const about = JSON.parse(readFileSync(join(folder, 'about.json'), 'utf8'));
  const { n, d } = about;
  const numbers = (name, Type) => {
    const { buffer } = Uint8Array.from(readFileSync(join(folder, name)));
    return new Type(buffer);
  };
  const sites = Array.from({ length: about.sites }, (_, site) => ({
    rows: { n, d, data: numbers(`x${site}.f32`, Float32Array) },
    labels: numbers(`labels${site}.u8`, Uint8Array),
  }));
  const folds = numbers('folds.i32', Int32Array);
  const trains = [0, 1, 2, 3, 4].map((k) =>
    Int32Array.from(folds.keys()).filter((i) => folds[i] !== k),
  );
  const framing = { standardise: true, intercept: true };
  const problem = (train, labels, c) => ({
    train,
    labels,
    c,
    tolerance: part === 'check' ? gradientTolerance : looseTolerance(c, train.length),
    isForRanks: part === 'permutations',
  });
  await withMultiply(async (multiply) => {
    const fit = async (rows, problems) => {
      const found = [];
      const visit = (i, { coef }) => (found[i] = coef);
      await through(fitMany(rows, problems, framing, visit), multiply);
      return found;
    };
    const [{ rows, labels }] = sites;
    const works = {
      sweep: async () => {
        for (const site of sites) {
          const problems = trains.flatMap((train) =>
            strengths.map((c) => problem(train, site.labels, c)),
          );
          await fit(site.rows, problems);
        }
      },
      permutations: async () => {
        const random = new Random(0);
        const drawn = Array.from({ length: permutations }, () => random.shuffle([...labels]));
        await fit(
          rows,
          drawn.map((labelling) => problem(trains[0], labelling, 0.01)),
        );
      },
      pca: async () => await through(fitPcaSteps(rows, 10), multiply),
      pca_exact: async () => await through(fitPcaSteps(rows, 10), multiply),
      check: async () => {
        const problems = strengths.map((c) => problem(trains[0], labels, c));
        const weights = Float64Array.from((await fit(rows, problems)).flatMap((w) => [...w]));
        writeFileSync(join(folder, 'weights.f64'), weights);
      },
    };
    // What scikit-learn has done by importing: the library for products is loaded.
    for (const Kind of [Float32Array, Float64Array]) {
      const [a, b] = [64 * 64, 64 * 64].map((size) => new Kind(size));
      await multiply({ a: { n: 64, d: 64, data: a }, b: { n: 64, d: 64, data: b } });
    }
    const { cpu, wall } = await timed(works[part]);
    const peak = Math.round(process.resourceUsage().maxRSS / 1024);
    console.log(JSON.stringify({ cpu, wall, peak }));
  });
}
