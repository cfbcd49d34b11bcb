/** Clocks: the machine's time is passed in, never read from the host by a device. */
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
