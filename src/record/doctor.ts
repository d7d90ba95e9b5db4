/**
 * Can this checkpoint's numbers be trusted, with no reference at hand?
 *
 * Three kinds of evidence. Identities that hold whatever the weights are say that sites are what they
 * are called. Invariances say that looking, batching and padding change nothing. And the same checks
 * on models that are wrong on purpose say what all this can see, and what it cannot: most settings
 * are seen by no identity, but by text that the model was trained on, or by `parity` alone.
 */

import type { JsonObject } from '../base/json.ts';
import type { DoctorWord } from '../contract/manifest.ts';
import { siteKey, type Site } from '../graph/sites.ts';
import { leftOut, stated, verdictOf, type Check, type Verdict } from './examination.ts';
import {
  isFall,
  isRise,
  lossesOf,
  readingOf,
  riseOf,
  textFor,
  type Reading,
  type Rise,
  type Text,
} from './evidence.ts';
import { checkHead } from './headCheck.ts';
import { checkTokenizer, checkWeights } from './health.ts';
import { checkFinite, checkPatterns, checkStream } from './identities.ts';
import {
  checkDevice,
  checkGreedy,
  checkPadding,
  checkPrefix,
  checkTaps,
  companyOf,
  isUnmoved,
} from './invariances.ts';
import {
  allSites,
  endSites,
  look,
  samplePrompts,
  type Prompts,
  type Sites,
  type Subject,
} from './passes.ts';
import { faults, type Fault } from './tampering.ts';

/** Counts changes of what the doctor checks; runs keep it with the doctor's word. */
const doctorVersion = 3;
const seed = 0;

/** What a wrong model looked like. */
export interface Trial extends Pick<Fault, 'id' | 'title' | 'kind'> {
  /** Ids of the checks that failed. */
  readonly noticedBy: readonly string[];
  /** By how much the loss on text rose; null without text. */
  readonly rise: Rise | null;
}

export interface Examination {
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  readonly trials: readonly Trial[];
  readonly reading: Reading | null;
}

export interface ExamineOptions {
  /** config.json as it stands, for what the model does not need and the tokenizer does. */
  readonly config: JsonObject;
  /** A prompt set to read instead of the built-in sentences. */
  readonly textPath?: string;
  /** Told of each part as it begins, and of how many there are. */
  readonly onPart?: (name: string, done: number, total: number) => void;
}

/**
 * The checks that every run makes: a second or less for a small model.
 *
 * Two graphs, one with taps everywhere and one with hardly any, and three batches. The prompts are read
 * by the second in other company only, which shows taps and company at once; where that moved a bit, it
 * reads them once more to tell one from the other.
 */
export async function examineQuickly(subject: Subject): Promise<Check[]> {
  const { model } = subject;
  const prompts = samplePrompts(model, seed);
  const bare = endSites(model);
  const [[at], company] = await look(
    subject,
    [
      { sites: allSites(model), batches: [{ prompts }] },
      { sites: bare, batches: companyOf(prompts, model) },
    ],
    prompts[0].length + 3,
  );
  const end = isUnmoved(at, company[0], prompts)
    ? only(at, bare)
    : (await look(subject, [{ sites: bare, batches: [{ prompts }] }], prompts[0].length + 3))[0][0];
  return [
    ...(await identities(subject, at, prompts)),
    checkTaps(at, end, model),
    checkPadding(end, company, model, prompts),
  ];
}

function only(at: Sites, sites: readonly Site[]): Sites {
  return Object.fromEntries(sites.map(siteKey).map((key) => [key, at[key]]));
}

/** Everything that can be told without a reference. */
export async function examine(subject: Subject, options: ExamineOptions): Promise<Examination> {
  const { onPart = () => undefined } = options;
  const { model, device = 'cpu' } = subject;
  const wrong = faults.flatMap((fault) => {
    const tampered = fault.make(subject);
    return tampered === null ? [] : [{ fault, tampered }];
  });
  const total = 4 + wrong.length;
  onPart('identities', 0, total);
  const checks = await examineQuickly(subject);
  const prompts = samplePrompts(model, seed);
  if (device !== 'cpu') checks.push(await againstCpu(subject, device, prompts));
  onPart('greedy text', 1, total);
  checks.push(await checkGreedy(subject, prompts));
  onPart('weights', 2, total);
  checks.push(await checkWeights(model), await checkTokenizer(model, options.config));
  onPart('text', 3, total);
  const text = await textFor(model, options.textPath);
  const losses = 'none' in text ? null : await lossesOf(subject, text.prompts);
  const reading = 'none' in text || losses === null ? null : readingOf(text.from, losses, model);
  const trials: Trial[] = [];
  for (const [i, { fault, tampered }] of wrong.entries()) {
    onPart(fault.title, 4 + i, total);
    const { id, title, kind } = fault;
    const found = await identities(tampered, await tapped(tampered, prompts), prompts);
    const noticedBy = found.flatMap((check) => (check.outcome === 'fails' ? check.id : []));
    const rise =
      losses === null || 'none' in text || kind === 'structure' || reading?.isKnown !== true
        ? null
        : riseOf(losses, await lossesOf(tampered, text.prompts));
    trials.push({ id, title, kind, noticedBy, rise });
  }
  checks.push(checkBlindness(trials), checkText(trials, text, reading));
  return { verdict: verdictOf(checks), checks, trials, reading };
}

/** What a run keeps of the checks that it made. */
export function wordOf(checks: readonly Check[]): DoctorWord {
  const made = checks.filter(({ outcome }) => outcome !== 'left out');
  const shares = made.map(({ worst, allowed }) => (worst ?? 0) / (allowed ?? 1));
  const worst = Math.max(0, ...shares);
  return {
    verdict: verdictOf(checks),
    checks: made.length,
    worst: Number.isFinite(worst) ? Number(worst.toPrecision(3)) : null,
    version: doctorVersion,
  };
}

/** What a subject gives with every site tapped. */
async function tapped(subject: Subject, prompts: Prompts): Promise<Sites> {
  const sites = allSites(subject.model);
  const [[at]] = await look(subject, [{ sites, batches: [{ prompts }] }], prompts[0].length);
  return at;
}

/** All that one pass tells, with every site tapped. */
async function identities(
  { model, bind }: Subject,
  at: Sites,
  prompts: Prompts,
): Promise<readonly Check[]> {
  const head =
    bind === undefined
      ? await checkHead(at, model, prompts)
      : leftOut('head', 'the head reads the last site', 'the weights are not the checkpoint’s');
  return [
    await checkStream(at, model),
    checkPatterns(at, model, prompts),
    head,
    checkFinite(at),
    checkPrefix(at, model, prompts),
  ];
}

async function againstCpu(subject: Subject, device: string, prompts: Prompts): Promise<Check> {
  const reference = await tapped({ ...subject, device: 'cpu' }, prompts);
  return checkDevice(await tapped(subject, prompts), reference, subject.model, device);
}

/** A doctor who does not notice a broken layout must not be believed. */
function checkBlindness(trials: readonly Trial[]): Check {
  const [id, title] = ['sight', 'a broken layout is noticed'];
  const broken = trials.filter(({ kind }) => kind === 'structure');
  const missed = broken.filter(({ noticedBy }) => noticedBy.length === 0);
  return missed.length === 0
    ? stated(id, title, 'holds', `${broken.length} of ${broken.length} planted faults`)
    : stated(id, title, 'unclear', `not noticed: ${missed.map((t) => t.title).join('; ')}`);
}

/** Text that the model reads better with another setting casts doubt on that setting. */
function checkText(trials: readonly Trial[], text: Text, reading: Reading | null): Check {
  const [id, title] = ['text', 'text is read best with the settings as they are'];
  if ('none' in text) return leftOut(id, title, text.none);
  if (reading?.isKnown !== true) {
    return leftOut(id, title, `the model does not know the text (${text.from})`);
  }
  const tried = trials.flatMap((trial) =>
    trial.rise === null ? [] : { ...trial, rise: trial.rise },
  );
  const better = tried.filter(({ rise }) => isFall(rise, reading));
  if (better.length > 0) {
    const found = better.map((t) => `"${t.title}" by ${(-t.rise.nats).toFixed(3)} nats`);
    return stated(id, title, 'unclear', `read better with ${found.join(', ')}`);
  }
  const risen = tried.filter(({ rise }) => isRise(rise)).length;
  const found = `${reading.tokens} tokens of ${reading.from}: ${reading.loss.toFixed(2)} nats; worse under ${risen} of ${tried.length} changes, better under none`;
  return stated(id, title, 'holds', found);
}
