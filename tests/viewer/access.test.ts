/** Who can use the viewer: by axe-core, by keyboard alone, at any width, without motion. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Listening } from '../../src/server/listen.ts';
import {
  address,
  axeFaults,
  openStage,
  picture,
  press,
  reportOf,
  see,
  settled,
  tabTo,
} from './support.ts';
import type { Stage } from './support.ts';

let stage: Stage;
let server: Listening;
let run: string;

beforeAll(async () => {
  stage = await openStage({
    organism: { topics: 10, layers: 4 },
    bare: { topics: 1, layers: 1, hasReport: false },
  });
  server = await stage.serve(['organism', 'bare']);
  run = `${server.url}/r/organism`;
});

afterAll(async () => {
  await server.close();
  await stage.close();
});

describe('accessibility', () => {
  const cases = (['light', 'dark'] as const).flatMap((scheme) => [
    { scheme, width: 1440 },
    { scheme, width: 390 },
  ]);

  it.each(cases)('has no serious fault: $scheme, $width px', async ({ scheme, width }) => {
    const { page, close } = await see(stage, `${run}?row=3`, {
      colorScheme: scheme,
      viewport: { width, height: 844 },
    });
    expect(await axeFaults(page)).toEqual([]);
    await page.goto(`${run}?table=curve,plane,shift,contrast,map,geometry`);
    await settled(page);
    expect(await axeFaults(page)).toEqual([]);
    await press(page, '?');
    expect(await axeFaults(page)).toEqual([]);
    await page.goto(`${server.url}/r/bare`);
    await page.getByText('this run has no report yet').waitFor();
    expect(await axeFaults(page)).toEqual([]);
    await close();
  });

  it.each([320, 390, 768, 1440])('needs no sideways scrolling at %i px', async (width) => {
    const { page, close } = await see(stage, run, { viewport: { width, height: 800 } });
    const overflow = (): Promise<number> =>
      page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await page.goto(`${run}?table=curve,plane,shift,contrast,map,geometry&row=1`);
    await settled(page);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await close();
  });

  it.each([320, 390])(
    'keeps the words of a plot inside it and 11 px or larger: %i px',
    async (width) => {
      const { page, close } = await see(stage, run, { viewport: { width, height: 800 } });
      const small = await page.evaluate(() =>
        [...document.querySelectorAll('.plot svg')].flatMap((svg) => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].flatMap((text) => {
            const box = text.getBoundingClientRect();
            const isInside = box.left >= frame.left - 1 && box.right <= frame.right + 1;
            const isLarge = Number.parseFloat(getComputedStyle(text).fontSize) >= 11;
            return isInside && isLarge ? [] : [text.textContent];
          });
        }),
      );
      expect(small).toEqual([]);
      await close();
    },
  );

  it('can be used by keyboard alone', async () => {
    const { page, close } = await see(stage, run);
    await tabTo(page, '[data-question="triggered~last~logistic~resid_post"]');
    await press(page, 'Enter');
    expect(new URL(page.url()).searchParams.get('q')).toBe('triggered~last~logistic~resid_post');
    await tabTo(page, '.curve .plot');
    await press(page, 'Home', 'ArrowRight', 'ArrowDown');
    const report = reportOf(stage, 'organism');
    const curve = report.curves.find(
      ({ label, checkpoint }) => label === 'triggered' && checkpoint === 'standard',
    );
    const point = curve?.points[1];
    const words = `standard, layer 1: AUROC ${point?.auroc.toFixed(3)} [${point?.low.toFixed(3)}, ${point?.high.toFixed(3)}], n = 40`;
    await page.locator('.curve [aria-live]').getByText(words).waitFor({ state: 'attached' });
    await press(page, 'Enter');
    expect(new URL(page.url()).searchParams.get('L')).toBe('1');
    await press(page, ']');
    expect(new URL(page.url()).searchParams.get('L')).toBe('2');
    await press(page, 'g');
    const row = page.locator('.curve table tr').filter({ hasText: 'standard' }).nth(1);
    expect(await row.textContent()).toContain(String(Number(point?.auroc.toPrecision(4))));
    await press(page, 'g');
    await tabTo(page, '.plane .plot');
    await press(page, 'Home', 'ArrowRight', 'Enter');
    const pinned = Number(new URL(page.url()).searchParams.get('row'));
    expect(pinned).toBeGreaterThan(0);
    await tabTo(page, '[data-veil]');
    await press(page, 'Enter');
    await page.locator('.prompt').getByText('Please write about').waitFor();
    await press(page, 'Escape');
    expect(new URL(page.url()).searchParams.has('row')).toBe(false);
    await close();
  });

  it('lets single keys be switched off, and leaves them alone in a field', async () => {
    const { page, close } = await see(stage, run);
    await page.locator('select[name="Trigger"]').focus();
    await press(page, 'g');
    expect(address(page)).toBe('/r/organism');
    await page.locator('h1').click();
    await press(page, '?');
    await page.getByLabel('Keys without a modifier work').uncheck();
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'hidden' });
    await press(page, 'g', ']', 'x');
    expect(address(page)).toBe('/r/organism');
    await close();
  });

  it('does not move by itself, and plays in steps', async () => {
    const { page, close } = await see(stage, run, { reducedMotion: 'reduce' });
    const still = await picture(page);
    await press(page, ' ');
    await page.waitForURL(/L=/);
    await press(page, ' ');
    expect(await picture(page)).not.toBe(still);
    const stopped = address(page);
    await page.getByRole('button', { name: 'Play through the layers' }).waitFor();
    expect(address(page)).toBe(stopped);
    await close();
  });
});
