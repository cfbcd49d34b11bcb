/**
 * A bare machine to run one ring-3 instruction on: flat segments, identity paging in 64-bit mode (none in 32-bit), and handlers of all
 * exceptions that loop. INT3 stands where the instruction may end; vector and stack frame tell what happened.
 */
import type { ProcessorBus } from '../../core/bus/processor.ts';
import { createEngine, type Engine, type EngineOptions } from '../../core/processor/engine.ts';
import type { EngineModules } from '../../core/processor/modules.ts';
import { CODE_32, CODE_64, CPUS, CodePage, Control, Cpu, MAGIC, MIB, VERSION, layout } from '../../core/state/index.ts';
import {
  AF,
  AREA,
  ARITHMETIC,
  BRANCH,
  CF,
  CODE,
  EXIT,
  EXIT_BACKWARD,
  EXIT_FORWARD,
  EXIT_NEXT,
  FLAGS,
  FX_FCW,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  IMAGE,
  NO_VECTOR,
  OF,
  PF,
  SF,
  STACK,
  STACK_BYTES,
  VECTOR,
  WINDOW,
  WINDOW_BYTES,
  ZF,
  type Mode,
} from './image.ts';

const RAM = 4 * MIB;
const TABLES = 0x2000;
const IDT = 0x5000;
const GDT = 0x6000;
const TSS = 0x7000;
/** Sixteen bytes for each vector. */
const HANDLERS = 0x8000;
const KERNEL_STACK = 0xa000;
const INT3 = 3;
/** What `exit` is if a fault's return address is not the instruction's. */
const WRONG_ADDRESS = 0xbad;

const KERNEL64 = 0x08;
const KERNEL_DATA = 0x10;
const KERNEL32 = 0x18;
const USER32 = 0x23;
const USER_DATA = 0x2b;
const USER64 = 0x33;
const TASK = 0x38;

/** Executed within this, or lost. The handlers use up what is left of it. */
const BUDGET = 64;

/** Nothing is outside of this machine. */
const BUS: ProcessorBus = {
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

/** A flat descriptor of 4 GiB; `access` is byte 5, `size` the D/B and L bits (byte 6, bits 5 and 6). */
const flat = (access: number, size: number): number[] => [0xff, 0xff, 0, 0, 0, access, 0x8f | size, 0];

export class ConformanceMachine {
  readonly mode: Mode;
  readonly #engine: Engine;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #ram: number;
  readonly #cpu = CPUS;
  /** The vCPU's state before any run. */
  readonly #clean: Uint8Array;
  #codeLength = 0;

  constructor(mode: Mode, modules: EngineModules, options: EngineOptions = {}) {
    this.mode = mode;
    const { pages, ram, ...places } = layout(1, RAM);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#ram = ram;
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
    // The decoder asks what the model has once, when it is made.
    Cpu.view(memory.buffer, this.#cpu).features.fill(0xffffffff);
    this.#engine = createEngine(memory, BUS, modules, options);
    this.#writeTables();
    this.#setMode();
    this.#clean = this.#bytes.slice(this.#cpu, this.#cpu + Cpu.size);
  }

  #put(address: number, bytes: readonly number[]): void {
    this.#bytes.set(bytes, this.#ram + address);
  }

  #putWords(address: number, words: readonly number[]): void {
    words.forEach((word, i) => this.#view.setUint32(this.#ram + address + i * 4, word, true));
  }

  #writeTables(): void {
    const { mode } = this;
    // PML4 -> PDPT -> PD with 2 MiB pages: present, writable, user, accessed, dirty
    this.#putWords(TABLES, [(TABLES + 0x1000) | 0x27, 0]);
    this.#putWords(TABLES + 0x1000, [(TABLES + 0x2000) | 0x27, 0]);
    for (let i = 0; i < RAM / (2 * MIB); i++) this.#putWords(TABLES + 0x2000 + i * 8, [(i * 2 * MIB) | 0xe7, 0]);
    this.#put(GDT + KERNEL64, flat(0x9b, 0x20));
    this.#put(GDT + KERNEL_DATA, flat(0x93, 0x40));
    this.#put(GDT + KERNEL32, flat(0x9b, 0x40));
    this.#put(GDT + (USER32 & ~7), flat(0xfb, 0x40));
    this.#put(GDT + (USER_DATA & ~7), flat(0xf3, 0x40));
    this.#put(GDT + (USER64 & ~7), flat(0xfb, 0x20));
    // RSP0, or ESP0 and SS0
    this.#putWords(TSS + 4, mode === 64 ? [KERNEL_STACK, 0] : [KERNEL_STACK, KERNEL_DATA]);
    // No I/O permission bitmap: its base is beyond the limit.
    this.#putWords(TSS + 0x64, [0x68 << 16]);
    for (let vector = 0; vector < 32; vector++) {
      const handler = HANDLERS + vector * 16;
      // jmp to itself
      this.#put(handler, [0xeb, 0xfe]);
      // Interrupt gates that ring 3 may use, for INT3 and INTO
      if (mode === 64) this.#putWords(IDT + vector * 16, [(KERNEL64 << 16) | handler, 0xee00, 0, 0]);
      else this.#putWords(IDT + vector * 8, [(KERNEL32 << 16) | handler, 0xee00]);
    }
  }

  #setMode(): void {
    const { mode } = this;
    const cpu = Cpu.view(this.#bytes.buffer, this.#cpu);
    const data = { base: 0, limit: 0xffffffff, attributes: 0xc0f3, selector: USER_DATA };
    const code = { ...data, attributes: mode === 64 ? 0xa0fb : 0xc0fb, selector: mode === 64 ? USER64 : USER32 };
    const task = { base: TSS, limit: 0x67, attributes: 0x8b, selector: TASK };
    const none = { base: 0, limit: 0, attributes: 0x10000, selector: 0 };
    // ES, CS, SS, DS, FS, GS, LDTR, TR
    for (const [i, segment] of [data, code, data, data, data, data, none, task].entries()) Object.assign(cpu.segments[i]!, segment);
    Object.assign(cpu.gdtr, { base: GDT, limit: 0x7f });
    Object.assign(cpu.idtr, { base: IDT, limit: 0xfff });
    cpu.cr0 = mode === 64 ? 0x80010033 : 0x33;
    cpu.cr3 = TABLES;
    // PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
    cpu.cr4 = mode === 64 ? 0x40620 : 0x40600;
    cpu.efer = mode === 64 ? 0xd00 : 0;
    cpu.cpl = 3;
    cpu.codeSize = mode === 64 ? CODE_64 : CODE_32;
    // IF on, as every system has it at ring 3
    cpu.eflags = 0x202;
    cpu.event = 0;
    cpu.physicalMask = 2 ** 40 - 1;
    cpu.delivering = 0xffffffff;
    this.#engine.helpers.updateReach(this.#cpu);
    this.#engine.helpers.updateTlbMode(this.#cpu);
  }

  /** Puts an instruction at CODE, with INT3 wherever it may end. */
  load(code: Uint8Array): void {
    const from = (CODE & 0xfff) - 0x80;
    this.#engine.helpers.invalidateCode(CODE >>> 12, from, from + 0x180 - 1);
    // It is not a program that changes itself: each is to be translated at once.
    const page = Control.view(this.#bytes.buffer, 0).codePages + (CODE >>> 12) * CodePage.size;
    CodePage.view(this.#bytes.buffer, page).churn = 0;
    this.#bytes.fill(0xcc, this.#ram + CODE - 0x80, this.#ram + CODE + 0x100);
    this.#bytes.set(code, this.#ram + CODE);
    this.#codeLength = code.length;
  }

  /** Runs it once from `before`; returns the image after it. */
  run(before: Uint8Array): Uint8Array {
    const { mode } = this;
    const bytes = this.#bytes;
    const view = this.#view;
    const cpu = this.#cpu;
    const at = Cpu.offsets;
    const b = new DataView(before.buffer, before.byteOffset);
    bytes.set(this.#clean, cpu);
    bytes.set(before.subarray(0, 128), cpu + at.gpr);
    this.#setFlags(b.getUint32(FLAGS, true));
    this.#setFpu(before, b);
    bytes.set(before.subarray(WINDOW_BYTES, WINDOW_BYTES + AREA), this.#ram + WINDOW);
    bytes.fill(0, this.#ram + WINDOW + AREA, this.#ram + WINDOW + AREA + 512);
    bytes.set(before.subarray(STACK_BYTES, STACK_BYTES + AREA), this.#ram + STACK);
    view.setUint32(cpu + at.rip, CODE, true);
    this.#engine.run(cpu, BUDGET);

    const after = new Uint8Array(IMAGE);
    const a = new DataView(after.buffer);
    after.set(bytes.subarray(cpu + at.gpr, cpu + at.gpr + 128));
    const vector = (view.getUint32(cpu + at.rip, true) - HANDLERS) / 16;
    if (!(Number.isInteger(vector) && vector >= 0 && vector < 32)) {
      // It did not come to a handler: a shutdown, or it is lost.
      a.setUint32(VECTOR, 0xdead0000 + view.getUint32(cpu + at.faultVector, true), true);
      return after;
    }
    const frame = this.#ram + KERNEL_STACK;
    const word = mode === 64 ? 8 : 4;
    const rip = view.getUint32(frame - 5 * word, true);
    a.setUint32(FLAGS, view.getUint32(frame - 3 * word, true), true);
    after.set(bytes.subarray(frame - 2 * word, frame - word), 4 * 8);
    const exit = vector === INT3 ? [CODE + this.#codeLength, CODE + BRANCH, CODE - BRANCH].indexOf(rip - 1) : -1;
    a.setUint32(EXIT, exit >= 0 ? [EXIT_NEXT, EXIT_FORWARD, EXIT_BACKWARD][exit]! : vector === 4 || rip === CODE ? 0 : WRONG_ADDRESS, true);
    a.setUint32(VECTOR, exit >= 0 ? NO_VECTOR : vector, true);
    after.set(bytes.subarray(this.#ram + WINDOW, this.#ram + WINDOW + AREA), WINDOW_BYTES);
    after.set(bytes.subarray(this.#ram + STACK, this.#ram + STACK + AREA), STACK_BYTES);
    this.#getFpu(after, a);
    return after;
  }

  /** The lazy form of given flags: see Cpu in core/state/cpu.ts. */
  #setFlags(flags: number): void {
    const at = Cpu.offsets;
    const zero = (flags & ZF) !== 0;
    const carry = (flags & CF) !== 0;
    const overflow = (flags & OF) !== 0;
    // The result is 0 or 1; its low byte's parity is even for 0, odd for 1.
    const flip = ((flags & PF) !== 0) === zero ? 0 : 1;
    const aux =
      (carry ? 0x80000000 : 0) |
      (carry !== overflow ? 0x40000000 : 0) |
      ((flags & AF) !== 0 ? 8 : 0) |
      (flip << 8) |
      ((flags & SF) !== 0 ? 1 : 0);
    this.#view.setUint32(this.#cpu + at.flagResult, zero ? 0 : 1, true);
    this.#view.setUint32(this.#cpu + at.flagResult + 4, 0, true);
    this.#view.setUint32(this.#cpu + at.flagAux, aux >>> 0, true);
    this.#view.setUint32(this.#cpu + at.eflags, flags & ~ARITHMETIC, true);
  }

  #setFpu(before: Uint8Array, b: DataView): void {
    const at = Cpu.offsets;
    const view = this.#view;
    const cpu = this.#cpu;
    const status = b.getUint16(FX_FSW, true);
    const top = (status >> 11) & 7;
    const present = b.getUint8(FX_FTW);
    let tags = 0;
    for (let i = 0; i < 8; i++) {
      const physical = (top + i) & 7;
      const st = FX_ST + i * 16;
      this.#bytes.set(before.subarray(st, st + 10), cpu + at.fpr + physical * 16);
      const exponent = b.getUint16(st + 8, true) & 0x7fff;
      const high = b.getUint32(st + 4, true);
      const zero = exponent === 0 && high === 0 && b.getUint32(st, true) === 0;
      const special = exponent === 0 || exponent === 0x7fff || high < 0x80000000;
      tags |= (present & (1 << physical) ? (zero ? 1 : special ? 2 : 0) : 3) << (physical * 2);
    }
    view.setUint16(cpu + at.fpuControl, b.getUint16(FX_FCW, true), true);
    view.setUint16(cpu + at.fpuStatus, status, true);
    view.setUint16(cpu + at.fpuTag, tags, true);
    view.setUint32(cpu + at.mxcsr, b.getUint32(FX_MXCSR, true), true);
    this.#bytes.set(before.subarray(FX_XMM, FX_XMM + 256), cpu + at.xmm);
  }

  #getFpu(after: Uint8Array, a: DataView): void {
    const at = Cpu.offsets;
    const view = this.#view;
    const cpu = this.#cpu;
    const status = view.getUint16(cpu + at.fpuStatus, true);
    const tags = view.getUint16(cpu + at.fpuTag, true);
    let present = 0;
    for (let i = 0; i < 8; i++) {
      const physical = cpu + at.fpr + (((status >> 11) + i) & 7) * 16;
      after.set(this.#bytes.subarray(physical, physical + 10), FX_ST + i * 16);
      if (((tags >> (i * 2)) & 3) !== 3) present |= 1 << i;
    }
    a.setUint16(FX_FCW, view.getUint16(cpu + at.fpuControl, true), true);
    a.setUint16(FX_FSW, status, true);
    a.setUint8(FX_FTW, present);
    a.setUint32(FX_MXCSR, view.getUint32(cpu + at.mxcsr, true), true);
    after.set(this.#bytes.subarray(cpu + at.xmm, cpu + at.xmm + 256), FX_XMM);
  }
}
