/** For tests: memory of a paravirtualized machine whose kernel has all of its frames mapped, and the processor's functions for them. Nothing runs. */
import { buildCore, readModule } from '../../build/core.ts';
import type { ProcessorBus } from '../bus/processor.ts';
import { createEngine, type Engine } from '../processor/engine.ts';
import { type EngineModules, compileModules } from '../processor/modules.ts';
import { parseCpu } from '../spec/models.ts';
import { CPUS, Cpu, OWNER_GUEST, OWNER_SHARED, PARA_GUEST, PARA_SHARED_INFO, PageInfo, Para } from '../state/index.ts';
import { checkFrames, type Held } from '../vmm/para/checker.ts';
import { PARA_SWITCHES } from '../vmm/para/switches.ts';
import { createMachine } from './create.ts';

export const P = 1n;
export const RW = 2n;
export const US = 4n;
export const A = 0x20n;
export const D = 0x40n;
export const XD = 1n << 63n;

/** Where the guest's frame n is mapped: at this address plus n * 4096. */
export const DIRECT = 0xffff_8800_0000_0000n;

let modules: EngineModules;
/** Builds and compiles the processor; once, before the tests. */
export async function preparePara(): Promise<void> {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
}

const none = (): number => 0;
/** A machine that is asked for nothing. */
const BUS: ProcessorBus = { readPort: none, writePort: none, readMmio: none, writeMmio: none, acknowledgeInterrupt: () => -1, tsc: none, taskPriority: none, readTaskPriority: none, apicMsr: none, note: none }; // prettier-ignore

export class ParaMemory {
  readonly buffer;
  readonly memory: WebAssembly.Memory;
  readonly engine: Engine;
  readonly para;
  readonly cpu;
  readonly bounce = Cpu.offsets.bounce;
  readonly #view: DataView;
  readonly ram: number;
  /** The first tables: their frames. */
  readonly l4 = PARA_GUEST;
  readonly l3 = PARA_GUEST + 1;
  readonly l2 = PARA_GUEST + 2;
  readonly l1: number;
  /** The first frame that is no table. */
  readonly free: number;
  readonly end: number;

  constructor(memoryMiB = 4, vcpus = 1, busOf: (memory: WebAssembly.Memory) => ProcessorBus = () => BUS) {
    const { memory, layout } = createMachine({ memoryMiB, vcpus, cpu: parseCpu('default'), para: PARA_SWITCHES });
    this.memory = memory;
    this.buffer = memory.buffer;
    this.ram = layout.ram;
    this.#view = new DataView(memory.buffer);
    this.engine = createEngine(memory, busOf(memory), modules);
    this.engine.helpers.resetCpu(CPUS);
    this.para = Para.view(memory.buffer, layout.para);
    this.cpu = Cpu.view(memory.buffer, CPUS);
    this.end = this.para.m2p;
    for (let frame = PARA_GUEST; frame < this.end; frame++) this.info(frame).owner = OWNER_GUEST;
    this.info(PARA_SHARED_INFO).owner = OWNER_SHARED;
    this.para.totalPages = this.para.guestFrames;
    this.para.maxPages = this.para.guestFrames;
    for (let frame = 0; frame < this.para.frames; frame++)
      this.entry(this.para.m2p, frame, frame >= PARA_GUEST && frame < this.end ? BigInt(frame - PARA_GUEST) : (1n << 64n) - 1n);

    this.l1 = PARA_GUEST + 3;
    const tables = Math.ceil(this.para.guestFrames / 512);
    this.free = this.l1 + tables;
    this.entry(this.l4, 272, this.to(this.l3));
    this.entry(this.l3, 0, this.to(this.l2));
    for (let i = 0; i < tables; i++) this.entry(this.l2, i, this.to(this.l1 + i));
    for (let i = 0; i < this.para.guestFrames; i++) {
      const frame = PARA_GUEST + i;
      this.entry(this.l1 + (i >> 9), i & 511, this.to(frame, frame < this.free ? P | US : P | RW | US));
    }
    this.engine.helpers.resetPara(CPUS);
    this.cpu.para.kernelCr3 = this.l4 * 4096;
    this.cpu.para.info = PARA_SHARED_INFO * 4096;
  }

  /** An entry that refers to a frame. */
  to(frame: number, flags = P | RW | US | A): bigint {
    return (BigInt(frame) << 12n) | flags;
  }
  /** Entry `index` of a table's frame; with `value`, stores it as nobody may. */
  entry(frame: number, index: number, value?: bigint): bigint {
    const at = this.ram + frame * 4096 + index * 8;
    if (value !== undefined) this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    return this.#view.getBigUint64(at, true);
  }
  /** 8 bytes of machine memory. */
  word(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }
  info(frame: number): ReturnType<(typeof PageInfo)['view']> {
    return PageInfo.view(this.buffer, this.para.pages + frame * PageInfo.size);
  }
  /** Where the kernel has a frame mapped. */
  at(frame: number, offset = 0): bigint {
    return DIRECT + BigInt((frame - PARA_GUEST) * 4096 + offset);
  }
  /** Calls an export of the processor's with the vCPU. */
  call(name: string, ...args: (number | bigint)[]): number | bigint {
    return (this.engine.helpers as unknown as Record<string, (...args: (number | bigint)[]) => number | bigint>)[name]!(CPUS, ...args);
  }
  /** Type, typed references and references of a frame. */
  use(frame: number): number[] {
    const { type, typeCount, count } = this.info(frame);
    return [type, typeCount, count];
  }
  check(held?: Held): string[] {
    return checkFrames(this.buffer, held);
  }
}
