import { beforeEach, describe, expect, it } from 'vitest';
import { ES } from '../../state/cpu.ts';
import { enterReal } from '../state.ts';
import { biosMachine, DATA } from './fixture.ts';
import { AX, BX, CX, DI, DX, SI } from './frame.ts';
import * as at from './layout.ts';

describe('BIOS services', () => {
  let m: ReturnType<typeof biosMachine>;
  beforeEach(() => {
    m = biosMachine();
  });

  it('lead from every vector to code in ROM', () => {
    for (let n = 0; n < 256; n++) expect(m.memory.read16(4 * n + 2)).toBe(0xf000);
    const stub = at.ROM + m.memory.read16(4 * 0x15);
    expect([...m.memory.bytes(stub, 3)]).toEqual([0xfb, 0xe6, at.portOf(0x15)]);
    expect(m.memory.read8(0xffff0)).toBe(0xea);
    expect(m.memory.read16(0x413)).toBe(639);
  });

  it('walk the memory map', () => {
    let i = 0;
    const ranges: [number, number, number][] = [];
    do {
      m.call(0x15, { [AX]: 0xe820, [BX]: i, [CX]: 24, [DX]: 0x534d_4150, [DI]: 0x100 });
      expect([m.frame.get32(AX), m.frame.get32(CX), m.carry()]).toEqual([0x534d_4150, 20, 0]);
      ranges.push([m.memory.read64(DATA + 0x100), m.memory.read64(DATA + 0x108), m.memory.read32(DATA + 0x110)]);
      i = m.frame.get32(BX);
    } while (i !== 0);
    expect(ranges[0]).toEqual([0, 0x9fc00, 1]);
    const [base, length] = ranges.at(-1)!;
    expect(base + length).toBe(64 << 20);
    m.call(0x15, { [AX]: 0xe820, [BX]: ranges.length, [CX]: 20, [DX]: 0x534d_4150 });
    expect(m.carry()).toBe(1);
  });

  it('tell the memory in the older ways too', () => {
    m.call(0x15, { [AX]: 0xe801 });
    expect([m.frame.get(AX), m.frame.get(BX)]).toEqual([0x3c00, 48 * 16 - 1]);
    m.call(0x15, { [AX]: 0x8800 });
    expect(m.frame.get(AX)).toBe(63 * 1024 - 64);
  });

  it('say no to what is not there', () => {
    m.call(0x15, { [AX]: 0x5300 });
    expect([m.frame.get(AX), m.carry()]).toEqual([0x8600, 1]);
    m.call(0x1a, { [AX]: 0xb101 });
    expect([m.frame.high(AX), m.carry()]).toEqual([0x81, 1]);
  });

  it('move blocks above 1 MiB, but never into ROM', () => {
    const table = (to: number): void => {
      m.memory.write(DATA + 0x200, new Uint8Array(0x30));
      m.memory.write32(DATA + 0x200 + 0x12, 0x9303_0000);
      m.memory.write32(DATA + 0x200 + 0x1a, ((to & 0xff_ffff) | 0x9300_0000) >>> 0);
      m.memory.write8(DATA + 0x200 + 0x1f, to >>> 24);
    };
    m.memory.write(0x30000, Uint8Array.of(1, 2, 3, 4, 5, 6));
    table(0x0234_5678);
    m.call(0x15, { [AX]: 0x8700, [CX]: 3, [SI]: 0x200 });
    expect([m.frame.high(AX), m.carry()]).toEqual([0, 0]);
    expect([...m.memory.bytes(0x0234_5678, 7)]).toEqual([1, 2, 3, 4, 5, 6, 0]);
    for (const wrong of [0xf0000, 0x0fff_0000]) {
      table(wrong);
      m.call(0x15, { [AX]: 0x8700, [CX]: 3, [SI]: 0x200 });
      expect([m.frame.high(AX), m.carry()]).toEqual([2, 1]);
    }
    m.call(0x15, { [AX]: 0xc000 });
    expect(m.memory.read8(m.frame.linear(ES, m.frame.get(BX)) + 2)).toBe(0xfc);
  });

  it('wait as long as they are asked to', () => {
    const wait = { [AX]: 0x8600, [CX]: 2, [DX]: 0 };
    expect(m.call(0x15, wait)).toBe(at.WAIT_HALT);
    m.clock.advance(100_000_000);
    expect(m.call(0x15, wait)).toBe(at.WAIT_SPIN);
    m.clock.advance(31_072_000);
    expect(m.call(0x15, wait)).toBe(at.WAIT_NONE);
    expect(m.carry()).toBe(0);
    expect(m.call(0x15, wait)).toBe(at.WAIT_HALT);
  });

  it('tell the time', () => {
    m.call(0x1a, { [AX]: 0x0200 });
    expect([m.frame.get(CX), m.frame.get(DX), m.carry()]).toEqual([0x1830, 0x5900, 0]);
    m.call(0x1a, { [AX]: 0x0400 });
    expect([m.frame.get(CX), m.frame.get(DX)]).toEqual([0x2025, 0x1224]);
    m.call(0x1a, { [AX]: 0x0100, [CX]: 0x1234, [DX]: 0x5678 });
    expect(m.memory.read32(0x46c)).toBe(0x12345678);
    m.memory.write8(0x470, 1);
    m.call(0x1a, { [AX]: 0 });
    expect([m.frame.get(AX), m.frame.get(CX), m.frame.get(DX)]).toEqual([1, 0x1234, 0x5678]);
    expect(m.memory.read8(0x470)).toBe(0);
  });

  it('send and set up through the serial port’s registers', () => {
    m.call(0x14, { [AX]: 0x00e3, [DX]: 0 });
    expect(m.written).toContainEqual([0x3f8, 12]);
    m.call(0x14, { [AX]: 0x0141, [DX]: 1 });
    expect(m.written.at(-1)).toEqual([0x2f8, 0x41]);
    m.call(0x14, { [AX]: 0x0141, [DX]: 2 });
    expect(m.frame.high(AX)).toBe(0x80);
  });

  it('keep the upper halves of registers', () => {
    m.call(0x15, { [AX]: 0x1234_8800 });
    expect(m.frame.get32(AX)).toBe(0x1234_0000 + 63 * 1024 - 64);
  });

  it('answer to nobody but their stubs', () => {
    enterReal(m.target.buffer, m.cpu, 0x1000, 0, 0x2000, 0x1000);
    m.call(0x15, { [AX]: 0x8800 });
    expect(m.frame.get(AX)).toBe(0x8800);
    enterReal(m.target.buffer, m.cpu, 0xf000, 0, 0x2000, 0x1000);
    m.cpu.cr0 = 0x11;
    m.call(0x15, { [AX]: 0x8800 });
    expect(m.frame.get(AX)).toBe(0x8800);
  });
});
