/** Round robin: everyone in turn for the same slice. */
import type { Decision, Policy } from './policy.ts';

/** Seconds. */
export const SLICE = 0.005;

export function roundRobin<E>(slice = SLICE): Policy<E> {
  const queue = new Set<E>();
  return {
    name: 'round-robin',
    enqueue(entity) {
      queue.add(entity);
    },
    remove(entity) {
      queue.delete(entity);
    },
    next(): Decision<E> | undefined {
      for (const entity of queue) {
        queue.delete(entity);
        return { entity, slice };
      }
      return undefined;
    },
    charge() {
      // Turns are equal whatever was used of them.
    },
    get waiting() {
      return queue.size;
    },
  };
}
