/** For tests of the AssemblyScript helpers: one vCPU on a small machine memory, with descriptor tables built by hand and paging off. */
import { buildCore, readModule } from '../../build/core.ts';
import {
  CS, CPUS, Control, Cpu, DS, ES, FS, GS, HANDLER_FIRST, LDTR, MIB, Reach, Record as DecodedRecord, SS, Segment, TR, layout,
} from '../state/index.ts'; // prettier-ignore

/** What a thrown guest fault looks like from here. */
class Raised extends Error {}

export interface Fault {
  readonly vector: number;
  /** Absent: none is pushed. */
  readonly error: number | undefined;
  readonly trap: boolean;
}

/** Fields of a decoded record that a test sets; `rip` is the instruction's address, `length` its bytes. */
export interface Instruction {
  rip?: number;
  length?: number;
  reg?: number;
  base?: number;
  segment?: number;
  displacement?: number;
  immediate?: number;
  addressMask?: number;
  prefixes?: number;
  extra?: number;
}

export interface Descriptor {
  base?: number;
  /** In bytes or, with `granular`, in units of 4 KiB. */
  limit?: number;
  /** Four bits. */
  type: number;
  /** A system segment, not code or data. */
  system?: boolean;
  dpl?: number;
  present?: boolean;
  big?: boolean;
  long?: boolean;
  granular?: boolean;
}

export function descriptor(d: Descriptor): bigint {
  const base = BigInt(d.base ?? 0);
  const limit = BigInt(d.limit ?? 0xfffff);
  const access = d.type | (d.system ? 0 : 0x10) | ((d.dpl ?? 0) << 5) | (d.present === false ? 0 : 0x80);
  const flags = (d.long ? 2 : 0) | (d.big ? 4 : 0) | (d.granular ? 8 : 0);
  return (
    (limit & 0xffffn) | ((base & 0xffffffn) << 16n) | (BigInt(access) << 40n) | (((limit >> 16n) & 15n) << 48n) |
    (BigInt(flags) << 52n) | (((base >> 24n) & 0xffn) << 56n)
  ); // prettier-ignore
}

export interface Gate {
  selector: number;
  offset: number;
  type: number;
  dpl?: number;
  present?: boolean;
  /** Of a call gate: parameters; of a 64-bit interrupt gate: IST. */
  count?: number;
}

/** The low eight bytes of a gate: in IA-32e mode the offset's upper half follows. */
export function gate(g: Gate): bigint {
  const access = g.type | ((g.dpl ?? 0) << 5) | (g.present === false ? 0 : 0x80);
  const offset = BigInt(g.offset);
  return (
    (offset & 0xffffn) |
    (BigInt(g.selector) << 16n) |
    (BigInt(g.count ?? 0) << 32n) |
    (BigInt(access) << 40n) |
    (((offset >> 16n) & 0xffffn) << 48n)
  );
}

/** Where the fixture puts things. */
export const GDT = 0x1000;
export const IDT = 0x2000;
export const TSS_A = 0x3000;
export const TSS_B = 0x3200;
export const STACK0 = 0x8000;
export const STACK3 = 0x9000;
export const CODE = 0x10000;

/** Selectors of the GDT that `Rig.protect` builds. */
export const CODE0 = 0x08;
export const DATA0 = 0x10;
export const CODE3 = 0x1b;
export const DATA3 = 0x23;
export const SEL_A = 0x28;
export const SEL_B = 0x38;
export const CODE64 = 0x48;
/** From here on for the tests. */
export const FREE = 0x50;

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

export const UNUSABLE = 0x10000;
export const REGISTER_FORM = 0xffff;

/** Offset of a segment's `Reach`, for `Instruction.segment`. */
export const reachOf = (segment: number): number => Cpu.offsets.reach + segment * Reach.size;
export const gprOf = (register: number): number => Cpu.offsets.gpr + register * 8;

type Helper = (...args: (number | bigint)[]) => number | undefined;

// Before any test's clock runs: a build takes seconds.
await buildCore();
const compiled = await WebAssembly.compile(readModule('helpers.wasm'));

export class Rig {
  readonly cpu = CPUS;
  readonly state;
  readonly #memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #ram: number;
  readonly #record: number;
  #helpers: globalThis.Record<string, Helper> = {};

  private constructor(vcpuFeatures: number) {
    const at = layout(1, 2 * MIB);
    this.#memory = new WebAssembly.Memory({ initial: at.pages, maximum: at.pages, shared: true });
    this.#view = new DataView(this.#memory.buffer);
    this.#ram = at.ram;
    this.#record = at.records;
    const control = Control.view(this.#memory.buffer, 0);
    const { pages: _, vcpus, ...rest } = at;
    Object.assign(control, rest, { vcpus, cpus: CPUS, recordsNext: at.records });
    this.state = Cpu.view(this.#memory.buffer, this.cpu);
    this.state.delivering = 0xffff_ffff;
    this.state.eflags = 2;
    this.state.physicalMask = 2 ** 36 - 1;
    for (let i = 0; i < this.state.features.length; i++) this.state.features.set(i, vcpuFeatures);
  }

  /** A vCPU with every feature, in real-address mode with all segments at 0. */
  static async create(): Promise<Rig> {
    const rig = new Rig(0xffff_ffff);
    await rig.#load(compiled);
    for (const s of [ES, CS, SS, DS, FS, GS]) rig.setSegment(s, 0, 0, 0xffff, 0x93);
    rig.setSegment(LDTR, 0, 0, 0, UNUSABLE);
    rig.setSegment(TR, 0, 0, 0, UNUSABLE);
    rig.state.idtr.limit = 0x3ff;
    rig.state.gpr.set(RSP, STACK0);
    rig.#helpers['resetTlb']!(rig.cpu);
    rig.setFlags(2);
    return rig;
  }

  async #load(module: WebAssembly.Module): Promise<void> {
    const raise = (): never => {
      throw new Raised();
    };
    // The processor asks nothing of its machine in these tests.
    const imports: WebAssembly.Imports = {};
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      const space = ((imports as globalThis.Record<string, WebAssembly.ModuleImports>)[from] ??= {});
      if (kind === 'memory') space[name] = this.#memory;
      else if (from === 'trap') space[name] = raise;
      else
        space[name] = () => {
          throw new Error(`${from}.${name} was called`);
        };
    }
    const instance = await WebAssembly.instantiate(module, imports);
    this.#helpers = instance.exports as globalThis.Record<string, Helper>;
  }

  /** All of the machine's memory. */
  get buffer(): ArrayBufferLike {
    return this.#memory.buffer;
  }

  // -- memory, by linear address

  read8(at: number): number {
    return this.#view.getUint8(this.#ram + at);
  }
  read16(at: number): number {
    return this.#view.getUint16(this.#ram + at, true);
  }
  read32(at: number): number {
    return this.#view.getUint32(this.#ram + at, true);
  }
  read64(at: number): bigint {
    return this.#view.getBigUint64(this.#ram + at, true);
  }
  write8(at: number, value: number): void {
    this.#view.setUint8(this.#ram + at, value);
  }
  write16(at: number, ...values: number[]): void {
    values.forEach((value, i) => this.#view.setUint16(this.#ram + at + i * 2, value, true));
  }
  write32(at: number, ...values: number[]): void {
    values.forEach((value, i) => this.#view.setUint32(this.#ram + at + i * 4, value, true));
  }
  write64(at: number, ...values: bigint[]): void {
    values.forEach((value, i) => this.#view.setBigUint64(this.#ram + at + i * 8, value, true));
  }
  /** `count` items of `size` bytes from the top of the stack, at SS base + SP. */
  stack(count: number, size: number): number[] {
    const ss = this.state.segments[SS]!;
    const flat = this.state.codeSize === 2;
    const sp = ss.attributes & 0x4000 || flat ? this.gpr(RSP) : this.gpr(RSP) & 0xffff;
    return Array.from({ length: count }, (_, i) => {
      const at = (flat ? 0 : ss.base) + sp + i * size;
      return size === 8 ? Number(this.read64(at)) : size === 4 ? this.read32(at) : this.read16(at);
    });
  }

  // -- registers

  gpr(register: number): number {
    return this.state.gpr.get(register);
  }
  setGpr(register: number, value: number | bigint): void {
    this.#view.setBigUint64(this.cpu + gprOf(register), BigInt.asUintN(64, BigInt(value)), true);
  }
  /** A 64-bit register or field at an offset of `Cpu`, exactly. */
  get64(offset: number): bigint {
    return this.#view.getBigUint64(this.cpu + offset, true);
  }
  set64(offset: number, value: bigint): void {
    this.#view.setBigUint64(this.cpu + offset, BigInt.asUintN(64, value), true);
  }
  get flags(): number {
    return this.#helpers['getFlags']!(this.cpu)! >>> 0;
  }
  setFlags(value: number): void {
    this.#helpers['setFlags']!(this.cpu, value, 0x3f7fd5);
    this.update();
  }
  selector(index: number): number {
    return this.state.segments[index]!.selector;
  }
  setSegment(index: number, selector: number, base: number, limit: number, attributes: number): void {
    Object.assign(Segment.view(this.#memory.buffer, this.cpu + Cpu.offsets.segments + index * Segment.size), {
      selector,
      base,
      limit,
      attributes,
    });
  }
  update(): void {
    this.#helpers['updateReach']!(this.cpu);
  }
  /** What tests of restartability compare: registers, flags, segments. */
  snapshot(): unknown {
    const { state } = this;
    return {
      gpr: Array.from({ length: 16 }, (_, i) => this.get64(gprOf(i))),
      rip: state.rip,
      flags: this.flags,
      cpl: state.cpl,
      codeSize: state.codeSize,
      segments: state.segments.map((s) => [s.selector, s.base, s.limit, s.attributes]),
    };
  }

  // -- tables

  /** Writes descriptors into the GDT, beginning at `selector`'s place. */
  gdt(selector: number, ...values: bigint[]): void {
    this.write64(GDT + (selector & 0xfff8), ...values);
  }
  idt(vector: number, g: Gate): void {
    this.write64(IDT + vector * 8, gate(g));
  }
  idt64(vector: number, g: Gate, high = 0n): void {
    this.write64(IDT + vector * 16, gate(g), high);
  }

  /** 32-bit protected mode: flat segments, a busy TSS with a ring-0 stack, a second TSS; at CPL 0, or 3. */
  protect(cpl: 0 | 3 = 0): void {
    const { state } = this;
    state.cr0 = 0x11;
    Object.assign(state.gdtr, { base: GDT, limit: 0xff });
    Object.assign(state.idtr, { base: IDT, limit: 0x7ff });
    const flat = { limit: 0xfffff, granular: true };
    this.gdt(CODE0, descriptor({ ...flat, type: 11, big: true }), descriptor({ ...flat, type: 3, big: true }));
    this.gdt(CODE3, descriptor({ ...flat, type: 11, dpl: 3, big: true }), descriptor({ ...flat, type: 3, dpl: 3, big: true }));
    this.gdt(SEL_A, descriptor({ base: TSS_A, limit: 0x67, type: 11, system: true }), 0n);
    this.gdt(SEL_B, descriptor({ base: TSS_B, limit: 0x67, type: 9, system: true }), 0n);
    this.gdt(CODE64, descriptor({ ...flat, type: 11, long: true }));
    this.write32(TSS_A + 4, STACK0, DATA0);
    this.setSegment(TR, SEL_A, TSS_A, 0x67, 0x8b);
    this.enter(cpl);
  }

  /** Flat segments of a privilege level, CPL and stack pointer. */
  enter(cpl: 0 | 3): void {
    const dpl = cpl << 5;
    this.setSegment(CS, cpl ? CODE3 : CODE0, 0, 0xffff_ffff, 0xc09b | dpl);
    for (const s of [ES, SS, DS, FS, GS]) this.setSegment(s, cpl ? DATA3 : DATA0, 0, 0xffff_ffff, 0xc093 | dpl);
    this.state.cpl = cpl;
    this.setGpr(RSP, cpl ? STACK3 : STACK0 - 0x400);
    this.update();
  }

  /** 64-bit mode. Paging stays off, which no processor allows, but nothing here looks at it. */
  protectLong(cpl: 0 | 3 = 0): void {
    this.protect(cpl);
    this.state.efer = 0x501;
    this.state.idtr.limit = 0xfff;
    this.write64(TSS_A + 4, BigInt(STACK0));
    this.setSegment(CS, CODE64 | cpl, 0, 0xffff_ffff, 0xa09b | (cpl << 5));
    this.update();
  }

  /** Virtual-8086 mode, with `selector` in all segment registers. */
  protect86(selector: number, iopl: number): void {
    this.protect();
    this.state.cpl = 3;
    for (const s of [ES, CS, SS, DS, FS, GS]) this.setSegment(s, selector, selector * 16, 0xffff, 0xf3);
    this.setGpr(RSP, 0x100);
    this.setFlags(0x20202 | (iopl << 12));
  }

  // -- execution

  #record_(i: Instruction): void {
    const { offsets } = DecodedRecord;
    const rip = i.rip ?? CODE;
    const v = this.#view;
    const at = this.#record;
    // Not stale.
    v.setUint32(at + offsets.handler, HANDLER_FIRST, true);
    v.setUint8(at + offsets.length, i.length ?? 2);
    v.setUint16(at + offsets.pageOffset, rip & 0xfff, true);
    v.setUint16(at + offsets.reg, i.reg ?? gprOf(RAX), true);
    v.setUint16(at + offsets.base, i.base ?? Cpu.offsets.zero, true);
    v.setUint16(at + offsets.index, Cpu.offsets.zero, true);
    v.setUint16(at + offsets.segment, i.segment ?? REGISTER_FORM, true);
    v.setBigUint64(at + offsets.displacement, BigInt(i.displacement ?? 0), true);
    v.setBigUint64(at + offsets.immediate, BigInt(i.immediate ?? 0), true);
    v.setBigUint64(at + offsets.addressMask, BigInt(i.addressMask ?? 0xffff_ffff), true);
    v.setUint8(at + offsets.prefixes, i.prefixes ?? 0);
    v.setUint16(at + offsets.extra, i.extra ?? 0, true);
    this.state.ripBase = rip - (rip & 0xfff);
    this.state.rip = rip + (i.length ?? 2);
  }

  /** Calls a helper of an instruction. A fault that it raises is left pending, with RIP as the run loop would set it. */
  execute(name: string, instruction: Instruction = {}): Fault | undefined {
    this.#record_(instruction);
    const helper = this.#helpers[name];
    if (!helper) throw new Error(`no helper ${name}`);
    try {
      helper(this.cpu, this.#record);
      return undefined;
    } catch (e) {
      if (!(e instanceof Raised)) throw e;
      if (!this.state.faultIsTrap) this.state.rip = this.state.ripBase + ((instruction.rip ?? CODE) & 0xfff);
      return this.pending();
    }
  }

  pending(): Fault {
    const { state } = this;
    return { vector: state.faultVector, error: state.faultHasError ? state.faultError : undefined, trap: state.faultIsTrap === 1 };
  }

  /** Calls one of the delivering functions; a fault raised meanwhile is combined, as the run loop does, and returned. */
  attempt(name: string, ...args: number[]): Fault | undefined {
    try {
      this.#helpers[name]!(this.cpu, ...args);
      return undefined;
    } catch (e) {
      if (!(e instanceof Raised)) throw e;
      if (this.state.delivering !== 0xffff_ffff) this.#helpers['combineFault']!(this.cpu);
      return this.pending();
    }
  }

  /** Calls any export that returns a number; 64-bit parameters are bigints. */
  call(name: string, ...args: (number | bigint)[]): number | undefined {
    return this.#helpers[name]!(this.cpu, ...args);
  }

  /** Calls an export that takes no vCPU. */
  helper(name: string, ...args: number[]): void {
    this.#helpers[name]!(...args);
  }

  /** Makes a fault pending, as if an instruction at `rip` had raised it. */
  pend(vector: number, error?: number, rip: number = CODE): void {
    Object.assign(this.state, {
      faultPending: 1, faultVector: vector, faultError: error ?? 0, faultHasError: error === undefined ? 0 : 1, faultIsTrap: 0, rip,
    }); // prettier-ignore
  }
}
