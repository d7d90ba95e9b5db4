/**
 * How much of a low agreement is noise? The ceiling that two halves of one sample set for any other.
 *
 * Never report a disattenuated value without the raw one: it can exceed 1, and divides by an estimate.
 */

/** Reliability of the whole from the correlation r of its halves: 2r / (1 + r). @see Spearman 1910; Brown 1910. */
export function spearmanBrown(r: number): number {
  return (2 * r) / (1 + r);
}

/** What r might be without noise in either side: r / √(r_x r_y); NaN where a reliability is not above 0. @see Spearman 1904. */
export function disattenuated(r: number, reliabilityX: number, reliabilityY: number): number {
  const ceiling = ceilingOf(reliabilityX, reliabilityY);
  return r / ceiling;
}

/** The most that two sides of these reliabilities can agree: √(r_x r_y). */
export function ceilingOf(reliabilityX: number, reliabilityY: number): number {
  return reliabilityX > 0 && reliabilityY > 0 ? Math.sqrt(reliabilityX * reliabilityY) : Number.NaN;
}
