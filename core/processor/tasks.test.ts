/** Task switches (Intel SDM vol. 3A, chapter 7). */
import { beforeEach, describe, expect, test } from 'vitest';
import { CS, DS, ES, FS, GS, LDTR, SHUTDOWN_TRIPLE_FAULT, SS, TR } from '../state/index.ts';
import {
  CODE, CODE0, CODE3, DATA0, DATA3, FREE, GDT, RAX, RDI, RSP, Rig, SEL_A, SEL_B, TSS_A, TSS_B, UNUSABLE, descriptor, gate,
} from './fixture.ts'; // prettier-ignore

let rig: Rig;
const NT = 0x4000;
const fault = (vector: number, error: number) => ({ vector, error, trap: false });
const jmp = (selector: number) => rig.execute('jmp_far_ptr', { extra: selector, immediate: 0xdead, length: 7 });
const call = (selector: number) => rig.execute('call_far_ptr', { extra: selector, immediate: 0xdead, length: 7 });
const busy = (selector: number) => (rig.read8(GDT + selector + 5) >> 1) & 1;
const NEXT = CODE + 7;

interface Task {
  eip?: number;
  eflags?: number;
  cs?: number;
  ss?: number;
  data?: number;
  ldt?: number;
  trap?: number;
}

/** Fills a 32-bit TSS: registers are 0x100 + their number. */
function task(at: number, t: Task = {}): void {
  rig.write32(at + 28, 0xabc000, t.eip ?? 0x30000, t.eflags ?? 2);
  for (let i = 0; i < 8; i++) rig.write32(at + 40 + i * 4, i === RSP ? 0x6000 : 0x100 + i);
  const data = t.data ?? DATA0;
  rig.write32(at + 72, data, t.cs ?? CODE0, t.ss ?? DATA0, data, data, data, t.ldt ?? 0, (t.trap ?? 0) | (0x68 << 16));
}

beforeEach(async () => {
  rig = await Rig.create();
  rig.protect();
  task(TSS_B);
});

function faults(expected: unknown, run: () => unknown): void {
  const before = rig.snapshot() as { rip: number };
  expect(run()).toEqual(expected);
  before.rip = CODE;
  expect(rig.snapshot()).toEqual(before);
}

describe('JMP, CALL and IRET between 32-bit tasks', () => {
  test('JMP saves one task and loads the other', () => {
    rig.setGpr(RDI, 0x77777777);
    rig.setFlags(0x246);
    rig.state.dr.set(7, 0x7ff);
    expect(jmp(SEL_B)).toBeUndefined();
    expect([rig.read32(TSS_A + 32), rig.read32(TSS_A + 36), rig.read32(TSS_A + 68), rig.read16(TSS_A + 76)]).toEqual([
      NEXT,
      0x246,
      0x77777777,
      CODE0,
    ]);
    expect([rig.selector(CS), rig.state.rip, rig.gpr(RAX), rig.gpr(RSP), rig.selector(TR)]).toEqual([CODE0, 0x30000, 0x100, 0x6000, SEL_B]);
    expect([busy(SEL_A), busy(SEL_B), rig.state.segments[TR]!.attributes, rig.flags]).toEqual([0, 1, 0x8b, 2]);
    expect([rig.state.cr0 & 8, rig.state.dr.get(7)]).toEqual([8, 0x6aa]);
  });

  test('CALL nests, IRET comes back', () => {
    expect(call(SEL_B)).toBeUndefined();
    expect([busy(SEL_A), busy(SEL_B), rig.flags & NT, rig.read16(TSS_B)]).toEqual([1, 1, NT, SEL_A]);
    expect(rig.execute('iret', { rip: 0x30000, length: 1 })).toBeUndefined();
    expect([busy(SEL_A), busy(SEL_B), rig.flags & NT, rig.selector(TR), rig.state.rip]).toEqual([1, 0, 0, SEL_A, NEXT]);
    // The task that was left forgets NT, and goes on after its IRET.
    expect([rig.read32(TSS_B + 36) & NT, rig.read32(TSS_B + 32)]).toEqual([0, 0x30001]);
  });

  test('through a task gate', () => {
    rig.gdt(FREE, gate({ selector: SEL_B, offset: 0, type: 5, dpl: 3 }));
    rig.enter(3);
    faults(fault(13, SEL_B), () => call(SEL_B));
    expect(call(FREE | 3)).toBeUndefined();
    expect([rig.selector(TR), rig.state.cpl, rig.flags & NT]).toEqual([SEL_B, 0, NT]);
  });

  test('to an application and to virtual-8086 mode', () => {
    task(TSS_B, { cs: CODE3, ss: DATA3, data: DATA3 });
    jmp(SEL_B);
    expect([rig.state.cpl, rig.selector(SS), rig.selector(DS)]).toEqual([3, DATA3, DATA3]);
    rig.protect();
    rig.setFlags(2);
    task(TSS_B, { cs: 0x1000, ss: 0x2000, data: 0x3000, eflags: 0x20202, eip: 0x123 });
    expect(jmp(SEL_B)).toBeUndefined();
    expect([rig.state.cpl, rig.state.segments[CS]!.base, rig.state.segments[GS]!.attributes, rig.state.rip]).toEqual([
      3, 0x10000, 0xf3, 0x123,
    ]);
  });

  test('LDT of the new task', () => {
    rig.gdt(FREE, descriptor({ base: 0x5000, limit: 0xff, type: 2, system: true }));
    rig.write64(0x5008, descriptor({ base: 0x1111, type: 3 }));
    task(TSS_B, { ldt: FREE, data: 0xc });
    expect(jmp(SEL_B)).toBeUndefined();
    expect([rig.selector(LDTR), rig.state.segments[ES]!.base]).toEqual([FREE, 0x1111]);
  });

  test('CR3 of the new task, with paging', () => {
    // One 4 MiB page each, at the same place.
    rig.write32(0x40000, 0x87);
    rig.write32(0x41000, 0x87);
    Object.assign(rig.state, { cr3: 0x40000, cr4: 0x10, cr0: 0x8000_0011 });
    rig.call('resetTlb');
    task(TSS_B);
    rig.write32(TSS_B + 28, 0x41000);
    expect(jmp(SEL_B)).toBeUndefined();
    expect(rig.state.cr3).toBe(0x41000);
  });

  test('a 16-bit TSS', () => {
    rig.gdt(FREE, descriptor({ base: 0x5000, limit: 0x2b, type: 1, system: true }));
    rig.write16(0x5000 + 14, 0x1234, 0x202, 1, 2, 3, 4, 0x6000, 6, 7, 8, DATA0, CODE0, DATA0, DATA0, 0);
    expect(call(FREE)).toBeUndefined();
    expect([rig.state.rip, rig.flags, rig.gpr(RAX), rig.gpr(RSP), rig.gpr(RDI), rig.selector(FS)]).toEqual([
      0x1234, 0x4202, 1, 0x6000, 8, 0,
    ]);
    expect(rig.execute('iret', { rip: 0x1234, length: 1 })).toBeUndefined();
    expect([rig.read16(0x500e), rig.selector(TR)]).toEqual([0x1235, SEL_A]);
  });
});

describe('faults before the switch', () => {
  test.each([
    ['TSS too short', () => rig.gdt(SEL_B, descriptor({ base: TSS_B, limit: 0x66, type: 9, system: true })), fault(10, SEL_B)],
    ['not present', () => rig.gdt(SEL_B, descriptor({ type: 9, system: true, present: false })), fault(11, SEL_B)],
    ['busy', () => rig.gdt(SEL_B, descriptor({ type: 11, system: true })), fault(13, SEL_B)],
  ])('%s', (_, spoil, expected) => {
    spoil();
    faults(expected, () => jmp(SEL_B));
    faults(expected, () => call(SEL_B));
    expect(busy(SEL_A)).toBe(1);
  });

  test.each([
    ['null', 0, fault(13, 0)],
    ['in the LDT', SEL_B | 4, fault(13, SEL_B | 4)],
    ['no TSS', DATA0, fault(13, DATA0)],
    ['busy', SEL_A, fault(13, SEL_A)],
  ])('task gate: %s', (_, selector, expected) => {
    rig.gdt(FREE, gate({ selector, offset: 0, type: 5 }));
    faults(expected, () => jmp(FREE));
  });

  test.each([
    ['beyond the table', 0x100, 0x100],
    ['in the LDT', SEL_B | 4, SEL_B | 4],
    ['not busy', SEL_B, SEL_B],
    ['no TSS', CODE0, CODE0],
  ])('IRET with a link that is %s: #TS', (_, link, error) => {
    rig.setFlags(NT);
    rig.write16(TSS_A, link);
    faults(fault(10, error), () => rig.execute('iret'));
  });
});

describe('faults of the new task', () => {
  const CODE1 = FREE;
  const ABSENT_CODE = FREE + 8;
  const ABSENT_DATA = FREE + 16;
  const CONFORMING = FREE + 24;
  beforeEach(() =>
    rig.gdt(
      CODE1,
      descriptor({ type: 10, dpl: 1, big: true }),
      descriptor({ type: 10, present: false }),
      descriptor({ type: 2, present: false }),
      descriptor({ type: 12, dpl: 1 }),
    ),
  );

  test.each([
    ['LDT beyond the table', { ldt: 0x100 }, 10, 0x100],
    ['LDT in the LDT', { ldt: 0xc }, 10, 0xc],
    ['LDT no LDT', { ldt: DATA0 }, 10, DATA0],
    ['CS null', { cs: 0 }, 10, 0],
    ['CS beyond the table', { cs: 0x100 }, 10, 0x100],
    ['CS no code', { cs: DATA0 }, 10, DATA0],
    ['CS of another level than its RPL', { cs: CODE1 }, 10, CODE1],
    ['conforming CS of an outer level', { cs: CONFORMING }, 10, CONFORMING],
    ['CS not present', { cs: ABSENT_CODE }, 11, ABSENT_CODE],
    ['SS null', { ss: 0 }, 10, 0],
    ['SS not writable', { ss: CODE0 }, 10, CODE0],
    ['SS of another level', { ss: DATA3 }, 10, DATA3 & ~3],
    ['SS not present', { ss: ABSENT_DATA }, 12, ABSENT_DATA],
    ['data of an inner level', { cs: CODE3, ss: DATA3 }, 10, DATA0],
    ['data not readable', { data: CONFORMING }, 10, CONFORMING],
    ['data not present', { data: ABSENT_DATA }, 11, ABSENT_DATA],
    ['EIP beyond the limit', { cs: 0x78, eip: 0x10000 }, 13, 0],
  ] as const)('%s', (_, t, vector, error) => {
    rig.gdt(0x78, descriptor({ type: 10, big: true, limit: 0xff }));
    task(TSS_B, t);
    // The run loop returns to the new task's first instruction.
    expect(jmp(SEL_B)).toEqual(fault(vector, error));
    expect([rig.selector(TR), rig.state.rip, rig.gpr(RAX)]).toEqual([SEL_B, 'eip' in t ? t.eip : 0x30000, 0x100]);
    if (error && vector !== 13) expect(rig.state.segments.some((s) => s.attributes === UNUSABLE)).toBe(true);
  });

  test('the T bit: a debug trap before the first instruction', () => {
    task(TSS_B, { trap: 1 });
    expect(jmp(SEL_B)).toEqual({ vector: 1, error: undefined, trap: true });
    expect([rig.state.rip, rig.state.dr.get(6) & 0x8000]).toEqual([0x30000, 0x8000]);
  });
});

describe('interrupts through task gates', () => {
  beforeEach(() => rig.idt(8, { selector: SEL_B, offset: 0, type: 5 }));

  test('a double fault gets its own task, its error code on the new stack', () => {
    rig.setGpr(RSP, 0);
    rig.pend(8, 0);
    expect(rig.attempt('deliverFault')).toBeUndefined();
    expect([rig.selector(TR), rig.read16(TSS_B), rig.flags & NT, rig.gpr(RSP), rig.read32(0x5ffc)]).toEqual([SEL_B, SEL_A, NT, 0x5ffc, 0]);
    expect([rig.read32(TSS_A + 32), rig.state.faultPending]).toEqual([CODE, 0]);
  });

  test('an external interrupt pushes nothing', () => {
    rig.state.rip = CODE;
    rig.attempt('deliverInterrupt', 8);
    expect([rig.gpr(RSP), rig.state.rip]).toEqual([0x6000, 0x30000]);
  });

  test('INT n saves the next address', () => {
    expect(rig.execute('int_n', { immediate: 8 })).toBeUndefined();
    expect(rig.read32(TSS_A + 32)).toBe(CODE + 2);
  });

  test('what is wrong with the TSS has EXT set', () => {
    rig.gdt(SEL_B, descriptor({ type: 11, system: true }));
    rig.pend(6);
    rig.idt(6, { selector: SEL_B, offset: 0, type: 5 });
    expect(rig.attempt('deliverFault')).toEqual(fault(13, SEL_B | 1));
    rig.gdt(SEL_B, descriptor({ base: TSS_B, type: 9, system: true }));
    task(TSS_B, { ss: 0 });
    rig.pend(6);
    expect(rig.attempt('deliverFault')).toEqual(fault(10, 1));
    expect([rig.selector(TR), rig.state.rip]).toEqual([SEL_B, 0x30000]);
  });

  test('no room for the error code: #SS(EXT)', () => {
    rig.write32(TSS_B + 40 + 16, 2);
    rig.gdt(FREE, descriptor({ type: 3, limit: 0xff, big: true }));
    rig.write32(TSS_B + 80, FREE);
    rig.pend(8, 0);
    expect(rig.attempt('deliverFault')).toEqual(fault(12, 1));
    // It came while a double fault was being delivered.
    expect(rig.state.shutdown).toBe(SHUTDOWN_TRIPLE_FAULT);
  });
});
