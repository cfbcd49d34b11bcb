/** From a seed to a program: chunks of code, each with a place where the handler goes on if it fails. */
import { numbers } from '../../core/translator/testing.ts';
import { Assembler, le } from './assembler.ts';
import { Instructions, pointers, computing, type Group, type Mode, type Random } from './instructions.ts';
import type { Bits, EntrySize } from './kernel.ts';
import * as P from './places.ts';
import type { Pace, Program, Settings } from './program.ts';
import { System } from './system.ts';

export interface Options {
  readonly bits?: Bits;
  /** Instructions after which a program is over. */
  readonly most?: number;
  /** FULL_*: programs run fully virtualized on the tested engine, and bare on the reference. */
  readonly full?: number;
}

/** What a program is about: weights of its chunks. */
type Weights = Readonly<Record<Kind, number>>;
const KINDS = [
  'straight',
  'loop',
  'nested',
  'call',
  'indirect',
  'skip',
  'string',
  'patch',
  'cross',
  'system',
  'garbage',
  'narrow',
] as const;
type Kind = (typeof KINDS)[number];

export class Generator {
  readonly a = new Assembler();
  readonly random: Random;
  readonly bits: Bits;
  readonly i: Instructions;
  readonly #groups: readonly Group[];
  readonly #weights: Weights;
  readonly #system: System;
  #counters = 0;
  #table = 0;

  readonly entrySize: EntrySize;

  constructor(random: Random, { bits, ring, pae }: Settings) {
    this.entrySize = bits === 64 || pae ? 8 : 4;
    this.random = random;
    this.bits = bits;
    this.i = new Instructions(this.a, random, bits);
    const groups: Group[] = ['common', 'common', 'common', 'plain', 'plain'];
    if (random(3) === 0) groups.push('simd', 'simd');
    if (random(4) === 0) groups.push('x87', 'x87');
    if (random(3) === 0) groups.push('other');
    this.#groups = groups;
    const some = (most: number): number => (random(2) ? 0 : random(most));
    this.#weights = {
      straight: 4, loop: 6, nested: some(4), call: 1 + some(6), indirect: some(6), skip: 1 + some(6), string: some(6), patch: some(8),
      cross: some(5), system: some(10), garbage: random(10) ? 0 : 1, narrow: some(3),
    }; // prettier-ignore
    this.#system = new System(this, ring);
  }

  pick<T>(of: readonly T[]): T {
    return of[this.random(of.length)]!;
  }
  one(in_: number): boolean {
    return this.random(in_) === 0;
  }

  /** [address] as the memory operand of an opcode, with `reg` in modrm.reg; immediate bytes follow. */
  absolute(reg: number, address: number): number[] {
    return this.bits === 64 ? [(reg << 3) | 4, 0x25, ...le(address)] : [(reg << 3) | 5, ...le(address)];
  }

  /** One random instruction, or a short idiom. */
  simple(i: Instructions = this.i): void {
    const { a, random } = this;
    const { mode } = i;
    if (mode !== 16 && this.one(10)) {
      const r = this.pick(computing(mode).filter((n) => n < 8));
      const s = this.pick(computing(mode).filter((n) => n < 8));
      this.pick([
        () => a.put(0x50 | r, 0x58 | s),
        () => a.put(0x9c, 0x58 | r),
        () => a.put(0x6a, random(256), 0x58 | r),
        () => a.put(0x68, ...le(random(0x1_0000_0000) | 0), 0x58 | r),
        () => a.put(0xff, 0x70 | this.pick([3, 5, 6, 7]), random(64), 0x58 | r),
        () => a.put(0x8d, 0x64, 0x24, 0xf0, 0x8f, 0x04, 0x24, 0x8d, 0x64, 0x24, 0x10),
        () => a.put(0x55, 0x89, 0xe5, 0xc9),
        () => a.put(0x9c, 0x9d),
        () => a.put(this.pick([0xf8, 0xf9, 0xf5, 0x9f, 0x9e, 0x90, 0x98, 0x99])),
      ])();
    } else i.put(this.pick(this.#groups));
    a.step();
  }

  several(most: number): void {
    for (let n = 1 + this.random(most); n > 0; n--) this.simple();
  }

  /** A conditional branch over a few instructions. */
  skip(): void {
    const { a } = this;
    const over = a.label();
    if (this.one(3)) a.put(0x0f, 0x80 | this.random(16)).fix('rel32', { label: over });
    else a.put(0x70 | this.random(16)).fix('rel8', { label: over });
    a.step();
    this.several(3);
    a.here(over).step();
  }

  piece(): void {
    this.several(3);
    if (this.one(3)) this.skip();
    if (this.one(5)) this.several(4);
  }

  /** Repeats what `body` makes, in one of the ways programs do it. */
  loop(times: number, body: () => void): void {
    const { a } = this;
    const top = a.label();
    const way = this.random(4);
    const counter = P.CONTROL + P.COUNTERS + (this.#counters++ % 64) * 4;
    if (way === 0) a.put(0xb9, ...le(times)).step();
    else a.put(0xc7, ...this.absolute(0, counter), ...le(times)).step();
    a.here(top).step();
    body();
    if (way === 0) {
      // dec ecx; jnz: what the body does to ECX counts too
      if (this.one(2)) a.put(0xff, 0xc9, 0x0f, 0x85).fix('rel32', { label: top });
      else a.put(0xff, 0xc9, 0x74, 5, 0xe9).fix('rel32', { label: top });
    } else if (way === 1) a.put(0x83, ...this.absolute(5, counter), 1, 0x0f, 0x8f).fix('rel32', { label: top });
    else a.put(0xff, ...this.absolute(1, counter), 0x0f, 0x85).fix('rel32', { label: top });
    a.step();
  }

  #call(): void {
    const { a } = this;
    const [after, f] = [a.label(), a.label()];
    const bytes = this.one(4) ? this.random(3) * 8 : -1;
    const call = (): void => {
      if (bytes >= 0) for (let n = 0; n < bytes; n += this.bits / 8) a.put(0x6a, n);
      if (this.one(4)) {
        // Through a register
        const r = this.pick([0, 2]);
        a.put(0xb8 | r).fix('abs32', { label: f }).put(0xff, 0xd0 | r); // prettier-ignore
      } else a.put(0xe8).fix('rel32', { label: f });
      a.step();
    };
    const inside = (): void => {
      call();
      if (this.one(2)) this.several(2);
      if (this.one(3)) call();
    };
    if (this.one(2)) this.loop(1 + this.random(12), inside);
    else inside();
    a.put(0xe9).fix('rel32', { label: after }).step(); // prettier-ignore
    if (this.one(6)) a.place(this.random(24));
    a.here(f).step();
    this.piece();
    if (bytes >= 0) a.put(0xc2, bytes, 0).step();
    else a.put(...(this.one(10) ? [0xf3] : []), 0xc3).step();
    a.here(after).step();
  }

  /** Jumps through a table, or a register, to one of a few places. */
  #indirect(): void {
    const { a } = this;
    const ways = 1 + this.random(4);
    const labels = Array.from({ length: ways }, () => a.label());
    const after = a.label();
    const table = P.CONTROL + P.JUMPS + (this.#table++ % 16) * 64;
    labels.forEach((label, n) => a.pointers.push({ at: table + n * 8, label }));
    for (let n = ways; n < 4; n++) a.pointers.push({ at: table + n * 8, label: labels[n % ways]! });
    const body = (): void => {
      const r = this.pick([0, 2]);
      // and r, 3; jmp [table + r * 8], or mov r, ..; jmp r
      a.put(0x83, 0xe0 | r, 3);
      if (this.one(2)) a.put(0xff, 0x24, 0xc5 | (r << 3), ...le(table));
      else a.put(0x8b, (r << 3) | 4, 0xc5 | (r << 3), ...le(table), 0xff, 0xe0 | r);
      a.step();
      for (const label of labels) {
        a.here(label).step();
        this.several(2);
        if (this.one(2)) a.put(0xeb).fix('rel8', { label: after }).step(); // prettier-ignore
      }
      a.here(after).step();
      this.several(1);
    };
    if (this.one(2)) this.loop(1 + this.random(10), body);
    else body();
  }

  #string(): void {
    const { a, random } = this;
    const times = this.one(3) ? 1 + random(6) : 1;
    const body = (): void => {
      for (const r of [6, 7]) if (!this.one(6)) this.i.point(r);
      a.put(0xb9, ...le(this.one(8) ? random(3000) : random(40)));
      if (this.one(6)) a.put(0xfd);
      a.step();
      const wide = this.bits === 64 && this.one(3) ? [0x48] : this.one(6) ? [0x66] : [];
      const rep = this.one(4) ? [] : [this.pick([0xf3, 0xf3, 0xf2])];
      const segment = this.one(8) ? [this.pick([0x64, 0x65, 0x26, 0x2e])] : [];
      const small = this.one(12) ? [0x67] : [];
      const opcode = this.pick([0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xa7, 0xae, 0xaf, 0xac, 0xad, 0xa4, 0xa5, 0xaa, 0xab, 0x6e, 0x6c]);
      a.put(...segment, ...small, ...(wide[0] === 0x66 ? wide : []), ...rep, ...(wide[0] === 0x48 ? wide : []), opcode).step();
      a.put(0xfc).step();
      if (this.one(3)) this.several(2);
    };
    if (times > 1) this.loop(times, body);
    else body();
  }

  /** Writes code: the next instruction's immediate, or any place that may be patched; directly, or through another mapping. */
  #patch(): void {
    const { a, random } = this;
    const way = (): number => this.pick([0, 0, 0, P.CODE_ALIAS - P.CODE]);
    const body = (): void => {
      if (this.one(2)) {
        const target = a.label();
        const r = this.pick([0, 2]);
        // mov byte [target + 1], n; perhaps a jump; target: mov r, imm32
        a.put(0xc6);
        this.#to(0, { label: target, add: 1 + random(4) + way() }, 1);
        a.put(random(256));
        if (this.one(3)) a.put(0xeb, 0);
        a.here(target).put(0xb8 | r, ...le(random(256)));
        a.site(4, [le(random(256)), le(random(0x1_0000_0000) | 0), le(0)]).step();
      } else {
        const site = random(0x10000);
        const kind = random(3);
        a.put([0x80, 0xc6, 0xc7][kind]!);
        this.#to(kind === 0 ? 6 : 0, { site, add: way() - (kind === 2 ? 1 : 0) }, kind === 2 ? 4 : 1);
        if (kind === 0) a.put(1 << random(8)).step();
        else if (kind === 1) a.put(this.pick([0x01, 0x29, 0x31, 0x05, 0x90, random(256)])).step();
        else a.put(...this.i.immediate(4)).step();
      }
      if (this.one(2)) this.several(2);
    };
    if (this.one(2)) this.loop(1 + random(8), body);
    else body();
  }

  /** A memory operand at a label or site; `after` immediate bytes follow. */
  #to(reg: number, of: { label?: number; site?: number; add: number }, after: number): void {
    const { a } = this;
    if (this.bits === 64 && this.one(3)) a.put((reg << 3) | 5).fix('rel32', { ...of, add: of.add - after });
    else a.put(...(this.bits === 64 ? [(reg << 3) | 4, 0x25] : [(reg << 3) | 5])).fix('abs32', of);
  }

  #garbage(): void {
    this.a.put(...Array.from({ length: 1 + this.random(24) }, () => this.random(256))).step();
  }

  /** A piece of 16-bit code, or in 64-bit mode of 32-bit code; and back. */
  #narrow(): void {
    const { a } = this;
    const mode: Mode = this.bits === 64 && this.one(2) ? 32 : 16;
    const [in_, out] = [a.label(), a.label()];
    this.#system.farTo(mode, in_);
    a.here(in_).step(true);
    const narrow = new Instructions(a, this.random, mode);
    const body = (): void => {
      for (let n = 1 + this.random(4); n > 0; n--) this.simple(narrow);
    };
    body();
    if (this.one(2)) {
      // mov cx, n; top: ...; loop
      const top = a.label();
      a.put(...(mode === 16 ? [0x66] : []), 0xb9, ...le(1 + this.random(6)));
      a.here(top).step();
      body();
      a.put(0xe2).fix('rel8', { label: top }).step(); // prettier-ignore
    }
    this.#system.farBack(mode, out);
    a.here(out).step(true);
  }

  chunk(): void {
    const { a, random } = this;
    // Where to go on after a fault: filled in at the end.
    const end = a.label();
    a.put(0xc7, ...this.absolute(0, P.CONTROL + P.RECOVER)).fix('abs32', { label: end }).step(); // prettier-ignore
    for (const r of pointers(this.bits))
      if (this.one(3)) {
        this.i.point(r);
        a.step();
      }
    const total = KINDS.reduce((sum, kind) => sum + this.#weights[kind], 0);
    let n = random(total);
    const kind = KINDS.find((k) => (n -= this.#weights[k]) < 0)!;
    this.make(kind);
    a.here(end).step();
  }

  make(kind: Kind): void {
    const { a, random } = this;
    switch (kind) {
      case 'straight':
        return this.several(8);
      case 'loop':
        return this.loop(1 + random(20), () => this.piece());
      case 'nested':
        return this.loop(1 + random(5), () => {
          this.several(2);
          this.loop(1 + random(6), () => this.piece());
          if (this.one(2)) this.skip();
        });
      case 'call':
        return this.#call();
      case 'indirect':
        return this.#indirect();
      case 'skip':
        this.skip();
        return this.skip();
      case 'string':
        return this.#string();
      case 'patch':
        return this.#patch();
      case 'cross':
        a.place(1 + random(20));
        return this.one(2) ? this.loop(1 + random(10), () => this.piece()) : this.several(8);
      case 'system':
        return this.#system.put();
      case 'garbage':
        return this.#garbage();
      case 'narrow':
        return this.#narrow();
    }
  }
}

const PG_PE_ET_MP_NE = 0x80000033;
const WP = 0x10000;
const AM = 0x40000;
const PAE = 0x20;
const PGE = 0x80;
const OS_SSE = 0x600;
const SMAP = 0x200000;

function settings(random: Random, bits: Bits): Settings {
  const ring = random(2) * 3;
  const pae = bits === 32 && random(2) === 0;
  const smap = ring === 0 && random(12) === 0;
  const aligned = random(16) === 0;
  return {
    bits,
    pae,
    ring,
    // IF mostly; IOPL 3 half of the time; AC for SMAP or alignment checks
    flags: 2 | (random(4) ? 0x200 : 0) | (random(2) ? 0x3000 : 0) | ((smap && random(3)) || aligned ? 0x40000 : 0),
    cr0: (PG_PE_ET_MP_NE | (random(6) ? WP : 0) | (aligned ? AM : 0)) >>> 0,
    cr4: (bits === 64 || pae ? PAE : 0) | (random(2) ? PGE : 0) | OS_SSE | (smap ? SMAP : 0),
    mxcsr: random(6) ? 0x1f80 | (random(3) ? 0 : random(4) << 13) : 0x1f80 & ~(random(64) << 7),
    fpuControl: random(6) ? 0x37f : 0x37f & ~random(64) & ~(random(4) << 8),
    fill: random(0x1_0000_0000),
  };
}

function pace(random: Random, most: number): Pace {
  const eager = random(3) !== 0;
  return {
    after: eager ? 1 : 1 + random(8),
    compile: (['at once', 'at stops', 'before'] as const)[Math.min(random(8), 2)]!,
    batch: random(8) ? 32 : 1,
    regions: (['tiny', 'tiny', 'small', 'large'] as const)[random(4)]!,
    revisit: random(4) ? 1 << 15 : 16,
    turn: [10, 100, 100, 500, 2000][random(5)]!,
    interrupts: random(2) ? 0 : 1 + random(6),
    patches: random(4) ? 0 : 2 + random(8),
    seed: random(0x1_0000_0000),
    most,
  };
}

export function generate(seed: number, options: Options = {}): Program {
  const random = numbers(seed);
  const bits = options.bits ?? (random(2) ? 64 : 32);
  const set = settings(random, bits);
  const way = pace(random, options.most ?? 3000);
  const g = new Generator(random, set);
  for (const r of pointers(bits)) g.i.point(r);
  g.a.step();
  for (let n = 2 + random(8); n > 0; n--) g.chunk();
  // It begins again, until it has had its time.
  const { a } = g;
  a.put(0xe9).fix('rel32', { address: P.CODE }).step(true); // prettier-ignore
  return { settings: set, pace: way, steps: a.steps, pointers: a.pointers };
}
