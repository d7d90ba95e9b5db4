/** Detectors on a trigger that changes nothing: suspects must not look cleaner than clean rows do. */

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { importRun } from '../../src/record/importRun.ts';
import { openRun } from '../../src/record/run.ts';
import { detect } from '../../src/study/detect.ts';
import { scratchPath } from '../support/scratch.ts';

describe('detect', () => {
  it('gives ½ for suspects that are clean rows again, each in a group with its twin', async () => {
    const [groups, d] = [40, 8];
    const random = new Random('detect');
    const states = Array.from({ length: groups }, () =>
      Array.from({ length: d }, () => random.normal()),
    ).flatMap((row) => [row, row]);
    const rows = scratchPath('rows.jsonl');
    const lines = states.map((_, i) => ({
      id: `${i}`,
      topic: `t${Math.floor(i / 2)}`,
      triggered: i % 2 === 1,
    }));
    writeFileSync(rows, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const activations = scratchPath('states.npy');
    const data = Float32Array.from(states.flat());
    writeFileSync(activations, encodeNpy('<f4', [2 * groups, d], data));
    const out = scratchPath('run');
    const site = 'resid_post.0';
    const common = { out, rows, checkpoint: 'one', position: 'last', site };
    await importRun({ ...common, activations: [activations] });
    const { detections, ...counts } = await detect(await openRun(out), {
      checkpoint: 'one',
      site,
      position: 'last',
      label: 'triggered',
      where: '',
      groups: 'topic',
      seed: 0,
    });
    expect(counts).toMatchObject({ n_reference: 20, n_clean: 20, n_suspect: 20 });
    // Equal rows have equal scores, whatever the score: ties count half.
    expect(detections.length).toBeGreaterThanOrEqual(6);
    for (const { auroc } of detections) expect(auroc).toBe(0.5);
  });
});
