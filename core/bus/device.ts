/** What a device is to the machine: ports, MMIO, interrupt lines passed in as values. A device never sees the CPU or other devices. */

/** Time since the machine was created in which the guest was not paused, in nanoseconds. Passed in, so that tests use a fake one. */
export interface Clock {
  now(): number;
}

/** A wire to an interrupt controller. Setting the level that it already has does nothing. */
export interface InterruptLine {
  set(level: boolean): void;
}

/** Port I/O. `port` is absolute; `size` is 1, 2 or 4 bytes; values are unsigned. A port nobody answers reads as all ones. */
export interface PortDevice {
  readPort(port: number, size: number): number;
  writePort(port: number, size: number, value: number): void;
}

/** Memory-mapped I/O. `offset` is from the start of the window; `size` is 1, 2, 4 (8-byte accesses arrive as two of 4, low first). */
export interface MmioDevice {
  readMmio(offset: number, size: number): number;
  writeMmio(offset: number, size: number, value: number): void;
}

/** Something that wants to act at a time. */
export interface Timed {
  /** The next `Clock.now()` at which `tick` must be called; Infinity: none. */
  deadline(): number;
  tick(now: number): void;
}

/** What every device has besides its port, MMIO or PCI interface. All its state lives in its structure in machine memory. */
export interface Device {
  /** As in the documents: "16550", "i8254". */
  readonly name: string;
  /** Power-on state (also after a system reset). */
  reset(): void;
}

/** Guest-physical memory as devices see it (DMA). Out-of-range access throws a BusError. */
export interface GuestMemory {
  /** RAM of the guest by guest-physical address; a view, not a copy. Throws if not all of it is RAM. For reading only. */
  bytes(address: number, length: number): Uint8Array;
  read8(address: number): number;
  read16(address: number): number;
  read32(address: number): number;
  /** As a double: exact to 2^53. */
  read64(address: number): number;
  /** Writes make decoded code under them stale. */
  write(address: number, data: Uint8Array): void;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
  write64(address: number, value: number): void;
}

export class BusError extends Error {}
