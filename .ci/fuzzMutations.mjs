/**
 * What can happen to a file? One seeded mutation at a time.
 *
 * Bytes are flipped, cut off, repeated and zeroed; lengths lie; JSON is edited as a tree that can also
 * be spelt in ways that JSON.stringify cannot: keys twice, numbers beyond float64, broken escapes,
 * nesting without end. `random` is a `Random` of src/base/random.ts, so a case is made anew by its seed.
 */

const pick = (random, items) => items[random.below(items.length)];

/** Flips, cuts, repeats, zeroes or overwrites some bytes. Gives the new bytes and what was done. */
export function mutateBytes(random, bytes) {
  const size = bytes.length;
  const at = random.below(Math.max(1, size));
  const length = 1 + random.below(Math.max(1, Math.min(64, size - at)));
  // Headers are where it matters: half of the flips fall in the first 512 bytes.
  const near = random.below(2) === 0 ? random.below(Math.max(1, Math.min(512, size))) : at;
  const out = Buffer.from(bytes);
  switch (random.below(8)) {
    case 0:
    case 1:
      for (let i = 0; i <= random.below(4); i++) {
        const place = Math.min(size - 1, near + random.below(16));
        if (size > 0) out[place] ^= 1 << random.below(8);
      }
      return { bytes: out, what: `bits flipped from byte ${near}` };
    case 2:
      return { bytes: out.subarray(0, at), what: `cut off after ${at} bytes` };
    case 3:
      return {
        bytes: Buffer.concat([out, Buffer.alloc(length, random.below(256))]),
        what: `${length} bytes added at the end`,
      };
    case 4:
      return {
        bytes: Buffer.concat([
          out.subarray(0, at),
          out.subarray(at, at + length),
          out.subarray(at),
        ]),
        what: `${length} bytes from ${at} stand twice`,
      };
    case 5:
      out.fill(0, at, at + length);
      return { bytes: out, what: `${length} bytes zeroed from ${at}` };
    case 6:
      for (let i = at; i < at + length; i++) out[i] = random.below(256);
      return { bytes: out, what: `${length} bytes at random from ${at}` };
    default:
      return {
        bytes: Buffer.concat([out.subarray(0, at), out.subarray(at + length)]),
        what: `${length} bytes left out from ${at}`,
      };
  }
}

/** Gives a safetensors file another header length. */
export function mutateLength(random, bytes) {
  const honest = bytes.readBigUInt64LE(0);
  const lie = pick(random, [
    0n,
    1n,
    honest - 1n,
    honest + 1n,
    honest + 8n,
    BigInt(bytes.length),
    BigInt(bytes.length) - 8n,
    99_999_999n,
    100_000_001n,
    2n ** 31n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]);
  const out = Buffer.from(bytes);
  out.writeBigUInt64LE(BigInt.asUintN(64, lie), 0);
  return { bytes: out, what: `header length ${lie}` };
}

/** Edits the JSON header of a safetensors file; its length is made to fit, mostly. */
export function mutateHeader(random, bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const { text, what, mustRefuse } = mutateJson(random, bytes.subarray(8, 8 + length).toString());
  const header = Buffer.from(text);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(random.below(8) === 0 ? length : header.length));
  const all = Buffer.concat([start, header, bytes.subarray(8 + length)]);
  return { bytes: all, what, mustRefuse };
}

/** Puts an infinity or a NaN among the weights: bits that are one in float32, float16 and bfloat16. */
export function mutateWeights(random, bytes) {
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  const at = begin + 4 * random.below(Math.floor((bytes.length - begin) / 4));
  const out = Buffer.from(bytes);
  out.writeUInt32LE(pick(random, [0x7f807f80, 0xff80ff80, 0x7fc07fc0, 0x7fff7fff, 0xffffffff]), at);
  return { bytes: out, what: `no finite weight at byte ${at}`, mustRefuse: true };
}

/** Rewrites one literal of an .npy header; its length is made to fit, mostly. */
export function mutateArray(random, bytes) {
  const text = bytes.subarray(10, 10 + bytes.readUInt16LE(8)).toString('latin1');
  const [before, after, mustRefuse = false] = pick(random, [
    ['False', 'True', true],
    ['False', 'None', true],
    ['<f4', '>f4', true],
    ['<f4', '|O', true],
    ['<f4', '<f8', true],
    ['<f4', '<c8', true],
    ['<f4', '<i4', true],
    ['<f4', '=f4', true],
    ['(3, 4)', '(4, 3)'],
    ['(3, 4)', '(12,)'],
    ['(3, 4)', '(12)', true],
    ['(3, 4)', '(3, 4', true],
    ['(3, 4)', '(3, 4, 1)'],
    ['(3, 4)', '(3, 5)', true],
    ['(3, 4)', '(-3, -4)', true],
    ['(3, 4)', '(6442450944, 8589934592)', true],
    ['(3, 4)', '(9007199254740993, 0)', true],
    ['(3, 4)', `(${'1, '.repeat(70)}12)`, true],
    ['(3, 4)', '(3.0, 4)', true],
    ['(3, 4)', '[3, 4]', true],
    ["'shape'", "'descr'", true],
    ["'shape'", "'form'", true],
    ['}', "'more': True}", true],
    ["'<f4'", "[('a', '<f4')]", true],
    ["'<f4'", "__import__('os')", true],
  ]);
  const header = Buffer.from(text.replace(before, after), 'latin1');
  const start = Buffer.from(bytes.subarray(0, 10));
  start.writeUInt16LE(header.length, 8);
  const all = Buffer.concat([start, header, bytes.subarray(10 + text.length)]);
  return { bytes: all, what: `${before} made ${after.slice(0, 40)}`, mustRefuse };
}

/** Edits one place of a JSON text. */
export function mutateJson(random, source) {
  const tree = nodeOf(JSON.parse(source));
  const places = [];
  collect(tree, places, 0);
  const { holder, i, depth } = pick(random, weighted(places));
  const entries = holder.entries;
  const name = holder.kind === 'object' ? entries[i][0] : String(i);
  const put = (node) => {
    if (holder.kind === 'object') entries[i][1] = node;
    else entries[i] = node;
  };
  const done = (what) => ({ text: spell(tree), what: `${what} at "${name}", level ${depth}` });
  const before = holder.kind === 'object' ? entries[i][1] : entries[i];
  switch (random.below(holder.kind === 'object' ? 10 : 6)) {
    case 0:
    case 1: {
      const raw = pick(random, rawValues);
      put({ kind: 'raw', text: raw });
      return done(`${raw.slice(0, 40)} put`);
    }
    case 2:
      put(swapped(before));
      return done('the type swapped');
    case 3: {
      const depthOf = pick(random, [50, 101, 5000, 100_000]);
      const open = pick(random, ['[', '{"a":']);
      put({ kind: 'raw', text: open.repeat(depthOf) });
      return done(`${depthOf} × ${open}`);
    }
    case 4: {
      const text = pick(random, texts);
      put({ kind: 'raw', text });
      return done(`${text.slice(0, 40)} put`);
    }
    case 5:
      put({ kind: 'raw', text: String(Math.floor((random.uniform() - 0.3) * 300)) });
      return done('another number put');
    case 6:
      entries.splice(i, 1);
      return done('the key taken out');
    case 7:
      entries.push([name, pick(random, [before, { kind: 'raw', text: '1' }])]);
      return { ...done('the key repeated'), mustRefuse: true };
    case 8:
      entries.push([
        pick(random, ['fuzz_key', '__proto__', 'constructor', 'toString', '', 'fuzz_\u202e']),
        { kind: 'raw', text: pick(random, ['1', 'true', '{}', '"x"', 'null']) },
      ]);
      return done('an unknown key put beside');
    default: {
      const other = random.below(entries.length);
      [entries[i][1], entries[other][1]] = [entries[other][1], entries[i][1]];
      return done(`the value of "${entries[other][0]}" swapped in`);
    }
  }
}

/** What a number, a text or a name may be turned into; not all of it is JSON. */
const rawValues = [
  ['null', 'true', 'false', '0', '-1', '1', '0.5', '-0', '1e400', '-1e400', '1e308'],
  ['9007199254740993', '4294967296', '2147483648', '123456789012345678901234567890'],
  ['[]', '{}', '""', '[null]', '[[0,0]]', '[0,-1]', '[1e15,1e15]', '[0,9007199254740991]'],
  ['NaN', 'Infinity', '01', '+1', '.5', '1.', '0x10', "'a'", 'undefined', ''],
  ['"F32"', '"BF16"', '"I64"', '"F8_E4M3"', '"llama"', '"gpt2"', '"float32"'],
].flat();

const texts = [
  ['"../model.safetensors"', '"/etc/passwd"', '"..\\\\x.safetensors"', '"C:\\\\x.safetensors"'],
  ['"file:///etc/passwd"', '"x/../../y.safetensors"', '"model.safetensors\\u0000"', '"."'],
  ['"\\ud800"', '"\\u202egnp.exe"', '"\\u0000"', '"\\q"', '"é"', '"e\\u0301"', '"😀"'],
  [`"${'x'.repeat(100_000)}"`, '"{{ 1/0 }}"', '"(a+)+$"', '"__proto__"', '"💥\\ud83d"'],
].flat();

/** JSON as a tree whose objects may hold a key twice. */
function nodeOf(value) {
  if (Array.isArray(value)) return { kind: 'array', entries: value.map(nodeOf) };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, each]) => [key, nodeOf(each)]);
    return { kind: 'object', entries };
  }
  return { kind: 'raw', text: JSON.stringify(value) };
}

function spell(node) {
  if (node.kind === 'raw') return node.text;
  if (node.kind === 'array') return `[${node.entries.map(spell).join(',')}]`;
  const fields = node.entries.map(([key, each]) => `${JSON.stringify(key)}:${spell(each)}`);
  return `{${fields.join(',')}}`;
}

function swapped(node) {
  if (node.kind !== 'raw') return { kind: 'raw', text: JSON.stringify(spell(node)) };
  if (node.text.startsWith('"')) return { kind: 'array', entries: [node] };
  return { kind: 'raw', text: JSON.stringify(node.text) };
}

function collect(node, places, depth) {
  if (node.kind === 'raw') return;
  for (const [i, entry] of node.entries.entries()) {
    places.push({ holder: node, i, depth });
    collect(node.kind === 'object' ? entry[1] : entry, places, depth + 1);
  }
}

/** Long lists, such as vocabularies, would take all mutations: deep places are thinned out. */
function weighted(places) {
  const upper = places.filter(({ depth }) => depth < 2);
  return upper.length === 0 ? places : [...upper, ...places.filter((_, i) => i % 7 === 0)];
}
