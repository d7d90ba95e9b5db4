/** An estimator's header is what a reader believes of it: each says where it is from, what holds it, its chance, its trap. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Those that a probe can be asked for, as `crossFit.ts` imports them. */
const registered = [
  ...readFileSync('probes/crossFit.ts', 'utf8').matchAll(
    /^import \{ fit(?!Many)[^}]*\} from '\.\/(\w+)\.ts';$/gm,
  ),
].map(([, name]) => name);

/** And those that other modules call by name. */
const others = ['attentionPool', 'detectors', 'clusters', 'erasure', 'bagOfWords', 'naiveBayes'];

describe('estimators', () => {
  it('are those of the registry, and no list of ours', () => {
    expect(registered.toSorted()).toEqual(
      ['centroid', 'discriminant', 'logistic', 'meanDifference', 'pairs', 'ridge'].toSorted(),
    );
  });

  it.each([...registered, ...others])(
    '%s says where it is from and what to think of it',
    (name) => {
      const source = readFileSync(`probes/${name}.ts`, 'utf8');
      const header = /^\/\*\*[^]*?\*\//.exec(source)?.[0] ?? '';
      expect(header, 'a paper').toMatch(/^ \* @see .*\b(18|19|20)\d\d\b/m);
      expect(source, 'a formula').toMatch(/^ \* {5}\S/m);
      expect(header, 'what it gives on noise').toMatch(/\bnulls? |Chance is/);
      expect(header, 'a trap').toMatch(/\b[Tt]raps?\b/);
      const [, oracle] = /Held against [^]*?\((tests\/probes\/\w+\.test\.ts)\)/.exec(header) ?? [];
      expect(oracle, 'the test that holds it').toBeDefined();
      expect(existsSync(oracle), oracle).toBe(true);
      expect(readFileSync(oracle, 'utf8'), oracle).toContain(`probes/${name}.ts`);
    },
  );
});
