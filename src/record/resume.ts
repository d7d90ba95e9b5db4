/** What is left to do in a folder that may hold a run already, and is it the same run? */

import { UserError } from '../base/errors.ts';
import { plural } from '../base/units.ts';
import type { Manifest } from '../contract/manifest.ts';
import { siteKey } from '../graph/sites.ts';
import type { RunIdentity } from './manifest.ts';
import { planCore, planHash, type Plan, type PlannedCheckpoint } from './plan.ts';
import { prefixSharing } from './sharing.ts';

/**
 * Checkpoints with the sites that the folder does not hold yet.
 *
 * @throws {UserError} `PLAN_CONFLICT` where the folder holds something else, or `add` was not said.
 */
export async function tasksLeft(
  plan: Plan,
  earlier: Manifest | null,
  { out, add }: { readonly out: string; readonly add?: boolean },
): Promise<PlannedCheckpoint[]> {
  if (earlier === null) return [...plan.checkpoints];
  if (earlier.plan.sha256 !== planHash(plan)) {
    if (isSharedOtherwise(plan, earlier)) throw sharedOtherwise(out);
    throw conflict(
      'the folder holds a run of another plan (prompts, positions, batches, threads or versions differ)',
      out,
    );
  }
  const tasks: PlannedCheckpoint[] = [];
  for (const checkpoint of plan.checkpoints) {
    const { record, sites } = checkpoint;
    const before = earlier.checkpoints.find(({ name }) => name === record.name);
    if (
      before !== undefined &&
      (before.sha256 !== (await checkpoint.sha256) || before.twin_seed !== record.twin_seed)
    ) {
      throw conflict(`the folder holds another checkpoint called "${record.name}"`, out);
    }
    const missing = sites.filter((site) => !Object.hasOwn(before?.files ?? {}, siteKey(site)));
    if (missing.length > 0) tasks.push({ ...checkpoint, sites: missing });
  }
  if (tasks.length > 0 && add !== true) {
    const what = tasks.map(
      ({ record, sites }) => `${record.name} (${plural(sites.length, 'site')})`,
    );
    throw new UserError('PLAN_CONFLICT', `the finished run lacks ${what.join(', ')}`, {
      where: out,
      fix: 'Add --add to put them into this run, or choose another folder.',
    });
  }
  return tasks;
}

/** Whether nothing but how prompts share what they begin with may differ, none of the run's checkpoints being named. */
function isSharedOtherwise(plan: Plan, { plan: before, checkpoints }: Manifest): boolean {
  const isNamed = plan.checkpoints.some(({ record }) =>
    checkpoints.some(({ name }) => name === record.name),
  );
  if (before.kind === 'imported') return false;
  const [own, other] = [prefixSharing(plan), before.prefix_sharing ?? null];
  return !isNamed && JSON.stringify(own) !== JSON.stringify(other);
}

function sharedOtherwise(out: string): UserError {
  return new UserError(
    'PLAN_CONFLICT',
    'the run reads beginnings that prompts share in other passes than this checkpoint would, or was made otherwise besides',
    {
      where: out,
      fix: "Name one of the run's own checkpoints in the command as well, so that its passes are taken.",
    },
  );
}

export async function identityOf(
  plan: Plan,
  tasks: readonly PlannedCheckpoint[],
): Promise<RunIdentity> {
  const checkpoints = tasks.map(async ({ record: { name, twin_seed }, sha256, sites }) => ({
    name,
    sha256: await sha256,
    twin_seed,
    sites: sites.map(siteKey),
  }));
  return { core: planCore(plan), checkpoints: await Promise.all(checkpoints) };
}

/** @throws {UserError} `PLAN_CONFLICT` naming what differs. */
export function requireSamePlan(unfinished: RunIdentity, identity: RunIdentity, out: string): void {
  const named = new Set([...Object.keys(identity.core), ...Object.keys(unfinished.core)]);
  const keys = [...named].filter((key) => unfinished.core[key] !== identity.core[key]);
  if (JSON.stringify(unfinished.checkpoints) !== JSON.stringify(identity.checkpoints)) {
    keys.push('checkpoints or sites');
  }
  if (keys.length === 0) return;
  throw conflict(`the folder holds an unfinished run with other ${keys.join(', ')}`, out);
}

function conflict(what: string, out: string): UserError {
  return new UserError('PLAN_CONFLICT', what, {
    where: out,
    fix: 'Repeat the command that began this run, or choose another folder for --out.',
  });
}
