/** The processor bound to one machine's memory, in one thread. Everything it knows of the machine is in that memory. */
import type { ProcessorBus } from '../bus/processor.ts';
import {
  ACTIVITY_COMPILING,
  ACTIVITY_DEVICE,
  ACTIVITY_NONE,
  ACTIVITY_TRANSLATED,
  Control,
  Cpu,
  EXIT_BUDGET,
  ParaVcpu,
  Record,
  RECORDS_INTERPRETED,
} from '../state/index.ts';
import { handlerCount } from './handlers.ts';
import type { EngineModules } from './modules.ts';
import { undefinedName } from './undefined.ts';

export { compileModules, type EngineModules } from './modules.ts';

/** The AssemblyScript functions that the host calls. */
export interface Helpers {
  /** Power-on state (vol. 3A, 9.1). */
  resetCpu(cpu: number): void;
  /** To be called after segments, CR0, EFER or RFLAGS.VM were set from outside. */
  updateReach(cpu: number): void;
  updateTlbMode(cpu: number): void;
  /** Makes the vCPU what the guest believes it to be, until it runs again (full virtualization). */
  uncompress(cpu: number): void;
  /** Empties the TLB, whatever was there. */
  resetTlb(cpu: number): void;
  flushTlb(cpu: number, keepGlobal: number): void;
  getFlags(cpu: number): number;
  setFlags(cpu: number, value: number, mask: number): void;
  invalidateCode(page: number, first: number, last: number): void;
  // -- of a paravirtualized guest (core/vmm/para)
  /** After `resetCpu`: the vCPU as it is at start of day, but for the registers that a loader sets. */
  resetPara(cpu: number): void;
  /** Before the first instruction: validates the loader's page tables (`ParaVcpu.kernelCr3`) and takes them into use; 0, or a negative error. */
  paraStart(cpu: number): number;
  /**
   * Address in machine memory of the byte at a linear address of the guest's kernel, good to the end of its page and until the guest runs; 0: its
   * kernel may not access that.
   */
  guestAddress(cpu: number, low: number, high: number, write: number): number;
  getPageType(cpu: number, frame: number, type: number): number;
  putPageType(cpu: number, frame: number): void;
  releaseFrame(cpu: number, frame: number): number;
  allocateFrame(cpu: number): number;
  /** Forgets all decoded code, and with it all translations. Not while any of it is executed. */
  forgetCode(): void;
}

/** What a translator works with. */
export interface TranslatorHost {
  readonly memory: WebAssembly.Memory;
  /** The handlers, and the slots for translated code after them. */
  readonly table: WebAssembly.Table;
  readonly trap: WebAssembly.ModuleImports;
  readonly helpers: WebAssembly.ModuleImports;
  note?(text: string): void;
}

/** A translator, as the engine sees it (core/translator). */
export interface TranslatorHooks {
  /** A run of a vCPU begins, and is over. */
  enter(cpu: number): void;
  leave(cpu: number): void;
  /** The block that begins with `record` is hot. */
  request(cpu: number, record: number): void;
}

export interface EngineOptions {
  /** Absent: the interpreter does everything. */
  readonly translator?: (host: TranslatorHost) => TranslatorHooks;
}

export interface Engine {
  /** Runs the vCPU at address `cpu` for about `budget` instructions (at most 2^31 - 1); returns EXIT_*. What a device throws comes through. */
  run(cpu: number, budget: number): number;
  readonly helpers: Helpers;
  /** Opcodes that were executed and are not implemented (or not in the CPU model), by name: how often. */
  readonly undefinedOpcodes: ReadonlyMap<string, number>;
}

/** The AssemblyScript functions on a machine's memory, for a thread that runs no vCPU: what needs the machine's bus cannot be called there. */
export function instantiateHelpers(memory: WebAssembly.Memory, modules: EngineModules): Pick<Helpers, 'invalidateCode'> {
  const trap = new WebAssembly.Instance(modules.trap).exports;
  const absent = (): never => {
    throw new Error('there is no machine on this thread');
  };
  const names = WebAssembly.Module.imports(modules.helpers).filter(({ module }) => module === 'host');
  const host = Object.fromEntries(names.map(({ name }) => [name, absent]));
  return new WebAssembly.Instance(modules.helpers, { env: { memory }, trap, host }).exports as unknown as Helpers;
}

export function createEngine(memory: WebAssembly.Memory, bus: ProcessorBus, modules: EngineModules, options: EngineOptions = {}): Engine {
  const control = Control.view(memory.buffer, 0);
  control.firstSlot = handlerCount();
  const env = { memory };
  const trap = new WebAssembly.Instance(modules.trap).exports;
  let translator: TranslatorHooks | undefined;
  const undefinedOpcodes = new Map<string, number>();
  const words = new Uint32Array(memory.buffer);
  /** `work` with `Cpu.activity` saying so. What throws (a device) leaves it at that until the next block. */
  const during = <T>(cpu: number, activity: number, work: () => T): T => {
    const at = (cpu + Cpu.offsets.activity) >>> 2;
    const before = words[at]!;
    words[at] = activity;
    const result = work();
    words[at] = before;
    return result;
  };
  const host = {
    readPort: (cpu: number, port: number, size: number) => during(cpu, ACTIVITY_DEVICE, () => bus.readPort(cpu, port, size)),
    writePort: (cpu: number, port: number, size: number, value: number) =>
      during(cpu, ACTIVITY_DEVICE, () => bus.writePort(cpu, port, size, value >>> 0)),
    readMmio: (cpu: number, low: number, high: number, size: number) =>
      during(cpu, ACTIVITY_DEVICE, () => bus.readMmio(cpu, low >>> 0, high >>> 0, size)),
    writeMmio: (cpu: number, low: number, high: number, size: number, value: number) =>
      during(cpu, ACTIVITY_DEVICE, () => bus.writeMmio(cpu, low >>> 0, high >>> 0, size, value >>> 0)),
    acknowledgeInterrupt: (cpu: number) => during(cpu, ACTIVITY_DEVICE, () => bus.acknowledgeInterrupt(cpu)),
    tsc: (cpu: number) => bus.tsc(cpu),
    clock: () => performance.now(),
    taskPriority: (cpu: number, value: number) => during(cpu, ACTIVITY_DEVICE, () => bus.taskPriority(cpu, value)),
    readTaskPriority: (cpu: number) => bus.readTaskPriority(cpu),
    hypercall: (cpu: number, number: number) => during(cpu, ACTIVITY_DEVICE, () => bus.hypercall?.(cpu, number)),
    apicMsr: (cpu: number, msr: number, low: number, high: number) =>
      during(cpu, ACTIVITY_DEVICE, () => bus.apicMsr(cpu, msr >>> 0, low >>> 0, high >>> 0)),
    undefinedInstruction: (_cpu: number, opcode: number) => {
      const name = undefinedName(opcode);
      undefinedOpcodes.set(name, (undefinedOpcodes.get(name) ?? 0) + 1);
    },
    translate: (cpu: number, record: number) => during(cpu, ACTIVITY_COMPILING, () => translator?.request(cpu, record >>> 0)),
  };
  const exports = new WebAssembly.Instance(modules.helpers, { env, trap, host }).exports;
  const helpers = exports as unknown as Helpers & { prepareCode(): void };
  helpers.prepareCode();
  const interpreter = new WebAssembly.Instance(modules.interpreter, { env, trap, helper: exports }).exports;
  translator = options.translator?.({
    memory,
    table: interpreter.table as WebAssembly.Table,
    trap: trap as WebAssembly.ModuleImports,
    helpers: exports as WebAssembly.ModuleImports,
  });
  // Decoding again is cheap where nothing was translated; memory is not.
  if (!translator) control.recordsEnd = Math.min(control.recordsEnd, control.records + RECORDS_INTERPRETED * Record.size);
  const execute = interpreter.run as Engine['run'];
  return {
    run(cpu, budget) {
      let exit: number;
      const running = control.para === 0 ? 0 : (cpu + Cpu.offsets.para + ParaVcpu.offsets.running) >>> 2;
      translator?.enter(cpu);
      if (running !== 0) Atomics.store(words, running, 1);
      try {
        exit = execute(cpu, budget);
      } finally {
        if (running !== 0) Atomics.store(words, running, 0);
        translator?.leave(cpu);
      }
      const at = (cpu + Cpu.offsets.activity) >>> 2;
      if (exit === EXIT_BUDGET) {
        const { endedInterpreted, endedTranslated } = Cpu.offsets;
        words[(cpu + (words[at] === ACTIVITY_TRANSLATED ? endedTranslated : endedInterpreted)) >>> 2]!++;
      }
      words[at] = ACTIVITY_NONE;
      return exit;
    },
    helpers,
    undefinedOpcodes,
  };
}
