/**
 * Gives a machine's memory back to the system once nothing refers to it. V8 does not count shared WebAssembly memory among what a thread
 * holds, so a thread with little else to do would keep the memory of VMs that are long off.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/** Collects garbage on this thread, a little later, when what has just been let go is no longer on the stack. */
export function reclaim(): void {
  setImmediate(() => {
    if (collect === undefined) {
      // For the whole process, so it is never taken back: another thread may be at the same place.
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('typeof gc === "function" ? gc : () => {}') as () => void;
    }
    collect();
  });
}
