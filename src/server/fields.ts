/** Fields that all parts of a report's schema are made of. */

import { z } from 'zod';

export const name: z.ZodString = z.string().max(200);
/** An expression over columns: as long as whoever wrote it had patience for. */
export const condition: z.ZodString = z.string().max(100_000);
export const id: z.ZodString = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,127}$/);
export const count: z.ZodInt = z.int().nonnegative();
export const finite: z.ZodNumber = z.number();
