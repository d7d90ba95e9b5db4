/**
 * Protocol buffers' wire format, as far as ONNX models need it: varints, length-delimited fields
 * and 32-bit floats, written in one growing buffer.
 *
 * A nested message is written by a callback, so that its length can be put before it.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */

const utf8 = new TextEncoder();

/** Writes one message; fields appear in the order of the calls. */
export class ProtobufWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** A whole number ≥ 0 that a double holds exactly, or a negative one as 64-bit two's complement. */
  integer(field: number, value: number): void {
    this.#varint(field * 8);
    this.#varint64(value);
  }

  /** Whole numbers, packed. */
  integers(field: number, values: readonly number[]): void {
    this.message(field, (writer) => {
      for (const value of values) writer.#varint64(value);
    });
  }

  float(field: number, value: number): void {
    this.#varint(field * 8 + 5);
    this.#reserve(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  text(field: number, value: string): void {
    this.bytes(field, utf8.encode(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  message(field: number, write: (writer: ProtobufWriter) => void): void {
    const nested = new ProtobufWriter();
    write(nested);
    this.bytes(field, nested.done());
  }

  /** The message so far. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #varint(value: number): void {
    this.#reserve(10);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  #varint64(value: number): void {
    if (value >= 0) return this.#varint(value);
    this.#reserve(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 128n) {
      this.#bytes[this.#length++] = Number(rest % 128n) + 128;
      rest /= 128n;
    }
    this.#bytes[this.#length++] = Number(rest);
    return undefined;
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
