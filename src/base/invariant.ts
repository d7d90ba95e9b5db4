/** What must hold if our own code is right. */

/**
 * Stops with a defect of ours, never with a fault of the user's.
 *
 * @throws {Error} when `condition` is false; the message asks for a report.
 */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`internal error, please report it: ${message}`);
}
