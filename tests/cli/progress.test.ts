import { describe, expect, it } from 'vitest';
import { canRedraw, terminalProgress } from '../../src/cli/progress.ts';

/** A progress with a clock that we move, and what it wrote. */
function watched(redraws: boolean, width = 80) {
  const clock = { ms: 0 };
  const written: string[] = [];
  const sink = { write: (text: string) => written.push(text) };
  const progress = terminalProgress(sink, { redraws, width: () => width, now: () => clock.ms });
  return { clock, written, progress };
}

describe('terminalProgress', () => {
  it('redraws one line at most ten times a second', () => {
    const { clock, written, progress } = watched(true);
    progress.begin('extract', 1000, 'prompts');
    for (let i = 1; i <= 1000; i++) {
      clock.ms = i;
      progress.update(i);
    }
    expect(written).toHaveLength(11);
    expect(written.every((text) => text.startsWith('\r\u001b[K') && !text.includes('\n'))).toBe(
      true,
    );
  });

  it('prints whole lines off a terminal: one for each tenth', () => {
    const { clock, written, progress } = watched(false);
    progress.begin('extract', 1000, 'prompts');
    for (let i = 1; i <= 1000; i++) {
      clock.ms = 20 * i;
      progress.update(i);
    }
    progress.close();
    expect(written).toHaveLength(11);
    expect(written[0]).toBe('extract · 1 000 prompts\n');
    expect(written[1]).toBe('extract · 100/1 000 prompts · 50 prompts/s · 18.0 s left\n');
  });

  it('keeps quiet about work that is over in a moment', () => {
    const { clock, written, progress } = watched(false);
    progress.begin('extract', 1000, 'prompts');
    for (clock.ms = 1; clock.ms <= 1000; clock.ms++) progress.update(clock.ms);
    expect(written).toEqual(['extract · 1 000 prompts\n']);
  });

  it('prints a line every half minute where work is slow or its size unknown', () => {
    const { clock, written, progress } = watched(false);
    progress.begin('hash');
    for (clock.ms = 1000; clock.ms <= 90_000; clock.ms += 1000) progress.update(clock.ms / 1000);
    expect(written).toEqual([
      'hash\n',
      'hash · 30 · 1.0/s\n',
      'hash · 60 · 1.0/s\n',
      'hash · 90 · 1.0/s\n',
    ]);
  });

  it('counts for its speed only what was done since the run was taken up again', () => {
    const { clock, written, progress } = watched(true);
    progress.begin('stage1', 1000, 'rows');
    progress.update(500);
    clock.ms = 10_000;
    progress.update(600, 'resid_post.3');
    expect(written.at(-1)).toBe(
      '\r\u001b[Kstage1 · 600/1 000 rows · 10 rows/s · 40.0 s left · resid_post.3',
    );
  });

  it('fits the line to the terminal and lets nothing strange through', () => {
    const { written, progress } = watched(true, 12);
    progress.begin('a\u001b[2Jvery long name');
    expect(written).toEqual(['\r\u001b[Kavery long…']);
  });

  it('takes its line away before a note and at the end', () => {
    const { written, progress } = watched(true);
    progress.begin('x');
    progress.note('kept');
    progress.close();
    expect(written).toEqual(['\r\u001b[Kx', '\r\u001b[K', 'kept\n']);
  });
});

describe('canRedraw', () => {
  it('is for real terminals only', () => {
    expect(canRedraw(true, { TERM: 'xterm' })).toBe(true);
    expect(canRedraw(false, { TERM: 'xterm' })).toBe(false);
    expect(canRedraw(true, { TERM: 'dumb' })).toBe(false);
    expect(canRedraw(true, { TERM: 'xterm', CI: 'true' })).toBe(false);
  });
});
