/**
 * Does the code keep to its plan? (docs/architecture.md gives the reasons.)
 *
 * Three tables say the plan: which folders lie above which, where each package may enter, and what
 * may not be written at all. Each rule is a function of a path and a text, so that it is shown here
 * to fail on a planted fault before it is held against the real files. Type-only imports count.
 */

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Lowest first. Folders on one line are siblings that do not know each other. */
const layers: readonly (readonly string[])[] = [
  ['src/base'],
  ['src/math', 'src/files', 'src/contract'],
  ['src/graph', 'probes'],
  ['src/autodiff', 'models', 'src/text'],
  ['src/runtime'],
  ['src/record', 'src/train', 'src/intervene'],
  ['src/study'],
  ['src/index.ts'],
  ['src/cli', 'src/server'],
  ['viewer'],
];

/** Folders that may know less than all that lies below them. */
const narrow: Readonly<Record<string, readonly string[] | undefined>> = {
  probes: ['src/math', 'src/base'],
  'src/autodiff': ['src/graph', 'src/files', 'src/math', 'src/base'],
  models: ['src/graph', 'src/files', 'src/math', 'src/base'],
  'src/text': ['src/graph', 'src/files', 'src/math', 'src/base'],
  viewer: ['src/contract'],
};

/** The composition root hands the server to the commands that need it. */
const exceptions = new Set(['src/cli/main.ts → src/server']);

/** Where each package may be imported; a package that is not here may not be imported at all. */
const doors: Readonly<Record<string, RegExp | undefined>> = {
  'onnxruntime-node': /^src\/runtime\/(session|devices)\.ts$/,
  'onnxruntime-common': /^src\/runtime\/session\.ts$/,
  '@huggingface/transformers': /^src\/text\/tokenizer\.ts$/,
  'ml-matrix': /^src\/math\/decompose\.ts$/,
  'ml-pca': /^probes\/pca\.ts$/,
  express: /^src\/server\//,
  commander: /^src\/cli\//,
  d3: /^viewer\//,
  vite: /^viewer\/vite\.config\.ts$/,
  zod: /^(src|models)\//,
  'node:fs':
    /^src\/(files|cli|server)\/|^src\/record\/(store|checkpointWriter|run)\.ts$|^viewer\/vite\.config\.ts$/,
  'node:process': /^src\/cli\//,
  'node:*': /^src\/(?!base|math|contract|graph|autodiff)|^models\/|^viewer\/vite\.config\.ts$/,
};

/** Words that may stand in few places; `probes/` is pure, and chance has a seed everywhere. */
const words: readonly { word: RegExp; where: RegExp }[] = [
  // A process's number is no setting and no stream: a lock names it and asks whether it lives.
  {
    word: /\bprocess\.(?!pid\b|kill\(pid, 0\))\w/,
    where: /^src\/cli\/|^src\/runtime\/session\.ts$/,
  },
  { word: /\bconsole\.\w/, where: /^src\/cli\// },
  { word: /\bMath\.random\b/, where: /^$/ },
  {
    word: /\bnew Date\b|\bDate\.now\b|\bperformance\.now\b/,
    where: /^(?!probes|src\/(base|math|graph|contract))/,
  },
  { word: /^export default\b|\bas default\b/m, where: /^viewer\/vite\.config\.ts$/ },
];

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = ['src', 'probes', 'models', 'viewer']
  .flatMap(filesUnder)
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));

describe('layerFaults', () => {
  it.each([
    ['an upward import', 'src/math/rows.ts', `import { x } from '../graph/onnx.ts';`],
    ['a sideways import', 'src/files/npy.ts', `import { x } from '../math/rows.ts';`],
    ['a type-only import', 'src/base/units.ts', `import type { X } from '../math/rows.ts';`],
    ['an import inside a type', 'src/base/units.ts', `type X = import('../math/rows.ts').Rows;`],
    ['a lazy import', 'src/record/extract.ts', `await import('../cli/main.ts');`],
    [
      'an import over several lines',
      'models/llama.ts',
      `import {\n  x,\n} from '../src/text/chat.ts';`,
    ],
    ['a re-export', 'src/math/rows.ts', `export { x } from '../graph/onnx.ts';`],
    ['a probe that knows files', 'probes/pca.ts', `import { x } from '../src/files/npy.ts';`],
    ['a viewer that knows the core', 'viewer/main.ts', `import { x } from '../src/base/units.ts';`],
    [
      'a command that takes the server itself',
      'src/cli/commands/view.ts',
      `import '../../server/listen.ts';`,
    ],
    ['a source that uses tests', 'src/base/units.ts', `import '../../tests/support/setup.ts';`],
  ])('finds %s', (_name, path, text) => {
    expect(layerFaults(path, text)).toHaveLength(1);
  });

  it('is content with downward imports, with examples in comments and with the composition root', () => {
    expect(layerFaults('src/study/run.ts', `import type { X } from '../base/units.ts';`)).toEqual(
      [],
    );
    expect(
      layerFaults('src/base/x.ts', `/**\n * import { x } from '../cli/main.ts';\n */`),
    ).toEqual([]);
    expect(layerFaults('src/cli/main.ts', `import('../server/listen.ts')`)).toEqual([]);
  });

  it.each(['src', 'probes', 'models', 'viewer'])('is held against files of %s', (folder) => {
    expect(sources.filter((path) => path.startsWith(`${folder}/`))).not.toEqual([]);
  });

  it.each(sources)('finds nothing in %s', (path) => {
    expect(layerFaults(path, read(path))).toEqual([]);
  });
});

describe('doorFaults', () => {
  it.each([
    ['a package by another door', 'src/record/extract.ts', `import ort from 'onnxruntime-node';`],
    ['a path within a package', 'src/cli/main.ts', `import x from 'd3/src/index.js';`],
    ['a package without a door', 'src/cli/main.ts', `import x from 'left-pad';`],
    ['files read by a graph', 'src/graph/print.ts', `import { readFileSync } from 'node:fs';`],
    ['files read by a promise', 'src/text/prompts.ts', `import fs from 'node:fs/promises';`],
    ['the process outside the command line', 'src/study/run.ts', `if (process.env['X']) go();`],
    ['chance without a seed', 'probes/evaluate.ts', `const x = Math.random();`],
    ['a clock in a probe', 'probes/evaluate.ts', `const x = Date.now();`],
    ['a default export', 'src/base/units.ts', `export default function x() {}`],
  ])('finds %s', (_name, path, text) => {
    expect(doorFaults(path, text)).toHaveLength(1);
  });

  it.each(sources)('finds nothing in %s', (path) => {
    expect(doorFaults(path, read(path))).toEqual([]);
  });
});

describe('cycleIn', () => {
  it('finds a circle', () => {
    const circle = new Map(Object.entries({ a: ['b'], b: ['c'], c: ['b'] }));
    expect(cycleIn(circle)).toEqual(['b', 'c', 'b']);
  });

  it('finds none among the sources', () => {
    const imports = sources.map((path) => [path, neighbours(path, read(path))] as const);
    expect(cycleIn(new Map(imports))).toEqual([]);
  });
});

describe('module headers', () => {
  it.each(sources)('%s says first what it is for', (path) => {
    expect(read(path).replace(/^#!.*\n/, '')).toMatch(/^\/\*\* ?[A-Z]|^\/\*\*\n \* [A-Z`]/);
  });
});

describe('the repository', () => {
  const folders = ['src', 'probes', 'models', 'viewer', 'tests', 'bench', 'docs', '.ci'];
  const loose = readdirSync(root).filter((name) => statSync(join(root, name)).isFile());
  const files = [...folders.flatMap(filesUnder), ...loose];
  const text = files.filter((path) =>
    /\.(ts|mjs|mts|md|json|jsonl|html|css|py|txt|csv)$/.test(path),
  );

  const data = /^(tests\/golden|models\/organism)\//;

  it('knows a path of somebody’s machine when it sees one', () => {
    expect(strangePaths(`see ${['..', 'shared', 'x'].join('/')}`)).toHaveLength(1);
    expect(strangePaths(`read ${['', 'home', 'ann', 'x'].join('/')}`)).toHaveLength(1);
    expect(strangePaths(`${['a', 'work', 'of'].join('/')} art, /workspace, shared/x`)).toEqual([]);
  });

  it('names no path of a machine', () => {
    expect(text.filter((path) => strangePaths(read(path)).length > 0)).toEqual([]);
  });

  it('keeps its data small', () => {
    expect(totalMb(filesUnder('tests/golden'))).toBeLessThan(20);
    expect(totalMb(filesUnder('models/organism'))).toBeLessThan(25);
    expect(files.filter((path) => !data.test(path) && sizeMb(path) > 1)).toEqual([]);
  });
});

/** Imports of other folders of ours that the layers do not allow. */
function layerFaults(path: string, text: string): string[] {
  const home = folderOf(path);
  return relativeImports(path, text).filter((target) => {
    const other = folderOf(target);
    if (home === undefined || other === undefined) return true;
    if (other === home || exceptions.has(`${path} → ${other}`)) return false;
    return !(narrow[home]?.includes(other) ?? heightOf(other) < heightOf(home));
  });
}

/** Packages that came in by the wrong door, and words where they may not stand. */
function doorFaults(path: string, text: string): string[] {
  const packages = importsOf(text).filter((name) => !name.startsWith('.'));
  const uninvited = packages.filter((name) => {
    const own = name.split('/', name.startsWith('@') ? 2 : 1).join('/');
    const door = doors[own] ?? (own.startsWith('node:') ? doors['node:*'] : undefined);
    return door === undefined || !door.test(path);
  });
  const code = withoutComments(text);
  const misplaced = words.filter(({ word, where }) => word.test(code) && !where.test(path));
  return [...uninvited, ...misplaced.map(({ word }) => String(word))];
}

/** The first circle met when imports are followed, its first member named again at its end. */
function cycleIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    if (done.has(path)) return [];
    for (const next of graph.get(path) ?? []) {
      const found = visit(next, [...trail, path]);
      if (found.length > 0) return found;
    }
    done.add(path);
    return [];
  };
  for (const path of graph.keys()) {
    const found = visit(path, []);
    if (found.length > 0) return found;
  }
  return [];
}

/** A lazy import closes no circle: by the time it runs, both modules are whole. */
function neighbours(path: string, text: string): string[] {
  return relativeImports(path, text.replaceAll(/\bawait import\(/g, 'later('));
}

function relativeImports(path: string, text: string): string[] {
  return importsOf(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(path), name));
}

function importsOf(text: string): string[] {
  const form = /\b(?:from|import)\s*\(?\s*['"]([^'"\n]+)['"]/g;
  return [...withoutComments(text).matchAll(form)].map((match) => match[1]);
}

function withoutComments(text: string): string {
  return text.replaceAll(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replaceAll(/^[ \t]*\/\/.*$/gm, '');
}

function strangePaths(text: string): string[] {
  return text.match(/\.\.\/shared\b|(?<![\w.])\/(?:work|root|home|Users)\/\w+/g) ?? [];
}

function sizeMb(path: string): number {
  return statSync(join(root, path)).size / 2 ** 20;
}

function totalMb(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + sizeMb(path), 0);
}

function folderOf(path: string): string | undefined {
  return layers.flat().find((folder) => path === folder || path.startsWith(`${folder}/`));
}

function heightOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder));
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function filesUnder(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath.slice(root.length), entry.name))
    .filter((path) => !/(^|\/)(node_modules|dist)\//.test(path));
}
