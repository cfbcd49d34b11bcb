/** Clocks: the machine's time is passed in, never read from the host by a device. */
import { struct } from '../state/struct.ts';
import type { Clock } from './device.ts';

export const NS_PER_SECOND = 1e9;

/** A clock that stands still until it is told to move: for tests and for replay. */
export class ManualClock implements Clock {
  /** Nanoseconds. */
  time: number;

  constructor(time = 0) {
    this.time = time;
  }

  now(): number {
    return this.time;
  }

  advance(nanoseconds: number): number {
    this.time += nanoseconds;
    return this.time;
  }
}

/** One cell: the latest time that anyone was told. */
export const ClockState = struct('Clock', { latest: 'f64' });

/**
 * A clock that never goes back, not even when a machine moves between threads whose readings differ by some microseconds: the latest time is
 * kept in machine memory.
 */
export class SteadyClock implements Clock {
  readonly #inner: Clock;
  readonly #latest: Float64Array;

  constructor(inner: Clock, buffer: ArrayBufferLike, address: number) {
    this.#inner = inner;
    this.#latest = new Float64Array(buffer, address, 1);
  }

  now(): number {
    const now = this.#inner.now();
    const latest = this.#latest[0]!;
    if (now <= latest) return latest;
    this.#latest[0] = now;
    return now;
  }
}
