/**
 * Would a shift that means nothing agree with the untriggered one as well as the triggered shift does?
 *
 * Two shifts of one training share what the training does to everything, so 0 is no null for their
 * cosine. The strongest families here are other rows’ shifts: harmless ones, and target and harmless mixed.
 */

import type { Random } from '../src/base/random.ts';
import { rowAt } from '../src/math/rows.ts';
import { axpy, cosine, dot } from '../src/math/vectors.ts';
import { isRounding, type Contrast } from './contrast.ts';
import { cosineBand, type CosineBand, type DirectionNull } from './nulls.ts';

export type ShiftNullFamily =
  | 'isotropic'
  | 'covariance'
  | 'random difference'
  | 'shuffled labels'
  | 'benign shift';

export interface ShiftNull extends CosineBand {
  readonly family: ShiftNullFamily;
}

/** Places of sums in a contrast. */
type Atoms = readonly number[];

/**
 * |cos| with the untriggered shift of directions in the place of the triggered one.
 *
 * - `isotropic`: uniform on the sphere of `d` dimensions.
 * - `covariance`: varies as the triggered shifts of single groups do about their mean.
 * - `random difference`: between the halves of the triggered groups.
 * - `shuffled labels`: groups dealt anew between target and harmless, both triggered.
 * - `benign shift`: of as many harmless groups as there are target ones, drawn with replacement, so that
 *   its noise is like theirs; where residual, less that of all harmless groups.
 *
 * @param isResidual Both shifts less that of harmless rows with the same trigger.
 * @returns Without the families that draw nothing (a single group has no halves), and none where the shifts
 *   themselves have no direction.
 */
export function shiftNulls(
  contrast: Contrast,
  isResidual: boolean,
  d: number,
  draws: number,
  random: Random,
): ShiftNull[] {
  const [target, untriggered, benign, benignUntriggered] = [0, 1, 2, 3].map((set) =>
    contrast.atoms.flatMap((atom, a) => (atom.set === set ? [a] : [])),
  );
  const shift = (atoms: Atoms, others: Atoms): Float64Array =>
    isResidual ? gap(contrast, atoms, others) : mean(contrast, atoms);
  const reference = shift(untriggered, benignUntriggered);
  const observed = cosine(shift(target, benign), reference);
  const band = (family: ShiftNullFamily, draw: DirectionNull): ShiftNull[] => {
    const against = family === 'isotropic' ? [1, 0] : reference;
    const found = cosineBand(against, observed, draw, draws, random.fork(family));
    return found === null ? [] : [{ family, ...found }];
  };
  return [
    ...band('isotropic', (r) => alongAndAcross(d, r)),
    ...band('covariance', (r) => scatter(contrast, target, r)),
    ...band('random difference', (r) => gap(contrast, ...halves(target, r))),
    ...band('shuffled labels', (r) => shift(...dealt(contrast, target, benign, r))),
    ...band('benign shift', (r) => {
      const drawn = target.map(() => benign[r.below(benign.length)]);
      return shift(drawn, benign);
    }),
  ];
}

/**
 * A direction that is uniform on the sphere, as what it has along a given one and how much across: all that
 * a cosine needs. A sum of squared normals is drawn two by two, −2 log U each.
 */
function alongAndAcross(d: number, random: Random): Float64Array {
  const along = random.normal();
  let across = d % 2 === 0 ? random.normal() ** 2 : 0;
  for (let pairs = (d - 1) >> 1; pairs > 0; pairs--) across -= 2 * Math.log(1 - random.uniform());
  return Float64Array.of(along, Math.sqrt(across));
}

function mean({ atoms, sums }: Contrast, of: Atoms): Float64Array {
  const n = of.reduce((sum, a) => sum + atoms[a].n, 0);
  const out = new Float64Array(sums.d);
  for (const a of of) axpy(1 / n, rowAt(sums, a), out);
  return out;
}

function gap(contrast: Contrast, of: Atoms, less: Atoms): Float64Array {
  const [out, other] = [mean(contrast, of), mean(contrast, less)];
  const both = dot(out, out) + dot(other, other);
  axpy(-1, other, out);
  return isRounding(dot(out, out), both) ? out.fill(0) : out;
}

/** Σ z_g (m_g − m̄): the groups’ mean shifts about their mean, mixed by a normal draw. */
function scatter({ atoms, sums }: Contrast, of: Atoms, random: Random): Float64Array {
  const weights = of.map(() => random.normal());
  const common = weights.reduce((sum, w) => sum + w, 0) / of.length;
  const out = new Float64Array(sums.d);
  of.forEach((a, i) => axpy((weights[i] - common) / atoms[a].n, rowAt(sums, a), out));
  return out;
}

function halves(of: Atoms, random: Random): [Atoms, Atoms] {
  const order = random.shuffle([...of]);
  const half = Math.max(1, Math.floor(order.length / 2));
  return [order.slice(0, half), order.slice(half)];
}

/** Whole groups are dealt between the sides; a group that has both swaps them or not. */
function dealt({ atoms }: Contrast, a: Atoms, b: Atoms, random: Random): [Atoms, Atoms] {
  const partner = new Map(b.map((atom) => [atoms[atom].group, atom]));
  const both = a.filter((atom) => partner.has(atoms[atom].group));
  const groups = new Set(both.map((atom) => atoms[atom].group));
  const isAlone = (atom: number): boolean => !groups.has(atoms[atom].group);
  const alone = random.shuffle([...a.filter(isAlone), ...b.filter(isAlone)]);
  const split = a.length - both.length;
  const sides: [number[], number[]] = [alone.slice(0, split), alone.slice(split)];
  for (const atom of both) {
    const other = partner.get(atoms[atom].group) ?? atom;
    const isSwapped = random.below(2) === 1;
    sides[0].push(isSwapped ? other : atom);
    sides[1].push(isSwapped ? atom : other);
  }
  return sides;
}
