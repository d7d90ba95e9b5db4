/** What the map's colours and marks mean: one scale with its ends, and the keys that are in use. */

import { fixed } from '../format.ts';
import { text } from '../marks.ts';
import type { Group } from '../marks.ts';
import { fewGroups, maskWords } from '../maps.ts';
import type { MapPlot } from '../maps.ts';
import type { Palette } from '../palette.ts';
import type { Ramp } from '../ramps.ts';
import { coloured, corner, strike } from './cellMarks.ts';

/** Width of a letter, about. */
const letter = 6.4;
/** From here on the keys stand beside the scale. */
const wide = 640;

export function legendHeight(room: number): number {
  return room < wide ? 86 : 46;
}

/** Draws the scale, from end to end, and the keys. */
export function drawLegend(
  group: Group,
  plot: MapPlot,
  room: number,
  ramp: Ramp,
  palette: Palette,
): void {
  const isSigned = plot.measure === 'difference';
  const width = 220;
  const unit = '‖Δ‖ / ‖h before‖';
  const whole = `${isSigned ? 'target − benign, of ' : ''}${unit}: one scale for all panels`;
  const short =
    room < 340 ? 'target − benign, one scale' : `target − benign, of ${unit}, one scale`;
  const name = isSigned && room < wide ? short : whole;
  text(group, name, { x: 2, y: 12 }, palette.muted);
  const steps = 44;
  for (let i = 0; i < steps; i++) {
    const share = (i + 0.5) / steps;
    group
      .append('rect')
      .attr('x', 2 + (i * width) / steps)
      .attr('y', 18)
      .attr('width', width / steps + 0.5)
      .attr('height', 9)
      .attr('fill', ramp(isSigned ? (2 * share - 1) * plot.bound : share * plot.bound));
  }
  const ends = isSigned ? [-plot.bound, 0, plot.bound] : [0, plot.bound / 2, plot.bound];
  for (const [i, value] of ends.entries()) {
    const anchor = (['start', 'middle', 'end'] as const)[i];
    const words = value === 0 ? '0' : fixed(value, plot.bound < 0.1 ? 3 : 2);
    text(group, words, { x: 2 + (i * width) / 2, y: 40, anchor }, palette.muted);
  }
  drawKeys(group, plot, room, Math.max(width, name.length * letter) + 30, palette);
}

/** What struck cells and corners mean, where there are any. */
function drawKeys(
  group: Group,
  plot: MapPlot,
  room: number,
  after: number,
  palette: Palette,
): void {
  const cells = plot.bands.flatMap(({ map }) => map.cells);
  const keys: { words: string; draw: (at: Group) => void }[] = [];
  const box = { x: 0, y: 0, width: 22, height: 14 };
  if (plot.mask !== 'none') {
    keys.push({
      words: `not significant (${maskWords[plot.mask]})`,
      draw: (at) => {
        coloured(at, box, palette.ground, palette.grid);
        strike(at, box, palette);
      },
    });
  }
  if (cells.some((cell) => cell.n_groups < fewGroups || cell.n_benign_groups < fewGroups)) {
    keys.push({
      words: `fewer than ${fewGroups} groups on a side`,
      draw: (at) => {
        coloured(at, box, palette.ground, palette.grid);
        corner(at, box, palette.ink);
      },
    });
  }
  const isNarrow = room < wide;
  let x = isNarrow ? 2 : after;
  for (const [i, { words, draw }] of keys.entries()) {
    const y = isNarrow ? 50 + 19 * i : 15;
    const at: Group = group.append('g').attr('transform', `translate(${x},${y})`);
    draw(at);
    text(at, words, { x: 30, y: 11 }, palette.muted);
    if (!isNarrow) x += 30 + words.length * letter + 24;
  }
}
