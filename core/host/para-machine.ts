/** A paravirtualized guest's machine on a pCPU's thread: its board, and the system that it starts with. */
import { bootXen } from '../firmware/xen/boot.ts';
import { ParaBoard } from '../machine/para.ts';
import type { Engine } from '../processor/engine.ts';
import { CPU_STRIDE, CPUS } from '../state/index.ts';
import { openRaw } from '../storage/raw.ts';
import { SHUTDOWN_CRASH, SHUTDOWN_WATCHDOG } from '../vmm/para/sched.ts';
import { UserError } from './api.ts';
import { milliseconds } from './clock.ts';
import type { HostMachine } from './guest.ts';
import type { OpenRequest } from './pcpu.ts';
import { asUserError, readSystem, sourceField } from './sources.ts';

/** What a domain's end means, where it is not a power-off or a reset. */
function endOf(reason: number): string {
  if (reason === SHUTDOWN_CRASH) return 'The guest’s kernel reported that it crashed.';
  if (reason === SHUTDOWN_WATCHDOG) return 'The guest’s watchdog ran out.';
  return `The guest ended with shutdown reason ${reason}.`;
}

export class ParaMachine implements HostMachine {
  readonly board: ParaBoard;
  readonly #buffer: ArrayBufferLike;
  #engine: Engine | undefined;

  constructor({ spec, memory, epoch, hooks, rtcStart, waited, wakeIo }: OpenRequest) {
    this.#buffer = memory.buffer;
    this.board = new ParaBoard(memory, {
      clock: { now: () => Math.max(0, milliseconds() - epoch()) * 1e6 },
      rtcStart,
      notify: {
        serialOutput: () => hooks.output(),
        powerOff: () => hooks.ended({ kind: 'power-off' }),
        reset: () => hooks.ended({ kind: 'reset' }),
        shutdown: (reason) => hooks.ended({ kind: 'crash', status: 'domain', reason: endOf(reason) }),
        note: (_cpu, text) => hooks.note(text),
      },
      disks: spec.disks,
      open: (path, readonly) => openRaw(path, readonly),
      invalidate: (page, first, last) => this.#engine?.helpers.invalidateCode(page, first, last),
      waited,
      ring: wakeIo,
    });
  }

  connect(engine: Engine): void {
    this.#engine = engine;
    this.board.connect(engine.helpers);
  }

  get bus(): ParaBoard {
    return this.board;
  }

  advance(now: number): void {
    this.board.advance(now);
  }

  nextDeadline(): number {
    return this.board.nextDeadline();
  }

  runUntil(most: number): number {
    return this.board.runUntil(most);
  }

  pressPowerButton(): void {
    this.board.pressPowerButton();
  }

  load({ spec }: OpenRequest): void {
    const { source } = spec;
    if (source.kind === 'disk')
      throw new UserError('A paravirtualized VM starts from a kernel: a disk’s boot loader needs a PC.', 'technique');
    const { vcpus, memory } = this.board;
    const { helpers } = this.#engine!;
    const reset = (index: number): void => {
      helpers.resetCpu(CPUS + index * CPU_STRIDE);
      helpers.resetPara(CPUS + index * CPU_STRIDE);
    };
    try {
      bootXen({ buffer: this.#buffer, memory, vcpus, reset }, readSystem(source));
    } catch (error) {
      throw asUserError(error, sourceField(source));
    }
    const started = helpers.paraStart(CPUS);
    if (started !== 0) throw new Error(`the page tables that the loader made are not valid (error ${-started})`);
    try {
      this.board.reset();
    } catch (error) {
      throw asUserError(error, 'disks');
    }
  }

  close(): void {
    this.board.close();
  }
}
