/** The bar that says through what the page is seen: layer, pair, position, and which rows. */

import { button, choice, element } from '../dom.ts';
import { arrow } from '../model.ts';
import type { Scene } from '../model.ts';
import { harmFilters, triggerFilters } from '../state.ts';
import type { State } from '../state.ts';

export interface LensActions {
  readonly act: (patch: Partial<State>, isPassing?: boolean) => void;
  readonly step: (by: number) => void;
  readonly play: () => void;
  readonly swap: () => void;
}

export class Lens {
  readonly element: HTMLElement = element('div', {
    class: 'lens',
    role: 'group',
    'aria-label': 'What is shown',
  });
  readonly #actions: LensActions;
  readonly #slider: HTMLInputElement;
  readonly #layer = element('output', { class: 'layer-now' });
  readonly #play: HTMLButtonElement;
  readonly #choices = element('div', { class: 'choices' });
  #layers: readonly number[] = [];
  #drawn = '';

  constructor(actions: LensActions) {
    this.#actions = actions;
    this.#slider = element('input', { type: 'range', min: 0, step: 1, 'aria-label': 'Layer' });
    this.#slider.addEventListener('input', () => this.#slide(true));
    this.#slider.addEventListener('change', () => this.#slide(false));
    this.#play = button(
      { class: 'icon', 'aria-label': 'Play through the layers', title: 'Play (Space)' },
      actions.play,
      '▶',
    );
    this.element.append(
      element(
        'div',
        { class: 'layer', role: 'group', 'aria-label': 'Layer' },
        this.#layer,
        button(
          { class: 'icon', 'aria-label': 'Previous layer', title: 'Previous layer ([)' },
          () => actions.step(-1),
          '‹',
        ),
        this.#slider,
        button(
          { class: 'icon', 'aria-label': 'Next layer', title: 'Next layer (])' },
          () => actions.step(1),
          '›',
        ),
        this.#play,
      ),
      this.#choices,
    );
  }

  update(
    scene: Scene,
    isPlaying: boolean,
    hasFlags: { triggered: boolean; harmful: boolean },
  ): void {
    this.#layers = scene.layers;
    this.#slider.max = String(Math.max(0, scene.layers.length - 1));
    this.#slider.value = String(Math.max(0, scene.layers.indexOf(scene.layer)));
    this.#slider.setAttribute('aria-valuetext', `layer ${scene.layer}`);
    this.#layer.textContent = `Layer ${scene.layer}`;
    this.#play.textContent = isPlaying ? '❚❚' : '▶';
    this.#play.setAttribute('aria-label', isPlaying ? 'Pause' : 'Play through the layers');
    this.#drawChoices(scene, hasFlags);
  }

  #slide(isPassing: boolean): void {
    const layer = this.#layers[Number(this.#slider.value)];
    this.#actions.act({ layer }, isPassing);
  }

  /** Drawn again only when something changed, so that an open list is not closed. */
  #drawChoices(scene: Scene, hasFlags: { triggered: boolean; harmful: boolean }): void {
    const { trigger, harm } = scene.state;
    const { pairs: all, positions } = scene;
    const chosen = [scene.pair, scene.position, trigger, harm];
    const key = [...chosen, hasFlags.triggered, hasFlags.harmful, all.join(), positions.join()];
    if (key.join('\0') === this.#drawn) return;
    this.#drawn = key.join('\0');
    const focused = document.activeElement?.getAttribute('name');
    const { act, swap } = this.#actions;
    const nodes: HTMLElement[] = [];
    if (scene.pairs.length > 0) {
      const pairs = scene.pairs.map((pair): [string, string] => [pair, arrow(pair)]);
      nodes.push(
        choice('Pair', pairs, scene.pair, (pair) => act({ pair })),
        button(
          { class: 'icon', 'aria-label': 'Swap before and after', title: 'Swap (x)' },
          swap,
          '⇄',
        ),
      );
    }
    if (scene.positions.length > 1) {
      const take = (position: string): void => act({ position, row: null });
      nodes.push(choice('Shifts at', plain(scene.positions), scene.position, take));
    }
    if (hasFlags.triggered) {
      const take = (value: string): void =>
        act({ trigger: triggerFilters.find((known) => known === value) ?? 'all' });
      nodes.push(choice('Trigger', plain(triggerFilters), trigger, take));
    }
    if (hasFlags.harmful) {
      const take = (value: string): void =>
        act({ harm: harmFilters.find((known) => known === value) ?? 'all' });
      nodes.push(choice('Requests', plain(harmFilters), harm, take));
    }
    this.#choices.replaceChildren(...nodes);
    if (focused != null) {
      [...this.#choices.querySelectorAll('select')].find(({ name }) => name === focused)?.focus();
    }
  }
}

/** Options whose words are their values. */
function plain(values: readonly string[]): [string, string][] {
  return values.map((value) => [value, value]);
}
