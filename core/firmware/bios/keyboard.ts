/** INT 16h: keys typed at the terminal, as the scan codes and characters of a PC's keyboard. */
import type { Clock, GuestMemory } from '../../bus/device.ts';
import type { View } from '../../state/struct.ts';
import { AX, CX, type Frame } from './frame.ts';
import * as at from './layout.ts';
import type { FirmwareConsole } from './machine.ts';

const ESC = 0x1b;
const KEY_ESC = 0x011b;
const KEY_BACKTAB = 0x0f00;
/** A byte that follows an ESC after this long is no longer part of a sequence. */
const ESCAPE_NS = 100_000_000;
/** So many looks at an empty buffer in a row are waiting: the next one halts until an interrupt. */
const POLLS = 32;

const GROUND = 0;
const ESCAPED = 1;
const CSI = 2;
const SS3 = 3;

/** Scan codes of a US keyboard, without and with Shift. */
const LAYOUT: readonly (readonly [number, string, string])[] = [
  [0x02, '1234567890-=', '!@#$%^&*()_+'],
  [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
  [0x39, ' ', ' '],
];

/** Final bytes of CSI and SS3 sequences: keys of the grey block have 0xe0 for a character. */
const FINAL: Readonly<Record<string, number>> = {
  A: 0x48e0,
  B: 0x50e0,
  C: 0x4de0,
  D: 0x4be0,
  H: 0x47e0,
  F: 0x4fe0,
  Z: KEY_BACKTAB,
  P: 0x3b00,
  Q: 0x3c00,
  R: 0x3d00,
  S: 0x3e00,
};
/** Parameters of CSI ... ~. */
const TILDE: Readonly<Record<number, number>> = {
  1: 0x47e0,
  2: 0x52e0,
  3: 0x53e0,
  4: 0x4fe0,
  5: 0x49e0,
  6: 0x51e0,
  7: 0x47e0,
  8: 0x4fe0,
  11: 0x3b00,
  12: 0x3c00,
  13: 0x3d00,
  14: 0x3e00,
  15: 0x3f00,
  17: 0x4000,
  18: 0x4100,
  19: 0x4200,
  20: 0x4300,
  21: 0x4400,
  23: 0x8500,
  24: 0x8600,
};

/** The key of an ASCII character: scan code << 8 | character. */
export function keyOf(code: number): number {
  switch (code) {
    case 0x08:
    case 0x7f:
      return 0x0e08;
    case 0x09:
      return 0x0f09;
    case 0x0a: // what is piped in has line feeds where a keyboard has Enter
    case 0x0d:
      return 0x1c0d;
    case ESC:
      return KEY_ESC;
  }
  // Control characters are on the keys of the characters 0x40 above them.
  const character = String.fromCharCode(code < 0x20 ? code + 0x40 : code).toLowerCase();
  const typed = code < 0x20 ? character : String.fromCharCode(code);
  for (const [scan, plain, shifted] of LAYOUT) {
    const i = plain.indexOf(typed);
    const j = i < 0 ? shifted.indexOf(typed) : i;
    if (j >= 0) return ((scan + j) << 8) | code;
  }
  return code;
}

export class Keyboard {
  readonly #memory: GuestMemory;
  readonly #console: FirmwareConsole | undefined;
  readonly #clock: Clock;
  readonly #s: View<(typeof at.BiosState)['fields']>;

  constructor(memory: GuestMemory, console: FirmwareConsole | undefined, clock: Clock, state: View<(typeof at.BiosState)['fields']>) {
    this.#memory = memory;
    this.#console = console;
    this.#clock = clock;
    this.#s = state;
  }

  /** Returns WAIT_*. `idle` is called before anything waits. */
  call(f: Frame, idle: () => void): number {
    const ah = f.high(AX);
    // Who does not ask for keys takes none: they may be for the system that comes next.
    if ((ah & ~0x11) === 0) this.#fill();
    switch (ah) {
      case 0x00:
      case 0x10: {
        const key = this.#peek();
        if (key < 0) {
          idle();
          return at.WAIT_HALT;
        }
        this.#next();
        f.set(AX, shape(key, ah));
        return at.WAIT_NONE;
      }
      case 0x01:
      case 0x11: {
        const key = this.#peek();
        if (key < 0) {
          idle();
          if (this.#waits()) return at.WAIT_HALT;
        } else f.set(AX, shape(key, ah & 0x10));
        f.zero(key < 0);
        return at.WAIT_NONE;
      }
      case 0x02:
        f.setLow(AX, 0);
        return at.WAIT_NONE;
      case 0x05:
        f.setLow(AX, this.#store(f.get(CX)) ? 0 : 1);
        return at.WAIT_NONE;
      case 0x09:
        f.setLow(AX, 0x20); // functions 10h to 12h
        return at.WAIT_NONE;
      case 0x12:
        f.set(AX, 0);
    }
    return at.WAIT_NONE;
  }

  /** Something else was done: the caller does not just wait for a key. */
  busy(): void {
    this.#s.polls = this.#s.held = 0;
  }

  /** Whether a caller that looks again and again is to be halted. Only while the timer ticks, which ends the halt. */
  #waits(): boolean {
    const s = this.#s;
    const ticks = this.#memory.read32(at.BDA_TICKS);
    if (s.held) {
      s.held = 0;
      return false;
    }
    if (s.polls === 0) s.pollTick = ticks;
    s.polls = Math.min(s.polls + 1, POLLS);
    if (s.polls < POLLS || s.pollTick === ticks) return false;
    s.pollTick = ticks;
    s.held = 1;
    return true;
  }

  /** Takes what was typed, as far as the buffer has room. */
  #fill(): void {
    const s = this.#s;
    const now = this.#clock.now();
    while (this.#console && !this.#console.claimed && !this.#full()) {
      const byte = this.#console.take();
      if (byte < 0) break;
      this.#byte(byte, now);
    }
    if (s.escape === ESCAPED && now - s.escapeTime > ESCAPE_NS && this.#store(KEY_ESC)) s.escape = GROUND;
  }

  #byte(byte: number, now: number): void {
    const s = this.#s;
    if (s.escape === ESCAPED) {
      const late = now - s.escapeTime > ESCAPE_NS;
      if (!late && (byte === 0x5b || byte === 0x4f)) {
        s.escape = byte === 0x5b ? CSI : SS3;
        s.parameter = 0;
        return;
      }
      s.escape = GROUND;
      this.#store(KEY_ESC);
    } else if (s.escape !== GROUND) {
      if (byte >= 0x30 && byte <= 0x39) {
        s.parameter = (s.parameter * 10 + byte - 0x30) & 0xff;
        return;
      }
      // Modifiers are left out: "1;5A" is an arrow as well.
      if (byte === 0x3b) return;
      s.escape = GROUND;
      const key = byte === 0x7e ? TILDE[s.parameter] : FINAL[String.fromCharCode(byte)];
      if (key !== undefined) this.#store(key);
      return;
    }
    if (byte === ESC) {
      s.escape = ESCAPED;
      s.escapeTime = now;
    } else this.#store(keyOf(byte));
  }

  #after(place: number): number {
    return place + 2 >= at.BDA_KEYS_END ? at.BDA_KEYS : place + 2;
  }

  #place(address: number): number {
    // The guest can write here: an offset that is not in the buffer is not followed.
    const place = this.#memory.read16(address);
    return place >= at.BDA_KEYS && place < at.BDA_KEYS_END ? place & ~1 : at.BDA_KEYS;
  }

  #full(): boolean {
    // An ESC and the byte after it may be two keys.
    const tail = this.#after(this.#place(at.BDA_KEY_TAIL));
    const head = this.#place(at.BDA_KEY_HEAD);
    return tail === head || this.#after(tail) === head;
  }

  #peek(): number {
    const head = this.#place(at.BDA_KEY_HEAD);
    return head === this.#place(at.BDA_KEY_TAIL) ? -1 : this.#memory.read16(at.BDA + head);
  }

  #next(): void {
    this.#memory.write16(at.BDA_KEY_HEAD, this.#after(this.#place(at.BDA_KEY_HEAD)));
    this.busy();
  }

  #store(key: number): boolean {
    const tail = this.#place(at.BDA_KEY_TAIL);
    const next = this.#after(tail);
    if (next === this.#place(at.BDA_KEY_HEAD)) return false;
    this.#memory.write16(at.BDA + tail, key);
    this.#memory.write16(at.BDA_KEY_TAIL, next);
    return true;
  }
}

/** The functions for the 83-key keyboard do not tell the grey keys apart. */
const shape = (key: number, enhanced: number): number => (enhanced || (key & 0xff) !== 0xe0 ? key : key & 0xff00);
