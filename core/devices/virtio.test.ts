import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { BlockBackend } from '../bus/block.ts';
import { MachineRam } from '../bus/memory.ts';
import { MmioMap } from '../bus/mmio.ts';
import { ProbeLine } from './fixture.ts';
import { PciHost } from './pci.ts';
import { virtioBlock } from './virtio-blk.ts';
import { VirtioPci } from './virtio-pci.ts';
import { virtioEntropy } from './virtio-rng.ts';

const RAM = 0x10000;
const DESC = 0x1000;
const AVAIL = 0x2000;
const USED = 0x3000;
const HEADER = 0x4000;
const DATA = 0x5000;
const STATUS = 0x4100;

class MemoryDisk implements BlockBackend {
  readonly sectors = 64;
  readonly readonly: boolean;
  readonly bytes = new Uint8Array(64 * 512);
  flushes = 0;
  fails = false;

  constructor(readonly = false) {
    this.readonly = readonly;
  }

  read(sector: number, into: Uint8Array): void {
    if (this.fails) throw new Error('the disk is on fire');
    into.set(this.bytes.subarray(sector * 512, sector * 512 + into.length));
  }

  write(sector: number, data: Uint8Array): void {
    this.bytes.set(data, sector * 512);
  }

  flush(): void {
    this.flushes++;
  }
}

/** A driver's view of one function in slot 2. */
function machine(disk?: BlockBackend) {
  const buffer = new SharedArrayBuffer(0x40000);
  const memory = new MachineRam(buffer, { ram: 0x20000, ramSize: RAM, ramLow: RAM }, () => {});
  const mmio = new MmioMap();
  const line = new ProbeLine();
  const messages: number[][] = [];
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  const host = new PciHost(buffer, 0);
  const model = disk ? virtioBlock(memory, disk, 'disk-0', note) : virtioEntropy(memory, (into) => into.fill(0xa5));
  const device = new VirtioPci(buffer, { state: 0x1000, config: 0x2000 }, 2, model, {
    memory,
    line,
    mmio,
    msi: (...m) => messages.push(m),
    note,
  });
  host.add(device.function);
  host.reset();
  device.powerOn();
  const config = {
    read: (offset: number, size: number): number => {
      host.writePort(0xcf8, 4, (0x8000_1000 | (offset & 0xfc)) >>> 0);
      return host.readPort(0xcfc + (offset & 3), size) >>> 0;
    },
    write: (offset: number, size: number, value: number): void => {
      host.writePort(0xcf8, 4, (0x8000_1000 | (offset & 0xfc)) >>> 0);
      host.writePort(0xcfc + (offset & 3), size, value);
    },
  };
  const bar = (index: number): number => config.read(0x10 + 4 * index, 4);
  const r = (offset: number, size: number): number => mmio.read(bar(0) + offset, size);
  const w = (offset: number, size: number, value: number): void => mmio.write(bar(0) + offset, size, value);
  /** Reset, features, one queue of 8, go. */
  const start = (): void => {
    w(0x14, 1, 0);
    w(0x14, 1, 3);
    w(0x08, 4, 1);
    w(0x0c, 4, 1);
    w(0x08, 4, 0);
    w(0x0c, 4, 0);
    w(0x14, 1, 0x0b);
    expect(r(0x14, 1)).toBe(0x0b);
    w(0x16, 2, 0);
    w(0x18, 2, 8);
    for (const [at, address] of [
      [0x20, DESC],
      [0x28, AVAIL],
      [0x30, USED],
    ] as const) {
      // prettier-ignore
      w(at, 4, address);
      w(at + 4, 4, 0);
    }
    w(0x1c, 2, 1);
    w(0x14, 1, 0x0f);
  };
  const describeBuffer = (i: number, address: number, length: number, flags: number, next = 0): void => {
    memory.write64(DESC + 16 * i, address);
    memory.write32(DESC + 16 * i + 8, length);
    memory.write16(DESC + 16 * i + 12, flags);
    memory.write16(DESC + 16 * i + 14, next);
  };
  const submit = (head: number): void => {
    const index = memory.read16(AVAIL + 2);
    memory.write16(AVAIL + 4 + 2 * (index % 8), head);
    memory.write16(AVAIL + 2, (index + 1) & 0xffff);
    w(0x3000, 2, 0);
  };
  /** A block request of header, data and status; returns the status byte. */
  const request = (type: number, sector: number, length: number, fromDevice: boolean): number => {
    memory.write32(HEADER, type);
    memory.write32(HEADER + 4, 0);
    memory.write64(HEADER + 8, sector);
    memory.write8(STATUS, 0xff);
    describeBuffer(0, HEADER, 16, 1, 1);
    describeBuffer(1, DATA, length, fromDevice ? 3 : 1, 2);
    describeBuffer(2, STATUS, 1, 2);
    submit(0);
    return memory.read8(STATUS);
  };
  return { memory, mmio, line, messages, notes, config, bar, r, w, start, describeBuffer, submit, request, host };
}

describe('virtio over PCI', () => {
  it('describes itself: identity, and a list of capabilities that leads to every region', () => {
    const { config } = machine(new MemoryDisk());
    expect(config.read(0, 4)).toBe(0x1042_1af4);
    expect(config.read(8, 4)).toBe(0x0100_0001);
    expect(config.read(6, 2) & 0x10).toBe(0x10);
    const found: number[] = [];
    for (let at = config.read(0x34, 1); at !== 0; at = config.read(at + 1, 1)) {
      const id = config.read(at, 1);
      found.push(id === 9 ? config.read(at + 3, 1) : id);
      expect(found.length).toBeLessThan(10);
    }
    expect(found).toEqual([1, 2, 3, 4, 5, 0x11]);
  });

  it('can be sized and moved', () => {
    const { config, mmio, bar } = machine(new MemoryDisk());
    const before = bar(0);
    config.write(0x10, 4, 0xffff_ffff);
    expect(config.read(0x10, 4)).toBe(0xffff_c000);
    config.write(0x10, 4, 0xe100_0000);
    expect(mmio.read(0xe100_0012, 2)).toBe(1); // one queue
    expect(mmio.read(before + 0x12, 2)).toBe(0xffff);
    config.write(4, 2, 0);
    expect(mmio.read(0xe100_0012, 2)).toBe(0xffff);
    expect(config.read(0x14, 4)).not.toBe(0);
    config.write(0x18, 4, 0xffff_ffff);
    expect(config.read(0x18, 4)).toBe(0);
  });

  it('refuses features that it did not offer', () => {
    const { r, w } = machine(new MemoryDisk());
    w(0x14, 1, 3);
    w(0x08, 4, 0);
    w(0x0c, 4, 1 << 20);
    w(0x14, 1, 0x0b);
    expect(r(0x14, 1) & 8).toBe(0);
  });

  it('is reached through the configuration access capability too', () => {
    const { config } = machine(new MemoryDisk());
    config.write(0x84 + 4, 1, 0);
    config.write(0x84 + 8, 4, 0x2000);
    config.write(0x84 + 12, 4, 4);
    expect(config.read(0x84 + 16, 4)).toBe(64);
  });

  it('answers for no other slot or bus', () => {
    const { host } = machine(new MemoryDisk());
    host.writePort(0xcf8, 4, 0x8000_f800);
    expect(host.readPort(0xcfc, 4)).toBe(0xffff_ffff);
    host.writePort(0xcf8, 4, 0x8001_1000);
    expect(host.readPort(0xcfc, 2)).toBe(0xffff);
  });
});

describe('virtio-blk', () => {
  let disk: MemoryDisk;
  beforeEach(() => {
    disk = new MemoryDisk();
    disk.bytes.forEach((_, i) => (disk.bytes[i] = (i * 7) & 0xff));
  });

  it('tells its size', () => {
    const { r } = machine(disk);
    expect([r(0x2000, 4), r(0x2004, 4), r(0x2014, 4)]).toEqual([64, 0, 512]);
  });

  it('reads, writes, flushes, and says who it is', () => {
    const m = machine(disk);
    m.start();
    expect(m.request(0, 3, 1024, true)).toBe(0);
    expect([...m.memory.bytes(DATA, 1024)]).toEqual([...disk.bytes.subarray(1536, 2560)]);
    expect(m.memory.read32(USED + 8)).toBe(1025);
    expect(m.line.level).toBe(true);
    expect(m.r(0x1000, 1)).toBe(1);
    expect(m.line.level).toBe(false);

    m.memory.write(DATA, new Uint8Array(512).fill(0x5a));
    expect(m.request(1, 10, 512, false)).toBe(0);
    expect(disk.bytes[5120]).toBe(0x5a);
    expect(m.request(4, 0, 0, false)).toBe(0);
    expect(disk.flushes).toBe(1);
    expect(m.request(8, 0, 20, true)).toBe(0);
    expect(new TextDecoder().decode(m.memory.bytes(DATA, 6).slice())).toBe('disk-0');
    expect(m.memory.read16(USED + 2)).toBe(4);
  });

  it('fails what it cannot do, and goes on', () => {
    const m = machine(disk);
    m.start();
    expect(m.request(0, 63, 1024, true)).toBe(1);
    expect(m.request(0, 0, 100, true)).toBe(1);
    expect(m.request(77, 0, 512, true)).toBe(2);
    disk.fails = true;
    expect(m.request(0, 0, 512, true)).toBe(1);
    expect(m.notes).toEqual(['virtio-blk: the disk is on fire']);
    disk.fails = false;
    expect(m.request(0, 0, 512, true)).toBe(0);
  });

  it('does not write to a read-only disk', () => {
    const m = machine(new MemoryDisk(true));
    m.w(0, 4, 0);
    expect(m.r(4, 4) & 0x20).toBe(0x20);
    m.start();
    expect(m.request(1, 0, 512, false)).toBe(1);
  });

  it('follows an indirect table', () => {
    const m = machine(disk);
    m.start();
    m.memory.write32(HEADER, 0);
    m.memory.write64(HEADER + 8, 1);
    const table = 0x6000;
    [
      [HEADER, 16, 1, 1],
      [DATA, 512, 3, 2],
      [STATUS, 1, 2, 0],
    ].forEach(([address, length, flags, next], i) => {
      // prettier-ignore
      m.memory.write64(table + 16 * i, address!);
      m.memory.write32(table + 16 * i + 8, length!);
      m.memory.write16(table + 16 * i + 12, flags!);
      m.memory.write16(table + 16 * i + 14, next!);
    });
    m.describeBuffer(0, table, 48, 4);
    m.submit(0);
    expect([...m.memory.bytes(DATA, 512)]).toEqual([...disk.bytes.subarray(512, 1024)]);
  });

  it.each([
    ['a loop', (m: ReturnType<typeof machine>) => m.describeBuffer(0, HEADER, 16, 1, 0)],
    ['an index outside the table', (m: ReturnType<typeof machine>) => m.describeBuffer(0, HEADER, 16, 1, 9)],
    ['an address outside RAM', (m: ReturnType<typeof machine>) => m.describeBuffer(0, 0xffff_0000, 16, 0)],
    ['no status', (m: ReturnType<typeof machine>) => m.describeBuffer(0, HEADER, 16, 0)],
  ])('stops until it is reset after %s', (_, spoil) => {
    const m = machine(disk);
    m.start();
    spoil(m);
    m.submit(0);
    expect(m.r(0x14, 1) & 0x40).toBe(0x40);
    expect(m.notes).toHaveLength(1);
    expect(m.r(0x1000, 1)).toBe(2);
    m.memory.write16(AVAIL + 2, 0);
    m.memory.write16(USED + 2, 0);
    m.start();
    expect(m.request(0, 0, 512, true)).toBe(0);
  });

  it('keeps quiet when the driver polls', () => {
    const m = machine(disk);
    m.start();
    m.memory.write16(AVAIL, 1);
    m.request(0, 0, 512, true);
    expect(m.line.edges).toBe(0);
  });

  it('sends MSI-X instead of the line, and holds it while masked', () => {
    const m = machine(disk);
    m.start();
    const table = m.bar(1);
    const entry = (n: number, ...words: number[]): void => words.forEach((value, i) => m.mmio.write(table + 16 * n + 4 * i, 4, value));
    entry(1, 0xfee0_0000, 0, 0x41, 0);
    m.config.write(0x98 + 2, 2, 0x8000);
    m.w(0x16, 2, 0);
    m.w(0x1a, 2, 1);
    m.request(0, 0, 512, true);
    expect(m.messages).toEqual([[0xfee0_0000, 0, 0x41]]);
    expect(m.line.edges).toBe(0);
    entry(1, 0xfee0_0000, 0, 0x41, 1);
    m.request(0, 0, 512, true);
    expect(m.messages).toHaveLength(1);
    expect(m.mmio.read(table + 0x800, 4)).toBe(2);
    entry(1, 0xfee0_0000, 0, 0x41, 0);
    expect(m.messages).toHaveLength(2);
    expect(m.mmio.read(table + 0x800, 4)).toBe(0);
    m.w(0x1a, 2, 7);
    expect(m.r(0x1a, 2)).toBe(0xffff);
  });

  it('survives any descriptors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 128, maxLength: 128 }), fc.nat(0xffff), (table, head) => {
        const m = machine(disk);
        m.start();
        m.memory.write(DESC, table);
        m.submit(head);
        expect(m.r(0x14, 1) & 0x0f).toBe(0x0f);
      }),
      { numRuns: 200 },
    );
  });
});

describe('virtio-rng', () => {
  it('fills the buffers it is given', () => {
    const m = machine();
    expect(m.config.read(2, 2)).toBe(0x1044);
    m.start();
    m.describeBuffer(0, DATA, 64, 2);
    m.submit(0);
    expect([...m.memory.bytes(DATA, 65)]).toEqual([...Array.from({ length: 64 }, () => 0xa5), 0]);
    expect(m.memory.read32(USED + 8)).toBe(64);
  });
});
