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

/** `Dependent.page` of one that is not in use. */
export const NO_PAGE = 0xffff_ffff;

/**
 * One translation: a function in the table of handlers, at `Control.firstSlot` + its index, in every thread that has taken its module over.
 * Changed under the code lock only. A slot is free, or has a function; then it has ended (and a thread may still be in the function), then it
 * is retired: it will be free when every run that began before `Translations.epoch` was `epoch` is over.
 */
export const Slot = struct('Slot', {
  /** Of the module that has the function; 0: there is none, or it must not be entered any more. */
  serial: 'u32',
  /** The first record of the block that it stands for. That record's `handler` is this slot. */
  record: 'u32',
  /** Address of the CachedModule. */
  module: 'u32',
  /** The next slot of its list (free, ended, retired): its index + 1, or 0. */
  next: 'u32',
  epoch: 'u32',
  dependents: [Dependent, REGION_PAGES],
});

/**
 * Before the bytes of a module: WebAssembly whose exports "0", "1", ... are the functions of `slots` u32s that follow this. Modules lie in a ring,
 * the oldest at `Translations.oldest`; one must go before its place is used again.
 */
export const CachedModule = struct('CachedModule', {
  /** Never used twice in a machine; 0: only fills the end of the ring. */
  serial: 'u32',
  /** Bytes in the ring, this included: a multiple of MODULE_ALIGN. */
  size: 'u32',
  slots: 'u32',
  /** Bytes of WebAssembly. */
  length: 'u32',
  /** Of its slots, those that have not ended. */
  live: 'u32',
});
export const MODULE_ALIGN = 32;

/** A block whose translation is asked for. */
export const TranslationRequest = struct('TranslationRequest', {
  record: 'u32',
  /** Control.generation. */
  generation: 'u32',
  /** The TLB in use, and the linear address that is offset 0 of the block's page (`Cpu.ripBase`). */
  tlb: 'u32',
  reserved: 'u32',
  base: 'u64',
});
export const TRANSLATION_REQUESTS = 1024;

/**
 * What the translator has done since the machine was made. Counts only go up, but for those of what there is now (`live…`).
 * Any thread may read it; whoever does the work adds to it with atomics.
 */
export const Translations = struct('Translations', {
  /** The number of the last module. */
  serial: 'u32',
  /** In the ring of modules: where the next goes, where the oldest is, and bytes in use. */
  newest: 'u32',
  oldest: 'u32',
  ringUsed: 'u32',
  /** Lists of slots: index + 1 of the first, or 0. Retired ones leave in the order in which they came. */
  free: 'u32',
  ended: 'u32',
  retired: 'u32',
  retiredLast: 'u32',
  /** Slots from this one to `slotsEnd` were never used. */
  fresh: 'u32',
  slotsEnd: 'u32',
  /** Counts up with every batch of slots that retire. */
  epoch: 'u32',
  /** Counts the times that code became stale: `CodePage.generation` is taken from it. */
  clock: 'u32',
  /** How many requests were put into their ring, and taken out. */
  asked: 'u32',
  taken: 'u32',
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
