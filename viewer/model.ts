/**
 * From a report and a state to what each view draws.
 *
 * Pure. What the state leaves open is filled in here, and what it asks for and the report does not
 * have is named rather than guessed.
 */

import type {
  ProbeCurve,
  Projection,
  Report,
  ShiftCurve,
  ShiftPoint,
} from '../src/contract/report.ts';
import type { State } from './state.ts';

/** One probe question: curves that differ in nothing but the checkpoint. */
export interface Question {
  /** Stands in addresses. */
  readonly key: string;
  readonly label: string;
  readonly where: string;
  readonly position: string;
  readonly siteKind: string;
  readonly estimator: ProbeCurve['estimator'];
  /** What tells it from questions that are the same but for how the probe was fitted; '' where there is none. */
  readonly fit: string;
  /** In the order of the report's checkpoints. */
  readonly curves: readonly ProbeCurve[];
}

/** The state with everything that it leaves open filled in. */
export interface Scene {
  readonly state: State;
  readonly report: Report;
  readonly questions: readonly Question[];
  readonly question: Question | null;
  readonly layers: readonly number[];
  readonly layer: number;
  /** Pairs that a view can show, and the one it shows. */
  readonly pairs: readonly string[];
  readonly pair: string;
  readonly before: string;
  readonly after: string;
  readonly positions: readonly string[];
  readonly position: string;
  readonly siteKind: string;
  /** The plane at this layer: the one asked for, this pair's own, or another that holds both checkpoints. */
  readonly projection: Projection | null;
  /** All planes at this layer that hold both checkpoints. */
  readonly bases: readonly Projection[];
  /** At this position and kind of site: one for each pair, in the order of the report. */
  readonly shifts: readonly ShiftCurve[];
}

/** Fills `state` in. `missing` names what it asks for and the report does not have. */
export function resolve(report: Report, state: State): { scene: Scene; missing: string[] } {
  const missing: string[] = [];
  const questions = questionsOf(report);
  const question = questions.find(({ key }) => key === state.question) ?? questions[0] ?? null;
  if (state.question !== '' && question?.key !== state.question) {
    missing.push(`question ${state.question}`);
  }
  const placed = placedEntries(report);
  const positions = unique([
    ...placed.map((of) => of.position),
    ...(report.maps ?? []).flatMap(({ cells }) => cells.map((cell) => cell.position)),
  ]);
  const position = oneOf([state.position, question?.position ?? ''], positions);
  if (state.position !== '' && position !== state.position) {
    missing.push(`position ${state.position}`);
  }
  const kinds = unique([...placed, ...(report.maps ?? [])].map((of) => of.site_kind));
  const siteKind = oneOf([question?.siteKind ?? ''], kinds);
  const shifts = togetherByPair(
    report.shifts.filter((shift) => shift.position === position && shift.site_kind === siteKind),
  );
  const planes = report.projections.filter(
    (plane) => plane.position === position && plane.site_kind === siteKind,
  );
  const pairs = pairsOf(report, planes);
  const pair = oneOf([state.pair], pairs);
  if (state.pair !== '' && pair !== state.pair) missing.push(`pair ${state.pair}`);
  const layers = layersOf(question, planes, [
    ...shifts,
    ...placed.filter((of) => of.position === position && of.site_kind === siteKind),
    ...(report.maps ?? [])
      .filter((map) => map.site_kind === siteKind)
      .map(({ cells }) => ({ points: cells })),
  ]);
  const layer = layerOf(state, layers);
  if (state.layer !== null && layer !== state.layer) missing.push(`layer ${state.layer}`);
  const [before = '', after = ''] = split(pair);
  const bases = planes.filter(
    (plane) => plane.layer === layer && holds(plane, before) && holds(plane, after),
  );
  const projection =
    bases.find((plane) => basisKey(plane) === state.basis) ??
    bases.find((plane) => basisKey(plane) === pair) ??
    bases.find((plane) => plane.pair === pair) ??
    bases[0] ??
    null;
  const isKnown = projection === null || basisKey(projection) === state.basis;
  if (state.basis !== '' && !isKnown) missing.push(`basis ${state.basis}`);
  if (state.row !== null && projection !== null && state.row >= projection.rows) {
    missing.push(`row ${state.row}`);
  }
  return {
    scene: {
      state,
      report,
      questions,
      question,
      layers,
      layer,
      pairs,
      pair,
      before,
      after,
      positions,
      position,
      siteKind,
      projection,
      bases,
      shifts,
    },
    missing,
  };
}

/**
 * One curve for each pair: what several commands measured of it, side by side. Sets of one name and other rows are
 * called by their rows; of the same rows measured twice, the later stands.
 */
function togetherByPair(shifts: readonly ShiftCurve[]): ShiftCurve[] {
  const wheres = new Map<string, Set<string>>();
  for (const { sets } of shifts.flatMap(({ points }) => points)) {
    for (const { name, where } of sets) {
      wheres.set(name, (wheres.get(name) ?? new Set()).add(where));
    }
  }
  const isShared = (name: string): boolean => (wheres.get(name)?.size ?? 0) > 1;
  const renamed = (point: ShiftPoint): ShiftPoint => {
    const words = (name: string): string => {
      const where = point.sets.find((set) => set.name === name)?.where ?? '';
      return isShared(name) && where !== '' ? where : name;
    };
    return {
      ...point,
      sets: point.sets.map((set) => ({ ...set, name: words(set.name) })),
      cosines: point.cosines.map(({ a, b, cosine }) => ({ a: words(a), b: words(b), cosine })),
    };
  };
  const pairs = unique(shifts.map(({ pair }) => pair));
  return pairs.map((pair) => {
    const own = shifts.filter((shift) => shift.pair === pair);
    const all = own.flatMap(({ points }) => points.map(renamed));
    const sites = unique(all.map(({ site }) => site));
    return {
      ...own[own.length - 1],
      points: sites.map((site): ShiftPoint => {
        const here = all.filter((point) => point.site === site);
        const latest = <T>(items: readonly T[], key: (item: T) => string): T[] => [
          ...new Map(items.map((item) => [key(item), item])).values(),
        ];
        return {
          ...here[0],
          sets: latest(
            here.flatMap(({ sets }) => sets),
            ({ name }) => name,
          ),
          cosines: latest(
            here.flatMap(({ cosines }) => cosines),
            ({ a, b }) => `${a}\0${b}`,
          ),
        };
      }),
    };
  });
}

/** Groups curves into questions, in the order of the report. */
export function questionsOf(report: Report): Question[] {
  const order = report.run.checkpoints.map(({ name }) => name);
  const groups = new Map<string, ProbeCurve[]>();
  for (const curve of report.curves) {
    const key = [...subjectOf(curve), ...Object.values(fitOf(curve))].join('\0');
    groups.set(key, [...(groups.get(key) ?? []), curve]);
  }
  const taken = new Set<string>();
  return [...groups.values()].map((curves) => {
    const [first] = curves;
    const stem = slug([first.label, first.where, first.position, first.estimator, first.site_kind]);
    // Addresses take so many letters; what is cut off here is told apart by number.
    let key = stem.slice(0, longestKey);
    for (let i = 2; taken.has(key); i++) key = `${stem.slice(0, longestKey)}-${i}`;
    taken.add(key);
    const alike = report.curves.filter(
      (other) => subjectOf(other).join('\0') === subjectOf(first).join('\0'),
    );
    return {
      key,
      label: first.label,
      where: first.where,
      position: first.position,
      siteKind: first.site_kind,
      estimator: first.estimator,
      fit: fitWords(first, alike),
      curves: curves.toSorted((a, b) => order.indexOf(a.checkpoint) - order.indexOf(b.checkpoint)),
    };
  });
}

const longestKey = 160;

/** What is asked. */
function subjectOf(curve: ProbeCurve): readonly string[] {
  return [curve.label, curve.where, curve.position, curve.site_kind, curve.estimator];
}

/** How the probe was fitted and judged, by the words for it. */
function fitOf({ settings }: ProbeCurve): Readonly<Record<string, string>> {
  const { c, standardise, intercept, groups, folds, shuffles, seed } = settings;
  return {
    penalty: c === null ? 'no C' : `C = ${c}`,
    columns: standardise ? 'standardised' : 'raw columns',
    intercept: intercept ? 'with intercept' : 'no intercept',
    folds: `${folds} folds by ${groups}`,
    topics: settings.splits_topics === true ? 'topics split' : 'topics whole',
    shuffles: `${shuffles} shuffles`,
    seed: `seed ${seed}`,
  };
}

/** What of the fit differs among curves that are otherwise alike. */
function fitWords(curve: ProbeCurve, alike: readonly ProbeCurve[]): string {
  return Object.entries(fitOf(curve))
    .filter(([key, value]) => alike.some((other) => fitOf(other)[key] !== value))
    .map(([, words]) => words)
    .join(', ');
}

/** What a piece of evidence shows, as a change of state; null for an id that the report lacks. */
export function evidenceState(
  report: Report,
  id: string,
): { readonly words: string; readonly patch: Partial<State>; readonly view: string } | null {
  const question = questionsOf(report).find(({ curves }) => curves.some((of) => of.id === id));
  if (question !== undefined) {
    const { checkpoint } = question.curves.find((of) => of.id === id) ?? question.curves[0];
    const words = `${question.label} in ${checkpoint}${question.where === '' ? '' : `, where ${question.where}`}`;
    return { words, patch: { question: question.key, position: '' }, view: 'curve' };
  }
  const shift = report.shifts.find((of) => of.id === id);
  if (shift !== undefined) {
    const words = `shift ${arrow(shift.pair)} at ${shift.position}`;
    return { words, patch: { pair: shift.pair, position: shift.position }, view: 'shift' };
  }
  const plane = report.projections.find((of) => of.id === id);
  if (plane === undefined) return null;
  const { pair, position, layer } = plane;
  const words = `plane ${arrow(pair)} at ${plane.site}, ${position}`;
  const basis = basisKey(plane) === pair ? '' : basisKey(plane);
  return { words, patch: { pair, position, layer, basis, row: null }, view: 'plane' };
}

/** What a plane's axes were fitted on, as it stands in addresses. */
export function basisKey({ pair, basis }: Projection): string {
  return basis === 'temporal' ? `${pair}~temporal` : pair;
}

/** `a..b` → "a → b". */
export function arrow(pair: string): string {
  const [before = '', after = ''] = split(pair);
  return `${before} → ${after}`;
}

/** `a..b` → its two names. */
export function split(pair: string): string[] {
  const at = pair.indexOf('..');
  return at < 0 ? [] : [pair.slice(0, at), pair.slice(at + 2)];
}

/** Pairs with a plane or a shift of their own first, then all others that share a plane. */
function pairsOf(report: Report, planes: readonly Projection[]): string[] {
  const own = [...report.shifts, ...planes, ...placedEntries(report), ...(report.maps ?? [])].map(
    (of) => of.pair,
  );
  const shared = planes.flatMap(({ checkpoints }) =>
    checkpoints.flatMap((a) => checkpoints.flatMap((b) => (a === b ? [] : [`${a}..${b}`]))),
  );
  return unique([...own, ...shared]);
}

/** What the report holds of a pair at one position. */
function placedEntries(
  report: Report,
): { pair: string; position: string; site_kind: string; points?: readonly { layer: number }[] }[] {
  const { projections, shifts, contrasts = [], geometries = [] } = report;
  return [...projections, ...shifts, ...contrasts, ...geometries];
}

function layersOf(
  question: Question | null,
  planes: readonly Projection[],
  moving: readonly { readonly points?: readonly { readonly layer: number }[] }[],
): number[] {
  const points = (question?.curves ?? []).flatMap((curve) => curve.points);
  const moved = moving.flatMap((of) => of.points ?? []);
  const layers = [...points, ...moved, ...planes].map(({ layer }) => layer);
  return unique(layers).sort((a, b) => a - b);
}

/** The layer asked for, or the last: choosing one by its score would flatter the score. */
function layerOf(state: State, layers: readonly number[]): number {
  if (state.layer !== null && layers.includes(state.layer)) return state.layer;
  return layers.at(-1) ?? 0;
}

function holds(plane: Projection, checkpoint: string): boolean {
  return plane.checkpoints.includes(checkpoint);
}

function oneOf(wanted: readonly string[], known: readonly string[]): string {
  return wanted.find((word) => known.includes(word)) ?? known[0] ?? '';
}

/** Each value once, in order. */
export function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/** Words as they can stand in an address. */
export function slug(parts: readonly string[]): string {
  return parts
    .map((part) => part.replace(/!/g, 'not-').replace(/[^A-Za-z0-9_:.]+/g, '-'))
    .map((part) => part.replace(/^-+|-+$/g, ''))
    .filter((part) => part !== '')
    .join('~');
}
