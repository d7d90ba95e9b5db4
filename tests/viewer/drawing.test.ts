/** The parts of the drawing that need no page: pixels, labels that keep apart, contrast, rounding. */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/base/random.ts';
import {
  cellText,
  csv,
  fixed,
  percent,
  ranges,
  visible,
  withInterval,
} from '../../viewer/format.ts';
import { keepApart } from '../../viewer/marks.ts';
import { bytesOf, dark, light, seriesStyle } from '../../viewer/palette.ts';
import { Raster, makeStamp } from '../../viewer/raster.ts';
import { apart } from '../../viewer/views/panels.ts';
import { neighbour } from '../../viewer/views/scatter.ts';

describe('makeStamp', () => {
  it('covers the area of its shape', () => {
    // 4 × 4 samples a pixel: the error is of the order of the rim's length over 16.
    expect(area(makeStamp('disc', 6, false))).toBeCloseTo(Math.PI * 36, -0.5);
    expect(area(makeStamp('disc', 6, true, 2))).toBeCloseTo(Math.PI * (36 - 16), -0.5);
    const inradius = 6 * 0.78;
    expect(area(makeStamp('triangle', 6, false))).toBeCloseTo(
      3 * Math.sqrt(3) * inradius ** 2,
      -0.5,
    );
  });

  it('puts the triangle on its base', () => {
    const { size, cover } = makeStamp('triangle', 5, false);
    const row = (y: number): number =>
      cover.slice(y * size, (y + 1) * size).reduce((a, b) => a + b, 0);
    const rows = Array.from({ length: size }, (_, y) => row(y)).filter((sum) => sum > 0);
    expect(rows[0]).toBeLessThan(rows[rows.length - 2]);
  });
});

describe('Raster', () => {
  it('blends over what is there, as a formula says', () => {
    const raster = new Raster(3, 3);
    const dot = { size: 1, cover: Float32Array.of(1) };
    raster.put(dot, 1, 1, [200, 0, 0], 0.5, 0);
    raster.put(dot, 1, 1, [0, 100, 0], 0.5, 1);
    // αo = .5 + .5·.5 = .75; red = 200·.25/.75 = 66.7, green = 100·.5/.75 = 66.7.
    // The buffer rounds to whole numbers at each step, so one unit is allowed.
    const [red, green, blue, alpha] = raster.pixels.slice(16, 20);
    expect(Math.abs(red - 66.7)).toBeLessThan(1);
    expect(Math.abs(green - 66.7)).toBeLessThan(1);
    expect(blue).toBe(0);
    expect(Math.abs(alpha - 191)).toBeLessThanOrEqual(1);
  });

  it('knows the point on top, the nearest within reach, and none beyond', () => {
    const raster = new Raster(40, 20);
    const stamp = makeStamp('disc', 2, false);
    raster.put(stamp, 10, 10, [0, 0, 0], 1, 4);
    raster.put(stamp, 11, 10, [0, 0, 0], 1, 5);
    raster.put(stamp, 30, 10, [0, 0, 0], 1, -1);
    expect(raster.pick(11, 10, 0)).toBe(5);
    expect(raster.pick(8, 10, 3)).toBe(4);
    expect(raster.pick(17, 10, 3)).toBe(-1);
    expect(raster.pick(30, 10, 3)).toBe(-1);
    expect(raster.pick(-50, 900, 3)).toBe(-1);
  });

  it('puts marks over the edge without touching the other side', () => {
    const raster = new Raster(10, 10);
    raster.put(makeStamp('disc', 3, false), 0, 5, [9, 9, 9], 1, 0);
    const right = Array.from({ length: 10 }, (_, y) => raster.ids[y * 10 + 9]);
    expect(right).toEqual(Array.from({ length: 10 }, () => 0));
  });

  it('draws the same bits each time', () => {
    expect(drawnHash()).toBe(drawnHash());
  });
});

describe('keepApart', () => {
  it('keeps labels apart, inside, and in order, wherever there is room', () => {
    const heights = fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(heights, (wanted) => {
        const placed = keepApart(wanted, 15, 0, 300);
        const order = wanted.map((_, i) => i).sort((a, b) => placed[a] - placed[b]);
        for (const [k, i] of order.entries()) {
          expect(placed[i]).toBeGreaterThanOrEqual(-1e-9);
          expect(placed[i]).toBeLessThanOrEqual(300 + 1e-9);
          if (k === 0) continue;
          const before = order[k - 1];
          expect(placed[i] - placed[before]).toBeGreaterThanOrEqual(15 - 1e-9);
          expect(wanted[i]).toBeGreaterThanOrEqual(wanted[before]);
        }
      }),
    );
  });

  it('leaves labels alone that are apart', () => {
    expect(keepApart([100, 10, 50], 15, 0, 300)).toEqual([100, 10, 50]);
  });
});

describe('palettes', () => {
  it.each([
    ['light', light],
    ['dark', dark],
  ])('%s: lines stand out 3:1 and words 4.5:1 (WCAG 1.4.11, 1.4.3)', (_, palette) => {
    for (const colour of [...palette.series, palette.neutral, palette.accent]) {
      expect(contrast(colour, palette.ground)).toBeGreaterThanOrEqual(3);
    }
    for (const colour of [palette.ink, palette.muted, palette.accent]) {
      expect(contrast(colour, palette.ground)).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('never gives two of ten checkpoints the same colour and dash', () => {
    const styles = Array.from({ length: 10 }, (_, i) =>
      JSON.stringify(seriesStyle(light, i, false)),
    );
    expect(new Set(styles).size).toBe(10);
  });
});

describe('neighbour', () => {
  it('finds the nearest shown row in a direction', () => {
    const after = Float32Array.of(0, 0, 2, 0.5, 1, 5, -1, 0, 1, 0.2);
    const plot = { after, isShown: [true, true, true, true, false] };
    expect(neighbour(plot, 0, 1, 0)).toBe(1);
    expect(neighbour(plot, 0, 0, 1)).toBe(2);
    expect(neighbour(plot, 0, -1, 0)).toBe(3);
    expect(neighbour(plot, 0, 0, -1)).toBe(0);
  });
});

describe('format', () => {
  it('rounds in one way', () => {
    expect(fixed(0.9996)).toBe('1.000');
    expect(fixed(-0.0004)).toBe('0.000');
    expect(fixed(-0.25, 1)).toBe('−0.3');
    expect(withInterval(0.9371, 0.9209, 0.9514)).toBe('0.937 [0.921, 0.951]');
    expect([percent(0.4312), percent(0.0312), percent(1)]).toEqual(['43 %', '3.1 %', '100 %']);
    expect(ranges([3, 1, 0, 2, 7, 9, 8])).toBe('0–3, 7–9');
    expect([cellText(1234), cellText(0.123456), cellText(null)]).toEqual([
      '1\u202f234',
      '0.1235',
      '–',
    ]);
  });

  it('writes CSV that holds every digit and that no spreadsheet runs', () => {
    const table = {
      caption: '',
      columns: ['a,b', 'c'],
      rows: [
        ['=HYPERLINK("x")', 0.1 + 0.2],
        ['+1', -1],
        ['@x', null],
        ['two\nlines', true],
      ],
    };
    expect(csv(table)).toBe(
      '"a,b",c\r\n"\'=HYPERLINK(""x"")",0.30000000000000004\r\n\'+1,-1\r\n\'@x,\r\n"two\nlines",true\r\n',
    );
  });

  it('writes out what cannot be seen', () => {
    expect(visible('a\u202eb\u0000\u200b\n\tü 🌱')).toBe('a⟨U+202E⟩b⟨U+0000⟩⟨U+200B⟩\n\tü 🌱');
  });
});

function area({ cover }: { readonly cover: Float32Array }): number {
  return cover.reduce((a, b) => a + b, 0);
}

function drawnHash(): string {
  const random = new Random(5);
  const raster = new Raster(200, 120);
  const stamps = [makeStamp('disc', 4, true), makeStamp('triangle', 4, false)];
  for (let i = 0; i < 500; i++) {
    const colour = bytesOf(light.series[i % 5]);
    raster.put(stamps[i % 2], random.uniform() * 200, random.uniform() * 120, colour, 0.7, i);
  }
  return createHash('sha256').update(raster.pixels).update(raster.ids).digest('hex');
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const [r, g, b] = bytesOf(colour).map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

describe('apart', () => {
  /** A plot of 126 pixels. */
  const within =
    (bottom: number, top: number) =>
    (value: number): number =>
      (126 * (top - value)) / (top - bottom);

  it('keeps zero, then the far ticks, and none whose label would touch another', () => {
    expect(apart([-0.08, -0.04, 0, 0.5, 1], within(-0.08, 1))).toEqual([0, 1, 0.5]);
    expect(apart([-0.4, -0.2, 0, 0.5, 1], within(-0.4, 1))).toEqual([0, 1, 0.5, -0.4, -0.2]);
    expect(apart([0, 30, 60, 90], within(0, 90))).toEqual([0, 90, 60, 30]);
  });

  it('leaves every two of those kept a label apart', () => {
    const ticks = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { maxLength: 12 });
    fc.assert(
      fc.property(ticks, (given) => {
        const y = within(-1, 1);
        const kept = apart(given, y).map(y);
        for (const [i, a] of kept.entries()) {
          for (const b of kept.slice(i + 1)) expect(Math.abs(a - b)).toBeGreaterThanOrEqual(13);
        }
      }),
    );
  });
});
