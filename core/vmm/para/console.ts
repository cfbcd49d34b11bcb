/**
 * The console (io/console.h): two byte rings in a frame of the guest's, whose other ends are the rings of the VM's first serial port. The frame is held as
 * memory that is written, so that it is never a page table.
 */
import type { Ring } from '../../bus/ring.ts';
import { Control, PARA_CONSOLE_PORT, Para } from '../../state/index.ts';
import type { Backend, EventChannels } from './events.ts';
import type { Frames } from './frames.ts';

/** struct xencons_interface. */
const IN = 0;
const IN_SIZE = 1024;
const OUT = 1024;
const OUT_SIZE = 2048;
const IN_CONS = 3072;
const IN_PROD = 3076;
const OUT_CONS = 3080;
const OUT_PROD = 3084;

/** Nanoseconds. A full output ring is looked at again after this long. */
const RETRY = 1_000_000;

export interface ConsoleOptions {
  readonly buffer: ArrayBufferLike;
  readonly events: EventChannels;
  readonly frames: Frames;
  readonly output: Ring;
  readonly input: Ring;
  now(): number;
  /** There is output where there was none. */
  notify(): void;
  /** The output ring is full: `poll` is to be called at `deadline`. */
  rearm(): void;
}

export class ParaConsole implements Backend {
  readonly #options: ConsoleOptions;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #para;
  /** When output is tried again that found no room; lost with this object, it is tried at once. */
  #retry = 0;

  constructor(options: ConsoleOptions) {
    this.#options = options;
    this.#words = new Int32Array(options.buffer);
    this.#bytes = new Uint8Array(options.buffer);
    this.#para = Para.view(options.buffer, Control.view(options.buffer, 0).para);
  }

  /** The guest has written, or read. */
  notify(): void {
    this.#send();
    this.#receive();
  }

  deadline(): number {
    return this.#retry;
  }

  /** Moves what there is, both ways. */
  poll(): void {
    if (this.#para.consoleFrame === 0) {
      this.#retry = Infinity;
      return;
    }
    if (this.#retry <= this.#options.now()) this.#send();
    if (this.#options.input.available() > 0) this.#receive();
  }

  /** Puts text out beside the ring (console_io): what there is room for. */
  put(text: Uint8Array): void {
    for (const byte of text) if (this.#options.output.push(byte) === 2) this.#options.notify();
  }

  #send(): void {
    const { output } = this.#options;
    const at = this.#frame;
    const produced = this.#load(at + OUT_PROD);
    const first = this.#load(at + OUT_CONS);
    const count = (produced - first) >>> 0;
    this.#retry = Infinity;
    // A guest that puts nonsense there gets nothing out.
    if (count === 0 || count > OUT_SIZE) return;
    let tell = false;
    let done = 0;
    for (; done < count; done++) {
      const pushed = output.push(this.#bytes[at + OUT + ((first + done) & (OUT_SIZE - 1))]!);
      if (pushed === 0) break;
      if (pushed === 2) tell = true;
    }
    this.#store(at + OUT_CONS, first + done);
    if (tell) this.#options.notify();
    // It waits for room only where there was none.
    if (count === OUT_SIZE && done > 0) this.#options.events.send(PARA_CONSOLE_PORT);
    if (done === count) return;
    this.#retry = this.#options.now() + RETRY;
    this.#options.rearm();
  }

  #receive(): void {
    const { input, events } = this.#options;
    const at = this.#frame;
    const first = this.#load(at + IN_PROD);
    const room = IN_SIZE - ((first - this.#load(at + IN_CONS)) >>> 0);
    if (room <= 0 || input.available() === 0) return;
    const data = input.read(room);
    data.forEach((byte, i) => (this.#bytes[at + IN + ((first + i) & (IN_SIZE - 1))] = byte));
    this.#store(at + IN_PROD, first + data.length);
    events.send(PARA_CONSOLE_PORT);
  }

  get #frame(): number {
    return this.#options.frames.address(this.#para.consoleFrame);
  }

  #load(at: number): number {
    return Atomics.load(this.#words, at >>> 2);
  }

  #store(at: number, value: number): void {
    Atomics.store(this.#words, at >>> 2, value | 0);
  }
}
