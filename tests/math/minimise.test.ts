import { describe, expect, it } from 'vitest';

import { Minimiser } from '../../src/math/minimise.ts';
import { norm } from '../../src/math/vectors.ts';

const isTiny = (gradient: Float64Array): boolean => norm(gradient) <= 1e-10;

/** Runs to the end and gives the minimiser back. */
function run(
  search: Minimiser,
  evaluate: (x: Float64Array, gradient: Float64Array) => number,
): Minimiser {
  while (search.state === 'searching') search.tell(evaluate(search.point, search.gradient));
  return search;
}

describe('Minimiser', () => {
  it('finds the minimum of an ill-conditioned quadratic', () => {
    // ½ Σ λᵢ(xᵢ − i)², λ from 1 to 10⁴.
    const lambda = [1, 10, 100, 1000, 10_000];
    const search = run(
      new Minimiser(new Float64Array(5), { isSmall: isTiny, maxEvaluations: 500 }),
      (x, gradient) =>
        lambda.reduce((value, l, i) => {
          gradient[i] = l * (x[i] - i);
          return value + (l * (x[i] - i) ** 2) / 2;
        }, 0),
    );
    expect(search.state).toBe('converged');
    search.point.forEach((value, i) => expect(value).toBeCloseTo(i, 10));
  });

  it('takes one step where the natural gradient is that of the inverse Hessian', () => {
    const search = new Minimiser(Float64Array.of(3, -2), {
      isSmall: isTiny,
      maxEvaluations: 10,
      isPreconditioned: true,
    });
    run(search, (x, gradient) => {
      gradient.set([4 * x[0], 100 * x[1]]);
      search.natural.set(x);
      return 2 * x[0] ** 2 + 50 * x[1] ** 2;
    });
    expect(search.evaluations).toBe(2);
    expect([...search.point]).toEqual([0, 0]);
  });

  it('goes on from a more exact evaluation, and keeps what it learnt of the curvature', () => {
    // ½ Σ λᵢ(xᵢ − 1)², with gradients that are wrong in the fourth digit until it is resumed.
    const lambda = [1, 7, 30, 200];
    let isRough = true;
    const evaluate = (x: Float64Array, gradient: Float64Array): number =>
      lambda.reduce((value, l, i) => {
        gradient[i] = l * (x[i] - 1) + (isRough ? 1e-4 : 0);
        return value + (l * (x[i] - 1) ** 2) / 2;
      }, 0);
    let limit = 1e-3;
    const search = new Minimiser(new Float64Array(4), {
      isSmall: (gradient) => norm(gradient) <= limit,
      maxEvaluations: 100,
    });
    run(search, evaluate);
    expect(search.state).toBe('converged');
    const rough = search.evaluations;
    [isRough, limit] = [false, 1e-11];
    search.retreat();
    search.resume(evaluate(search.point, search.gradient));
    run(search, evaluate);
    expect(search.state).toBe('converged');
    for (const value of search.point) expect(value).toBeCloseTo(1, 11);
    expect(search.evaluations - rough).toBeLessThan(rough);
  });

  it('shortens a step that overshoots, and still reaches a flat minimum', () => {
    // Σ cosh(3xᵢ) from far away: the gradient grows as e^{3x}.
    const search = run(
      new Minimiser(Float64Array.of(4, -3), { isSmall: isTiny, maxEvaluations: 200 }),
      (x, gradient) =>
        x.reduce((value, xi, i) => {
          gradient[i] = 3 * Math.sinh(3 * xi);
          return value + Math.cosh(3 * xi);
        }, 0),
    );
    expect(search.state).toBe('converged');
    expect(norm(search.point)).toBeLessThan(1e-10);
  });

  it('gives up on a function without a minimum', () => {
    const search = run(
      new Minimiser(Float64Array.of(0), { isSmall: isTiny, maxEvaluations: 20 }),
      (x, gradient) => {
        gradient[0] = -1;
        return -x[0];
      },
    );
    expect(search.state).toBe('gave up');
    expect(search.evaluations).toBe(20);
  });
});
