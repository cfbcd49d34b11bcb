/** INT 1Ah: the tick count and the real-time clock. PCI's functions are not there: systems use the configuration ports. */
import type { GuestMemory } from '../../bus/device.ts';
import { AX, CX, DX, type Frame } from './frame.ts';
import * as at from './layout.ts';

const UNSUPPORTED = 0x81;

const bcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);

/** `now`: milliseconds since the epoch, as the guest sees it. */
export function timeOfDay(f: Frame, memory: GuestMemory, now: number): void {
  const date = new Date(now);
  switch (f.high(AX)) {
    case 0x00: {
      const ticks = memory.read32(at.BDA_TICKS);
      f.set(CX, ticks >>> 16);
      f.set(DX, ticks & 0xffff);
      f.set(AX, memory.read8(at.BDA_MIDNIGHT));
      memory.write8(at.BDA_MIDNIGHT, 0);
      return f.carry(false);
    }
    case 0x01:
      memory.write32(at.BDA_TICKS, f.get(CX) * 0x10000 + f.get(DX));
      memory.write8(at.BDA_MIDNIGHT, 0);
      f.setHigh(AX, 0);
      return f.carry(false);
    case 0x02:
      f.set(CX, (bcd(date.getUTCHours()) << 8) | bcd(date.getUTCMinutes()));
      f.set(DX, bcd(date.getUTCSeconds()) << 8);
      return f.carry(false);
    case 0x04:
      f.set(CX, (bcd(Math.floor(date.getUTCFullYear() / 100)) << 8) | bcd(date.getUTCFullYear() % 100));
      f.set(DX, (bcd(date.getUTCMonth() + 1) << 8) | bcd(date.getUTCDate()));
      return f.carry(false);
    default:
      f.setHigh(AX, UNSUPPORTED);
      f.carry(true);
  }
}
