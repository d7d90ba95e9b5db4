/**
 * Draws points into a buffer of pixels, and remembers which point each pixel belongs to.
 *
 * Without a graphics card this is faster than WebGL at 100 000 points, the same bits on every
 * machine, and picking is one look-up. Stamps are anti-aliased by 4 × 4 samples.
 */

export type Shape = 'disc' | 'triangle';

export interface Stamp {
  /** Pixels on a side, odd. */
  readonly size: number;
  /** Coverage from 0 to 1, row by row. */
  readonly cover: Float32Array;
}

/** Coverage of a mark of `radius` pixels; a hollow one is a line of `stroke` pixels. */
export function makeStamp(
  shape: Shape,
  radius: number,
  isHollow: boolean,
  stroke: number = 1.4,
): Stamp {
  const size = 2 * Math.ceil(radius + 1) + 1;
  const middle = size / 2;
  const cover = new Float32Array(size * size);
  const depth = shape === 'disc' ? discDepth : triangleDepth;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let hits = 0;
      for (let sample = 0; sample < 16; sample++) {
        const dx = x + ((sample % 4) + 0.5) / 4 - middle;
        const dy = y + (Math.floor(sample / 4) + 0.5) / 4 - middle;
        const inside = depth(dx, dy, radius);
        if (inside >= 0 && (!isHollow || inside <= stroke)) hits++;
      }
      cover[y * size + x] = hits / 16;
    }
  }
  return { size, cover };
}

/** Distance from the edge inwards; negative outside. */
function discDepth(x: number, y: number, radius: number): number {
  return radius - Math.hypot(x, y);
}

/** An upright equilateral triangle of about the disc's area. */
function triangleDepth(x: number, y: number, radius: number): number {
  const inradius = radius * 0.78;
  const slope = Math.sqrt(3) / 2;
  return Math.min(inradius - y, inradius + y / 2 - Math.abs(x) * slope);
}

export class Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  /** 1 + id of the point on top, 0 where there is none. */
  readonly ids: Int32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8ClampedArray(width * height * 4);
    this.ids = new Int32Array(width * height);
  }

  /** Blends `stamp` over what is there, its middle at the pixel of (`x`, `y`); `id` −1 is not picked. */
  put(
    stamp: Stamp,
    x: number,
    y: number,
    colour: readonly [number, number, number],
    alpha: number,
    id: number,
  ): void {
    const left = Math.round(x) - (stamp.size >> 1);
    const top = Math.round(y) - (stamp.size >> 1);
    for (let row = 0; row < stamp.size; row++) {
      const py = top + row;
      if (py < 0 || py >= this.height) continue;
      for (let column = 0; column < stamp.size; column++) {
        const cover = stamp.cover[row * stamp.size + column];
        const px = left + column;
        if (cover === 0 || px < 0 || px >= this.width) continue;
        this.#blend(py * this.width + px, colour, cover * alpha);
        if (id >= 0 && cover > 0.3) this.ids[py * this.width + px] = id + 1;
      }
    }
  }

  /** The point at a pixel, or the nearest within `reach` pixels; −1 for none. */
  pick(x: number, y: number, reach: number): number {
    let best = -1;
    let bestDistance = reach * reach + 1;
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const px = Math.round(x) + dx;
        const py = Math.round(y) + dy;
        if (px < 0 || py < 0 || px >= this.width || py >= this.height) continue;
        const id = this.ids[py * this.width + px];
        const distance = dx * dx + dy * dy;
        if (id > 0 && distance < bestDistance) {
          best = id - 1;
          bestDistance = distance;
        }
      }
    }
    return best;
  }

  /** Source over destination, neither premultiplied. */
  #blend(pixel: number, colour: readonly [number, number, number], alpha: number): void {
    const at = pixel * 4;
    const below = this.pixels[at + 3] / 255;
    const kept = below * (1 - alpha);
    const whole = alpha + kept;
    for (let channel = 0; channel < 3; channel++) {
      this.pixels[at + channel] =
        (colour[channel] * alpha + this.pixels[at + channel] * kept) / whole;
    }
    this.pixels[at + 3] = whole * 255;
  }
}
