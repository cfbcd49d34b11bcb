/** Intel 8042 keyboard controller with an AT keyboard and a PS/2 mouse, whose keys nobody presses yet (IBM PS/2 technical reference). */
import type { Device, InterruptLine, PortDevice } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

const QUEUE = 32;

export const I8042 = struct('I8042', {
  /** The command byte. */
  command: 'u8',
  /** The controller command that waits for its data byte, or 0. */
  expects: 'u8',
  /** The keyboard's or mouse's command that waits for its argument, or 0. */
  keyboardExpects: 'u8',
  mouseExpects: 'u8',
  outputPort: 'u8',
  /** 1 if the byte at the head of the queue came from the mouse; one bit per place below. */
  first: 'u8',
  count: 'u8',
  lastWasCommand: 'u8',
  leds: 'u8',
  scanCodeSet: 'u8',
  sampleRate: 'u8',
  resolution: 'u8',
  mouseStatus: 'u8',
  queue: ['u8', QUEUE],
  aux: ['u8', QUEUE],
});

export const KBD_DATA = 0x60;
export const KBD_STATUS = 0x64;

const STATUS_OBF = 0x01;
const STATUS_SYS = 0x04;
const STATUS_CMD = 0x08;
const STATUS_UNLOCKED = 0x10;
const STATUS_AUX = 0x20;
const COMMAND_KBD_INT = 0x01;
const COMMAND_AUX_INT = 0x02;
const COMMAND_SYS = 0x04;
const COMMAND_KBD_OFF = 0x10;
const COMMAND_AUX_OFF = 0x20;
const COMMAND_TRANSLATE = 0x40;
const OUTPUT_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const ACK = 0xfa;
const RESEND = 0xfe;

export interface I8042Host {
  /** The reset line of the processor is pulsed. */
  reset(): void;
  /** A20 was switched. */
  a20(enabled: boolean): void;
}

export class KeyboardController implements Device, PortDevice {
  readonly name = 'i8042';
  readonly #s;
  readonly #irq1: InterruptLine;
  readonly #irq12: InterruptLine;
  readonly #host: I8042Host;

  constructor(buffer: ArrayBufferLike, address: number, irq1: InterruptLine, irq12: InterruptLine, host: I8042Host) {
    this.#s = I8042.view(buffer, address);
    this.#irq1 = irq1;
    this.#irq12 = irq12;
    this.#host = host;
  }

  /** As firmware leaves it: both devices on, translation on, A20 open. */
  reset(): void {
    const s = this.#s;
    s.command = COMMAND_SYS | COMMAND_TRANSLATE | COMMAND_KBD_INT;
    s.expects = s.keyboardExpects = s.mouseExpects = s.first = s.count = s.lastWasCommand = s.leds = 0;
    s.outputPort = OUTPUT_RESET | OUTPUT_A20 | 0xcc;
    s.scanCodeSet = 2;
    this.#resetMouse();
    this.#update();
  }

  get a20(): boolean {
    return (this.#s.outputPort & OUTPUT_A20) !== 0;
  }

  setA20(enabled: boolean): void {
    const s = this.#s;
    s.outputPort = enabled ? s.outputPort | OUTPUT_A20 : s.outputPort & ~OUTPUT_A20;
    this.#host.a20(enabled);
  }

  readPort(port: number): number {
    const s = this.#s;
    if (port === KBD_STATUS) {
      let status = STATUS_UNLOCKED;
      if (s.command & COMMAND_SYS) status |= STATUS_SYS;
      if (s.lastWasCommand) status |= STATUS_CMD;
      if (s.count > 0) status |= STATUS_OBF | (s.aux.get(s.first) ? STATUS_AUX : 0);
      return status;
    }
    const value = s.queue.get(s.first);
    if (s.count > 0) {
      s.first = (s.first + 1) % QUEUE;
      s.count--;
      // The line drops between bytes, so that each is an edge.
      this.#irq1.set(false);
      this.#irq12.set(false);
      this.#update();
    }
    return value;
  }

  writePort(port: number, _size: number, value: number): void {
    const s = this.#s;
    if (port === KBD_STATUS) {
      s.lastWasCommand = 1;
      s.expects = 0;
      this.#command(value);
      return;
    }
    s.lastWasCommand = 0;
    const { expects } = s;
    s.expects = 0;
    if (expects === 0) {
      s.command &= ~COMMAND_KBD_OFF;
      this.#keyboard(value);
    } else if (expects === 0xd1) {
      this.setA20((value & OUTPUT_A20) !== 0);
      s.outputPort = value;
      if (!(value & OUTPUT_RESET)) this.#host.reset();
    } else if (expects === 0xd2) {
      this.#put(value, 0);
    } else if (expects === 0xd3) {
      this.#put(value, 1);
    } else if (expects === 0xd4) {
      s.command &= ~COMMAND_AUX_OFF;
      this.#mouse(value);
    } else {
      if (expects === 0x60) s.command = value;
      this.#update();
    }
  }

  #command(value: number): void {
    const s = this.#s;
    if (value >= 0xf0) {
      // Pulses the output lines whose bits are 0; line 0 is the processor's reset.
      if (!(value & 1)) this.#host.reset();
      return;
    }
    if (value >= 0x20 && value < 0x40) {
      this.#put(value === 0x20 ? s.command : 0, 0);
      return;
    }
    if (value >= 0x60 && value < 0x80) {
      s.expects = value;
      return;
    }
    switch (value) {
      case 0xa7:
        s.command |= COMMAND_AUX_OFF;
        break;
      case 0xa8:
        s.command &= ~COMMAND_AUX_OFF;
        break;
      case 0xa9:
        this.#put(0, 0);
        break;
      case 0xaa:
        s.command |= COMMAND_SYS;
        this.#put(0x55, 0);
        break;
      case 0xab:
        this.#put(0, 0);
        break;
      case 0xad:
        s.command |= COMMAND_KBD_OFF;
        break;
      case 0xae:
        s.command &= ~COMMAND_KBD_OFF;
        break;
      case 0xc0:
        this.#put(0x80, 0);
        break;
      case 0xd0:
        this.#put((s.outputPort & 0xcf) | (s.count > 0 ? 0x10 : 0), 0);
        break;
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4:
        s.expects = value;
        break;
      case 0xdd:
        this.setA20(false);
        break;
      case 0xdf:
        this.setA20(true);
        break;
    }
    this.#update();
  }

  #keyboard(value: number): void {
    const s = this.#s;
    const expects = s.keyboardExpects;
    if (expects !== 0 && value < 0xed) {
      s.keyboardExpects = 0;
      this.#put(ACK, 0);
      if (expects === 0xed) s.leds = value & 7;
      if (expects === 0xf0) {
        // Answers pass through the translation, as codes of keys do.
        if (value === 0) this.#put(s.command & COMMAND_TRANSLATE ? ([0x43, 0x41, 0x3f][s.scanCodeSet - 1] ?? 0x41) : s.scanCodeSet, 0);
        else s.scanCodeSet = value & 3;
      }
      return;
    }
    s.keyboardExpects = 0;
    switch (value) {
      case 0xed:
      case 0xf0:
      case 0xf3:
        s.keyboardExpects = value;
        this.#put(ACK, 0);
        return;
      case 0xee:
        this.#put(0xee, 0);
        return;
      case 0xf2:
        this.#put(ACK, 0);
        this.#put(0xab, 0);
        this.#put(s.command & COMMAND_TRANSLATE ? 0x41 : 0x83, 0);
        return;
      case 0xff:
        s.leds = 0;
        s.scanCodeSet = 2;
        this.#put(ACK, 0);
        this.#put(0xaa, 0);
        return;
      case 0xf4:
      case 0xf5:
      case 0xf6:
      case 0xf7:
      case 0xf8:
      case 0xf9:
      case 0xfa:
        this.#put(ACK, 0);
        return;
      default:
        this.#put(RESEND, 0);
    }
  }

  #resetMouse(): void {
    const s = this.#s;
    s.sampleRate = 100;
    s.resolution = 2;
    s.mouseStatus = 0;
  }

  #mouse(value: number): void {
    const s = this.#s;
    const expects = s.mouseExpects;
    s.mouseExpects = 0;
    if (expects === 0xf3) s.sampleRate = value;
    if (expects === 0xe8) s.resolution = value & 3;
    if (expects !== 0) {
      this.#put(ACK, 1);
      return;
    }
    switch (value) {
      case 0xf3:
      case 0xe8:
        s.mouseExpects = value;
        break;
      case 0xe6:
        s.mouseStatus &= ~0x10;
        break;
      case 0xe7:
        s.mouseStatus |= 0x10;
        break;
      case 0xf4:
        s.mouseStatus |= 0x20;
        break;
      case 0xf5:
        s.mouseStatus &= ~0x20;
        break;
      case 0xf6:
        this.#resetMouse();
        break;
      case 0xe9:
        this.#put(ACK, 1);
        this.#put(s.mouseStatus, 1);
        this.#put(s.resolution, 1);
        this.#put(s.sampleRate, 1);
        return;
      case 0xeb:
        this.#put(ACK, 1);
        this.#put(0x08, 1);
        this.#put(0, 1);
        this.#put(0, 1);
        return;
      case 0xf2:
        this.#put(ACK, 1);
        this.#put(0, 1);
        return;
      case 0xff:
        this.#resetMouse();
        this.#put(ACK, 1);
        this.#put(0xaa, 1);
        this.#put(0, 1);
        return;
      case 0xea:
      case 0xf0:
      case 0xee:
      case 0xec:
        break;
      default:
        this.#put(RESEND, 1);
        return;
    }
    this.#put(ACK, 1);
  }

  #put(value: number, aux: 0 | 1): void {
    const s = this.#s;
    if (s.count === QUEUE) return; // as a keyboard whose buffer is full
    const at = (s.first + s.count) % QUEUE;
    s.queue.set(at, value);
    s.aux.set(at, aux);
    s.count++;
    this.#update();
  }

  #update(): void {
    const s = this.#s;
    const aux = s.count > 0 && s.aux.get(s.first) !== 0;
    this.#irq1.set(s.count > 0 && !aux && (s.command & COMMAND_KBD_INT) !== 0);
    this.#irq12.set(aux && (s.command & COMMAND_AUX_INT) !== 0);
  }
}
