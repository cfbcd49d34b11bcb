/** SYSENTER, SYSEXIT, SYSCALL, SYSRET (Intel SDM vol. 2). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CS, Cpu, PREFIX_REXW, SS } from '../state/index.ts';
import { CODE, RCX, RDX, RSP, Rig, gprOf } from './fixture.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});

const GP = { vector: 13, error: 0, trap: false };
const UD = { vector: 6, error: undefined, trap: false };
const O = Cpu.offsets;
const R11 = 11;
const RIP = O.rip;
const segments = () => [CS, SS].map((s) => [rig.selector(s), rig.state.segments[s]!.attributes, rig.state.segments[s]!.base]);

function faults(expected: unknown, name: string, prefixes = 0): void {
  const before = rig.snapshot() as { rip: number };
  expect(rig.execute(name, { prefixes })).toEqual(expected);
  before.rip = CODE;
  expect(rig.snapshot()).toEqual(before);
}

describe('SYSENTER and SYSEXIT', () => {
  beforeEach(() => {
    rig.protect(3);
    Object.assign(rig.state, { sysenterCs: 0x73, sysenterEsp: 0x6000 });
    rig.set64(O.sysenterEip, 0xffff_8000_0001_0000n);
  });

  test('in and out, 32-bit', () => {
    rig.setFlags(0x10246);
    expect(rig.execute('sysenter')).toBeUndefined();
    expect([segments(), rig.state.cpl, rig.state.rip, rig.gpr(RSP), rig.flags]).toEqual([
      [
        [0x70, 0xc09b, 0],
        [0x78, 0xc093, 0],
      ],
      0,
      0x10000,
      0x6000,
      0x46,
    ]);
    rig.setGpr(RCX, 0x9000);
    rig.setGpr(RDX, 0x1234);
    expect(rig.execute('sysexit')).toBeUndefined();
    expect([segments(), rig.state.cpl, rig.state.rip, rig.gpr(RSP)]).toEqual([
      [
        [0x83, 0xc0fb, 0],
        [0x8b, 0xc0f3, 0],
      ],
      3,
      0x1234,
      0x9000,
    ]);
  });

  test('in and out, 64-bit', () => {
    rig.protectLong(3);
    expect(rig.execute('sysenter')).toBeUndefined();
    expect([segments()[0], rig.state.codeSize, rig.get64(RIP)]).toEqual([[0x70, 0xa09b, 0], 2, 0xffff_8000_0001_0000n]);
    rig.setGpr(RCX, 0x9000);
    rig.setGpr(RDX, 0x8000_0000_0000n);
    faults(GP, 'sysexit', PREFIX_REXW);
    rig.setGpr(RDX, 0x7fff_0000_0000n);
    expect(rig.execute('sysexit', { prefixes: PREFIX_REXW })).toBeUndefined();
    expect([segments(), rig.get64(RIP)]).toEqual([
      [
        [0x93, 0xa0fb, 0],
        [0x9b, 0xc0f3, 0],
      ],
      0x7fff_0000_0000n,
    ]);
  });

  test('from virtual-8086 mode', () => {
    rig.protect86(0x100, 0);
    expect(rig.execute('sysenter')).toBeUndefined();
    expect([rig.state.cpl, rig.flags & 0x20200, rig.state.codeSize]).toEqual([0, 0, 1]);
  });

  test('#GP(0): no selector, not CPL 0, real-address mode', async () => {
    faults(GP, 'sysexit');
    rig.state.sysenterCs = 3;
    faults(GP, 'sysenter');
    rig.protect();
    faults(GP, 'sysexit');
    rig = await Rig.create();
    rig.state.sysenterCs = 8;
    faults(GP, 'sysenter');
  });
});

describe('SYSCALL and SYSRET', () => {
  beforeEach(() => {
    rig.protectLong(3);
    rig.set64(O.star, 0x0063_0010_8765_4321n);
    rig.set64(O.lstar, 0xffff_8000_0001_0000n);
    rig.set64(O.sfmask, 0x700n);
  });

  test('in', () => {
    rig.setFlags(0x246);
    expect(rig.execute('syscall')).toBeUndefined();
    expect(segments()).toEqual([[0x10, 0xa09b, 0], [0x18, 0xc093, 0]]); // prettier-ignore
    expect([rig.get64(RIP), rig.gpr(RCX), rig.gpr(R11), rig.flags, rig.state.cpl]).toEqual([
      0xffff_8000_0001_0000n,
      CODE + 2,
      0x246,
      0x46,
      0,
    ]);
  });

  test('out to 64-bit code: flags from R11 but for RF and VM', () => {
    rig.enter(0);
    rig.protectLong();
    rig.setGpr(RCX, 0x7fff_0000_0000n);
    rig.setGpr(R11, 0xffff_ffff);
    expect(rig.execute('sysret', { prefixes: PREFIX_REXW })).toBeUndefined();
    expect(segments()).toEqual([[0x73, 0xa0fb, 0], [0x6b, 0xc0f3, 0]]); // prettier-ignore
    expect([rig.get64(RIP), rig.flags, rig.state.cpl]).toEqual([0x7fff_0000_0000n, 0x3c7fd7, 3]);
  });

  test('out to 32-bit code', () => {
    rig.protectLong();
    rig.setGpr(RCX, 0xffff_8000_1234_5678n);
    rig.setGpr(R11, 0x202);
    expect(rig.execute('sysret')).toBeUndefined();
    expect([segments()[0], rig.state.rip, rig.state.codeSize]).toEqual([[0x63, 0xc0fb, 0], 0x1234_5678, 1]);
  });

  test('a target that is not canonical: #GP(0) at CPL 0', () => {
    rig.protectLong();
    rig.setGpr(RCX, 0x8000_0000_0000n);
    faults(GP, 'sysret', PREFIX_REXW);
    expect(rig.state.cpl).toBe(0);
  });

  test('#UD: not enabled, not 64-bit; #GP(0): not CPL 0', () => {
    faults(GP, 'sysret', PREFIX_REXW);
    rig.state.efer = 0x500;
    faults(UD, 'syscall');
    faults(UD, 'sysret');
    rig.state.efer = 0x501;
    rig.enter(3);
    faults(UD, 'syscall');
  });

  test('AMD’s models have it in compatibility mode and outside IA-32e mode', () => {
    rig.state.cpuidTable.set(3, 0x68747541);
    rig.set64(O.cstar, 0xffff_8000_0002_0000n);
    rig.enter(3);
    expect(rig.execute('syscall')).toBeUndefined();
    expect([rig.get64(RIP), rig.state.codeSize, rig.gpr(RCX)]).toEqual([0xffff_8000_0002_0000n, 2, CODE + 2]);
    rig.state.efer = 1;
    rig.enter(3);
    rig.setFlags(0x202);
    expect(rig.execute('syscall')).toBeUndefined();
    expect([rig.state.rip, rig.flags, rig.state.cpl, rig.selector(CS)]).toEqual([0x8765_4321, 2, 0, 0x10]);
    expect(rig.execute('sysret')).toBeUndefined();
    expect([rig.state.rip, rig.flags, rig.state.cpl, rig.selector(CS)]).toEqual([CODE + 2, 0x202, 3, 0x63]);
    expect(rig.get64(gprOf(RCX))).toBe(BigInt(CODE + 2));
  });
});
