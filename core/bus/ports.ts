/** The 64 Ki I/O ports of a PC and who answers at each. */
import type { PortDevice } from './device.ts';

const PORTS = 0x10000;

/**
 * Port I/O dispatch. An access wider than the device's registers is split into accesses of that width at consecutive ports, low first, as
 * the ISA bus does. Nothing is allocated per access.
 */
export class PortMap {
  readonly #devices: (PortDevice | undefined)[] = Array.from({ length: PORTS });
  readonly #widths = new Uint8Array(PORTS);

  /** Lets `device` answer at `count` ports from `first`; `width` is the widest access it takes, in bytes. */
  map(first: number, count: number, device: PortDevice, width: 1 | 2 | 4 = 1): void {
    for (let port = first; port < first + count; port++) {
      if (port < 0 || port >= PORTS) throw new RangeError(`port 0x${port.toString(16)} is outside the I/O space`);
      if (this.#devices[port]) throw new Error(`port 0x${port.toString(16)} is taken`);
      this.#devices[port] = device;
      this.#widths[port] = width;
    }
  }

  read(port: number, size: number): number {
    const device = this.#devices[port];
    const width = this.#widths[port]!;
    if (device && size <= width) return device.readPort(port, size) >>> 0;
    if (size === 1) return 0xff;
    // An unclaimed port is one byte wide: its neighbours may be claimed.
    const part = width === 0 ? 1 : width;
    let value = 0;
    for (let i = 0; i < size; i += part) value |= this.read((port + i) & 0xffff, part) << (8 * i);
    return value >>> 0;
  }

  write(port: number, size: number, value: number): void {
    const device = this.#devices[port];
    const width = this.#widths[port]!;
    if (device && size <= width) {
      device.writePort(port, size, size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1));
      return;
    }
    if (size === 1) return;
    const part = width === 0 ? 1 : width;
    for (let i = 0; i < size; i += part) this.write((port + i) & 0xffff, part, value >>> (8 * i));
  }
}
