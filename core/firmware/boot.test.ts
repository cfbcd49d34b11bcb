import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CODE_16, CODE_32, CODE_64, CS, Cpu, DS, FLAT, Reach, SS } from '../state/index.ts';
import { RSDP } from './acpi/tables.ts';
import { boot, bootDisk } from './boot.ts';
import { FirmwareError } from './error.ts';
import { type TestTarget, elfImage, linuxImage, testTarget, words } from './fixture.ts';
import { RAX, RBX, RSI, RSP, cpuAt } from './state.ts';
import type { BootRequest } from './target.ts';

const start = (target: TestTarget, data: Uint8Array, rest: Partial<BootRequest> = {}) => {
  boot(target, { kernel: { name: 'vmlinuz', data }, commandLine: '', ...rest });
  return cpuAt(target.buffer, 0);
};
const fails = (data: Uint8Array, rest: Partial<BootRequest> = {}, target = testTarget()): string => {
  try {
    start(target, data, rest);
  } catch (error) {
    expect(error).toBeInstanceOf(FirmwareError);
    return (error as Error).message;
  }
  throw new Error('it was booted');
};
const text = (target: TestTarget, at: number): string => {
  let result = '';
  for (let c = target.memory.read8(at); c !== 0; c = target.memory.read8(++at)) result += String.fromCharCode(c);
  return result;
};
const raw64 = (target: TestTarget, offset: number): bigint =>
  new DataView(target.buffer).getBigUint64(cpuAt(target.buffer, 0).address + offset, true);

describe('Linux', () => {
  it('is entered in 64-bit mode where kernel and processor can', () => {
    const t = testTarget();
    const cpu = start(t, linuxImage(), { commandLine: 'console=ttyS0' });
    expect(cpu.rip).toBe(0x100200);
    expect(cpu.codeSize).toBe(CODE_64);
    expect(cpu.efer).toBe(0x500);
    expect(cpu.cr4 & 0x20).toBe(0x20);
    expect(cpu.cr0).toBe(0x8000_0031);
    expect(t.memory.read8(0x100000)).toBe(0xcc);
    // Identity-mapped: walk to the 2 MiB page of the kernel.
    const pdpt = t.memory.read64(cpu.cr3) & ~0xfff;
    const pd = t.memory.read32(pdpt + 8 * 3) & ~0xfff;
    expect(t.memory.read64(pd + 8 * 511)).toBe(0xffe0_0083);
    expect(raw64(t, Cpu.offsets.linearMask)).toBe(2n ** 64n - 1n);
    expect(raw64(t, Cpu.offsets.reach + FLAT * Reach.size + Reach.offsets.readEnd)).toBe(2n ** 64n - 1n);
    const page = cpu.gpr.get(RSI);
    expect(text(t, t.memory.read32(page + 0x228))).toBe('console=ttyS0');
    expect(t.memory.read64(page + 0x70)).toBe(RSDP);
    expect(t.memory.read8(page + 0x210)).toBe(0xff);
  });

  it('is entered in 32-bit mode otherwise', () => {
    for (const [image, longMode] of [
      [linuxImage(), false],
      [linuxImage({ xloadflags: 0 }), true],
      [linuxImage({ protocol: 0x20b }), true],
    ] as const) {
      // prettier-ignore
      const t = testTarget({ longMode });
      const cpu = start(t, image);
      expect(cpu.rip).toBe(0x100000);
      expect(cpu.codeSize).toBe(CODE_32);
      expect(cpu.cr0).toBe(0x11);
      expect(cpu.segments[CS]!.selector).toBe(0x10);
      expect(cpu.segments[DS]!.limit).toBe(0xffff_ffff);
      // The table in memory says the same as the hidden parts.
      expect([0x10, 0x14].map((o) => t.memory.read32(cpu.gdtr.base + o))).toEqual([0xffff, 0x00cf_9b00]);
      expect([0x18, 0x1c].map((o) => t.memory.read32(cpu.gdtr.base + o))).toEqual([0xffff, 0x00cf_9300]);
    }
  });

  it('can be entered in real mode', () => {
    const t = testTarget();
    const cpu = start(t, linuxImage(), { entry: 'real', commandLine: 'quiet' });
    expect([cpu.segments[CS]!.base, cpu.rip, cpu.segments[SS]!.base]).toEqual([0x90200, 0, 0x90000]);
    expect(cpu.codeSize).toBe(CODE_16);
    expect(cpu.cr0 & 1).toBe(0);
    expect(cpu.gpr.get(RSP)).toBeGreaterThan(0x9000);
    expect(text(t, t.memory.read32(0x90228))).toBe('quiet');
    expect(t.memory.read8(0x90211)).toBe(0x81);
    expect(t.memory.read16(0x901fe)).toBe(0xaa55);
    expect(t.ports).toContainEqual([0x21, 0xfa]);
  });

  it('is entered in real mode where its header names no 32-bit entry', () => {
    const t = testTarget();
    const cpu = start(t, linuxImage({ code32Start: 0, protocol: 0x207 }));
    expect([cpu.segments[CS]!.base, cpu.rip]).toEqual([0x90200, 0]);
    expect(cpu.codeSize).toBe(CODE_16);
  });

  it('gets a memory map that covers RAM without overlaps', () => {
    const t = testTarget();
    const cpu = start(t, linuxImage());
    const page = cpu.gpr.get(RSI);
    const n = t.memory.read8(page + 0x1e8);
    let end = 0;
    for (let i = 0; i < n; i++) {
      const at = page + 0x2d0 + 20 * i;
      expect(t.memory.read64(at)).toBeGreaterThanOrEqual(end);
      end = t.memory.read64(at) + t.memory.read64(at + 8);
    }
    expect(end).toBe(64 << 20);
  });

  it('gets its initrd as high as it allows', () => {
    const initrd = { name: 'initrd.gz', data: new Uint8Array(5000).fill(7) };
    for (const initrdMax of [0x7fff_ffff, 0x1ff_ffff]) {
      const t = testTarget();
      const page = start(t, linuxImage({ initrdMax }), { initrd }).gpr.get(RSI);
      const at = t.memory.read32(page + 0x218);
      expect(t.memory.read32(page + 0x21c)).toBe(5000);
      expect(at % 4096).toBe(0);
      expect(at + 5000).toBeLessThanOrEqual(Math.min(initrdMax + 1, (64 << 20) - 0x10000));
      expect(at).toBeGreaterThan(Math.min(initrdMax + 1, (64 << 20) - 0x10000) - 0x3000);
      expect([...t.memory.bytes(at, 2), t.memory.read8(at + 4999)]).toEqual([7, 7, 7]);
    }
  });

  it('says what is wrong', () => {
    expect(fails(new Uint8Array(0))).toBe('vmlinuz is empty');
    expect(fails(linuxImage().subarray(0, 0x1800))).toMatch(/^vmlinuz is truncated: 6144 bytes of 6656$/);
    expect(fails(linuxImage().subarray(0, 0x250))).toMatch(/^vmlinuz is truncated/);
    expect(fails(linuxImage({ protocol: 0x201 }))).toMatch(/boot protocol 2\.1/);
    expect(fails(linuxImage({ loadflags: 0 }))).toMatch(/zImage/);
    expect(fails(linuxImage({ initSize: 0x800_0000 }))).toBe(
      'vmlinuz needs 144 MiB of memory, and the machine has 64 MiB: give it more memory',
    );
    expect(fails(linuxImage(), { commandLine: 'x'.repeat(3000) })).toMatch(/the command line has 3000 bytes; vmlinuz takes at most 2047/);
    expect(fails(linuxImage(), { initrd: { name: 'big.img', data: new Uint8Array(50 << 20) } })).toBe(
      'big.img (50 MiB) does not fit beside the kernel: 67 MiB of memory are needed, and the machine has 64 MiB',
    );
    expect(fails(linuxImage(), { initrd: { name: 'none.img', data: new Uint8Array(0) } })).toBe('none.img is empty');
    expect(fails(linuxImage({ xloadflags: 0 }), { entry: 'long' })).toMatch(/no 64-bit entry/);
    expect(fails(linuxImage(), { entry: 'long' }, testTarget({ longMode: false }))).toMatch(/CPU model/);
    expect(fails(linuxImage(), {}, testTarget({ memoryMiB: 1 }))).toMatch(/at least 2/);
    expect(fails(linuxImage(), { modules: [{ name: 'm', data: new Uint8Array(1) }] })).toMatch(/no modules/);
  });
});

const multibootHeader = (flags: number, ...addresses: number[]): number[] =>
  words(0x1bad_b002, flags, -(0x1bad_b002 + flags), ...addresses);

describe('multiboot', () => {
  it('loads an ELF kernel with modules and a map', () => {
    const t = testTarget();
    const image = elfImage(
      32,
      0xc010_0004,
      [{ physical: 0x100000, virtual: 0xc010_0000, bytes: [1, 2, 3, 4, 5], memorySize: 0x3000 }],
      multibootHeader(3),
    );
    t.memory.write8(0x101000, 0xff);
    const cpu = start(t, image, {
      commandLine: 'a b',
      initrd: { name: 'first', data: new Uint8Array([9, 9]) },
      modules: [{ name: 'second', data: new Uint8Array(5000).fill(8), commandLine: 'second x=1' }],
    });
    expect(cpu.rip).toBe(0x100004);
    expect(cpu.codeSize).toBe(CODE_32);
    expect(cpu.gpr.get(RAX)).toBe(0x2bad_b002);
    expect(t.memory.read8(0x101000)).toBe(0); // bss
    const info = cpu.gpr.get(RBX);
    const at = (offset: number): number => t.memory.read32(info + offset);
    expect(at(0)).toBe(0b10_0100_1101);
    expect(text(t, at(16))).toBe('a b');
    expect(at(20)).toBe(2);
    const modules = at(24);
    const [s0, e0, n0, , s1, e1, n1] = Array.from({ length: 8 }, (_, i) => t.memory.read32(modules + 4 * i)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    expect([s0 % 4096, s1 % 4096, e0 - s0, e1 - s1]).toEqual([0, 0, 2, 5000]);
    expect(s0).toBeGreaterThanOrEqual(0x103000);
    expect(s1).toBeGreaterThanOrEqual(e0);
    expect([t.memory.read8(s0), t.memory.read8(e1 - 1)]).toEqual([9, 8]);
    expect([text(t, n0), text(t, n1)]).toEqual(['first', 'second x=1']);
    expect(at(44) % 24).toBe(0);
    expect(t.memory.read32(at(48))).toBe(20);
    expect(t.memory.read32(at(48) + 20)).toBe(1);
    expect(at(8)).toBe(((64 << 20) - 0x10000 - 0x100000) >> 10);
  });

  it('loads by addresses, and clears the bss', () => {
    const t = testTarget();
    const body = new Uint8Array(0x40);
    body.set(multibootHeader(1 << 16, 0x20_0010, 0x20_0000, 0x20_0038, 0x20_0050, 0x20_0020), 0x10);
    body[0x37] = 0x77;
    t.memory.write8(0x20_0040, 1);
    const cpu = start(t, body);
    expect(cpu.rip).toBe(0x20_0020);
    expect(t.memory.read8(0x20_0037)).toBe(0x77);
    expect(t.memory.read8(0x20_0040)).toBe(0);
  });

  it('says what is wrong', () => {
    expect(fails(Uint8Array.from(multibootHeader(0)))).toMatch(/no telling where to load it/);
    expect(fails(Uint8Array.from(multibootHeader(8)))).toMatch(/features that do not exist/);
    expect(fails(Uint8Array.from(multibootHeader(1 << 16, 1, 2)))).toMatch(/truncated/);
    expect(fails(Uint8Array.from(multibootHeader(1 << 16, 0x10_0000, 0x10_0000, 0x20_0000, 0, 0)))).toMatch(/truncated: 32 bytes of/);
    expect(fails(Uint8Array.from(multibootHeader(1 << 16, 0x5000, 0x5000, 0, 0, 0)))).toMatch(/firmware's own data/);
    expect(fails(Uint8Array.from(multibootHeader(1 << 16, 0x10_0000, 0x10_0000, 0, 0x2000_0000, 0)))).toMatch(/give it more memory/);
    const image = elfImage(32, 0x10_0000, [{ physical: 0x10_0000, bytes: [1] }], multibootHeader(0));
    expect(fails(image, { initrd: { name: 'huge', data: new Uint8Array(64 << 20) } })).toMatch(/^huge \(64 MiB\) does not fit/);
  });
});

describe('plain ELF', () => {
  it('is entered in the mode of its class', () => {
    const t = testTarget();
    expect(start(t, elfImage(32, 0x10_0000, [{ physical: 0x10_0000, bytes: [0xf4] }])).codeSize).toBe(CODE_32);
    const cpu = start(t, elfImage(64, 0x20_0001, [{ physical: 0x20_0000, bytes: [0x90, 0xf4] }]));
    expect([cpu.codeSize, cpu.rip]).toEqual([CODE_64, 0x20_0001]);
    expect(t.memory.read16(0x20_0000)).toBe(0xf490);
  });

  it('says what is wrong', () => {
    const good = elfImage(64, 0x20_0000, [{ physical: 0x20_0000, bytes: [0x90, 0xf4] }]);
    expect(fails(good, {}, testTarget({ longMode: false }))).toMatch(/64-bit code/);
    expect(fails(good.subarray(0, good.length - 1))).toMatch(/a segment ends beyond the file/);
    expect(fails(good.subarray(0, 40))).toMatch(/truncated/);
    expect(fails(elfImage(32, 0, []))).toMatch(/no program headers/);
    expect(fails(elfImage(32, 0, [{ physical: 0x900_0000, bytes: [1] }]))).toMatch(/needs memory up to 145 MiB/);
    const arm = Uint8Array.from(good);
    arm[18] = 183;
    expect(fails(arm)).toMatch(/another processor/);
    expect(fails(new TextEncoder().encode('#!/bin/sh\n'))).toBe('vmlinuz is not a kernel: neither a Linux bzImage, nor multiboot, nor ELF');
    expect(fails(good, { initrd: { name: 'i', data: new Uint8Array(1) } })).toMatch(/plain ELF/);
  });
});

describe('any bytes', () => {
  const target = testTarget({ memoryMiB: 4, vcpus: 1 });
  const bootsOrSays = (data: Uint8Array): void => {
    try {
      boot(target, { kernel: { name: 'random', data }, commandLine: '' });
    } catch (error) {
      if (!(error instanceof FirmwareError)) throw error;
      expect(error.message).toMatch(/^random /);
    }
  };

  it.each([
    ['a bzImage', linuxImage({ initSize: 0x1000, preferred: 0x10_0000 })],
    ['an ELF', elfImage(64, 0x10_0000, [{ physical: 0x10_0000, bytes: Array.from({ length: 64 }, () => 1) }])],
    ['a 32-bit ELF', elfImage(32, 0x10_0000, [{ physical: 0x10_0000, bytes: Array.from({ length: 64 }, () => 1) }])],
    [
      'multiboot',
      Uint8Array.from([...multibootHeader(1 << 16, 0x10_0000, 0x10_0000, 0, 0, 0x10_0000), ...Array.from({ length: 64 }, () => 0)]),
    ],
  ])('in the header of %s', (_, image) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(0x2a0), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x10)), { maxLength: 6 }),
        fc.nat(image.length),
        (changes, length) => {
          const data = Uint8Array.from(image);
          for (const [at, value] of changes) if (at < data.length) data[at] = value;
          bootsOrSays(data);
          bootsOrSays(data.subarray(0, length));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('without any header', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bootsOrSays), { numRuns: 100 });
  });
});

describe('power-on', () => {
  it('leaves the other vCPUs halted, and memory types set', () => {
    const t = testTarget();
    const cpu = start(t, linuxImage());
    expect(cpu.halted).toBe(0);
    expect(cpuAt(t.buffer, 1).halted).toBe(1);
    expect(cpuAt(t.buffer, 1).apicBase).toBe(0xfee0_0800);
    expect(cpu.apicBase).toBe(0xfee0_0900);
    expect(raw64(t, Cpu.offsets.mtrrPhys + 8)).toBe(0xff_c000_0800n);
    expect(raw64(t, Cpu.offsets.pat)).toBe(0x0007_0406_0007_0406n);
    expect(cpu.delivering).toBe(0xffff_ffff);
  });
});

describe('a disk', () => {
  const disk = (sector: Uint8Array) => ({
    sectors: 1,
    readonly: true,
    read: (_sector: number, into: Uint8Array) => into.set(sector),
    write: () => {},
    flush: () => {},
  });

  it('is started through the bootstrap in ROM, with the timer running', () => {
    const t = testTarget();
    const sector = new Uint8Array(512);
    sector.set([0x55, 0xaa], 510);
    bootDisk(t, disk(sector), 'd.img');
    const cpu = cpuAt(t.buffer, 0);
    expect([cpu.segments[1]!.base + cpu.rip, cpu.codeSize, cpu.cr0 % 2]).toEqual([0xfe6f2, 0, 0]);
    expect(t.memory.read8(0xfe6f2)).toBe(0xe9);
    expect(t.ports).toContainEqual([0x21, 0xfa]);
    expect(t.ports).toContainEqual([0x43, 0x36]);
  });

  it('without a boot signature is refused', () => {
    expect(() => bootDisk(testTarget(), disk(new Uint8Array(512)), 'd.img')).toThrow(/^disk d\.img .*signature 55 AA$/);
  });
});
