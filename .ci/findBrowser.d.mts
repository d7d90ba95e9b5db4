/** Absolute path of a browser, or undefined. Throws if CHROMIUM_PATH names no program. */
export function findBrowser(
  env?: Readonly<Record<string, string | undefined>>,
  platform?: NodeJS.Platform,
): Promise<string | undefined>;
