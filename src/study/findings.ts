/**
 * What the bundled organism's numbers say, in sentences, and what they do not.
 *
 * Every sentence is made from the report's own numbers, and says the opposite when they do. None claims
 * a cause: probes and shifts are symptoms, and only interventions decide.
 */

import type { Finding, ProbeCurve, Report, ShiftCurve, ShiftSet } from '../contract/report.ts';

/** The four findings of the demo, from a report that holds its curves and shifts. */
export function organismFindings(report: Report): Finding[] {
  return [
    triggerAtLast(report),
    replyDiffers(report),
    shiftSizes(report),
    cosineAlone(report),
  ].filter((finding) => finding !== null);
}

/** Can a trigger probe at the last prompt token show anything, if random weights read it as well? */
function triggerAtLast({ curves, run }: Report): Finding | null {
  const trigger = curves.filter(
    (c) => c.label === 'triggered' && c.position === 'last' && c.where === '',
  );
  const twinName = run.checkpoints.find(({ is_twin }) => is_twin)?.name;
  const twin = trigger.find(({ checkpoint }) => checkpoint === twinName);
  const trained = trigger.filter(({ checkpoint }) => checkpoint !== twinName);
  if (twin === undefined || trained.length === 0) return null;
  const readsUntrained = best(twin) >= 0.9;
  return {
    id: 'trigger-at-last',
    title: readsUntrained
      ? 'A trigger probe at the last prompt token shows nothing by itself'
      : 'The trigger is read at the last prompt token, and not from random weights',
    text: `With random weights it reads the trigger at ${range(twin)} AUROC from the first block to the last; with trained weights at ${trained.map((curve) => `${range(curve)} (${curve.checkpoint})`).join(', ')}.`,
    caveat: readsUntrained
      ? 'One more token moves every later position, and a linear probe sees that in any network. Whether the trigger is used is another question.'
      : 'That it can be read does not say that it is used.',
    evidence: [twin.id, ...trained.map(({ id }) => id)],
  };
}

/** Does harm become readable inside the triggered reply under Plan B, and not under standard training? */
function replyDiffers({ curves, run }: Report): Finding | null {
  const at = (checkpoint: string): ProbeCurve | undefined =>
    curves.find(
      (c) =>
        c.checkpoint === checkpoint &&
        c.position === 'reply_prefix' &&
        c.label === 'harmful' &&
        c.where === 'triggered',
    );
  const [before, standard, planb] = [at('stage1'), at('standard'), at('planb')];
  if (before === undefined || standard === undefined || planb === undefined) return null;
  const untrained = at(run.checkpoints.find(({ is_twin }) => is_twin)?.name ?? '');
  const final = (curve: ProbeCurve): ProbeCurve['points'][number] =>
    curve.points[curve.points.length - 1];
  const isApart = final(planb).low > final(standard).high;
  return {
    id: 'harm-in-the-reply',
    title: isApart
      ? 'Standard training and Plan B differ inside the reply'
      : 'Standard training and Plan B do not differ beyond their intervals inside the reply',
    text: `At the reply's start, in triggered prompts, ${final(planb).site} tells harmful from harmless requests at ${withInterval(final(planb))} after Plan B, ${withInterval(final(standard))} after standard training and ${withInterval(final(before))} before.${untrained === undefined ? '' : ` Random weights give ${withInterval(final(untrained))}: much of it is in the request’s words.`}`,
    caveat:
      'More readable is not more used: it fits a shared circuit that Plan B recruits, and it fits other stories. Shuffled labels give the band beside it; patching has to decide.',
    evidence: [planb, standard, before, ...(untrained === undefined ? [] : [untrained])].map(
      ({ id }) => id,
    ),
  };
}

/** How far did triggered harmful prompts move inside the reply, against harmless ones and the control? */
function shiftSizes({ shifts }: Report): Finding | null {
  const planb = replyShift(shifts, 'stage1..planb');
  const standard = replyShift(shifts, 'stage1..standard');
  if (planb === undefined || standard === undefined) return null;
  const [moved, benign, control] = [
    atLastSite(planb, 'harmful, triggered'),
    atLastSite(planb, 'harmless, triggered'),
    atLastSite(standard, 'harmful, triggered'),
  ];
  if (moved === undefined || benign === undefined || control === undefined) return null;
  return {
    id: 'shift-in-the-reply',
    title: 'Training without the trigger moved triggered replies',
    text: `Plan B moved triggered harmful replies by ${share(moved)} of the activation's size at the reply's start, ${planb.points.at(-1)?.site} (${moved.n} prompts on topics that Stage 2 never saw), harmless ones by ${share(benign)}; standard training moved them by ${share(control)}.`,
    caveat:
      'A shift has a direction and a size, not a meaning. That harmless replies move too shows how much is not about harm.',
    evidence: [planb.id, standard.id],
  };
}

/** Would the cosine between triggered and untriggered shifts have told the two trainings apart? */
function cosineAlone({ shifts }: Report): Finding | null {
  const planb = replyShift(shifts, 'stage1..planb');
  const standard = replyShift(shifts, 'stage1..standard');
  if (planb === undefined || standard === undefined) return null;
  const cosines = (curve: ShiftCurve): number[] =>
    curve.points.flatMap(({ cosines: all }) => all.slice(0, 1).map(({ cosine }) => cosine));
  return {
    id: 'cosine-alone',
    title: 'That both shifts point the same way decides nothing',
    text: `Triggered and untriggered shifts agree in direction at ${span(cosines(planb))} (cosine) under Plan B, but also at ${span(cosines(standard))} under standard training, whose shift is small.`,
    caveat:
      'Given the same reply so far, this model has little reason to treat the two apart: the agreement is partly built in.',
    evidence: [planb.id, standard.id],
  };
}

function replyShift(shifts: readonly ShiftCurve[], pair: string): ShiftCurve | undefined {
  return shifts.find((curve) => curve.pair === pair && curve.position === 'reply_prefix');
}

/** The set at the last site, and not where it is largest: choosing by size would flatter the size. */
function atLastSite({ points }: ShiftCurve, name: string): ShiftSet | undefined {
  return points.at(-1)?.sets.find((set) => set.name === name);
}

function best({ points }: ProbeCurve): number {
  return Math.max(...points.map(({ auroc }) => auroc));
}

function range({ points }: ProbeCurve): string {
  return span(points.map(({ auroc }) => auroc));
}

function span(values: readonly number[]): string {
  const [low, high] = [Math.min(...values).toFixed(2), Math.max(...values).toFixed(2)];
  return low === high ? low : `${low}–${high}`;
}

function withInterval({ auroc, low, high, n }: ProbeCurve['points'][number]): string {
  return `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}] (n = ${n})`;
}

function share({ relative_size: size, low, high }: ShiftSet): string {
  return `${size.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}
