import { describe, expect, it } from 'vitest';
import { exitCodeOf, workerEnvironment } from '../../src/cli/child.ts';
import { isRepeat } from '../../src/cli/signals.ts';

describe('workerEnvironment', () => {
  it('turns telemetry off, even where it was turned on', () => {
    const env = workerEnvironment({ ORT_DISABLE_TELEMETRY: '0', HOME: '/h' }, 'darwin');
    expect(env).toEqual({ ORT_DISABLE_TELEMETRY: '1', HOME: '/h' });
  });

  it('names the thresholds of malloc on Linux, and leaves those that the user named', () => {
    expect(workerEnvironment({ MALLOC_TRIM_THRESHOLD_: '1' }, 'linux')).toEqual({
      ORT_DISABLE_TELEMETRY: '1',
      GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
      MALLOC_TRIM_THRESHOLD_: '1',
      MALLOC_MMAP_THRESHOLD_: '131072',
    });
  });
});

describe('exitCodeOf', () => {
  it('is what shells give', () => {
    expect(exitCodeOf('SIGINT')).toBe(130);
    expect(exitCodeOf('SIGTERM')).toBe(143);
  });
});

describe('isRepeat', () => {
  it('takes two signals at nearly one time for one key press', () => {
    expect(isRepeat(1000, 1020)).toBe(true);
    expect(isRepeat(1000, 1500)).toBe(false);
  });
});
