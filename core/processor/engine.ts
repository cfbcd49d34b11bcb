/** The processor bound to one machine's memory, in one thread. Everything it knows of the machine is in that memory. */
import type { ProcessorBus } from '../bus/processor.ts';
import { Control, Record } from '../state/index.ts';
import { Decoder, undefinedName } from './decoder.ts';

/** Compiled once per process; see `compileModules`. They can be sent to other threads. */
export interface EngineModules {
  readonly trap: WebAssembly.Module;
  readonly helpers: WebAssembly.Module;
  readonly interpreter: WebAssembly.Module;
}

/** The AssemblyScript functions that the host calls. */
export interface Helpers {
  /** Power-on state (vol. 3A, 9.1). */
  resetCpu(cpu: number): void;
  /** To be called after segments, CR0, EFER or RFLAGS.VM were set from outside. */
  updateReach(cpu: number): void;
  updateTlbMode(cpu: number): void;
  flushTlb(cpu: number, keepGlobal: number): void;
  getFlags(cpu: number): number;
  setFlags(cpu: number, value: number, mask: number): void;
  invalidateCode(page: number, first: number, last: number): void;
}

export interface Engine {
  /** Runs the vCPU at address `cpu` for about `budget` instructions (at most 2^31 - 1); returns EXIT_*. What a device throws comes through. */
  run(cpu: number, budget: number): number;
  readonly helpers: Helpers;
  /** Opcodes that were executed and are not implemented (or not in the CPU model), by name: how often. */
  readonly undefinedOpcodes: ReadonlyMap<string, number>;
}

export async function compileModules(read: (name: string) => Promise<BufferSource>): Promise<EngineModules> {
  const compile = async (name: string): Promise<WebAssembly.Module> => WebAssembly.compile(await read(name));
  const [trap, helpers, interpreter] = await Promise.all(['trap.wasm', 'helpers.wasm', 'interpreter.wasm'].map(compile));
  return { trap: trap!, helpers: helpers!, interpreter: interpreter! };
}

export function createEngine(memory: WebAssembly.Memory, bus: ProcessorBus, modules: EngineModules): Engine {
  const control = Control.view(memory.buffer, 0);
  if (control.recordsNext <= control.records) control.recordsNext = control.records + control.vcpus * 2 * Record.size;
  const env = { memory };
  const trap = new WebAssembly.Instance(modules.trap).exports;
  let decoder: Decoder;
  const undefinedOpcodes = new Map<string, number>();
  const host = {
    readPort: (cpu: number, port: number, size: number) => bus.readPort(cpu, port, size),
    writePort: (cpu: number, port: number, size: number, value: number) => bus.writePort(cpu, port, size, value >>> 0),
    readMmio: (cpu: number, low: number, high: number, size: number) => bus.readMmio(cpu, low >>> 0, high >>> 0, size),
    writeMmio: (cpu: number, low: number, high: number, size: number, value: number) =>
      bus.writeMmio(cpu, low >>> 0, high >>> 0, size, value >>> 0),
    acknowledgeInterrupt: (cpu: number) => bus.acknowledgeInterrupt(cpu),
    tsc: (cpu: number) => bus.tsc(cpu),
    taskPriority: (cpu: number, value: number) => bus.taskPriority(cpu, value),
    readTaskPriority: (cpu: number) => bus.readTaskPriority(cpu),
    apicMsr: (cpu: number, msr: number, low: number, high: number) => bus.apicMsr(cpu, msr >>> 0, low >>> 0, high >>> 0),
    undefinedInstruction: (_cpu: number, opcode: number) => {
      const name = undefinedName(opcode);
      undefinedOpcodes.set(name, (undefinedOpcodes.get(name) ?? 0) + 1);
    },
    decode: (cpu: number, at: number) => decoder.decode(cpu, at >>> 0),
    decodeOne: (cpu: number, at: number) => decoder.decodeOne(cpu, at >>> 0),
  };
  const helpers = new WebAssembly.Instance(modules.helpers, { env, trap, host }).exports;
  const interpreter = new WebAssembly.Instance(modules.interpreter, { env, trap, helper: helpers }).exports;
  decoder = new Decoder(memory, helpers as unknown as ConstructorParameters<typeof Decoder>[1]);
  return {
    run: interpreter.run as Engine['run'],
    helpers: helpers as unknown as Helpers,
    undefinedOpcodes,
  };
}
