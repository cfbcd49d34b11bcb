/** For tests: a bare machine, and random programs for it that compute, branch, loop, fault, cross pages and write their own code. */
import { createEngine, type Engine, type EngineOptions } from '../processor/engine.ts';
import type { EngineModules } from '../processor/modules.ts';
import { CODE_32, CODE_64, CPUS, Control, Cpu, EXIT_HALT, layout, MAGIC, MIB, VERSION } from '../state/index.ts';

const RAM = 2 * MIB;
const IDT = 0x5000;
const GDT = 0x6000;
const HANDLER = 0x8000;
const TABLES = 0x10000;
export const STACK = 0x9f000;
/** Doublewords: where handlers go on, how many faults there were, how often the program still repeats. */
const RECOVER = 0x7000;
const FAULTS = 0x7010;
const COUNT = 0x7020;
export const CODE = 0x40000;
const DATA = 0x80000;
const ABSENT = 0x83000;
const READ_ONLY = 0x86000;

/** Of a machine without devices. */
export const BUS: Parameters<typeof createEngine>[1] = {
  readPort: () => 0xffffffff,
  writePort: () => {},
  readMmio: () => 0xffffffff,
  writeMmio: () => {},
  acknowledgeInterrupt: () => -1,
  tsc: () => 0,
  taskPriority: () => {},
  readTaskPriority: () => 0,
  apicMsr: () => {},
  note: () => {},
};

/** A small generator of numbers (Mulberry32): the same seed gives the same program. */
export function numbers(seed: number): (below: number) => number {
  let s = seed >>> 0;
  return (below) => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

export class TestMachine {
  readonly engine: Engine;
  readonly memory: WebAssembly.Memory;
  readonly state;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #ram: number;
  retired = 0;

  constructor(bits: 32 | 64, modules: EngineModules, options: EngineOptions = {}, bus: Partial<typeof BUS> = {}) {
    const { pages, ram, ...places } = layout(1, RAM);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#ram = ram;
    this.memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    Object.assign(Control.view(memory.buffer, 0), {
      ...places,
      ram,
      magic: MAGIC,
      version: VERSION,
      cpus: CPUS,
      recordsNext: places.records,
    });
    this.state = Cpu.view(memory.buffer, CPUS);
    this.state.features.fill(0xffffffff);
    this.engine = createEngine(memory, { ...BUS, ...bus }, modules, options);
    this.#tables(bits);
    const { state } = this;
    const data = { base: 0, limit: 0xffffffff, attributes: 0xc093, selector: 0x10 };
    const code = { ...data, attributes: bits === 64 ? 0xa09b : 0xc09b, selector: bits === 64 ? 8 : 0x18 };
    const none = { base: 0, limit: 0, attributes: 0x10000, selector: 0 };
    for (const [i, s] of [data, code, data, data, data, data, none, none].entries()) Object.assign(state.segments[i]!, s);
    Object.assign(state.gdtr, { base: GDT, limit: 0x1f });
    Object.assign(state.idtr, { base: IDT, limit: 0xfff });
    state.cr0 = 0x80010033;
    state.cr3 = TABLES;
    state.cr4 = bits === 64 ? 0x620 : 0x600;
    state.efer = bits === 64 ? 0xd00 : 0;
    state.codeSize = bits === 64 ? CODE_64 : CODE_32;
    state.eflags = 2;
    state.mxcsr = 0x1f80;
    state.fpuControl = 0x37f;
    state.fpuTag = 0xffff;
    state.physicalMask = 2 ** 40 - 1;
    state.delivering = 0xffffffff;
    state.rip = CODE;
    state.gpr.set(4, STACK);
    this.engine.helpers.updateReach(CPUS);
    this.engine.helpers.updateTlbMode(CPUS);
    // An empty TLB is not all zeros.
    this.engine.helpers.resetTlb(CPUS);
  }

  put(at: number, bytes: ArrayLike<number>): void {
    this.#bytes.set(bytes, this.#ram + at);
  }

  /** A doubleword of RAM. */
  read32(at: number): number {
    return this.#view.getInt32(this.#ram + at, true);
  }

  #words(at: number, ...words: number[]): void {
    words.forEach((w, i) => this.#view.setUint32(this.#ram + at + i * 4, w, true));
  }

  #tables(bits: 32 | 64): void {
    const entry = (page: number): number => {
      const at = page * 4096;
      if (at === ABSENT) return 0;
      return at | 0x61 | (at === READ_ONLY ? 0 : 2);
    };
    if (bits === 64) {
      this.#words(TABLES, (TABLES + 0x1000) | 0x27, 0);
      this.#words(TABLES + 0x1000, (TABLES + 0x2000) | 0x27, 0);
      this.#words(TABLES + 0x2000, (TABLES + 0x3000) | 0x27, 0);
      for (let i = 0; i < RAM / 4096; i++) this.#words(TABLES + 0x3000 + i * 8, entry(i), 0);
    } else {
      this.#words(TABLES, (TABLES + 0x1000) | 0x27);
      for (let i = 0; i < RAM / 4096; i++) this.#words(TABLES + 0x1000 + i * 4, entry(i));
    }
    this.#words(GDT + 8, 0xffff, 0xaf9b00, 0xffff, 0xcf9300, 0xffff, 0xcf9b00);
    // Counts, takes the stack back, goes on where the program wants to.
    const handler = [0xff, 0x04, 0x25, ...le(FAULTS), 0xbc, ...le(STACK), 0xff, 0x24, 0x25, ...le(RECOVER)];
    for (let vector = 0; vector < 32; vector++) {
      if (bits === 64) this.#words(IDT + vector * 16, (8 << 16) | HANDLER, 0x8e00, 0, 0);
      else this.#words(IDT + vector * 8, (0x18 << 16) | HANDLER, 0x8e00);
    }
    this.put(HANDLER, handler);
  }

  /** Runs until HLT, in turns of the budgets that `slice` gives; false if it takes more than `most` instructions. */
  run(slice: () => number, most: number): boolean {
    for (this.retired = 0; this.retired < most;) {
      const budget = slice();
      const exit = this.engine.run(CPUS, budget);
      this.retired += budget - this.state.budget;
      if (exit === EXIT_HALT) return true;
      if (exit > 2) throw new Error(`exit ${exit}, shutdown ${this.state.shutdown}, rip ${this.state.rip.toString(16)}`);
    }
    return false;
  }

  /** All that a program can have changed. */
  outcome(): { readonly faults: string; readonly [key: string]: string } {
    const hex = (from: number, length: number): string => Buffer.from(this.#bytes.slice(from, from + length)).toString('hex');
    const { offsets } = Cpu;
    return {
      gpr: hex(CPUS + offsets.gpr, 128).replace(/.{16}/g, '$& '),
      xmm: hex(CPUS + offsets.xmm, 256),
      fpu: hex(CPUS + offsets.fpr, 160),
      rip: this.state.rip.toString(16),
      flags: this.engine.helpers.getFlags(CPUS).toString(16),
      retired: String(this.retired),
      faults: String(this.#view.getUint32(this.#ram + FAULTS, true)),
      ram: digest(this.#bytes.subarray(this.#ram, this.#ram + RAM)),
    };
  }

  begin(count: number): void {
    this.#words(COUNT, count);
  }
}

function digest(bytes: Uint8Array): string {
  const words = new Uint32Array(bytes.slice().buffer);
  let h = 0;
  for (const w of words) h = (Math.imul(h ^ w, 0x9e3779b1) ^ (h >>> 15)) >>> 0;
  return h.toString(16);
}

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];

/** A program of `chunks` pieces; what it repeats is set by `TestMachine.begin`. */
export function program(bits: 32 | 64, seed: number, chunks: number): number[] {
  const random = numbers(seed);
  const out: number[] = [];
  const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
  const imm32 = (): number[] => (random(3) ? le(random(256) - 128) : le(random(0x1_0000_0000) | 0));
  /** Registers that programs compute in. RBX, RSI and RDI are pointers, RCX counts, RSP is the stack. */
  const registers = bits === 64 ? [0, 2, 5, 8, 9, 10, 11, 12, 13, 14, 15] : [0, 2, 5];
  /** Places of immediates in the code, which stores may change. */
  const patchable: number[] = [];

  /** REX where wanted, opcode and modrm with a register or memory operand in modrm.rm. */
  const encode = (opcode: readonly number[], reg: number, memory: boolean, byte: boolean, prefix: readonly number[] = []): number[] => {
    const rm = memory ? pick([3, 6, 7]) : pick(registers);
    const wide = bits === 64 && !byte && random(2) === 0;
    const small = !byte && !wide && prefix.length === 0 && random(6) === 0;
    let rex = 0;
    if (bits === 64) {
      rex = (wide ? 0x48 : 0) | (reg > 7 ? 0x44 : 0) | (rm > 7 ? 0x41 : 0) | (byte ? 0x40 : 0);
    }
    // Without REX, byte registers 4..7 are AH..BH: BH would change a pointer.
    const byteReg = (n: number): number => (byte && bits === 32 ? pick([0, 2, 4, 6]) : n & 7);
    const modrm = memory ? [0x80 | (byteReg(reg) << 3) | rm, ...le(random(64) - 32)] : [0xc0 | (byteReg(reg) << 3) | byteReg(rm)];
    return [...(small ? [0x66] : []), ...prefix, ...(rex ? [rex] : []), ...opcode, ...modrm];
  };
  const digit = (opcode: readonly number[], n: number, memory: boolean, byte: boolean): number[] => {
    const rm = memory ? pick([3, 6, 7]) : byte && bits === 32 ? pick([0, 2, 4, 6]) : pick(registers);
    const rex = bits === 64 ? (!byte && random(2) ? 0x48 : 0) | (rm > 7 ? 0x41 : 0) | (byte ? 0x40 : 0) : 0;
    const modrm = memory ? [0x80 | (n << 3) | rm, ...le(random(64) - 32)] : [0xc0 | (n << 3) | (rm & 7)];
    return [...(rex ? [rex] : []), ...opcode, ...modrm];
  };
  const reg = (): number => pick(registers);
  const sse = (opcode: readonly number[], prefix: readonly number[]): number[] => {
    const memory = random(2) === 0;
    const modrm = memory ? [0x80 | (random(8) << 3) | pick([3, 6, 7]), ...le(random(4) * 16)] : [0xc0 | random(64)];
    return [...prefix, ...opcode, ...modrm];
  };

  const simple = (): number[] => {
    const memory = random(3) === 0;
    const byte = random(4) === 0;
    const b = byte ? 0 : 1;
    switch (random(27)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return encode([(random(8) << 3) | (random(2) << 1) | b], reg(), memory, byte);
      case 4:
      case 5:
        return [...digit([0x83], random(8), memory, false), random(256)];
      case 6: {
        // MOV r, imm32: a store may have changed it by the next time.
        const r = pick([0, 2, 5]);
        patchable.push(out.length + 1);
        return [0xb8 + r, ...imm32()];
      }
      case 7:
        return [...digit([0xc0 | b], random(8), memory, byte), random(40)];
      case 8:
        return digit([0xd0 | b | (random(2) << 1)], random(8), memory, byte);
      case 9:
        return digit([0xfe | b], random(2), memory, byte);
      case 10:
        return digit([0xf6 | b], pick([2, 3, 4, 5]), memory, byte);
      case 11:
        return digit([0xf6 | b], pick([6, 7]), memory, byte);
      case 12:
      case 13:
        return encode([0x88 | (random(2) << 1) | b], reg(), true, byte);
      case 14:
        return encode([0x0f, pick([0xb6, 0xb7, 0xbe, 0xbf])], reg(), memory, false);
      case 15:
        return encode([0x8d], reg(), true, false);
      case 16:
        return encode([0x0f, 0x90 | random(16)], 0, memory, true);
      case 17:
        return encode([0x0f, 0x40 | random(16)], reg(), memory, false);
      case 18:
        return encode([0x0f, pick([0xa3, 0xab, 0xb3, 0xbb])], reg(), false, false);
      case 19:
        return encode([0x0f, pick([0xbc, 0xbd, 0xaf])], reg(), memory, false);
      case 20:
        return encode([0x0f, pick([0xb0, 0xc0]) | b], reg(), memory, byte);
      case 21:
        return encode([0x84 | (random(2) << 1) | b], reg(), memory, byte);
      case 22:
        return [...encode([0x0f, pick([0xa4, 0xac])], reg(), memory, false), random(40)];
      case 23:
        return pick([[0xf8], [0xf9], [0xf5], [0x98], [0x99], [0x9f], [0x9e], [0x90], [0x66, 0x98]]);
      case 24: {
        const r = pick([0, 2, 5]);
        return pick([
          [0x50 + r, 0x58 + pick([0, 2, 5])],
          [0x9c, 0x58 + r],
          [0x6a, random(256), 0x58 + r],
        ]);
      }
      case 25:
        return sse([0x0f, pick([0x6f, 0x7f])], [0xf3]);
      default:
        return pick([
          () => sse([0x0f, pick([0xfe, 0xd4, 0xef, 0xeb, 0xdb, 0x6f])], [0x66]),
          () => sse([0x0f, pick([0x58, 0x59, 0x5c, 0x5e, 0x2a])], [0xf2]),
          () => sse([0x0f, 0x2e], [0x66]),
          () => [0xdd, 0x83, ...le(random(8) * 8)],
          () => [0xdd, 0x9b, ...le(random(8) * 8)],
          () => [pick([0xde]), pick([0xc1, 0xc9])],
          () => [0xdb, 0xe3],
          () => [0xdf, 0xe0],
        ])();
    }
  };
  const emit = (bytes: readonly number[]): void => void out.push(...bytes);
  const several = (most: number): void => {
    for (let n = 1 + random(most); n > 0; n--) emit(simple());
  };
  const skip = (): void => {
    emit([0x70 | random(16), 0]);
    const at = out.length;
    several(4);
    out[at - 1] = out.length - at;
  };
  const piece = (): void => {
    several(3);
    if (random(3) === 0) skip();
  };

  const pointers = [
    DATA + 0x100, DATA + 0x800, DATA + 0xff8, DATA + 0x1ffd, ABSENT - 8, ABSENT + 0x20, ABSENT + 0xffc, READ_ONLY + 0x40, READ_ONLY - 3,
  ]; // prettier-ignore

  const top = out.length;
  for (let c = 0; c < chunks; c++) {
    // Where the next chunk begins is filled in at the end of this.
    emit([0xc7, 0x04, 0x25, ...le(RECOVER), 0, 0, 0, 0]);
    const recover = out.length - 4;
    for (const r of [3, 6, 7]) if (random(3) === 0 || c === 0) emit([0xb8 + r, ...le(random(4) ? DATA + random(0x2f00) : pick(pointers))]);
    if (random(8) === 0 && patchable.length > 0) emit([0xc6, 0x04, 0x25, ...le(CODE + pick(patchable) + random(4)), random(256)]);
    switch (random(5)) {
      case 0: {
        // A loop
        emit([0xb9, ...le(1 + random(12))]);
        const at = out.length;
        piece();
        if (random(3) === 0) piece();
        if (random(3) === 0 && out.length - at < 100) emit([0xe2, (at - out.length - 2) & 255]);
        else emit([0xff, 0xc9, 0x0f, 0x85, ...le(at - out.length - 8)]);
        break;
      }
      case 1: {
        // A function, called around itself
        emit([0xe8, 5, 0, 0, 0, 0xe9, 0, 0, 0, 0]);
        const at = out.length;
        piece();
        emit([0xc3]);
        le(out.length - at).forEach((b, i) => (out[at - 4 + i] = b));
        break;
      }
      case 2: {
        // A loop within a loop
        emit([0xb9, ...le(1 + random(5))]);
        const outer = out.length;
        several(2);
        emit([0x51, 0xb9, ...le(1 + random(5))]);
        const inner = out.length;
        piece();
        emit([0xff, 0xc9, 0x0f, 0x85, ...le(inner - out.length - 8)]);
        emit([0x59]);
        if (random(2)) skip();
        emit([0xff, 0xc9, 0x0f, 0x85, ...le(outer - out.length - 8)]);
        break;
      }
      default:
        piece();
        if (random(2)) skip();
    }
    le(CODE + out.length).forEach((b, i) => (out[recover + i] = b));
  }
  emit([0xff, 0x0c, 0x25, ...le(COUNT), 0x0f, 0x85, ...le(top - out.length - 13)]);
  emit([0xf4]);
  return out;
}
