/**
 * Reads one mutated folder at a time, as the program would, and says whether the reading is right.
 *
 * Every path that the program hands to node:fs meanwhile is noted: none may lead out of the folder. A
 * reading is right if it is refused with a `UserError`, or equals what fuzzOracle.mjs, which shares no
 * line with src/, reads in the same files.
 */

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';
import {
  checkAdapter,
  checkArray,
  checkCheckpoint,
  checkRun,
  checkTokenizer,
} from './fuzzOracle.mjs';

let inside;
const strays = new Set();
const realpath = fs.realpathSync.native;

for (const [holder, names] of [
  [fs.promises, ['open', 'readFile', 'readdir', 'stat', 'lstat', 'realpath', 'access', 'opendir']],
  [fs, ['open', 'openSync', 'readFile', 'readFileSync', 'readdirSync', 'stat', 'statSync']],
  [fs, ['createReadStream', 'existsSync', 'accessSync', 'realpathSync', 'readdir', 'lstatSync']],
]) {
  for (const name of names) {
    const original = holder[name];
    holder[name] = (path, ...rest) => {
      note(path);
      return original.call(holder, path, ...rest);
    };
    Object.assign(holder[name], original);
  }
}
syncBuiltinESMExports();

function note(path) {
  if (inside === undefined || typeof path === 'number') return;
  const asked = resolve(String(path));
  let real = asked;
  try {
    real = realpath(asked);
  } catch {
    // Not there, and so not read.
  }
  for (const each of [asked, real]) {
    if (each !== inside && !each.startsWith(inside + sep)) strays.add(each);
  }
}

const dist = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
const { openCheckpoint } = await dist('src/files/checkpoint.js');
const { readTensorBytes } = await dist('src/files/safetensors.js');
const { scanWeights } = await dist('src/files/scan.js');
const { readNpyHeader, readNpyFloats } = await dist('src/files/npy.js');
const { openModel } = await dist('models/model.js');
const { openTokenizer } = await dist('src/text/tokenizer.js');
const { openRun } = await dist('src/record/run.js');
const { parametersOf } = await dist('models/model.js');
await import('@huggingface/transformers');
// Absent where adapters are not built in; the runner then has no case of them.
const hasAdapters = fs.existsSync(new URL('../dist/src/files/peft.js', import.meta.url));
const { openAdapter } = hasAdapters ? await dist('src/files/peft.js') : {};
const { matchAdapter } = hasAdapters ? await dist('models/adapters.js') : {};

/** The oracle looks at the sound folder too, and that is not the program's doing. */
function aside(check) {
  const folder = inside;
  inside = undefined;
  try {
    check();
  } finally {
    inside = folder;
  }
}

/** Each kind of folder: read it all, then hold it against the oracle, which throws where they differ. */
const readings = {
  async checkpoint(folder, base) {
    const checkpoint = await openCheckpoint(folder);
    const bytes = new Map();
    for (const [name, tensor] of checkpoint.tensors) {
      bytes.set(name, await readTensorBytes(tensor));
    }
    aside(() => checkCheckpoint.files(folder, checkpoint, bytes));
    const model = await openModel(checkpoint);
    parametersOf(model.architecture, model.settings);
    aside(() => checkCheckpoint.model(folder, base, checkpoint, model));
    const names = [...model.weights.values()].map(({ name }) => name);
    await scanWeights(checkpoint, names);
    aside(() => checkCheckpoint.finite(checkpoint, names, bytes));
  },
  async adapter(folder) {
    const model = await openModel(await openCheckpoint(folder));
    const adapter = await openAdapter(`${folder}/adapter`);
    const bytes = new Map();
    for (const [name, tensor] of adapter.tensors) bytes.set(name, await readTensorBytes(tensor));
    const { changes } = await matchAdapter(model, adapter);
    await scanWeights({ tensors: adapter.tensors }, adapter.tensors.keys());
    aside(() => checkAdapter(folder, adapter, bytes, changes));
  },
  async tokenizer(folder, base) {
    const tokenizer = await openTokenizer(folder);
    const texts = ['hello world', 'É 😀\n', ''];
    const encodings = texts.map((text) => tokenizer.encode(text, { addSpecialTokens: true }));
    aside(() => checkTokenizer(folder, base, encodings));
  },
  async run(folder) {
    const run = await openRun(folder);
    const data = new Map();
    for (const { name, files } of run.manifest.checkpoints) {
      for (const site of Object.keys(files)) {
        for (const { name: position } of run.manifest.positions) {
          data.set(`${name}/${site}/${position}`, await run.activations(name, site, position));
        }
      }
    }
    aside(() => checkRun(folder, run, data));
  },
  async npy(folder) {
    const array = await readNpyHeader(`${folder}/array.npy`);
    const values = await readNpyFloats(array);
    aside(() => checkArray(folder, array, values));
  },
};

/** What the runner's own tests plant, to see that it would notice. */
const planted = {
  crash: () => process.abort(),
  hang: () => {
    for (;;);
  },
  memory: () => new Uint8Array(600 * 2 ** 20).fill(1)[0],
  stray: () => fs.readFileSync('/etc/hostname'),
  defect: () => {
    throw new TypeError('planted');
  },
};

process.on('message', ({ id, kind, folder, base, plant }) => {
  void answer(id, kind, folder, base, plant);
});
process.send({ ready: true });

async function answer(id, kind, folder, base, plant) {
  inside = folder;
  strays.clear();
  const start = performance.now();
  let outcome;
  try {
    if (plant !== undefined) planted[plant]();
    await readings[kind](folder, base);
    outcome = { read: true };
  } catch (error) {
    if (error instanceof Error && error.name === 'UserError') {
      const whole = error.what !== '' && error.exitCode >= 2 && error.exitCode <= 4;
      outcome = whole ? { refused: error.code } : { defect: `a poor error: ${error.message}` };
    } else {
      outcome = { defect: String(error instanceof Error ? error.stack : error) };
    }
  }
  inside = undefined;
  process.send({
    id,
    ...outcome,
    strays: [...strays],
    milliseconds: performance.now() - start,
    megabytes: process.resourceUsage().maxRSS / 1024,
  });
}
