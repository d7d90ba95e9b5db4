/** Runs over adapters and ways: what lies on disk, what the manifest says of it, and what must not mix. */

import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/base/json.ts';
import { extract } from '../../src/record/extract.ts';
import { planExtraction, type CheckpointRequest } from '../../src/record/plan.ts';
import { openRun } from '../../src/record/run.ts';
import { describeDerivation, identityOfWeights, Sources } from '../../src/record/weightSources.ts';
import type { Manifest } from '../../src/contract/manifest.ts';
import { goldenFacts, goldenFolder, readJson, readTensors } from '../support/golden.ts';
import { hollowCheckpoint } from '../support/hollowCheckpoint.ts';
import { scratchFolder, scratchPath } from '../support/scratch.ts';

const plain = goldenFolder('lora_plain');
const dora = goldenFolder('lora_dora');
const adapter = join(plain, 'adapter');
const second = join(dora, 'adapter');

function promptFile(name: string): string {
  const path = scratchPath('prompts.jsonl');
  const lines = goldenFacts(name).prompts.map(
    (ids, i) => `${JSON.stringify({ id: `p${i}`, ids })}\n`,
  );
  writeFileSync(path, lines.join(''));
  return path;
}

const prompts = promptFile('lora_plain');

async function run(
  checkpoints: readonly CheckpointRequest[],
  out = scratchPath('run'),
  add = false,
) {
  const plan = await planExtraction({
    checkpoints,
    prompts,
    sites: 'resid_post,logits',
    positions: 'last',
    batchTokens: 256,
    threads: 1,
    store: 'float32',
    ignoredConfigKeys: [],
  });
  const { manifest } = await extract(plan, { out, add });
  return { out, manifest };
}

/** Bytes of one site's activations. */
function stored(out: string, name: string, site = 'logits'): Buffer {
  const path = join(out, 'activations', name, `${site}.safetensors`);
  return Buffer.from(readTensors(path).get('last')!.bytes);
}

/** What docs/formats.md says that a checkpoint's hash is. */
function digestOf(folder: string): string {
  const config = readJson(join(folder, 'config.json'));
  return createHash('sha256')
    .update(`${canonicalJson(config)}\n`)
    .update(readFileSync(join(folder, 'model.safetensors')))
    .digest('hex');
}

const base = { name: 'base', folder: plain };

describe('a run over adapters', () => {
  it('holds base, adapters, stacks and points on the way', async () => {
    const { out, manifest } = await run([
      base,
      { name: 'one', folder: plain, adapters: [{ path: adapter }] },
      { name: 'none', folder: plain, adapters: [{ path: adapter, scale: 0 }] },
      { name: 'half', folder: plain, adapters: [{ path: adapter, scale: 0.5 }] },
      { name: 'stack', folder: plain, adapters: [{ path: adapter }, { path: second }] },
      { name: 'other', folder: dora },
      { name: 'end', folder: plain, towards: { folder: dora, at: 1 } },
      {
        name: 'way',
        folder: plain,
        towards: { folder: dora, adapters: [{ path: second }], at: 0.5 },
      },
    ]);
    const logits = (name: string): Buffer => stored(out, name);
    expect(logits('none').equals(logits('base'))).toBe(true);
    expect(logits('end').equals(logits('other'))).toBe(true);
    const names = ['base', 'one', 'half', 'stack', 'other', 'way'];
    expect(new Set(names.map((name) => logits(name).toString('hex'))).size).toBe(names.length);
    // Read again, every field is what was written.
    expect((await openRun(out)).manifest).toEqual(manifest);
  });

  it('writes down what the weights were worked out from, and nothing of this machine', async () => {
    const { manifest } = await run([
      base,
      { name: 'half', folder: plain, adapters: [{ path: adapter, scale: 0.5 }] },
      { name: 'way', folder: plain, towards: { folder: dora, at: 0.25 } },
    ]);
    const [own, half, way] = manifest.checkpoints;
    expect(own.derivation).toBe(null);
    expect(half.derivation).toEqual({
      base: own.sha256,
      adapters: [{ name: 'adapter', sha256: expect.stringMatching(/^[0-9a-f]{64}$/), scale: 0.5 }],
      towards: null,
    });
    expect(way.derivation?.towards).toMatchObject({ adapters: [], at: 0.25 });
    expect(way.derivation?.towards?.base).not.toBe(own.sha256);
    expect(new Set(manifest.checkpoints.map(({ sha256 }) => sha256)).size).toBe(3);
    expect(JSON.stringify(manifest)).not.toContain(plain);
  });

  it('lets the doctor examine the weights that are used', async () => {
    const resized = goldenFolder('lora_resized_tied');
    const plan = await planExtraction({
      checkpoints: [
        { name: 'stack', folder: plain, adapters: [{ path: adapter }, { path: second }] },
        { name: 'grown', folder: resized, adapters: [{ path: join(resized, 'adapter') }] },
        { name: 'way', folder: plain, towards: { folder: dora, at: 0.5 } },
      ],
      prompts: promptFile('lora_resized_tied'),
      sites: 'logits',
      positions: 'last',
      batchTokens: 256,
      threads: 1,
      store: 'float32',
      ignoredConfigKeys: [],
    });
    const { manifest } = await extract(plan, { out: scratchPath('run'), doctor: true });
    expect(Object.values(manifest.doctor ?? {}).map(({ verdict }) => verdict)).toEqual([
      'RIGHT',
      'RIGHT',
      'RIGHT',
    ]);
  });

  it('is of another plan with another scale or another adapter', async () => {
    const half = { name: 'tuned', folder: plain, adapters: [{ path: adapter, scale: 0.5 }] };
    const { out } = await run([half]);
    const other = (path: string, scale: number): CheckpointRequest => ({
      ...half,
      adapters: [{ path, scale }],
    });
    for (const wrong of [other(adapter, 0.25), other(second, 0.5)]) {
      await expect(run([wrong], out)).rejects.toMatchObject({
        code: 'PLAN_CONFLICT',
        what: 'the folder holds another checkpoint called "tuned"',
      });
    }
    // The same adapter from elsewhere is the same adapter.
    const copy = join(scratchFolder(), 'copied');
    cpSync(adapter, copy, { recursive: true });
    expect((await run([other(copy, 0.5)], out)).out).toBe(out);
  });

  it('is byte for byte the same when made again', async () => {
    const checkpoints = [
      { name: 's', folder: plain, adapters: [{ path: adapter }, { path: second }] },
    ];
    const [a, b] = [await run(checkpoints), await run(checkpoints)];
    for (const file of ['manifest.json', 'rows.jsonl']) {
      expect(readFileSync(join(a.out, file)).equals(readFileSync(join(b.out, file)))).toBe(true);
    }
    expect(stored(a.out, 's').equals(stored(b.out, 's'))).toBe(true);
  });

  it('reads manifests that were written before there were adapters', async () => {
    const { out, manifest } = await run([base]);
    const path = join(out, 'manifest.json');
    const old = readJson(path) as unknown as { checkpoints: { derivation?: null }[] };
    delete old.checkpoints[0].derivation;
    writeFileSync(path, JSON.stringify(old));
    const { manifest: read }: { manifest: Manifest } = await openRun(out);
    expect(read).toEqual(manifest);
  });
});

describe('Sources', () => {
  it('opens a base once for all that lies on it', async () => {
    const sources = new Sources([]);
    const [a, b] = [
      await sources.open({ folder: plain }),
      await sources.open({ folder: plain, adapters: [{ path: adapter, scale: 0 }] }),
    ];
    expect(a.variant.model).toBe(b.variant.model);
  });

  it('hashes one checkpoint after the other, and keeps what goes wrong for whoever waits', async () => {
    const sources = new Sources([]);
    const hollow = hollowCheckpoint(2 ** 19);
    const large = await sources.open({ folder: hollow });
    const spoilt = join(scratchFolder(), 'spoilt');
    cpSync(plain, spoilt, { recursive: true });
    const failing = await sources.open({ folder: spoilt });
    const small = await sources.open({ folder: plain });
    // The large one is still being read, on a thread of its own, so that this one is not yet.
    rmSync(join(spoilt, 'model.safetensors'));
    expect(await small.identity).toBe(digestOf(plain));
    expect(await large.identity).toBe(digestOf(hollow));
    await expect(failing.identity).rejects.toMatchObject({
      code: 'CHECKPOINT_MISSING',
      where: join(spoilt, 'model.safetensors'),
    });
  });
});

describe('identityOfWeights', () => {
  const record = { name: 'a', sha256: 'b'.repeat(64), scale: 1 };
  const one = { base: 'a'.repeat(64), adapters: [record], towards: null };

  it('is the base’s own without adapters, and depends on all but names with them', () => {
    expect(identityOfWeights({ ...one, adapters: [] })).toBe(one.base);
    expect(identityOfWeights({ ...one, adapters: [{ ...record, name: 'z' }] })).toBe(
      identityOfWeights(one),
    );
    const others = [
      one,
      { ...one, adapters: [record, record] },
      { ...one, adapters: [{ ...record, scale: 0.5 }] },
      { ...one, base: 'c'.repeat(64) },
      { ...one, towards: { base: one.base, adapters: [], at: 0.5 } },
      { ...one, towards: { base: one.base, adapters: [], at: 0.25 } },
    ];
    expect(new Set(others.map(identityOfWeights)).size).toBe(others.length);
  });
});

describe('describeDerivation', () => {
  it('says what lies on what', () => {
    const sha256 = '0'.repeat(64);
    const [a, b] = [
      { name: 'a', sha256, scale: 1 },
      { name: 'b', sha256, scale: 0.5 },
    ];
    expect(describeDerivation(null)).toBe('');
    expect(describeDerivation({ base: sha256, adapters: [a, b], towards: null })).toBe(
      ', with a + b × 0.5',
    );
    const towards = { base: sha256, adapters: [a], at: 0.25 };
    expect(describeDerivation({ base: sha256, adapters: [], towards })).toBe(
      ', 0.25 of the way to another with a',
    );
  });
});
