/**
 * One cursor for pointer and keys, the same in every plot.
 *
 * A pointer that lies still does not take the cursor from the keys: a browser says "pointer moved" also
 * when the page moves under it, and "pointer left" when it scrolls away.
 */

import { pointer } from 'd3';
import { isMoved } from '../dom.ts';

export interface Following<Place> {
  /** What lies there, in pixels of the plot. */
  readonly under: (x: number, y: number) => Place | null;
  /** Puts the cursor somewhere, or nowhere. */
  readonly moveTo: (place: Place | null) => void;
  readonly click: (place: Place | null) => void;
  /** False for a key that means nothing here. */
  readonly key: (key: string) => boolean;
}

/** Lets the cursor of a plot follow pointer and keys. */
export function followCursor<Place>(
  plot: HTMLElement,
  { under, moveTo, click, key }: Following<Place>,
): void {
  let isByKey = false;
  const at = (event: PointerEvent): Place | null => {
    const [x, y] = pointer(event, plot);
    return under(x, y);
  };
  plot.addEventListener('pointermove', (event) => {
    if (!isMoved(event)) return;
    isByKey = false;
    moveTo(at(event));
  });
  plot.addEventListener('pointerleave', () => {
    if (!isByKey) moveTo(null);
  });
  plot.addEventListener('blur', () => moveTo(null));
  plot.addEventListener('click', (event) => click(at(event)));
  plot.addEventListener('keydown', (event) => {
    if (!key(event.key)) return;
    isByKey = true;
    event.preventDefault();
  });
}
