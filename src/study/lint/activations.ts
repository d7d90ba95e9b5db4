/**
 * Have two different prompts left the same activations? Then one of them was never run, or not as it stands.
 *
 * A batch that was padded or indexed wrongly gives rows that repeat others bit for bit. Only positions that see
 * the whole of the user's text are looked at, at the deepest site: two prompts may begin alike.
 */

import { plural } from '../../base/units.ts';
import { parseSite } from '../../graph/sites.ts';
import type { Run } from '../../record/run.ts';
import type { Prompt } from '../../text/prompts.ts';
import { type LintFinding, placesOf } from './finding.ts';
import { membersOf, textOf } from './repeats.ts';

/** Positions after all of the user's words. */
const late = /^(last|instruction_end|reply_prefix|reply:\d+|reply_mean)$/;

export interface RunFindings {
  readonly findings: readonly LintFinding[];
  readonly notes: readonly string[];
}

/** @param ids The prompts in question; others of the run are left alone. */
export async function identicalActivations(
  run: Run,
  prompts: readonly Prompt[],
): Promise<RunFindings> {
  const asked = new Map(prompts.map((prompt) => [prompt.id, prompt]));
  const names = run.manifest.positions.map(({ name }) => name);
  const early = names.filter((name) => !late.test(name));
  const findings: LintFinding[] = [];
  for (const checkpoint of run.manifest.checkpoints) {
    const site = deepest(Object.keys(checkpoint.files));
    for (const position of names.filter((name) => late.test(name))) {
      const found = await repeatsAt(run, { checkpoint: checkpoint.name, site, position }, asked);
      if (found !== null) findings.push(found);
    }
  }
  const notes =
    early.length === 0
      ? []
      : [`activations at ${early.join(', ')}: two prompts may be the same up to there`];
  return { findings, notes };
}

interface Spot {
  readonly checkpoint: string;
  readonly site: string;
  readonly position: string;
}

async function repeatsAt(
  run: Run,
  { checkpoint, site, position }: Spot,
  asked: ReadonlyMap<string, Prompt>,
): Promise<LintFinding | null> {
  const { d, data } = await run.activations(checkpoint, site, position);
  const rows = run.rowsAt(position).filter(({ id }) => asked.has(id));
  const bits = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = d * data.BYTES_PER_ELEMENT;
  const keys = rows.map(({ row }) =>
    Buffer.from(bits.subarray(row * bytes, (row + 1) * bytes)).toString('latin1'),
  );
  const repeated = [...membersOf(keys).values()]
    .map((members) => members.flatMap((i) => asked.get(rows[i].id) ?? []))
    // The same text twice is another finding, and rightly has the same activations.
    .filter((same) => new Set(same.map(said)).size > 1);
  if (repeated.length === 0) return null;
  const [first] = repeated;
  const concerned = repeated.flat();
  return {
    kind: 'identical_activations',
    what: `${plural(concerned.length, 'row')} of different prompts have the same activations at ${position}, ${site} of ${checkpoint}, first ${first
      .slice(0, 2)
      .map(({ id }) => `"${id}"`)
      .join(' and ')}`,
    where: placesOf(concerned),
    why: 'One of them was not run as it stands (a batch that repeats a row), and its label belongs to another prompt.',
    mend: 'Extract or record the run again, and look at how rows were put into batches.',
    numbers: { rows: concerned.length, groups: repeated.length },
  };
}

function said({ id, body }: Prompt): string {
  return body.kind === 'none' ? id : textOf({ body });
}

/** The site that most of the model lies before. */
function deepest(sites: readonly string[]): string {
  const depth = (key: string): number => {
    const { kind, block } = parseSite(key);
    if (block === null) return kind === 'logits' ? 1e6 + 1 : 1e6;
    return block + (kind === 'resid_post' ? 0.5 : 0);
  };
  return sites.toSorted((a, b) => depth(b) - depth(a))[0];
}
