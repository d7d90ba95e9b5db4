/**
 * Which test files first? Those that take longest, so that the workers end together.
 *
 * Vitest orders by what earlier runs took, but a fresh clone, as continuous integration has it, remembers
 * none, and the size of a file says little: the longest are those that start the program, or a browser.
 */

import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files of ten seconds and more on two cores, longest first; all others follow in vitest's order. */
const longest = [
  'docs',
  'record/kill',
  'record/generate',
  'study/report',
  'record/doctor',
  'record/streamedKill',
  'study/oracle',
  'viewer/organism',
  'cli/study',
  'record/full',
  'record/streamed',
  'viewer/browser',
  'viewer/states',
  'viewer/views',
  'study/contrasts',
  'viewer/access',
  'cli/doctor',
  'cli/offline',
  'cli/crew',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const usual = await super.sort(files);
    const first = longest.flatMap((name) =>
      usual.filter(({ moduleId }) => moduleId.endsWith(`/tests/${name}.test.ts`)),
    );
    return [...first, ...usual.filter((file) => !first.includes(file))];
  }
}
