/** Intel 82093AA I/O APIC: 24 pins, each with a redirection entry. Polarity is not looked at: a line is asserted or not. */
import type { Device, MmioDevice } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

export const IOAPIC_PINS = 24;
export const IOAPIC_BASE = 0xfec0_0000;

export const IoApicState = struct('IoApic', {
  select: 'u32',
  id: 'u32',
  /** Levels of the pins. */
  pins: 'u32',
  low: ['u32', IOAPIC_PINS],
  high: ['u32', IOAPIC_PINS],
});

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const EOIR = 0x40;
const IOAPICID = 0;
const IOAPICVER = 1;
const IOAPICARB = 2;
const IOREDTBL = 0x10;
/** Version 0x20 has the EOI register. */
const VERSION = 0x20 | ((IOAPIC_PINS - 1) << 16);

export const REDIRECTION_LOGICAL = 1 << 11;
export const REDIRECTION_REMOTE_IRR = 1 << 14;
export const REDIRECTION_LEVEL = 1 << 15;
export const REDIRECTION_MASKED = 1 << 16;
/** Delivery status and remote IRR cannot be written. */
const READ_ONLY = REDIRECTION_REMOTE_IRR | (1 << 12);

/** A message on the APIC bus: `mode` is the delivery mode (0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 6 startup, 7 ExtINT). */
export type ApicMessage = (destination: number, logical: boolean, mode: number, vector: number, level: boolean) => void;

export class IoApic implements Device, MmioDevice {
  readonly name = '82093AA';
  readonly #s;
  readonly #send: ApicMessage;

  constructor(buffer: ArrayBufferLike, address: number, send: ApicMessage) {
    this.#s = IoApicState.view(buffer, address);
    this.#send = send;
  }

  reset(): void {
    this.#s.select = this.#s.id = this.#s.pins = 0;
    this.#s.low.fill(REDIRECTION_MASKED);
    this.#s.high.fill(0);
  }

  setPin(pin: number, level: boolean): void {
    const s = this.#s;
    const bit = 1 << pin;
    if (((s.pins & bit) !== 0) === level) return;
    s.pins = (level ? s.pins | bit : s.pins & ~bit) >>> 0;
    if (!level) return;
    const low = s.low.get(pin);
    if (low & REDIRECTION_MASKED) return; // an edge on a masked pin is lost; a level is seen when it is unmasked
    this.#deliver(pin, low);
  }

  /** A local APIC was told the end of a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    const s = this.#s;
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const low = s.low.get(pin);
      if (!(low & REDIRECTION_LEVEL) || !(low & REDIRECTION_REMOTE_IRR) || (low & 0xff) !== vector) continue;
      s.low.set(pin, (low & ~REDIRECTION_REMOTE_IRR) >>> 0);
      this.#level(pin);
    }
  }

  readMmio(offset: number): number {
    const s = this.#s;
    if (offset === IOREGSEL) return s.select;
    if (offset !== IOWIN) return 0;
    switch (s.select) {
      case IOAPICID:
      case IOAPICARB:
        return s.id << 24;
      case IOAPICVER:
        return VERSION;
      default: {
        const pin = (s.select - IOREDTBL) >> 1;
        if (pin < 0 || pin >= IOAPIC_PINS) return 0;
        return s.select & 1 ? s.high.get(pin) : s.low.get(pin);
      }
    }
  }

  writeMmio(offset: number, _size: number, value: number): void {
    const s = this.#s;
    if (offset === IOREGSEL) {
      s.select = value & 0xff;
      return;
    }
    if (offset === EOIR) {
      this.endOfInterrupt(value & 0xff);
      return;
    }
    if (offset !== IOWIN) return;
    if (s.select === IOAPICID) {
      s.id = (value >>> 24) & 15;
      return;
    }
    const pin = (s.select - IOREDTBL) >> 1;
    if (pin < 0 || pin >= IOAPIC_PINS) return;
    if (s.select & 1) {
      s.high.set(pin, value);
      return;
    }
    let low = ((s.low.get(pin) & READ_ONLY) | (value & 0x1ffff & ~READ_ONLY)) >>> 0;
    // Making a pin edge-triggered clears remote IRR: systems without the EOI register end interrupts that way.
    if (!(low & REDIRECTION_LEVEL)) low = (low & ~REDIRECTION_REMOTE_IRR) >>> 0;
    s.low.set(pin, low);
    this.#level(pin);
  }

  /** Delivers a level-triggered pin that is high, unmasked and not being served. */
  #level(pin: number): void {
    const low = this.#s.low.get(pin);
    if (low & REDIRECTION_MASKED || !(low & REDIRECTION_LEVEL) || !(this.#s.pins & (1 << pin))) return;
    this.#deliver(pin, low);
  }

  #deliver(pin: number, low: number): void {
    const level = (low & REDIRECTION_LEVEL) !== 0;
    if (level) {
      if (low & REDIRECTION_REMOTE_IRR) return;
      this.#s.low.set(pin, (low | REDIRECTION_REMOTE_IRR) >>> 0);
    }
    this.#send(this.#s.high.get(pin) >>> 24, (low & REDIRECTION_LOGICAL) !== 0, (low >> 8) & 7, low & 0xff, level);
  }
}
