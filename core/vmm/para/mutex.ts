/** A lock in machine memory, for what several threads of the VMM do to one VM: held for moments only. */
const FREE = 0;
const HELD = 1;
const AWAITED = 2;

export class Mutex {
  readonly #words: Int32Array;
  readonly #at: number;

  /** `address` of a word that is 0 while nobody holds it. */
  constructor(buffer: ArrayBufferLike, address: number) {
    this.#words = new Int32Array(buffer);
    this.#at = address >> 2;
  }

  /** Does `work` while no other thread does anything under this lock. Not to be nested. */
  hold<T>(work: () => T): T {
    if (Atomics.compareExchange(this.#words, this.#at, FREE, HELD) !== FREE)
      while (Atomics.exchange(this.#words, this.#at, AWAITED) !== FREE) Atomics.wait(this.#words, this.#at, AWAITED);
    try {
      return work();
    } finally {
      if (Atomics.exchange(this.#words, this.#at, FREE) === AWAITED) Atomics.notify(this.#words, this.#at, 1);
    }
  }
}
