/** For tests of devices: a memory to keep their state in, a clock, and lines that remember. */
import { ManualClock } from '../bus/clock.ts';
import type { InterruptLine } from '../bus/device.ts';
import { Ring, ringSize } from '../bus/ring.ts';

/** A line that counts its rising edges. */
export class ProbeLine implements InterruptLine {
  level = false;
  edges = 0;

  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }
}

export function fixture(): { buffer: SharedArrayBuffer; clock: ManualClock; line: ProbeLine } {
  return { buffer: new SharedArrayBuffer(1 << 16), clock: new ManualClock(), line: new ProbeLine() };
}

export function testRing(capacity: number): Ring {
  const ring = new Ring(new SharedArrayBuffer(ringSize(capacity)), 0, capacity);
  ring.reset();
  return ring;
}
