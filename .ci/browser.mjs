/**
 * Makes sure that the browser tests have a browser, before they run.
 *
 * Takes the one that is here. Where there is none it tries to fetch one: by apt as root on Debian
 * and its kin, else by playwright-core into the user's cache. If that fails too it says so and ends
 * well: nothing is skipped on that account, the browser tests themselves fail and say why.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findBrowser } from './findBrowser.mjs';

const found = await findBrowser();
if (found === undefined) await fetchOne();
else console.log(`browser: ${found}`);

async function fetchOne() {
  const isDebianRoot = existsSync('/usr/bin/apt-get') && process.getuid?.() === 0;
  if (isDebianRoot) {
    console.log('browser: none found; installing Debian’s chromium by apt-get');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = ['install', '-q', '-y', '--no-install-recommends', 'chromium'];
    if (run('apt-get', ['update', '-q'], env)) run('apt-get', install, env);
  } else {
    console.log('browser: none found; downloading Chromium by playwright-core');
    run(process.execPath, ['node_modules/playwright-core/cli.js', 'install', 'chromium']);
  }
  const fetched = await findBrowser();
  console.log(
    fetched === undefined
      ? 'browser: none could be had; the browser tests will fail. Install Chromium or set CHROMIUM_PATH.'
      : `browser: ${fetched}`,
  );
}

function run(program, args, env = process.env) {
  return spawnSync(program, args, { stdio: 'inherit', env }).status === 0;
}
