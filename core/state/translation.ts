/** Translated code, as far as it is the machine's and not a thread's: what was done, and which instructions it could not do. */
import { struct } from './struct.ts';

/**
 * What the translator has done since the machine was made. Counts only go up, but for those of what there is now (`live…`).
 * Any thread may read it; whoever does the work adds to it with atomics.
 */
export const Translations = struct('Translations', {
  /** Regions and modules that were installed, and the guest's instructions and bytes of code in them. */
  regions: 'u32',
  modules: 'u32',
  guestInstructions: 'u32',
  guestBytes: 'u32',
  /** Bytes of WebAssembly. */
  bytes: 'u32',
  /** Regions that were asked for and could not be built. */
  failures: 'u32',
  /** Regions that became stale, for a write to their code. */
  invalidated: 'u32',
  /** Regions that had to make room. */
  evicted: 'u32',
  /** Regions that were built and never installed: something they had read became stale meanwhile. */
  overtaken: 'u32',
  /** Modules that a vCPU's thread took over. */
  materialized: 'u32',
  /** Microseconds: finding regions, building WebAssembly from them, WebAssembly's own compilation; and on vCPUs' threads, taking modules over. */
  finding: 'u32',
  building: 'u32',
  compiling: 'u32',
  materializing: 'u32',
  /** Microseconds: the longest that a vCPU was held up at once, by translation of whatever kind. */
  longestHold: 'u32',
  /** What is installed now. */
  liveRegions: 'u32',
  liveModules: 'u32',
  liveBytes: 'u32',
  /** Asked for and not yet seen to. */
  waiting: 'u32',
  /** By handler: how often an instruction left a region because the interpreter has to do it. */
  fallbacks: ['u32', 4096],
});
