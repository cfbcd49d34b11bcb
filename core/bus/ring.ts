/** Byte rings in machine memory: one thread fills, one drains, neither waits for the other. */
import { struct } from '../state/struct.ts';

/** Followed by `capacity` bytes. `head` counts bytes ever put in, `tail` bytes ever taken out, both modulo 2^32. */
export const RingHeader = struct('RingHeader', { head: 'u32', tail: 'u32', capacity: 'u32', reserved: 'u32' });

/** Bytes of a ring with room for `capacity`. */
export const ringSize = (capacity: number): number => RingHeader.size + capacity;

/** One end of a ring at `address` (16-byte aligned); `capacity` a power of two. */
export class Ring {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly capacity: number;

  constructor(buffer: ArrayBufferLike, address: number, capacity: number) {
    if (capacity <= 0 || (capacity & (capacity - 1)) !== 0) throw new RangeError(`a ring's capacity is a power of two, not ${capacity}`);
    this.#words = new Int32Array(buffer, address, RingHeader.size / 4);
    this.#bytes = new Uint8Array(buffer, address + RingHeader.size, capacity);
    this.#mask = capacity - 1;
    this.capacity = capacity;
  }

  /** Empties it. Only while neither side is at work. */
  reset(): void {
    Atomics.store(this.#words, 0, 0);
    Atomics.store(this.#words, 1, 0);
    Atomics.store(this.#words, 2, this.capacity);
  }

  /** Bytes to be taken out. */
  available(): number {
    return (Atomics.load(this.#words, 0) - Atomics.load(this.#words, 1)) >>> 0;
  }

  /** Bytes that can be put in. */
  free(): number {
    return this.capacity - this.available();
  }

  /** Puts one byte in. 0: no room; 1: done; 2: done, and the other side had taken everything before it, so it must be told. */
  push(byte: number): 0 | 1 | 2 {
    const head = Atomics.load(this.#words, 0);
    if ((head - Atomics.load(this.#words, 1)) >>> 0 >= this.capacity) return 0;
    this.#bytes[head & this.#mask] = byte;
    Atomics.store(this.#words, 0, (head + 1) | 0);
    return Atomics.load(this.#words, 1) === head ? 2 : 1;
  }

  /** Puts in as much of `data` as there is room for; returns how many bytes. */
  write(data: Uint8Array): number {
    const head = Atomics.load(this.#words, 0);
    const n = Math.min(data.length, this.capacity - ((head - Atomics.load(this.#words, 1)) >>> 0));
    for (let i = 0; i < n; i++) this.#bytes[(head + i) & this.#mask] = data[i]!;
    Atomics.store(this.#words, 0, (head + n) | 0);
    return n;
  }

  /** Takes one byte out, or -1. */
  pop(): number {
    const tail = Atomics.load(this.#words, 1);
    if (Atomics.load(this.#words, 0) === tail) return -1;
    const byte = this.#bytes[tail & this.#mask]!;
    Atomics.store(this.#words, 1, (tail + 1) | 0);
    return byte;
  }

  /**
   * Takes out everything there is, at most `limit` bytes: a copy. What is put in meanwhile is taken too, for `push` says nothing of bytes that
   * it adds to others.
   */
  read(limit = Infinity): Uint8Array<ArrayBuffer> {
    let all = new Uint8Array(0);
    for (;;) {
      const tail = Atomics.load(this.#words, 1);
      const n = Math.min(limit - all.length, (Atomics.load(this.#words, 0) - tail) >>> 0);
      if (n === 0) return all;
      const data = new Uint8Array(all.length + n);
      data.set(all);
      for (let i = 0; i < n; i++) data[all.length + i] = this.#bytes[(tail + i) & this.#mask]!;
      Atomics.store(this.#words, 1, (tail + n) | 0);
      all = data;
    }
  }
}
