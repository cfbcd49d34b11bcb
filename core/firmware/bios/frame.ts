/** The registers of a vCPU that is in a BIOS call, and the guest's memory as a real-mode caller may use it. */
import type { GuestMemory } from '../../bus/device.ts';
import { Cpu, SS } from '../../state/cpu.ts';
import type { CpuView } from '../state.ts';

export const AX = 0;
export const CX = 1;
export const DX = 2;
export const BX = 3;
const SP = 4;
export const BP = 5;
export const SI = 6;
export const DI = 7;

const FLAG_CARRY = 0x01;
const FLAG_ZERO = 0x40;

/** Video memory and ROM: not for DMA, whatever the caller says. */
const HOLE = 0xa0000;
const HOLE_END = 0x10_0000;

export class Frame {
  readonly #cpu: CpuView;
  readonly #gpr: DataView;
  readonly #memory: GuestMemory;

  constructor(cpu: CpuView, buffer: ArrayBufferLike, memory: GuestMemory) {
    this.#cpu = cpu;
    this.#gpr = new DataView(buffer, cpu.address + Cpu.offsets.gpr, 8 * 16);
    this.#memory = memory;
  }

  get(register: number): number {
    return this.#gpr.getUint16(8 * register, true);
  }

  /** The rest of the register stays. */
  set(register: number, value: number): void {
    this.#gpr.setUint16(8 * register, value, true);
  }

  low(register: number): number {
    return this.#gpr.getUint8(8 * register);
  }

  setLow(register: number, value: number): void {
    this.#gpr.setUint8(8 * register, value);
  }

  high(register: number): number {
    return this.#gpr.getUint8(8 * register + 1);
  }

  setHigh(register: number, value: number): void {
    this.#gpr.setUint8(8 * register + 1, value);
  }

  get32(register: number): number {
    return this.#gpr.getUint32(8 * register, true);
  }

  set32(register: number, value: number): void {
    this.#gpr.setUint32(8 * register, value, true);
  }

  /** The linear address of an offset in a segment (ES, DS, ...). */
  linear(segment: number, offset: number): number {
    return this.#cpu.segments[segment]!.base + (offset & 0xffff);
  }

  setSegment(segment: number, selector: number): void {
    const s = this.#cpu.segments[segment]!;
    s.selector = selector;
    s.base = selector * 16;
    this.#cpu.reach[segment]!.base = selector * 16;
  }

  /** Carry of the flags that IRET will pop. */
  carry(on: boolean): void {
    this.#flag(FLAG_CARRY, on);
  }

  zero(on: boolean): void {
    this.#flag(FLAG_ZERO, on);
  }

  #flag(mask: number, on: boolean): void {
    const at = this.linear(SS, this.get(SP) + 4);
    const flags = this.#memory.read16(at);
    this.#memory.write16(at, on ? flags | mask : flags & ~mask);
  }

  /** Writes to the caller's memory; false if that is not RAM. */
  write(address: number, data: Uint8Array): boolean {
    if (!this.readable(address, data.length) || (address < HOLE_END && address + data.length > HOLE)) return false;
    this.#memory.write(address, data);
    return true;
  }

  /** Whether all of it is RAM or ROM. */
  readable(address: number, length: number): boolean {
    try {
      this.#memory.bytes(address, length);
      return true;
    } catch {
      return false;
    }
  }
}
