import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CPUS, CPU_STRIDE, Control, Cpu, FLAT_RING3_DS32, OWNER_GUEST, OWNER_SHARED, OWNER_VMM, PAGE, PARA_GUEST, PARA_SHARED_INFO, PageInfo, Para,
} from '../../state/index.ts'; // prettier-ignore
import { FirmwareError } from '../error.ts';
import { RSI, RSP, cpuAt } from '../state.ts';
import type { BootRequest } from '../target.ts';
import { bootXen } from './boot.ts';
import { BASE, NOTES, P2M, type XenTestTarget, bzImage, xenKernel, xenTarget } from './fixture.ts';

const start = (target: XenTestTarget, data: Uint8Array, rest: Partial<BootRequest> = {}): void =>
  bootXen(target, { kernel: { name: 'vmlinuz', data }, commandLine: '', ...rest });
const fails = (data: Uint8Array, rest: Partial<BootRequest> = {}, target = xenTarget()): string => {
  try {
    start(target, data, rest);
  } catch (error) {
    expect(error).toBeInstanceOf(FirmwareError);
    return (error as Error).message;
  }
  throw new Error('it was started');
};

/** The machine as its guest sees it. */
class Seen {
  readonly target: XenTestTarget;
  readonly domain;
  readonly data: DataView;
  readonly cpus: DataView;
  constructor(target: XenTestTarget) {
    this.target = target;
    this.domain = Para.view(target.buffer, Control.view(target.buffer, 0).para);
    const { memory } = target;
    this.cpus = new DataView(target.buffer, CPUS);
    const ram = memory.bytes(PAGE, 1);
    this.data = new DataView(target.buffer, ram.byteOffset - PAGE);
  }
  register(offset: number, index = 0): bigint {
    return this.cpus.getBigUint64(index * CPU_STRIDE + offset, true);
  }
  machine64(address: number): bigint {
    return this.data.getBigUint64(address, true);
  }
  /** The last entry of a walk; 0: not mapped. */
  walk(address: bigint): bigint {
    let table = Number(this.register(Cpu.offsets.cr3));
    for (const shift of [39n, 30n, 21n]) {
      const entry = this.machine64(table + 8 * Number((address >> shift) & 511n));
      if (entry === 0n) return 0n;
      if ((entry & 0xfffn) !== 0x67n) throw new Error(`a table's entry is ${entry.toString(16)}`);
      table = Number(entry & ~0xfffn);
    }
    return this.machine64(table + 8 * Number((address >> 12n) & 511n));
  }
  physical(address: bigint): number {
    const entry = this.walk(address);
    expect(entry & 1n).toBe(1n);
    return Number(entry & ~0xfffn) + Number(address & 0xfffn);
  }
  read(address: bigint): bigint {
    return this.machine64(this.physical(address));
  }
  info(frame: number): { owner: number; count: number; typeCount: number } {
    return PageInfo.view(this.target.buffer, this.domain.pages + frame * PageInfo.size);
  }
}
const seen = (data: Uint8Array, rest: Partial<BootRequest> = {}, target = xenTarget()): Seen => {
  start(target, data, rest);
  return new Seen(target);
};
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0.*$/s, '');

describe('the start of day', () => {
  const initrd = { name: 'initrd', data: new Uint8Array(5000).fill(7) };
  const s = seen(xenKernel(), { commandLine: 'console=hvc0', initrd });
  const info = s.register(Cpu.offsets.gpr + 8 * RSI);
  const field = (offset: number): bigint => s.read(info + BigInt(offset));

  it('enters the kernel at its entry, with a stack and start_info', () => {
    expect(s.target.resets).toEqual([0, 1]);
    expect(s.register(Cpu.offsets.rip)).toBe(BASE + 0x10_0000n);
    expect(s.read(BASE + 0x10_0000n) & 0xffffn).toBe(0x9090n);
    const stack = s.register(Cpu.offsets.gpr + 8 * RSP);
    expect(s.walk(stack - 8n) & 3n).toBe(3n);
    const cpu = cpuAt(s.target.buffer, 0);
    expect([cpu.halted, cpuAt(s.target.buffer, 1).halted]).toEqual([0, 1]);
    expect(cpu.para.kernelSs).toBe(FLAT_RING3_DS32);
    expect(s.register(Cpu.offsets.para + 0x20)).toBe(stack);
    expect([cpu.cr3, cpu.para.userCr3]).toEqual([cpu.para.kernelCr3, 0]);
    expect([cpu.para.info, cpuAt(s.target.buffer, 1).para.info]).toEqual([PARA_SHARED_INFO * PAGE, PARA_SHARED_INFO * PAGE + 64]);
  });

  it('says in start_info what there is', () => {
    const page = s.target.memory.bytes(s.physical(info), PAGE);
    expect(text(page)).toBe('xen-3.0-x86_64');
    expect(text(page.subarray(128))).toBe('console=hvc0');
    expect([field(32), field(40), field(48) & 0xffff_ffffn]).toEqual([4096n, 0x1000n, 0x18n]);
    expect([field(64) & 0xffff_ffffn, field(80) & 0xffff_ffffn]).toEqual([1n, 2n]);
    expect([Number(field(56)), Number(field(72))]).toEqual([s.domain.storeFrame, s.domain.consoleFrame]);
    // Both are mapped for the kernel too, after start_info.
    expect(s.physical(info + 0x1000n)).toBe(s.domain.storeFrame * PAGE);
    expect(s.physical(info + 0x2000n)).toBe(s.domain.consoleFrame * PAGE);
    expect(s.physical(field(88))).toBe(Number(s.register(Cpu.offsets.cr3)));
  });

  it('maps the kernel and what follows to a multiple of 4 MiB, and its tables read-only', () => {
    const first = field(88);
    const tables = Number(field(96));
    let last = 0n;
    const wrong: number[] = [];
    for (let frame = 0; s.walk(BASE + BigInt(frame * PAGE)) !== 0n; frame++) {
      const address = BASE + BigInt(frame * PAGE);
      const readOnly = address >= first && address < first + BigInt(tables * PAGE);
      if (s.walk(address) !== BigInt(PARA_GUEST + frame) * 4096n + (readOnly ? 0x21n : 0x23n)) wrong.push(frame);
      last = address + BigInt(PAGE);
    }
    expect(wrong).toEqual([]);
    expect((last - BASE) % (4n << 20n)).toBe(0n);
    expect(last - s.register(Cpu.offsets.gpr + 8 * RSP)).toBeGreaterThanOrEqual(512n << 10n);
    // No table but the last is without entries; what comes after them is the stack.
    for (let i = 0n; i < tables; i++)
      expect(s.target.memory.bytes(s.physical(first + i * 4096n), PAGE).some((byte) => byte !== 0)).toBe(true);
    expect(first + BigInt((tables + 1) * PAGE)).toBe(s.register(Cpu.offsets.gpr + 8 * RSP));
  });

  it('gives the list of frames where it is wanted, and the table the other way round', () => {
    expect(field(104)).toBe(P2M);
    for (const p of [0, 1, 511, 512, 4095]) {
      expect(s.read(P2M + BigInt(8 * p))).toBe(BigInt(PARA_GUEST + p));
      expect(s.machine64(s.domain.m2p * PAGE + 8 * (PARA_GUEST + p))).toBe(BigInt(p));
    }
    for (const frame of [0, 1, PARA_GUEST - 1, PARA_GUEST + 4096])
      expect(s.machine64(s.domain.m2p * PAGE + 8 * frame)).toBe(2n ** 64n - 1n);
    // first_p2m_pfn, nr_p2m_frames: 8 frames of list, an L1, an L2, an L3.
    expect(field(1160)).toBe(11n);
    expect(s.physical(P2M)).toBe((PARA_GUEST + Number(field(1152))) * PAGE);
  });

  it('leaves the initrd where it is not mapped', () => {
    expect([field(120)]).toEqual([5000n]);
    const at = (PARA_GUEST + Number(field(112))) * PAGE;
    expect([...s.target.memory.bytes(at + 4998, 4)]).toEqual([7, 7, 0, 0]);
    expect(s.walk(BASE + field(112) * 4096n)).toBe(0n);
  });

  it('fills the hypercall page', () => {
    const at = s.physical(BASE + 0x10_1000n);
    const call = (n: number): number[] => [...s.target.memory.bytes(at + 32 * n, 14)];
    expect(call(17)).toEqual([0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3]);
    expect(call(23)).toEqual([0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05, 0xcc, 0xcc, 0xcc]);
  });

  it('says whose every frame is', () => {
    expect([s.domain.totalPages, s.domain.maxPages]).toEqual([4096, 4096]);
    const owners = [0, PARA_SHARED_INFO, PARA_GUEST - 1, PARA_GUEST, PARA_GUEST + 4095, PARA_GUEST + 4096].map((f) => s.info(f).owner);
    expect(owners).toEqual([OWNER_VMM, OWNER_SHARED, OWNER_VMM, OWNER_GUEST, OWNER_GUEST, OWNER_VMM]);
    expect([s.target.memory.read16(PARA_SHARED_INFO * PAGE), s.target.memory.read16(PARA_SHARED_INFO * PAGE + 31 * 64)]).toEqual([
      256, 256,
    ]);
  });
});

describe('a kernel that wants less', () => {
  it('has initrd and list mapped after it', () => {
    const initrd = { name: 'initrd', data: new Uint8Array(5000).fill(7) };
    const s = seen(xenKernel({ notes: { 15: undefined, 16: undefined } }), { initrd });
    const info = s.register(Cpu.offsets.gpr + 8 * RSI);
    const field = (offset: number): bigint => s.read(info + BigInt(offset));
    expect([field(112), field(120), field(48) & 8n]).toEqual([BASE + 0x10_4000n, 5000n, 0n]);
    expect(s.read(field(112) + 4992n)).toBe(0x0707_0707_0707_0707n);
    expect(field(104)).toBe(BASE + 0x10_6000n);
    expect(s.read(field(104) + 8n * 77n)).toBe(BigInt(PARA_GUEST + 77));
    expect([field(1152), field(1160)]).toEqual([0n, 0n]);
  });

  it('has its own code of hypercalls', () => {
    const s = seen(xenKernel({ notes: { 2: undefined } }));
    expect(s.read(BASE + 0x10_1000n) & 0xffn).toBe(0x90n);
  });

  it('may be mapped from its own base, off which its physical addresses are', () => {
    const base = 0xffff_ffff_8000_0000n;
    const s = seen(xenKernel({ notes: { 4: NOTES.number(base) }, physical: Number(base) + 0x10_0000 }));
    expect(s.read(base + 0x10_0000n) & 0xffn).toBe(0x90n);
  });
});

describe('a bzImage', () => {
  it('is unpacked', () => {
    const kernel = xenKernel();
    for (const image of [bzImage(gzipSync(kernel)), bzImage(kernel)]) expect(seen(image).register(Cpu.offsets.rip)).toBe(BASE + 0x10_0000n);
  });

  it('says what is wrong', () => {
    const packed = gzipSync(xenKernel());
    expect(fails(bzImage(packed, undefined, 0x207))).toBe(
      'vmlinuz speaks Linux boot protocol 2.7, which does not say where the kernel in it is: 2.8 does',
    );
    expect(fails(bzImage(new Uint8Array(0)))).toMatch(/no kernel packed in it/);
    expect(fails(bzImage(packed).subarray(0, 2700))).toMatch(/^vmlinuz is truncated: 2700 bytes, and the kernel in it ends at/);
    expect(fails(bzImage(packed.subarray(0, -20)))).toBe('the kernel in vmlinuz cannot be unpacked: it is truncated or damaged');
    expect(fails(bzImage(Uint8Array.from([0x42, 0x5a, 0x68, 0x39, 0, 0, 0, 0, 0, 0])))).toMatch(
      /packed with bzip2; gzip, LZ4, xz and zstd can/,
    );
    expect(fails(bzImage(Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9])))).toMatch(/a way that is not known/);
    expect(fails(bzImage(gzipSync(new TextEncoder().encode('x'.repeat(100)))))).toBe(
      'what is packed in vmlinuz is not a kernel: it is no ELF file',
    );
  });
});

describe('what cannot be started', () => {
  it('is told in a sentence', () => {
    const without = (...types: number[]): Uint8Array => xenKernel({ notes: Object.fromEntries(types.map((t) => [t, undefined])) });
    const all = [1, 2, 3, 5, 6, 10, 15, 16, 18];
    expect(fails(new Uint8Array(0))).toBe('vmlinuz is empty');
    expect(fails(new TextEncoder().encode('#!/bin/sh\n'))).toMatch(/neither a Linux bzImage nor an ELF file/);
    expect(fails(without(...all))).toBe('vmlinuz has no support for paravirtualization: it has no notes for Xen (CONFIG_XEN_PV)');
    expect(fails(without(1))).toMatch(/by Xen's PVH interface only/);
    expect(fails(without(1, 18))).toBe('vmlinuz does not say where Xen is to enter it');
    expect(fails(xenKernel({ bits: 32 }))).toBe('vmlinuz is a 32-bit kernel; only 64-bit ones can be paravirtualized here');
    expect(fails(xenKernel({ notes: { 5: NOTES.string('xen-2.0') } }))).toMatch(/another interface of Xen than xen-3\.0: "xen-2\.0"/);
    expect(fails(without(5))).toMatch(/another interface/);
    expect(fails(xenKernel({ notes: { 10: NOTES.string('auto_translated_physmap|!supervisor_mode_kernel') } }))).toBe(
      'vmlinuz requires of Xen what is not here: supervisor_mode_kernel',
    );
    expect(fails(xenKernel({ notes: { 1: NOTES.number(BASE - 1n) } }))).toBe('vmlinuz is damaged: its entry is not in it');
    expect(fails(xenKernel({ notes: { 2: NOTES.number(BASE + 0x10_1004n) } }))).toMatch(/its hypercall page is not in it/);
    expect(fails(xenKernel({ notes: { 3: NOTES.number(0xffff_8000_0000_0000n) } }))).toMatch(/its virtual base is no address/);
    expect(fails(xenKernel({ notes: { 15: NOTES.number(0xffff_8040_0000_0000n) } }))).toMatch(/list of frames is wanted at no address/);
    expect(fails(xenKernel({ notes: { 4: NOTES.number(0x20_0000n) } }))).toMatch(/a segment has no place/);
    expect(fails(xenKernel().subarray(0, 0x2000))).toMatch(/a segment ends beyond the file/);
    expect(fails(xenKernel({ memorySize: 40 << 20 }))).toBe(
      'vmlinuz needs 41 MiB of memory to start, and the machine has 16 MiB: give it more memory',
    );
    expect(fails(xenKernel(), { initrd: { name: 'i', data: new Uint8Array(13 << 20) } })).toMatch(/^vmlinuz and its initrd need 18 MiB/);
    expect(fails(xenKernel(), { initrd: { name: 'i', data: new Uint8Array(0) } })).toBe('i is empty');
    expect(fails(xenKernel(), { modules: [{ name: 'm', data: new Uint8Array(1) }] })).toMatch(/no modules/);
    expect(fails(xenKernel(), { entry: 'real' })).toMatch(/cannot be chosen/);
    expect(fails(xenKernel(), { commandLine: 'x'.repeat(1024) })).toBe(
      'the command line has 1024 bytes; a paravirtualized kernel takes at most 1023',
    );
  });

  it('with any bytes changed, or cut anywhere', () => {
    const target = xenTarget({ memoryMiB: 4, vcpus: 1 });
    const image = xenKernel();
    // Headers are before the code, notes after it.
    const near = 400;
    const startsOrSays = (data: Uint8Array): void => {
      try {
        start(target, data);
      } catch (error) {
        if (!(error instanceof FirmwareError)) throw error;
      }
    };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(near - 1), fc.boolean(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x10)), { maxLength: 6 }),
        fc.nat(image.length),
        (changes, length) => {
          const data = Uint8Array.from(image);
          for (const [at, late, value] of changes) data[late ? data.length - 1 - at : at] = value;
          startsOrSays(data);
          startsOrSays(data.subarray(0, length));
        },
      ),
      { numRuns: 300 },
    );
  });
});
