/**
 * How large has the project grown? Prints lines by folder and every file or function over its limit.
 *
 * Growth is shown, not forbidden, up to the hard limits: 400 lines a file, 80 a function; 600 lines a
 * file of tests, which are tables more often than thoughts.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const soft = { file: 250, function: 60 };
const hard = { file: 400, function: 80 };
const hardForTests = 600;

const root = fileURLToPath(new URL('..', import.meta.url));
const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
const files = execFileSync('git', listed, { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((path) => /\.(ts|mjs|css|html)$/.test(path) && existsSync(join(root, path)))
  .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').trimEnd().split('\n') }));

const folders = groupBy(files, folderOf);
for (const folder of [...folders.keys()].toSorted((a, b) => a.localeCompare(b))) {
  const members = folders.get(folder);
  const lines = members.reduce((sum, file) => sum + file.lines.length, 0);
  console.log(`${folder.padEnd(16)} ${pad(members.length)} files ${pad(lines)} lines`);
}

let tooLarge = false;
for (const { path, lines } of files) {
  if (!/\.(ts|mjs)$/.test(path)) continue;
  report('file', path, lines.length);
  for (const { name, length } of functionsIn(lines)) report('function', `${path} ${name}`, length);
}
process.exitCode = tooLarge ? 1 : 0;

function report(kind, name, length) {
  const most = kind === 'file' && name.startsWith('tests/') ? hardForTests : hard[kind];
  if (length > most) tooLarge = true;
  if (length > soft[kind]) {
    const limit = length > most ? `over the hard limit of ${most}` : `over ${soft[kind]}`;
    console.log(`${name}: ${length} lines, ${limit}`);
  }
}

/** Functions and methods by their formatting: from the opening line to the next brace at its indent. */
function functionsIn(lines) {
  const opening =
    /^(\s*)(?:(?:export |async )*function\*? (\w+)|(?:static |async )*(#?\w+)\([^'`]*\).* \{$)/;
  return lines.flatMap((line, start) => {
    const match = opening.exec(line);
    if (match === null || ['if', 'for', 'while', 'switch'].includes(match[3])) return [];
    const length =
      lines.slice(start + 1).findIndex((other) => other.startsWith(`${match[1]}}`)) + 2;
    return [{ name: match[2] ?? match[3], length }];
  });
}

function folderOf({ path }) {
  const parts = path.split('/');
  if (parts.length === 1) return '.';
  return parts[0] === 'src' && parts.length > 2 ? `src/${parts[1]}` : parts[0];
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

function pad(n) {
  return String(n).padStart(6);
}
