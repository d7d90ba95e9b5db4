/**
 * A twin's weights in a file, where its graphs read them in place like those of a checkpoint.
 *
 * They are drawn as a stage asks for them and forgotten when it ends, so that the file holds what the
 * largest stage needs, and memory holds a small part of one matrix.
 */

import { join } from 'node:path';
import { appendedFile } from '../files/scratch.ts';
import { twinWeights, type Binding } from '../../models/bindings.ts';
import type { Model } from '../../models/model.ts';

export interface DrawnWeights {
  /** Binds ports to weights that are drawn now, or were since the last `forget`. */
  readonly bind: Binding;
  /** Gives the space back; graphs that read the weights must be closed. */
  forget(): void;
}

/** @param folder Where the file goes. */
export function drawnWeights(model: Model, seed: number, folder: string): DrawnWeights {
  const draw = twinWeights(model, seed);
  const file = appendedFile(join(folder, 'weights'));
  const places = new Map<string, { readonly offset: number; readonly length: number }>();
  return {
    bind(g, name) {
      const { shape, numbers } = draw(name);
      const place = places.get(name) ?? file.append(numbers);
      places.set(name, place);
      return g.external(name, 'float32', shape, { kind: 'external', file: file.path, ...place });
    },
    forget() {
      places.clear();
      file.clear();
    },
  };
}
