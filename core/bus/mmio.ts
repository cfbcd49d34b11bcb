/** Memory-mapped I/O below 4 GiB: windows, of which some move (PCI BARs). */
import type { MmioDevice } from './device.ts';

/** Where a device answers. The owner may move or switch it off at any time. */
export interface MmioWindow {
  /** Guest-physical, below 4 GiB. */
  base: number;
  readonly size: number;
  enabled: boolean;
  readonly device: MmioDevice;
}

/** MMIO dispatch. Few windows, so the last one hit is tried first and the rest in order; nothing is allocated per access. */
export class MmioMap {
  readonly #windows: MmioWindow[] = [];
  #last: MmioWindow | undefined;

  map(base: number, size: number, device: MmioDevice, enabled = true): MmioWindow {
    const window: MmioWindow = { base, size, enabled, device };
    this.#windows.push(window);
    return window;
  }

  find(address: number): MmioWindow | undefined {
    const last = this.#last;
    if (last && last.enabled && address >= last.base && address < last.base + last.size) return last;
    for (const window of this.#windows) {
      if (window.enabled && address >= window.base && address < window.base + window.size) {
        this.#last = window;
        return window;
      }
    }
    return undefined;
  }

  /** `address` is unsigned. Nobody there: all ones. */
  read(address: number, size: number): number {
    const window = this.find(address);
    if (!window) return size === 4 ? 0xffff_ffff : (1 << (8 * size)) - 1;
    return window.device.readMmio(address - window.base, size) >>> 0;
  }

  write(address: number, size: number, value: number): void {
    const window = this.find(address);
    if (window) window.device.writeMmio(address - window.base, size, size === 4 ? value >>> 0 : value & ((1 << (8 * size)) - 1));
  }
}
