/** Makes elements. Text is always text; there is no way to hand over markup, a style or a handler. */

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
type Child = Node | string | null;

/** An element with attributes (`true` sets an empty one, `false` and `undefined` none) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** A button that does `act`. */
export function button(
  attributes: Attributes,
  act: () => void,
  ...children: readonly Child[]
): HTMLButtonElement {
  const node = element('button', { type: 'button', ...attributes }, ...children);
  node.addEventListener('click', act);
  return node;
}

/** Whether a hand moved the pointer; a browser also says so when the page moves under it. */
export function isMoved({ movementX, movementY }: PointerEvent): boolean {
  return movementX !== 0 || movementY !== 0;
}

/** A labelled choice; `options` are [value, words]. */
export function choice(
  label: string,
  options: readonly (readonly [string, string])[],
  chosen: string,
  act: (value: string) => void,
): HTMLLabelElement {
  const select = element(
    'select',
    { name: label },
    ...options.map(([value, words]) =>
      element('option', { value, selected: value === chosen }, words),
    ),
  );
  select.addEventListener('change', () => act(select.value));
  return element('label', { class: 'choice' }, element('span', {}, label), select);
}

/** One of a few words, all in sight. */
export interface Segments {
  readonly element: HTMLElement;
  readonly choose: (value: string) => void;
}

/** Buttons of which one is pressed; `options` are [value, words]. */
export function segments(
  label: string,
  options: readonly (readonly [string, string])[],
  act: (value: string) => void,
): Segments {
  const buttons = options.map(([value, words]) =>
    button({ 'data-value': value, 'aria-pressed': 'false' }, () => act(value), words),
  );
  return {
    element: element(
      'div',
      { class: 'segments', role: 'group', 'aria-label': label },
      element('span', { class: 'label' }, label),
      element('span', { class: 'row' }, ...buttons),
    ),
    choose: (chosen) => {
      for (const node of buttons) {
        node.setAttribute('aria-pressed', String(node.dataset['value'] === chosen));
      }
    },
  };
}
