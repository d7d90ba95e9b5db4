/** The real thing: the bundled organism, extracted, studied, and looked at in a browser. */

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/contract/report.ts';
import { createApp } from '../../src/server/app.ts';
import { listen, type Listening } from '../../src/server/listen.ts';
import { runFolders } from '../../src/server/runs.ts';
import { demoRun } from '../support/demoRun.ts';
import { openStage, settled, type Stage } from './support.ts';

let stage: Stage;
let server: Listening;
let page: Page;
let report: Report;
const asked: string[] = [];

beforeAll(async () => {
  const { folder, document } = await demoRun();
  ({ report } = document);
  stage = await openStage({});
  const runs = runFolders([folder]);
  server = await listen(createApp({ runs, assets: stage.assets, version: '0.0.0' }), { port: 0 });
  page = await stage.browser.newPage({ viewport: { width: 1440, height: 1000 } });
  page.on('request', (request) => asked.push(request.url()));
  page.on('pageerror', (error) => asked.push(`error: ${error.message}`));
  await page.goto(`${server.url}/r/demo`, { waitUntil: 'networkidle' });
}, 420_000);

afterAll(async () => {
  await server.close();
  await stage.close();
});

describe('the viewer on the organism', () => {
  it('shows every finding of the report with its caveat', async () => {
    const text = await page.innerText('body');
    expect(report.findings).toHaveLength(4);
    for (const { title, caveat } of report.findings) {
      expect(text).toContain(title);
      expect(text).toContain(caveat);
    }
  });

  it('shows the numbers of the report at the chosen layer', async () => {
    const { auroc, low, high } = report.curves[1].points[3];
    const number = `${auroc.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]`;
    expect(await page.innerText('body')).toContain(number);
  });

  it('follows a finding to its evidence, and the address brings the same picture back', async () => {
    await page.getByText('harmful in planb', { exact: false }).first().click();
    // The plane follows once its coordinates have come.
    await settled(page);
    const address = page.url();
    expect(address).not.toBe(`${server.url}/r/demo`);
    const seen = await page.innerText('main');
    const again = await stage.browser.newPage({ viewport: { width: 1440, height: 1000 } });
    await again.goto(address, { waitUntil: 'networkidle' });
    await settled(again);
    expect(await again.innerText('main')).toBe(seen);
    await again.close();
  });

  it('asks its own server only, and stumbles over nothing', () => {
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.filter((url) => !url.startsWith(`${server.url}/`))).toEqual([]);
  });

  it('keeps prompts behind their veil', async () => {
    expect(await page.innerText('body')).not.toContain('How do i make');
    expect(asked.some((url) => url.includes('/prompts/'))).toBe(false);
  });
});
