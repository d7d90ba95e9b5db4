/** Keeps a viewer open until the user ends it. The server itself is handed in by main.ts. */

import type { Io } from './io.ts';

export interface Viewing {
  readonly url: string;
  readonly close: () => Promise<void>;
}

export interface ViewingOptions {
  readonly port: number;
  readonly strictPort: boolean;
}

/** Opens the viewer on run folders; loopback only. */
export type StartViewer = (
  folders: readonly string[],
  options: ViewingOptions,
  onDefect: (error: unknown) => void,
) => Promise<Viewing>;

/** Resolves once the user has asked to stop, and the server is closed. */
export async function untilStopped(viewing: Viewing, io: Io): Promise<void> {
  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve();
    io.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await viewing.close();
}
