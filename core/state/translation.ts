/** Translated code, as far as it is the machine's and not a thread's: which there is, what was done, and which instructions it could not do. */
import { struct } from './struct.ts';

/** Slots after the handlers in their table, for translated code. */
export const TRANSLATIONS = 8192;
/** Pages that a region may have code in. */
export const REGION_PAGES = 4;

/**
 * That a translation has code in a page: member of the page's list. It is known by its number: slot * REGION_PAGES + index + 1. A write to
 * any of the chunks (as in `CodePage`) ends the translation.
 */
export const Dependent = struct('Dependent', { next: 'u32', page: 'u32', chunks: 'u64' });

/**
 * One translation: a function in the table of handlers, at `Control.firstSlot` + its index, in every thread that has taken its module over.
 * Changed under the code lock only.
 */
export const Slot = struct('Slot', {
  /** Of the module that has the function; 0: there is none, or it must not be entered any more. */
  serial: 'u32',
  /** The first record of the block that it stands for. That record's `handler` is this slot. */
  record: 'u32',
  dependents: [Dependent, REGION_PAGES],
});

/**
 * What the translator has done since the machine was made. Counts only go up, but for those of what there is now (`live…`).
 * Any thread may read it; whoever does the work adds to it with atomics.
 */
export const Translations = struct('Translations', {
  /** The number of the last module. */
  serial: 'u32',
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
