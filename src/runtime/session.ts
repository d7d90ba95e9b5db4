/**
 * The door to onnxruntime: opens a graph, runs it, closes it.
 *
 * Two facts of onnxruntime-node shape this module. It opens a telemetry store at the first session
 * unless its switch is set in the process environment, so the switch is set as this module loads. And
 * `run` blocks the thread until it is done, so that whoever wants to be interrupted must run in
 * pieces and, for heavy work, in a process of its own.
 */

import { dirname, sep } from 'node:path';
import { UserError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { encodeModel } from '../graph/encode.ts';
import type { Graph } from '../graph/onnx.ts';
import { weightsFirst } from '../graph/order.ts';
import { type DeviceName } from '../base/choices.ts';
import { deviceFailure, requireDevice } from './devices.ts';

process.env['ORT_DISABLE_TELEMETRY'] = '1';
const { InferenceSession, Tensor } = await import('onnxruntime-node');

export interface SessionOptions {
  /** Threads inside an operator; 0 lets onnxruntime choose. */
  readonly threads: number;
  /** What computes; the CPU unless told. */
  readonly device?: DeviceName;
  /**
   * Leaves weights where they lie and reads them through the system's page cache, in the type that
   * they are stored in, instead of widening and packing a copy: opening takes milliseconds and memory
   * holds what the graph is at. What is worked out from weights is worked out anew in every run. Sums
   * are then taken in an order that depends on the number of rows and threads unless both are kept
   * to `steadyThreads` and two rows or more.
   */
  readonly mapped?: boolean;
}

/** What a graph may be fed: whole numbers or floats with their shape. */
export interface Feed {
  readonly data: BigInt64Array | Float32Array | Float64Array;
  readonly shape: readonly number[];
}

export interface Fetch<T = Float32Array> {
  readonly data: T;
  readonly shape: readonly number[];
}

/** A compiled graph. Who opens it closes it. */
export interface Session {
  readonly outputs: readonly string[];
  /**
   * Runs the graph once; feeds that the graph does not take are left out.
   *
   * @param wanted Outputs that are to leave it; all of them unless told.
   */
  run(
    feeds: Readonly<Record<string, Feed>>,
    wanted?: readonly string[],
  ): Promise<Record<string, Fetch>>;
  /** The same for a graph whose outputs are float64. */
  runDouble(feeds: Readonly<Record<string, Feed>>): Promise<Record<string, Fetch<Float64Array>>>;
  close(): Promise<void>;
}

/**
 * Compiles a graph whose weights lie in files.
 *
 * @throws {UserError} `NOT_ENOUGH_MEMORY` when onnxruntime cannot hold it, `DEVICE_ABSENT` when the
 *   device is not there.
 */
export async function openSession(graph: Graph, options: SessionOptions): Promise<Session> {
  const folder = commonFolder(graph);
  const { device = 'cpu', mapped = false } = options;
  if (device !== 'cpu') await requireDevice(device);
  const session = await InferenceSession.create(
    encodeModel(mapped ? weightsFirst(graph) : graph, folder),
    {
      executionProviders: [device],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      enableCpuMemArena: !mapped,
      // A plan of memory is kept for each shape of batch that was ever run, and saves no time here.
      enableMemPattern: false,
      logSeverityLevel: 3,
      extra: {
        session: {
          // Spinning threads burn a shared machine's time and gain nothing measurable here.
          intra_op: { allow_spinning: '0' },
          ...(folder === '' ? {} : { model_external_initializers_file_folder_path: folder }),
          ...(mapped ? { disable_prepacking: '1' } : {}),
        },
        ...(mapped ? { optimization: { disable_specified_optimizers: 'ConstantFolding' } } : {}),
      },
    },
  ).catch(async (cause: unknown) => {
    const error = explained(cause);
    throw device === 'cpu' || error !== cause ? error : await deviceFailure(device, cause);
  });
  const inputs = new Set(session.inputNames);
  const fetch = async (
    feeds: Readonly<Record<string, Feed>>,
    wanted: readonly string[] = session.outputNames,
  ): Promise<[string, InstanceType<typeof Tensor>][]> => {
    const tensors = Object.entries(feeds)
      .filter(([name]) => inputs.has(name))
      .map(([name, { data, shape }]) => [name, tensorOf(data, shape)] as const);
    const fetched = await session
      .run(Object.fromEntries(tensors), wanted)
      .catch((cause: unknown) => {
        throw explained(cause);
      });
    return Object.entries(fetched);
  };
  return {
    outputs: session.outputNames,
    run: async (feeds, wanted) =>
      Object.fromEntries(
        (await fetch(feeds, wanted)).map(([name, { data, dims }]) => {
          invariant(data instanceof Float32Array, `output "${name}" is not float32`);
          return [name, { data, shape: dims }];
        }),
      ),
    runDouble: async (feeds) =>
      Object.fromEntries(
        (await fetch(feeds)).map(([name, { data, dims }]) => {
          invariant(data instanceof Float64Array, `output "${name}" is not float64`);
          return [name, { data, shape: dims }];
        }),
      ),
    close: () => session.release(),
  };
}

function tensorOf(data: Feed['data'], shape: readonly number[]): InstanceType<typeof Tensor> {
  if (data instanceof Float32Array) return new Tensor('float32', data, shape);
  if (data instanceof Float64Array) return new Tensor('float64', data, shape);
  return new Tensor('int64', data, shape);
}

/** The deepest folder above all files that the graph reads; '' when it reads none. */
function commonFolder(graph: Graph): string {
  const folders = graph.initializers.flatMap(({ data }) =>
    data.kind === 'external' ? [dirname(data.file)] : [],
  );
  if (folders.length === 0) return '';
  let common = folders[0];
  for (const folder of folders) {
    while (!`${folder}${sep}`.startsWith(common.endsWith(sep) ? common : `${common}${sep}`)) {
      const above = dirname(common);
      if (above === common) throw onTwoDisks(folder, folders[0]);
      common = above;
    }
  }
  return common;
}

/** onnxruntime resolves all files of a graph below one folder, which two drives do not have. */
function onTwoDisks(a: string, b: string): UserError {
  return new UserError('CHECKPOINT_MISSING', 'the weights of one graph lie on two drives', {
    where: `${a} and ${b}`,
    fix: 'Put all files of the model on one drive.',
  });
}

function explained(cause: unknown): unknown {
  const text = cause instanceof Error ? cause.message : String(cause);
  if (!/bad_alloc|failed to allocate|out of memory/i.test(text)) return cause;
  return new UserError('NOT_ENOUGH_MEMORY', 'onnxruntime could not allocate what the model needs', {
    fix: 'Lower --batch-tokens, or close other programs.',
    cause,
  });
}
