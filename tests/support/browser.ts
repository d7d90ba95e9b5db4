/**
 * The browser that the viewer's tests drive, found as `.ci/browser.mjs` finds it.
 *
 * No browser is a failure, never a skipped test.
 */

import { findBrowser } from '../../.ci/findBrowser.mjs';

/** Absolute path of a Chromium, for playwright-core's `executablePath`. */
export async function browserPath(): Promise<string> {
  const path = await findBrowser();
  if (path === undefined) {
    throw new Error('no browser found: install Chromium, or set CHROMIUM_PATH to one');
  }
  return path;
}
