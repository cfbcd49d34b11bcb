import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock, SteadyClock } from './clock.ts';
import { BusError } from './device.ts';
import { LineBank } from './lines.ts';
import { MachineRam } from './memory.ts';
import { MmioMap } from './mmio.ts';
import { PortMap } from './ports.ts';
import { Ring, ringSize } from './ring.ts';

describe('ports', () => {
  const recorder = () => {
    const log: [number, number, number?][] = [];
    return {
      log,
      readPort: (port: number, size: number) => (log.push([port, size]), port & 0xff),
      writePort: (port: number, size: number, value: number) => void log.push([port, size, value]),
    };
  };

  it('splits what is too wide, low first', () => {
    const d = recorder();
    const map = new PortMap();
    map.map(0x10, 4, d);
    expect(map.read(0x10, 4)).toBe(0x13121110);
    map.write(0x10, 2, 0xbbaa);
    expect(d.log.slice(4)).toEqual([
      [0x10, 1, 0xaa],
      [0x11, 1, 0xbb],
    ]);
  });

  it('reads all ones where nobody is, byte by byte', () => {
    const map = new PortMap();
    expect([map.read(0x10, 1), map.read(0x10, 2), map.read(0x10, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    map.map(0x21, 1, recorder());
    expect(map.read(0x20, 2)).toBe(0x21ff);
    map.write(0xffff, 4, 0);
  });

  it('hands whole accesses to devices that take them', () => {
    const d = recorder();
    const map = new PortMap();
    map.map(0xcfc, 4, d, 4);
    map.write(0xcfc, 4, -1);
    expect(d.log).toEqual([[0xcfc, 4, 0xffff_ffff]]);
    expect(() => map.map(0xcfd, 1, d)).toThrow(/taken/);
  });
});

describe('MMIO', () => {
  it('finds windows where they are now', () => {
    const map = new MmioMap();
    const window = map.map(0x1000, 0x100, { readMmio: (offset) => offset, writeMmio: () => {} });
    expect(map.read(0x1010, 4)).toBe(0x10);
    window.base = 0xffff_f000;
    expect(map.read(0x1010, 2)).toBe(0xffff);
    expect(map.read(0xffff_f0ff, 1)).toBe(0xff);
    window.enabled = false;
    expect(map.read(0xffff_f004, 4)).toBe(0xffff_ffff);
  });
});

describe('guest memory', () => {
  const LOW = 0x20_0000;
  const make = () => {
    const stale: number[][] = [];
    const memory = new MachineRam(new SharedArrayBuffer(0x40_0000), { ram: 0x1000, ramSize: LOW + 0x1_0000, ramLow: LOW }, (...s) =>
      stale.push(s),
    );
    return { memory, stale };
  };

  it('continues at 4 GiB', () => {
    const { memory } = make();
    memory.write32(2 ** 32 + 0xfffc, 0xdeadbeef);
    expect(memory.read32(2 ** 32 + 0xfffc)).toBe(0xdeadbeef);
    memory.write64(LOW - 8, 2 ** 40 + 5);
    expect(memory.read64(LOW - 8)).toBe(2 ** 40 + 5);
    expect(memory.read16(LOW - 8)).toBe(5);
  });

  it('has a hole where the video memory is', () => {
    const { memory } = make();
    expect(() => memory.read8(0xa0000)).toThrow(BusError);
    expect(() => memory.bytes(0x9fff0, 17)).toThrow(BusError);
    expect(memory.bytes(0x9fff0, 16)).toHaveLength(16);
    memory.write8(0xc0000, 1);
  });

  it('says exactly which bytes of which pages changed', () => {
    const { memory, stale } = make();
    memory.write(0x1ffe, new Uint8Array(0x1004));
    expect(stale).toEqual([
      [1, 0xffe, 0xfff],
      [2, 0, 0xfff],
      [3, 0, 1],
    ]);
    stale.length = 0;
    memory.write(0x1000, new Uint8Array(0));
    memory.write16(0x1ffe, 1);
    expect(stale).toEqual([[1, 0xffe, 0xfff]]);
  });

  it('never reaches outside RAM', () => {
    const { memory } = make();
    fc.assert(
      fc.property(
        fc.oneof(fc.double(), fc.nat(2 ** 31 - 1), fc.constantFrom(-1, LOW - 1, LOW, 2 ** 32, 2 ** 32 + 0xffff, 2 ** 53)),
        fc.nat(0x30_0000),
        (address, length) => {
          const inside =
            Number.isInteger(address) &&
            address >= 0 &&
            ((address + length <= LOW && !(address < 0xc0000 && address + length > 0xa0000)) ||
              (address >= 2 ** 32 && address + length <= 2 ** 32 + 0x1_0000));
          if (inside) expect(memory.bytes(address, length)).toHaveLength(length);
          else expect(() => memory.bytes(address, length)).toThrow(BusError);
        },
      ),
    );
  });
});

describe('shared lines', () => {
  it('are up while any source is', () => {
    const log: [number, boolean][] = [];
    const bank = new LineBank(new SharedArrayBuffer(256), 0, (line, level) => log.push([line, level]));
    const a = bank.source(4);
    const b = bank.source(4);
    a.set(true);
    b.set(true);
    a.set(false);
    expect(bank.level(4)).toBe(true);
    b.set(false);
    b.set(false);
    expect(log).toEqual([
      [4, true],
      [4, false],
    ]);
  });
});

describe('rings', () => {
  it('carry every byte in order, whatever the chunks', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(40))), fc.nat(0xffff_ffff), (steps, start) => {
        const buffer = new SharedArrayBuffer(ringSize(32));
        const ring = new Ring(buffer, 0, 32);
        ring.reset();
        // The counters wrap.
        new Int32Array(buffer).fill(start | 0, 0, 2);
        const sent: number[] = [];
        const got: number[] = [];
        for (const [data, take] of steps) {
          const n = ring.write(data);
          expect(n === data.length || ring.free() === 0).toBe(true);
          sent.push(...data.subarray(0, n));
          got.push(...ring.read(take));
        }
        got.push(...ring.read());
        expect(got).toEqual(sent);
        expect(ring.pop()).toBe(-1);
      }),
    );
  });

  it('say when the other side must be told', () => {
    const ring = new Ring(new SharedArrayBuffer(ringSize(2)), 0, 2);
    ring.reset();
    expect([ring.push(1), ring.push(2), ring.push(3)]).toEqual([2, 1, 0]);
    expect(ring.pop()).toBe(1);
    expect(ring.push(3)).toBe(1);
    ring.read();
    expect(ring.push(4)).toBe(2);
  });
});

describe('clocks', () => {
  it('never go back, whichever thread reads', () => {
    const buffer = new SharedArrayBuffer(8);
    const [a, b] = [new ManualClock(100), new ManualClock(90)];
    const first = new SteadyClock(a, buffer, 0);
    const second = new SteadyClock(b, buffer, 0);
    expect([first.now(), second.now()]).toEqual([100, 100]);
    expect(b.advance(20)).toBe(110);
    expect([second.now(), first.now()]).toEqual([110, 110]);
    a.advance(50);
    expect(first.now()).toBe(150);
  });

  it('make the vCPU come out, once, when one is read too late or a timer is armed for earlier', () => {
    const manual = new ManualClock(100);
    let out = 0;
    const clock = new SteadyClock(manual, new SharedArrayBuffer(8), 0, () => out++);
    const read = (): number => (clock.now(), out);
    expect(read()).toBe(0);
    clock.armed(50);
    clock.runUntil(200);
    manual.time = 199;
    clock.armed(200);
    expect(read()).toBe(0);
    manual.time = 200;
    expect([read(), read()]).toEqual([1, 1]);
    clock.armed(50);
    expect(out).toBe(1);
    clock.runUntil(300);
    clock.armed(299);
    clock.armed(298);
    manual.time = 300;
    expect(read()).toBe(2);
    clock.runUntil(300);
    clock.runUntil(NaN);
    expect(read()).toBe(2);
  });
});
