/**
 * Colours for numbers, and the ink that can be read on them.
 *
 * The ramps run in CIELAB between the palette's anchors. Lightness alone tells the amount, so that
 * they read the same without colour and under every kind of colour sight; never a rainbow.
 */

import { interpolateLab, piecewise, rgb } from 'd3';
import type { Palette } from './palette.ts';

export type Ramp = (value: number) => string;

/** [0, bound] → from the palette's nothing to its most. */
export function amounts({ sequential }: Palette, bound: number): Ramp {
  const colour = piecewise(interpolateLab, [...sequential]);
  return (value) => colour(clamp(value / bound));
}

/** [−bound, bound] → nothing in the middle. */
export function signed({ diverging }: Palette, bound: number): Ramp {
  const colour = piecewise(interpolateLab, [...diverging]);
  return (value) => colour(clamp((value / bound + 1) / 2));
}

/** Black or white, whichever stands out more on `ground`: at least 4.58:1. */
export function inkOn(ground: string): string {
  return luminance(ground) > 0.179 ? '#000000' : '#ffffff';
}

/** WCAG 2.2, relative luminance. */
function luminance(colour: string): number {
  const { r, g, b } = rgb(colour);
  const [red, green, blue] = [r, g, b].map((byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
