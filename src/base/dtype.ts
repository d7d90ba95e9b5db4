/**
 * How do 16-bit floats become 32-bit ones and back?
 *
 * Widening is exact: every bfloat16 and every float16 is a float32, NaN payloads included. Narrowing
 * float32 to bfloat16 rounds to nearest, ties to even, as PyTorch and the IEEE do; finite values
 * beyond 3.3895e38 (the last half step) become infinite, as that rule demands.
 */

/** bfloat16 bit patterns → float32. Shape: `[n] → [n]`. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16;
  return new Float32Array(wide.buffer);
}

/** float32 → bfloat16 bit patterns, to nearest, ties to even; NaN stays NaN. Shape: `[n] → [n]`. */
export function float32ToBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < wide.length; i++) {
    const u = wide[i];
    const isNaN = (u & 0x7fffffff) > 0x7f800000;
    // Cutting a NaN could leave an infinity: keep it quiet instead. The odd bit breaks the ties.
    bits[i] = isNaN ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
  return bits;
}

/** float16 bit patterns → float32. Shape: `[n] → [n]`. */
export function float16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(bits.length);
  const wide = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    const h = bits[i];
    const sign = (h & 0x8000) << 16;
    const exponent = (h >>> 10) & 0x1f;
    const fraction = h & 0x3ff;
    if (exponent === 0) {
      values[i] = (sign === 0 ? 1 : -1) * fraction * 2 ** -24; // zero and the subnormals
    } else {
      // The biases are 15 and 127; infinity and NaN keep an exponent of all ones.
      const rebiased = exponent === 0x1f ? 0xff : exponent + 112;
      wide[i] = sign | (rebiased << 23) | (fraction << 13);
    }
  }
  return values;
}
