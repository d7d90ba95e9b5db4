/** Whether an address restores the picture, and what happens to addresses nobody made. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Store,
  arrowKinds,
  cosineKinds,
  decodeAddress,
  encodeAddress,
  harmFilters,
  initialState,
  mapMasks,
  mapMeasures,
  themes,
  triggerFilters,
  viewNames,
} from '../../viewer/state.ts';
import type { State } from '../../viewer/state.ts';

const known = new Set(
  'q L ab pos trigger harm row basis arrows map mask rows cos table theme'.split(' '),
);
const word = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter((text) => !/\p{Surrogate}/u.test(text));
const index = fc.option(fc.nat(9_999_999));

const states: fc.Arbitrary<State> = fc.record({
  run: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/),
  question: fc.oneof(fc.constant(''), word),
  layer: index,
  pair: fc.oneof(
    fc.constant(''),
    fc.tuple(word, word).map(([a, b]) => `${a}..${b}`),
  ),
  position: fc.oneof(fc.constant(''), fc.constant('reply:2'), word),
  trigger: fc.constantFrom(...triggerFilters),
  harm: fc.constantFrom(...harmFilters),
  row: index,
  basis: fc.oneof(
    fc.constant(''),
    fc.tuple(word, word).map(([a, b]) => `${a}..${b}`),
  ),
  arrows: fc.constantFrom(...arrowKinds),
  measure: fc.constantFrom(...mapMeasures),
  mask: fc.constantFrom(...mapMasks),
  rows: fc.oneof(fc.constant(''), word),
  cosines: fc.constantFrom(...cosineKinds),
  tables: fc.subarray([...viewNames]),
  theme: fc.constantFrom(...themes),
  unknown: fc.array(
    fc.tuple(
      word.filter((key) => !known.has(key)),
      word,
    ),
    { maxLength: 3 },
  ),
});

function decode(address: string): ReturnType<typeof decodeAddress> {
  const { pathname, search } = new URL(address, 'http://127.0.0.1');
  return decodeAddress(pathname, search);
}

describe('encodeAddress', () => {
  it('gives an address that reads back as the same state', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decode(encodeAddress(state))).toEqual({ state, ignored: [] });
      }),
      { numRuns: 500 },
    );
  });

  it('holds only what differs from the default, in a fixed order', () => {
    expect(encodeAddress(initialState)).toBe('/');
    expect(encodeAddress({ ...initialState, run: 'a' })).toBe('/r/a');
    const state: State = {
      ...initialState,
      run: 'organism',
      theme: 'dark',
      row: 17,
      layer: 0,
      position: 'reply:2',
      pair: 'backdoored..planb',
      tables: ['shift', 'curve'],
      measure: 'difference',
      mask: 'fdr',
      arrows: 'means',
      cosines: 'whitened',
      basis: 'backdoored..standard',
      rows: 'all~benign~not-harmful',
    };
    expect(encodeAddress(state)).toBe(
      '/r/organism?L=0&ab=backdoored..planb&pos=reply:2&row=17' +
        '&basis=backdoored..standard&arrows=means&map=difference&mask=fdr&rows=all%7Ebenign%7Enot-harmful&cos=whitened' +
        '&table=curve,shift&theme=dark',
    );
  });
});

describe('decodeAddress', () => {
  it('names what it cannot read and takes the rest', () => {
    const { state, ignored } = decodeAddress(
      '/r/a',
      '?L=three&trigger=maybe&row=-1&table=curve,x&L=2&q=&mask=p&basis=x',
    );
    expect(ignored).toEqual([
      'L=three',
      'trigger=maybe',
      'row=-1',
      'table=curve,x',
      'q=',
      'mask=p',
      'basis=x',
    ]);
    expect(state).toEqual({ ...initialState, run: 'a', layer: 2 });
  });

  it('keeps keys that it does not know', () => {
    const { state } = decodeAddress('/r/a', '?__proto__=1&zoom=3&L=1&constructor=x');
    expect(state.unknown).toEqual([
      ['__proto__', '1'],
      ['zoom', '3'],
      ['constructor', 'x'],
    ]);
    expect(encodeAddress(state)).toBe('/r/a?L=1&__proto__=1&zoom=3&constructor=x');
  });

  it('takes any text without failing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (path, query) => {
        const { state } = decodeAddress(path, query);
        expect(state.run).toMatch(/^([a-z0-9][a-z0-9._-]{0,63})?$/);
      }),
    );
  });
});

describe('Store', () => {
  it('pushes what is worth going back to, replaces what passes, and is silent on no change', () => {
    const calls: string[] = [];
    const store = new Store(initialState, {
      pushState: (_data, _unused, url) => calls.push(`push ${url}`),
      replaceState: (_data, _unused, url) => calls.push(`replace ${url}`),
    });
    let told = 0;
    store.subscribe(() => told++);
    store.set({ layer: 1 });
    store.set({ layer: 2 }, true);
    store.set({ layer: 2 });
    expect(calls).toEqual(['push /?L=1', 'replace /?L=2']);
    expect(told).toBe(2);
    store.restore(initialState);
    expect([told, store.state.layer, calls.length]).toEqual([3, null, 2]);
  });
});
