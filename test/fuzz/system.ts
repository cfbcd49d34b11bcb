/** Chunks that are the system's business: rings, mappings, ports, debug registers, segments, far transfers. */
import { le } from './assembler.ts';
import type { Generator } from './generate.ts';
import type { Mode } from './instructions.ts';
import * as P from './places.ts';

const SERVICES = [P.SERVICE_UNFIX, P.SERVICE_SWAP, P.SERVICE_EXECUTE, P.SERVICE_SPACE];

export class System {
  readonly #g: Generator;
  /** The ring that the program believes to be in; after a fault it may be in the other. */
  #ring: number;

  constructor(g: Generator, ring: number) {
    this.#g = g;
    this.#ring = ring;
  }

  put(): void {
    const g = this.#g;
    const { a } = g;
    // Ring 0 is where most of it works; elsewhere it faults, which is as good.
    switch (g.random(16)) {
      case 0:
        return this.#rings();
      case 1:
      case 2:
        return this.#service();
      case 3:
      case 4:
        return this.#ports();
      case 5:
        return this.#step();
      case 6:
        return this.#breakpoints();
      case 7:
        return this.#segments();
      case 8:
        return this.#controls();
      case 9:
      case 10:
        return this.#mapping();
      case 11:
        return this.#syscall();
      case 12:
        return this.#elsewhere();
      case 13:
        a.put(g.pick([0xcc, 0xf1, 0x9c])).step();
        a.put(g.pick([0xfa, 0xfb])).step();
        return g.several(3);
      case 14:
        // INT n: anything
        a.put(0xcd, g.pick([3, 4, 6, 13, 14, 32, 0x40, 0x83])).step();
        return g.several(2);
      default:
        // sti; hlt after an interrupt was asked for, or a shadow
        a.put(0xe6, P.PORT_INTERRUPT, 0xfb).step();
        return g.several(3);
    }
  }

  #rings(): void {
    const g = this.#g;
    const { a } = g;
    if (g.one(3) && this.#ring === 0) {
      // IRET to ring 3
      const there = a.label();
      const w = g.bits === 64 ? [0x48] : [];
      const r = g.pick([0, 2]);
      a.put(...w, 0x89, 0xe0 | r, 0x6a, P.USER_DATA, 0x50 | r, 0x9c, 0x6a, g.bits === 64 ? P.USER_CODE64 : P.USER_CODE32, 0x68);
      a.fix('abs32', { label: there }).put(...w, 0xcf).step(); // prettier-ignore
      a.here(there).step();
      this.#ring = 3;
    } else {
      this.#ring = this.#ring ? 0 : 3;
      a.put(0xcd, this.#ring ? P.SERVICE_USER : P.SERVICE_KERNEL).step();
    }
    g.several(4);
  }

  #service(): void {
    const g = this.#g;
    const body = (): void => {
      g.several(2);
      g.a.put(0xcd, g.pick(SERVICES)).step();
      g.several(2);
    };
    if (g.one(2)) g.loop(1 + g.random(6), body);
    else body();
  }

  #ports(): void {
    const g = this.#g;
    const { a } = g;
    const port = (): number =>
      g.pick([P.PORT_INTERRUPT, P.PORT_INTERRUPT, P.PORT_NMI, P.PORT_PATCH, P.PORT_PATCH, P.PORT_DATA, P.PORT_KICK]);
    const body = (): void => {
      if (g.one(5)) a.put(0x0f, 0x31).step();
      else if (g.one(4)) a.put(g.pick([0xe4, 0xe5]), port()).step();
      else if (g.one(2)) a.put(g.pick([0xe6, 0xe7]), port()).step();
      else a.put(0xba, ...le(port()), g.pick([0xee, 0xef, 0xec, 0xed])).step();
      g.several(2);
    };
    if (g.one(2)) g.loop(1 + g.random(8), body);
    else body();
  }

  /** Sets TF for a few instructions. */
  #step(): void {
    const g = this.#g;
    const { a } = g;
    a.put(0xc7, ...g.absolute(0, P.CONTROL + P.STEPS), ...le(1 + g.random(12)));
    a.put(0x9c, 0x81, 0x0c, 0x24, ...le(0x100), 0x9d).step();
    if (g.one(2)) g.loop(2, () => g.piece());
    else g.several(8);
  }

  #breakpoints(): void {
    const g = this.#g;
    const { a, random } = g;
    const code = a.label();
    const n = random(4);
    const kind = g.pick([0, 1, 3]);
    // mov eax, address; mov drN, eax; mov eax, dr7; mov dr7, eax
    a.put(0xc7, ...g.absolute(0, P.CONTROL + P.STEPS), ...le(random(3)), 0xb8);
    if (kind === 0) a.fix('abs32', { label: code });
    else a.put(...le(P.DATA + random(0x100) * 16));
    a.put(0x0f, 0x23, 0xc0 | (n << 3), 0xb8, ...le((2 << (n * 2)) | (kind << (16 + n * 4)) | ((kind === 0 ? 0 : g.pick([0, 1, 3])) << (18 + n * 4)) | 0x400), 0x0f, 0x23, 0xf8).step(); // prettier-ignore
    if (g.one(2)) g.several(2);
    a.here(code).step();
    g.loop(1 + random(3), () => g.several(4));
    a.put(0x31, 0xc0, 0x0f, 0x23, 0xf8).step();
  }

  /** Data segments other than flat, for a while. */
  #segments(): void {
    const g = this.#g;
    const { a } = g;
    const load = (register: number, selector: number): void => a.put(0xb8, ...le(selector), 0x8e, 0xc0 | (register << 3)).step();
    const register = g.pick([0, 3, 3, 4, 5]);
    const selector = g.pick([P.SMALL_DATA, P.DOWN_DATA, P.BASED_DATA, P.READ_DATA, P.USER_DATA, 0, 0x1234]);
    load(register, selector);
    if (selector === P.SMALL_DATA || selector === P.BASED_DATA)
      for (const r of [3, 6]) if (g.one(2)) a.put(0xb8 | r, ...le(g.random(0x900))).step();
    if (g.one(2)) g.loop(1 + g.random(6), () => g.several(4));
    else g.several(6);
    if (g.one(4)) {
      // The stack: a shadow follows
      a.put(0x8c, 0xd0, 0x8e, 0xd0).step();
      g.several(2);
    }
    a.put(0x6a, P.USER_DATA);
    if (register === 4 || register === 5) a.put(0x0f, 0xa1 + (register - 4) * 8).step();
    else if (g.bits === 32) a.put(register === 0 ? 0x07 : 0x1f).step();
    else a.put(0x58, 0x8e, 0xc0 | (register << 3)).step();
  }

  /** CR0, CR3, CR4, MSRs. */
  #controls(): void {
    const g = this.#g;
    const { a } = g;
    const flip = (register: number, bit: number): void =>
      a.put(0x0f, 0x20, 0xc0 | (register << 3), 0x0f, 0xba, 0xf8, bit, 0x0f, 0x22, 0xc0 | (register << 3)).step();
    const [register, bit] = g.pick([[0, 3], [0, 3], [0, 2], [0, 16], [0, 18], [4, 7], [4, 9], [4, 2], [4, 21]] as const); // prettier-ignore
    if (g.one(5)) a.put(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8).step();
    flip(register, bit);
    if (g.one(2)) g.several(4);
    else g.loop(2, () => g.several(3));
    if (g.one(2)) flip(register, bit);
  }

  /** Entries of the page table, changed by hand; with or without INVLPG. */
  #mapping(): void {
    const g = this.#g;
    const { a, random } = g;
    const size = g.entrySize;
    const page = g.pick([1, 2, 3, 4, 5, 6, 0x40, 0x41, 0x50, 0x51]);
    const linear = P.DATA + page * P.PAGE;
    const at = P.TABLES + 0x3000 + (linear >>> 12) * size;
    const body = (): void => {
      const bits = g.pick([0x67, 0x65, 0x27, 0x07, 0x63, 0x66, 0x25]);
      const to = page >= 0x50 ? P.CODE + random(4) * P.PAGE : P.DATA + (1 + random(3)) * P.PAGE;
      a.put(0xc7, ...g.absolute(0, at), ...le(to | bits)).step();
      if (!g.one(4)) a.put(0x0f, 0x01, ...g.absolute(7, linear)).step();
      else if (g.one(2)) a.put(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8).step();
      if (g.one(2)) a.put(g.pick([0x8b, 0x89, 0x01, 0x29]), ...g.absolute(g.pick([0, 2]), linear + random(0xf00))).step();
      g.several(2);
    };
    if (g.one(2)) g.loop(1 + random(6), body);
    else body();
  }

  #syscall(): void {
    const g = this.#g;
    const { a } = g;
    const body = (): void => {
      if (g.bits === 64 && !g.one(3)) a.put(0x0f, 0x05).step();
      else {
        const back = a.label();
        // mov edx, back; mov ecx, esp; sysenter
        a.put(0xba).fix('abs32', { label: back }).put(0x89, 0xe1, 0x0f, 0x34); // prettier-ignore
        a.here(back).step();
      }
      g.several(3);
    };
    if (g.one(2)) g.loop(1 + g.random(5), body);
    else body();
    this.#ring = 3;
  }

  /** The same code at another linear address. */
  #elsewhere(): void {
    const g = this.#g;
    const { a } = g;
    const [there, back] = [a.label(), a.label()];
    const body = (): void => {
      // mov eax, there + the distance; jmp eax; there: ...; mov eax, back; jmp eax
      a.put(0xb8).fix('abs32', { label: there, add: P.EXECUTE_ALIAS - P.CODE }).put(0xff, 0xe0).step(); // prettier-ignore
      a.here(there).step();
      g.piece();
      a.put(0xb8).fix('abs32', { label: back }).put(0xff, 0xe0).step(); // prettier-ignore
      a.here(back).step();
      if (g.one(2)) a.put(0xcd, P.SERVICE_EXECUTE).step();
    };
    if (g.one(2)) g.loop(1 + g.random(8), body);
    else body();
  }

  /** Into a segment of another size. */
  farTo(mode: Mode, label: number): void {
    const g = this.#g;
    const { a } = g;
    const user = this.#ring === 3;
    const selector = mode === 16 ? (user ? P.USER_CODE16 : P.KERNEL_CODE16) : user ? P.USER_CODE32 : P.KERNEL_CODE32;
    // An offset in a segment that begins at CODE fits 16 bits.
    if (g.bits === 64) {
      a.put(0x68, ...le(selector), 0x68).fix('abs32', { label, add: mode === 16 ? -P.CODE : 0 }).put(0x48, 0xcb).step(true); // prettier-ignore
    } else a.put(0xea).fix('abs32', { label, add: -P.CODE }).put(...le(selector, 2)).step(true); // prettier-ignore
  }

  farBack(mode: Mode, label: number): void {
    const g = this.#g;
    const user = this.#ring === 3;
    const selector = user ? (g.bits === 64 ? P.USER_CODE64 : P.USER_CODE32) : P.KERNEL_CODE;
    g.a.put(...(mode === 16 ? [0x66] : []), 0xea).fix('abs32', { label }).put(...le(selector, 2)).step(true); // prettier-ignore
  }
}
