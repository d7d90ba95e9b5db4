/** How a checkpoint's line looks and what it stands for, the same in every view. */

import { select } from 'd3';
import type { Report } from '../../src/contract/report.ts';
import { element } from '../dom.ts';
import type { Size } from '../marks.ts';
import { arrow, split } from '../model.ts';
import { light, seriesStyle } from '../palette.ts';
import type { Palette, SeriesStyle } from '../palette.ts';
import { paper } from './paper.ts';
import { drawKey } from './shifts.ts';

const svgNamespace = 'http://www.w3.org/2000/svg';

/** The line of a checkpoint, by its place in the run. */
export function styleOf({ run }: Report, name: string, palette: Palette): SeriesStyle {
  const index = run.checkpoints.findIndex((of) => of.name === name);
  return seriesStyle(palette, Math.max(0, index), run.checkpoints[index]?.is_twin ?? false);
}

/** The line of a pair: that of the checkpoint it leads to. */
export function stylesOf(
  report: Report,
  pairs: readonly { readonly pair: string }[],
  palette: Palette,
): SeriesStyle[] {
  return pairs.map(({ pair }) => styleOf(report, split(pair)[1], palette));
}

/** A short stretch of the line, to recognise it by. */
export function swatch({ colour, dash }: SeriesStyle): SVGSVGElement {
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('class', 'swatch');
  svg.setAttribute('aria-hidden', 'true');
  select(svg)
    .attr('width', 26)
    .attr('height', 10)
    .append('line')
    .attr('x1', 1)
    .attr('x2', 25)
    .attr('y1', 5)
    .attr('y2', 5)
    .attr('stroke', colour)
    .attr('stroke-width', 3)
    .attr('stroke-dasharray', dash === '' ? null : dash);
  return svg;
}

/** One key of the legend for each pair. */
export function pairKeys(
  pairs: readonly { readonly pair: string }[],
  styles: readonly SeriesStyle[],
  control: string | null = null,
): HTMLElement[] {
  return pairs.map(({ pair }, i) => {
    const role = pair === control ? 'control: ' : '';
    return element('span', { class: 'key' }, swatch(styles[i]), role + arrow(pair));
  });
}

/** A plot as a file, with the keys of its pairs above it; `draw` fills what they leave of `size`. */
export function keyedPaper(
  { title, words, size }: { title: string; words: readonly string[]; size: Size },
  key: Parameters<typeof drawKey>[1],
  draw: (svg: SVGSVGElement, room: Size) => void,
): SVGSVGElement {
  return paper(title, words, size, (svg) => {
    const top = drawKey(svg, key, size, light);
    const inner = document.createElementNS(svgNamespace, 'svg');
    inner.setAttribute('y', String(top));
    svg.append(inner);
    draw(inner, { width: size.width, height: size.height - top });
  });
}
