/** Detectors on a trigger that changes nothing: suspects must not look cleaner than clean rows do. */

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import { encodeNpy } from '../../src/files/npy.ts';
import { importRun } from '../../src/record/importRun.ts';
import { openRun, type Run } from '../../src/record/run.ts';
import { detect } from '../../src/study/detect.ts';
import { scratchPath } from '../support/scratch.ts';

/** A run of rows with these columns and states. */
async function runOf(
  columns: readonly object[],
  states: readonly (readonly number[])[],
): Promise<Run> {
  const rows = scratchPath('rows.jsonl');
  const lines = columns.map((each, i) => `${JSON.stringify({ id: `${i}`, ...each })}\n`);
  writeFileSync(rows, lines.join(''));
  const activations = scratchPath('states.npy');
  const shape = [states.length, states[0].length];
  writeFileSync(activations, encodeNpy('<f4', shape, Float32Array.from(states.flat())));
  const out = scratchPath('run');
  const site = 'resid_post.0';
  await importRun({
    out,
    rows,
    checkpoint: 'one',
    position: 'last',
    site,
    activations: [activations],
  });
  return await openRun(out);
}

const request = {
  checkpoint: 'one',
  site: 'resid_post.0',
  position: 'last',
  label: 'triggered',
  where: '',
  groups: 'topic',
  seed: 0,
};

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

  it('does not make its halves of what alternates along the names of groups', async () => {
    const random = new Random('alternating');
    // Themes of two kinds, first all clean ones; the trigger changes nothing.
    const columns = Array.from({ length: 160 }, (_, i) => {
      const theme = String(Math.floor((i % 80) / 2)).padStart(2, '0');
      const triggered = i >= 80;
      return { topic: `${triggered ? 'z' : 'a'} ${theme} ${i % 2 ? 'code' : 'chat'}`, triggered };
    });
    const states = columns.map((_, i) =>
      Array.from({ length: 6 }, (__, j) => random.normal() + (j === 0 && i % 2 ? 8 : 0)),
    );
    const { detections } = await detect(await runOf(columns, states), request);
    const found = detections.find(({ detector }) => detector === 'mahalanobis')?.auroc ?? 0;
    expect(Math.abs(found - 0.5)).toBeLessThan(0.12);
  });

  it('holds the halves that it makes against topics, and not the folds of all prompts', async () => {
    const random = new Random('halves');
    // Folds of all pairs keep each topic whole, as p0, p2, … are of one topic and p1, p3, … of the other.
    const columns = Array.from({ length: 40 }, (_, i) => ({
      pair: `p${String(Math.floor(i / 2)).padStart(2, '0')}`,
      topic: `t${Math.floor(i / 2) % 2}`,
      triggered: i % 2 === 1,
      first: i < 2,
    }));
    const states = columns.map(() => Array.from({ length: 4 }, () => random.normal()));
    const run = await runOf(columns, states);
    await expect(detect(run, { ...request, groups: 'pair', where: '!first' })).rejects.toThrow(
      expect.objectContaining({ code: 'SPLIT_LEAKS' }),
    );
    const asked = { ...request, groups: 'pair', where: '!first', splitsTopics: true };
    const { n_reference: reference, n_clean: clean } = await detect(run, asked);
    expect([reference, clean]).toEqual([10, 9]);
  });

  it('judges no suspect whose topic the reference has, whatever its group', async () => {
    const random = new Random('topics');
    const columns = Array.from({ length: 48 }, (_, i) => ({
      topic: `t${Math.floor(i / 4)}`,
      // A group for each topic's clean rows and one for each of its suspects.
      field: i % 4 < 2 ? `t${Math.floor(i / 4)}` : `suspect ${i}`,
      triggered: i % 4 >= 2,
    }));
    const states = columns.map(() => Array.from({ length: 4 }, () => random.normal()));
    const run = await runOf(columns, states);
    const { n_suspect: judged } = await detect(run, { ...request, groups: 'field' });
    expect(judged).toBe(12);
    const asked = { ...request, groups: 'field', splitsTopics: true };
    expect(await detect(run, asked)).toMatchObject({ n_suspect: 24 });
  });
});
