/** A PC on a pCPU's thread: board, disks, and the system that it starts with. */
import { boot, bootDisk } from '../firmware/boot.ts';
import { Board } from '../machine/board.ts';
import type { Engine } from '../processor/engine.ts';
import { parseCpu } from '../spec/models.ts';
import { openRaw, type RawImage } from '../storage/raw.ts';
import { UserError } from './api.ts';
import { milliseconds } from './clock.ts';
import type { HostMachine } from './guest.ts';
import type { OpenRequest } from './pcpu.ts';
import { asUserError, readSystem, sourceField } from './sources.ts';

/** getRandomValues fills so many bytes at once. */
const RANDOM_MAX = 65_536;

/** From the host's source. */
function fillRandomly(into: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < into.length; at += RANDOM_MAX) crypto.getRandomValues(into.subarray(at, at + RANDOM_MAX));
}

export class PcMachine implements HostMachine {
  readonly board: Board;
  /** When there is one: DMA makes decoded code stale. */
  #engine: Engine | undefined;
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
        invalidate: (page, first, last) => this.#engine?.helpers.invalidateCode(page, first, last),
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  connect(engine: Engine): void {
    this.#engine = engine;
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

  runUntil(most: number): number {
    return this.board.runUntil(most);
  }

  pressPowerButton(): void {
    this.board.pressPowerButton();
  }

  load({ spec }: OpenRequest): void {
    const { source } = spec;
    const longMode = parseCpu(spec.cpu ?? '').features.has('lm');
    const system = source.kind === 'disk' ? undefined : readSystem(source);
    const [disk] = spec.disks;
    if (!system && !disk) throw new UserError('A VM that starts from a disk needs a disk.', 'disks');
    this.board.reset(true);
    const target = this.board.bootTarget(longMode);
    try {
      if (system) boot(target, system);
      else bootDisk(target, this.#disks[0]!, disk!.path);
    } catch (error) {
      throw asUserError(error, system ? sourceField(source) : 'disks.0.path');
    }
  }

  close(): void {
    for (const disk of this.#disks.splice(0)) disk.close();
  }
}
