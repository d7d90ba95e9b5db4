/**
 * What the study found, in its own words, with what each finding does not show.
 *
 * Nothing is computed here: the report says it, and each piece of evidence is a link to its picture.
 */

import { button, element } from '../dom.ts';
import { evidenceState } from '../model.ts';
import type { Scene } from '../model.ts';
import type { State } from '../state.ts';

/** The panel of findings; `go` changes the state and brings a view into sight. */
export function findingsPanel(
  scene: Scene,
  go: (patch: Partial<State>, view: string) => void,
): HTMLElement {
  const { findings } = scene.report;
  const items = findings.map(({ title, text, caveat, evidence }) =>
    element(
      'li',
      {},
      element('h3', {}, title),
      element('p', {}, text),
      caveat === ''
        ? null
        : element('p', { class: 'caveat' }, element('strong', {}, 'But: '), caveat),
      element(
        'div',
        { class: 'evidence' },
        ...evidence.map((id) => {
          const link = evidenceState(scene.report, id);
          if (link === null) return element('span', { class: 'lost' }, `${id} (not in the report)`);
          return button({}, () => go(link.patch, link.view), link.words);
        }),
      ),
    ),
  );
  const body =
    items.length === 0
      ? element('p', { class: 'summary' }, 'The report draws no conclusion.')
      : element('ol', {}, ...items);
  return element(
    'section',
    { class: 'card findings', 'aria-labelledby': 'findings-title' },
    element('h2', { id: 'findings-title' }, 'What was found'),
    body,
  );
}
