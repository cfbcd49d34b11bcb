/** Which general registers a region uses, and which it may change, told from its records. */
import type { Operand, Row } from '../spec/row.ts';
import { Cpu, Record } from '../state/index.ts';
import { EFFECTS, X87_INTEGER } from './effects.ts';
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
export const READERS = new Set(['cmp', 'test', 'bt', 'push', 'call_rm', 'jmp_rm', 'mul', 'imul1', 'div', 'idiv', 'nop']);
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

/** What a row says of registers, whatever the record. General registers as sets of bits. */
interface Facts {
  readonly touched: number;
  readonly written: number;
  /** Operands that are written: in ModRM's reg field; in its r/m field, or in that where it is a register; or all that the record names. */
  readonly writesReg: boolean;
  readonly writesBase: boolean;
  readonly writesRm: boolean;
  readonly writesNamed: boolean;
  /** Whatever the region touches may be changed. */
  readonly exposed: boolean;
  readonly repeats: boolean;
  readonly simd: boolean;
  readonly x87: boolean;
}

const known = new Map<Row, Facts>();

const bits = (registers: readonly number[]): number => registers.reduce((sum, n) => sum | (1 << n), 0);
const fixed = (operands: readonly Operand[]): number =>
  bits(operands.filter((o) => o.kind === 'fixed').map((o) => (o.size === 8 && o.register >= 4 ? o.register - 4 : o.register)));

function facts(row: Row): Facts {
  const found = known.get(row);
  if (found) return found;
  const { family, helper, operands, unit } = row;
  const effect = helper ? EFFECTS.get(helper) : undefined;
  const implied = bits((helper ? effect?.registers : IMPLIED[family]) ?? []);
  const both = family === 'xchg' || family === 'xadd';
  const results = helper ? [] : operands.filter((_, n) => (n === 0 ? !READERS.has(family) : both));
  const made: Facts = {
    touched: implied | fixed(operands),
    written: implied | fixed(results),
    writesReg: results.some((o) => o.kind === 'r'),
    writesBase: results.some((o) => o.kind === 'rr'),
    writesRm: results.some((o) => o.kind === 'rm'),
    writesNamed: effect !== undefined,
    exposed: helper ? !effect && (unit !== 'x87' || X87_INTEGER.test(helper)) : EXPOSED.has(family),
    repeats: effect?.repeats === true,
    simd: unit === 'simd',
    x87: unit === 'x87' || unit === 'mmx',
  };
  known.set(row, made);
  return made;
}

/** The general register that a field of a record names, as a bit. */
function named(view: DataView, record: number, field: number): number {
  const slot = view.getUint16(record + field, true);
  return slot < GPR_END ? 1 << ((slot - O.gpr) >> 3) : 0;
}

/** General registers that an instruction may write, as bits; those aside that only its helper knows of. */
export function writtenBy({ row, record, memory }: Instruction, view: DataView): number {
  if (!row) return 0;
  const f = facts(row.row);
  let { written } = f;
  if (f.writesReg || f.writesNamed) written |= named(view, record, R.reg);
  if (f.writesBase || f.writesNamed || (f.writesRm && !memory)) written |= named(view, record, R.base);
  if (f.writesNamed) written |= named(view, record, R.index);
  return written;
}

export function usage(region: Region, view: DataView): Usage {
  const segments = new Set<number>();
  let touched = 0;
  let written = 0;
  let [exposed, repeats, simd, x87, callouts] = [false, false, false, false, false];
  for (const block of region.blocks)
    for (const i of block.instructions) {
      const { row, record, callout } = i;
      if (!row) continue;
      const f = facts(row.row);
      touched |= f.touched | named(view, record, R.reg) | named(view, record, R.base) | named(view, record, R.index);
      written |= writtenBy(i, view);
      const segment = view.getUint16(record + R.segment, true);
      if (segment !== 0xffff) segments.add(segment);
      exposed ||= f.exposed;
      repeats ||= f.repeats;
      simd ||= f.simd;
      x87 ||= f.x87;
      callouts ||= callout !== undefined;
    }
  const set = (mask: number): Set<number> => new Set(Array.from({ length: 16 }, (_, n) => n).filter((n) => (mask >> n) & 1));
  return { touched: set(touched), written: set(exposed ? touched : written), simd, x87, segments, repeats, callouts };
}
