/**
 * What the decoder (assembly/decoder.ts) looks instructions up in: the rows as numbers. Done ahead of time (build/core.ts).
 *
 * `index` has the first candidate of each opcode (map << 8 | byte) and, one further, the end of them. A candidate is one row at one opcode:
 * it matches where `key & mask == value`. The key is made from the instruction's modrm byte and the KEY_* bits.
 */
import { FEATURES, type Feature } from '../spec/cpuid.ts';
import type { Operand, Row } from '../spec/row.ts';
import { CALLOUT_ENTRY, CALLOUT_PRIVILEGED, CALLOUT_SENSITIVE } from './callouts.ts';
import { numberedRows, specialHandlers, type NumberedRow } from './handlers.ts';

/** Constants that the generated file hands on to the decoder. */
export const OPCODE_CONSTANTS = {
  /** modrm.mod is 3. */
  KEY_REGISTER: 1 << 8,
  KEY_LONG: 1 << 9,
  KEY_REXW: 1 << 10,
  KEY_REXB: 1 << 11,
  /** Two bits: the mandatory prefix that counts, 0 none, 1 66, 2 F3, 3 F2. */
  KEY_PREFIX_SHIFT: 12,

  CANDIDATE_SIZE: 12,
  CANDIDATE_MASK: 0,
  CANDIDATE_VALUE: 2,
  /** First handler of the row (handlers.ts). */
  CANDIDATE_BASE: 4,
  /** A number of FEATURES, or NO_FEATURE. */
  CANDIDATE_FEATURE: 6,
  CANDIDATE_SIZES: 7,
  CANDIDATE_IMMEDIATES: 8,
  CANDIDATE_REG: 9,
  CANDIDATE_RM: 10,
  CANDIDATE_EXTRA: 11,

  NO_FEATURE: 255,

  // CANDIDATE_SIZES: which operand sizes there are variants of, in order, and how the size comes about.
  SIZES_MASK: 3,
  SIZES_NONE: 0,
  SIZES_16_32_64: 1,
  SIZES_32_64: 2,
  /** 64 bits in 64-bit mode: always, by default. */
  SIZE_F64: 4,
  SIZE_D64: 8,
  /** 66 is part of the opcode. */
  SIZE_FIXED: 16,
  /** It may be locked if its operand is in memory. */
  LOCKABLE: 32,
  ENDS_BLOCK: 64,
  HAS_MODRM: 128,

  // CANDIDATE_IMMEDIATES
  IMMEDIATES_NONE: 0,
  IMMEDIATES_BYTE: 1,
  IMMEDIATES_SIGNED_BYTE: 2,
  IMMEDIATES_WORD: 3,
  IMMEDIATES_Z: 4,
  IMMEDIATES_V: 5,
  IMMEDIATES_OFFSET: 6,
  IMMEDIATES_POINTER: 7,
  IMMEDIATES_WORD_BYTE: 8,

  // CANDIDATE_REG, CANDIDATE_RM: what kind of register is named there.
  OPERAND_NONE: 0,
  OPERAND_GPR: 1,
  OPERAND_GPR8: 2,
  OPERAND_XMM: 3,
  OPERAND_MM: 4,
  /** modrm.rm is a register whatever modrm.mod is (MOV to and from control and debug registers). */
  RM_REGISTER: 8,
  /** The register is in the opcode's low bits. */
  REG_OPCODE: 16,

  // SPECIALS, a byte for each handler from SPECIAL_FIRST to SPECIAL_CALLOUTS: CALLOUT_*, and GROUP_* above SPECIAL_GROUP bits.
  CALLOUT_PRIVILEGED,
  CALLOUT_SENSITIVE,
  CALLOUT_ENTRY,
  SPECIAL_GROUP: 4,

  // CANDIDATE_EXTRA: what `Record.extra` is.
  EXTRA_SECOND: 0,
  EXTRA_REG: 1,
  EXTRA_RM: 2,
  EXTRA_OPCODE: 3,
} as const;

const C = OPCODE_CONSTANTS;
const MANDATORY = { NP: 0, '66': 1, F3: 2, F2: 3 } as const;

/** `needs=` names a feature with or without its underscores. */
function featureOf(row: Row): number {
  if (row.needs === undefined) return C.NO_FEATURE;
  const plain = (s: string): string => s.replaceAll('_', '');
  const name = (Object.keys(FEATURES) as Feature[]).find((f) => plain(f) === plain(row.needs!));
  if (name === undefined) throw new Error(`row "${row.text}": no feature "${row.needs}"`);
  return FEATURES[name];
}

function registerKind(operand: Operand): number {
  if (operand.kind.startsWith('xmm')) return C.OPERAND_XMM;
  if (operand.kind.startsWith('mm')) return C.OPERAND_MM;
  return operand.size === 8 ? C.OPERAND_GPR8 : C.OPERAND_GPR;
}

/** The last operand that is held in modrm.reg (or the opcode), or in modrm.rm. */
function operandIn(row: Row, kinds: readonly Operand['kind'][]): number {
  const operand = row.operands.findLast((o) => kinds.includes(o.kind));
  return operand ? registerKind(operand) : C.OPERAND_NONE;
}

function sizesOf({ row, sizes }: NumberedRow): number {
  const kind = sizes[0] === 0 ? C.SIZES_NONE : sizes[0] === 16 ? C.SIZES_16_32_64 : C.SIZES_32_64;
  return (
    kind |
    (row.f64 ? C.SIZE_F64 : 0) |
    (row.d64 ? C.SIZE_D64 : 0) |
    (row.prefix === '66' ? C.SIZE_FIXED : 0) |
    (row.lock && row.operands[0]?.kind !== 'r' ? C.LOCKABLE : 0) |
    (row.end ? C.ENDS_BLOCK : 0) |
    (row.modrm ? C.HAS_MODRM : 0)
  );
}

function immediatesOf(row: Row): number {
  const signed = row.operands.some((o) => o.kind === 'imms' || o.kind === 'rel');
  const kinds: Record<string, number> = {
    '': C.IMMEDIATES_NONE,
    b: signed ? C.IMMEDIATES_SIGNED_BYTE : C.IMMEDIATES_BYTE,
    w: C.IMMEDIATES_WORD,
    z: C.IMMEDIATES_Z,
    v: C.IMMEDIATES_V,
    o: C.IMMEDIATES_OFFSET,
    p: C.IMMEDIATES_POINTER,
    wb: C.IMMEDIATES_WORD_BYTE,
  };
  const kind = kinds[row.immediates.join('')];
  if (kind === undefined) throw new Error(`row "${row.text}": the decoder does not know these immediates`);
  return kind;
}

function extraOf(row: Row): number {
  if (row.unit === 'x87' && !row.modrm) return C.EXTRA_OPCODE;
  const numbered = row.operands.findLast((o) => o.kind === 'sreg' || o.kind === 'cr' || o.kind === 'dr' || o.kind === 'sti');
  return numbered === undefined ? C.EXTRA_SECOND : numbered.kind === 'sti' ? C.EXTRA_RM : C.EXTRA_REG;
}

/** What the key must be for a row, as [mask, value]. */
function condition(row: Row, byte: number): readonly [number, number] {
  let mask = 0;
  let value = 0;
  const must = (bits: number, are: number): void => {
    mask |= bits;
    value |= are;
  };
  if (row.i64) must(C.KEY_LONG, 0);
  if (row.o64) must(C.KEY_LONG, C.KEY_LONG);
  if (row.prefix !== undefined) must(3 << C.KEY_PREFIX_SHIFT, MANDATORY[row.prefix] << C.KEY_PREFIX_SHIFT);
  if (row.rexW) must(C.KEY_REXW, C.KEY_REXW);
  if (row.modrm) {
    if (row.digit !== undefined) must(7 << 3, row.digit << 3);
    if (row.form && !registerAlways(row)) must(C.KEY_REGISTER, row.form === 'r' ? C.KEY_REGISTER : 0);
    if (row.fixedModrm !== undefined) must(row.plusI ? 0xf8 : 0xff, row.fixedModrm);
  }
  // 90 is NOP unless REX.B makes it an exchange with another register.
  if (row.map === 0 && byte === 0x90 && row.prefix === undefined) must(C.KEY_REXB, row.plusR ? C.KEY_REXB : 0);
  return [mask, value];
}

/** MOV to and from control and debug registers (vol. 2, "MOV—Move to/from Control Registers"). */
const registerAlways = (row: Row): boolean => row.operands.some((o) => o.kind === 'cr' || o.kind === 'dr');

/** A candidate's bytes. */
function candidate(numbered: NumberedRow, byte: number): Uint8Array {
  const { row, base } = numbered;
  const bytes = new Uint8Array(C.CANDIDATE_SIZE);
  const view = new DataView(bytes.buffer);
  const [mask, value] = condition(row, byte);
  view.setUint16(C.CANDIDATE_MASK, mask, true);
  view.setUint16(C.CANDIDATE_VALUE, value, true);
  view.setUint16(C.CANDIDATE_BASE, base, true);
  view.setUint8(C.CANDIDATE_FEATURE, featureOf(row));
  view.setUint8(C.CANDIDATE_SIZES, sizesOf(numbered));
  view.setUint8(C.CANDIDATE_IMMEDIATES, immediatesOf(row));
  view.setUint8(C.CANDIDATE_REG, operandIn(row, ['r', 'xmm', 'mm']) | (row.plusR ? C.REG_OPCODE : 0));
  view.setUint8(C.CANDIDATE_RM, operandIn(row, ['rm', 'rr', 'xmmrm', 'mmrm']) | (registerAlways(row) ? C.RM_REGISTER : 0));
  view.setUint8(C.CANDIDATE_EXTRA, extraOf(row));
  return bytes;
}

/** The more specific rows of an opcode come first. */
const specific = ({ row }: NumberedRow): number =>
  Number(row.prefix !== undefined) * 8 + Number(row.rexW) * 4 + Number(row.fixedModrm !== undefined) * 2 + Number(!row.plusR);

export interface OpcodeTables {
  readonly index: readonly number[];
  readonly candidates: readonly number[];
  /** Of handlers with call-outs: where they and the call-outs begin, and SPECIALS. */
  readonly first: number;
  readonly callouts: number;
  readonly specials: readonly number[];
}

export function opcodeTables(): OpcodeTables {
  const rows: NumberedRow[][] = Array.from({ length: 4 * 256 }, () => []);
  for (const numbered of numberedRows()) {
    const { map, opcode, plusR } = numbered.row;
    for (let byte = opcode; byte <= opcode + (plusR ? 7 : 0); byte++) rows[(map << 8) | byte]!.push(numbered);
  }
  const index = [0];
  const candidates: number[] = [];
  rows.forEach((of, opcode) => {
    for (const numbered of of.toSorted((a, b) => specific(b) - specific(a))) candidates.push(...candidate(numbered, opcode & 0xff));
    index.push(candidates.length / C.CANDIDATE_SIZE);
  });
  const { first, callouts } = specialHandlers();
  const specials = Array.from({ length: callouts - first }, () => 0);
  for (const { base, sizes, callout } of numberedRows())
    if (callout) specials.fill(callout.kind | (callout.group << C.SPECIAL_GROUP), base - first, base - first + 2 * sizes.length);
  return { index, candidates, first, callouts, specials };
}
