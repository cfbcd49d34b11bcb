/** Motorola MC146818 real-time clock with 128 bytes of CMOS memory, at ports 0x70 and 0x71. */
import type { Clock, Device, InterruptLine, PortDevice, Timed } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

export const MC146818 = struct('MC146818', {
  /** Guest's wall time at clock 0, nanoseconds since the epoch / 1e9 as seconds; changed when the guest sets the time. */
  base: 'f64',
  /** Clock time up to which flags were computed. */
  seen: 'f64',
  index: 'u8',
  cmos: ['u8', 128],
});

export const RTC_INDEX = 0x70;
export const RTC_DATA = 0x71;

const RTC_SECONDS = 0;
const RTC_SECONDS_ALARM = 1;
const RTC_MINUTES = 2;
const RTC_MINUTES_ALARM = 3;
const RTC_HOURS = 4;
const RTC_HOURS_ALARM = 5;
const RTC_DAY_OF_WEEK = 6;
const RTC_DAY_OF_MONTH = 7;
const RTC_MONTH = 8;
const RTC_YEAR = 9;
const RTC_REG_A = 10;
const RTC_REG_B = 11;
const RTC_REG_C = 12;
const RTC_REG_D = 13;
/** As named in the FADT. */
export const RTC_CENTURY = 0x32;

const REG_A_UIP = 0x80;
const REG_A_DV = 0x70;
const REG_A_DV_RUN = 0x20;
const REG_B_SET = 0x80;
const REG_B_PIE = 0x40;
const REG_B_AIE = 0x20;
const REG_B_UIE = 0x10;
const REG_B_DM = 0x04;
const REG_B_24H = 0x02;
const REG_C_IRQF = 0x80;
const REG_C_PF = 0x40;
const REG_C_AF = 0x20;
const REG_C_UF = 0x10;
const REG_D_VRT = 0x80;
/** UIP is high for this long before an update (data sheet: 244 us). */
const UIP_NS = 244_000;
const SECOND = 1e9;

export interface RtcOptions {
  /** Wall time at clock 0: milliseconds since the epoch (UTC). */
  readonly startTime: number;
  /** Bytes of RAM below and above 4 GiB: CMOS says so as PC firmware does. */
  readonly ramLow: number;
  readonly ramHigh: number;
  readonly vcpus: number;
}

export class Rtc implements Device, PortDevice, Timed {
  readonly name = 'MC146818';
  readonly #s;
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #options: RtcOptions;
  readonly #rearm: (device: Timed) => void;

  constructor(
    buffer: ArrayBufferLike,
    address: number,
    clock: Clock,
    irq: InterruptLine,
    options: RtcOptions,
    rearm: (device: Timed) => void = () => {},
  ) {
    this.#s = MC146818.view(buffer, address);
    this.#clock = clock;
    this.#irq = irq;
    this.#options = options;
    this.#rearm = rearm;
  }

  reset(): void {
    const s = this.#s;
    const { startTime, ramLow, ramHigh, vcpus } = this.#options;
    s.base = startTime / 1000;
    s.seen = this.#clock.now();
    s.index = 0;
    s.cmos.fill(0);
    s.cmos.set(RTC_REG_A, 0x26);
    s.cmos.set(RTC_REG_B, REG_B_24H);
    s.cmos.set(RTC_REG_D, REG_D_VRT);
    const word = (at: number, value: number): void => {
      s.cmos.set(at, value & 0xff);
      s.cmos.set(at + 1, (value >> 8) & 0xff);
    };
    word(0x15, Math.min(640, ramLow / 1024));
    const extended = Math.min(0xffff, Math.max(0, ramLow / 1024 - 1024));
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, Math.min(0xffff, Math.max(0, Math.floor((ramLow - (16 << 20)) / 0x10000))));
    const above = Math.floor(ramHigh / 0x10000);
    word(0x5b, above & 0xffff);
    s.cmos.set(0x5d, above >> 16);
    s.cmos.set(0x5f, vcpus - 1);
    s.cmos.set(0x14, 0x06); // equipment: coprocessor, PS/2 mouse
    this.#irq.set(false);
  }

  deadline(): number {
    const b = this.#s.cmos.get(RTC_REG_B);
    const c = this.#s.cmos.get(RTC_REG_C);
    let at = Infinity;
    // Only what would raise a new interrupt.
    if (b & REG_B_PIE && !(c & REG_C_PF)) at = Math.min(at, this.#nextPeriodic());
    if (!(b & REG_B_SET) && ((b & REG_B_UIE && !(c & REG_C_UF)) || (b & REG_B_AIE && !(c & REG_C_AF))))
      at = Math.min(at, this.#nextSecond());
    return at;
  }

  tick(now: number): void {
    this.#update(now);
  }

  readPort(port: number): number {
    const s = this.#s;
    if (port === RTC_INDEX) return 0xff;
    const now = this.#clock.now();
    this.#update(now);
    switch (s.index) {
      case RTC_REG_A: {
        const uip = !(s.cmos.get(RTC_REG_B) & REG_B_SET) && this.#nextSecond() - now <= UIP_NS;
        return (s.cmos.get(RTC_REG_A) & ~REG_A_UIP) | (uip ? REG_A_UIP : 0);
      }
      case RTC_REG_C: {
        const value = s.cmos.get(RTC_REG_C);
        s.cmos.set(RTC_REG_C, 0);
        this.#irq.set(false);
        this.#rearm(this);
        return value;
      }
      default:
        if (!(s.cmos.get(RTC_REG_B) & REG_B_SET)) this.#latchTime(now);
        return s.cmos.get(s.index);
    }
  }

  writePort(port: number, _size: number, value: number): void {
    const s = this.#s;
    if (port === RTC_INDEX) {
      s.index = value & 0x7f;
      return;
    }
    const now = this.#clock.now();
    this.#update(now);
    switch (s.index) {
      case RTC_REG_A:
        s.cmos.set(RTC_REG_A, value & ~REG_A_UIP);
        break;
      case RTC_REG_B: {
        const before = s.cmos.get(RTC_REG_B);
        if (value & REG_B_SET && !(before & REG_B_SET)) this.#latchTime(now);
        // The format bits apply to the bytes as they are when SET ends.
        s.cmos.set(RTC_REG_B, value & REG_B_SET ? value & ~REG_B_UIE : value);
        if (before & REG_B_SET && !(value & REG_B_SET)) this.#setTime(now);
        break;
      }
      case RTC_REG_C:
      case RTC_REG_D:
        return;
      case RTC_SECONDS:
      case RTC_MINUTES:
      case RTC_HOURS:
      case RTC_DAY_OF_WEEK:
      case RTC_DAY_OF_MONTH:
      case RTC_MONTH:
      case RTC_YEAR:
      case RTC_CENTURY: {
        const running = !(s.cmos.get(RTC_REG_B) & REG_B_SET);
        if (running) this.#latchTime(now);
        s.cmos.set(s.index, value);
        if (running) this.#setTime(now);
        break;
      }
      default:
        s.cmos.set(s.index, value);
    }
    this.#raise();
    this.#rearm(this);
  }

  // -- time

  /** Wall time at a clock time, in seconds since the epoch. */
  #wall(now: number): number {
    return this.#s.base + now / SECOND;
  }

  #nextSecond(): number {
    const now = this.#clock.now();
    const fraction = this.#wall(now) % 1;
    return Math.max(now + 1, Math.ceil(now + (1 - fraction) * SECOND));
  }

  /** Nanoseconds between periodic interrupts, or 0. */
  #period(): number {
    const a = this.#s.cmos.get(RTC_REG_A);
    let rate = a & 15;
    if (rate === 0 || (a & REG_A_DV) !== REG_A_DV_RUN) return 0;
    if (rate <= 2) rate += 7; // with a 32,768 Hz crystal
    return (2 ** (rate - 1) * SECOND) / 32_768;
  }

  #nextPeriodic(): number {
    const period = this.#period();
    return period === 0 ? Infinity : Math.ceil((Math.floor(this.#s.seen / period) + 1) * period);
  }

  /** Sets the flags of everything that happened up to `now`. */
  #update(now: number): void {
    const s = this.#s;
    const { seen } = s;
    if (now <= seen) return;
    let c = s.cmos.get(RTC_REG_C);
    const period = this.#period();
    if (period > 0 && Math.floor(now / period) !== Math.floor(seen / period)) c |= REG_C_PF;
    const first = Math.floor(this.#wall(seen)) + 1;
    const last = Math.floor(this.#wall(now));
    if (!(s.cmos.get(RTC_REG_B) & REG_B_SET) && last >= first) {
      c |= REG_C_UF;
      // An alarm repeats daily at most: looking at one day's seconds is enough.
      if (!(c & REG_C_AF))
        for (let t = Math.max(first, last - 86_400); t <= last && !(c & REG_C_AF); t++) if (this.#alarmAt(t)) c |= REG_C_AF;
    }
    s.cmos.set(RTC_REG_C, c);
    s.seen = now;
    this.#raise();
  }

  #raise(): void {
    const s = this.#s;
    let c = s.cmos.get(RTC_REG_C) & ~REG_C_IRQF;
    const asks = (c & s.cmos.get(RTC_REG_B) & (REG_B_PIE | REG_B_AIE | REG_B_UIE)) !== 0;
    if (asks) c |= REG_C_IRQF;
    s.cmos.set(RTC_REG_C, c);
    this.#irq.set(asks);
  }

  #alarmAt(seconds: number): boolean {
    const s = this.#s;
    const day = ((seconds % 86_400) + 86_400) % 86_400;
    const is = (register: number, value: number): boolean => {
      const alarm = s.cmos.get(register);
      return (alarm & 0xc0) === 0xc0 || alarm === value;
    };
    return (
      is(RTC_SECONDS_ALARM, this.#encode(day % 60)) &&
      is(RTC_MINUTES_ALARM, this.#encode(Math.floor(day / 60) % 60)) &&
      is(RTC_HOURS_ALARM, this.#encodeHour(Math.floor(day / 3600)))
    );
  }

  #encode(value: number): number {
    return this.#s.cmos.get(RTC_REG_B) & REG_B_DM ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }

  #decode(value: number): number {
    return this.#s.cmos.get(RTC_REG_B) & REG_B_DM ? value : (value >> 4) * 10 + (value & 15);
  }

  #encodeHour(hour: number): number {
    if (this.#s.cmos.get(RTC_REG_B) & REG_B_24H) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0);
  }

  #decodeHour(value: number): number {
    if (this.#s.cmos.get(RTC_REG_B) & REG_B_24H) return this.#decode(value);
    return (this.#decode(value & 0x7f) % 12) + (value & 0x80 ? 12 : 0);
  }

  /** Puts the time into the CMOS bytes. */
  #latchTime(now: number): void {
    const { cmos } = this.#s;
    const date = new Date(Math.floor(this.#wall(now)) * 1000);
    cmos.set(RTC_SECONDS, this.#encode(date.getUTCSeconds()));
    cmos.set(RTC_MINUTES, this.#encode(date.getUTCMinutes()));
    cmos.set(RTC_HOURS, this.#encodeHour(date.getUTCHours()));
    cmos.set(RTC_DAY_OF_WEEK, this.#encode(date.getUTCDay() + 1));
    cmos.set(RTC_DAY_OF_MONTH, this.#encode(date.getUTCDate()));
    cmos.set(RTC_MONTH, this.#encode(date.getUTCMonth() + 1));
    cmos.set(RTC_YEAR, this.#encode(date.getUTCFullYear() % 100));
    cmos.set(RTC_CENTURY, this.#encode(Math.floor(date.getUTCFullYear() / 100)));
  }

  /** Makes the CMOS bytes the time: the next second begins half a second from now, as in the data sheet. */
  #setTime(now: number): void {
    const { cmos } = this.#s;
    const year = this.#decode(cmos.get(RTC_CENTURY)) * 100 + this.#decode(cmos.get(RTC_YEAR));
    const seconds =
      Date.UTC(
        year,
        this.#decode(cmos.get(RTC_MONTH)) - 1,
        this.#decode(cmos.get(RTC_DAY_OF_MONTH)),
        this.#decodeHour(cmos.get(RTC_HOURS)),
        this.#decode(cmos.get(RTC_MINUTES)),
        this.#decode(cmos.get(RTC_SECONDS)),
      ) / 1000;
    if (Number.isFinite(seconds)) this.#s.base = seconds + 0.5 - now / SECOND;
    this.#s.seen = now;
  }
}
