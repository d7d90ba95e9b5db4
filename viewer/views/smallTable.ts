/** A few numbers under a plot: names down the side, right-aligned cells. */

import { element } from '../dom.ts';

/** @param rows The first cell of each is its name. */
export function smallTable(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLTableElement {
  const head = columns.map((column, i) =>
    element('th', { scope: 'col', class: i === 0 ? false : 'number' }, column),
  );
  const body = rows.map(([name, ...cells]) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, name),
      ...cells.map((cell) => element('td', { class: 'number' }, cell)),
    ),
  );
  return element(
    'table',
    { class: 'cosines' },
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...body),
  );
}

/**
 * The same where it may be wider than the page: a region of its own that keys can scroll. Its caption stays
 * outside, or it would be cut off with the columns.
 */
export function wideTable(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): HTMLElement {
  const table = smallTable(caption, columns, rows);
  table.caption?.remove();
  table.setAttribute('aria-label', caption);
  const region = { class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption };
  return element(
    'div',
    { class: 'captioned' },
    element('p', { class: 'caption' }, caption),
    element('div', region, table),
  );
}
