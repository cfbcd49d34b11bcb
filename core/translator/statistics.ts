/** What the translator has done for a machine, read from the machine's memory: by any thread, at any time. */
import { handlerRow } from '../processor/handlers.ts';
import { Control, Translations } from '../state/index.ts';

/** Everything since the machine was made, but for `live` and `waiting`. */
export interface TranslationStatistics {
  readonly regions: number;
  readonly modules: number;
  /** The guest's instructions, and bytes of its code, in regions. */
  readonly instructions: number;
  readonly guestBytes: number;
  /** Bytes of WebAssembly. */
  readonly bytes: number;
  /** Seconds: finding regions, building them, WebAssembly's compilation of them (in the background, where there is a compiler's thread). */
  readonly finding: number;
  readonly building: number;
  readonly compiling: number;
  /** Seconds on vCPUs' threads, for taking over what was compiled. */
  readonly materializing: number;
  /** Regions that could not be built; that became stale; that made room; that were overtaken by a change of what they were made from. */
  readonly failures: number;
  readonly invalidated: number;
  readonly evicted: number;
  readonly overtaken: number;
  /** Milliseconds: the longest that a vCPU was held up at once. */
  readonly longestHold: number;
  /** What is there now. */
  readonly live: { readonly regions: number; readonly modules: number; readonly bytes: number };
  /** Regions asked for and not yet there. */
  readonly waiting: number;
  /** Instructions that left a region because the interpreter has to do them: how often, by mnemonic and operands. */
  readonly fallbacks: Readonly<Record<string, number>>;
}

const MICROSECONDS = 1e6;

export function translationStatistics(buffer: ArrayBufferLike): TranslationStatistics {
  const s = Translations.view(buffer, Control.view(buffer, 0).translations);
  const fallbacks: Record<string, number> = {};
  const counts = new Uint32Array(buffer, s.address + Translations.offsets.fallbacks, s.fallbacks.length);
  counts.forEach((count, handler) => {
    const name = count > 0 && handlerRow(handler)?.row.text;
    if (!name) return;
    const short = name.split('|')[1]?.trim() ?? name;
    fallbacks[short] = (fallbacks[short] ?? 0) + count;
  });
  return {
    regions: s.regions,
    modules: s.modules,
    instructions: s.guestInstructions,
    guestBytes: s.guestBytes,
    bytes: s.bytes,
    finding: s.finding / MICROSECONDS,
    building: s.building / MICROSECONDS,
    compiling: s.compiling / MICROSECONDS,
    materializing: s.materializing / MICROSECONDS,
    failures: s.failures,
    invalidated: s.invalidated,
    evicted: s.evicted,
    overtaken: s.overtaken,
    longestHold: s.longestHold / 1000,
    live: { regions: s.liveRegions, modules: s.liveModules, bytes: s.liveBytes },
    waiting: s.waiting,
    fallbacks,
  };
}

type Count = Exclude<keyof typeof Translations.offsets, 'fallbacks' | 'longestHold'>;

export interface Counter {
  /** Adds to a count; times are in microseconds. */
  (name: Count, by?: number): void;
  /** A vCPU was held up for so many microseconds. */
  hold(microseconds: number): void;
}

/** Writes what `translationStatistics` reads. */
export function counter(buffer: ArrayBufferLike): Counter {
  const words = new Uint32Array(buffer);
  const base = Control.view(buffer, 0).translations;
  const at = (name: keyof typeof Translations.offsets): number => (base + Translations.offsets[name]) >> 2;
  return Object.assign((name: Count, by = 1) => void Atomics.add(words, at(name), Math.round(by)), {
    hold(microseconds: number): void {
      const index = at('longestHold');
      if (microseconds > Atomics.load(words, index)) Atomics.store(words, index, Math.round(microseconds));
    },
  });
}
