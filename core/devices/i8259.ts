/** Intel 8259A programmable interrupt controllers, master and slave, with the ELCR of the PIIX (Intel 8259A data sheet; 82371SB, 3.7.1). */
import type { Device, PortDevice } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

/** Cell 0 is the master, cell 1 the slave. */
export const I8259 = struct('I8259', {
  irr: ['u8', 2],
  imr: ['u8', 2],
  isr: ['u8', 2],
  /** Levels of the pins. */
  pins: ['u8', 2],
  elcr: ['u8', 2],
  /** ICW2: vector of pin 0. */
  base: ['u8', 2],
  /** The pin with the highest priority. */
  first: ['u8', 2],
  /** 0: operational; 2, 3, 4: that ICW is expected. */
  expect: ['u8', 2],
  needIcw4: ['u8', 2],
  single: ['u8', 2],
  autoEoi: ['u8', 2],
  rotateOnAutoEoi: ['u8', 2],
  specialFullyNested: ['u8', 2],
  specialMask: ['u8', 2],
  readIsr: ['u8', 2],
  poll: ['u8', 2],
});

export const PIC_MASTER = 0x20;
export const PIC_SLAVE = 0xa0;
export const ELCR1 = 0x4d0;

const ICW1 = 0x10;
const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;
const OCW3 = 0x08;
const OCW3_RR = 0x02;
const OCW3_RIS = 0x01;
const OCW3_P = 0x04;
const OCW3_ESMM = 0x40;
const OCW3_SMM = 0x20;
const CASCADE = 2;
const SPURIOUS = 7;
/** IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
const ELCR_MASK = [0xf8, 0xde] as const;

export class Pic implements Device, PortDevice {
  readonly name = 'i8259';
  readonly #s;
  readonly #output: (level: boolean) => void;

  /** `output` is told the level of the master's INT pin whenever it may have changed. */
  constructor(buffer: ArrayBufferLike, address: number, output: (level: boolean) => void) {
    this.#s = I8259.view(buffer, address);
    this.#output = output;
  }

  reset(): void {
    for (const field of Object.values(this.#s)) if (typeof field === 'object') field.fill(0);
    this.#s.imr.fill(0xff);
    this.#update();
  }

  /** IRQ 0..15 (2 is the cascade and has no device). */
  setPin(irq: number, level: boolean): void {
    const s = this.#s;
    const chip = irq >> 3;
    const bit = 1 << (irq & 7);
    const before = (s.pins.get(chip) & bit) !== 0;
    if (before === level) return;
    s.pins.set(chip, level ? s.pins.get(chip) | bit : s.pins.get(chip) & ~bit);
    if (level) s.irr.set(chip, s.irr.get(chip) | bit);
    else s.irr.set(chip, s.irr.get(chip) & ~bit);
    this.#update();
  }

  /** The level of the master's INT pin. */
  output(): boolean {
    return this.#request(0) >= 0;
  }

  /** The INTA cycles: the vector of the most urgent request; a spurious one if it was withdrawn. */
  acknowledge(): number {
    const s = this.#s;
    const pin = this.#request(0);
    if (pin < 0) {
      this.#update();
      return s.base.get(0) + SPURIOUS;
    }
    let vector = s.base.get(0) + pin;
    this.#take(0, pin);
    if (pin === CASCADE) {
      const slave = this.#request(1);
      if (slave >= 0) this.#take(1, slave);
      vector = s.base.get(1) + (slave >= 0 ? slave : SPURIOUS);
    }
    this.#update();
    return vector & 0xff;
  }

  readPort(port: number): number {
    const s = this.#s;
    if (port === ELCR1 || port === ELCR1 + 1) return s.elcr.get(port - ELCR1);
    const chip = port < PIC_SLAVE ? 0 : 1;
    if (s.poll.get(chip)) {
      s.poll.set(chip, 0);
      const pin = this.#request(chip);
      if (pin < 0) return 0;
      this.#take(chip, pin);
      this.#update();
      return 0x80 | pin;
    }
    if (port & 1) return s.imr.get(chip);
    return s.readIsr.get(chip) ? s.isr.get(chip) : s.irr.get(chip);
  }

  writePort(port: number, _size: number, value: number): void {
    const s = this.#s;
    if (port === ELCR1 || port === ELCR1 + 1) {
      s.elcr.set(port - ELCR1, value & ELCR_MASK[(port - ELCR1) as 0 | 1]);
      this.#update();
      return;
    }
    const chip = port < PIC_SLAVE ? 0 : 1;
    if (port & 1) this.#data(chip, value);
    else if (value & ICW1) this.#icw1(chip, value);
    else if (value & OCW3) this.#ocw3(chip, value);
    else this.#ocw2(chip, value);
    this.#update();
  }

  #icw1(chip: number, value: number): void {
    const s = this.#s;
    // Edge sense is cleared: a pin that is high must fall and rise again, unless it is level-triggered.
    s.irr.set(chip, s.pins.get(chip) & s.elcr.get(chip));
    s.imr.set(chip, 0);
    s.isr.set(chip, 0);
    s.first.set(chip, 0);
    s.specialMask.set(chip, 0);
    s.readIsr.set(chip, 0);
    s.poll.set(chip, 0);
    s.autoEoi.set(chip, 0);
    s.rotateOnAutoEoi.set(chip, 0);
    s.specialFullyNested.set(chip, 0);
    s.needIcw4.set(chip, value & ICW1_IC4);
    s.single.set(chip, value & ICW1_SNGL ? 1 : 0);
    s.expect.set(chip, 2);
  }

  #data(chip: number, value: number): void {
    const s = this.#s;
    switch (s.expect.get(chip)) {
      case 2:
        s.base.set(chip, value & 0xf8);
        s.expect.set(chip, s.single.get(chip) ? (s.needIcw4.get(chip) ? 4 : 0) : 3);
        return;
      case 3:
        s.expect.set(chip, s.needIcw4.get(chip) ? 4 : 0);
        return;
      case 4:
        s.autoEoi.set(chip, value & ICW4_AEOI ? 1 : 0);
        s.specialFullyNested.set(chip, value & ICW4_SFNM ? 1 : 0);
        s.expect.set(chip, 0);
        return;
      default:
        s.imr.set(chip, value);
    }
  }

  #ocw2(chip: number, value: number): void {
    const s = this.#s;
    const command = value >> 5;
    const level = value & 7;
    switch (command) {
      case 0: // rotate in automatic EOI: clear
      case 4: // set
        s.rotateOnAutoEoi.set(chip, command >> 2);
        return;
      case 1: // non-specific EOI
      case 5: {
        // ... and rotate
        const served = this.#highest(chip, s.isr.get(chip));
        if (served < 0) return;
        s.isr.set(chip, s.isr.get(chip) & ~(1 << served));
        if (command === 5) s.first.set(chip, (served + 1) & 7);
        return;
      }
      case 3: // specific EOI
      case 7: // ... and rotate
        s.isr.set(chip, s.isr.get(chip) & ~(1 << level));
        if (command === 7) s.first.set(chip, (level + 1) & 7);
        return;
      case 6: // set priority
        s.first.set(chip, (level + 1) & 7);
    }
  }

  #ocw3(chip: number, value: number): void {
    const s = this.#s;
    if (value & OCW3_P) s.poll.set(chip, 1);
    if (value & OCW3_RR) s.readIsr.set(chip, value & OCW3_RIS);
    if (value & OCW3_ESMM) s.specialMask.set(chip, value & OCW3_SMM ? 1 : 0);
  }

  /** The pin of highest priority in a set, or -1. */
  #highest(chip: number, set: number): number {
    if (set === 0) return -1;
    const first = this.#s.first.get(chip);
    for (let i = 0; i < 8; i++) if (set & (1 << ((first + i) & 7))) return (first + i) & 7;
    return -1;
  }

  /** The pin that this chip would ask the CPU to serve now, or -1. */
  #request(chip: number): number {
    const s = this.#s;
    let irr = s.irr.get(chip);
    if (chip === 0 && this.#request(1) >= 0) irr |= 1 << CASCADE;
    const pin = this.#highest(chip, irr & ~s.imr.get(chip));
    if (pin < 0) return -1;
    let blocking = s.isr.get(chip);
    if (s.specialMask.get(chip)) blocking &= ~s.imr.get(chip);
    if (chip === 0 && s.specialFullyNested.get(0)) blocking &= ~(1 << CASCADE);
    const served = this.#highest(chip, blocking);
    if (served < 0) return pin;
    const first = s.first.get(chip);
    return ((pin - first) & 7) < ((served - first) & 7) ? pin : -1;
  }

  #take(chip: number, pin: number): void {
    const s = this.#s;
    const bit = 1 << pin;
    if (s.autoEoi.get(chip)) {
      if (s.rotateOnAutoEoi.get(chip)) s.first.set(chip, (pin + 1) & 7);
    } else {
      s.isr.set(chip, s.isr.get(chip) | bit);
    }
    // A level-triggered request stays as long as its pin is high.
    if (!(s.elcr.get(chip) & bit)) s.irr.set(chip, s.irr.get(chip) & ~bit);
  }

  #update(): void {
    const s = this.#s;
    for (let chip = 0; chip < 2; chip++) s.irr.set(chip, s.irr.get(chip) | (s.pins.get(chip) & s.elcr.get(chip)));
    this.#output(this.output());
  }
}
