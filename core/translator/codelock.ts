/** The lock of decoded and translated code, from TypeScript: see core/processor/assembly/codelock.ts. */
import { Control } from '../state/index.ts';

const FREE = 0;
const HELD = 1;
const AWAITED = 2;
const SPINS = 200;
const WORD = Control.offsets.codeLock >> 2;

/** Does something while no other thread changes records' handlers, pages' lists or translations. Not to be nested. */
export function whileLocked<T>(words: Int32Array, change: () => T): T {
  lock(words);
  try {
    return change();
  } finally {
    if (Atomics.exchange(words, WORD, FREE) === AWAITED) Atomics.notify(words, WORD, 1);
  }
}

function lock(words: Int32Array): void {
  for (let i = 0; i < SPINS; i++) if (Atomics.compareExchange(words, WORD, FREE, HELD) === FREE) return;
  while (Atomics.exchange(words, WORD, AWAITED) !== FREE) Atomics.wait(words, WORD, AWAITED);
}
