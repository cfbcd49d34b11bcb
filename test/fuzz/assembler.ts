/** Bytes with labels. A program is a list of steps, any of which can be left out: that is how a failing one is made small. */
import { CODE, CODE_PAGES, PAGE } from './places.ts';

/** Where the address of something goes: a label, or one of the program's places that may be patched (taken modulo their number). */
export interface Fix {
  readonly at: number;
  readonly kind: 'rel8' | 'rel32' | 'abs32' | 'abs16';
  readonly label?: number;
  readonly site?: number;
  /** An address by itself, for `rel32`. */
  readonly address?: number;
  readonly add?: number;
}

/** Code bytes that may be replaced while the program runs. */
export interface Site {
  readonly at: number;
  readonly choices: readonly (readonly number[])[];
}

export interface Step {
  readonly bytes: readonly number[];
  readonly fixes: readonly Fix[];
  /** Label number -> offset in the step. */
  readonly labels: ReadonlyMap<number, number>;
  readonly sites: readonly Site[];
  /** The next step begins that many bytes before the end of a page. */
  readonly before?: number;
  /** Left out by no one. */
  readonly needed?: boolean;
}

/** An address to be stored before the program begins: 8 bytes at `at`. */
export interface Pointer {
  readonly at: number;
  readonly label: number;
}

export interface Layout {
  /** From CODE on. */
  readonly bytes: Uint8Array;
  /** Offset and length of each step. */
  readonly places: readonly { readonly offset: number; readonly length: number }[];
  readonly labels: ReadonlyMap<number, number>;
  /** Addresses of what may be patched. */
  readonly sites: readonly { readonly address: number; readonly choices: readonly (readonly number[])[] }[];
}

export const le = (n: number, bytes = 4): number[] =>
  Array.from({ length: bytes }, (_, i) => (i < 4 ? (n >> (8 * i)) & 255 : n < 0 ? 255 : 0));

const ROOM = CODE_PAGES * PAGE;
const JUMP = 5;

/** Lays steps out from CODE; undefined if they do not fit. `keep` says which of them are in. */
export function assemble(steps: readonly Step[], keep: (i: number) => boolean = () => true): Layout | undefined {
  const bytes = new Uint8Array(ROOM).fill(0xcc);
  const places: { offset: number; length: number }[] = [];
  const labels = new Map<number, number>();
  const sites: { address: number; choices: readonly (readonly number[])[] }[] = [];
  let at = 0;
  for (const [i, step] of steps.entries()) {
    const kept = step.needed || keep(i);
    if (step.before !== undefined && kept) {
      const to = (Math.floor((at + JUMP + step.before + PAGE - 1) / PAGE) || 1) * PAGE - step.before;
      if (to > ROOM - PAGE) return undefined;
      places.push({ offset: at, length: JUMP });
      bytes.set([0xe9, ...le(to - at - JUMP)], at);
      at = to;
      continue;
    }
    places.push({ offset: at, length: kept ? step.bytes.length : 0 });
    for (const [label, offset] of step.labels) labels.set(label, CODE + at + (kept ? offset : 0));
    if (!kept) continue;
    if (at + step.bytes.length > ROOM) return undefined;
    bytes.set(step.bytes, at);
    for (const s of step.sites) sites.push({ address: CODE + at + s.at, choices: s.choices });
    at += step.bytes.length;
  }
  for (const [i, step] of steps.entries()) {
    const place = places[i]!;
    if (place.length !== step.bytes.length) continue;
    for (const fix of step.fixes) {
      const where = CODE + place.offset + fix.at;
      const site = fix.site === undefined ? undefined : sites.length > 0 ? sites[fix.site % sites.length]!.address : CODE;
      const target = (fix.address ?? site ?? labels.get(fix.label!) ?? CODE) + (fix.add ?? 0);
      const width = { rel8: 1, rel32: 4, abs32: 4, abs16: 2 }[fix.kind];
      const value = fix.kind === 'rel8' || fix.kind === 'rel32' ? target - where - width : fix.kind === 'abs16' ? target - CODE : target;
      bytes.set(le(value, width), place.offset + fix.at);
    }
  }
  return { bytes, places, labels, sites };
}

/** Builds one step after the other. */
export class Assembler {
  readonly steps: Step[] = [];
  readonly pointers: Pointer[] = [];
  #labels = 0;
  #bytes: number[] = [];
  #fixes: Fix[] = [];
  #defined = new Map<number, number>();
  #sites: Site[] = [];

  label(): number {
    return this.#labels++;
  }
  /** Bytes so far in the step. */
  get length(): number {
    return this.#bytes.length;
  }
  put(...bytes: number[]): this {
    for (const b of bytes) this.#bytes.push(b & 255);
    return this;
  }
  here(label: number): this {
    this.#defined.set(label, this.#bytes.length);
    return this;
  }
  fix(kind: Fix['kind'], of: { label?: number; site?: number; address?: number; add?: number }): this {
    this.#fixes.push({ at: this.#bytes.length, kind, ...of });
    for (let n = { rel8: 1, rel32: 4, abs32: 4, abs16: 2 }[kind]; n > 0; n--) this.#bytes.push(0);
    return this;
  }
  /** The last `length` bytes may be replaced by any of these. */
  site(length: number, choices: readonly (readonly number[])[]): this {
    this.#sites.push({ at: this.#bytes.length - length, choices });
    return this;
  }
  /** Ends the step. */
  step(needed = false): void {
    const step = { bytes: this.#bytes, fixes: this.#fixes, labels: this.#defined, sites: this.#sites };
    this.steps.push(needed ? { ...step, needed } : step);
    this.#bytes = [];
    this.#fixes = [];
    this.#defined = new Map();
    this.#sites = [];
  }
  /** What follows begins `before` bytes before a page's end. */
  place(before: number): void {
    this.steps.push({ bytes: [], fixes: [], labels: new Map(), sites: [], before });
  }
}
