/**
 * Every key of the viewer, once: the same table moves the picture and fills the help sheet.
 *
 * Keys without a modifier work only while nothing that takes text or an answer has the focus, and
 * can be switched off (WCAG 2.1.4).
 */

export interface Shortcut {
  /** As `KeyboardEvent.key` gives it. */
  readonly key: string;
  /** As the help sheet writes it. */
  readonly shown: string;
  readonly words: string;
  readonly act: () => void;
  /** Where given, the key is held and this is its release. */
  readonly release?: () => void;
}

/** Keys inside a plot, which the views handle themselves; for the help sheet. */
export const plotKeys: readonly (readonly [string, string])[] = [
  ['Tab', 'into a plot, and out of it again'],
  ['← → ↑ ↓', 'move the data cursor'],
  ['Home / End', 'first and last layer or row'],
  ['Enter', 'take the cursor’s layer, or pin its row'],
];

/** Whether `event` may be a shortcut: no modifier, and no control that wants the key itself. */
function isShortcut(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  const target = event.target instanceof Element ? event.target : null;
  // A dialog closes on Escape by itself.
  if (target?.closest('dialog') != null) return false;
  if (target?.closest('input, select, textarea, [contenteditable]') != null) {
    return event.key === 'Escape';
  }
  // Space presses the button that has the focus.
  return event.key !== ' ' || target?.closest('button, a, summary') == null;
}

/** Listens to `shortcuts` while `isOn` says so. */
export function listenToKeys(shortcuts: readonly Shortcut[], isOn: () => boolean): void {
  const find = (event: KeyboardEvent): Shortcut | undefined =>
    shortcuts.find(({ key }) => key === event.key);
  addEventListener('keydown', (event) => {
    const shortcut = find(event);
    if (shortcut === undefined || !isShortcut(event)) return;
    if (!isOn() && shortcut.key.length === 1) return;
    event.preventDefault();
    shortcut.act();
  });
  addEventListener('keyup', (event) => find(event)?.release?.());
}
