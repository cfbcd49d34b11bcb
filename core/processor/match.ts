/** From bytes to a row and its operands' encodings (Intel SDM vol. 2, chapter 2). The only decoder: records and disassembly are made from it. */
import { FEATURES, type Feature } from '../spec/cpuid.ts';
import type { Row } from '../spec/row.ts';
import {
  CODE_16,
  CODE_32,
  CODE_64,
  PREFIX_ADDRESS,
  PREFIX_LOCK,
  PREFIX_OPERAND,
  PREFIX_REP,
  PREFIX_REPNE,
  PREFIX_REXW,
} from '../state/index.ts';
import { ROWS, type NumberedRow } from './handlers.ts';

export const LENGTH_MAX = 15;

/** Gives byte `i` of the instruction; throws where it cannot be fetched. */
export type Fetch = (i: number) => number;

/** What was found; one object is reused for all instructions. */
export class Instruction {
  /** Undefined: no row matches (#UD). */
  row: NumberedRow | undefined;
  /** Longer than 15 bytes (#GP). */
  tooLong = false;
  length = 0;
  prefixes = 0;
  /** Operand size of the variant: 0 where the row has none. */
  size: 0 | 16 | 32 | 64 = 0;
  memory = false;
  /** 16, 32 or 64. */
  addressSize = 32;
  rex = 0;
  /** The opcode as map << 8 | byte, for naming what is not implemented. */
  opcode = 0;
  modrm = 0;
  /** Register number of modrm.reg or of the opcode, REX included. */
  reg = 0;
  /** Register number of modrm.rm (register form). */
  rm = 0;
  /** Base and index registers, -1: none; -2: RIP (base only). */
  base = -1;
  index = -1;
  scale = 0;
  /** 64 bits in two halves. */
  displacementLow = 0;
  displacementHigh = 0;
  immediateLow = 0;
  immediateHigh = 0;
  /** Second immediate, or selector of a far pointer. */
  second = 0;
  /** Segment override (ES..GS), or -1. */
  override = -1;
  /** The segment used by a memory operand. */
  segment = 3;
}

/** `needs=` names a feature with or without its underscores; several are joined by a comma: any will do. */
function offered(needs: string | undefined, has: (feature: Feature) => boolean): boolean {
  if (needs === undefined) return true;
  const plain = (s: string): string => s.replaceAll(/[_.]/g, '');
  return needs.split(',').some((n) => (Object.keys(FEATURES) as Feature[]).some((f) => plain(f) === plain(n) && has(f)));
}

const PREFIX_ANY = -1;
const MANDATORY = { NP: 0, '66': PREFIX_OPERAND, F3: PREFIX_REP, F2: PREFIX_REPNE } as const;

/** A row as the matcher compares it: numbers only. */
class Candidate {
  readonly numbered: NumberedRow;
  readonly row: Row;
  /** MANDATORY, or PREFIX_ANY. */
  readonly prefix: number;
  readonly digit: number;
  /** 0 any, 1 register only, 2 memory only. */
  readonly form: 0 | 1 | 2;
  /** modrm under `modrmMask`; -1: any. */
  readonly fixedModrm: number;
  readonly modrmMask: number;
  /** MOV to and from control and debug registers: whatever modrm.mod is, modrm.rm is a register (vol. 2, "MOV—Move to/from Control Registers"). */
  readonly registerAlways: boolean;
  /** A byte immediate is sign-extended. */
  readonly signedByte: boolean;
  /** XCHG rAX, r of opcode 90, or NOP there: 90 is NOP unless REX.B makes it another register. */
  readonly nop: 'xchg' | 'nop' | undefined;

  constructor(numbered: NumberedRow, byte: number) {
    const { row } = (this.numbered = numbered);
    this.row = row;
    this.prefix = row.prefix === undefined ? PREFIX_ANY : MANDATORY[row.prefix];
    this.digit = row.digit ?? -1;
    this.registerAlways = row.operands.some((o) => o.kind === 'cr' || o.kind === 'dr');
    this.form = this.registerAlways || !row.form ? 0 : row.form === 'r' ? 1 : 2;
    this.fixedModrm = row.fixedModrm ?? -1;
    this.modrmMask = row.plusI ? 0xf8 : 0xff;
    this.signedByte = row.operands.some((o) => o.kind === 'imms' || o.kind === 'rel');
    this.nop = row.map === 0 && byte === 0x90 ? (row.plusR ? 'xchg' : row.prefix === undefined ? 'nop' : undefined) : undefined;
  }
}

/** Opcode tables of a CPU model: map << 8 | opcode -> candidates, the more specific first. */
function buildTable(has: (feature: Feature) => boolean): Candidate[][] {
  const table: Candidate[][] = Array.from({ length: 4 * 256 }, () => []);
  for (const r of ROWS) {
    if (!offered(r.row.needs, has)) continue;
    const last = r.row.opcode + (r.row.plusR ? 7 : 0);
    for (let byte = r.row.opcode; byte <= last; byte++) table[(r.row.map << 8) | byte]!.push(new Candidate(r, byte));
  }
  const specific = ({ row }: Candidate): number =>
    Number(row.prefix !== undefined) * 8 + Number(row.rexW) * 4 + Number(row.fixedModrm !== undefined) * 2 + Number(!row.plusR);
  for (const candidates of table) candidates.sort((a, b) => specific(b) - specific(a));
  return table;
}

const LEGACY_SEGMENT: Record<number, number> = { 0x26: 0, 0x2e: 1, 0x36: 2, 0x3e: 3, 0x64: 4, 0x65: 5 };

/** Rows with a mandatory prefix apply with it only; `active` is the one that counts: F2 and F3 win over 66. */
function applies(c: Candidate, active: number, rex: number, modrm: number, long: boolean): boolean {
  const { row } = c;
  if (long ? row.i64 : row.o64) return false;
  if (c.prefix !== PREFIX_ANY && c.prefix !== active) return false;
  if (row.rexW && !(rex & 8)) return false;
  if (row.modrm) {
    if (c.digit >= 0 && c.digit !== ((modrm >> 3) & 7)) return false;
    if (c.form === 1 ? modrm < 0xc0 : c.form === 2 && modrm >= 0xc0) return false;
    if (c.fixedModrm >= 0 && (modrm & c.modrmMask) !== c.fixedModrm) return false;
  }
  return c.nop === undefined || (c.nop === 'xchg') === ((rex & 1) !== 0);
}

/** Matches instructions for one CPU model. */
export class Matcher {
  readonly #table: Candidate[][];
  readonly #fetch: Fetch;
  readonly #out = new Instruction();
  #at = 0;

  constructor(fetch: Fetch, has: (feature: Feature) => boolean) {
    this.#fetch = fetch;
    this.#table = buildTable(has);
  }

  #u8(): number {
    if (this.#at >= LENGTH_MAX) throw TOO_LONG;
    return this.#fetch(this.#at++);
  }
  #s8(): number {
    return (this.#u8() << 24) >> 24;
  }
  #u16(): number {
    return this.#u8() | (this.#u8() << 8);
  }
  #u32(): number {
    return this.#u16() | (this.#u16() << 16);
  }

  /** Decodes one instruction for CODE_16, CODE_32 or CODE_64. Whatever `fetch` throws goes through. */
  match(mode: number): Instruction {
    const out = this.#out;
    out.row = undefined;
    out.tooLong = false;
    this.#at = 0;
    try {
      this.#instruction(out, mode);
    } catch (e) {
      if (e !== TOO_LONG) throw e;
      out.row = undefined;
      out.tooLong = true;
    }
    out.length = this.#at;
    return out;
  }

  #instruction(out: Instruction, mode: number): void {
    const long = mode === CODE_64;
    let prefixes = 0;
    let rex = 0;
    out.override = -1;
    let byte: number;
    for (;;) {
      byte = this.#u8();
      const segment = LEGACY_SEGMENT[byte];
      if (segment !== undefined) {
        if (!long || segment >= 4) out.override = segment;
      } else if (byte === 0x66) prefixes |= PREFIX_OPERAND;
      else if (byte === 0x67) prefixes |= PREFIX_ADDRESS;
      else if (byte === 0xf0) prefixes |= PREFIX_LOCK;
      else if (byte === 0xf2) prefixes = (prefixes & ~PREFIX_REP) | PREFIX_REPNE;
      else if (byte === 0xf3) prefixes = (prefixes & ~PREFIX_REPNE) | PREFIX_REP;
      else if (long && (byte & 0xf0) === 0x40) {
        // A REX prefix counts only right before the opcode.
        rex = byte;
        continue;
      } else break;
      rex = 0;
    }
    if (rex & 8) prefixes |= PREFIX_REXW;
    out.prefixes = prefixes;
    out.rex = rex;
    const addressFlip = (prefixes & PREFIX_ADDRESS) !== 0;
    out.addressSize = long ? (addressFlip ? 32 : 64) : (mode === CODE_32) !== addressFlip ? 32 : 16;
    let map = 0;
    if (byte === 0x0f) {
      byte = this.#u8();
      map = 1;
      if (byte === 0x38 || byte === 0x3a) {
        map = byte === 0x38 ? 2 : 3;
        byte = this.#u8();
      }
    }
    out.opcode = (map << 8) | byte;
    const candidates = this.#table[out.opcode]!;
    // Whether there is a modrm byte is a matter of the opcode alone, but for a few (90) whose specific rows have none.
    const modrm = candidates.length > 0 && candidates[0]!.row.modrm ? this.#u8() : 0;
    out.modrm = modrm;
    const active = prefixes & PREFIX_REPNE || prefixes & PREFIX_REP || prefixes & PREFIX_OPERAND;
    let found: Candidate | undefined;
    for (const c of candidates)
      if (applies(c, active, rex, modrm, long)) {
        found = c;
        break;
      }
    if (!found) return;
    const { row } = found;
    out.memory = row.modrm && modrm < 0xc0 && !found.registerAlways;
    out.segment = out.override >= 0 ? out.override : 3;
    out.base = -1;
    out.index = -1;
    out.scale = 0;
    out.displacementLow = out.displacementHigh = 0;
    if (row.modrm) {
      out.reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
      if (out.memory) this.#memory(out, modrm, mode);
      else out.rm = (modrm & 7) | ((rex & 1) << 3);
    } else if (row.plusR) out.reg = (byte & 7) | ((rex & 1) << 3);
    this.#size(out, found.numbered, mode);
    this.#immediates(out, found, mode);
    if (prefixes & PREFIX_LOCK && !(row.lock && out.memory && row.operands[0]?.kind !== 'r')) return;
    out.row = found.numbered;
  }

  #size(out: Instruction, { row, sizes }: NumberedRow, mode: number): void {
    if (sizes[0] === 0) {
      out.size = 0;
      return;
    }
    const long = mode === CODE_64;
    const flip = (out.prefixes & PREFIX_OPERAND) !== 0 && row.prefix !== '66';
    if (long) out.size = row.f64 ? 64 : out.rex & 8 ? 64 : row.d64 ? (flip ? 16 : 64) : flip ? 16 : 32;
    else out.size = (mode === CODE_16) === flip ? 32 : 16;
    if (!sizes.includes(out.size)) out.size = sizes[0]!;
  }

  #memory(out: Instruction, modrm: number, mode: number): void {
    const mod = modrm >> 6;
    const rm = modrm & 7;
    let displacement = 0;
    let stack = false;
    if (out.addressSize === 16) {
      const BASES = [3, 3, 5, 5, 6, 7, 5, 3];
      const INDICES = [6, 7, 6, 7, -1, -1, -1, -1];
      out.base = BASES[rm]!;
      out.index = INDICES[rm]!;
      stack = out.base === 5;
      if (mod === 0 && rm === 6) {
        out.base = -1;
        stack = false;
        displacement = this.#u16();
      } else if (mod === 1) displacement = this.#s8();
      else if (mod === 2) displacement = this.#u16();
    } else {
      if (rm === 4) {
        const sib = this.#u8();
        const index = ((sib >> 3) & 7) | ((out.rex & 2) << 2);
        if (index !== 4) out.index = index;
        out.scale = out.index < 0 ? 0 : sib >> 6;
        if ((sib & 7) === 5 && mod === 0) displacement = this.#u32();
        else {
          out.base = (sib & 7) | ((out.rex & 1) << 3);
          stack = out.base === 4 || out.base === 5;
        }
      } else if (rm === 5 && mod === 0) {
        displacement = this.#u32();
        if (mode === CODE_64) out.base = -2;
      } else {
        out.base = rm | ((out.rex & 1) << 3);
        stack = out.base === 5;
      }
      if (mod === 1) displacement = this.#s8();
      else if (mod === 2) displacement = this.#u32();
    }
    out.displacementLow = displacement;
    out.displacementHigh = displacement >> 31;
    if (stack && out.override < 0) out.segment = 2;
  }

  #immediates(out: Instruction, { row, signedByte }: Candidate, mode: number): void {
    out.immediateLow = out.immediateHigh = out.second = 0;
    for (let n = 0; n < row.immediates.length; n++) {
      let low = 0;
      let high = 0;
      switch (row.immediates[n]) {
        case 'b': {
          low = signedByte ? this.#s8() : this.#u8();
          high = signedByte ? low >> 31 : 0;
          break;
        }
        case 'w':
          low = this.#u16();
          break;
        case 'd':
          low = this.#u32();
          high = low >> 31;
          break;
        case 'z': {
          // The displacement of a near branch is 32 bits wide in 64-bit mode whatever the prefixes say.
          const narrow = out.size === 16 && !(mode === CODE_64 && row.f64);
          low = narrow ? (this.#u16() << 16) >> 16 : this.#u32();
          high = low >> 31;
          break;
        }
        case 'v':
          if (out.size === 16) low = this.#u16();
          else {
            low = this.#u32();
            if (out.size === 64) high = this.#u32();
          }
          break;
        case 'o':
          out.displacementLow = out.addressSize === 16 ? this.#u16() : this.#u32();
          out.displacementHigh = out.addressSize === 64 ? this.#u32() : 0;
          return;
        case 'p':
          low = out.size === 16 ? this.#u16() : this.#u32();
          out.second = this.#u16();
          break;
      }
      if (n === 0) {
        out.immediateLow = low;
        out.immediateHigh = high;
      } else out.second = low;
    }
  }
}

const TOO_LONG = new Error('longer than 15 bytes');
