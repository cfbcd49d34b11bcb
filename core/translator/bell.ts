/** A word through which threads wake one that has nothing to do. */
export class Bell {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** To be read before looking for work; `wait` returns at once if it rang since. */
  get rung(): number {
    return Atomics.load(this.#words, 0);
  }

  ring(): void {
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** Sleeps until it rings, at most `ms` milliseconds. */
  wait(rung: number, ms: number): void {
    Atomics.wait(this.#words, 0, rung, ms);
  }
}
