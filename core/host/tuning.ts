/** How V8 is to compile translations. It is a matter of the whole process: to be called after everything else was compiled. */
import { setFlagsFromString } from 'node:v8';

/**
 * Flags of V8, as found by measurement:
 * without lazy compilation, a module has native code when the compiler's thread is done with it; else each function would be compiled when it is
 * first called, on the vCPU's thread.
 */
const FLAGS = ['--no-wasm-lazy-compilation'];

/** Where a flag is refused or unknown, translations come all the same: a little later, and the vCPU waits for some of the work. */
export function tuneForTranslations(): void {
  for (const flag of FLAGS) {
    try {
      setFlagsFromString(flag);
    } catch {
      // This V8's flags are fixed.
    }
  }
}
