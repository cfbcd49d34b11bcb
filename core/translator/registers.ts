/** Which general registers a region uses, and which it may change, told from its records. */
import type { Operand } from '../spec/row.ts';
import { Cpu, Record } from '../state/index.ts';
import { EFFECTS } from './effects.ts';
import { X87_INTEGER } from './emitter/helpers.ts';
import type { Instruction, Region } from './region.ts';

const O = Cpu.offsets;
const R = Record.offsets;
const GPR_END = O.gpr + 16 * 8;
const ALL8 = [0, 1, 2, 3, 4, 5, 6, 7];

/** Registers that belong to an instruction without being its operands. */
const IMPLIED: Record<string, readonly number[]> = {
  mul: [0, 2], imul1: [0, 2], div: [0, 2], idiv: [0, 2], cwd: [0, 2], cbw: [0], lahf: [0], sahf: [0], aam: [0], aad: [0], daa: [0], das: [0],
  aaa: [0], aas: [0], salc: [0], xlat: [0, 3], cmpxchg: [0], cmpxchg8b: [0, 1, 2, 3], cmpxchg16b: [0, 1, 2, 3],
  push: [4], push_imm: [4], pop: [4], call: [4], call_rm: [4], ret: [4], leave: [4, 5], enter: [4, 5], pusha: ALL8, popa: ALL8,
  loop: [1], loope: [1], loopne: [1], jcxz: [1],
  pcmpistri: [1], pcmpestri: [0, 1, 2], pcmpestri64: [0, 1, 2], pcmpistrm: [], pcmpestrm: [0, 2], pcmpestrm64: [0, 2], mmx_maskmovq: [7],
}; // prettier-ignore
/** Their first operand is not written. */
const READERS = new Set(['cmp', 'test', 'bt', 'push', 'call_rm', 'jmp_rm', 'mul', 'imul1', 'div', 'idiv', 'nop']);
/** Their meaning lies in helpers that look at the vCPU's registers. */
const EXPOSED = new Set([
  'div', 'idiv', 'daa', 'das', 'aaa', 'aas', 'enter', 'pusha', 'cmpxchg16b', 'mmx_maskmovq',
  'pcmpistri', 'pcmpestri', 'pcmpestri64', 'pcmpistrm', 'pcmpestrm', 'pcmpestrm64',
]); // prettier-ignore

export interface Usage {
  readonly touched: ReadonlySet<number>;
  readonly written: ReadonlySet<number>;
  readonly simd: boolean;
  readonly x87: boolean;
  /** There are string instructions. */
  readonly repeats: boolean;
  /** There are call-outs. */
  readonly callouts: boolean;
  /** Offsets of the `Reach` of segments (not FS and GS) that operands lie in, with how far: bit 0 read, bit 1 written. */
  readonly segments: ReadonlySet<number>;
}

export function usage(region: Region, view: DataView): Usage {
  const touched = new Set<number>();
  const written = new Set<number>();
  const segments = new Set<number>();
  let exposed = false;
  let repeats = false;
  let simd = false;
  let x87 = false;
  let callouts = false;
  const mark = (set: Set<number>, slot: number): void => {
    if (slot < GPR_END) set.add((slot - O.gpr) >> 3);
  };
  const operand = (i: Instruction, o: Operand): void => {
    if (o.kind === 'fixed') {
      const n = o.size === 8 && o.register >= 4 ? o.register - 4 : o.register;
      touched.add(n);
      written.add(n);
    } else if (o.kind === 'r') mark(written, view.getUint16(i.record + R.reg, true));
    else if (o.kind === 'rr' || (o.kind === 'rm' && !i.memory)) mark(written, view.getUint16(i.record + R.base, true));
  };
  for (const block of region.blocks)
    for (const i of block.instructions) {
      if (!i.row) continue;
      const { row } = i.row;
      callouts ||= i.callout !== undefined;
      for (const field of [R.reg, R.base, R.index]) mark(touched, view.getUint16(i.record + field, true));
      for (const o of row.operands) if (o.kind === 'fixed') touched.add(o.size === 8 && o.register >= 4 ? o.register - 4 : o.register);
      const segment = view.getUint16(i.record + R.segment, true);
      if (segment !== 0xffff) segments.add(segment);
      simd ||= row.unit === 'simd';
      x87 ||= row.unit === 'x87' || row.unit === 'mmx';
      if (row.helper) {
        const effect = EFFECTS.get(row.helper);
        repeats ||= effect?.repeats === true;
        if (effect) {
          for (const n of effect.registers) touched.add(n);
          for (const n of effect.registers) written.add(n);
          for (const field of [R.reg, R.base, R.index]) mark(written, view.getUint16(i.record + field, true));
        } else if (row.unit !== 'x87' || X87_INTEGER.test(row.helper)) exposed = true;
        continue;
      }
      exposed ||= EXPOSED.has(row.family);
      for (const n of IMPLIED[row.family] ?? []) {
        touched.add(n);
        written.add(n);
      }
      row.operands.forEach((o, n) => {
        if (n === 0 ? !READERS.has(row.family) : row.family === 'xchg' || row.family === 'xadd') operand(i, o);
      });
    }
  return { touched, written: exposed ? touched : written, simd, x87, segments, repeats, callouts };
}
