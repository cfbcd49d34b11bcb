/** Puts a real machine together on a pCPU's thread: board, disks, processor, and the system that it starts with. */
import { readFileSync } from 'node:fs';
import { boot, bootDisk } from '../firmware/boot.ts';
import { FirmwareError } from '../firmware/error.ts';
import { Board } from '../machine/board.ts';
import { createEngine, type Engine, type TranslatorHost } from '../processor/engine.ts';
import type { EngineModules } from '../processor/modules.ts';
import { parseCpu } from '../spec/models.ts';
import {
  CPU_STRIDE,
  CPUS,
  Cpu,
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_INIT,
  EXIT_KICK,
  EXIT_SHUTDOWN,
  PARA_KERNEL,
  SHUTDOWN_TRIPLE_FAULT,
} from '../state/index.ts';
import { openRaw, StorageError, type RawImage } from '../storage/raw.ts';
import { Translator } from '../translator/index.ts';
import { exitIndex } from '../vmm/bus.ts';
import type { Exit } from '../vmm/exit.ts';
import { FULL_REASONS, FullExits } from '../vmm/full/exits.ts';
import { UserError } from './api.ts';
import { asset } from './assets.ts';
import { milliseconds } from './clock.ts';
import type { GuestEngine, GuestMachine } from './executor.ts';
import { causeOf } from './cause.ts';
import type { Opener, OpenRequest } from './pcpu.ts';

/** The user's mistakes, whichever room finds them. */
function asUserError(error: unknown, field: string): unknown {
  if (!(error instanceof FirmwareError || error instanceof StorageError)) return error;
  const { message } = error;
  return new UserError(`${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`, field);
}

/** getRandomValues fills so many bytes at once. */
const RANDOM_MAX = 65_536;

/** From the host's source. */
function fillRandomly(into: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < into.length; at += RANDOM_MAX) crypto.getRandomValues(into.subarray(at, at + RANDOM_MAX));
}

class PcMachine implements GuestMachine {
  readonly board: Board;
  /** Set when there is an engine: DMA makes decoded code stale. */
  engine: Engine | undefined;
  readonly #disks: RawImage[] = [];

  constructor({ spec, memory, epoch, hooks, rtcStart }: OpenRequest) {
    try {
      for (const [i, disk] of spec.disks.entries()) {
        try {
          this.#disks.push(openRaw(disk.path, disk.readonly));
        } catch (error) {
          throw asUserError(error, `disks.${i}.path`);
        }
      }
      this.board = new Board(memory, {
        clock: { now: () => Math.max(0, milliseconds() - epoch()) * 1e6 },
        serials: spec.serials,
        disks: this.#disks,
        testDevices: spec.testDevices === true,
        rtcStart,
        notify: {
          serialOutput: () => hooks.output(),
          powerOff: () => hooks.ended({ kind: 'power-off' }),
          reset: () => hooks.ended({ kind: 'reset' }),
          debugExit: (value) => hooks.ended({ kind: 'debug-exit', value }),
          note: (_cpu, text) => hooks.note(text),
        },
        random: fillRandomly,
        invalidate: (page, first, last) => this.engine?.helpers.invalidateCode(page, first, last),
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get bus(): Board {
    return this.board;
  }

  advance(now: number): void {
    this.board.advance(now);
  }

  nextDeadline(): number {
    return this.board.nextDeadline();
  }

  pressPowerButton(): void {
    this.board.pressPowerButton();
  }

  /** The first disk's boot sector is to be started. */
  bootDisk(longMode: boolean, name: string): void {
    bootDisk(this.board.bootTarget(longMode), this.#disks[0]!, name);
  }

  close(): void {
    for (const disk of this.#disks.splice(0)) disk.close();
  }
}

class PcEngine implements GuestEngine {
  readonly engine: Engine;
  readonly #cpus;
  /** Of each vCPU, if it is fully virtualized. */
  readonly #exits: readonly FullExits[];

  constructor({ memory, modules, spec, hooks, translator: options, wakeCompiler }: OpenRequest, bus: Parameters<typeof createEngine>[1]) {
    const translator =
      (spec.engine ?? 'translator') === 'translator'
        ? (host: TranslatorHost): Translator =>
            new Translator({ ...host, note: (text) => hooks.note(text) }, { wake: wakeCompiler, ...options })
        : undefined;
    this.engine = createEngine(memory, bus, modules as unknown as EngineModules, translator && { translator });
    this.#cpus = Array.from({ length: spec.vcpus }, (_, i) => Cpu.view(memory.buffer, CPUS + i * CPU_STRIDE));
    this.#exits = spec.technique === 'full' ? this.#cpus.map(({ address }) => new FullExits(memory.buffer, address)) : [];
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
        return cpu.shutdown === SHUTDOWN_TRIPLE_FAULT
          ? { reason: 'shutdown' }
          : { reason: 'internal', detail: `the processor stopped with code ${cpu.shutdown} at ${cpu.rip.toString(16)}` };
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
    const exits = this.#exits[index];
    if (!exits) return 0;
    let all = 0;
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

/** At once: this thread has nothing else to do. */
function read(path: string, what: string, field: string): { name: string; data: Uint8Array } {
  try {
    return { name: path, data: readFileSync(path) };
  } catch (error) {
    throw new UserError(`The ${what} ${path} cannot be read: ${causeOf(error)}.`, field);
  }
}

function loadDisk({ spec }: OpenRequest, machine: PcMachine): void {
  const [disk] = spec.disks;
  if (!disk) throw new UserError('A VM that starts from a disk needs a disk.', 'disks');
  machine.board.reset(true);
  try {
    machine.bootDisk(parseCpu(spec.cpu ?? '').features.has('lm'), disk.path);
  } catch (error) {
    throw asUserError(error, 'disks.0.path');
  }
}

function load(request: OpenRequest, machine: PcMachine): void {
  const { source } = request.spec;
  if (source.kind === 'disk') return loadDisk(request, machine);
  const kernel =
    source.kind === 'builtin' ? read(asset('corner.elf'), 'built-in guest', 'source') : read(source.kernel, 'kernel', 'source.kernel');
  const initrd =
    source.kind === 'kernel' && source.initrd !== undefined ? read(source.initrd, 'initial RAM disk', 'source.initrd') : undefined;
  const modules = source.kind === 'kernel' ? (source.modules ?? []).map((path) => read(path, 'module', 'source.modules')) : [];
  machine.board.reset(true);
  const target = machine.board.bootTarget(parseCpu(request.spec.cpu ?? '').features.has('lm'));
  try {
    boot(target, { kernel, initrd, modules, commandLine: source.append ?? '' });
  } catch (error) {
    throw asUserError(error, source.kind === 'kernel' ? 'source.kernel' : 'source');
  }
}

export const pc: Opener<PcMachine, PcEngine> = {
  machine: (request) => new PcMachine(request),
  engine(request, machine, bus) {
    const made = new PcEngine(request, bus);
    machine.engine = made.engine;
    return made;
  },
  boot: load,
};
