/**
 * Models that are wrong on purpose, one fault each.
 *
 * A fault is made in the settings or in the finished graph, so that one list serves every family. A
 * fault of structure breaks what sites mean, and the identities must notice it. A fault of a setting
 * makes another model that is just as consistent: no identity can see it, only a reference (`parity`) or
 * text that the model was trained on.
 */

import type { Attribute, Graph, GraphNode, Initializer } from '../graph/onnx.ts';
import { prune } from '../graph/prune.ts';
import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import { allSites, type Subject } from './passes.ts';

export interface Fault {
  readonly id: string;
  readonly title: string;
  readonly kind: 'structure' | 'setting';
  /** The subject with this fault; null where the model has nothing of the kind. */
  readonly make: (subject: Subject) => Subject | null;
}

export const faults: readonly Fault[] = [
  structure('future', 'attention sees the future', onNodes('Attention', seeFuture)),
  structure('branch', 'attn_out is tapped at twice its size', doubleBranch),
  structure('head', 'the final norm is left out', dropFinalNorm),
  changed('epsilon', 'ε of the norms × 10', 'epsilon', timesNumber(10)),
  setting('gain', 'gains act as 1 + w where w is right, or w where 1 + w is', shiftGains),
  setting('scale', 'attention scores × 2', onNodes('Attention', doubleScale)),
  setting('cap', 'no soft cap on scores', onNodes('Attention', dropCap)),
  setting(
    'pairs',
    'rotary positions on neighbours instead of halves',
    onNodes('RotaryEmbedding', pair),
  ),
  setting('order', 'query heads dealt out over key heads', dealHeads),
  setting('shift', 'learned positions start at 1', shiftPositions),
  changed('theta', 'rotary base × 10', 'theta', timesNumber(10)),
  changed('low_theta', 'rotary base ÷ 10', 'theta', timesNumber(0.1)),
  changed('rope', 'rotary positions not scaled', 'rope', plainRope),
  changed('silu', 'SiLU for the activation', 'activation', () => 'silu'),
  changed('gelu', 'exact GELU for the activation', 'activation', () => 'gelu'),
  changed('gelu_tanh', 'GELU by tanh for the activation', 'activation', () => 'gelu_tanh'),
  changed('windows', 'windows left out', 'windows', (list) =>
    Array.isArray(list) ? list.map(() => null) : list,
  ),
  changed('window', 'window left out', 'window', () => null),
];

function structure(id: string, title: string, change: Change): Fault {
  return { id, title, kind: 'structure', make: (subject) => tampered(subject, change) };
}

function setting(id: string, title: string, change: Change): Fault {
  return { id, title, kind: 'setting', make: (subject) => tampered(subject, change) };
}

/** A change of the settings under this key, wherever it stands. */
function changed(
  id: string,
  title: string,
  key: string,
  change: (value: unknown) => unknown,
): Fault {
  const make = (subject: Subject): Subject | null => {
    const { model } = subject;
    const settings = structuredClone(model.settings);
    replace(settings, key, change);
    if (JSON.stringify(settings) === JSON.stringify(model.settings)) return null;
    return { ...subject, model: { ...model, settings } };
  };
  return { id, title, kind: 'setting', make };
}

function replace(inside: object, key: string, change: (value: unknown) => unknown): void {
  for (const [name, value] of Object.entries(inside)) {
    if (name === key) Reflect.set(inside, name, change(value));
    else if (typeof value === 'object' && value !== null) replace(value, key, change);
  }
}

function plainRope(rope: unknown): unknown {
  const isRope = typeof rope === 'object' && rope !== null && 'theta' in rope;
  const isScaled = isRope && 'kind' in rope && rope.kind !== 'default';
  return isScaled ? { kind: 'default', theta: rope.theta } : rope;
}

function timesNumber(factor: number): (value: unknown) => unknown {
  return (value) => (typeof value === 'number' ? factor * value : value);
}

/** A graph with the fault, or null where it has no place for it. */
type Change = (graph: Graph) => Graph | null;

function tampered(subject: Subject, change: Change): Subject | null {
  const { model, bind = fromCheckpoint(model) } = subject;
  const composition = { sites: allSites(model), length: 1 };
  const whole = composeModel(model.architecture, model.settings, bind, composition);
  if (change(whole) === null) return null;
  // A pass with fewer sites may lack the place, and is then as it should be.
  return { ...subject, tamper: (graph) => prune(change(graph) ?? graph) };
}

type NodeChange = (node: GraphNode) => GraphNode | null;

/** Changes the nodes with this operator; null where it changes none. */
function onNodes(op: string, change: NodeChange): Change {
  return (graph) => {
    let changes = 0;
    const nodes = graph.nodes.map((node) => {
      const wrong = node.op === op ? change(node) : null;
      if (wrong !== null) changes++;
      return wrong ?? node;
    });
    return changes === 0 ? null : { ...graph, nodes };
  };
}

function withAttribute(node: GraphNode, name: string, value: Attribute): GraphNode {
  return { ...node, attributes: { ...node.attributes, [name]: value } };
}

function timesAttribute(node: GraphNode, name: string, factor: number): GraphNode {
  const value = Number(node.attributes[name]?.value) * factor;
  return withAttribute(node, name, { kind: 'float', value });
}

/** Without a mask, and not causal. */
function seeFuture(node: GraphNode): GraphNode {
  const free = { ...node, inputs: node.inputs.slice(0, 3) };
  return withAttribute(free, 'is_causal', { kind: 'int', value: 0 });
}

function doubleScale(node: GraphNode): GraphNode {
  return timesAttribute(node, 'scale', 2);
}

function dropCap(node: GraphNode): GraphNode | null {
  const { softcap, ...attributes } = node.attributes;
  return softcap === undefined ? null : { ...node, attributes };
}

function pair(node: GraphNode): GraphNode {
  return withAttribute(node, 'interleaved', { kind: 'int', value: 1 });
}

const norms: ReadonlySet<string> = new Set(['RMSNormalization', 'LayerNormalization']);

function doubleBranch(graph: Graph): Graph | null {
  const at = graph.nodes.findIndex(({ outputs }) => outputs.includes('attn_out.0'));
  if (at < 0) return null;
  const wrong = { ...graph.nodes[at], op: 'Mul', inputs: [...graph.nodes[at].inputs, 'fault/two'] };
  return {
    ...graph,
    nodes: graph.nodes.with(at, wrong),
    initializers: [...graph.initializers, floats('fault/two', [2])],
  };
}

function dropFinalNorm(graph: Graph): Graph | null {
  const at = graph.nodes.findIndex(
    ({ op, outputs }) => norms.has(op) && outputs[0].startsWith('head/'),
  );
  if (at < 0) return null;
  const { inputs, outputs } = graph.nodes[at];
  const through = { op: 'Identity', inputs: [inputs[0]], outputs, attributes: {} };
  return { ...graph, nodes: graph.nodes.with(at, through) };
}

/** Leaves out the 1 of gains that are 1 + w, and adds it to all others. */
function shiftGains(graph: Graph): Graph | null {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const added: GraphNode[] = [];
  const change: NodeChange = (node) => {
    const [x, gain] = node.inputs;
    const maker = makers.get(gain);
    if (maker?.op === 'Add') return { ...node, inputs: [x, maker.inputs[0]] };
    const name = `fault/gain_${added.length}`;
    added.push({ op: 'Add', inputs: [gain, 'fault/one'], outputs: [name], attributes: {} });
    return { ...node, inputs: [x, name] };
  };
  const wrong = onNodes('RMSNormalization', change)(graph);
  if (wrong === null) return null;
  return inOrder(
    { ...wrong, initializers: [...graph.initializers, floats('fault/one', [1])] },
    added,
  );
}

/** Query head h reads key head h mod KV instead of ⌊h / (H / KV)⌋. */
function dealHeads(graph: Graph): Graph | null {
  const initializers: Initializer[] = [...graph.initializers];
  let changes = 0;
  const nodes = graph.nodes.flatMap((node): GraphNode[] => {
    const heads = Number(node.attributes['q_num_heads']?.value);
    const keyHeads = Number(node.attributes['kv_num_heads']?.value);
    if (node.op !== 'Attention' || keyHeads === heads || keyHeads === 1) return [node];
    const name = `fault/heads_${changes++}`;
    const group = heads / keyHeads;
    initializers.push(
      integers(`${name}/dealt`, [0, 0, group, keyHeads, -1]),
      integers(`${name}/grouped`, [0, 0, keyHeads, group, -1]),
      integers(`${name}/flat`, [0, 0, -1]),
    );
    const [q, ...others] = node.inputs;
    const [output, ...more] = node.outputs;
    return [
      ...regrouped(q, `${name}/q`, `${name}/dealt`, `${name}/flat`),
      { ...node, inputs: [`${name}/q`, ...others], outputs: [`${name}/o`, ...more] },
      ...regrouped(`${name}/o`, output, `${name}/grouped`, `${name}/flat`),
    ];
  });
  return changes === 0 ? null : { ...graph, nodes, initializers };
}

/** Turns the two axes of heads round. */
function regrouped(from: string, to: string, apart: string, flat: string): GraphNode[] {
  const perm = { kind: 'ints', value: [0, 1, 3, 2, 4] } as const;
  return [
    { op: 'Reshape', inputs: [from, apart], outputs: [`${to}/apart`], attributes: {} },
    { op: 'Transpose', inputs: [`${to}/apart`], outputs: [`${to}/turned`], attributes: { perm } },
    { op: 'Reshape', inputs: [`${to}/turned`, flat], outputs: [to], attributes: {} },
  ];
}

/** Reads the table of learned positions one row further on. */
function shiftPositions(graph: Graph): Graph | null {
  const at = graph.nodes.findIndex(
    ({ op, inputs }) => op === 'Gather' && /(^|\.)wpe\.|embed_positions\./.test(inputs[0]),
  );
  if (at < 0) return null;
  const [table, index] = graph.nodes[at].inputs;
  const moved = 'fault/positions';
  const add = { op: 'Add', inputs: [index, 'fault/step'], outputs: [moved], attributes: {} };
  const gather = { ...graph.nodes[at], inputs: [table, moved] };
  return {
    ...graph,
    nodes: graph.nodes.toSpliced(at, 1, add, gather),
    initializers: [...graph.initializers, integers('fault/step', [1])],
  };
}

/** Puts nodes before the first that reads what they make. */
function inOrder(graph: Graph, added: readonly GraphNode[]): Graph {
  const byOutput = new Map(added.map((node) => [node.outputs[0], node]));
  const nodes = graph.nodes.flatMap((node) => [
    ...node.inputs.flatMap((name) => byOutput.get(name) ?? []),
    node,
  ]);
  return { ...graph, nodes };
}

function floats(name: string, values: readonly number[]): Initializer {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dtype: 'float32', shape: [values.length], data: { kind: 'inline', bytes } };
}

function integers(name: string, values: readonly number[]): Initializer {
  const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, dtype: 'int64', shape: [values.length], data: { kind: 'inline', bytes } };
}
