/**
 * How adapters and ways between checkpoints are written on a command line, and which checkpoints of
 * the run they make.
 */

import type { Option } from 'commander';
import { nearest, UserError } from '../base/errors.ts';
import type { CheckpointRequest } from '../record/plan.ts';
import type { AdapterRequest, SourceRequest } from '../record/weightSources.ts';
import { checkpointName, option, pair, repeatable, type NamedModel, type Pair } from './args.ts';

/** Adapters one on the other, and what they lie on. */
export interface AdapterStack {
  readonly name: string;
  /** A folder, or the name of a checkpoint on the same command line. */
  readonly base: string;
  readonly adapters: readonly AdapterRequest[];
}

/** Reads `NAME=BASE+PATH[+PATH…]`. */
export function adapterStack(text: string): AdapterStack {
  const fix = 'Write it like tuned=BASE+ADAPTER, with a folder or a checkpoint’s name for BASE.';
  const split = text.indexOf('=');
  const [base, ...paths] = text.slice(split + 1).split('+');
  if (split < 1 || base === '' || paths.length === 0) {
    throw new UserError('USAGE', `"${text}" does not say what lies on what`, { fix });
  }
  const name = text.slice(0, split);
  if (!checkpointName.test(name)) {
    throw new UserError('USAGE', `"${name}" cannot be a checkpoint's name`, {
      where: text,
      fix: 'Use letters, digits, ".", "_" and "-", at most 64.',
    });
  }
  return { name, base, adapters: paths.map(adapterPath) };
}

/** Reads `PATH` or `PATH@SCALE`. */
export function adapterPath(text: string): AdapterRequest {
  const [, path, scale] = /^(.*?)(?:@([^@/\\]+))?$/.exec(text) ?? [];
  if (path === '') {
    throw new UserError('USAGE', `"${text}" names no adapter`, {
      fix: 'Give the folder that holds adapter_config.json.',
    });
  }
  const isScaled = scale !== undefined && isNumber(scale);
  return isScaled ? { path, scale: Number(scale) } : { path: text };
}

/** Reads `0,.25,1`; none twice. */
export function numbers(text: string): readonly number[] {
  const items = text.split(',').map((item) => item.trim());
  const wrong = items.find((item) => !isNumber(item));
  if (wrong !== undefined) {
    throw new UserError('USAGE', `"${wrong}" is not a number`, {
      fix: 'Separate numbers by single commas, as in 0,.5,1.',
    });
  }
  const values = items.map(Number);
  const twice = values.find((value, i) => values.indexOf(value) < i);
  if (twice !== undefined) throw new UserError('USAGE', `${twice} stands twice in "${text}"`);
  return values;
}

function isNumber(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text));
}

/** The part of a command line that says which checkpoints there are. */
export interface CheckpointArgs {
  readonly models?: readonly NamedModel[];
  readonly adapter?: readonly AdapterStack[];
  readonly scale?: readonly number[];
  readonly between?: Pair;
  readonly at?: readonly number[];
}

/** `--adapter`, `--scale`, `--between` and `--at`, for every command that runs such checkpoints. */
export function adapterOptions(): Option[] {
  return [
    repeatable(
      '--adapter <name=base+path>',
      'NAME=BASE+PATH[+PATH…]: PEFT adapters, one on the other, on a folder or a named checkpoint; PATH@.5 makes half of a change',
      adapterStack,
    ),
    option('--scale <list>', 'share of the adapters’ change to make, e.g. 0,.5,1', numbers),
    option('--between <a..b>', 'points on the way between two checkpoints of this run', pair),
    option('--at <list>', 'which points, e.g. 0,.25,.5,1', numbers),
  ];
}

/** @throws {UserError} `USAGE` for options that need each other and stand alone. */
export function checkCheckpointArgs(args: CheckpointArgs): void {
  const { models = [], adapter = [], scale, between, at } = args;
  if (models.length + adapter.length === 0) {
    throw new UserError('USAGE', 'no checkpoint is named', {
      fix: 'Name a checkpoint folder, or --adapter NAME=BASE+PATH.',
    });
  }
  if (scale !== undefined && adapter.length === 0) {
    throw new UserError('USAGE', '--scale is for adapters, and there is none', {
      fix: 'Add --adapter NAME=BASE+PATH, or use --between for two checkpoints.',
    });
  }
  if ((between === undefined) !== (at === undefined)) {
    const [here, there] = at === undefined ? ['--between', '--at'] : ['--at', '--between'];
    throw new UserError('USAGE', `${here} needs ${there}`, {
      fix: 'Write both, as in --between base..tuned --at 0,.5,1.',
    });
  }
}

/**
 * Models in their order, then adapters, then points on the way.
 *
 * With several scales, each stack becomes a checkpoint `NAME-SCALE` for each; what an adapter's own
 * `@SCALE` says stays. A name always stands for the whole stack.
 */
export function checkpointRequests(args: CheckpointArgs): CheckpointRequest[] {
  const { models = [], adapter = [], scale = [1], between, at = [] } = args;
  const sources = new Map<string, SourceRequest>(
    models.map(({ name, model }) => [name, { folder: model }]),
  );
  const requests: CheckpointRequest[] = models.map(({ name, model }) => ({ name, folder: model }));
  for (const { name, base, adapters } of adapter) {
    const { folder, adapters: below = [] } = sources.get(base) ?? { folder: base };
    for (const dose of scale) {
      const scaled = adapters.map((one) => ({ scale: dose, ...one }));
      const suffix = scale.length === 1 ? '' : `-${dose}`;
      requests.push({ name: name + suffix, folder, adapters: [...below, ...scaled] });
    }
    sources.set(name, { folder, adapters: [...below, ...adapters] });
  }
  if (between !== undefined) {
    const [from, to] = [between.from, between.to].map((name) => known(sources, name));
    for (const t of at) {
      requests.push({
        name: `${between.from}-${between.to}-${t}`,
        ...from,
        towards: { ...to, at: t },
      });
    }
  }
  return requests;
}

function known(sources: ReadonlyMap<string, SourceRequest>, name: string): SourceRequest {
  const source = sources.get(name);
  if (source !== undefined) return source;
  const near = nearest(name, sources.keys());
  throw new UserError('USAGE', `no checkpoint is called "${name}"`, {
    where: '--between',
    fix:
      near === undefined
        ? `Name it on the same command line: ${name}=FOLDER.`
        : `Did you mean "${near}"?`,
  });
}
