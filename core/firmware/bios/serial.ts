/** INT 14h: serial ports, through their registers as any program would. */
import type { GuestMemory } from '../../bus/device.ts';
import { AX, DX, type Frame } from './frame.ts';
import * as at from './layout.ts';

export interface Ports {
  readPort(port: number): number;
  writePort(port: number, value: number): void;
}

const TIMEOUT = 0x80;
const LSR_DATA = 0x01;
const LSR_EMPTY = 0x20;
/** Divisors of the eight rates from 110 to 9600 baud. */
const DIVISORS = [1047, 768, 384, 192, 96, 48, 24, 12] as const;

export function serialPort(f: Frame, memory: GuestMemory, ports: Ports): void {
  const number = f.get(DX);
  const base = number < 4 ? memory.read16(at.BDA_COM + 2 * number) : 0;
  const status = (): number => ports.readPort(base + 5);
  if (base === 0) return f.setHigh(AX, TIMEOUT);
  switch (f.high(AX)) {
    case 0x00: {
      const divisor = DIVISORS[f.low(AX) >> 5]!;
      ports.writePort(base + 3, 0x80);
      ports.writePort(base, divisor & 0xff);
      ports.writePort(base + 1, divisor >> 8);
      ports.writePort(base + 3, f.low(AX) & 0x1f);
      ports.writePort(base + 4, 0x03);
      break;
    }
    case 0x01:
      if (!(status() & LSR_EMPTY)) return f.setHigh(AX, status() | TIMEOUT);
      ports.writePort(base, f.low(AX));
      return f.setHigh(AX, status());
    case 0x02:
      if (!(status() & LSR_DATA)) return f.setHigh(AX, status() | TIMEOUT);
      f.setLow(AX, ports.readPort(base));
      return f.setHigh(AX, status() & 0x1e);
    case 0x03:
      break;
    default:
      return;
  }
  f.set(AX, (status() << 8) | ports.readPort(base + 6));
}
