import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { biosMachine, DATA, memoryDisk } from './fixture.ts';
import { geometryOf } from './disk.ts';
import { AX, BX, CX, DX, SI } from './frame.ts';
import { BOOTABLE, BOOT_FAILED, BOOT_LOAD } from './layout.ts';

const DISK = 0x80;
const SIZE = 16 * 63 * 20;

function packet(m: ReturnType<typeof biosMachine>, block: number, count: number, address: number, size = 16): void {
  const at = DATA + 0x400;
  m.memory.write(at, new Uint8Array(0x20));
  m.memory.write8(at, size);
  m.memory.write16(at + 2, count);
  if (size >= 0x18) {
    m.memory.write32(at + 4, 0xffff_ffff);
    m.memory.write64(at + 16, address);
  } else {
    m.memory.write16(at + 4, address & 15);
    m.memory.write16(at + 6, address >>> 4);
  }
  m.memory.write64(at + 8, block);
}

describe('geometry', () => {
  it('is what the partition table counts with', () => {
    const sector = new Uint8Array(512);
    sector.set([0x55, 0xaa], 510);
    sector.set([0x80, 1, 1, 0, 0x83, 15, 0xc0 | 17, 200, 17, 0, 0, 0, 0, 1, 0, 0], 0x1be);
    expect(geometryOf(16 * 17 * 100, sector)).toEqual({ cylinders: 100, heads: 16, sectors: 17 });
    sector[0x1be] = 0x33; // not a partition table but code
    expect(geometryOf(16 * 63 * 100, sector)).toEqual({ cylinders: 100, heads: 16, sectors: 63 });
  });

  it('never reaches beyond the disk, except that even the smallest has a cylinder', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 34 }), fc.uint8Array({ minLength: 512, maxLength: 512 }), (size, sector) => {
        sector.set([0x55, 0xaa], 510);
        const { cylinders, heads, sectors } = geometryOf(size, sector);
        expect(cylinders >= 1 && cylinders <= 1024 && heads >= 1 && heads <= 255 && sectors >= 1 && sectors <= 63).toBe(true);
        expect(cylinders === 1 || cylinders * heads * sectors <= size).toBe(true);
      }),
    );
  });
});

describe('INT 13h', () => {
  it('reads by cylinder, head and sector', () => {
    const m = biosMachine([memoryDisk(SIZE)]);
    m.call(0x13, { [AX]: 0x0800, [DX]: DISK });
    expect([m.carry(), m.frame.get(CX), m.frame.get(DX)]).toEqual([0, (19 << 8) | 63, 0x0f01]);
    m.call(0x13, { [AX]: 0x0203, [BX]: 0x200, [CX]: (2 << 8) | 5, [DX]: (3 << 8) | DISK });
    expect([m.carry(), m.frame.get(AX)]).toEqual([0, 3]);
    const block = (2 * 16 + 3) * 63 + 4;
    expect([0, 1, 2].map((i) => m.memory.read32(DATA + 0x200 + 512 * i))).toEqual([block, block + 1, block + 2]);
    expect(m.memory.read32(DATA + 0x200 + 512 * 3)).toBe(0);
  });

  it('refuses what the disk does not have', () => {
    const m = biosMachine([memoryDisk(SIZE)]);
    const status = (registers: Record<number, number>): number[] => {
      m.call(0x13, registers);
      return [m.carry(), m.frame.high(AX)];
    };
    expect(status({ [AX]: 0x0201, [CX]: 0, [DX]: DISK })).toEqual([1, 1]); // sector 0
    expect(status({ [AX]: 0x0201, [CX]: 1, [DX]: 0x1000 | DISK })).toEqual([1, 1]); // head 16
    expect(status({ [AX]: 0x0201, [CX]: (20 << 8) | 1, [DX]: DISK })).toEqual([1, 4]); // cylinder 20
    expect(status({ [AX]: 0x0201, [CX]: 1, [DX]: DISK + 1 })).toEqual([1, 1]);
    expect(status({ [AX]: 0x0100, [DX]: DISK })).toEqual([1, 1]); // the last status
    expect(status({ [AX]: 0x0201, [CX]: 1, [DX]: 0 })).toEqual([1, 1]);
    expect(status({ [AX]: 0x1500, [DX]: 0 })).toEqual([0, 0]);
    expect(status({ [AX]: 0x4b00, [DX]: DISK })).toEqual([1, 1]);
    expect(status({ [AX]: 0x0000, [DX]: DISK })).toEqual([0, 0]);
  });

  it('reads, writes and checks by block address', () => {
    const disk = memoryDisk(SIZE);
    const m = biosMachine([disk]);
    m.call(0x13, { [AX]: 0x4100, [BX]: 0x55aa, [DX]: DISK });
    expect([m.carry(), m.frame.get(BX), m.frame.get(CX) & 1]).toEqual([0, 0xaa55, 1]);
    packet(m, 300, 200, 0x30004);
    m.call(0x13, { [AX]: 0x4200, [DX]: DISK, [SI]: 0x400 });
    expect([m.carry(), m.frame.high(AX)]).toEqual([0, 0]);
    expect([m.memory.read32(0x30004), m.memory.read32(0x30004 + 512 * 199)]).toEqual([300, 499]);
    packet(m, 7, 2, 0x123_4560, 0x18);
    m.memory.write32(0x123_4560, 0xabcd);
    m.call(0x13, { [AX]: 0x4300, [DX]: DISK, [SI]: 0x400 });
    expect([m.carry(), disk.data[7 * 512], disk.data[7 * 512 + 1], disk.data[8 * 512]]).toEqual([0, 0xcd, 0xab, 0]);
    for (const ah of [0x42, 0x43, 0x44]) {
      packet(m, SIZE - 1, 2, 0x30000);
      m.call(0x13, { [AX]: ah << 8, [DX]: DISK, [SI]: 0x400 });
      expect([m.carry(), m.frame.high(AX)]).toEqual([1, 4]);
    }
    expect(m.memory.read16(DATA + 0x402)).toBe(0);
  });

  it('tells a disk’s parameters as far as the caller has room', () => {
    const m = biosMachine([memoryDisk(SIZE)]);
    for (const [room, length] of [[26, 26], [0x42, 30]] as const) {
      m.memory.write16(DATA + 0x400, room);
      m.call(0x13, { [AX]: 0x4800, [DX]: DISK, [SI]: 0x400 });
      expect([m.carry(), m.memory.read16(DATA + 0x400)]).toEqual([0, length]);
      expect([4, 8, 12, 16, 20].map((o) => m.memory.read32(DATA + 0x400 + o))).toEqual([20, 16, 63, SIZE, 0]);
      expect(m.memory.read16(DATA + 0x400 + 24)).toBe(512);
    } // prettier-ignore
    m.memory.write16(DATA + 0x400, 25);
    m.call(0x13, { [AX]: 0x4800, [DX]: DISK, [SI]: 0x400 });
    expect(m.carry()).toBe(1);
    m.call(0x13, { [AX]: 0x1500, [DX]: DISK });
    expect([m.frame.high(AX), m.frame.get(CX) * 0x10000 + m.frame.get(DX)]).toEqual([3, SIZE]);
  });

  it('never writes to ROM, video memory or beyond RAM', () => {
    const m = biosMachine([memoryDisk(SIZE)]);
    const rom = m.memory.bytes(0xf0000, 0x10000).slice();
    for (const address of [0x9ff00, 0xb8000, 0xf0000, 0xfff0 * 16 + 0xf]) {
      packet(m, 0, 1, address);
      m.call(0x13, { [AX]: 0x4200, [DX]: DISK, [SI]: 0x400 });
      expect([m.carry(), m.frame.high(AX)]).toEqual([1, 9]);
    }
    packet(m, 0, 2, (64 << 20) - 512, 0x18);
    m.call(0x13, { [AX]: 0x4200, [DX]: DISK, [SI]: 0x400 });
    expect([m.carry(), m.frame.high(AX)]).toEqual([1, 9]);
    expect(m.memory.bytes(0xf0000, 0x10000)).toEqual(rom);
  });

  it('says that a disk is read-only or fails', () => {
    const failing = { ...memoryDisk(SIZE), read: () => { throw new Error('the host’s disk is gone'); } }; // prettier-ignore
    const m = biosMachine([memoryDisk(SIZE, true), failing]);
    packet(m, 0, 1, 0x30000);
    m.call(0x13, { [AX]: 0x4300, [DX]: DISK, [SI]: 0x400 });
    expect([m.carry(), m.frame.high(AX)]).toEqual([1, 3]);
    packet(m, 0, 1, 0x30000);
    m.call(0x13, { [AX]: 0x4200, [DX]: DISK + 1, [SI]: 0x400 });
    expect([m.carry(), m.frame.high(AX), m.notes]).toEqual([1, 0x20, ['INT 13h: the host’s disk is gone']]);
    m.call(0x13, { [AX]: 0x0800, [DX]: DISK + 1 });
    expect([m.carry(), m.frame.low(DX)]).toEqual([0, 2]);
  });
});

describe('INT 19h', () => {
  it('loads the first disk’s boot sector if it is one', () => {
    const disk = memoryDisk(SIZE);
    const m = biosMachine([disk]);
    m.call(0x19, { [AX]: BOOT_LOAD });
    expect(m.frame.get(AX)).toBe(0);
    disk.data.set([0x55, 0xaa], 510);
    disk.data[0] = 0x90;
    m.call(0x19, { [AX]: BOOT_LOAD });
    expect([m.frame.get(AX), m.frame.low(DX), m.memory.read8(0x7c00)]).toEqual([BOOTABLE, 0x80, 0x90]);
    expect(m.memory.read32(0x46c)).toBe(Math.floor(((18 * 60 + 30) * 60 + 59) / (86400 / 0x1800b0)));
    m.call(0x19, { [AX]: BOOT_FAILED });
    expect(m.shown()).toBe('\r\nNo bootable disk.\r\n');
  });
});
