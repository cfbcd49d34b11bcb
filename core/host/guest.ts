/** Puts a machine together on a pCPU's thread: what its technique wants for a board, and the processor. */
import { createEngine, type Engine, type TranslatorHost } from '../processor/engine.ts';
import type { EngineModules } from '../processor/modules.ts';
import {
  CPU_STRIDE, CPUS, Cpu, EXIT_BUDGET, EXIT_HALT, EXIT_INIT, EXIT_KICK, EXIT_SHUTDOWN, PARA_KERNEL, SHUTDOWN_PARA,
  SHUTDOWN_TRIPLE_FAULT,
} from '../state/index.ts'; // prettier-ignore
import { Translator } from '../translator/index.ts';
import { exitIndex } from '../vmm/bus.ts';
import type { Exit } from '../vmm/exit.ts';
import { FULL_REASONS, FullExits } from '../vmm/full/exits.ts';
import { crashSentence } from '../vmm/para/crash.ts';
import { ParaCounts } from '../vmm/para/exits.ts';
import type { GuestEngine, GuestMachine } from './executor.ts';
import { ParaMachine } from './para-machine.ts';
import { PcMachine } from './pc-machine.ts';
import type { Opener, OpenRequest } from './pcpu.ts';

/** A machine of any kind, with the system that it starts with. */
export interface HostMachine extends GuestMachine {
  /** There is an engine now. */
  connect(engine: Engine): void;
  /** Loads the system into memory and sets the vCPUs' registers. Throws UserErrors. */
  load(request: OpenRequest): void;
}

/** V8's versions up to this one: Node 20 has 11. */
const V8_UNSURE = 11;

/**
 * The vCPU's thread compiles. With V8 11 and the compiler's thread, GRUB as a paravirtualized guest went wrong in up to half of its starts, for a reason that is not known yet;
 * with later versions, or without that thread, in none of hundreds.
 */
const compilesHere = ({ technique }: OpenRequest['spec']): boolean =>
  technique === 'para' && Number.parseInt(process.versions.v8, 10) <= V8_UNSURE;

/** The processor of a machine, with its exits counted. */
export class HostEngine implements GuestEngine {
  readonly engine: Engine;
  readonly #cpus;
  /** Of each vCPU, if it is fully virtualized. */
  readonly #exits: readonly FullExits[];
  /** Of each vCPU, if it is paravirtualized. */
  readonly #calls: readonly ParaCounts[];
  readonly #buffer: ArrayBufferLike;

  constructor({ memory, modules, spec, hooks, translator: options, wakeCompiler }: OpenRequest, bus: Parameters<typeof createEngine>[1]) {
    const translator =
      (spec.engine ?? 'translator') === 'translator'
        ? (host: TranslatorHost): Translator =>
            new Translator(
              { ...host, note: (text) => hooks.note(text) },
              { wake: compilesHere(spec) ? undefined : wakeCompiler, ...options },
            )
        : undefined;
    this.engine = createEngine(memory, bus, modules as unknown as EngineModules, translator && { translator });
    this.#cpus = Array.from({ length: spec.vcpus }, (_, i) => Cpu.view(memory.buffer, CPUS + i * CPU_STRIDE));
    this.#exits = spec.technique === 'full' ? this.#cpus.map(({ address }) => new FullExits(memory.buffer, address)) : [];
    this.#calls = spec.technique === 'para' ? this.#cpus.map(({ address }) => new ParaCounts(memory.buffer, address)) : [];
    this.#buffer = memory.buffer;
  }

  run(index: number, budget: number): Exit {
    const cpu = this.#cpus[index]!;
    const code = this.engine.run(cpu.address, budget);
    const retired = Math.max(0, budget - cpu.budget);
    cpu.instructions += retired;
    if (cpu.cpl === 3 && cpu.para.mode !== PARA_KERNEL) cpu.userInstructions += cpu.budgetMark - cpu.budget;
    switch (code) {
      case EXIT_BUDGET:
        return { reason: 'budget' };
      case EXIT_HALT:
        return { reason: 'halt' };
      case EXIT_KICK:
        return { reason: 'kick' };
      case EXIT_INIT:
        return { reason: 'init' };
      case EXIT_SHUTDOWN:
        if (cpu.shutdown === SHUTDOWN_TRIPLE_FAULT) return { reason: 'shutdown' };
        if (cpu.shutdown === SHUTDOWN_PARA) return { reason: 'domain-crash', detail: crashSentence(this.#buffer) };
        return { reason: 'internal', detail: `the processor stopped with code ${cpu.shutdown} at ${cpu.rip.toString(16)}` };
      default:
        return { reason: 'internal', detail: `the engine returned ${code}` };
    }
  }

  instructions(index: number): number {
    return this.#cpus[index]!.instructions;
  }

  userInstructions(index: number): number {
    return this.#cpus[index]!.userInstructions;
  }

  ownExits(index: number, each: (reason: number, count: number, seconds: number) => void): number {
    let all = 0;
    this.#calls[index]?.exits((name, count, seconds) => {
      each(exitIndex(name), count, seconds);
      all += seconds;
    });
    const exits = this.#exits[index];
    if (!exits) return all;
    for (const [number, name] of FULL_REASONS.entries()) {
      const { count, seconds } = exits.of(number);
      each(exitIndex(name), count, seconds);
      all += seconds;
    }
    return all;
  }

  undefinedOpcodes(): ReadonlyMap<string, number> {
    return this.engine.undefinedOpcodes;
  }
}

export const guests: Opener<HostMachine, HostEngine> = {
  machine: (request) => (request.spec.technique === 'para' ? new ParaMachine(request) : new PcMachine(request)),
  engine(request, machine, bus) {
    const made = new HostEngine(request, bus);
    machine.connect(made.engine);
    return made;
  },
  boot: (request, machine) => machine.load(request),
};
