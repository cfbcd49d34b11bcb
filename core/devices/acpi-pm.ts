/** ACPI fixed hardware (ACPI 6.4, 4.8): PM1a event and control block, PM timer, GPE0 block, and the reset register at 0xcf9. */
import type { Clock, Device, InterruptLine, PortDevice, Timed } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

export const AcpiPm = struct('AcpiPm', {
  /** Clock time up to which the timer's carry was looked at. */
  seen: 'f64',
  status: 'u16',
  enable: 'u16',
  control: 'u16',
  gpeStatus: 'u16',
  gpeEnable: 'u16',
  resetControl: 'u8',
});

export const PM_TIMER_HZ = 3_579_545;
export const PM1A_EVENT = 0x600;
export const PM1A_CONTROL = 0x604;
export const PM_TIMER = 0x608;
export const GPE0 = 0x620;
/** Status and enable, two bytes each. */
export const GPE0_SIZE = 4;
export const RESET_REGISTER = 0xcf9;
export const RESET_VALUE = 0x06;
export const SCI = 9;
/** SLP_TYP of _S5. */
export const S5_TYPE = 5;

const TMR_STS = 0x0001;
const PWRBTN_STS = 0x0100;
const RTC_STS = 0x0400;
const WAK_STS = 0x8000;
const STATUS_BITS = TMR_STS | 0x0010 | 0x0020 | PWRBTN_STS | 0x0200 | RTC_STS | WAK_STS;
const SCI_EN = 0x0001;
const SLP_EN = 0x2000;
/** Bit 23 of the timer changes this often. */
const CARRY_TICKS = 2 ** 23;

export interface PowerHost {
  powerOff(): void;
  reset(): void;
}

export class PowerManagement implements Device, PortDevice, Timed {
  readonly name = 'ACPI PM';
  readonly #s;
  readonly #clock: Clock;
  readonly #sci: InterruptLine;
  readonly #host: PowerHost;
  readonly #rearm: (device: Timed) => void;

  constructor(
    buffer: ArrayBufferLike,
    address: number,
    clock: Clock,
    sci: InterruptLine,
    host: PowerHost,
    rearm: (device: Timed) => void = () => {},
  ) {
    this.#s = AcpiPm.view(buffer, address);
    this.#clock = clock;
    this.#sci = sci;
    this.#host = host;
    this.#rearm = rearm;
  }

  reset(): void {
    const s = this.#s;
    s.seen = this.#clock.now();
    s.status = s.enable = s.gpeStatus = s.gpeEnable = s.resetControl = 0;
    s.control = SCI_EN; // there is no SMI to switch modes: the hardware is always in ACPI mode
    this.#sci.set(false);
  }

  /** The user pressed the button: the guest is asked to shut down, if it listens. */
  pressPowerButton(): void {
    this.#s.status |= PWRBTN_STS;
    this.#update();
  }

  /** Whether the guest would notice the power button. */
  get listens(): boolean {
    return (this.#s.enable & PWRBTN_STS) !== 0;
  }

  deadline(): number {
    if (!(this.#s.enable & TMR_STS) || this.#s.status & TMR_STS) return Infinity;
    const ticks = this.#ticks(this.#s.seen);
    return Math.ceil(((Math.floor(ticks / CARRY_TICKS) + 1) * CARRY_TICKS * 1e9) / PM_TIMER_HZ) + 1;
  }

  tick(now: number): void {
    this.#carry(now);
    this.#update();
  }

  readPort(port: number, size: number): number {
    if (port === PM_TIMER && size === 4) return this.#ticks(this.#clock.now()) % 0x100_0000;
    if (port === RESET_REGISTER) return this.#s.resetControl;
    if (port < PM_TIMER) this.#carry(this.#clock.now());
    return this.#part(this.#register(port & ~1), port, size);
  }

  writePort(port: number, size: number, value: number): void {
    if (port === RESET_REGISTER) {
      this.#s.resetControl = value & 0x0a;
      if (value & 4) this.#host.reset();
      return;
    }
    if (size === 4) {
      this.writePort(port, 2, value & 0xffff);
      this.writePort(port + 2, 2, value >>> 16);
      return;
    }
    const s = this.#s;
    const shift = 8 * (port & 1);
    const bits = (value << shift) & 0xffff;
    const mask = size === 2 ? 0xffff : 0xff << shift;
    switch (port & ~1) {
      case PM1A_EVENT:
        this.#carry(this.#clock.now());
        s.status &= ~(bits & STATUS_BITS);
        break;
      case PM1A_EVENT + 2:
        s.enable = (s.enable & ~mask) | bits;
        this.#rearm(this);
        break;
      case PM1A_CONTROL: {
        const control = (s.control & ~mask) | bits;
        s.control = (control & ~SLP_EN) | SCI_EN;
        if (control & SLP_EN && ((control >> 10) & 7) === S5_TYPE) this.#host.powerOff();
        break;
      }
      case GPE0:
        s.gpeStatus &= ~bits;
        break;
      case GPE0 + 2:
        s.gpeEnable = (s.gpeEnable & ~mask) | bits;
        break;
    }
    this.#update();
  }

  #part(register: number, port: number, size: number): number {
    if (size === 4) return (register | (this.#register((port & ~1) + 2) << 16)) >>> 0;
    const value = register >> (8 * (port & 1));
    return size === 2 ? value & 0xffff : value & 0xff;
  }

  #register(port: number): number {
    const s = this.#s;
    switch (port) {
      case PM1A_EVENT:
        return s.status;
      case PM1A_EVENT + 2:
        return s.enable;
      case PM1A_CONTROL:
        return s.control;
      case PM_TIMER:
        return this.#ticks(this.#clock.now()) & 0xffff;
      case PM_TIMER + 2:
        return (this.#ticks(this.#clock.now()) % 0x100_0000) >> 16;
      case GPE0:
        return s.gpeStatus;
      case GPE0 + 2:
        return s.gpeEnable;
      default:
        return 0;
    }
  }

  #ticks(now: number): number {
    return Math.floor((now * PM_TIMER_HZ) / 1e9);
  }

  #carry(now: number): void {
    const s = this.#s;
    if (now <= s.seen) return;
    if (Math.floor(this.#ticks(now) / CARRY_TICKS) !== Math.floor(this.#ticks(s.seen) / CARRY_TICKS)) s.status |= TMR_STS;
    s.seen = now;
  }

  #update(): void {
    const s = this.#s;
    this.#sci.set((s.status & s.enable & STATUS_BITS & ~WAK_STS) !== 0 || (s.gpeStatus & s.gpeEnable) !== 0);
  }
}
