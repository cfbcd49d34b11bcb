/** 16550A UART (National Semiconductor PC16550D data sheet). The other end of the wire are two rings in machine memory. */
import type { Clock, Device, InterruptLine, PortDevice, Timed } from '../bus/device.ts';
import type { Ring } from '../bus/ring.ts';
import { struct } from '../state/struct.ts';

const FIFO = 16;

export const Uart16550 = struct('Uart16550', {
  /** When the transmitter tries again after it found the output ring full; Infinity: nothing waits. */
  retry: 'f64',
  /** When the receiver's timeout interrupt is due. */
  timeout: 'f64',
  ier: 'u8',
  fcr: 'u8',
  lcr: 'u8',
  mcr: 'u8',
  msr: 'u8',
  scr: 'u8',
  dll: 'u8',
  dlm: 'u8',
  /** LSR's error bits. */
  errors: 'u8',
  thrPending: 'u8',
  timedOut: 'u8',
  rxFirst: 'u8',
  rxCount: 'u8',
  txFirst: 'u8',
  txCount: 'u8',
  rx: ['u8', FIFO],
  tx: ['u8', FIFO],
  /** 1 once a guest has put a character out or taken one in: firmware then leaves the port to it. */
  claimed: 'u8',
});

/** Base ports and interrupts of COM1 to COM4. */
export const SERIAL_PORTS = [
  { base: 0x3f8, irq: 4 },
  { base: 0x2f8, irq: 3 },
  { base: 0x3e8, irq: 4 },
  { base: 0x2e8, irq: 3 },
] as const;

const IER_ERBFI = 0x01;
const IER_ETBEI = 0x02;
const IER_ELSI = 0x04;
const IER_EDSSI = 0x08;
const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_THRE = 0x02;
const IIR_DATA = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS = 0xc0;
const FCR_ENABLE = 0x01;
const FCR_RESET_RX = 0x02;
const FCR_RESET_TX = 0x04;
/** Word length of 8 bits. */
const LCR_8_BITS = 0x03;
const LCR_DLAB = 0x80;
const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;
const LSR_DR = 0x01;
const LSR_OE = 0x02;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;
const MSR_DELTA = 0x0f;
const MSR_TERI = 0x04;
const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
const TRIGGER = [1, 4, 8, 14] as const;

/** A full output ring is looked at again after this long. */
const RETRY_NS = 1_000_000;
/** Four characters at 115,200 baud. */
const TIMEOUT_NS = 350_000;

export interface SerialEnds {
  readonly output: Ring;
  readonly input: Ring;
  /** There is output where there was none. */
  notify(): void;
}

/**
 * Characters leave at once, not at the line's rate; only a full output ring holds them back, and then THRE stays low as it would behind a
 * slow line. Nothing is dropped.
 */
export class Serial implements Device, PortDevice, Timed {
  readonly name = '16550A';
  readonly #s;
  readonly #base: number;
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #ends: SerialEnds;
  readonly #rearm: (device: Timed) => void;

  constructor(
    buffer: ArrayBufferLike,
    address: number,
    base: number,
    clock: Clock,
    irq: InterruptLine,
    ends: SerialEnds,
    rearm: (device: Timed) => void = () => {},
  ) {
    this.#s = Uart16550.view(buffer, address);
    this.#base = base;
    this.#clock = clock;
    this.#irq = irq;
    this.#ends = ends;
    this.#rearm = rearm;
  }

  /** The rings are left alone: what a guest printed before a reset is still to be shown. */
  reset(): void {
    const s = this.#s;
    s.retry = s.timeout = Infinity;
    s.ier = s.fcr = s.lcr = s.scr = s.errors = s.thrPending = s.timedOut = 0;
    s.rxFirst = s.rxCount = s.txFirst = s.txCount = s.claimed = 0;
    s.mcr = 0;
    s.dll = 12;
    s.dlm = 0;
    s.msr = MSR_DCD | MSR_DSR | MSR_CTS;
    this.#irq.set(false);
  }

  deadline(): number {
    return Math.min(this.#s.retry, this.#s.timeout);
  }

  tick(now: number): void {
    const s = this.#s;
    if (now >= s.retry) this.#transmit();
    if (now >= s.timeout) {
      s.timeout = Infinity;
      if (s.rxCount > 0) s.timedOut = 1;
    }
    this.poll();
  }

  /** Takes what arrived in the input ring; call it when the other side says that there is something, and at every `advance`. */
  poll(reading = false): void {
    const s = this.#s;
    // Characters wait in the ring while the FIFO is full, while in loopback the pin is disconnected, and until the other end shows that it is
    // there: by DTR or RTS, or by looking for them. What came before a driver set up and cleared its FIFO would be lost.
    if (!(s.mcr & MCR_LOOP) && (s.mcr & (MCR_DTR | MCR_RTS) || reading) && this.#ends.input.available() > 0) {
      const room = this.#depth();
      while (s.rxCount < room) {
        const byte = this.#ends.input.pop();
        if (byte < 0) break;
        this.#receive(byte);
      }
    }
    this.#update();
  }

  // -- for firmware, which shows its screen here: around the registers, so that the guest finds them as it left them

  get claimed(): boolean {
    return this.#s.claimed !== 0;
  }

  room(): number {
    return this.#s.txCount > 0 ? 0 : this.#ends.output.free();
  }

  /** Puts out what there is room for. */
  put(data: Uint8Array): void {
    for (const byte of data) if (this.#ends.output.push(byte) === 2) this.#ends.notify();
  }

  /** The next character that came in, or -1. */
  take(): number {
    if (this.#s.rxCount === 0) this.poll(true);
    return this.#s.rxCount === 0 ? -1 : this.#readData();
  }

  readPort(port: number): number {
    const s = this.#s;
    switch (port - this.#base) {
      case 0:
        if (s.lcr & LCR_DLAB) return s.dll;
        if (s.rxCount > 0 && !(s.mcr & MCR_LOOP)) s.claimed = 1;
        return this.#readData();
      case 1:
        return s.lcr & LCR_DLAB ? s.dlm : s.ier;
      case 2: {
        this.poll();
        const cause = this.#cause();
        if (cause === IIR_THRE) {
          s.thrPending = 0;
          this.#update();
        }
        return cause | (s.fcr & FCR_ENABLE ? IIR_FIFOS : 0);
      }
      case 3:
        return s.lcr;
      case 4:
        return s.mcr;
      case 5: {
        if (s.txCount > 0) this.#transmit();
        this.poll((s.lcr & LCR_8_BITS) === LCR_8_BITS);
        const value = s.errors | (s.rxCount > 0 ? LSR_DR : 0) | (s.txCount === 0 ? LSR_THRE | LSR_TEMT : 0);
        s.errors = 0;
        this.#update();
        return value;
      }
      case 6: {
        const value = s.msr;
        s.msr = value & ~MSR_DELTA;
        this.#update();
        return value;
      }
      default:
        return s.scr;
    }
  }

  writePort(port: number, _size: number, value: number): void {
    const s = this.#s;
    switch (port - this.#base) {
      case 0:
        if (s.lcr & LCR_DLAB) s.dll = value;
        else this.#writeData(value);
        return;
      case 1:
        if (s.lcr & LCR_DLAB) {
          s.dlm = value;
          return;
        }
        // Enabling the interrupt while the register is empty raises it at once.
        if (value & IER_ETBEI && !(s.ier & IER_ETBEI) && s.txCount === 0) s.thrPending = 1;
        s.ier = value & 0x0f;
        this.#update();
        return;
      case 2: {
        const changed = ((value ^ s.fcr) & FCR_ENABLE) !== 0;
        if (changed || value & FCR_RESET_RX) {
          s.rxCount = s.timedOut = 0;
          s.timeout = Infinity;
        }
        if (changed || value & FCR_RESET_TX) {
          // What waits for a full ring was written by the guest and is not lost by a reset of the FIFO.
          if (s.txCount > 0) this.#transmit();
          else s.thrPending = 1;
        }
        s.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
        this.poll();
        return;
      }
      case 3:
        s.lcr = value;
        return;
      case 4:
        s.mcr = value & 0x1f;
        this.#modem();
        this.poll();
        return;
      case 7:
        s.scr = value;
        return;
    }
  }

  #depth(): number {
    return this.#s.fcr & FCR_ENABLE ? FIFO : 1;
  }

  #readData(): number {
    const s = this.#s;
    if (s.rxCount === 0) this.poll();
    if (s.rxCount === 0) return 0;
    const byte = s.rx.get(s.rxFirst);
    s.rxFirst = (s.rxFirst + 1) % FIFO;
    s.rxCount--;
    s.timedOut = 0;
    s.timeout = s.rxCount > 0 ? this.#clock.now() + TIMEOUT_NS : Infinity;
    this.poll();
    return byte;
  }

  #writeData(byte: number): void {
    const s = this.#s;
    s.thrPending = 0;
    if (s.mcr & MCR_LOOP) {
      this.#receive(byte);
      s.thrPending = 1;
      this.#update();
      return;
    }
    s.claimed = 1;
    if (s.txCount === 0) {
      const pushed = this.#ends.output.push(byte);
      if (pushed > 0) {
        if (pushed === 2) this.#ends.notify();
        s.thrPending = 1;
        this.#update();
        return;
      }
    }
    // The ring is full: the character waits here. A guest that writes without looking at THRE overwrites it, as on the real line.
    const depth = this.#depth();
    if (s.txCount < depth) {
      s.tx.set((s.txFirst + s.txCount) % FIFO, byte);
      s.txCount++;
    } else {
      s.tx.set((s.txFirst + depth - 1) % FIFO, byte);
    }
    s.retry = this.#clock.now() + RETRY_NS;
    this.#rearm(this);
    this.#update();
  }

  #transmit(): void {
    const s = this.#s;
    while (s.txCount > 0) {
      const pushed = this.#ends.output.push(s.tx.get(s.txFirst));
      if (pushed === 0) {
        s.retry = this.#clock.now() + RETRY_NS;
        return;
      }
      if (pushed === 2) this.#ends.notify();
      s.txFirst = (s.txFirst + 1) % FIFO;
      s.txCount--;
    }
    s.retry = Infinity;
    s.thrPending = 1;
    this.#update();
  }

  #receive(byte: number): void {
    const s = this.#s;
    if (s.rxCount >= this.#depth()) {
      s.errors |= LSR_OE;
      if (!(s.fcr & FCR_ENABLE)) s.rx.set(s.rxFirst, byte);
      return;
    }
    s.rx.set((s.rxFirst + s.rxCount) % FIFO, byte);
    s.rxCount++;
    s.timeout = this.#clock.now() + TIMEOUT_NS;
    this.#rearm(this);
  }

  /** In loopback the modem outputs drive the modem inputs; otherwise the other end is there and ready. */
  #modem(): void {
    const s = this.#s;
    let lines = MSR_DCD | MSR_DSR | MSR_CTS;
    if (s.mcr & MCR_LOOP) {
      lines = 0;
      if (s.mcr & MCR_RTS) lines |= MSR_CTS;
      if (s.mcr & MCR_DTR) lines |= MSR_DSR;
      if (s.mcr & MCR_OUT1) lines |= MSR_RI;
      if (s.mcr & MCR_OUT2) lines |= MSR_DCD;
    }
    const changed = (lines ^ s.msr) & 0xf0;
    let delta = (changed >> 4) & (MSR_DELTA & ~MSR_TERI);
    if (changed & MSR_RI && !(lines & MSR_RI)) delta |= MSR_TERI;
    s.msr = lines | (s.msr & MSR_DELTA) | delta;
    this.#update();
  }

  /** The pending interrupt of highest priority, as IIR shows it. */
  #cause(): number {
    const s = this.#s;
    if (s.ier & IER_ELSI && s.errors) return IIR_LINE;
    if (s.ier & IER_ERBFI && s.rxCount > 0) {
      const fifo = s.fcr & FCR_ENABLE;
      if (!fifo || s.rxCount >= TRIGGER[(s.fcr >> 6) as 0 | 1 | 2 | 3]) return IIR_DATA;
      if (s.timedOut) return IIR_TIMEOUT;
    }
    if (s.ier & IER_ETBEI && s.thrPending) return IIR_THRE;
    if (s.ier & IER_EDSSI && s.msr & MSR_DELTA) return IIR_MODEM;
    return IIR_NONE;
  }

  #update(): void {
    // In a PC, OUT2 connects the chip's interrupt output; loopback disconnects it.
    const connected = (this.#s.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    this.#irq.set(connected && this.#cause() !== IIR_NONE);
  }
}
