/** What each key of the page does; the plots' own keys are in their views. */

import type { Shortcut } from './keys.ts';

/** What the page can do at the press of a key. */
export interface PageActions {
  readonly help: () => void;
  readonly step: (by: number) => void;
  readonly play: () => void;
  readonly turnTrigger: () => void;
  readonly swap: () => void;
  /** Rows as they were before, while it is held. */
  readonly hold: (isBefore: boolean) => void;
  readonly turnArrows: () => void;
  readonly turnMeasure: () => void;
  readonly turnMask: () => void;
  readonly turnCosines: () => void;
  readonly toggleVeil: () => void;
  readonly toggleTable: () => void;
  readonly copy: () => void;
  readonly clear: () => void;
}

export function shortcutsOf(page: PageActions): Shortcut[] {
  const key = (at: string, words: string, act: () => void, shown: string = at): Shortcut => ({
    key: at,
    shown,
    words,
    act,
  });
  return [
    key('?', 'this sheet', page.help),
    key('[', 'previous layer', () => page.step(-1)),
    key(']', 'next layer', () => page.step(1)),
    key('{', 'five layers back', () => page.step(-5)),
    key('}', 'five layers on', () => page.step(5)),
    key(' ', 'play through the layers, or pause', page.play, 'Space'),
    key('t', 'all, triggered, untriggered rows', page.turnTrigger),
    key('x', 'swap before and after', page.swap),
    {
      ...key('b', 'held: rows as they were before', () => page.hold(true)),
      release: () => page.hold(false),
    },
    key('a', 'an arrow for each row, or for each class', page.turnArrows),
    key('d', 'map of sizes, or of differences', page.turnMeasure),
    key('m', 'map: another correction, or none', page.turnMask),
    key('w', 'cosines plain, or whitened', page.turnCosines),
    key('v', 'reveal or hide the pinned prompt', page.toggleVeil),
    key('g', 'plot or table, where the focus is', page.toggleTable),
    key('c', 'copy a link to this picture', page.copy),
    key('Escape', 'stop, unpin', page.clear, 'Esc'),
  ];
}
