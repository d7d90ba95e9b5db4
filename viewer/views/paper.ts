/** A plot as a file: white paper, title above, what was done below, text kept as text. */

import { select } from 'd3';
import { fontFamily } from '../marks.ts';
import type { Size } from '../marks.ts';
import { light } from '../palette.ts';

const edge = 24;
const lineHeight = 16;

/** An SVG of its own; `draw` fills an inner one of `size`. */
export function paper(
  title: string,
  words: readonly string[],
  size: Size,
  draw: (svg: SVGSVGElement, size: Size) => void,
): SVGSVGElement {
  const lines = words.flatMap((sentence) => wrap(sentence, size.width / 6.1));
  const height = edge + 26 + size.height + 14 + lines.length * lineHeight + edge;
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  const root = select(svg)
    .attr('xmlns', namespace)
    .attr('viewBox', `0 0 ${size.width + 2 * edge} ${height}`)
    .attr('width', size.width + 2 * edge)
    .attr('height', height)
    .attr('font-family', fontFamily);
  root.append('title').text(title);
  root.append('rect').attr('width', '100%').attr('height', '100%').attr('fill', light.ground);
  root
    .append('text')
    .attr('x', edge)
    .attr('y', edge + 14)
    .attr('font-size', 17)
    .attr('font-weight', 600)
    .attr('fill', light.ink)
    .text(title);
  const inner = document.createElementNS(namespace, 'svg');
  inner.setAttribute('x', String(edge));
  inner.setAttribute('y', String(edge + 26));
  svg.append(inner);
  draw(inner, size);
  const caption = root
    .append('text')
    .attr('font-size', 11.5)
    .attr('fill', light.muted)
    .attr('transform', `translate(${edge},${edge + 26 + size.height + 14})`);
  caption
    .selectAll('tspan')
    .data(lines)
    .join('tspan')
    .attr('x', 0)
    .attr('y', (_, i) => (i + 0.8) * lineHeight)
    .text((line) => line);
  return svg;
}

function wrap(sentence: string, longest: number): string[] {
  const lines = [''];
  for (const word of sentence.split(' ')) {
    const last = lines.length - 1;
    if (lines[last] !== '' && lines[last].length + word.length >= longest) lines.push(word);
    else lines[last] = lines[last] === '' ? word : `${lines[last]} ${word}`;
  }
  return lines;
}
