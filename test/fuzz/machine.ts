/** One memory and one engine, used for many programs: what a program can have changed is put back by copying. */
import type { ProcessorBus } from '../../core/bus/processor.ts';
import { MachineRam } from '../../core/bus/memory.ts';
import { createEngine, type Engine, type EngineModules, type EngineOptions } from '../../core/processor/engine.ts';
import {
  CODE_32,
  CODE_64,
  CodePage,
  Control,
  Cpu,
  CPUS,
  CS,
  EVENT_INTERRUPT,
  EVENT_KICK,
  EVENT_NMI,
  layout,
  MAGIC,
  MIB,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TlbEntry,
  VERSION,
} from '../../core/state/index.ts';
import { numbers } from '../../core/translator/testing.ts';
import type { Layout } from './assembler.ts';
import { image } from './image.ts';
import { kernel } from './kernel.ts';
import * as P from './places.ts';
import type { Program } from './program.ts';

export class FuzzMachine {
  readonly engine: Engine;
  readonly state;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly ram: number;
  /** Instructions since the program began. */
  retired = 0;
  /** The last value of `run`. */
  exit = 0;
  readonly #control;
  readonly #memory: MachineRam;
  /** The vCPU's state before any program. */
  readonly #clean: Uint8Array;
  #layout: Layout | undefined;
  #vectors: number[] = [];
  #reads = 0;
  /** What the machine outside of RAM has come to see. */
  outside = 0;

  readonly #full: number;

  /** `blockMost`, `full`: see Control. */
  constructor(modules: EngineModules, options: EngineOptions = {}, blockMost = 0, full = 0) {
    this.#full = full;
    const { pages, ram, ...places } = layout(1, MIB);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.ram = ram;
    this.bytes = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.#control = Control.view(memory.buffer, 0);
    Object.assign(this.#control, { ...places, ram, magic: MAGIC, version: VERSION, cpus: CPUS, blockMost, full });
    this.state = Cpu.view(memory.buffer, CPUS);
    this.state.features.fill(0xffffffff);
    this.engine = createEngine(memory, this.#bus(), modules, options);
    this.#memory = new MachineRam(memory.buffer, { ram, ramSize: MIB, ramLow: MIB }, (page, first, last) =>
      this.engine.helpers.invalidateCode(page, first, last),
    );
    this.engine.helpers.resetCpu(CPUS);
    // An empty TLB is not all zeros.
    this.engine.helpers.resetTlb(CPUS);
    this.#clean = this.bytes.slice(CPUS, CPUS + Cpu.size);
  }

  #mix(...values: number[]): void {
    for (const v of values) this.outside = (Math.imul(this.outside ^ v, 0x9e3779b1) ^ (this.outside >>> 15)) >>> 0;
  }

  /** The same in every machine: what is read depends on how often that was done. */
  #read(): number {
    this.#reads++;
    return Math.imul(this.#reads, 0x9e3779b1) >>> 0;
  }

  /** What is read like a machine's clock makes the vCPU come out now and then; here it may ask for an interrupt as well. */
  #readClock(): number {
    const value = this.#read();
    if ((value & 3) === 0) this.state.event |= EVENT_KICK;
    else if ((value & 3) === 1) this.interrupt(P.INTERRUPTS + ((value >>> 2) & 7));
    return value;
  }

  #bus(): ProcessorBus {
    return {
      readPort: (_cpu, port) => {
        this.#mix(1, port);
        return port === P.PORT_KICK ? this.#readClock() : this.#read();
      },
      writePort: (_cpu, port, size, value) => {
        this.#mix(2, port, size, value);
        if (port === P.PORT_INTERRUPT) this.interrupt(P.INTERRUPTS + (value & 7));
        else if (port === P.PORT_NMI) this.nmi();
        else if (port === P.PORT_PATCH) this.patch(value);
        else if (port === P.PORT_DATA) this.#memory.write32(P.DATA + (value & 0x3ff) * 4, value);
        else if (port === P.PORT_KICK) this.state.event |= EVENT_KICK;
      },
      readMmio: (_cpu, low, high, size) => {
        this.#mix(3, low, high, size);
        return this.#read();
      },
      writeMmio: (_cpu, low, high, size, value) => this.#mix(4, low, high, size, value),
      acknowledgeInterrupt: () => {
        const vector = this.#vectors.shift() ?? -1;
        if (this.#vectors.length === 0) this.state.event &= ~EVENT_INTERRUPT;
        return vector;
      },
      tsc: () => this.#readClock(),
      taskPriority: (_cpu, value) => this.#mix(5, value),
      readTaskPriority: () => this.#read() & 15,
      apicMsr: (_cpu, msr, low, high) => this.#mix(6, msr, low, high),
      note: () => {},
    };
  }

  interrupt(vector: number): void {
    if (this.#vectors.length < 4) this.#vectors.push(vector);
    this.state.event |= EVENT_INTERRUPT;
  }

  nmi(): void {
    this.state.event |= EVENT_NMI;
  }

  /** A device writes over code: one of the places that the program says may be. */
  patch(value: number): void {
    const sites = this.#layout!.sites;
    if (sites.length === 0) return;
    const { address, choices } = sites[value % sites.length]!;
    const bytes = choices[(value >>> 8) % choices.length]!;
    this.#memory.write(address, Uint8Array.from(bytes));
  }

  /** Puts RAM and vCPU as the program wants to find them. */
  begin(program: Program, code: Layout): void {
    const { settings } = program;
    const { state } = this;
    const { helpers } = this.engine;
    this.#layout = code;
    this.#vectors = [];
    this.#reads = 0;
    this.outside = 0;
    this.retired = 0;
    this.exit = 0;
    const wanted = image(program, code);
    for (let page = 0; page < P.USED / P.PAGE; page++) {
      const at = this.ram + page * P.PAGE;
      const decoded = this.view.getUint32(this.#control.codePages + page * CodePage.size + CodePage.offsets.blocks, true) !== 0;
      const source = wanted.subarray(page * P.PAGE, (page + 1) * P.PAGE);
      // How often it changed for earlier programs is no matter for this one.
      this.view.setUint32(this.#control.codePages + page * CodePage.size + CodePage.offsets.churn, 0, true);
      if (decoded && Buffer.compare(source, this.bytes.subarray(at, at + P.PAGE)) !== 0) helpers.invalidateCode(page, 0, P.PAGE - 1);
    }
    this.bytes.set(wanted, this.ram);

    this.bytes.set(this.#clean, CPUS);
    const long = settings.bits === 64;
    const random = numbers(settings.fill);
    const word = (): number => (random(3) ? random(0x1_0000_0000) : random(256));
    for (let i = 0; i < 16; i++) state.gpr.set(i, long ? word() + (random(2) ? 0 : random(0x1f_ffff) * 0x1_0000_0000) : word());
    const fill = (offset: number, bytes: number): void => {
      for (let i = 0; i < bytes; i += 4) this.view.setUint32(CPUS + offset + i, word(), true);
    };
    fill(Cpu.offsets.xmm, long ? 256 : 128);
    state.gpr.set(4, P.STACK_TOP);
    for (const register of [3, 5, 6, 7]) state.gpr.set(register, P.DATA + random(0x3f0) * 16);
    state.mxcsr = settings.mxcsr;
    state.fpuControl = settings.fpuControl;
    state.fpuStatus = 0;
    state.fpuTag = 0xffff;

    const user = settings.ring === 3;
    const privilege = settings.ring << 5;
    const data = { base: 0, limit: 0xffffffff, attributes: 0xc0f3, selector: P.USER_DATA };
    const stack = user ? data : { ...data, attributes: 0xc093, selector: P.KERNEL_DATA };
    const codeSegment = long
      ? { ...data, attributes: 0xa09b | privilege, selector: user ? P.USER_CODE64 : P.KERNEL_CODE }
      : { ...data, attributes: 0xc09b | privilege, selector: user ? P.USER_CODE32 : P.KERNEL_CODE };
    const fs = { ...data, base: 0x100 };
    const gs = { ...data, base: 0x30 };
    const none = { base: 0, limit: 0, attributes: 0x10000, selector: 0 };
    const task = { base: P.TSS, limit: 0x67, attributes: 0x8b, selector: P.TASK };
    for (const [i, s] of [data, codeSegment, stack, data, fs, gs, none, task].entries()) Object.assign(state.segments[i]!, s);
    Object.assign(state.gdtr, { base: P.GDT, limit: 0x7f + (long ? 16 : 8) });
    Object.assign(state.idtr, { base: P.IDT, limit: 0xfff });
    state.cr0 = settings.cr0;
    state.cr3 = P.TABLES;
    state.cr4 = settings.cr4;
    state.efer = long ? 0xd01 : settings.pae ? 0x800 : 0;
    if (!long && settings.pae) for (let i = 0; i < 4; i++) state.pdpte.set(i, i === 0 ? P.TABLES + 0x2001 : 0);
    state.cpl = settings.ring;
    state.codeSize = long ? CODE_64 : CODE_32;
    state.physicalMask = 2 ** 36 - 1;
    const { syscall, sysenter } = kernel(settings.bits, long || settings.pae ? 8 : 4);
    this.view.setUint32(CPUS + Cpu.offsets.star + 4, (P.USER_CODE32 << 16) | P.KERNEL_CODE, true);
    state.lstar = syscall;
    state.sfmask = 0x4700;
    state.sysenterCs = P.KERNEL_CODE;
    state.sysenterEsp = P.KERNEL_STACK;
    state.sysenterEip = sysenter;
    state.rip = P.CODE;
    helpers.setFlags(CPUS, settings.flags, 0xffffffff);
    helpers.updateReach(CPUS);
    helpers.updateTlbMode(CPUS);
    helpers.flushTlb(CPUS, 0);
  }

  /** Sets how often a block is entered before it is translated, where there is a translator. */
  translateAfter(times: number): void {
    if (this.#control.translateAfter !== 0) this.#control.translateAfter = times;
  }

  /** The decoder by itself: the address of a scratch record for the instruction at RAM offset `at`. */
  decode(mode: number, at: number): number {
    const { decodeInstruction } = this.engine.helpers as unknown as {
      decodeInstruction(
        cpu: number,
        record: number,
        from: number,
        available: number,
        mode: number,
        offset: number,
        position: number,
      ): number;
    };
    const record = this.ram + P.USED;
    decodeInstruction(CPUS, record, this.ram + at, 15, mode, at & (P.PAGE - 1), 0);
    return record;
  }

  /** Linear address of the next instruction. */
  get next(): bigint {
    return this.view.getBigUint64(CPUS + Cpu.offsets.rip, true) + BigInt(this.state.segments[CS]!.base);
  }

  /** Physical address of the page that code at `linear` is fetched from by the TLB; undefined: that has to look at the page tables first. */
  fetchedFrom(linear: bigint): number | undefined {
    const { view, state } = this;
    const entry = state.tlb + ((Number(linear & 0xffff_ffffn) >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
    if (view.getBigUint64(entry + TlbEntry.offsets.execTag, true) !== (linear & ~0xfffn)) return undefined;
    return view.getUint32(entry + TlbEntry.offsets.frame, true) & ~(P.PAGE - 1);
  }

  /** One turn; counts what was retired. */
  run(budget: number): number {
    this.exit = this.engine.run(CPUS, budget);
    const { state } = this;
    // What the guest believes it to be is what counts.
    if (this.#full) {
      this.engine.helpers.uncompress(CPUS);
      this.engine.helpers.updateReach(CPUS);
    }
    this.retired += budget - state.budget;
    // As core/host does.
    if (state.cpl === 3) state.userInstructions += state.budgetMark - state.budget;
    state.budgetMark = state.budget;
    return this.exit;
  }
}
