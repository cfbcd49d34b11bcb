/** What V8 is told about the WebAssembly that is made here. */
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';

/** With the major versions of V8 that are known to have them: an unknown flag is complained of on standard error. */
const FLAGS: readonly { readonly flag: string; readonly first: number; readonly last: number }[] = [
  // Branch hints (WebAssembly proposal "Branch Hinting"): they let the compiler move what is rare out of the way, spills included.
  { flag: '--experimental-wasm-branch-hinting', first: 0, last: 14 },
  // A function is optimized when it has executed (about) so many bytes; 13,000,000 otherwise. What is compiled here is known to be hot.
  { flag: '--wasm-tiering-budget=2000000', first: 11, last: 14 },
];

/** For what is compiled in the background, while vCPUs run. */
const BACKGROUND_FLAGS: typeof FLAGS = [
  // Native code is there when the compiler's thread is done; else each function would be compiled when it is first called, while a vCPU waits.
  { flag: '--no-wasm-lazy-compilation', first: 9, last: 14 },
  // Optimizing is not urgent: it leaves a CPU to vCPUs, and one to the compiler's thread. Each task takes some 10 MiB, too.
  { flag: `--wasm-num-compilation-tasks=${Math.max(1, availableParallelism() - 2)}`, first: 9, last: 14 },
];

function set(flags: typeof FLAGS): void {
  const version = Number.parseInt(process.versions.v8 ?? '99', 10);
  for (const { flag, first, last } of flags) {
    if (version < first || version > last) continue;
    try {
      setFlagsFromString(flag);
    } catch {
      // This V8's flags are fixed: all works without them.
    }
  }
}

/** For modules compiled from now on, by any thread of the process. */
export const tuneV8 = (): void => set(FLAGS);

/** For modules compiled from now on, if that is done by a thread that nobody waits for. */
export const tuneV8ForBackground = (): void => set(BACKGROUND_FLAGS);
