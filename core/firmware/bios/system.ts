/** INT 15h: memory sizes, the A20 line, block moves, waiting. */
import type { Clock, GuestMemory } from '../../bus/device.ts';
import { ES } from '../../state/cpu.ts';
import type { View } from '../../state/struct.ts';
import { ACPI_SIZE, EBDA, HIGH_RAM, type RamSize, memoryMap } from '../map.ts';
import { AX, BX, CX, DI, DX, type Frame, SI } from './frame.ts';
import * as at from './layout.ts';

const OK = 0;
const FAULT = 0x02;
const UNSUPPORTED = 0x86;
const SMAP = 0x534d_4150;
/** A wait longer than this halts; the timer's interrupt comes every 55 ms. */
const HALT_NS = 60_000_000;

export class System {
  readonly #memory: GuestMemory;
  readonly #ram: RamSize;
  readonly #clock: Clock;
  readonly #s: View<(typeof at.BiosState)['fields']>;

  constructor(memory: GuestMemory, ram: RamSize, clock: Clock, state: View<(typeof at.BiosState)['fields']>) {
    this.#memory = memory;
    this.#ram = ram;
    this.#clock = clock;
    this.#s = state;
  }

  /** Returns WAIT_*. */
  call(f: Frame): number {
    if (f.high(AX) === 0x86) return this.#wait(f);
    const status = this.#serve(f);
    f.carry(status !== OK);
    if (status !== OK) f.setHigh(AX, status);
    return at.WAIT_NONE;
  }

  /** Returns 0 or the status for AH. */
  #serve(f: Frame): number {
    switch (f.get(AX)) {
      case 0xe820:
        return this.#map(f) ? OK : UNSUPPORTED;
      case 0xe801: {
        const end = Math.min(this.#ram.ramLow - ACPI_SIZE, HIGH_RAM);
        const kib = Math.min(0x3c00, (end - 0x10_0000) >>> 10);
        const blocks = Math.max(0, Math.floor((end - 0x100_0000) / 0x10000));
        f.set(AX, kib);
        f.set(CX, kib);
        f.set(BX, blocks);
        f.set(DX, blocks);
        return OK;
      }
      // A20 is always on.
      case 0x2400:
      case 0x2401:
        f.setHigh(AX, 0);
        return OK;
      case 0x2402:
        f.set(AX, 1);
        return OK;
      case 0x2403:
        f.setHigh(AX, 0);
        f.set(BX, 3);
        return OK;
    }
    switch (f.high(AX)) {
      case 0x87:
        if (!this.#move(f)) return FAULT;
        f.setHigh(AX, 0);
        return OK;
      case 0x88:
        f.set(AX, Math.min(0xfc00, (this.#ram.ramLow - ACPI_SIZE - 0x10_0000) >>> 10));
        return OK;
      case 0x90: // a device is busy: there is nothing else to do
      case 0x91:
        f.setHigh(AX, 0);
        return OK;
      case 0xc0:
        f.setHigh(AX, 0);
        f.setSegment(ES, at.SEGMENT);
        f.set(BX, at.SYSTEM_TABLE);
        return OK;
      case 0xc1:
        f.setSegment(ES, EBDA >> 4);
        return OK;
      default:
        return UNSUPPORTED;
    }
  }

  #map(f: Frame): boolean {
    if (f.get32(DX) !== SMAP || f.get32(CX) < 20) return false;
    const map = memoryMap(this.#ram);
    const i = f.get32(BX);
    const range = map[i];
    if (!range) return false;
    const data = new Uint8Array(20);
    const view = new DataView(data.buffer);
    const put = (offset: number, value: number): void => {
      view.setUint32(offset, value % 2 ** 32, true);
      view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
    };
    put(0, range.base);
    put(8, range.length);
    view.setUint32(16, range.type, true);
    if (!f.write(f.linear(ES, f.get(DI)), data)) return false;
    f.set32(AX, SMAP);
    f.set32(CX, data.length);
    f.set32(BX, i + 1 < map.length ? i + 1 : 0);
    return true;
  }

  /** AH=87h: CX words from the third descriptor's base to the fourth's, in the table at ES:SI. */
  #move(f: Frame): boolean {
    const table = f.linear(ES, f.get(SI));
    if (!f.readable(table, 0x30)) return false;
    const base = (entry: number): number => {
      const low = this.#memory.read32(table + entry + 2) & 0xff_ffff;
      return low + this.#memory.read8(table + entry + 7) * 2 ** 24;
    };
    const length = f.get(CX) * 2;
    const [from, to] = [base(0x10), base(0x18)];
    return f.readable(from, length) && f.write(to, this.#memory.bytes(from, length).slice());
  }

  /** AH=86h: CX:DX microseconds. */
  #wait(f: Frame): number {
    const s = this.#s;
    const now = this.#clock.now();
    if (s.until === 0) s.until = now + (f.get(CX) * 0x10000 + f.get(DX)) * 1000;
    const left = s.until - now;
    if (left > 0) return left > HALT_NS ? at.WAIT_HALT : at.WAIT_SPIN;
    s.until = 0;
    f.setHigh(AX, 0);
    f.carry(false);
    return at.WAIT_NONE;
  }
}
