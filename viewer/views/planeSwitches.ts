/** How the plane is drawn: an arrow for each row or class, and in which basis. */

import type { Projection } from '../../src/contract/report.ts';
import { choice, element, segments } from '../dom.ts';
import { basisKey, split } from '../model.ts';
import type { Scene } from '../model.ts';
import { arrowKinds } from '../state.ts';
import type { ArrowKind, State } from '../state.ts';

const arrowWords: Readonly<Record<ArrowKind, string>> = { rows: 'each row', means: 'class means' };

export class PlaneSwitches {
  readonly element: HTMLElement = element('div', { class: 'switches' });
  readonly #act: (patch: Partial<State>) => void;
  readonly #arrows = segments(
    'Arrows',
    arrowKinds.map((value) => [value, arrowWords[value]] as const),
    (value) => this.#act({ arrows: arrowKinds.find((known) => known === value) ?? 'rows' }),
  );
  readonly #bases = element('div');
  /** What the choice of planes was made from: made anew it would lose the focus. */
  #chosen = '';

  constructor(act: (patch: Partial<State>) => void) {
    this.#act = act;
    this.element.append(this.#arrows.element, this.#bases);
  }

  /** All planes that hold both checkpoints are offered: in one of them several pairs can be compared. */
  update({ bases, projection, state }: Scene): void {
    this.#arrows.choose(state.arrows);
    const options = bases.map((plane) => [basisKey(plane), basisWords(plane)] as const);
    const chosen = projection === null ? '' : basisKey(projection);
    const key = [chosen, ...options.map(([basis]) => basis)].join(' ');
    if (key === this.#chosen) return;
    this.#chosen = key;
    const take = (basis: string): void => this.#act({ basis, row: null });
    this.#bases.replaceChildren(
      ...(options.length > 1 ? [choice('Plane of', options, chosen, take)] : []),
    );
  }
}

function basisWords({ pair, basis }: Projection): string {
  return `${split(pair).join(' + ')}${basis === 'temporal' ? ', temporal' : ''}`;
}
