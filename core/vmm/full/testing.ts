/** For tests: a machine whose guest runs bare or fully virtualized, in 16-, 32- or 64-bit code, with tables and handlers of its own. */
import { createEngine, type Engine, type EngineModules, type EngineOptions } from '../../processor/engine.ts';
import {
  CODE_16, CODE_32, CODE_64, Control, CPUS, CS, Cpu, EXIT_HALT, layout, MAGIC, MIB, SS, TR, VERSION, VMM_EXITS,
} from '../../state/index.ts'; // prettier-ignore
import { BUS } from '../../translator/testing.ts';

export type Bits = 16 | 32 | 64;

// -- where the guest has what
export const CODE = 0x1000;
/** What a test's code works on. */
export const DATA = 0x2000;
export const STACK = 0x3000;
export const INNER_STACK = 0x3800;
/** The handler of vector n, HLT: 16 n bytes on. */
export const HANDLERS = 0x4000;
const GDT = 0x6000;
const IDT = 0x7000;
export const TSS = 0x8000;
const TABLES = 0x10000;
const RAM = 2 * MIB;

export const CODE0 = 0x08;
export const DATA0 = 0x10;
/** 32-bit code (in 64-bit mode too), for the handlers of 16-bit code. */
const FLAT_CODE = 0x18;
export const CODE1 = 0x20;
export const DATA1 = 0x28;
export const TASK = 0x30;
export const CODE3 = 0x40;
export const DATA3 = 0x48;

const ATTRIBUTES: Record<Bits, number> = { 16: 0x809b, 32: 0xc09b, 64: 0xa09b };

export class FullMachine {
  readonly bits: Bits;
  readonly engine: Engine;
  readonly memory: WebAssembly.Memory;
  readonly state;
  readonly view: DataView;
  readonly ram: number;
  /** Instructions retired since `begin`. */
  retired = 0;

  /** `full`: FULL_*, or 0 for bare. */
  constructor(bits: Bits, full: number, modules: EngineModules, options: EngineOptions = {}, bus: Partial<typeof BUS> = {}) {
    const { pages, ram, ...places } = layout(1, RAM);
    this.bits = bits;
    this.ram = ram;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const { buffer } = this.memory;
    this.view = new DataView(buffer);
    const control = { ...places, ram, magic: MAGIC, version: VERSION, cpus: CPUS, recordsNext: places.records, full };
    Object.assign(Control.view(buffer, 0), control);
    this.state = Cpu.view(buffer, CPUS);
    this.state.features.fill(0xffffffff);
    this.engine = createEngine(this.memory, { ...BUS, ...bus }, modules, options);
    this.#tables();
  }

  put(at: number, ...bytes: number[]): void {
    new Uint8Array(this.memory.buffer).set(bytes, this.ram + at);
  }
  words(at: number, ...words: number[]): void {
    words.forEach((w, i) => this.view.setUint32(this.ram + at + i * 4, w, true));
  }
  word(at: number): number {
    return this.view.getUint32(this.ram + at, true);
  }
  half(at: number): number {
    return this.view.getUint16(this.ram + at, true);
  }

  #tables(): void {
    const { bits } = this;
    const descriptor = (selector: number, attributes: number): void => this.words(GDT + selector, 0xffff, (attributes << 8) | 0xf0000);
    descriptor(CODE0, ATTRIBUTES[bits]);
    descriptor(DATA0, 0xc093);
    descriptor(FLAT_CODE, 0xc09b);
    descriptor(CODE1, ATTRIBUTES[bits] | 0x20);
    descriptor(DATA1, 0xc0b3);
    descriptor(CODE3, ATTRIBUTES[bits] | 0x60);
    descriptor(DATA3, 0xc0f3);
    this.words(GDT + TASK, (TSS << 16) | 0x67, 0x8b00, 0, 0);
    for (let vector = 0; vector < 64; vector++) {
      const handler = HANDLERS + vector * 16;
      if (bits === 64) this.words(IDT + vector * 16, (CODE0 << 16) | handler, 0x8e00, 0, 0);
      else this.words(IDT + vector * 8, (FLAT_CODE << 16) | handler, 0x8e00);
      this.put(handler, 0xf4);
    }
    if (bits === 64) this.words(TSS + 4, INNER_STACK, 0);
    else this.words(TSS + 4, INNER_STACK, DATA0);
    // No ports.
    this.words(TSS + 0x64, 0xffff0000);
    // One page of 2 MiB, which is the user's too.
    this.words(TABLES, (TABLES + 0x1000) | 7, 0);
    this.words(TABLES + 0x1000, (TABLES + 0x2000) | 7, 0);
    this.words(TABLES + 0x2000, 0xe7, 0);
  }

  /** Puts the vCPU before `code` at CODE, in the guest's ring 0, 1 or 3. */
  begin(code: readonly number[], ring: 0 | 1 | 3 = 0, flags = 2): this {
    const { state, bits } = this;
    const { helpers } = this.engine;
    const same = code.every((byte, i) => this.view.getUint8(this.ram + CODE + i) === byte);
    if (!same) helpers.invalidateCode(CODE >> 12, CODE & 0xfff, (CODE & 0xfff) + code.length - 1);
    this.put(CODE, ...code);
    this.words(DATA, ...Array.from({ length: 64 }, () => 0));
    helpers.uncompress(CPUS);
    for (let n = 0; n < 16; n++) state.gpr.set(n, 0);
    state.gpr.set(4, STACK);
    state.halted = 0;
    state.interruptShadow = 0;
    const [code1, data1] = { 0: [CODE0, DATA0], 1: [CODE1, DATA1], 3: [CODE3, DATA3] }[ring] as [number, number];
    const data = { base: 0, limit: 0xffffffff, attributes: 0xc093 | (ring << 5), selector: data1 | ring };
    const none = { base: 0, limit: 0, attributes: 0x10000, selector: 0 };
    for (let n = 0; n <= 5; n++) Object.assign(state.segments[n]!, data);
    Object.assign(state.segments[CS]!, data, { attributes: ATTRIBUTES[bits] | (ring << 5), selector: code1 | ring });
    Object.assign(state.segments[6]!, none);
    Object.assign(state.segments[TR]!, { base: TSS, limit: 0x67, attributes: 0x8b, selector: TASK });
    Object.assign(state.gdtr, { base: GDT, limit: 0x4f });
    Object.assign(state.idtr, { base: IDT, limit: bits === 64 ? 0x3ff : 0x1ff });
    state.cr0 = bits === 64 ? 0x8000_0011 : 0x11;
    state.cr3 = TABLES;
    state.cr4 = bits === 64 ? 0x620 : 0x600;
    state.efer = bits === 64 ? 0xd00 : 0;
    state.codeSize = { 16: CODE_16, 32: CODE_32, 64: CODE_64 }[bits];
    state.physicalMask = 2 ** 40 - 1;
    state.delivering = 0xffffffff;
    state.cpl = ring;
    state.rip = CODE;
    helpers.setFlags(CPUS, flags, 0xffffffff);
    helpers.updateReach(CPUS);
    helpers.updateTlbMode(CPUS);
    helpers.resetTlb(CPUS);
    this.retired = 0;
    return this;
  }

  run(budget = 1000): number {
    const exit = this.engine.run(CPUS, budget);
    this.retired += budget - this.state.budget;
    return exit;
  }

  /** Runs to a HLT and says of which handler it is, or that it is another. */
  halt(budget = 1000): number | 'end' {
    const exit = this.run(budget);
    if (exit !== EXIT_HALT) throw new Error(`the run ended with ${exit} at ${this.state.rip.toString(16)}`);
    const vector = (this.state.rip - 1 - HANDLERS) / 16;
    return Number.isInteger(vector) && vector >= 0 && vector < 64 ? vector : 'end';
  }

  /** The ring that the guest's kernel, which has just halted, is physically in. */
  get ring(): number {
    const { state } = this;
    if ((state.segments[CS]!.selector & 3) !== state.cpl || (state.segments[SS]!.selector & 3) !== state.cpl)
      throw new Error('rings differ');
    return state.cpl;
  }

  /** Makes the vCPU what the guest believes it to be. */
  asBelieved(): this {
    this.engine.helpers.uncompress(CPUS);
    return this;
  }

  get exits(): number {
    return Array.from({ length: VMM_EXITS }, (_, reason) => this.state.exits.get(reason)).reduce((sum, n) => sum + n, 0);
  }
}
