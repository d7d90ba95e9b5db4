/** Which bytes the page was drawn from, in three lines. */

import type { Manifest } from '../../src/contract/manifest.ts';
import type { SignedReport } from '../client.ts';
import { element } from '../dom.ts';
import { count } from '../format.ts';

/** Hashes by their first eight digits, and versions. */
export function provenance(manifest: Manifest, { report, sha8 }: SignedReport): HTMLElement[] {
  const { prompts, checkpoints, store } = manifest;
  const hashes = checkpoints.map(({ name, sha256 }) => `${name} ${sha256.slice(0, 8)}`);
  const versions = Object.entries(manifest.versions).map((entry) => entry.join(' '));
  const lines = [
    `Report ${sha8} of run ${report.run.name}, ${count(prompts.count)} prompts (${prompts.sha256.slice(0, 8)}).`,
    `Checkpoints, by the first digits of their SHA-256: ${hashes.join(' · ')}.`,
    `Stored as ${store}, computed in float32 · ${versions.join(' · ')}.`,
  ];
  return lines.map((line) => element('p', {}, line));
}
