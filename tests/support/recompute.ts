/** The reference for decoding with a cache: every step recomputes everything before it. */

import { fromCheckpoint } from '../../models/bindings.ts';
import { composeModel } from '../../models/compose.ts';
import type { Model } from '../../models/model.ts';
import { openSession } from '../../src/runtime/session.ts';
import { feedsOf } from './golden.ts';

/** Logits after token `first`, `first + 1`, … of a text, each from a pass over everything up to it. */
export async function recomputedLogits(
  model: Model,
  text: readonly number[],
  first: number,
): Promise<Float32Array[]> {
  const { architecture, settings } = model;
  const sites = [{ kind: 'logits', block: null }] as const;
  const bind = fromCheckpoint(model);
  const graph = composeModel(architecture, settings, bind, { sites, length: text.length });
  const session = await openSession(graph, { threads: 1 });
  try {
    const steps: Float32Array[] = [];
    for (let end = first + 1; end <= text.length; end++) {
      const feeds = feedsOf([text.slice(0, end)], [end - 1]);
      steps.push((await session.run(feeds))['logits'].data);
    }
    return steps;
  } finally {
    await session.close();
  }
}
