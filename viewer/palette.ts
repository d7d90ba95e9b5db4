/**
 * Which colour is what, in both themes.
 *
 * Checkpoints take the five colours in the order of the report. Every pair is at least 21 ΔE2000
 * apart under normal, protan, deutan and tritan sight, and every colour at least 3:1 on its ground;
 * colour is never the only channel, lines also differ in dash and carry their name.
 */

export interface Palette {
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly ground: string;
  readonly band: string;
  readonly accent: string;
  /** What is no checkpoint of its own: twins with random weights, rows outside a filter. */
  readonly neutral: string;
  readonly series: readonly string[];
  /** From nothing to much: lightness falls (or rises, on dark ground) all the way. */
  readonly sequential: readonly string[];
  /** From the most negative over nothing to the most positive: orange and violet. */
  readonly diverging: readonly string[];
}

export const light: Palette = {
  ink: '#1a1d21',
  muted: '#59606a',
  grid: '#e4e6e9',
  ground: '#ffffff',
  band: '#8b93a0',
  accent: '#2b50c8',
  neutral: '#757d88',
  series: ['#732444', '#649527', '#ad6ff2', '#29460b', '#4125d5'],
  sequential: ['#f3f5f8', '#bccbe6', '#7f9bd0', '#4565a8', '#152350'],
  diverging: ['#7a3a04', '#d98a35', '#f5dcbc', '#f4f5f7', '#dcd6ee', '#8f7cc4', '#3b1f72'],
};

export const dark: Palette = {
  ink: '#e9ebee',
  muted: '#a0a8b3',
  grid: '#272d35',
  ground: '#0f1216',
  band: '#8b93a0',
  accent: '#9db6ff',
  neutral: '#8b94a0',
  series: ['#abb75e', '#912dd4', '#69d6fd', '#1c775b', '#ee729a'],
  sequential: ['#181d25', '#23385f', '#3a62a8', '#78a3e0', '#e4effd'],
  diverging: ['#ffc98a', '#c87a2c', '#57371b', '#191e26', '#382f5e', '#8672c8', '#d9ccff'],
};

const dashes = ['', '7 3', '2 3', '9 3 2 3', '14 3'];

export interface SeriesStyle {
  readonly colour: string;
  /** `stroke-dasharray`; empty for a solid line. */
  readonly dash: string;
}

/** How the checkpoint at `index` is drawn; beyond five, colours come again with another dash. */
export function seriesStyle(palette: Palette, index: number, isTwin: boolean): SeriesStyle {
  if (isTwin) return { colour: palette.neutral, dash: '1 4' };
  const { series } = palette;
  const round = Math.floor(index / series.length);
  return { colour: series[index % series.length], dash: dashes[(index + round) % dashes.length] };
}

/** `#rrggbb` → its three bytes. */
export function bytesOf(colour: string): readonly [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
