/** What is run: code, the machine's settings, and what happens from outside. Made by generate.ts from a seed, smaller by shrink.ts. */
import type { Pointer, Step } from './assembler.ts';
import type { Bits } from './kernel.ts';

export interface Settings {
  readonly bits: Bits;
  /** 32-bit mode with 8-byte page-table entries. */
  readonly pae: boolean;
  /** CPL at first: 0 or 3. */
  readonly ring: number;
  readonly flags: number;
  readonly cr0: number;
  readonly cr4: number;
  readonly mxcsr: number;
  readonly fpuControl: number;
  /** Fills registers and data. */
  readonly fill: number;
}

/** How the engine under test runs it. */
export interface Pace {
  /** Entries of a block before its translation is asked for. */
  readonly after: number;
  /** When that is done: while the program waits; at its next stop; or for all that it comes to, before it begins. */
  readonly compile: 'at once' | 'at stops' | 'before';
  /** Regions of a module. */
  readonly batch: number;
  /** How large regions may be. */
  readonly regions: 'tiny' | 'small' | 'large';
  /** Entries after which a region is made anew, larger. */
  readonly revisit: number;
  /** Most instructions a turn has. */
  readonly turn: number;
  /** One in so many stops brings an interrupt, an NMI, a write by a device: 0 none. */
  readonly interrupts: number;
  readonly patches: number;
  /** Drawn from for all of these. */
  readonly seed: number;
  /** Instructions after which the program is over. */
  readonly most: number;
}

export interface Program {
  readonly settings: Settings;
  readonly pace: Pace;
  readonly steps: readonly Step[];
  readonly pointers: readonly Pointer[];
}
