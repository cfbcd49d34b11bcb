/** Intel 8254 programmable interval timer, with system control port B (0x61) that gates channel 2 and reads its output. */
import type { Clock, Device, InterruptLine, PortDevice, Timed } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

const Channel = struct('I8254Channel', {
  /** `Clock.now()` at which counting began (shifted by the time the gate was low). */
  start: 'f64',
  /** Clock ticks counted when the gate went low, or -1 while counting. */
  frozen: 'f64',
  /** For channel 0: when the output rises next; Infinity: never. */
  edge: 'f64',
  /** 1..65536; 0: nothing was loaded yet. */
  count: 'u32',
  mode: 'u8',
  bcd: 'u8',
  /** RW1..RW0 of the control word. */
  access: 'u8',
  gate: 'u8',
  /** A first byte of two was written. */
  writeHigh: 'u8',
  writeLow: 'u8',
  readHigh: 'u8',
  statusLatched: 'u8',
  status: 'u8',
  /** Bytes of the latched count still to be read. */
  latched: 'u8',
  latch: 'u16',
});

export const I8254 = struct('I8254', { channels: [Channel, 3], portB: 'u8' });

export const PIT_HZ = 1_193_182;
export const PIT_PORT = 0x40;
export const PORT_B = 0x61;

const PORT_B_GATE2 = 0x01;
const PORT_B_SPEAKER = 0x02;
const PORT_B_REFRESH = 0x10;
const PORT_B_OUT2 = 0x20;
/** DRAM refresh requests, which bit 4 of port B shows, come every 15.085 us. */
const REFRESH_NS = 15_085;

const ticksIn = (ns: number): number => Math.floor((ns * PIT_HZ) / 1e9);
const nsOf = (ticks: number): number => Math.ceil((ticks * 1e9) / PIT_HZ);
const fromBcd = (v: number): number => (v & 15) + 10 * ((v >> 4) & 15) + 100 * ((v >> 8) & 15) + 1000 * ((v >> 12) & 15);
const toBcd = (v: number): number =>
  (v % 10) | ((Math.floor(v / 10) % 10) << 4) | ((Math.floor(v / 100) % 10) << 8) | ((Math.floor(v / 1000) % 10) << 12);

type ChannelView = ReturnType<typeof Channel.view>;

export class Pit implements Device, PortDevice, Timed {
  readonly name = 'i8254';
  readonly #s;
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #rearm: (device: Timed) => void;

  /** `irq` is channel 0's output. `rearm` is called when a deadline may have come nearer. */
  constructor(buffer: ArrayBufferLike, address: number, clock: Clock, irq: InterruptLine, rearm: (device: Timed) => void = () => {}) {
    this.#s = I8254.view(buffer, address);
    this.#clock = clock;
    this.#irq = irq;
    this.#rearm = rearm;
  }

  reset(): void {
    this.#s.portB = 0;
    this.#s.channels.forEach((c, i) => {
      c.start = 0;
      c.frozen = -1;
      c.edge = Infinity;
      c.count = 0;
      c.mode = 3;
      c.bcd = 0;
      c.access = 3;
      c.gate = i === 2 ? 0 : 1;
      c.writeHigh = c.writeLow = c.readHigh = c.statusLatched = c.status = c.latched = c.latch = 0;
    });
    this.#irq.set(false);
  }

  deadline(): number {
    return this.#s.channels[0]!.edge;
  }

  tick(now: number): void {
    const c = this.#s.channels[0]!;
    if (now < c.edge) return;
    // The low part of the output (one tick in mode 2, half a period in mode 3) is only observable as an edge here.
    this.#irq.set(false);
    this.#irq.set(true);
    this.#schedule(0, now);
  }

  readPort(port: number): number {
    if (port === PORT_B) {
      const now = this.#clock.now();
      let value = this.#s.portB & (PORT_B_GATE2 | PORT_B_SPEAKER);
      if (Math.floor(now / REFRESH_NS) & 1) value |= PORT_B_REFRESH;
      if (this.output(2, now)) value |= PORT_B_OUT2;
      return value;
    }
    const c = this.#s.channels[port - PIT_PORT];
    if (!c) return 0xff;
    if (c.statusLatched) {
      c.statusLatched = 0;
      return c.status;
    }
    if (c.latched) {
      const low = c.access === 1 || (c.access === 3 && c.latched === 2);
      c.latched--;
      return low ? c.latch & 0xff : c.latch >> 8;
    }
    const value = this.#current(c);
    if (c.access === 1) return value & 0xff;
    if (c.access === 2) return value >> 8;
    c.readHigh ^= 1;
    return c.readHigh ? value & 0xff : value >> 8;
  }

  writePort(port: number, _size: number, value: number): void {
    if (port === PORT_B) {
      this.#s.portB = value & (PORT_B_GATE2 | PORT_B_SPEAKER);
      this.#setGate(2, (value & PORT_B_GATE2) !== 0);
      return;
    }
    const n = port - PIT_PORT;
    if (n === 3) {
      this.#control(value);
      return;
    }
    const c = this.#s.channels[n]!;
    if (c.access === 1) this.#load(n, value);
    else if (c.access === 2) this.#load(n, value << 8);
    else if (c.writeHigh) {
      c.writeHigh = 0;
      this.#load(n, (value << 8) | c.writeLow);
    } else {
      c.writeHigh = 1;
      c.writeLow = value;
      // In mode 0 the first byte stops counting and the output goes low.
      if (c.mode === 0 && n === 0) {
        c.edge = Infinity;
        this.#irq.set(false);
      }
    }
  }

  /** The OUT pin of a channel. */
  output(n: number, now: number): boolean {
    const c = this.#s.channels[n]!;
    if (c.count === 0) return c.mode !== 0;
    const ticks = this.#ticks(c, now);
    switch (c.mode) {
      case 0:
      case 1:
        return ticks >= c.count;
      case 2:
        return !c.gate || ticks % c.count !== c.count - 1;
      case 3:
        return !c.gate || ticks % c.count < (c.count + 1) >> 1;
      default:
        return ticks !== c.count;
    }
  }

  #ticks(c: ChannelView, now: number): number {
    return c.frozen >= 0 ? c.frozen : ticksIn(now - c.start);
  }

  #current(c: ChannelView): number {
    if (c.count === 0) return 0;
    const ticks = this.#ticks(c, this.#clock.now());
    const wrap = c.bcd ? 10_000 : 0x10000;
    let value: number;
    if (c.mode === 2) value = c.count - (ticks % c.count);
    else if (c.mode === 3) value = c.count - ((2 * ticks) % c.count);
    else value = (((c.count - ticks) % wrap) + wrap) % wrap;
    return c.bcd ? toBcd(value % wrap) : value & 0xffff;
  }

  #control(value: number): void {
    const n = value >> 6;
    if (n === 3) {
      // read-back: bit 5 clear latches counts, bit 4 clear latches status
      this.#s.channels.forEach((c, i) => {
        if (!(value & (2 << i))) return;
        if (!(value & 0x20)) this.#latchCount(c);
        if (!(value & 0x10) && !c.statusLatched) {
          c.status = (this.output(i, this.#clock.now()) ? 0x80 : 0) | (c.count === 0 ? 0x40 : 0) | (c.access << 4) | (c.mode << 1) | c.bcd;
          c.statusLatched = 1;
        }
      });
      return;
    }
    const c = this.#s.channels[n]!;
    const access = (value >> 4) & 3;
    if (access === 0) {
      this.#latchCount(c);
      return;
    }
    const mode = (value >> 1) & 7;
    c.mode = mode > 5 ? mode - 4 : mode;
    c.bcd = value & 1;
    c.access = access;
    c.count = 0;
    c.edge = Infinity;
    c.frozen = -1;
    c.writeHigh = c.readHigh = c.latched = c.statusLatched = 0;
    // OUT goes low in mode 0. In all others it goes high, which is no edge for a line that was high all along, as it is while the timer runs.
    if (n === 0 && c.mode === 0) this.#irq.set(false);
  }

  #latchCount(c: ChannelView): void {
    if (c.latched) return;
    c.latch = this.#current(c);
    c.latched = c.access === 3 ? 2 : 1;
  }

  #load(n: number, value: number): void {
    const c = this.#s.channels[n]!;
    const now = this.#clock.now();
    const count = c.bcd ? fromBcd(value) || 10_000 : value || 0x10000;
    c.count = count;
    c.start = now;
    // Modes 1 and 5 count from a trigger on the gate; the others while it is high.
    if (c.mode === 1 || c.mode === 5) c.frozen = c.mode === 1 ? count : count + 1;
    else c.frozen = c.gate ? -1 : 0;
    if (n === 0) {
      if (c.mode === 0) this.#irq.set(false);
      this.#schedule(0, now);
    }
  }

  #setGate(n: number, level: boolean): void {
    const c = this.#s.channels[n]!;
    if ((c.gate !== 0) === level) return;
    const now = this.#clock.now();
    if (level) {
      const resumes = c.mode === 0 || c.mode === 4;
      c.start = now - (resumes && c.frozen > 0 ? nsOf(c.frozen) : 0);
      c.frozen = -1;
    } else if (c.mode !== 1 && c.mode !== 5) {
      c.frozen = this.#ticks(c, now);
    }
    c.gate = level ? 1 : 0;
  }

  /** Finds channel 0's next rising edge after `now`. */
  #schedule(n: number, now: number): void {
    const c = this.#s.channels[n]!;
    const ticks = ticksIn(now - c.start);
    let at = Infinity;
    if (c.mode === 2 || c.mode === 3) at = (Math.floor(ticks / c.count) + 1) * c.count;
    else if (c.mode === 0 && ticks < c.count) at = c.count;
    else if (c.mode === 4 && ticks < c.count + 1) at = c.count + 1;
    c.edge = at === Infinity ? Infinity : c.start + nsOf(at);
    // Rounding must never give an edge that is over already: it would fire for ever.
    if (c.edge <= now) c.edge = now + 1;
    this.#rearm(this);
  }
}
