/**
 * Sends what is typed at once, and what is pasted in pieces: a serial port takes a byte at a time, and a guest without flow control
 * loses what comes faster than it reads.
 */

/** Bytes a piece: the FIFO of a 16550 is 16 bytes deep; the port keeps a longer queue, and this fits it many times. */
export const PIECE = 128;
/** Milliseconds between pieces: about 8 kB/s, well below what a guest at 115,200 bit/s (11.5 kB/s) expects. */
export const PAUSE = 16;

export interface Progress {
  /** Bytes. */
  readonly done: number;
  readonly total: number;
}

export class PacedWriter {
  readonly #send: (data: Uint8Array) => void;
  readonly #progress: (progress: Progress | undefined) => void;
  readonly #schedule: (step: () => void, ms: number) => unknown;
  #queue: Uint8Array[] = [];
  #done = 0;
  #total = 0;
  #active = false;

  /** `progress` is told of long writes only, and with undefined at their end. `schedule` is setTimeout but in tests. */
  constructor(
    send: (data: Uint8Array) => void,
    progress: (progress: Progress | undefined) => void,
    schedule: (step: () => void, ms: number) => unknown = (step, ms) => setTimeout(step, ms),
  ) {
    this.#send = send;
    this.#progress = progress;
    this.#schedule = schedule;
  }

  write(data: Uint8Array): void {
    if (data.length === 0) return;
    if (!this.#active && data.length <= PIECE) {
      this.#send(data);
      return;
    }
    // Keys typed during a paste wait behind it: the guest must see the bytes in the order the user gave them.
    for (let at = 0; at < data.length; at += PIECE) this.#queue.push(data.subarray(at, at + PIECE));
    this.#total += data.length;
    if (this.#active) return;
    this.#active = true;
    this.#step();
  }

  /** Forgets what is not sent yet. */
  cancel(): void {
    this.#queue = [];
  }

  #step = (): void => {
    const piece = this.#queue.shift();
    if (!piece) {
      this.#active = false;
      this.#done = this.#total = 0;
      this.#progress(undefined);
      return;
    }
    this.#send(piece);
    this.#done += piece.length;
    this.#progress({ done: this.#done, total: this.#total });
    this.#schedule(this.#step, PAUSE);
  };
}
