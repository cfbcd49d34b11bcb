/** Branch hints (WebAssembly proposal "Branch Hinting"): they let the compiler move what is rare out of the way, spills included. */
import { setFlagsFromString } from 'node:v8';

/** The last major version of V8 known to have branch hints behind this flag; an unknown flag is complained of on standard error. */
const LAST_FLAGGED = 14;

/** Has V8 heed branch hints where it does so only when told. For modules compiled from now on, by any thread of the process. */
export function heedBranchHints(): void {
  if (Number.parseInt(process.versions.v8 ?? '99', 10) <= LAST_FLAGGED) setFlagsFromString('--experimental-wasm-branch-hinting');
}
