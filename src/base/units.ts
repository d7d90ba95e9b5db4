/** Quantities as people read and type them. */

import { UserError } from './errors.ts';

const scales = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

/** 1536 → "1.5 KB" (powers of 1024, three significant digits). */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let scale = 0;
  while (value >= 1000 && scale < scales.length - 1) {
    value /= 1024;
    scale++;
  }
  return `${scale === 0 ? value : Number(value.toPrecision(3))} ${scales[scale]}`;
}

/** "4GB", "512 MiB", "1e9" → bytes (powers of 1024). @throws {UserError} `USAGE` for anything else. */
export function parseBytes(text: string): number {
  const match = /^\s*([0-9.]+(?:e[0-9]+)?)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(text);
  const amount = Number(match?.[1]);
  if (match === null || !Number.isFinite(amount)) {
    throw new UserError('USAGE', `"${text}" is not an amount of memory`, {
      fix: 'Write it like 512MB or 4GB.',
    });
  }
  return Math.round(amount * 1024 ** ' KMGT'.indexOf(match[2].toUpperCase() || ' '));
}

/** 754 000 ms → "12m34s"; below a minute "8.3 s". */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')}m`;
}

/** 12345 → "12 345", with thin grouping as in the reports. */
export function formatCount(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
}

/** "1 row", "3 rows". */
export function plural(n: number, noun: string, many: string = `${noun}s`): string {
  return `${formatCount(n)} ${n === 1 ? noun : many}`;
}
