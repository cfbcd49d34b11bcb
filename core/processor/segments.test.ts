/** Segment loads and what follows from them (Intel SDM vol. 2, MOV, POP, LDS; vol. 3A, chapters 3 and 5). */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  CODE_16,
  CODE_32,
  CODE_64,
  CS,
  DS,
  ES,
  FLAT,
  FS,
  GS,
  PREFIX_OPERAND,
  PREFIX_REXW,
  SS,
  TLB_SUPERVISOR,
  TLB_USER,
  TlbEntry,
  TLB_ENTRIES,
} from '../state/index.ts';
import { CODE0, CODE3, DATA0, DATA3, FREE, GDT, RBX, Rig, RSP, SEL_A, UNUSABLE, descriptor, gprOf, reachOf, RAX } from './fixture.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});

const GP = (error: number) => ({ vector: 13, error, trap: false });
const NP = (error: number) => ({ vector: 11, error, trap: false });
const SSF = (error: number) => ({ vector: 12, error, trap: false });
const UD = { vector: 6, error: undefined, trap: false };

/** MOV Sreg, AX. */
function mov(segment: number, selector: number) {
  rig.setGpr(RAX, selector);
  return rig.execute('mov_sreg_rm', { extra: segment, base: gprOf(RAX) });
}

describe('MOV Sreg in protected mode', () => {
  beforeEach(() => rig.protect());

  test('loads the hidden part and sets the accessed bit', () => {
    rig.gdt(FREE, descriptor({ base: 0x12345678, limit: 0x1234, type: 2 }));
    expect(mov(ES, FREE)).toBeUndefined();
    const es = rig.state.segments[ES]!;
    expect([es.selector, es.base, es.limit, es.attributes]).toEqual([FREE, 0x12345678, 0x1234, 0x93]);
    expect(rig.read8(GDT + FREE + 5)).toBe(0x93);
    const reach = rig.state.reach[ES]!;
    expect([reach.base, reach.readEnd, reach.writeEnd]).toEqual([0x12345678, 0x1235, 0x1235]);
  });

  test('scales the limit by granularity', () => {
    rig.gdt(FREE, descriptor({ limit: 2, granular: true, type: 3 }));
    mov(DS, FREE);
    expect(rig.state.segments[DS]!.limit).toBe(0x2fff);
  });

  test.each([
    ['beyond the table', 0x100, GP(0x100)],
    ['a system segment', SEL_A, GP(SEL_A)],
    ['in no LDT', FREE | 4, GP(FREE | 4)],
  ])('%s: #GP(selector)', (_, selector, fault) => expect(mov(DS, selector)).toEqual(fault));

  test.each([
    ['execute-only code', { type: 9 }, GP(FREE)],
    ['not present', { type: 3, present: false }, NP(FREE)],
    ['readable code', { type: 11 }, undefined],
  ] as const)('%s', (_, d, fault) => {
    rig.gdt(FREE, descriptor(d));
    expect(mov(DS, FREE)).toEqual(fault);
  });

  test('readable code is not writable; read-only data neither', () => {
    rig.gdt(FREE, descriptor({ type: 11 }), descriptor({ type: 1 }));
    mov(DS, FREE);
    mov(ES, FREE + 8);
    expect([rig.state.reach[DS]!.readEnd, rig.state.reach[DS]!.writeEnd]).toEqual([0x100000, 0]);
    expect([rig.state.reach[ES]!.readEnd, rig.state.reach[ES]!.writeEnd]).toEqual([0x100000, 0]);
  });

  test('RPL and CPL against DPL, but not for conforming code', () => {
    expect(mov(DS, DATA0 | 3)).toEqual(GP(DATA0));
    rig.gdt(FREE, descriptor({ type: 15 }));
    expect(mov(DS, FREE | 3)).toBeUndefined();
    rig.enter(3);
    expect(mov(DS, DATA0)).toEqual(GP(DATA0));
  });

  test('an expand-down segment is left to the slow path', () => {
    rig.gdt(FREE, descriptor({ type: 7, limit: 0xfff }));
    mov(ES, FREE);
    expect([rig.state.reach[ES]!.readEnd, rig.state.reach[ES]!.writeEnd]).toEqual([0, 0]);
  });

  test('null selectors', () => {
    expect(mov(GS, 3)).toBeUndefined();
    expect([rig.selector(GS), rig.state.segments[GS]!.attributes, rig.state.reach[GS]!.readEnd]).toEqual([3, UNUSABLE, 0]);
    expect(mov(SS, 0)).toEqual(GP(0));
  });

  test('SS: RPL, DPL, type, presence, interrupt shadow', () => {
    expect(mov(SS, DATA0)).toBeUndefined();
    expect(rig.state.interruptShadow).toBe(1);
    expect(mov(SS, DATA0 | 1)).toEqual(GP(DATA0));
    expect(mov(SS, DATA3 & ~3)).toEqual(GP(DATA3 & ~3));
    rig.gdt(FREE, descriptor({ type: 1 }), descriptor({ type: 3, present: false }), descriptor({ type: 3 }));
    expect(mov(SS, FREE)).toEqual(GP(FREE));
    expect(mov(SS, FREE + 8)).toEqual(SSF(FREE + 8));
    expect(rig.state.stackMask).toBe(0xffff_ffff);
    expect(mov(SS, FREE + 16)).toBeUndefined();
    expect(rig.state.stackMask).toBe(0xffff);
  });

  test('CS and the two that do not exist: #UD', () => {
    for (const s of [CS, 6, 7]) expect(mov(s, DATA0)).toEqual(UD);
  });

  test('from the LDT', () => {
    rig.setSegment(6, FREE, 0x5000, 0xf, 0x82);
    rig.write64(0x5008, descriptor({ base: 0x7777, type: 3 }));
    expect(mov(DS, 0xc)).toBeUndefined();
    expect(rig.state.segments[DS]!.base).toBe(0x7777);
    expect(mov(DS, 0x14)).toEqual(GP(0x14));
  });
});

describe('other modes', () => {
  test('real-address mode keeps the limit', () => {
    rig.setSegment(DS, 0, 0, 0xffff_ffff, 0xc093);
    expect(mov(DS, 0x1234)).toBeUndefined();
    expect([rig.state.segments[DS]!.base, rig.state.segments[DS]!.limit]).toEqual([0x12340, 0xffff_ffff]);
    expect(rig.state.reach[DS]!.readEnd).toBe(0x1_0000_0000);
    expect(rig.state.codeSize).toBe(CODE_16);
  });

  test('virtual-8086 mode', () => {
    rig.protect86(0x100, 3);
    rig.setSegment(DS, 0, 0, 5, 0xf3);
    expect(mov(DS, 0x1234)).toBeUndefined();
    const ds = rig.state.segments[DS]!;
    expect([ds.base, ds.limit, ds.attributes]).toEqual([0x12340, 0xffff, 0xf3]);
    expect([rig.state.codeSize, rig.state.stackMask]).toEqual([CODE_16, 0xffff]);
  });

  test('64-bit mode: flat but for FS and GS; null in SS below CPL 3', () => {
    rig.protectLong();
    rig.gdt(FREE, descriptor({ base: 0x1000, limit: 1, type: 3 }));
    mov(ES, FREE);
    mov(FS, FREE);
    expect(rig.state.reach[ES]!.base).toBe(0);
    expect(rig.state.reach[FS]!.base).toBe(0x1000);
    expect(rig.get64(reachOf(FS) + 8)).toBe(0xffff_ffff_ffff_ffffn);
    expect(rig.get64(reachOf(FLAT) + 16)).toBe(0xffff_ffff_ffff_ffffn);
    expect(rig.state.codeSize).toBe(CODE_64);
    expect(mov(SS, 0)).toBeUndefined();
    expect(mov(SS, 1)).toEqual(GP(0));
    rig.protectLong(3);
    expect(mov(SS, 3)).toEqual(GP(0));
  });

  test('compatibility mode has limits again', () => {
    rig.protect();
    rig.state.efer = 0x501;
    rig.update();
    expect(rig.state.codeSize).toBe(CODE_32);
    expect(mov(SS, 0)).toEqual(GP(0));
  });

  test('the TLB follows CPL', () => {
    rig.protect();
    const mode = (n: number): number => rig.state.tlb - n * TLB_ENTRIES * TlbEntry.size;
    const supervisor = mode(TLB_SUPERVISOR);
    rig.enter(3);
    expect(mode(TLB_USER)).toBe(supervisor);
  });
});

describe('PUSH, POP, MOV from a segment register, far pointers', () => {
  beforeEach(() => rig.protect());

  test('PUSH zero-extends to 32 bits', () => {
    rig.setGpr(RSP, 0x8000);
    rig.write32(0x7ffc, 0xaaaaaaaa);
    rig.execute('push_ds');
    expect(rig.gpr(RSP)).toBe(0x7ffc);
    expect(rig.read32(0x7ffc)).toBe(DATA0);
  });

  test('PUSH with a 16-bit stack wraps SP only', () => {
    rig.gdt(FREE, descriptor({ type: 3, limit: 0xffff }));
    mov(SS, FREE);
    rig.setGpr(RSP, 0x12340000);
    rig.execute('push_cs', { prefixes: PREFIX_OPERAND });
    expect(rig.gpr(RSP)).toBe(0x1234fffe);
    expect(rig.read16(0xfffe)).toBe(CODE0);
  });

  test('PUSH and POP with 64-bit operands', () => {
    rig.protectLong();
    rig.setGpr(RSP, 0x8000);
    rig.write32(0x7ff8, 0xffffffff, 0xffffffff);
    rig.execute('push_fs');
    expect([rig.read64(0x7ff8), rig.gpr(RSP)]).toEqual([BigInt(DATA0), 0x7ff8]);
    rig.execute('pop_gs');
    expect([rig.selector(GS), rig.gpr(RSP)]).toEqual([DATA0, 0x8000]);
  });

  test('POP SS moves the old stack pointer and shadows', () => {
    rig.write32(0x7c00, DATA0 | 0x77770000);
    rig.setGpr(RSP, 0x7c00);
    expect(rig.execute('pop_ss')).toBeUndefined();
    expect([rig.gpr(RSP), rig.selector(SS), rig.state.interruptShadow]).toEqual([0x7c04, DATA0, 1]);
  });

  test('a faulting POP moves nothing', () => {
    rig.write32(0x7c00, FREE);
    rig.setGpr(RSP, 0x7c00);
    const before = rig.snapshot();
    expect(rig.execute('pop_ds')).toEqual(GP(FREE));
    rig.state.rip = (before as { rip: number }).rip;
    expect(rig.snapshot()).toEqual(before);
  });

  test('POP beyond the stack limit: #SS(0)', () => {
    rig.setSegment(SS, DATA0, 0, 0xfff, 0x4093);
    rig.update();
    rig.setGpr(RSP, 0xffe);
    expect(rig.execute('pop_es')).toEqual(SSF(0));
    rig.setGpr(RSP, 0x1000);
    expect(rig.execute('push_es')).toBeUndefined();
    rig.setGpr(RSP, 0x1001);
    expect(rig.execute('push_es')).toEqual(SSF(0));
  });

  test('MOV r, Sreg by operand size; memory always 16 bits', () => {
    for (const [prefixes, expected] of [
      [PREFIX_OPERAND, 0x11223344_5566_0010n],
      [0, 0x10n],
    ] as const) {
      rig.setGpr(RBX, 0x11223344_5566_7788n);
      rig.execute('mov_rm_sreg', { extra: DS, base: gprOf(RBX), prefixes });
      expect(rig.get64(gprOf(RBX))).toBe(expected);
    }
    rig.write32(0x5000, 0xffffffff);
    rig.execute('mov_rm_sreg', { extra: SS, segment: reachOf(DS), displacement: 0x5000 });
    expect(rig.read32(0x5000)).toBe(0xffff0010);
    expect(rig.execute('mov_rm_sreg', { extra: 6 })).toEqual(UD);
  });

  test('LES, LSS: offset and selector from memory, nothing on a fault', () => {
    rig.write32(0x5000, 0x89abcdef, DATA0);
    rig.setGpr(RBX, 1);
    expect(rig.execute('les', { segment: reachOf(DS), displacement: 0x5000, reg: gprOf(RBX) })).toBeUndefined();
    expect([rig.gpr(RBX), rig.selector(ES)]).toEqual([0x89abcdef, DATA0]);
    rig.write16(0x5000, 0x1111, CODE3);
    expect(rig.execute('lss', { segment: reachOf(DS), displacement: 0x5000, reg: gprOf(RSP), prefixes: PREFIX_OPERAND })).toEqual(
      GP(CODE3 & ~3),
    );
    expect(rig.gpr(RSP)).not.toBe(0x1111);
  });

  test('LGS with REX.W', () => {
    rig.protectLong();
    rig.write64(0x5000, 0xffff800000001234n, BigInt(DATA0));
    rig.execute('lgs', { segment: reachOf(DS), displacement: 0x5000, reg: gprOf(RBX), prefixes: PREFIX_REXW });
    expect(rig.get64(gprOf(RBX))).toBe(0xffff800000001234n);
  });
});
