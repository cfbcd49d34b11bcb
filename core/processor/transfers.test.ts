/** Far JMP, CALL and RET (Intel SDM vol. 2; vol. 3A, 5.8). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CODE_16, CODE_32, CODE_64, CS, DS, ES, FS, GS, PREFIX_OPERAND, PREFIX_REXW, SS } from '../state/index.ts';
import {
  CODE, CODE0, CODE3, CODE64, DATA0, DATA3, FREE, GDT, RSP, Rig, SEL_A, STACK0, STACK3, TSS_A, UNUSABLE, descriptor, gate, gprOf, reachOf,
} from './fixture.ts'; // prettier-ignore

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
  rig.protect();
});

const GP = (error: number) => ({ vector: 13, error, trap: false });
const NP = (error: number) => ({ vector: 11, error, trap: false });
const SSF = (error: number) => ({ vector: 12, error, trap: false });
const TS = (error: number) => ({ vector: 10, error, trap: false });

const jmp = (selector: number, offset: number, prefixes = 0) =>
  rig.execute('jmp_far_ptr', { extra: selector, immediate: offset, prefixes, length: 7 });
const call = (selector: number, offset: number, prefixes = 0) =>
  rig.execute('call_far_ptr', { extra: selector, immediate: offset, prefixes, length: 7 });
const where = () => [rig.selector(CS), rig.state.rip, rig.state.cpl];
const NEXT = CODE + 7;
const code = (dpl: number, more = {}) => descriptor({ type: 10, dpl, big: true, limit: 0xfffff, ...more });

/** Nothing may have happened but the fault. */
function faults(expected: unknown, run: () => unknown): void {
  const before = rig.snapshot() as { rip: number };
  expect(run()).toEqual(expected);
  before.rip = CODE;
  expect(rig.snapshot()).toEqual(before);
}

describe('real-address and virtual-8086 mode', () => {
  test('JMP, CALL, RET', async () => {
    rig = await Rig.create();
    expect(rig.execute('jmp_far_ptr', { extra: 0x1234, immediate: 0xabcd, rip: 0x100, length: 5 })).toBeUndefined();
    expect([rig.state.segments[CS]!.base, rig.state.rip]).toEqual([0x12340, 0xabcd]);
    rig.execute('call_far_ptr', { extra: 0x2000, immediate: 0x10, rip: 0xab00, length: 5 });
    expect([rig.stack(2, 2), ...where()]).toEqual([[0xab05, 0x1234], 0x2000, 0x10, 0]);
    rig.execute('ret_far_imm', { immediate: 6, rip: 0x10 });
    expect([...where(), rig.gpr(RSP)]).toEqual([0x1234, 0xab05, 0, STACK0 + 6]);
  });

  test('a 32-bit offset beyond the limit: #GP(0)', async () => {
    rig = await Rig.create();
    expect(rig.execute('jmp_far_ptr', { extra: 0, immediate: 0x10000, prefixes: PREFIX_OPERAND })).toEqual(GP(0));
    rig.setGpr(RSP, 1);
    expect(rig.execute('call_far_ptr', { extra: 0, immediate: 0 })).toEqual(SSF(0));
  });

  test('virtual-8086 mode does not look at descriptors', () => {
    rig.protect86(0x100, 0);
    expect(jmp(0x20, 0x30)).toBeUndefined();
    expect([rig.state.segments[CS]!.base, rig.state.segments[CS]!.attributes, ...where()]).toEqual([0x200, 0xf3, 0x20, 0x30, 3]);
  });
});

describe('to code segments', () => {
  test('the same level; RPL becomes CPL', () => {
    rig.gdt(FREE, code(0, { big: false, limit: 0xffff }));
    expect(jmp(FREE, 0x4321)).toBeUndefined();
    expect(where()).toEqual([FREE, 0x4321, 0]);
    expect([rig.state.codeSize, rig.read8(GDT + FREE + 5)]).toEqual([CODE_16, 0x9b]);
  });

  test.each([
    ['null', 3, undefined, GP(0)],
    ['beyond the table', 0x100, undefined, GP(0x100)],
    ['data', DATA0, undefined, GP(DATA0)],
    ['another level', FREE, code(3), GP(FREE)],
    ['RPL above CPL', FREE | 1, code(0), GP(FREE)],
    ['conforming, of an outer level', FREE, descriptor({ type: 14, dpl: 1 }), GP(FREE)],
    ['not present', FREE, code(0, { present: false }), NP(FREE)],
    ['EIP beyond the limit', FREE, code(0, { limit: 0x10 }), GP(0)],
    ['an interrupt gate', FREE, gate({ selector: CODE0, offset: 0, type: 14 }), GP(FREE)],
    ['a busy TSS', SEL_A, undefined, GP(SEL_A)],
  ])('%s', (_, selector, d, fault) => {
    if (d) rig.gdt(FREE, d);
    faults(fault, () => jmp(selector, 0x11));
    faults(fault, () => call(selector, 0x11));
  });

  test('a conforming segment keeps CPL', () => {
    rig.gdt(FREE, descriptor({ type: 14, big: true }));
    rig.enter(3);
    expect(jmp(FREE | 3, 0x40)).toBeUndefined();
    expect(where()).toEqual([FREE | 3, 0x40, 3]);
  });

  test('CALL pushes CS and the next address, by operand size', () => {
    expect(call(CODE0, 0x5000)).toBeUndefined();
    expect([rig.stack(2, 4), rig.gpr(RSP)]).toEqual([[NEXT, CODE0], STACK0 - 0x408]);
    call(CODE0, 0x5000, PREFIX_OPERAND);
    expect(rig.stack(2, 2)).toEqual([NEXT & 0xffff, CODE0]);
  });

  test('CALL without room on the stack: #SS(0)', () => {
    rig.setSegment(SS, DATA0, 0, 0x7000, 0x4093);
    rig.update();
    faults(SSF(0), () => call(CODE0, 0x5000));
    // Expand-down: the room is above the limit.
    rig.setSegment(SS, DATA0, 0, 0x7bf7, 0x4097);
    rig.update();
    expect(call(CODE0, 0x5000)).toBeUndefined();
    faults(SSF(0), () => call(CODE0, 0x5000));
  });

  test('between compatibility and 64-bit mode', () => {
    rig.state.efer = 0x501;
    rig.update();
    expect(jmp(CODE64, 0x5000)).toBeUndefined();
    expect(rig.state.codeSize).toBe(CODE_64);
    rig.write32(0x6000, 0x7000, CODE0);
    expect(rig.execute('jmp_far_m', { segment: reachOf(DS), displacement: 0x6000 })).toBeUndefined();
    expect([rig.state.codeSize, rig.state.rip]).toEqual([CODE_32, 0x7000]);
    rig.gdt(FREE, code(0, { long: true }));
    faults(GP(FREE), () => jmp(FREE, 0));
  });

  test('m16:64, and RIP that is not canonical', () => {
    rig.protectLong();
    rig.write64(0x6000, 0x8000_0000_0000n, BigInt(CODE64));
    faults(GP(0), () => rig.execute('jmp_far_m', { segment: reachOf(DS), displacement: 0x6000, prefixes: PREFIX_REXW }));
    rig.write64(0x6000, 0xffff_8000_0000_0000n);
    rig.execute('call_far_m', { segment: reachOf(DS), displacement: 0x6000, prefixes: PREFIX_REXW, length: 7 });
    expect([rig.stack(2, 8), rig.state.rip]).toEqual([[NEXT, CODE64], 0xffff_8000_0000_0000]);
  });
});

describe('call gates', () => {
  const GATE = FREE + 0x20;
  const INNER = FREE;
  beforeEach(() => {
    rig.gdt(INNER, code(0), descriptor({ type: 2, big: true, limit: 0xffff }));
    rig.write32(TSS_A + 4, STACK0, INNER + 8);
  });
  const put = (g: Partial<Parameters<typeof gate>[0]> = {}) =>
    rig.gdt(GATE, gate({ selector: INNER, offset: 0x12345, type: 12, dpl: 3, ...g }));

  test('to more privilege, with parameters', () => {
    put({ count: 2 });
    rig.enter(3);
    rig.write32(STACK3, 0x1111, 0x2222, 0x3333);
    expect(call(GATE | 3, 0xdead)).toBeUndefined();
    expect(where()).toEqual([INNER, 0x12345, 0]);
    expect(rig.stack(6, 4)).toEqual([NEXT, CODE3, 0x1111, 0x2222, STACK3, DATA3]);
    expect([rig.selector(SS), rig.gpr(RSP)]).toEqual([INNER + 8, STACK0 - 24]);
    expect([rig.read8(GDT + INNER + 5), rig.read8(GDT + INNER + 13)]).toEqual([0x9b, 0x93]);

    // And back, dropping the parameters on both stacks.
    rig.setSegment(DS, DATA0, 0, 0xffff_ffff, 0xc093);
    rig.setSegment(FS, CODE0, 0, 0xffff_ffff, 0xc09f);
    rig.setSegment(GS, 0, 0x1234, 0, UNUSABLE);
    expect(rig.execute('ret_far_imm', { immediate: 8 })).toBeUndefined();
    expect([...where(), rig.selector(SS), rig.gpr(RSP)]).toEqual([CODE3, NEXT, 3, DATA3, STACK3 + 8]);
    expect([rig.selector(DS), rig.state.segments[DS]!.attributes]).toEqual([0, UNUSABLE]);
    expect([rig.selector(ES), rig.selector(FS), rig.state.segments[GS]!.base]).toEqual([DATA3, CODE0, 0x1234]);
  });

  test('16-bit, to more privilege', () => {
    put({ type: 4, count: 1 });
    rig.enter(3);
    rig.write16(STACK3, 0x7777);
    expect(call(GATE, 0)).toBeUndefined();
    expect(where()).toEqual([INNER, 0x2345, 0]);
    expect(rig.stack(5, 2)).toEqual([NEXT & 0xffff, CODE3, 0x7777, STACK3, DATA3]);
  });

  test('the same level: CALL and JMP', () => {
    put();
    expect(call(GATE, 0)).toBeUndefined();
    expect([rig.stack(2, 4), ...where()]).toEqual([[NEXT, CODE0], INNER, 0x12345, 0]);
    expect(jmp(GATE, 0)).toBeUndefined();
    rig.enter(3);
    faults(GP(INNER), () => jmp(GATE, 0));
  });

  test.each([
    ['gate DPL', { dpl: 2 }, GP(GATE)],
    ['gate not present', { present: false }, NP(GATE)],
    ['null code', { selector: 0 }, GP(0)],
    ['code beyond the table', { selector: 0x100 }, GP(0x100)],
    ['no code', { selector: DATA0 }, GP(DATA0)],
    ['offset beyond the limit', { offset: 0x100000 }, GP(0)],
  ])('%s', (_, g, fault) => {
    put(g);
    rig.enter(3);
    faults(fault, () => call(GATE | 3, 0));
  });

  test('gate RPL', () => {
    put({ dpl: 2 });
    faults(GP(GATE), () => call(GATE | 3, 0));
  });

  test.each([
    ['code not present', () => rig.gdt(INNER, code(0, { present: false })), NP(INNER)],
    ['TSS too short', () => (rig.state.segments[7]!.limit = 8), TS(SEL_A)],
    ['null stack', () => rig.write32(TSS_A + 8, 0), TS(0)],
    ['stack beyond the table', () => rig.write32(TSS_A + 8, 0x100), TS(0x100)],
    ['stack RPL', () => rig.write32(TSS_A + 8, (INNER + 8) | 1), TS(INNER + 8)],
    ['stack DPL', () => rig.write32(TSS_A + 8, DATA3 & ~3), TS(DATA3 & ~3)],
    ['stack not writable', () => rig.gdt(INNER + 8, descriptor({ type: 0 })), TS(INNER + 8)],
    ['stack not present', () => rig.gdt(INNER + 8, descriptor({ type: 2, present: false })), SSF(INNER + 8)],
    ['stack without room', () => rig.write32(TSS_A + 4, 16), SSF(INNER + 8)],
    ['stack beyond its limit', () => rig.write32(TSS_A + 4, 0x10004), SSF(INNER + 8)],
  ])('%s', (_, spoil, fault) => {
    put({ count: 1 });
    rig.enter(3);
    spoil();
    faults(fault, () => call(GATE, 0));
  });

  test('parameters beyond the old stack: #SS(0)', () => {
    put({ count: 4 });
    rig.enter(3);
    rig.setSegment(SS, DATA3, 0, STACK3 + 11, 0x40f3);
    rig.update();
    faults(SSF(0), () => call(GATE, 0));
  });

  test('64-bit', () => {
    rig.protectLong(3);
    rig.gdt(GATE, gate({ selector: CODE64, offset: 0x12345, type: 12, dpl: 3 }), 0xffff_8000n);
    const far = { segment: reachOf(DS), displacement: 0x6000, length: 7 };
    rig.write32(0x6000, 0, GATE);
    rig.gdt(CODE64, descriptor({ type: 10, long: true, granular: true }));
    expect(rig.execute('call_far_m', far)).toBeUndefined();
    expect(rig.stack(4, 8)).toEqual([NEXT, CODE64 | 3, STACK3, DATA3]);
    expect([rig.selector(SS), rig.selector(CS), rig.state.cpl, rig.get64(gprOf(16) + 8)]).toEqual([0, CODE64, 0, 0xffff_8000_0001_2345n]);
    // 64-bit RET to the outer level.
    rig.gdt(FREE, descriptor({ type: 10, dpl: 3, long: true, granular: true }));
    rig.write64(rig.gpr(RSP) + 8, BigInt(FREE | 3));
    expect(rig.execute('ret_far', { prefixes: PREFIX_REXW })).toBeUndefined();
    expect([...where(), rig.selector(SS), rig.gpr(RSP)]).toEqual([FREE | 3, NEXT, 3, DATA3, STACK3]);
  });

  test('64-bit gates that are wrong', () => {
    rig.protectLong(3);
    const far = { segment: reachOf(DS), displacement: 0x6000 };
    rig.write32(0x6000, 0, GATE);
    rig.gdt(GATE, gate({ selector: CODE64, offset: 0, type: 12, dpl: 3 }), 0x1f00_0000_0000n);
    faults(GP(GATE), () => rig.execute('call_far_m', far));
    rig.gdt(GATE, gate({ selector: CODE0, offset: 0, type: 12, dpl: 3 }), 0n);
    faults(GP(CODE0), () => rig.execute('call_far_m', far));
    rig.gdt(GATE, gate({ selector: CODE64, offset: 0, type: 4, dpl: 3 }), 0n);
    faults(GP(GATE), () => rig.execute('call_far_m', far));
    rig.gdt(GATE, gate({ selector: CODE64, offset: 0, type: 12, dpl: 3 }), 0x8000n);
    faults(GP(0), () => rig.execute('call_far_m', far));
    rig.write64(TSS_A + 4, 0x8000_0000_0000n + 8n);
    rig.gdt(GATE, gate({ selector: CODE64, offset: 0, type: 12, dpl: 3 }), 0n);
    faults(SSF(0), () => rig.execute('call_far_m', far));
    rig.state.segments[7]!.limit = 10;
    faults(TS(SEL_A), () => rig.execute('call_far_m', far));
  });
});

describe('RET far', () => {
  const ret = (...frame: number[]) => {
    rig.write32(rig.gpr(RSP), ...frame);
    return rig.execute('ret_far');
  };

  test('the same level', () => {
    rig.gdt(FREE, code(0));
    expect(ret(0x5000, FREE)).toBeUndefined();
    expect([...where(), rig.gpr(RSP)]).toEqual([FREE, 0x5000, 0, STACK0 - 0x3f8]);
  });

  test.each([
    ['null', [0, 0], undefined, GP(0)],
    ['beyond the table', [0, 0x100], undefined, GP(0x100)],
    ['no code', [0, DATA0], undefined, GP(DATA0)],
    ['DPL is not RPL', [0, CODE0 | 3], undefined, GP(CODE0)],
    ['conforming, DPL above RPL', [0, FREE], descriptor({ type: 14, dpl: 1 }), GP(FREE)],
    ['not present', [0, FREE], code(0, { present: false }), NP(FREE)],
    ['EIP beyond the limit', [0x100000, FREE], code(0), GP(0)],
    ['outer, null stack', [0, CODE3, 0x9000, 0], undefined, GP(0)],
    ['outer, stack RPL', [0, CODE3, 0x9000, DATA3 & ~3], undefined, GP(DATA3 & ~3)],
    ['outer, stack DPL', [0, CODE3, 0x9000, DATA0 | 3], undefined, GP(DATA0)],
    ['outer, stack beyond the table', [0, CODE3, 0x9000, 0x103], undefined, GP(0x100)],
    ['outer, stack not present', [0, CODE3, 0x9000, FREE | 3], descriptor({ type: 3, dpl: 3, present: false }), SSF(FREE)],
    ['outer, stack not writable', [0, CODE3, 0x9000, FREE | 3], descriptor({ type: 1, dpl: 3 }), GP(FREE)],
  ])('%s', (_, frame, d, fault) => {
    if (d) rig.gdt(FREE, d);
    faults(fault, () => ret(...frame));
  });

  test('to an inner level: #GP(selector)', () => {
    rig.enter(3);
    faults(GP(CODE0), () => ret(0, CODE0));
  });

  test('beyond the stack: #SS(0)', () => {
    rig.setSegment(SS, DATA0, 0, STACK0 - 0x400 + 9, 0x4093);
    rig.update();
    faults(SSF(0), () => ret(0, CODE3));
  });

  test('to a 16-bit stack only SP is loaded', () => {
    rig.gdt(FREE, descriptor({ type: 3, dpl: 3, limit: 0xffff }));
    rig.setGpr(RSP, 0x18000);
    expect(ret(0x5000, CODE3, 0x2222, FREE | 3)).toBeUndefined();
    expect(rig.gpr(RSP)).toBe(0x12222);
  });
});
