/**
 * Are the bytes that we write the message that we mean? Read back by a reader of a few lines that knows
 * the wire format and nothing of our writer, and by onnxruntime.
 */

import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ProtobufWriter } from '../../src/files/protobuf.ts';
import { Builder } from '../../src/graph/builder.ts';
import { encodeModel } from '../../src/graph/encode.ts';
import { openSession } from '../../src/runtime/session.ts';
import { scratchPath } from '../support/scratch.ts';

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Varints as unsigned 64-bit numbers, everything else as bytes. */
  readonly value: bigint | Buffer;
}

/** All fields of one message, after https://protobuf.dev/programming-guides/encoding/. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const buffer = Buffer.from(bytes);
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(buffer[at++]);
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return value;
    }
  };
  const take = (length: number): Buffer => buffer.subarray(at, (at += length));
  while (at < buffer.length) {
    const tag = Number(varint());
    const wire = tag % 8;
    const value = wire === 0 ? varint() : take(wire === 5 ? 4 : Number(varint()));
    fields.push({ number: Math.floor(tag / 8), wire, value });
  }
  expect(at).toBe(buffer.length);
  return fields;
}

const messageAt = (fields: readonly Field[], number: number): Field[] =>
  fieldsOf(bytesAt(fields, number)[0]);

function bytesAt(fields: readonly Field[], number: number): Buffer[] {
  return fields.flatMap((field) =>
    field.number === number && typeof field.value !== 'bigint' ? [field.value] : [],
  );
}

function textsAt(fields: readonly Field[], number: number): string[] {
  return bytesAt(fields, number).map(String);
}

function integersAt(fields: readonly Field[], number: number): bigint[] {
  return fields.flatMap((field) =>
    field.number === number && typeof field.value === 'bigint' ? [field.value] : [],
  );
}

function written(write: (writer: ProtobufWriter) => void): Field[] {
  const writer = new ProtobufWriter();
  write(writer);
  return fieldsOf(writer.done());
}

describe('ProtobufWriter', () => {
  const safe = fc.maxSafeInteger();

  it('writes whole numbers beyond 2^32 and below 0 as 64-bit two’s complement', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 29 - 1 }), safe, (number, value) => {
        const [field] = written((w) => w.integer(number, value));
        expect(field).toEqual({ number, wire: 0, value: BigInt.asUintN(64, BigInt(value)) });
      }),
    );
    for (const value of [0, 127, 128, 2 ** 32, 2 ** 40 + 1, -1, -128, -(2 ** 33)]) {
      expect(written((w) => w.integer(1, value))[0].value).toBe(BigInt.asUintN(64, BigInt(value)));
    }
  });

  it('packs lists of whole numbers', () => {
    fc.assert(
      fc.property(fc.array(safe), (values) => {
        const [field] = written((w) => w.integers(8, values));
        // A list of varints reads like fields without tags: give each one a tag to read it by.
        const writer = new ProtobufWriter();
        for (const value of values) writer.integer(1, value);
        const single = Buffer.from(writer.done());
        const tagged = Buffer.concat(
          splitVarints(field.value).map((v) => Buffer.concat([Buffer.of(8), v])),
        );
        expect(tagged.equals(single)).toBe(true);
      }),
    );
  });

  it('writes texts, floats and messages of any size', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 3000 }),
        fc.float({ noNaN: true }),
        (text, float) => {
          const fields = written((w) => {
            w.text(1, text);
            w.float(2, float);
            w.message(3, (inner) => inner.message(4, (innermost) => innermost.text(5, text)));
          });
          expect(textsAt(fields, 1)).toEqual([Buffer.from(text).toString()]);
          expect(bytesAt(fields, 2)[0].readFloatLE()).toBe(float);
          expect(textsAt(messageAt(messageAt(fields, 3), 4), 5)).toEqual(textsAt(fields, 1));
        },
      ),
    );
  });
});

function splitVarints(packed: bigint | Buffer): Buffer[] {
  if (typeof packed === 'bigint') throw new Error('not packed');
  const parts: Buffer[] = [];
  let start = 0;
  packed.forEach((byte, i) => {
    if (byte >= 0x80) return;
    parts.push(packed.subarray(start, i + 1));
    start = i + 1;
  });
  return parts;
}

/** y = relu(x · Wᵀ + b), with W in a file far beyond 2^32 and b inline. */
function smallGraph(file: string, offset: number) {
  const g = new Builder('small');
  const x = g.input('x', 'float32', ['tokens', 2]);
  const external = { kind: 'external', file, offset, length: 24 } as const;
  const weight = g.external('w', 'float32', [3, 2], external);
  const bias = g.floats('b', [3], Float32Array.of(1, -100, 0.5));
  return g.finish([g.named('y', g.relu(g.linear(x, weight, bias, 'out-in')))]);
}

describe('encodeModel', () => {
  it('writes the fields of onnx.proto3', () => {
    const offset = 2 ** 33 + 8;
    const model = fieldsOf(encodeModel(smallGraph('/data/hub/model.safetensors', offset), '/data'));
    expect(integersAt(model, 1)).toEqual([12n]); // ir_version
    expect(integersAt(messageAt(model, 8), 2)).toEqual([24n]); // opset_import.version
    const graph = messageAt(model, 7);
    expect(textsAt(graph, 2)).toEqual(['small']);
    const nodes = bytesAt(graph, 1).map(fieldsOf);
    expect(nodes.map((node) => [textsAt(node, 4), textsAt(node, 1), textsAt(node, 2)])).toEqual([
      [['Gemm'], ['x', 'w', 'b'], ['Gemm']],
      [['Relu'], ['Gemm'], ['Relu']],
      [['Identity'], ['Relu'], ['y']],
    ]);
    const transposes = messageAt(nodes[0], 5);
    expect([textsAt(transposes, 1), integersAt(transposes, 3), integersAt(transposes, 20)]).toEqual(
      [
        ['transB'],
        [1n],
        [2n], // AttributeProto.INT
      ],
    );
    const [weight, bias] = bytesAt(graph, 5).map(fieldsOf);
    expect([textsAt(weight, 8), bytesAt(weight, 1)[0], integersAt(weight, 2)]).toEqual([
      ['w'],
      Buffer.of(3, 2),
      [1n],
    ]);
    const entries = bytesAt(weight, 13).map((entry) =>
      textsAt(fieldsOf(entry), 1).concat(textsAt(fieldsOf(entry), 2)),
    );
    expect(Object.fromEntries(entries)).toEqual({
      location: 'hub/model.safetensors',
      offset: String(offset),
      length: '24',
    });
    expect(integersAt(weight, 14)).toEqual([1n]); // data_location EXTERNAL
    expect(bytesAt(bias, 9)[0].readFloatLE(4)).toBe(-100);
    const input = messageAt(graph, 11);
    const shape = messageAt(messageAt(messageAt(input, 2), 1), 2);
    const axes = bytesAt(shape, 1).map(fieldsOf);
    expect([textsAt(axes[0], 2), integersAt(axes[1], 1)]).toEqual([['tokens'], [2n]]);
  });

  it('is read by onnxruntime, weights in place at an odd offset', async () => {
    const path = scratchPath('weights.bin');
    const bytes = Buffer.alloc(67 + 24);
    [1, 2, 3, 4, -5, 6].forEach((value, i) => bytes.writeFloatLE(value, 67 + 4 * i));
    writeFileSync(path, bytes);
    expect(dirname(path)).not.toBe('');
    const session = await openSession(smallGraph(path, 67), { threads: 1 });
    const { y } = await session.run({ x: { data: Float32Array.of(1, 10), shape: [1, 2] } });
    await session.close();
    // (1·1 + 2·10 + 1, 3·1 + 4·10 − 100 → 0, −5·1 + 6·10 + ½)
    expect([...y.data]).toEqual([22, 0, 55.5]);
    expect(y.shape).toEqual([1, 3]);
  });
});
