/** The viewer in a browser: what it shows, what it asks for, and where its address leads. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Listening } from '../../src/server/listen.ts';
import { address, openStage, picture, press, see, settled } from './support.ts';
import type { Stage } from './support.ts';

let stage: Stage;
let server: Listening;
let run: string;

beforeAll(async () => {
  stage = await openStage({
    organism: { topics: 10, layers: 4 },
    many: { topics: 520, layers: 1 },
    ceiling: { topics: 4, layers: 3, saturated: true },
  });
  server = await stage.serve(['organism', 'many', 'ceiling']);
  run = `${server.url}/r/organism`;
});

afterAll(async () => {
  await server.close();
  await stage.close();
});

describe('the page', () => {
  it('asks nothing of anyone else and breaks no rule of its policy on a whole tour', async () => {
    const { page, faults, close } = await see(stage, run);
    await page.getByRole('button', { name: /mean difference/ }).click();
    await page.locator('.curve .plot').click({ position: { x: 200, y: 100 } });
    await page.locator('.plane .plot').hover();
    await page.getByLabel('Pair').selectOption('standard..planb');
    await page.getByLabel('Shifts at').selectOption('instruction_end');
    await page.getByLabel('Requests').selectOption('harmful');
    await page.getByLabel('Theme').selectOption('dark');
    await press(page, 'g', 'g', 't', 'x', '[', ' ', 'Escape', '?', 'Escape');
    await page
      .getByRole('button', { name: /^plane/ })
      .first()
      .click();
    await settled(page);
    await page.locator('.plane .plot').press('Home');
    await page.locator('.plane .plot').press('Enter');
    await page.getByRole('button', { name: 'Reveal the text' }).click();
    await page.locator('.prompt').waitFor();
    await settled(page);
    expect(faults).toEqual([]);
    await close();
  });

  // A page of its own for each: Chromium asks before it lets a page save an eleventh file.
  it.each(['SVG', 'CSV'])('saves every plot as %s, and breaks no rule for it', async (name) => {
    const { page, faults, close } = await see(stage, run);
    await settled(page);
    const buttons = await page.getByRole('button', { name, exact: true }).all();
    expect(buttons.length).toBeGreaterThan(4);
    for (const button of buttons) {
      const [got] = await Promise.all([page.waitForEvent('download'), button.click()]);
      expect(await got.failure()).toBeNull();
      expect(got.suggestedFilename()).toMatch(new RegExp(`\\.${name.toLowerCase()}$`));
    }
    expect(faults).toEqual([]);
    await close();
  });

  it('fits its budget of 90 kB, compressed', () => {
    const files = readdirSync(join(stage.assets, 'assets')).map((name) =>
      join(stage.assets, 'assets', name),
    );
    const sizes = [join(stage.assets, 'index.html'), ...files].map(
      (file) => gzipSync(readFileSync(file)).length,
    );
    expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(90 * 1024);
  });

  it('says at the top what was found, and leads to the evidence', async () => {
    const { page, close } = await see(stage, run);
    await page
      .getByRole('button', { name: 'plane backdoored → planb at resid_post.3, last' })
      .click();
    await settled(page);
    expect(address(page)).toBe('/r/organism?L=3&ab=backdoored..planb&pos=last');
    await page
      .getByRole('heading', {
        name: 'Where do rows move from backdoored to planb at resid_post.3?',
      })
      .waitFor();
    expect(
      await page.locator('.plane .plot').evaluate((node) => node === document.activeElement),
    ).toBe(true);
    await close();
  });

  it('says in words that a curve is saturated', async () => {
    const { page, close } = await see(stage, `${server.url}/r/ceiling`);
    expect(await page.locator('.curve .summary').textContent()).toContain(
      'Saturated: AUROC is 0.999 or more at every layer in backdoored, standard and planb.',
    );
    await close();
  });

  it('draws a thousand rows and more as arrows on a grid', async () => {
    const { page, faults, close } = await see(stage, `${server.url}/r/many`);
    expect(await page.locator('.plane .method').textContent()).toContain(
      'mean shift on a 24 × 16 grid',
    );
    expect(faults).toEqual([]);
    await close();
  });
});

describe('the address', () => {
  it('restores the exact picture in another browser', async () => {
    const first = await see(stage, `${run}?theme=light`);
    await first.page.getByLabel('Pair').selectOption('backdoored..planb');
    await first.page.getByLabel('Requests').selectOption('harmful');
    await press(first.page, '[');
    await first.page.locator('.plane .plot').press('Home');
    await first.page.locator('.plane .plot').press('Enter');
    await first.page.locator('h1').click();
    await settled(first.page);
    const link = first.page.url();
    const drawn = await picture(first.page);
    const second = await see(stage, link, { colorScheme: 'dark' });
    expect(await picture(second.page)).toBe(drawn);
    expect(second.page.url()).toBe(link);
    await press(second.page, 't');
    expect(await picture(second.page)).not.toBe(drawn);
    await Promise.all([first.close(), second.close()]);
  });

  it('goes back and forward through what was looked at', async () => {
    const { page, close } = await see(stage, run);
    const start = await picture(page);
    await press(page, '[');
    const left = await picture(page);
    const there = page.url();
    await page.goBack();
    await settled(page);
    expect(await picture(page)).toBe(start);
    await page.goForward();
    await settled(page);
    expect(page.url()).toBe(there);
    expect(await picture(page)).toBe(left);
    await close();
  });

  it('names what it could not read or find, and keeps what it does not know', async () => {
    const { page, close } = await see(stage, `${run}?L=x&future=1`);
    await page.getByText('Left out of the address: L=x.').waitFor();
    await press(page, '[');
    expect(new URL(page.url()).searchParams.get('future')).toBe('1');
    await close();
    const other = await see(stage, `${run}?L=77`);
    await other.page.getByText('This report does not have: layer 77.').waitFor();
    await other.close();
  });

  it('is copied by c', async () => {
    const { page, close } = await see(stage, run, {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await press(page, '[', 'c');
    await page.getByText('Link copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url());
    await close();
  });
});
