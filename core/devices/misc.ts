/** Small things of a PC's board that have a port or two each. */
import type { Device, InterruptLine, MmioDevice, PortDevice } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

export const Misc = struct('Misc', { port92: 'u8', post: 'u8', testData: 'u32', dma: ['u8', 16] });

/** System control port A: fast A20 and reset (IBM PS/2). */
export class Port92 implements Device, PortDevice {
  readonly name = 'port92';
  readonly #s;
  readonly #a20: { readonly a20: boolean; setA20(enabled: boolean): void };
  readonly #reset: () => void;

  constructor(buffer: ArrayBufferLike, address: number, a20: { readonly a20: boolean; setA20(enabled: boolean): void }, reset: () => void) {
    this.#s = Misc.view(buffer, address);
    this.#a20 = a20;
    this.#reset = reset;
  }

  reset(): void {
    this.#s.port92 = 0;
  }

  readPort(): number {
    return (this.#s.port92 & ~3) | (this.#a20.a20 ? 2 : 0);
  }

  writePort(_port: number, _size: number, value: number): void {
    const pulses = (value & 1) !== 0 && (this.#s.port92 & 1) === 0;
    this.#s.port92 = value;
    this.#a20.setA20((value & 2) !== 0);
    if (pulses) this.#reset();
  }
}

/** Port 0x80 (POST codes; a write is also a delay) and the DMA page registers beside it, which are plain storage. */
export class PostPort implements Device, PortDevice {
  readonly name = 'post';
  readonly #s;

  constructor(buffer: ArrayBufferLike, address: number) {
    this.#s = Misc.view(buffer, address);
  }

  reset(): void {
    this.#s.dma.fill(0);
  }

  readPort(port: number): number {
    return this.#s.dma.get(port & 15);
  }

  writePort(port: number, _size: number, value: number): void {
    this.#s.dma.set(port & 15, value);
  }
}

export const DEBUG_EXIT_PORT = 0xf4;

/** QEMU's isa-debug-exit: writing a value ends the machine with status (value << 1) | 1. */
export class DebugExit implements Device, PortDevice {
  readonly name = 'isa-debug-exit';
  readonly #exit: (code: number) => void;

  constructor(exit: (code: number) => void) {
    this.#exit = exit;
  }

  reset(): void {}

  readPort(): number {
    return 0;
  }

  writePort(_port: number, _size: number, value: number): void {
    this.#exit(((value << 1) | 1) & 0xff);
  }
}

export const TESTDEV_IOPORT = 0xe0;
export const TESTDEV_FLUSH = 0xe4;
export const TESTDEV_BYTE = 0xe8;
export const TESTDEV_IRQ = 0x2000;
export const TESTDEV_IRQS = 24;
export const TESTDEV_MMIO = 0xff00_0000;
export const TESTDEV_MMIO_SIZE = 0x10000;

/** QEMU's pc-testdev: ports that keep what was written, ports that drive the interrupt lines, and a window of plain memory. */
export class TestDevice implements Device, PortDevice, MmioDevice {
  readonly name = 'pc-testdev';
  readonly #s;
  readonly #memory: DataView;
  readonly #lines: readonly InterruptLine[];

  /** `memory` is TESTDEV_MMIO_SIZE bytes of machine memory. */
  constructor(buffer: ArrayBufferLike, address: number, memory: number, lines: readonly InterruptLine[]) {
    this.#s = Misc.view(buffer, address);
    this.#memory = new DataView(buffer, memory, TESTDEV_MMIO_SIZE);
    this.#lines = lines;
  }

  reset(): void {
    this.#s.testData = 0;
    for (const line of this.#lines) line.set(false);
  }

  readPort(port: number, size: number): number {
    if (port >= TESTDEV_IRQ || (port & ~3) === TESTDEV_FLUSH) return 0;
    const value = this.#s.testData >>> (8 * (port & 3));
    return size === 4 ? value : value & ((1 << (8 * size)) - 1);
  }

  writePort(port: number, size: number, value: number): void {
    if (port >= TESTDEV_IRQ) {
      this.#lines[port - TESTDEV_IRQ]?.set(value !== 0);
      return;
    }
    if ((port & ~3) === TESTDEV_FLUSH) return;
    const shift = 8 * (port & 3);
    const mask = (size === 4 ? 0xffff_ffff : (1 << (8 * size)) - 1) << shift;
    this.#s.testData = ((this.#s.testData & ~mask) | ((value << shift) & mask)) >>> 0;
  }

  readMmio(offset: number, size: number): number {
    return readBytes(this.#memory, offset, size);
  }

  writeMmio(offset: number, size: number, value: number): void {
    writeBytes(this.#memory, offset, size, value);
  }
}

/** The VGA's 128 KiB window as plain memory: there is no display yet, but what is written there can be read back. */
export class VideoMemory implements Device, MmioDevice {
  readonly name = 'video memory';
  readonly #memory: DataView;
  static readonly BASE = 0xa0000;
  static readonly SIZE = 0x20000;

  constructor(buffer: ArrayBufferLike, address: number) {
    this.#memory = new DataView(buffer, address, VideoMemory.SIZE);
  }

  /** The first page of the colour text screen (0xb8000), for firmware. */
  get text(): Uint8Array {
    return new Uint8Array(this.#memory.buffer, this.#memory.byteOffset + 0x18000, 0x1000);
  }

  reset(): void {
    new Uint8Array(this.#memory.buffer, this.#memory.byteOffset, VideoMemory.SIZE).fill(0);
  }

  readMmio(offset: number, size: number): number {
    return readBytes(this.#memory, offset, size);
  }

  writeMmio(offset: number, size: number, value: number): void {
    writeBytes(this.#memory, offset, size, value);
  }
}

function readBytes(memory: DataView, offset: number, size: number): number {
  if (offset + size > memory.byteLength) return 0;
  return size === 1 ? memory.getUint8(offset) : size === 2 ? memory.getUint16(offset, true) : memory.getUint32(offset, true);
}

function writeBytes(memory: DataView, offset: number, size: number, value: number): void {
  if (offset + size > memory.byteLength) return;
  if (size === 1) memory.setUint8(offset, value);
  else if (size === 2) memory.setUint16(offset, value, true);
  else memory.setUint32(offset, value, true);
}
