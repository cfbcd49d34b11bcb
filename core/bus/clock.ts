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
 * A machine's clock. It never goes back, not even when the machine moves between threads whose readings differ by some microseconds: the latest time
 * is kept in machine memory. And it knows until when the vCPU is to run, which executes instructions and not time: who reads the clock too late, or
 * arms a timer for earlier, makes it come out.
 */
export class SteadyClock implements Clock {
  readonly #inner: Clock;
  readonly #latest: Float64Array;
  readonly #comeOut: () => void;
  /** NaN, which no time is before or after: the vCPU does not run, or has been told to come out. */
  #until = NaN;

  constructor(inner: Clock, buffer: ArrayBufferLike, address: number, comeOut: () => void = () => {}) {
    this.#inner = inner;
    this.#latest = new Float64Array(buffer, address, 1);
    this.#comeOut = comeOut;
  }

  now(): number {
    const latest = this.#latest[0]!;
    const now = Math.max(this.#inner.now(), latest);
    if (now > latest) this.#latest[0] = now;
    if (now >= this.#until) this.#over();
    return now;
  }

  /** The vCPU runs until `time`, or until it is told to come out: once. NaN: the machine is being seen to. */
  runUntil(time: number): void {
    this.#until = time;
  }

  /** A timer was armed: at `deadline` the machine must be seen to. */
  armed(deadline: number): void {
    if (deadline < this.#until) this.#over();
  }

  #over(): void {
    this.#until = NaN;
    this.#comeOut();
  }
}
