/** For tests: a para VM without a loader, its page tables built by hand: a kernel at KERNEL, where its frames are one after the other, and a program at USER. */
import { createEngine, type Engine, type EngineModules, type EngineOptions } from '../../processor/engine.ts';
import { cpuidLeaves, featureWords, parseCpu } from '../../spec/models.ts';
import {
  Control, CPUS, Cpu, EXIT_HALT, layout, MAGIC, MIB, OWNER_GUEST, OWNER_SHARED, PAGE, PageInfo, Para, PARA_BATCHING, PARA_GUEST, PARA_SHARED_INFO, ParaVcpu, PGT_l4_page_table, VERSION,
} from '../../state/index.ts'; // prettier-ignore
import { BUS } from '../../translator/testing.ts';
import { paraCpu, paraLeaves } from './cpuid.ts';

/** Linear address of the guest's frame 0; its 512 first frames are there. */
export const KERNEL = 0xffff_ffff_8000_0000n;
/** The program's: code, data and stack, a page each. */
export const USER = 0x40_0000n;
export const USER_DATA = USER + 0x1000n;
export const USER_STACK = USER + 0x3000n;

// Frames of the guest, by their number in it.
const TABLES = 0;
export const KERNEL_L1 = 3;
export const USER_L1 = 7;
export const CODE_FRAME = 0x10;
export const DATA_FRAME = 0x11;
export const STACK_FRAME = 0x12;
const HANDLERS_FRAME = 0x14;
export const GDT_FRAME = 0x16;
const USER_FRAME = 0x20;

export const kernelAt = (frame: number, offset = 0): bigint => KERNEL + BigInt(frame * PAGE + offset);
export const CODE = kernelAt(CODE_FRAME);
export const DATA = kernelAt(DATA_FRAME);
/** The end of the page: where the kernel's stack begins. */
export const STACK = kernelAt(STACK_FRAME + 1);
/** Of exceptions by vector, then of the callbacks below. */
export const handlerAt = (number: number): bigint => kernelAt(HANDLERS_FRAME, number * 16);
export const EVENT_HANDLER = 256;
export const FAILSAFE_HANDLER = 257;
export const SYSCALL_HANDLER = 258;
export const SYSCALL32_HANDLER = 259;

export const machineFrame = (frame: number): number => PARA_GUEST + frame;
const P = 1n;
const RW = 2n;
const US = 4n;
const entry = (frame: number, flags: bigint): bigint => (BigInt(machineFrame(frame)) << 12n) | flags;

export const RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7; // prettier-ignore
/** A hypercall that the test's host takes for the end. */
const STOP = 29;
/** MOV EAX, STOP; SYSCALL. */
export const STOPS = [0xb8, STOP, 0, 0, 0, 0x0f, 5];
export const SYSCALL = [0x0f, 5];
/** MOV r64, imm64 (REX.W B8+r). */
export const set = (register: number, value: bigint): number[] => [
  register > 7 ? 0x49 : 0x48,
  0xb8 + (register & 7),
  ...new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer),
];

const { args: ARGS, result: RESULT, kernelCr3: KERNEL_CR3, userCr3: USER_CR3, kernelSp: KERNEL_SP, traps: TRAPS } = ParaVcpu.offsets;
const { eventCallback: EVENT_CALLBACK, failsafeCallback: FAILSAFE_CALLBACK } = ParaVcpu.offsets;
const { syscallCallback: SYSCALL_CALLBACK, syscall32Callback: SYSCALL32_CALLBACK } = ParaVcpu.offsets;

export interface HostCall {
  readonly number: number;
  readonly args: readonly bigint[];
}

export class ParaMachine {
  readonly engine: Engine;
  readonly memory: WebAssembly.Memory;
  readonly state;
  readonly domain;
  readonly view: DataView;
  readonly ram: number;
  #started = false;
  /** Hypercalls that came to the host, but for those that ended a run. */
  readonly calls: HostCall[] = [];
  /** What they result in. */
  answer: (call: HostCall) => bigint = () => 0n;

  constructor(modules: EngineModules, options: EngineOptions = {}, switches = PARA_BATCHING) {
    const ramSize = 4 * MIB;
    const { pages, ram, pageInfos, busyFrames, para, ...places } = layout(1, ramSize, true);
    this.ram = ram;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const { buffer } = this.memory;
    this.view = new DataView(buffer);
    const control = { ...places, ram, para, magic: MAGIC, version: VERSION, cpus: CPUS, recordsNext: places.records };
    Object.assign(Control.view(buffer, 0), control);
    this.domain = Para.view(buffer, para);
    const frames = ramSize / PAGE;
    const m2pFrames = (frames * 8) / PAGE;
    const guestFrames = frames - PARA_GUEST - m2pFrames;
    Object.assign(this.domain, {
      switches,
      pages: pageInfos,
      busy: busyFrames,
      frames,
      guestFrames,
      m2p: PARA_GUEST + guestFrames,
      m2pFrames,
    });
    Object.assign(this.domain, { totalPages: guestFrames, maxPages: guestFrames });
    for (let i = 0; i < guestFrames; i++) {
      PageInfo.view(buffer, pageInfos + machineFrame(i) * PageInfo.size).owner = OWNER_GUEST;
      this.word(this.domain.m2p * PAGE + machineFrame(i) * 8, BigInt(i));
    }
    PageInfo.view(buffer, pageInfos + PARA_SHARED_INFO * PageInfo.size).owner = OWNER_SHARED;
    this.state = Cpu.view(buffer, CPUS);
    const choice = paraCpu(parseCpu('default'));
    const leaves = paraLeaves(cpuidLeaves(choice, { vcpu: 0, vcpus: 1, tscHz: 1e9 }), 1e9, 40);
    this.state.cpuidLeaves = leaves.length;
    leaves.forEach((l, i) => [l.leaf, l.subleaf, l.eax, l.ebx, l.ecx, l.edx].forEach((v, k) => this.state.cpuidTable.set(i * 6 + k, v)));
    featureWords(choice.features).forEach((word, i) => this.state.features.set(i, word));
    this.state.physicalMask = 2 ** 40 - 1;
    this.engine = createEngine(this.memory, { ...BUS, hypercall: (_, number) => this.#host(number) }, modules, options);
    this.#tables();
    this.reset();
  }

  #host(number: number): void {
    const { para } = this.state;
    const call = { number, args: Array.from({ length: 6 }, (_, i) => this.u64(this.state.address + Cpu.offsets.para + ARGS + i * 8)) };
    if (number === STOP) {
      this.state.halted = 1;
      return;
    }
    this.calls.push(call);
    this.view.setBigInt64(para.address + RESULT, this.answer(call), true);
  }

  u64(at: number): bigint {
    return this.view.getBigUint64(at, true);
  }
  /** Of RAM, by machine address. */
  word(at: number, value?: bigint): bigint {
    if (value !== undefined) this.view.setBigUint64(this.ram + at, value, true);
    return this.u64(this.ram + at);
  }
  /** Offset in RAM of a kernel address. */
  at(linear: bigint): number {
    return PARA_GUEST * PAGE + Number(linear - KERNEL);
  }
  kernelWord(linear: bigint, value?: bigint): bigint {
    return this.word(this.at(linear), value);
  }
  put(ram: number, bytes: readonly number[]): void {
    const page = ram >>> 12;
    this.engine.helpers.invalidateCode(page, 0, PAGE - 1);
    new Uint8Array(this.memory.buffer).set(bytes, this.ram + ram);
  }
  gpr(register: number, value?: bigint): bigint {
    const at = this.state.address + Cpu.offsets.gpr + register * 8;
    if (value !== undefined) this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this.u64(at);
  }
  rip(value?: bigint): bigint {
    const at = this.state.address + Cpu.offsets.rip;
    if (value !== undefined) this.view.setBigUint64(at, value, true);
    return this.u64(at);
  }
  /** A field of ParaVcpu. */
  para(offset: number, value?: bigint): bigint {
    const at = this.state.para.address + offset;
    if (value !== undefined) this.view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this.u64(at);
  }
  /** struct vcpu_info. */
  get info(): DataView {
    return new DataView(this.memory.buffer, this.ram + PARA_SHARED_INFO * PAGE, 64);
  }
  /** The program's page, by RAM offset. */
  userAt(linear: bigint): number {
    return machineFrame(USER_FRAME) * PAGE + Number(linear - USER);
  }

  #tables(): void {
    const table = (frame: number, index: number, value: bigint): void => void this.word(machineFrame(frame) * PAGE + index * 8, value);
    const TABLE_FLAGS = P | RW | US;
    table(TABLES, 511, entry(1, TABLE_FLAGS));
    table(1, 510, entry(2, TABLE_FLAGS));
    table(2, 0, entry(KERNEL_L1, TABLE_FLAGS));
    // Tables are read-only, and descriptors.
    for (let i = 0; i < 512; i++) table(KERNEL_L1, i, entry(i, i < 8 || i === GDT_FRAME ? P | US : P | RW | US));
    table(4, 0, entry(5, TABLE_FLAGS));
    table(5, 0, entry(6, TABLE_FLAGS));
    table(6, 2, entry(USER_L1, TABLE_FLAGS));
    table(TABLES, 0, entry(5, TABLE_FLAGS));
    for (let i = 0; i < 3; i++) table(USER_L1, i, entry(USER_FRAME + i, P | RW | US));
  }

  /** Back to the start of the kernel, with handlers for all that comes: each ends the run. */
  reset(): void {
    const { helpers } = this.engine;
    helpers.resetCpu(CPUS);
    helpers.resetPara(CPUS);
    this.para(KERNEL_CR3, BigInt(machineFrame(TABLES) * PAGE));
    if (!this.#started) {
      this.#started = true;
      if (helpers.paraStart(CPUS) !== 0) throw new Error('the page tables are not valid');
      // As MMUEXT_NEW_USER_BASEPTR does.
      if (!helpers.getPageType(CPUS, machineFrame(4), PGT_l4_page_table)) throw new Error('nor are the program’s');
    }
    this.para(USER_CR3, BigInt(machineFrame(4) * PAGE));
    this.state.para.info = PARA_SHARED_INFO * PAGE;
    for (let i = 0; i < 64; i++) this.info.setUint8(i, 0);
    this.para(KERNEL_SP, STACK);
    for (let vector = 0; vector < 256; vector++) {
      const at = this.state.para.address + TRAPS + vector * 16;
      this.view.setBigUint64(at, handlerAt(vector), true);
    }
    for (let i = 0; i < 260; i++) this.put(this.at(handlerAt(i)), STOPS);
    const callbacks = [EVENT_CALLBACK, FAILSAFE_CALLBACK, SYSCALL_CALLBACK, SYSCALL32_CALLBACK];
    callbacks.forEach((offset, i) => this.para(offset, handlerAt(EVENT_HANDLER + i)));
    this.calls.length = 0;
    this.domain.crash = 0;
  }

  /** Runs `code` in the kernel at CODE until it ends; what `run` returned. */
  kernel(...code: number[]): number {
    this.put(this.at(CODE), code);
    this.rip(CODE);
    this.gpr(RSP, STACK - 0x100n);
    return this.go();
  }
  /** Runs `code` as the program: by iret. */
  user(...code: number[]): number {
    this.put(this.userAt(USER), code);
    return this.iret({ rip: USER, cs: 0xe033n, flags: 0x202n, rsp: USER_STACK, ss: 0xe02bn });
  }
  iret(to: { rip: bigint; cs: bigint; flags: bigint; rsp: bigint; ss: bigint; how?: bigint; rax?: bigint }): number {
    const frame = STACK - 0x100n;
    const words = [to.rax ?? 0x11n, 0x1111n, 0xccccn, to.how ?? 0n, to.rip, to.cs, to.flags, to.rsp, to.ss];
    words.forEach((w, i) => this.kernelWord(frame + BigInt(i * 8), w));
    return this.kernel(...set(RAX, 23n), ...SYSCALL);
  }
  /** Words of the frame that a handler was entered with. */
  frame(count: number): bigint[] {
    const rsp = this.gpr(RSP);
    return Array.from({ length: count }, (_, i) => this.kernelWord(rsp + BigInt(i * 8)));
  }
  go(budget = 10000): number {
    this.state.halted = 0;
    const exit = this.engine.run(CPUS, budget);
    if (exit === EXIT_HALT) this.state.halted = 0;
    return exit;
  }
}
