/** The sheet of keys, made from the table that the keys are taken from. */

import { button, element } from '../dom.ts';
import { plotKeys } from '../keys.ts';
import type { Shortcut } from '../keys.ts';

export interface Help {
  readonly element: HTMLDialogElement;
  readonly toggle: () => void;
}

export function helpSheet(
  shortcuts: readonly Shortcut[],
  isOn: boolean,
  setOn: (isOn: boolean) => void,
): Help {
  const rows = [...shortcuts.map(({ shown, words }) => [shown, words] as const), ...plotKeys].map(
    ([keys, words]) =>
      element('tr', {}, element('td', {}, element('kbd', {}, keys)), element('td', {}, words)),
  );
  const box = element('input', { type: 'checkbox', checked: isOn });
  box.addEventListener('change', () => setOn(box.checked));
  const dialog = element(
    'dialog',
    { 'aria-labelledby': 'help-title' },
    element('h2', { id: 'help-title' }, 'Keys'),
    element('table', {}, element('tbody', {}, ...rows)),
    element('label', { class: 'check' }, box, 'Keys without a modifier work'),
    button({}, () => dialog.close(), 'Close'),
  );
  return {
    element: dialog,
    toggle: () => (dialog.open ? dialog.close() : dialog.showModal()),
  };
}
