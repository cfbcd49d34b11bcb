/** The guest's RAM as devices and firmware see it: machine memory behind guest-physical addresses. */
import { BusError, type GuestMemory } from './device.ts';

const FOUR_GIB = 0x1_0000_0000;
const PAGE = 4096;
/** Video memory: not RAM to anyone. */
const VIDEO_FIRST = 0xa0000;
const VIDEO_END = 0xc0000;

/** Makes decoded code stale: RAM page index, first and last byte written in it (0..4095, inclusive). */
export type Invalidate = (page: number, first: number, last: number) => void;

export interface RamPlace {
  /** Byte address of the RAM in machine memory. */
  readonly ram: number;
  /** Bytes in all. */
  readonly ramSize: number;
  /** Bytes from guest-physical 0; the rest begins at 4 GiB. */
  readonly ramLow: number;
}

/** DMA. Writes go through to ROM addresses as well: firmware puts itself there, and a guest has no way to ask for it. */
export class MachineRam implements GuestMemory {
  readonly #bytes: Uint8Array;
  readonly #data: DataView;
  readonly #place: RamPlace;
  readonly #invalidate: Invalidate;

  constructor(buffer: ArrayBufferLike, place: RamPlace, invalidate: Invalidate) {
    this.#bytes = new Uint8Array(buffer, place.ram, place.ramSize);
    this.#data = new DataView(buffer, place.ram, place.ramSize);
    this.#place = place;
    this.#invalidate = invalidate;
  }

  /** The offset in RAM of `length` bytes at a guest-physical address; they never wrap from low to high RAM. */
  offset(address: number, length: number): number {
    const { ramLow, ramSize } = this.#place;
    if (Number.isInteger(address) && length >= 0) {
      if (address >= 0 && address + length <= ramLow && !(address < VIDEO_END && address + length > VIDEO_FIRST)) return address;
      const high = address - FOUR_GIB;
      if (high >= 0 && high + length <= ramSize - ramLow) return ramLow + high;
    }
    throw new BusError(`${length} bytes at guest-physical 0x${address.toString(16)} are not RAM`);
  }

  bytes(address: number, length: number): Uint8Array {
    const at = this.offset(address, length);
    return this.#bytes.subarray(at, at + length);
  }

  read8(address: number): number {
    return this.#bytes[this.offset(address, 1)]!;
  }

  read16(address: number): number {
    return this.#data.getUint16(this.offset(address, 2), true);
  }

  read32(address: number): number {
    return this.#data.getUint32(this.offset(address, 4), true);
  }

  read64(address: number): number {
    const at = this.offset(address, 8);
    return this.#data.getUint32(at, true) + this.#data.getUint32(at + 4, true) * FOUR_GIB;
  }

  write(address: number, data: Uint8Array): void {
    const at = this.offset(address, data.length);
    this.#bytes.set(data, at);
    this.#changed(at, data.length);
  }

  write8(address: number, value: number): void {
    const at = this.offset(address, 1);
    this.#bytes[at] = value;
    this.#changed(at, 1);
  }

  write16(address: number, value: number): void {
    const at = this.offset(address, 2);
    this.#data.setUint16(at, value, true);
    this.#changed(at, 2);
  }

  write32(address: number, value: number): void {
    const at = this.offset(address, 4);
    this.#data.setUint32(at, value, true);
    this.#changed(at, 4);
  }

  write64(address: number, value: number): void {
    const at = this.offset(address, 8);
    this.#data.setUint32(at, value >>> 0, true);
    this.#data.setUint32(at + 4, Math.floor(value / FOUR_GIB) >>> 0, true);
    this.#changed(at, 8);
  }

  #changed(at: number, length: number): void {
    const end = at + length;
    while (at < end) {
      const page = Math.floor(at / PAGE);
      const stop = Math.min(end, (page + 1) * PAGE);
      this.#invalidate(page, at - page * PAGE, stop - 1 - page * PAGE);
      at = stop;
    }
  }
}
