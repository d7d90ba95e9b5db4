/**
 * The text of one prompt, behind a veil.
 *
 * Prompts of this field are harmful by construction: the text is fetched when the reader asks for it,
 * shown as text and nothing else, and forgotten when it is hidden.
 */

import { button, element } from '../dom.ts';
import { visible } from '../format.ts';

export interface VeilActions {
  readonly toggle: () => void;
  readonly unpin: () => void;
}

/** The pinned row's `id`, with its `text` once it is revealed and null before. */
export function veil(id: string, text: string | null, { toggle, unpin }: VeilActions): HTMLElement {
  const isOpen = text !== null;
  const focused = document.activeElement?.hasAttribute('data-veil') ?? false;
  const lift = button(
    { 'data-veil': true, 'aria-expanded': String(isOpen) },
    toggle,
    isOpen ? 'Hide the text' : 'Reveal the text',
  );
  if (focused) queueMicrotask(() => lift.focus());
  const warning = 'Prompts may be harmful to read; the text stays here only until you hide it.';
  return element(
    'div',
    { class: 'veil' },
    element(
      'div',
      { class: 'veil-head' },
      element('span', {}, `Pinned: ${visible(id)}`),
      lift,
      button({}, unpin, 'Unpin'),
    ),
    isOpen
      ? element('pre', { class: 'prompt', tabindex: 0 }, visible(text))
      : element('p', { class: 'veiled' }, warning),
  );
}
