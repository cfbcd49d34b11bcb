/** What V8 is told about the WebAssembly that is made here. */
import { setFlagsFromString } from 'node:v8';

/** With the major versions of V8 that are known to have them: an unknown flag is complained of on standard error. */
const FLAGS: readonly { readonly flag: string; readonly first: number; readonly last: number }[] = [
  // Branch hints (WebAssembly proposal "Branch Hinting"): they let the compiler move what is rare out of the way, spills included.
  { flag: '--experimental-wasm-branch-hinting', first: 0, last: 14 },
  // Calls of small functions are inlined where they are hot, although code grows to several times its size by it.
  { flag: '--wasm-inlining-factor=20', first: 13, last: 14 },
  { flag: '--wasm-inlining-budget=100000', first: 13, last: 14 },
  // A function is optimized when it has executed (about) so many bytes; 13,000,000 otherwise. What is compiled here is known to be hot.
  { flag: '--wasm-tiering-budget=2000000', first: 11, last: 14 },
];

/** For modules compiled from now on, by any thread of the process. */
export function tuneV8(): void {
  const version = Number.parseInt(process.versions.v8 ?? '99', 10);
  for (const { flag, first, last } of FLAGS) if (version >= first && version <= last) setFlagsFromString(flag);
}
