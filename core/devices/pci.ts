/** PCI: configuration mechanism #1 behind a host bridge like Intel's 440FX, functions with memory BARs, and INTx (PCI local bus specification 3.0). */
import type { Device, InterruptLine, MmioDevice, PortDevice } from '../bus/device.ts';
import type { MmioMap, MmioWindow } from '../bus/mmio.ts';
import { struct } from '../state/struct.ts';

export const PciConfig = struct('PciConfig', { bytes: ['u8', 256] });
export const PciHostState = struct('PciHostState', {
  /** CONFIG_ADDRESS. */
  configAddress: 'u32',
  /** Counts moves of BARs, so that every thread on which the machine is attached notices. */
  generation: 'u32',
});

export const CONFIG_ADDRESS = 0xcf8;
export const CONFIG_DATA = 0xcfc;
/** Where firmware puts BARs: the window that the ACPI tables name. */
export const PCI_WINDOW = 0xe000_0000;
export const PCI_WINDOW_END = 0xfec0_0000;

export const VENDOR_ID = 0x00;
export const COMMAND = 0x04;
export const STATUS = 0x06;
export const REVISION = 0x08;
export const HEADER_TYPE = 0x0e;
export const BAR0 = 0x10;
export const SUBSYSTEM = 0x2c;
export const CAPABILITIES = 0x34;
export const INTERRUPT_LINE = 0x3c;
export const INTERRUPT_PIN = 0x3d;

export const COMMAND_MEMORY = 0x0002;
export const COMMAND_MASTER = 0x0004;
export const COMMAND_INTX_OFF = 0x0400;
const COMMAND_WRITABLE = 0x0547;
const STATUS_INTERRUPT = 0x08;

/** The global system interrupts that INTA of the slots is wired to, for the PIC as well as for the I/O APIC. */
export const intxInterrupt = (slot: number, pin = 1): number => 10 + ((slot + pin - 1) & 1);

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** 1: INTA. */
  readonly pin?: 0 | 1;
}

interface Bar {
  readonly index: number;
  readonly size: number;
  readonly window: MmioWindow;
}

/** One function: 256 bytes of configuration space in machine memory. */
export class PciFunction implements Device {
  readonly name: string;
  readonly slot: number;
  readonly config: DataView;
  /** Called before a configuration read of a capability, and after a write of one. */
  onCapabilityRead: ((offset: number) => void) | undefined;
  onCapabilityWrite: ((offset: number, size: number) => void) | undefined;
  /** The bits of capabilities that can be written: offset to mask of a byte. */
  readonly #writable = new Map<number, number>();
  readonly #identity: PciIdentity;
  readonly #bars: Bar[] = [];
  readonly #line: InterruptLine | undefined;
  readonly #capabilities: { offset: number; bytes: Uint8Array }[] = [];

  constructor(buffer: ArrayBufferLike, address: number, name: string, slot: number, identity: PciIdentity, line?: InterruptLine) {
    this.name = name;
    this.slot = slot;
    this.config = new DataView(buffer, address, PciConfig.size);
    this.#identity = identity;
    this.#line = line;
  }

  /** A 32-bit memory BAR; `size` a power of two of at least 16. */
  addMemory(index: number, size: number, device: MmioDevice, mmio: MmioMap): void {
    this.#bars.push({ index, size, window: mmio.map(0, size, device, false) });
  }

  /** A capability: its bytes (the next pointer is filled in), and a mask of those that can be written. */
  addCapability(offset: number, bytes: Uint8Array, writable: Readonly<Record<number, number>> = {}): void {
    this.#capabilities.push({ offset, bytes });
    for (const [at, mask] of Object.entries(writable)) this.#writable.set(offset + Number(at), mask);
  }

  reset(): void {
    const c = this.config;
    const i = this.#identity;
    for (let at = 0; at < 256; at += 4) c.setUint32(at, 0, true);
    c.setUint16(VENDOR_ID, i.vendor, true);
    c.setUint16(VENDOR_ID + 2, i.device, true);
    c.setUint32(REVISION, ((i.classCode << 8) | i.revision) >>> 0, true);
    c.setUint16(SUBSYSTEM, i.subsystemVendor ?? 0, true);
    c.setUint16(SUBSYSTEM + 2, i.subsystem ?? 0, true);
    c.setUint8(INTERRUPT_PIN, i.pin ?? 0);
    c.setUint8(INTERRUPT_LINE, i.pin ? intxInterrupt(this.slot, i.pin) : 0);
    let pointer = CAPABILITIES;
    for (const { offset, bytes } of this.#capabilities) {
      c.setUint16(STATUS, c.getUint16(STATUS, true) | 0x10, true);
      c.setUint8(pointer, offset);
      bytes.forEach((byte, n) => c.setUint8(offset + n, byte));
      c.setUint8(offset + 1, 0);
      pointer = offset + 1;
    }
    this.setInterrupt(false);
    this.sync();
  }

  /** Gives every BAR a place from `base` up and switches the function on, as firmware does; returns the next free address. */
  assign(base: number): number {
    for (const bar of this.#bars) {
      base = Math.ceil(base / bar.size) * bar.size;
      this.config.setUint32(BAR0 + 4 * bar.index, base, true);
      base += bar.size;
    }
    this.config.setUint16(COMMAND, COMMAND_MEMORY | COMMAND_MASTER, true);
    this.sync();
    return base;
  }

  /** Moves the windows to where the BARs say. */
  sync(): void {
    const enabled = (this.config.getUint16(COMMAND, true) & COMMAND_MEMORY) !== 0;
    for (const bar of this.#bars) {
      const base = (this.config.getUint32(BAR0 + 4 * bar.index, true) & 0xffff_fff0) >>> 0;
      bar.window.base = base;
      bar.window.enabled = enabled && base !== 0;
    }
  }

  get busMaster(): boolean {
    return (this.config.getUint16(COMMAND, true) & COMMAND_MASTER) !== 0;
  }

  /** INTx. */
  setInterrupt(level: boolean): void {
    const status = this.config.getUint8(STATUS);
    this.config.setUint8(STATUS, level ? status | STATUS_INTERRUPT : status & ~STATUS_INTERRUPT);
    this.#line?.set(level && (this.config.getUint16(COMMAND, true) & COMMAND_INTX_OFF) === 0);
  }

  read(offset: number, size: number): number {
    if (offset >= 0x40) this.onCapabilityRead?.(offset);
    const c = this.config;
    return size === 1 ? c.getUint8(offset) : size === 2 ? c.getUint16(offset & ~1, true) : c.getUint32(offset & ~3, true);
  }

  /** Returns whether windows may have moved. */
  write(offset: number, size: number, value: number): boolean {
    const c = this.config;
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const mask = this.#mask(at);
      if (mask !== 0) c.setUint8(at, (c.getUint8(at) & ~mask) | ((value >>> (8 * i)) & mask));
    }
    if (offset >= 0x40) {
      this.onCapabilityWrite?.(offset, size);
      return false;
    }
    const moves = offset < BAR0 + 24 && offset + size > COMMAND;
    if (moves) {
      this.sync();
      this.setInterrupt((c.getUint8(STATUS) & STATUS_INTERRUPT) !== 0);
    }
    return moves;
  }

  /** The bits of a byte of configuration space that can be written. */
  #mask(at: number): number {
    if (at === COMMAND || at === COMMAND + 1) return (COMMAND_WRITABLE >> (8 * (at - COMMAND))) & 0xff;
    if (at === INTERRUPT_LINE || at === 0x0c || at === 0x0d) return 0xff;
    if (at >= BAR0 && at < BAR0 + 24) {
      const bar = this.#bars.find((b) => b.index === (at - BAR0) >> 2);
      return bar ? (~(bar.size - 1) >>> (8 * (at & 3))) & 0xff : 0;
    }
    return this.#writable.get(at) ?? 0;
  }
}

/** Bus 0, reached through 0xcf8 and 0xcfc. */
export class PciHost implements Device, PortDevice {
  readonly name = 'PCI host bridge';
  readonly #s;
  readonly #generation: Int32Array;
  #synced = 0;
  readonly #functions: (PciFunction | undefined)[] = Array.from({ length: 32 });

  constructor(buffer: ArrayBufferLike, address: number) {
    this.#s = PciHostState.view(buffer, address);
    this.#generation = new Int32Array(buffer, address + PciHostState.offsets.generation, 1);
  }

  add(f: PciFunction): void {
    if (this.#functions[f.slot]) throw new Error(`PCI slot ${f.slot} is taken`);
    this.#functions[f.slot] = f;
  }

  reset(): void {
    this.#s.configAddress = 0;
    let base = PCI_WINDOW;
    for (const f of this.#functions) {
      f?.reset();
      if (f) base = f.assign(base);
    }
    this.#moved();
  }

  /** Takes over what another thread did to the BARs. Cheap when nothing changed; call it before MMIO is dispatched. */
  sync(): void {
    const generation = Atomics.load(this.#generation, 0);
    if (generation === this.#synced) return;
    for (const f of this.#functions) f?.sync();
    this.#synced = generation;
  }

  #moved(): void {
    this.#synced = (Atomics.add(this.#generation, 0, 1) + 1) | 0;
  }

  #target(): PciFunction | undefined {
    const address = this.#s.configAddress;
    // Enabled, bus 0, function 0.
    return (address & 0x80ff_0700) >>> 0 === 0x8000_0000 ? this.#functions[(address >>> 11) & 31] : undefined;
  }

  readPort(port: number, size: number): number {
    if (port < CONFIG_DATA) return size === 4 ? this.#s.configAddress : size === 1 ? 0xff : 0xffff;
    const f = this.#target();
    if (!f) return size === 4 ? 0xffff_ffff : (1 << (8 * size)) - 1;
    return f.read((this.#s.configAddress & 0xfc) | (port & 3), size);
  }

  writePort(port: number, size: number, value: number): void {
    if (port < CONFIG_DATA) {
      if (size === 4) this.#s.configAddress = value & 0x80ff_fffc;
      return;
    }
    const f = this.#target();
    if (f?.write((this.#s.configAddress & 0xfc) | (port & 3), size, value)) this.#moved();
  }
}
