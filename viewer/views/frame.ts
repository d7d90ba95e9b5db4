/**
 * What every view has around its plot: a question as title, a sentence, the plot or its table,
 * a read-out, a line on method, and ways to take the numbers away.
 *
 * The plot is one stop of the Tab key; inside it arrow keys move a data cursor, whose place is told
 * in a live region.
 */

import { cellText, csv } from '../format.ts';
import type { Table } from '../format.ts';
import { button, element } from '../dom.ts';
import type { Problem } from '../../src/contract/api.ts';
import type { ViewName } from '../state.ts';

export interface FrameActions {
  readonly toggleTable: (name: ViewName) => void;
  /** Name of the run and what the picture is of, for file names and metadata. */
  readonly describe: () => { readonly stem: string; readonly provenance: object };
}

/** What a view can hand over for a file. */
export interface Exporter {
  /** The plot on white paper, legend and caption inside; null where there is none. */
  readonly svg: () => SVGSVGElement | null;
  readonly table: () => Table | null;
}

/** Rows of a table that the page shows; the CSV has all. */
const shownRows = 400;
const liveDelayMs = 300;

export class Frame {
  readonly name: ViewName;
  readonly element: HTMLElement;
  readonly plot: HTMLDivElement;
  readonly extra: HTMLDivElement = element('div', { class: 'extra' });
  readonly readout: HTMLDivElement = element('div', { class: 'readout' });
  readonly #title: HTMLHeadingElement;
  readonly #summary: HTMLParagraphElement;
  readonly #method = element('p', { class: 'method' });
  readonly #live = element('p', { class: 'unseen', 'aria-live': 'polite' });
  readonly #table: HTMLDivElement;
  readonly #message = element('div', { class: 'message', hidden: true });
  readonly #tableButton: HTMLButtonElement;
  #liveTimer = 0;

  constructor(name: ViewName, actions: FrameActions, exporter: Exporter) {
    this.name = name;
    this.#title = element('h2', { id: `${name}-title` });
    this.#summary = element('p', { class: 'summary', id: `${name}-summary` });
    this.plot = element('div', {
      class: 'plot',
      tabindex: 0,
      role: 'application',
      'aria-roledescription': 'plot',
      'aria-labelledby': `${name}-title`,
      'aria-describedby': `${name}-summary`,
    });
    this.#table = element('div', {
      class: 'scroll',
      hidden: true,
      tabindex: 0,
      role: 'region',
      'aria-labelledby': `${name}-title`,
    });
    this.#tableButton = button(
      { 'aria-pressed': 'false', title: 'Show the numbers as a table (g)' },
      () => actions.toggleTable(name),
      'Table',
    );
    const tools = element(
      'div',
      { class: 'tools', role: 'group', 'aria-labelledby': `${name}-title` },
      this.#tableButton,
      button({ title: 'Save the plot as SVG' }, () => saveSvg(actions, exporter), 'SVG'),
      button({ title: 'Save the numbers as CSV' }, () => saveCsv(actions, exporter), 'CSV'),
    );
    this.element = element(
      'section',
      { class: `card frame ${name}`, id: name, 'aria-labelledby': `${name}-title` },
      element('header', {}, this.#title, tools),
      this.#summary,
      this.extra,
      this.#message,
      this.plot,
      this.#table,
      this.readout,
      this.#live,
      this.#method,
    );
  }

  /** Sets the words around the plot. */
  say(title: string, sentences: readonly string[], method: string): void {
    setText(this.#title, title);
    setText(this.#summary, sentences.join(' '));
    setText(this.#method, method);
  }

  /** Tells the data cursor's place to those who listen, not more often than they can hear. */
  announce(words: string): void {
    clearTimeout(this.#liveTimer);
    this.#liveTimer = window.setTimeout(() => setText(this.#live, words), liveDelayMs);
  }

  /** Shows the plot, or `table` in its place. */
  show(table: Table | null): void {
    this.#message.hidden = true;
    this.#tableButton.setAttribute('aria-pressed', String(table !== null));
    this.plot.hidden = table !== null;
    this.#table.hidden = table === null;
    if (table !== null) this.#table.replaceChildren(tableElement(table));
    else this.#table.replaceChildren();
  }

  /** Shows why there is no plot, in its place. */
  refuse(problem: Pick<Problem, 'title' | 'where' | 'fix'>): void {
    this.plot.hidden = true;
    this.#table.hidden = true;
    this.readout.replaceChildren();
    this.#message.hidden = false;
    this.#message.replaceChildren(...problemNodes(problem));
  }
}

/** What happened, where, and what to do, as on the command line. */
export function problemNodes({
  title,
  where,
  fix,
}: Pick<Problem, 'title' | 'where' | 'fix'>): HTMLElement[] {
  const nodes = [element('p', { class: 'what' }, title)];
  if (where !== null) nodes.push(element('p', { class: 'where' }, where));
  if (fix !== null) {
    nodes.push(element('p', { class: 'fix' }, 'What to do: ', element('code', {}, fix)));
  }
  return nodes;
}

function tableElement(table: Table): HTMLElement {
  const shown = table.rows.slice(0, shownRows);
  const more = table.rows.length > shown.length;
  const caption = more
    ? `${table.caption} First ${shown.length} of ${table.rows.length} rows; the CSV has all.`
    : table.caption;
  return element(
    'table',
    {},
    element('caption', {}, caption),
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        ...table.columns.map((column, i) => {
          const isNumber = typeof table.rows[0]?.[i] === 'number';
          return element('th', { scope: 'col', class: isNumber ? 'number' : false }, column);
        }),
      ),
    ),
    element(
      'tbody',
      {},
      ...shown.map((row) =>
        element(
          'tr',
          {},
          ...row.map((cell) =>
            element('td', { class: typeof cell === 'number' ? 'number' : false }, cellText(cell)),
          ),
        ),
      ),
    ),
  );
}

function saveCsv(actions: FrameActions, exporter: Exporter): void {
  const table = exporter.table();
  if (table !== null) save(`${actions.describe().stem}.csv`, 'text/csv;charset=utf-8', csv(table));
}

function saveSvg(actions: FrameActions, exporter: Exporter): void {
  const svg = exporter.svg();
  if (svg === null) return;
  const { stem, provenance } = actions.describe();
  const metadata = document.createElementNS('http://www.w3.org/2000/svg', 'metadata');
  metadata.textContent = JSON.stringify(provenance);
  svg.prepend(metadata);
  save(`${stem}.svg`, 'image/svg+xml', new XMLSerializer().serializeToString(svg));
}

function save(name: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = element('a', { href: url, download: name });
  link.click();
  // The browser reads the blob after this turn.
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function setText(node: Node, words: string): void {
  if (node.textContent !== words) node.textContent = words;
}
