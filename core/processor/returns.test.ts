/** IRET in all its forms (Intel SDM vol. 2, IRET). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CODE_16, CS, DS, ES, FS, GS, PREFIX_OPERAND, PREFIX_REXW, SS } from '../state/index.ts';
import { CODE, CODE0, CODE3, CODE64, DATA0, DATA3, FREE, RSP, Rig, STACK0, descriptor } from './fixture.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
  rig.protect();
});

const GP = (error: number) => ({ vector: 13, error, trap: false });
const SSF = (error: number) => ({ vector: 12, error, trap: false });
const where = () => [rig.selector(CS), rig.state.rip, rig.state.cpl];
const top = STACK0 - 0x400;

/** Everything that an image can ask for. */
const ALL = 0x3f7fd5;

function iret(size: 2 | 4 | 8, frame: readonly number[], at = rig.gpr(RSP)) {
  frame.forEach((value, i) => {
    if (size === 8) rig.write64(at + i * 8, BigInt(value));
    else if (size === 4) rig.write32(at + i * 4, value);
    else rig.write16(at + i * 2, value);
  });
  const is16 = rig.state.codeSize === CODE_16;
  return rig.execute('iret', { prefixes: size === 8 ? PREFIX_REXW : (size === 2) === is16 ? 0 : PREFIX_OPERAND });
}

function faults(expected: unknown, run: () => unknown): void {
  const before = rig.snapshot() as { rip: number };
  expect(run()).toEqual(expected);
  before.rip = CODE;
  expect(rig.snapshot()).toEqual(before);
}

describe('real-address mode', () => {
  beforeEach(async () => {
    rig = await Rig.create();
  });

  test('16-bit: the low flags', () => {
    rig.setFlags(0x40002);
    expect(iret(2, [0x1234, 0x2000, 0xffff])).toBeUndefined();
    expect([...where(), rig.flags, rig.gpr(RSP)]).toEqual([0x2000, 0x1234, 0, 0x47fd7, STACK0 + 6]);
  });

  test('32-bit: no VM, VIF, VIP', () => {
    expect(iret(4, [0x1234, 0x2000, 0xffffffff])).toBeUndefined();
    expect([rig.flags, rig.gpr(RSP)]).toEqual([0x257fd7, STACK0 + 12]);
    rig.setFlags(2);
    expect(iret(4, [0x10000, 0, 0])).toEqual(GP(0));
  });
});

describe('virtual-8086 mode', () => {
  test('IOPL 3: IOPL and VM stay', () => {
    rig.protect86(0x500, 3);
    expect(iret(4, [0x20, 0x600, ALL & ~0x3000 & ~0x20000], 0x5100)).toBeUndefined();
    expect([...where(), rig.state.segments[CS]!.base, rig.flags]).toEqual([0x600, 0x20, 3, 0x6000, 0x277fd7]);
  });

  test('below: #GP(0), or VIF with VME', () => {
    rig.protect86(0x500, 0);
    faults(GP(0), () => iret(2, [0, 0, 0], 0x5100));
    rig.state.cr4 = 1;
    expect(iret(2, [0x20, 0x600, 0x3200], 0x5100)).toBeUndefined();
    expect([rig.flags, rig.state.rip]).toEqual([0xa0202, 0x20]);
    expect(iret(2, [0x20, 0x600, 0x3000], 0x5106)).toBeUndefined();
    expect(rig.flags).toBe(0x20202);
    faults(GP(0), () => iret(2, [0, 0, 0x100], 0x510c));
    rig.setFlags(0x120002);
    faults(GP(0), () => iret(2, [0, 0, 0x200], 0x510c));
    faults(GP(0), () => iret(4, [0, 0, 0], 0x510c));
  });
});

describe('protected mode', () => {
  test('the same level', () => {
    rig.state.nmiBlocked = 1;
    expect(iret(4, [0x5000, CODE0, ALL & ~0x20000])).toBeUndefined();
    expect([...where(), rig.flags, rig.gpr(RSP), rig.state.nmiBlocked]).toEqual([CODE0, 0x5000, 0, 0x3d7fd7, top + 12, 0]);
  });

  test('16-bit images change only the low flags', () => {
    rig.setFlags(0x240002);
    expect(iret(2, [0x5000, CODE0, 0x4ed5])).toBeUndefined();
    expect([rig.state.rip, rig.flags, rig.gpr(RSP)]).toEqual([0x5000, 0x244ed7, top + 6]);
  });

  test('to an outer level, with its stack', () => {
    expect(iret(4, [0x5000, CODE3, 0x202, 0x9000, DATA3])).toBeUndefined();
    expect([...where(), rig.selector(SS), rig.gpr(RSP), rig.flags]).toEqual([CODE3, 0x5000, 3, DATA3, 0x9000, 0x202]);
    expect([ES, DS, FS, GS].map((s) => rig.selector(s))).toEqual([0, 0, 0, 0]);
  });

  test('at CPL 3: IOPL decides on IF, IOPL itself stays', () => {
    rig.enter(3);
    rig.setFlags(0x202);
    expect(iret(4, [0x5000, CODE3, ALL & ~0x20200])).toBeUndefined();
    expect(rig.flags).toBe((0x254fd7 & ~0x200) | 0x200);
    rig.setFlags(0x3202);
    rig.enter(3);
    expect(iret(4, [0x5000, CODE3, 0])).toBeUndefined();
    expect(rig.flags).toBe(0x3002);
    // VM of the image says nothing here.
    rig.enter(3);
    expect(iret(4, [0x5000, CODE3, 0x20000])).toBeUndefined();
    expect(rig.flags).toBe(0x3002);
  });

  test.each([
    ['null', [0, 0, 0], GP(0)],
    ['inner', [0, CODE0, 0, 0x9000, DATA3], GP(CODE0)],
    ['no code', [0, DATA3, 0, 0, 0], GP(DATA3 & ~3)],
    ['beyond the table', [0, 0x103, 0], GP(0x100)],
  ])('%s', (_, frame, fault) => {
    rig.enter(3);
    faults(fault, () => iret(4, frame));
  });

  test.each([
    ['EIP', [0x100, FREE, 0], GP(0)],
    ['outer, null stack', [0, CODE3, 0, 0x9000, 3], GP(0)],
    ['outer, stack DPL', [0, CODE3, 0, 0x9000, DATA0 | 3], GP(DATA0)],
    ['outer, stack RPL', [0, CODE3, 0, 0x9000, DATA0], GP(DATA0)],
    ['outer, stack not present', [0, CODE3, 0, 0x9000, (FREE + 8) | 3], SSF(FREE + 8)],
  ])('%s', (_, frame, fault) => {
    rig.gdt(FREE, descriptor({ type: 10, big: true, limit: 0xff }), descriptor({ type: 3, dpl: 3, present: false }));
    faults(fault, () => iret(4, frame));
  });

  test('a short stack: #SS(0)', () => {
    rig.setSegment(SS, DATA0, 0, top + 11, 0x4093);
    rig.update();
    faults(SSF(0), () => iret(4, [0, CODE3, 0, 0, 0]));
    expect(iret(4, [0x5000, CODE0, 2])).toBeUndefined();
  });

  test('to virtual-8086 mode', () => {
    expect(iret(4, [0x1234, 0x2000, 0x23202, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000])).toBeUndefined();
    expect([...where(), rig.flags, rig.gpr(RSP), rig.state.codeSize]).toEqual([0x2000, 0x1234, 3, 0x23202, 0xfffe, CODE_16]);
    expect(rig.state.segments.slice(0, 6).map((s) => [s.selector, s.base, s.limit, s.attributes])).toEqual(
      [0x4000, 0x2000, 0x3000, 0x5000, 0x6000, 0x7000].map((s) => [s, s * 16, 0xffff, 0xf3]),
    );
    rig.protect();
    rig.setFlags(2);
    faults(GP(0), () => iret(4, [0x10000, 0x2000, 0x20002, 0, 0, 0, 0, 0, 0]));
  });
});

describe('IA-32e mode', () => {
  beforeEach(() => {
    rig.protectLong();
    rig.gdt(FREE, descriptor({ type: 11, dpl: 3, long: true, granular: true }));
  });

  test('always takes SS:RSP', () => {
    expect(iret(8, [0x5000, CODE64, 0x202, 0x7008, DATA0])).toBeUndefined();
    expect([...where(), rig.gpr(RSP), rig.selector(SS), rig.flags]).toEqual([CODE64, 0x5000, 0, 0x7008, DATA0, 0x202]);
    expect(iret(8, [0x5000, CODE64, 2, 0x7108, 0])).toBeUndefined();
    expect(rig.selector(SS)).toBe(0);
  });

  test('to user code of 64 and 32 bits', () => {
    expect(iret(8, [0x5000, FREE | 3, 0x202, 0x9000, DATA3])).toBeUndefined();
    expect([...where(), rig.state.codeSize, rig.gpr(RSP)]).toEqual([FREE | 3, 0x5000, 3, 2, 0x9000]);
    rig.protectLong();
    expect(iret(8, [0x5000, CODE3, 0x202, 0x9000, DATA3])).toBeUndefined();
    expect([...where(), rig.state.codeSize]).toEqual([CODE3, 0x5000, 3, 1]);
  });

  test('FS keeps its base when it is null', () => {
    rig.setSegment(FS, 0, 0x1234_5678, 0, 0x10000);
    iret(8, [0x5000, FREE | 3, 2, 0x9000, DATA3]);
    expect(rig.state.reach[FS]!.base).toBe(0x1234_5678);
  });

  test.each([
    ['null stack at CPL 3', [0, FREE | 3, 2, 0x9000, 0], GP(0)],
    ['null stack with another RPL', [0, CODE64, 2, 0x9000, 3], GP(0)],
    ['null stack for 32-bit code', [0, CODE0, 2, 0x9000, 0], GP(0)],
    ['RIP not canonical', [0x8000_0000_0000, CODE64, 2, 0x9000, DATA0], GP(0)],
    ['EIP beyond 32 bits', [0x1_0000_0000, CODE0, 2, 0x9000, DATA0], GP(0)],
    ['a nested task', [0, CODE64, 2, 0x9000, DATA0], GP(0)],
  ])('%s', (name, frame, fault) => {
    if (name === 'a nested task') rig.setFlags(0x4002);
    faults(fault, () => iret(8, frame));
  });

  test('VM of the image says nothing', () => {
    expect(iret(8, [0x5000, CODE64, 0x20002, 0x7000, DATA0])).toBeUndefined();
    expect(rig.flags).toBe(2);
  });

  test('compatibility mode keeps its stack at the same level', () => {
    rig.enter(3);
    expect(iret(4, [0x5000, CODE3, 2])).toBeUndefined();
    expect([...where(), rig.gpr(RSP)]).toEqual([CODE3, 0x5000, 3, 0x900c]);
  });
});
