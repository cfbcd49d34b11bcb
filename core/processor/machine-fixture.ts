/** For tests: a whole processor on a small machine memory, and machine code put into it by hand. The test is its bus. */
import { expect } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import type { ProcessorBus } from '../bus/processor.ts';
import { cpuidLeaves, featureWords, parseCpu } from '../spec/models.ts';
import { CODE_32, CPUS, CS, Control, Cpu, EVENT_INTERRUPT, EXIT_HALT, MAGIC, MIB, VERSION, layout } from '../state/index.ts';
import { createEngine, type Engine } from './engine.ts';
import { compileModules, type EngineModules } from './modules.ts';

/** Where things are. */
export const CODE = 0x10000;
export const STACK = 0x20000;
export const IDT = 0x30000;
export const GDT = 0x31000;

let modules: EngineModules;
/** Builds and compiles the processor; once, before the tests. */
export async function prepareMachines(): Promise<void> {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
}

/** What `decodeInstruction` (assembly/decoder.ts) returns where the bytes do not suffice, and adds for the end of a block. */
export const NEEDS_MORE = -1;
export const DECODED_END = 0x100;

export class Machine implements ProcessorBus {
  readonly buffer;
  readonly state;
  readonly engine: Engine;
  readonly #ram: number;
  readonly #view: DataView;
  /** The vector that an interrupt controller would give, or -1. */
  vector = -1;
  readonly writes: string[] = [];
  readonly reads: string[] = [];
  ticks = 0;

  constructor(cpu = 'default') {
    const at = layout(1, 2 * MIB);
    const memory = new WebAssembly.Memory({ initial: at.pages, maximum: at.pages, shared: true });
    this.buffer = memory.buffer;
    this.#view = new DataView(memory.buffer);
    this.#ram = at.ram;
    const { pages: _, vcpus, ...places } = at;
    Object.assign(Control.view(memory.buffer, 0), { magic: MAGIC, version: VERSION, vcpus, cpus: CPUS, ...places });
    this.state = Cpu.view(memory.buffer, CPUS);
    const choice = parseCpu(cpu);
    const leaves = cpuidLeaves(choice, { vcpu: 0, vcpus: 1, tscHz: 1e9 });
    this.state.cpuidLeaves = leaves.length;
    leaves.forEach((l, i) => [l.leaf, l.subleaf, l.eax, l.ebx, l.ecx, l.edx].forEach((v, k) => this.state.cpuidTable.set(i * 6 + k, v)));
    featureWords(choice.features).forEach((word, i) => this.state.features.set(i, word));
    this.engine = createEngine(memory, this, modules);
    this.engine.helpers.resetCpu(CPUS);
  }

  readPort(_: number, port: number, size: number): number {
    this.reads.push(`port ${port.toString(16)}/${size}`);
    return 0x11223344 + port;
  }
  writePort(_: number, port: number, size: number, value: number): void {
    this.writes.push(`port ${port.toString(16)}/${size}=${value.toString(16)}`);
  }
  readMmio(_: number, low: number, high: number, size: number): number {
    this.reads.push(`${high.toString(16)}:${low.toString(16)}/${size}`);
    return 0x55;
  }
  writeMmio(_: number, low: number, high: number, size: number, value: number): void {
    this.writes.push(`${high.toString(16)}:${low.toString(16)}/${size}=${(value >>> 0).toString(16)}`);
  }
  acknowledgeInterrupt(): number {
    this.state.event &= ~EVENT_INTERRUPT;
    return this.vector;
  }
  tsc(): number {
    return (this.ticks += 100);
  }
  taskPriority(): void {}
  readTaskPriority(): number {
    return 0;
  }
  apicMsr(): void {}
  note(): void {}

  put(at: number, ...bytes: number[]): void {
    bytes.forEach((b, i) => this.#view.setUint8(this.#ram + at + i, b));
  }
  word(at: number, value?: number): number {
    if (value !== undefined) this.#view.setUint32(this.#ram + at, value, true);
    return this.#view.getUint32(this.#ram + at, true);
  }
  byte(at: number): number {
    return this.#view.getUint8(this.#ram + at);
  }
  gpr(n: number): number {
    return this.state.gpr.get(n);
  }
  raise(vector: number): void {
    this.vector = vector;
    this.state.event |= EVENT_INTERRUPT;
  }

  /** 32-bit flat protected mode at CPL 0, about to execute `code` at CODE. Handler of vector n: at 0x40000 + n * 16, HLT. */
  protect(...code: number[]): this {
    const { state } = this;
    state.cr0 = 0x11;
    Object.assign(state.idtr, { base: IDT, limit: 0x7ff });
    Object.assign(state.gdtr, { base: GDT, limit: 0x1f });
    this.word(GDT + 8, 0x0000ffff);
    this.word(GDT + 12, 0x00cf9b00);
    this.word(GDT + 16, 0x0000ffff);
    this.word(GDT + 20, 0x00cf9300);
    for (let n = 0; n < 256; n++) {
      this.word(IDT + n * 8, 0x00080000 | (n * 16));
      this.word(IDT + n * 8 + 4, 0x00048e00);
      this.put(0x40000 + n * 16, 0xf4);
    }
    state.segments
      .slice(0, 6)
      .forEach((s, i) =>
        Object.assign(s, { base: 0, limit: 0xffffffff, selector: i === CS ? 8 : 16, attributes: i === CS ? 0xc09b : 0xc093 }),
      );
    state.gpr.set(4, STACK);
    // The processor's signature, after reset.
    state.gpr.set(2, 0);
    state.rip = CODE;
    this.engine.helpers.updateReach(CPUS);
    expect(state.codeSize).toBe(CODE_32);
    this.put(CODE, ...code);
    return this;
  }
  /** Decodes one instruction at RAM offset `at`, of whose bytes only `available` may be read; returns what the decoder does and the record's address. */
  decode(mode: number, at: number, available = 100): { returned: number; record: number } {
    const record = this.#ram + 0x9000;
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
    return { returned: decodeInstruction(CPUS, record, this.#ram + at, available, mode, at & 0xfff, 0), record };
  }
  run(budget = 1000): number {
    return this.engine.run(CPUS, budget);
  }
  /** Runs to a HLT and says where it was. */
  halt(budget = 100000): number {
    expect(this.run(budget)).toBe(EXIT_HALT);
    return this.state.rip - 1;
  }
}
