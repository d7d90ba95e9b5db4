/**
 * What is the reader looking at?
 *
 * One object, mirrored in the address: `/r/RUN?q=…&L=…` carries only what differs from the default,
 * in a fixed order, so that a link restores the picture. Keys that this version does not know are
 * kept; values that cannot be read are left out and named.
 */

export interface State {
  /** Key of the run; empty for the list of runs. */
  readonly run: string;
  /** Key of the probe question; empty for the first. */
  readonly question: string;
  /** Null for the last layer. */
  readonly layer: number | null;
  /** `before..after`; empty for the first pair of the report. */
  readonly pair: string;
  /** Where planes and shifts are read; empty for the question's own position. */
  readonly position: string;
  readonly trigger: TriggerFilter;
  readonly harm: HarmFilter;
  /** The pinned row of the plane. */
  readonly row: number | null;
  /** The pair whose components span the plane; empty for the pair that is shown. */
  readonly basis: string;
  readonly arrows: ArrowKind;
  readonly measure: MapMeasure;
  readonly mask: MapMask;
  /** Which rows the map is of, as a family's key; empty for the latest. */
  readonly rows: string;
  readonly cosines: CosineKind;
  /** Views that are shown as tables. */
  readonly tables: readonly ViewName[];
  readonly theme: Theme;
  /** Keys of the address that this version does not know, as they came. */
  readonly unknown: readonly (readonly [string, string])[];
}

export const triggerFilters = ['all', 'triggered', 'untriggered'] as const;
export const harmFilters = ['all', 'harmful', 'harmless'] as const;
export const themes = ['auto', 'light', 'dark'] as const;
/** An arrow for each row, or only the mean of each class. */
export const arrowKinds = ['rows', 'means'] as const;
export const mapMeasures = ['size', 'difference'] as const;
/** What is left out of the map: nothing, or what is not significant after a correction. */
export const mapMasks = ['max-t', 'fdr', 'none'] as const;
export const cosineKinds = ['plain', 'whitened'] as const;
export const viewNames = ['curve', 'plane', 'shift', 'contrast', 'map', 'geometry'] as const;
export type TriggerFilter = (typeof triggerFilters)[number];
export type HarmFilter = (typeof harmFilters)[number];
export type Theme = (typeof themes)[number];
export type ArrowKind = (typeof arrowKinds)[number];
export type MapMeasure = (typeof mapMeasures)[number];
export type MapMask = (typeof mapMasks)[number];
export type CosineKind = (typeof cosineKinds)[number];
export type ViewName = (typeof viewNames)[number];

export const initialState: State = {
  run: '',
  question: '',
  layer: null,
  pair: '',
  position: '',
  trigger: 'all',
  harm: 'all',
  row: null,
  basis: '',
  arrows: 'rows',
  measure: 'size',
  mask: 'max-t',
  rows: '',
  cosines: 'plain',
  tables: [],
  theme: 'auto',
  unknown: [],
};

/** Reads an address (path and query). `ignored` names what could not be read. */
export function decodeAddress(path: string, query: string): { state: State; ignored: string[] } {
  const ignored: string[] = [];
  const unknown: [string, string][] = [];
  const found: Found = {};
  for (const [key, value] of new URLSearchParams(query)) {
    const read = Object.hasOwn(readers, key) ? readers[key] : undefined;
    if (read === undefined) unknown.push([key, value]);
    else if (!read(value, found)) ignored.push(`${key}=${value}`);
  }
  const run = /^\/r\/([a-z0-9][a-z0-9._-]{0,63})$/.exec(path)?.[1] ?? '';
  return { state: { ...initialState, ...found, run, unknown }, ignored };
}

/** The address of `state`, path and query. */
export function encodeAddress(state: State): string {
  const query = new URLSearchParams();
  const put = (key: string, value: string, standard: string): void => {
    if (value !== standard) query.append(key, value);
  };
  put('q', state.question, '');
  put('L', state.layer === null ? '' : String(state.layer), '');
  put('ab', state.pair, '');
  put('pos', state.position, '');
  put('trigger', state.trigger, 'all');
  put('harm', state.harm, 'all');
  put('row', state.row === null ? '' : String(state.row), '');
  put('basis', state.basis, '');
  put('arrows', state.arrows, 'rows');
  put('map', state.measure, 'size');
  put('mask', state.mask, 'max-t');
  put('rows', state.rows, '');
  put('cos', state.cosines, 'plain');
  put('table', viewNames.filter((name) => state.tables.includes(name)).join(','), '');
  put('theme', state.theme, 'auto');
  for (const [key, value] of state.unknown) query.append(key, value);
  // Commas and colons are legal in a query and easier to read as they are.
  const text = query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  const path = state.run === '' ? '/' : `/r/${state.run}`;
  return text === '' ? path : `${path}?${text}`;
}

type Found = { -readonly [K in keyof State]?: State[K] };

/** Each key of the address: takes the value into `found`, or says that it cannot be read. */
const readers: Readonly<Record<string, ((value: string, found: Found) => boolean) | undefined>> = {
  q: (value, found) => isShort(value) && take(found, { question: value }),
  L: (value, found) => isIndex(value) && take(found, { layer: Number(value) }),
  ab: (value, found) => isShort(value) && value.includes('..') && take(found, { pair: value }),
  pos: (value, found) => isShort(value) && take(found, { position: value }),
  trigger: oneOf(triggerFilters, (trigger) => ({ trigger })),
  harm: oneOf(harmFilters, (harm) => ({ harm })),
  row: (value, found) => isIndex(value) && take(found, { row: Number(value) }),
  basis: (value, found) => isShort(value) && value.includes('..') && take(found, { basis: value }),
  arrows: oneOf(arrowKinds, (arrows) => ({ arrows })),
  map: oneOf(mapMeasures, (measure) => ({ measure })),
  mask: oneOf(mapMasks, (mask) => ({ mask })),
  rows: (value, found) => isShort(value) && take(found, { rows: value }),
  cos: oneOf(cosineKinds, (cosines) => ({ cosines })),
  table: (value, found) => {
    const asked = value.split(',');
    const tables = viewNames.filter((name) => asked.includes(name));
    return tables.length === asked.length && take(found, { tables });
  },
  theme: oneOf(themes, (theme) => ({ theme })),
};

/** Reads one of a few words. */
function oneOf<T extends string>(
  words: readonly T[],
  patch: (word: T) => Found,
): (value: string, found: Found) => boolean {
  return (value, found) => {
    const word = words.find((known) => known === value);
    return word !== undefined && take(found, patch(word));
  };
}

function take(found: Found, patch: Found): true {
  Object.assign(found, patch);
  return true;
}

function isShort(value: string): boolean {
  return value.length > 0 && value.length <= 200;
}

function isIndex(value: string): boolean {
  return /^(0|[1-9][0-9]{0,6})$/.test(value);
}

/** The part of a browser's history that the store needs. */
export interface AddressBar {
  pushState(data: null, unused: string, url: string): void;
  replaceState(data: null, unused: string, url: string): void;
}

/** Holds the state, tells listeners of each change, and writes the address. */
export class Store {
  #state: State;
  readonly #bar: AddressBar;
  readonly #listeners = new Set<(state: State) => void>();

  constructor(state: State, bar: AddressBar) {
    this.#state = state;
    this.#bar = bar;
  }

  get state(): State {
    return this.#state;
  }

  subscribe(listener: (state: State) => void): void {
    this.#listeners.add(listener);
  }

  /** A change worth going back to, unless `isPassing` (a drag, a play step). */
  set(patch: Partial<State>, isPassing: boolean = false): void {
    const before = encodeAddress(this.#state);
    this.#state = { ...this.#state, ...patch };
    const after = encodeAddress(this.#state);
    if (after === before) return;
    if (isPassing) this.#bar.replaceState(null, '', after);
    else this.#bar.pushState(null, '', after);
    this.#tell();
  }

  /** Takes the state of an address that the browser has gone to. */
  restore(state: State): void {
    this.#state = state;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.#state);
  }
}
