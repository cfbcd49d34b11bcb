/** Descriptor tables, LDTR, TR, and instructions that look at descriptors (Intel SDM vol. 2). */
import { beforeEach, describe, expect, test } from 'vitest';
import { Cpu, DS, LDTR, PREFIX_OPERAND, PREFIX_REXW, TR } from '../state/index.ts';
import {
  CODE0,
  CODE3,
  DATA0,
  DATA3,
  FREE,
  GDT,
  RAX,
  RBX,
  Rig,
  SEL_A,
  SEL_B,
  TSS_B,
  UNUSABLE,
  descriptor,
  gate,
  gprOf,
  reachOf,
} from './fixture.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
  rig.protect();
});

const GP = (error: number) => ({ vector: 13, error, trap: false });
const NP = (error: number) => ({ vector: 11, error, trap: false });
const UD = { vector: 6, error: undefined, trap: false };
const ZF = 0x40;

/** An instruction whose operand is a selector in AX, with EBX as the other register. */
function on(name: string, selector: number, prefixes = 0) {
  rig.setGpr(RAX, selector);
  return rig.execute(name, { base: gprOf(RAX), reg: gprOf(RBX), prefixes });
}
const at = (displacement: number, prefixes = 0) => ({ segment: reachOf(DS), displacement, prefixes });

describe('GDTR and IDTR', () => {
  test('LGDT takes 24 bits of base with 16-bit operands', () => {
    rig.write16(0x5000, 0x1234, 0x5678, 0x9abc);
    rig.execute('lgdt', at(0x5000));
    expect([rig.state.gdtr.limit, rig.state.gdtr.base]).toEqual([0x1234, 0x9abc5678]);
    rig.execute('lidt', at(0x5000, PREFIX_OPERAND));
    expect([rig.state.idtr.limit, rig.state.idtr.base]).toEqual([0x1234, 0xbc5678]);
  });

  test('64-bit mode takes ten bytes and wants a canonical base', () => {
    rig.protectLong();
    rig.write16(0x5000, 0xfff);
    rig.write64(0x5002, 0xffff_8000_0000_0000n);
    expect(rig.execute('lidt', at(0x5000))).toBeUndefined();
    expect(rig.get64(Cpu.offsets.idtr)).toBe(0xffff_8000_0000_0000n);
    rig.write64(0x5002, 0x8000_0000_0000n);
    expect(rig.execute('lgdt', at(0x5000))).toEqual(GP(0));
    rig.execute('sidt', at(0x6000));
    expect([rig.read16(0x6000), rig.read64(0x6002)]).toEqual([0xfff, 0xffff_8000_0000_0000n]);
  });

  test('privilege', () => {
    rig.enter(3);
    expect(rig.execute('lgdt', at(0x5000))).toEqual(GP(0));
    expect(rig.execute('sgdt', at(0x5000))).toBeUndefined();
    expect([rig.read16(0x5000), rig.read32(0x5002)]).toEqual([rig.state.gdtr.limit, GDT]);
    rig.state.cr4 = 1 << 11;
    expect(rig.execute('sgdt', at(0x5000))).toEqual(GP(0));
    expect(on('str', 0)).toEqual(GP(0));
  });

  test('LGDT works in real-address mode', async () => {
    rig = await Rig.create();
    rig.write16(0x5000, 0x1f, 0x1000, 0);
    expect(rig.execute('lgdt', at(0x5000))).toBeUndefined();
    expect(rig.state.gdtr.base).toBe(0x1000);
  });
});

describe('LLDT and LTR', () => {
  const ldt = { base: 0x5000, limit: 0xff, type: 2, system: true };

  test('LLDT', () => {
    rig.gdt(FREE, descriptor(ldt), descriptor({ ...ldt, present: false }));
    expect(on('lldt', FREE)).toBeUndefined();
    expect([rig.selector(LDTR), rig.state.segments[LDTR]!.base, rig.state.segments[LDTR]!.limit]).toEqual([FREE, 0x5000, 0xff]);
    expect(on('lldt', FREE + 8)).toEqual(NP(FREE + 8));
    expect(on('lldt', DATA0)).toEqual(GP(DATA0));
    expect(on('lldt', FREE | 4)).toEqual(GP(FREE | 4));
    expect(on('lldt', 0x100)).toEqual(GP(0x100));
    expect(on('lldt', 2)).toBeUndefined();
    expect(rig.state.segments[LDTR]!.attributes).toBe(UNUSABLE);
  });

  test('LTR marks the TSS busy', () => {
    expect(on('ltr', SEL_B)).toBeUndefined();
    expect([rig.selector(TR), rig.state.segments[TR]!.base, rig.state.segments[TR]!.attributes]).toEqual([SEL_B, TSS_B, 0x8b]);
    expect(rig.read8(GDT + SEL_B + 5)).toBe(0x8b);
    expect(on('ltr', SEL_B)).toEqual(GP(SEL_B));
    expect(on('ltr', 0)).toEqual(GP(0));
    rig.gdt(FREE, descriptor({ type: 9, system: true, present: false }));
    expect(on('ltr', FREE)).toEqual(NP(FREE));
  });

  test('16-byte descriptors in IA-32e mode', () => {
    rig.protectLong();
    rig.gdt(FREE, descriptor(ldt), 0xffff_8000n);
    expect(on('lldt', FREE)).toBeUndefined();
    expect(rig.get64(Cpu.offsets.segments + 6 * 24)).toBe(0xffff_8000_0000_5000n);
    rig.gdt(FREE + 8, 0x8000n);
    expect(on('lldt', FREE)).toEqual(GP(FREE));
    rig.gdt(FREE + 8, 0x100_0000_0000n);
    expect(on('lldt', FREE)).toEqual(GP(FREE));
    // The last eight bytes of the table cannot hold one.
    rig.gdt(0xf8, descriptor({ type: 9, system: true }));
    expect(on('ltr', 0xf8)).toEqual(GP(0xf8));
    rig.gdt(FREE, descriptor({ type: 1, system: true }), 0n);
    expect(on('ltr', FREE)).toEqual(GP(FREE));
  });

  test('above CPL 0 and outside protected mode', async () => {
    rig.enter(3);
    expect(on('ltr', SEL_B)).toEqual(GP(0));
    rig.protect86(0, 3);
    expect(on('lldt', 0)).toEqual(UD);
    rig = await Rig.create();
    for (const name of ['lldt', 'ltr', 'sldt', 'str', 'lar', 'lsl', 'verr', 'verw', 'arpl']) expect(on(name, 0), name).toEqual(UD);
  });

  test('STR and SLDT by operand size', () => {
    rig.setGpr(RAX, -1n);
    rig.execute('str', { base: gprOf(RAX), prefixes: PREFIX_OPERAND });
    expect(rig.get64(gprOf(RAX))).toBe(0xffff_ffff_ffff_0000n | BigInt(SEL_A));
    rig.execute('str', { base: gprOf(RAX) });
    expect(rig.get64(gprOf(RAX))).toBe(BigInt(SEL_A));
    rig.write32(0x5000, 0xffffffff);
    rig.execute('sldt', at(0x5000));
    expect(rig.read32(0x5000)).toBe(0xffff0000);
  });
});

describe('LAR, LSL, VERR, VERW, ARPL', () => {
  test('LAR by operand size', () => {
    expect(on('lar', CODE0)).toBeUndefined();
    expect([rig.gpr(RBX), rig.flags & ZF]).toEqual([0xcf9b00, ZF]);
    rig.setGpr(RBX, 0x1234_5678);
    on('lar', DATA3, PREFIX_OPERAND);
    expect(rig.gpr(RBX)).toBe(0x1234_f300);
  });

  test('LAR and LSL know which system descriptors have what', () => {
    const both = (type: number): number[] => {
      rig.gdt(FREE, descriptor({ type, system: true, limit: 0x77 }));
      return ['lar', 'lsl'].map((name) => {
        on(name, FREE);
        return rig.flags & ZF ? 1 : 0;
      });
    };
    const legacy = Array.from({ length: 16 }, (_, type) => both(type).join(''));
    expect(legacy.map((s, i) => (s === '00' ? '' : `${i}:${s}`)).filter(Boolean)).toEqual([
      '1:11', '2:11', '3:11', '4:10', '5:10', '9:11', '11:11', '12:10',
    ]); // prettier-ignore
    rig.protectLong();
    const long = Array.from({ length: 16 }, (_, type) => both(type).join(''));
    expect(long.map((s, i) => (s === '00' ? '' : `${i}:${s}`)).filter(Boolean)).toEqual(['2:11', '9:11', '11:11', '12:10']);
  });

  test('what privilege hides leaves the register alone', () => {
    rig.enter(3);
    rig.setGpr(RBX, 5);
    for (const selector of [DATA0, 0, 0x100, 3]) {
      on('lsl', selector);
      expect([rig.gpr(RBX), rig.flags & ZF]).toEqual([5, 0]);
    }
    rig.gdt(FREE, descriptor({ type: 13, limit: 0x1fff }));
    on('lsl', FREE | 3);
    expect([rig.gpr(RBX), rig.flags & ZF]).toEqual([0x1fff, ZF]);
    on('lsl', CODE3);
    expect(rig.gpr(RBX)).toBe(0xffff_ffff);
  });

  test('LSL with REX.W zero-extends', () => {
    rig.protectLong();
    rig.setGpr(RBX, -1n);
    on('lsl', CODE0, PREFIX_REXW);
    expect(rig.get64(gprOf(RBX))).toBe(0xffff_ffffn);
  });

  test.each([
    [{ type: 1 }, ZF, 0],
    [{ type: 3 }, ZF, ZF],
    [{ type: 9 }, 0, 0],
    [{ type: 11 }, ZF, 0],
    [{ type: 2, system: true }, 0, 0],
    [{ type: 3, present: false }, ZF, ZF],
  ])('VERR and VERW of %o', (d, readable, writable) => {
    rig.gdt(FREE, descriptor(d));
    on('verr', FREE);
    expect(rig.flags & ZF).toBe(readable);
    on('verw', FREE);
    expect(rig.flags & ZF).toBe(writable);
  });

  test('a gate is no segment', () => {
    rig.gdt(FREE, gate({ selector: CODE0, offset: 0, type: 14 }));
    on('lar', FREE);
    expect(rig.flags & ZF).toBe(0);
  });

  test('ARPL raises RPL only', () => {
    rig.setGpr(RBX, 3);
    on('arpl', 0x1231);
    expect([rig.gpr(RAX), rig.flags & ZF]).toEqual([0x1233, ZF]);
    rig.setGpr(RBX, 1);
    on('arpl', 0x1233);
    expect([rig.gpr(RAX), rig.flags & ZF]).toEqual([0x1233, 0]);
  });
});
