/** Random instructions that compute: made from the rows, so that none is forgotten. They leave pointers and the stack pointer alone. */
import { parseRows, rowSets, variants, type Operand, type Row } from '../../core/spec/index.ts';
import { le, type Assembler } from './assembler.ts';
import * as P from './places.ts';

export type Random = (below: number) => number;
/** How code is decoded. */
export type Mode = 16 | 32 | 64;

/** Not drawn: what transfers control, moves the stack pointer, changes what the rest relies on, or is somebody else's business. */
const NOT_HELPERS =
  /^(push_|pop_|l[defgs]s$|mov_sreg|cli|sti|popf|pushf|hlt|iret|in_|out_|rdpmc|cpuid|wr[fg]sbase|x?setbv|swapgs|stac|clac|clflush|l[gi]dt|lldt|ltr|invlpg|invpcid|wrmsr|rdmsr|mov_to|mov_from|clts|lmsw|wbinvd|xgetbv|rdtscp)/;
const NOT_FAMILIES = new Set([
  'jcc', 'jmp', 'jmp_rm', 'call', 'call_rm', 'ret', 'loop', 'loope', 'loopne', 'jcxz', 'pop', 'popa', 'pusha', 'enter', 'leave', 'undefined',
  'cmpxchg8b', 'cmpxchg16b', 'std',
]); // prettier-ignore

const usable = (row: Row): boolean => {
  if (row.end || row.io || row.class === 'privileged') return false;
  if (row.helper ? NOT_HELPERS.test(row.helper) : NOT_FAMILIES.has(row.family)) return false;
  if (row.operands.some((o) => ['sreg', 'cr', 'dr', 'ptr', 'mptr', 'rel', 'moffs'].includes(o.kind))) return false;
  return !(row.family === 'push' && row.modrm && row.digit === 6);
};

const ALL = rowSets.flatMap(parseRows).filter(usable);
/** Rows by mode, and by what they are about: general, x87 and MMX, SSE. */
const GROUPS = new Map(
  ([16, 32, 64] as const).map((mode) => {
    const rows = ALL.filter((row) => (mode === 64 ? !row.i64 : !row.o64 && !row.rexW));
    const plain = rows.filter((row) => row.unit === 'integer' && row.helper === undefined);
    return [
      mode,
      {
        // What programs mostly consist of, more often.
        common: plain.filter((row) =>
          /^(ADD|SUB|CMP|MOV|AND|OR|XOR|TEST|INC|DEC|LEA|MOVZX|ADC|SBB|SH[LR]|SAR|NEG|NOT|IMUL)$/.test(row.mnemonic),
        ),
        plain,
        other: rows.filter((row) => row.unit === 'integer' && row.helper !== undefined),
        x87: rows.filter((row) => row.unit === 'x87' || row.unit === 'mmx'),
        simd: rows.filter((row) => row.unit === 'simd'),
      },
    ] as const;
  }),
);

export type Group = 'common' | 'plain' | 'other' | 'x87' | 'simd';

const POINTERS32 = [3, 5, 6, 7];
const POINTERS64 = [3, 5, 6, 7, 12, 13];
export const pointers = (mode: Mode): readonly number[] => (mode === 64 ? POINTERS64 : POINTERS32);
/** Registers that hold any value. */
export const computing = (mode: Mode): readonly number[] => (mode === 64 ? [0, 2, 8, 9, 10, 11, 14, 15, 1] : [0, 2, 0, 2, 1]);

const ALU = [0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39, 0x85, 0x89];
const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x0f, 0x10, 0x55];

export class Instructions {
  readonly #random: Random;
  readonly mode: Mode;
  readonly #a: Assembler;

  constructor(a: Assembler, random: Random, mode: Mode) {
    this.#a = a;
    this.#random = random;
    this.mode = mode;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.#random(of.length)]!;
  }
  one(in_: number): boolean {
    return this.#random(in_) === 0;
  }

  immediate(bytes: number): number[] {
    const value = this.one(3)
      ? this.#random(0x1_0000_0000) | 0
      : this.one(2)
        ? this.#random(256) - 128
        : (1 << this.#random(31)) - this.#random(2);
    if (bytes === 1) return [this.one(2) ? this.pick(BYTES) : value & 255];
    if (bytes === 8) return [...le(value), ...(this.one(2) ? le(this.#random(0x1_0000_0000) | 0) : le(value >> 31))];
    return le(value, bytes);
  }

  /** An address that means something: mostly one that may be used. */
  place(): { low: number; high: boolean } {
    const high = this.mode === 64 && this.one(12);
    const random = this.#random;
    const inside = (): number => random(0x100) * 16;
    const edge = (): number => 0xff0 + random(16);
    switch (random(20)) {
      case 0:
      case 1:
        // Across pages that may both be used
        return { low: P.DATA + random(3) * P.PAGE + edge(), high };
      case 2:
        return { low: P.FIXED_WRITE + (this.one(2) ? inside() : edge()), high };
      case 3:
        return { low: P.FIXED_ABSENT - random(16), high };
      case 4:
        return { low: this.pick([P.READ_ONLY, P.ABSENT, P.SUPERVISOR]) + (this.one(2) ? inside() : -random(16)), high };
      case 5:
        return { low: P.DATA_ALIAS + random(4) * P.PAGE + inside(), high };
      case 6:
        return this.one(2)
          ? { low: this.pick([P.CODE, P.CODE_ALIAS, P.EXECUTE_ALIAS]) + random(0x800), high }
          : { low: P.MMIO + inside(), high };
      default:
        return { low: P.DATA + random(4) * P.PAGE + inside(), high };
    }
  }

  /** mov pointer, address: its own step, or part of one. */
  point(register: number): void {
    const { low, high } = this.place();
    const a = this.#a;
    const rexB = register >> 3;
    if (this.mode === 16) a.put(0x66);
    if (high) a.put(0x48 | rexB, 0xb8 | (register & 7), ...le(low), ...le(0xffff8000));
    else a.put(...(rexB ? [0x41] : []), 0xb8 | (register & 7), ...le(low));
  }

  /** A random instruction, with what has to come before it; leaves the step open. */
  put(group: Group): void {
    const a = this.#a;
    const { mode } = this;
    const row = this.pick(GROUPS.get(mode)![group]);
    const sizes = variants(row).filter((size) => (mode === 64 ? !((row.d64 || row.f64) && size === 32) : size !== 64));
    const size = sizes.length > 0 ? (this.one(4) ? this.pick(sizes) : sizes.includes(32) ? (mode === 64 && sizes.includes(64) && this.one(2) ? 64 : 32) : sizes[sizes.length - 1]!) : 0; // prettier-ignore
    const memory = row.modrm && row.fixedModrm === undefined && row.form !== 'r' && (row.form === 'm' || this.one(3));
    const prefixes: number[] = [];
    let rex = 0;
    if (mode === 16 ? size === 32 : size === 16) prefixes.push(0x66);
    if (row.prefix !== undefined && row.prefix !== 'NP') prefixes.push(parseInt(row.prefix, 16));
    if (mode === 64 && (row.rexW || (size === 64 && !row.d64 && !row.f64))) rex |= 0x48;
    const byRex = mode === 64 && this.one(2);
    const inReg = row.operands.find((o) => o.kind === 'r' || o.kind === 'xmm' || o.kind === 'mm');
    const inRm = row.operands.find((o) => o.kind === 'rm' || o.kind === 'rr' || o.kind === 'xmmrm' || o.kind === 'mmrm');
    if (byRex && [inReg?.size, inRm?.size].includes(8)) rex |= 0x40;
    let reg = this.#register(inReg, (rex & 0x40) !== 0);
    const opcode = [...(row.map > 0 ? [0x0f] : []), ...(row.map === 2 ? [0x38] : row.map === 3 ? [0x3a] : []), row.opcode];
    if (row.plusR) {
      if (reg > 7) rex |= 0x41;
      opcode[opcode.length - 1]! |= reg & 7;
    }
    const lock = row.lock && memory && this.one(8);
    const body: number[] = [];
    /** Offset of a RIP-relative displacement in the body, and what it is to reach. */
    let relative: { at: number; to: number } | undefined;
    if (row.fixedModrm !== undefined) body.push(row.plusI ? row.fixedModrm | this.#random(8) : row.fixedModrm);
    else if (row.modrm) {
      if (row.digit !== undefined) reg = row.digit;
      else if (reg > 7) rex |= 0x44;
      const field = (reg & 7) << 3;
      if (memory) {
        const indexed = this.#memory(row, inReg, field, prefixes, body);
        rex |= indexed.rex;
        relative = indexed.relative;
      } else {
        const rm = this.#register(inRm, (rex & 0x40) !== 0);
        if (rm > 7) rex |= 0x41;
        body.push(0xc0 | field | (rm & 7));
      }
    }
    if (rex && mode === 64) rex |= 0x40;
    // With REX there are no AH, CH, DH and BH: what was drawn as one of them is drawn again.
    const before = row.immediates.length;
    const immediates = row.immediates.flatMap((letter) => {
      if (letter === 'b') {
        if (/^(RO|RC|SH|SA|PS)/.test(row.mnemonic)) return [this.one(2) ? this.#random(34) : this.#random(256)];
        return this.immediate(1);
      }
      if (letter === 'w') return this.immediate(2);
      if (letter === 'v' && size === 64) return this.immediate(8);
      return this.immediate(size === 16 && letter !== 'd' ? 2 : 4);
    });
    a.put(...(lock ? [0xf0] : []), ...prefixes, ...(rex && mode === 64 ? [rex] : []), ...opcode);
    if (relative) {
      a.put(...body.slice(0, relative.at))
        .fix('rel32', { address: relative.to, add: -immediates.length })
        .put(...body.slice(relative.at + 4));
    } else a.put(...body);
    a.put(...immediates);
    if (before > 0 && immediates.length > 0) {
      const last = immediates.length;
      a.site(last, [immediates, ...Array.from({ length: 3 }, () => [...immediates.slice(0, -1), this.#random(256)])]);
    } else if (!memory && row.map === 0 && ALU.includes(row.opcode)) {
      a.site(2, ALU.map((code) => [code, body[0]!])); // prettier-ignore
    }
  }

  #register(o: Operand | undefined, rex: boolean): number {
    if (o === undefined) return 0;
    if (o.kind === 'mm' || o.kind === 'mmrm') return this.#random(8);
    if (o.kind === 'xmm' || o.kind === 'xmmrm') return this.#random(this.mode === 64 ? 16 : 8);
    const r = this.pick(computing(this.mode));
    if (o.size === 8 && r < 8 && !rex) return this.mode === 64 ? this.pick([0, 2]) : this.pick([0, 1, 2, 4, 6]);
    return r;
  }

  /** A memory operand: puts what must come before it into the step, prefixes and bytes from modrm on into the lists. */
  #memory(
    row: Row,
    inReg: Operand | undefined,
    field: number,
    prefixes: number[],
    body: number[],
  ): { rex: number; relative?: { at: number; to: number } } {
    const { mode } = this;
    const a = this.#a;
    const random = this.#random;
    const base = this.pick(pointers(mode));
    if (mode === 16) prefixes.push(0x67);
    // A bit's number reaches any address.
    if (/^BT/.test(row.mnemonic) && inReg) for (const r of computing(mode)) if (r < 8 && !this.one(4)) a.put(...(mode === 16 ? [0x66] : []), 0xb8 | r, ...le(random(200))); // prettier-ignore
    const small = this.one(2) ? random(8) * 16 - 64 : random(128) - 64;
    const low = base & 7;
    const rexB = base > 7 ? 0x41 : 0;
    const way = random(24);
    if (way < 11 || mode === 16) {
      // [base + disp8]; R12 needs a SIB byte
      body.push(0x40 | field | low, ...(low === 4 ? [0x24] : []), small & 255);
      return { rex: rexB };
    }
    if (way < 13) {
      body.push(0x80 | field | low, ...(low === 4 ? [0x24] : []), ...le(small * 4));
      return { rex: rexB };
    }
    if (way < 17) {
      const index = this.pick([0, 2, ...(mode === 64 ? [9, 14] : [])]);
      a.put(...(index > 7 ? [0x41] : []), 0xb8 | (index & 7), ...le(random(40) - 4));
      body.push(0x40 | field | 4, (random(4) << 6) | ((index & 7) << 3) | low, small & 255);
      return { rex: rexB | (index > 7 ? 0x42 : 0) };
    }
    const there = this.place().low;
    if (way < 19) {
      body.push(...(mode === 64 ? [field | 4, 0x25] : [field | 5]), ...le(there));
      return { rex: 0 };
    }
    if (way < 20) {
      body.push(0x44 | field, 0x24, (random(16) * 8) & 255);
      return { rex: 0 };
    }
    if (way < 22) {
      prefixes.push(this.pick([0x64, 0x65, 0x64, 0x65, 0x26, 0x36, 0x3e, 0x2e]));
      body.push(0x40 | field | low, ...(low === 4 ? [0x24] : []), small & 255);
      return { rex: rexB };
    }
    if (mode === 64 && way === 22) {
      body.push(field | 5, 0, 0, 0, 0);
      return { rex: 0, relative: { at: 1, to: there } };
    }
    if (mode === 64) prefixes.push(0x67);
    body.push(0x40 | field | low, ...(low === 4 ? [0x24] : []), small & 255);
    return { rex: rexB };
  }
}
