/**
 * Where is a Chromium that the browser tests can drive?
 *
 * Looks at CHROMIUM_PATH first, then along PATH and in the usual places of each system, and last
 * where playwright-core keeps the one it downloads. It installs nothing; browser.mjs does.
 */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Absolute path of a browser, or undefined. Throws if CHROMIUM_PATH names no program. */
export async function findBrowser(env = process.env, platform = process.platform) {
  const wanted = env['CHROMIUM_PATH'];
  if (wanted) {
    if (isProgram(wanted)) return wanted;
    throw new Error(`CHROMIUM_PATH names no program that can be run: "${wanted}"`);
  }
  return [...onPath(env, platform), ...usualPlaces(env, platform)].find(isProgram) ?? downloaded();
}

function onPath(env, platform) {
  if (platform === 'win32') return [];
  const folders = (env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, name)));
}

function usualPlaces(env, platform) {
  if (platform === 'darwin') {
    return [
      'Chromium.app/Contents/MacOS/Chromium',
      'Google Chrome.app/Contents/MacOS/Google Chrome',
    ]
      .flatMap((app) => ['/Applications', `${env['HOME']}/Applications`].map((at) => join(at, app)))
      .concat(['/opt/homebrew/bin/chromium', '/usr/local/bin/chromium']);
  }
  if (platform === 'win32') {
    return ['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA']
      .flatMap((name) => env[name] ?? [])
      .flatMap((folder) =>
        ['Chromium', 'Google\\Chrome'].map((app) => `${folder}\\${app}\\Application\\chrome.exe`),
      );
  }
  return ['/usr/bin', '/usr/local/bin', '/snap/bin', '/opt/google/chrome']
    .flatMap((folder) => [...names, 'chrome'].map((name) => join(folder, name)))
    .concat(['/usr/lib/chromium/chromium', '/var/lib/flatpak/exports/bin/org.chromium.Chromium']);
}

async function downloaded() {
  const { chromium } = await import('playwright-core');
  const path = chromium.executablePath();
  return isProgram(path) ? path : undefined;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
