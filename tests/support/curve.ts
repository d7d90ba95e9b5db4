/** A curve with the products that the command injects: what users get, and a fraction of the time. */

import type { ProbeCurve } from '../../src/contract/report.ts';
import type { Run } from '../../src/record/run.ts';
import { withMultiply } from '../../src/runtime/multiply.ts';
import { probeCurve, type CurveOptions, type CurveRequest } from '../../src/study/curves.ts';

export async function probedCurve(
  run: Run,
  request: CurveRequest,
  options: CurveOptions = {},
): Promise<ProbeCurve> {
  return await withMultiply((multiply) => probeCurve(run, request, { ...options, multiply }));
}
