/** Delivery of interrupts and exceptions (Intel SDM vol. 3A, chapters 6, 17 and 20). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CS, Cpu, DS, ES, GS, SHUTDOWN_NONE, SHUTDOWN_TRIPLE_FAULT, SS } from '../state/index.ts';
import {
  CODE, CODE0, CODE3, CODE64, DATA0, DATA3, FREE, IDT, RSP, Rig, SEL_A, STACK0, STACK3, TSS_A, UNUSABLE, descriptor,
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
const NOT_DELIVERING = 0xffff_ffff;
const IF = 0x200;
const TF = 0x100;
const RF = 0x10000;

const where = () => [rig.selector(CS), rig.state.rip, rig.state.cpl];
const interrupt32 = (more = {}) => ({ selector: CODE0, offset: 0x20000, type: 14, ...more });
const int = (vector: number) => rig.execute('int_n', { immediate: vector });
const top = STACK0 - 0x400;

/** Nothing may have happened but the fault. */
function faults(expected: unknown, run: () => unknown): void {
  const before = rig.snapshot() as { rip: number };
  expect(run()).toEqual(expected);
  before.rip = rig.state.rip;
  expect(rig.snapshot()).toEqual(before);
}

describe('protected mode', () => {
  test('an interrupt gate clears IF, TF, NT and pushes the image', () => {
    rig.idt(0x30, interrupt32());
    rig.setFlags(0x4302);
    rig.state.rip = CODE;
    rig.state.halted = 1;
    expect(rig.attempt('deliverInterrupt', 0x30)).toBeUndefined();
    expect([...where(), rig.stack(3, 4)]).toEqual([CODE0, 0x20000, 0, [CODE, CODE0, 0x4302]]);
    expect([rig.flags, rig.state.delivering, rig.state.halted]).toEqual([2, NOT_DELIVERING, 0]);
  });

  test('a trap gate leaves IF; a 16-bit one pushes words', () => {
    rig.idt(0x30, interrupt32({ type: 7 }));
    rig.setFlags(IF);
    rig.state.rip = CODE;
    rig.attempt('deliverInterrupt', 0x30);
    expect([...where(), rig.stack(3, 2), rig.flags]).toEqual([CODE0, 0, 0, [CODE & 0xffff, CODE0, 0x202], 0x202]);
  });

  test('a fault pushes its error code and RF; the next one starts afresh', () => {
    rig.idt(13, interrupt32());
    rig.pend(13, 0x1234);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect(rig.stack(4, 4)).toEqual([0x1234, CODE, CODE0, 2 | RF]);
    expect([rig.state.faultPending, rig.state.delivering, rig.flags]).toEqual([0, NOT_DELIVERING, 2]);
  });

  test('a trap pushes no RF', () => {
    rig.idt(1, interrupt32());
    rig.setFlags(TF);
    rig.state.rip = CODE;
    expect(rig.attempt('singleStep')).toBeUndefined();
    expect(rig.stack(3, 4)).toEqual([CODE, CODE0, TF | 2]);
    expect([rig.state.dr.get(6) & 0x4000, rig.flags]).toEqual([0x4000, 2]);
  });

  test('to an inner level', () => {
    rig.enter(3);
    rig.idt(14, interrupt32());
    rig.pend(14, 4);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect([...where(), rig.selector(SS), rig.gpr(RSP)]).toEqual([CODE0, 0x20000, 0, DATA0, STACK0 - 24]);
    expect(rig.stack(6, 4)).toEqual([4, CODE, CODE3, 2 | RF, STACK3, DATA3]);
    // Data segments stay.
    expect(rig.selector(DS)).toBe(DATA3);
  });

  test('from a 16-bit TSS', () => {
    rig.enter(3);
    rig.setSegment(7, SEL_A, TSS_A, 0x2b, 0x83);
    rig.write16(TSS_A + 2, 0x7000, DATA0);
    rig.idt(0x30, interrupt32({ type: 6 }));
    rig.state.rip = CODE;
    rig.attempt('deliverInterrupt', 0x30);
    expect(rig.stack(5, 2)).toEqual([CODE & 0xffff, CODE3, 2, STACK3, DATA3]);
    expect(rig.gpr(RSP)).toBe(0x7000 - 10);
  });

  test('a conforming handler runs at the caller’s level', () => {
    rig.gdt(FREE, descriptor({ type: 14, big: true, granular: true }));
    rig.enter(3);
    rig.idt(0x30, interrupt32({ selector: FREE }));
    rig.attempt('deliverInterrupt', 0x30);
    expect(where()).toEqual([FREE | 3, 0x20000, 3]);
    expect(rig.gpr(RSP)).toBe(STACK3 - 12);
  });

  // Error codes: IDT index, or selector; EXT for what no program asked for.
  test.each([
    ['beyond the IDT', () => (rig.state.idtr.limit = 0x30 * 8 + 6), 0x182, GP],
    ['no gate', () => rig.gdt(0, 0n) ?? rig.write32(IDT + 0x30 * 8 + 4, 0x8c00), 0x182, GP],
    ['not present', () => rig.idt(0x30, interrupt32({ dpl: 3, present: false })), 0x182, NP],
    ['null code', () => rig.idt(0x30, interrupt32({ dpl: 3, selector: 0 })), 0, GP],
    ['code beyond the table', () => rig.idt(0x30, interrupt32({ dpl: 3, selector: 0x100 })), 0x100, GP],
    ['no code', () => rig.idt(0x30, interrupt32({ dpl: 3, selector: DATA0 })), DATA0, GP],
    ['code not present', () => rig.idt(0x30, interrupt32({ dpl: 3, selector: FREE })), FREE, NP],
    ['offset beyond the limit', () => rig.idt(0x30, interrupt32({ dpl: 3, selector: FREE + 8 })), 0, GP],
    ['TSS too short', () => (rig.state.segments[7]!.limit = 8), SEL_A, TS],
    ['null stack', () => rig.write32(TSS_A + 8, 0), 0, TS],
    ['stack beyond the table', () => rig.write32(TSS_A + 8, 0x100), 0x100, TS],
    ['stack DPL', () => rig.write32(TSS_A + 8, DATA3 & ~3), DATA3 & ~3, TS],
    ['stack RPL', () => rig.write32(TSS_A + 8, DATA0 | 1), DATA0, TS],
    ['stack not writable', () => rig.write32(TSS_A + 8, CODE0), CODE0, TS],
    ['stack not present', () => rig.write32(TSS_A + 8, FREE + 16), FREE + 16, SSF],
    ['stack without room', () => rig.write32(TSS_A + 4, 19, FREE + 24), FREE + 24, SSF],
  ])('%s', (_, spoil, error, kind) => {
    rig.gdt(
      FREE,
      descriptor({ type: 10, present: false }),
      descriptor({ type: 10, limit: 0xff }),
      descriptor({ type: 2, present: false }),
      descriptor({ type: 2, limit: 0xffff }),
    );
    rig.idt(0x30, interrupt32({ dpl: 3 }));
    rig.enter(3);
    spoil();
    faults(kind(error), () => int(0x30));
    faults(kind(error | 1), () => rig.attempt('deliverInterrupt', 0x30));
    expect(rig.state.delivering).toBe(NOT_DELIVERING);
  });

  test('the same level without room: #SS(EXT)', () => {
    rig.idt(0x30, interrupt32());
    rig.setGpr(RSP, 8);
    rig.setSegment(SS, DATA0, 0, 0xffff, 0x4093);
    rig.update();
    faults(SSF(0), () => int(0x30));
    faults(SSF(1), () => rig.attempt('deliverInterrupt', 0x30));
  });

  test('INT n needs the gate’s DPL, others do not', () => {
    rig.enter(3);
    rig.idt(3, interrupt32());
    rig.idt(4, interrupt32());
    rig.idt(1, interrupt32());
    faults(GP(0x1a), () => int(3));
    faults(GP(0x1a), () => rig.execute('int3'));
    rig.setFlags(0x800);
    faults(GP(0x22), () => rig.execute('into'));
    expect(rig.execute('int1', { length: 1 })).toBeUndefined();
    expect([...where(), rig.stack(1, 4)]).toEqual([CODE0, 0x20000, 0, [CODE + 1]]);
  });

  test('INTO without overflow goes on', () => {
    expect(rig.execute('into', { length: 1 })).toBeUndefined();
    expect(rig.state.rip).toBe(CODE + 1);
  });
});

describe('real-address mode', () => {
  beforeEach(async () => {
    rig = await Rig.create();
  });

  test('through the vector table, without error codes', () => {
    rig.write16(13 * 4, 0x4567, 0xf000);
    rig.setFlags(0x40302);
    rig.pend(13, 0, 0x100);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect([...where(), rig.state.segments[CS]!.base, rig.stack(3, 2)]).toEqual([0xf000, 0x4567, 0, 0xf0000, [0x100, 0, 0x302]]);
    expect(rig.flags).toBe(2);
  });

  test('INT n', () => {
    rig.write16(0x80, 0x10, 0x20);
    expect(rig.execute('int_n', { immediate: 0x20, rip: 0x7c00 })).toBeUndefined();
    expect([...where(), rig.stack(1, 2)]).toEqual([0x20, 0x10, 0, [0x7c02]]);
  });

  test('beyond the table, without room', () => {
    rig.state.idtr.limit = 0x80;
    expect(rig.execute('int_n', { immediate: 0x20 })).toEqual(GP(0x102));
    rig.state.idtr.limit = 0x3ff;
    rig.setGpr(RSP, 5);
    expect(rig.execute('int_n', { immediate: 0x20 })).toEqual(SSF(0));
  });
});

describe('virtual-8086 mode', () => {
  beforeEach(() => {
    rig.idt(0x30, interrupt32({ dpl: 3 }));
    rig.idt(13, interrupt32());
  });

  test('INT n with IOPL 3 goes to ring 0, the segments with it', () => {
    rig.protect86(0x500, 3);
    expect(rig.execute('int_n', { immediate: 0x30, rip: 0x100 })).toBeUndefined();
    expect([...where(), rig.gpr(RSP)]).toEqual([CODE0, 0x20000, 0, STACK0 - 36]);
    expect(rig.stack(9, 4)).toEqual([0x102, 0x500, 0x23202, 0x100, 0x500, 0x500, 0x500, 0x500, 0x500]);
    for (const s of [ES, DS, GS]) expect([rig.selector(s), rig.state.segments[s]!.attributes]).toEqual([0, UNUSABLE]);
    expect(rig.flags).toBe(0x3002);
  });

  test('INT n below IOPL 3: #GP(0); INT3 does not ask', () => {
    rig.protect86(0x500, 0);
    faults(GP(0), () => int(0x30));
    rig.idt(3, interrupt32({ dpl: 3 }));
    expect(rig.execute('int3', { length: 1, rip: 0 })).toBeUndefined();
    expect(rig.state.cpl).toBe(0);
  });

  test('an exception, with its error code', () => {
    rig.protect86(0x500, 0);
    rig.pend(13, 0, 0x20);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect(rig.stack(4, 4)).toEqual([0, 0x20, 0x500, 0x20202 | RF]);
    expect(rig.gpr(RSP)).toBe(STACK0 - 40);
  });

  test('a handler not in ring 0: #GP(selector)', () => {
    rig.idt(0x30, interrupt32({ dpl: 3, selector: CODE3 & ~3 }));
    rig.protect86(0x500, 3);
    faults(GP(CODE3 & ~3), () => int(0x30));
  });

  test('with VME, redirected by the bitmap', () => {
    rig.protect86(0x500, 0);
    rig.state.cr4 = 1;
    rig.setFlags(0xa0202);
    rig.state.segments[7]!.limit = 0xff;
    rig.write16(TSS_A + 102, 104 + 32);
    rig.write16(0x21 * 4, 0x1111, 0x2222);
    expect(rig.execute('int_n', { immediate: 0x21, rip: 0x40 })).toBeUndefined();
    // The image has IOPL 3 and VIF in place of IF; VIF is cleared, IF is not.
    expect([...where(), rig.stack(3, 2), rig.flags]).toEqual([0x2222, 0x1111, 3, [0x42, 0x500, 0x3202], 0x20202]);
    rig.write8(TSS_A + 104 + 4, 2);
    faults(GP(0), () => int(0x21));
  });
});

describe('IA-32e mode', () => {
  const interrupt64 = (more = {}) => ({ selector: CODE64, offset: 0x20000, type: 14, ...more });
  beforeEach(() => rig.protectLong());

  test('an aligned frame with SS:RSP at the same level', () => {
    rig.idt64(13, interrupt64(), 0xffff_8000n);
    rig.setGpr(RSP, 0x7ff9);
    rig.pend(13, 0x10);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect([rig.get64(Cpu.offsets.rip), rig.gpr(RSP)]).toEqual([0xffff_8000_0002_0000n, 0x7ff0 - 48]);
    expect(rig.stack(6, 8)).toEqual([0x10, CODE, CODE64, 2 | RF, 0x7ff9, DATA0]);
    expect(rig.selector(SS)).toBe(DATA0);
  });

  test('from an outer level SS becomes null', () => {
    rig.protectLong(3);
    rig.idt64(0x30, interrupt64());
    rig.state.rip = CODE;
    rig.attempt('deliverInterrupt', 0x30);
    expect([rig.stack(5, 8), rig.selector(SS), rig.gpr(RSP)]).toEqual([[CODE, CODE64 | 3, 2, STACK3, DATA3], 0, STACK0 - 40]);
    expect(rig.state.cpl).toBe(0);
  });

  test('from compatibility mode', () => {
    rig.enter(3);
    rig.idt64(0x30, interrupt64());
    rig.state.rip = CODE;
    rig.attempt('deliverInterrupt', 0x30);
    expect([...where(), rig.state.codeSize, rig.stack(5, 8)]).toEqual([CODE64, 0x20000, 0, 2, [CODE, CODE3, 2, STACK3, DATA3]]);
  });

  test('an interrupt stack switches at every level', () => {
    rig.idt64(2, interrupt64({ count: 3 }));
    rig.write64(TSS_A + 28 + 24, 0x6008n);
    rig.attempt('deliverNmi');
    expect([rig.gpr(RSP), rig.state.nmiBlocked, rig.selector(SS)]).toEqual([0x6000 - 40, 1, DATA0]);
  });

  test.each([
    ['beyond the IDT', () => (rig.state.idtr.limit = 0x30f - 1), 0x182, GP],
    ['a 16-bit gate', () => rig.idt64(0x30, interrupt64({ type: 6 })), 0x182, GP],
    ['a task gate', () => rig.idt64(0x30, interrupt64({ type: 5 })), 0x182, GP],
    ['32-bit code', () => rig.idt64(0x30, interrupt64({ selector: CODE0 })), CODE0, GP],
    ['RIP not canonical', () => rig.idt64(0x30, interrupt64(), 0x8000n), 0, GP],
    ['RSP not canonical', () => rig.write64(TSS_A + 36, 0x8000_0000_0010n), 0, SSF],
    ['TSS too short', () => (rig.state.segments[7]!.limit = 42), SEL_A, TS],
  ])('%s', (_, spoil, error, kind) => {
    rig.idt64(0x30, interrupt64({ count: 1 }));
    rig.write64(TSS_A + 36, 0x6000n);
    spoil();
    faults(kind(error), () => int(0x30));
    faults(kind(error | 1), () => rig.attempt('deliverInterrupt', 0x30));
  });
});

describe('double and triple faults', () => {
  /** The pending fault after `second` was raised while `first` was being delivered. */
  function combined(first: number, second: number): number {
    rig.pend(second, 0);
    rig.state.delivering = first;
    rig.call('combineFault');
    return rig.state.faultVector;
  }

  test('table 6-5', () => {
    expect([
      [0, 13], [13, 14], [14, 13], [14, 14], [13, 11], [6, 13], [6, 14], [14, 6], [13, 6], [0x10d, 13], [10, 12],
    ].map(([a, b]) => combined(a!, b!))).toEqual([8, 14, 8, 8, 8, 13, 14, 6, 6, 13, 8]); // prettier-ignore
    expect(rig.state.shutdown).toBe(SHUTDOWN_NONE);
  });

  test('a double fault has error code 0 and its own gate', () => {
    rig.idt(8, interrupt32());
    rig.state.idtr.limit = 0x7f;
    rig.idt(13, interrupt32({ selector: 0x100 }));
    rig.pend(13, 0x77);
    expect(rig.attempt('deliverFault')).toEqual({ vector: 8, error: 0, trap: false });
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect(rig.stack(2, 4)).toEqual([0, CODE]);
    expect(rig.gpr(RSP)).toBe(top - 16);
  });

  test('a fault of the double fault’s delivery shuts down', () => {
    rig.state.idtr.limit = 0;
    rig.pend(13, 0);
    rig.attempt('deliverFault');
    rig.attempt('deliverFault');
    expect([rig.state.shutdown, rig.state.faultPending]).toEqual([SHUTDOWN_TRIPLE_FAULT, 0]);
    expect(rig.attempt('deliverFault')).toBeUndefined();
  });
});

describe('page faults during delivery', () => {
  beforeEach(() => {
    // Everything is mapped with one 4 MiB page, but 0x8000..0x8fff (under the ring-0 stack) through a page table.
    for (let i = 0; i < 1024; i++) rig.write32(0x41000 + i * 4, (i << 12) | 7);
    rig.write32(0x40000, 0x41007);
    Object.assign(rig.state, { cr3: 0x40000, cr4: 0x10, cr0: 0x8001_0011 });
    rig.call('resetTlb');
    rig.idt(0x30, interrupt32({ dpl: 3 }));
    rig.idt(14, interrupt32());
    rig.write32(TSS_A + 4, 0x9000);
    rig.enter(3);
    rig.setGpr(RSP, 0xa000);
  });
  const page = (at: number, entry: number) => {
    rig.write32(0x41000 + (at >> 12) * 4, entry);
    rig.call('resetTlb');
  };

  test('the ring-0 stack is missing: INT n changes nothing', () => {
    page(0x8000, 0);
    faults({ vector: 14, error: 2, trap: false }, () => int(0x30));
    expect(rig.state.cr2).toBe(0x8ffc);
    page(0x8000, 0x8003);
    expect(int(0x30)).toBeUndefined();
    expect(rig.stack(5, 4)).toEqual([CODE + 2, CODE3, 2, 0xa000, DATA3]);
  });

  test('an exception’s becomes a double fault if it is a page fault too', () => {
    page(0x8000, 0);
    rig.pend(14, 4);
    expect(rig.attempt('deliverFault')).toEqual({ vector: 8, error: 0, trap: false });
  });

  test('the stack of the same level is accessed as the program: a supervisor page faults', () => {
    rig.gdt(FREE, descriptor({ type: 14, big: true, granular: true }));
    rig.idt(0x30, interrupt32({ dpl: 3, selector: FREE }));
    page(0x9000, 0x9003);
    faults({ vector: 14, error: 7, trap: false }, () => int(0x30));
  });

  test('an inner stack is accessed as the supervisor, descriptors too', () => {
    page(0x8000, 0x8003);
    page(0x1000, 0x1003);
    page(0x2000, 0x2003);
    page(0x3000, 0x3003);
    expect(int(0x30)).toBeUndefined();
  });

  test('half a frame on a missing page: the whole is done again', () => {
    rig.write32(TSS_A + 4, 0x9008);
    page(0x8000, 0);
    faults({ vector: 14, error: 2, trap: false }, () => int(0x30));
    page(0x8000, 0x8003);
    expect(int(0x30)).toBeUndefined();
    expect(rig.stack(5, 4)).toEqual([CODE + 2, CODE3, 2, 0xa000, DATA3]);
  });
});

describe('debug registers', () => {
  beforeEach(() => {
    rig.idt(1, interrupt32());
    rig.state.dr.set(6, 0xffff_0ff0);
  });

  test('an instruction breakpoint comes before the instruction, once', () => {
    rig.state.dr.set(0, CODE);
    rig.state.dr.set(2, CODE);
    rig.state.dr.set(3, CODE);
    // L0, G2 and G3; breakpoint 3 is for writes.
    rig.state.dr.set(7, 0x4a1 | 0x1000_0000);
    rig.state.rip = CODE;
    expect(rig.call('checkCodeBreakpoint', BigInt(CODE))).toBe(1);
    expect([rig.state.dr.get(6) & 0xf, ...where(), rig.stack(3, 4)]).toEqual([5, CODE0, 0x20000, 0, [CODE, CODE0, 2]]);
    expect(rig.call('checkCodeBreakpoint', BigInt(CODE + 1))).toBe(0);
    rig.setFlags(RF);
    expect(rig.call('checkCodeBreakpoint', BigInt(CODE))).toBe(0);
    expect(rig.flags & RF).toBe(0);
    expect(rig.call('checkCodeBreakpoint', BigInt(CODE))).toBe(1);
  });

  test('data breakpoints trap afterwards', () => {
    rig.state.dr.set(1, 0x5004);
    // L1, writes, 4 bytes.
    rig.state.dr.set(7, 4 | (0xd << 20));
    rig.call('checkDataBreakpoint', 0x5003n, 1, 1);
    rig.call('checkDataBreakpoint', 0x5004n, 1, 0);
    rig.call('checkDataBreakpoint', 0x5008n, 4, 1);
    expect(rig.call('deliverDataBreakpoint')).toBe(0);
    rig.call('checkDataBreakpoint', 0x5001n, 8, 1);
    rig.state.rip = CODE;
    expect(rig.call('deliverDataBreakpoint')).toBe(1);
    expect([rig.state.dr.get(6) & 0xf, rig.stack(1, 4)]).toEqual([2, [CODE]]);
    expect(rig.call('deliverDataBreakpoint')).toBe(0);
  });

  test('the handler may use the debug registers: GD is cleared', () => {
    rig.state.dr.set(7, 0x2400);
    rig.attempt('singleStep');
    expect(rig.state.dr.get(7)).toBe(0x400);
  });
});
