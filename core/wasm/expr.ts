/**
 * Expressions: trees of instructions, folded where both sides are known. An expression is evaluated where it is emitted, as often as it is
 * emitted: bind it to a local (`FunctionBuilder.let`) to fix its value and its place in the order of effects.
 */
import type { Bytes, Late } from './bytes.ts';
import { OPS, type OpName } from './ops.ts';

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export const TYPE_CODE: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const LETTER: Record<string, Type> = { i: 'i32', I: 'i64', f: 'f32', F: 'f64', V: 'v128' };

export interface Expr {
  readonly type: Type;
  /** The value, where it is a constant. i64: a safe integer or a bigint. */
  readonly value?: number | bigint;
  emit(out: Bytes): void;
}

class Const implements Expr {
  readonly type: Type;
  readonly value: number | bigint;
  constructor(type: Type, value: number | bigint) {
    this.type = type;
    this.value = value;
  }
  emit(out: Bytes): void {
    if (this.type === 'i32') {
      out.u8(0x41);
      out.s32(this.value as number);
    } else if (this.type === 'i64') {
      out.u8(0x42);
      out.s64(this.value);
    } else if (this.type === 'f32') {
      out.u8(0x43);
      out.f32(this.value as number);
    } else {
      out.u8(0x44);
      out.f64(this.value as number);
    }
  }
}

const i32c = (value: number): Expr => new Const('i32', value | 0);
const i64c = (value: number | bigint): Expr => new Const('i64', value);
const f32c = (value: number): Expr => new Const('f32', value);
const f64c = (value: number): Expr => new Const('f64', value);

class V128Const implements Expr {
  readonly type = 'v128';
  readonly bytes: ArrayLike<number>;
  constructor(bytes: ArrayLike<number>) {
    this.bytes = bytes;
  }
  emit(out: Bytes): void {
    out.u8(0xfd);
    out.u32(12);
    out.bytes(this.bytes);
  }
}

function emitCode(out: Bytes, code: number): void {
  if (code > 0xff) {
    out.u8(code >> 8);
    out.u32(code & 0xff);
  } else out.u8(code);
}

class Op implements Expr {
  readonly type: Type;
  readonly name: OpName;
  readonly args: readonly Expr[];
  /** Memory operand: byte offset. Lane: its index. */
  readonly immediate: number | ArrayLike<number>;
  constructor(name: OpName, type: Type, args: readonly Expr[], immediate: number | ArrayLike<number>) {
    this.name = name;
    this.type = type;
    this.args = args;
    this.immediate = immediate;
  }
  emit(out: Bytes): void {
    for (const a of this.args) a.emit(out);
    emitOp(out, this.name, this.immediate);
  }
}

/** Natural alignment exponents: only atomics must state theirs; for the rest it is a hint, and 0 is always right. */
export function emitOp(out: Bytes, name: OpName, immediate: number | ArrayLike<number>): void {
  const [code, , kind] = OPS[name];
  emitCode(out, code);
  if (kind === 'm') {
    out.u8(code >> 8 === 0xfe ? 2 : 0);
    out.u32(immediate as number);
  } else if (kind === 'l') out.u8(immediate as number);
  else if (kind === 's') out.bytes(immediate as ArrayLike<number>);
}

const FOLD32: Partial<Record<OpName, (a: number, b: number) => number>> = {
  'i32.add': (a, b) => a + b,
  'i32.sub': (a, b) => a - b,
  'i32.mul': (a, b) => Math.imul(a, b),
  'i32.and': (a, b) => a & b,
  'i32.or': (a, b) => a | b,
  'i32.xor': (a, b) => a ^ b,
  'i32.shl': (a, b) => a << b,
  'i32.shr_u': (a, b) => a >>> b,
  'i32.shr_s': (a, b) => a >> b,
  'i32.eq': (a, b) => Number(a === b),
  'i32.ne': (a, b) => Number(a !== b),
};

/** One instruction applied to its operands. `immediate`: memory offset in bytes, lane, or shuffle mask. */
export function op(name: OpName, args: readonly Expr[], immediate: number | ArrayLike<number> = 0): Expr {
  const signature = OPS[name][1];
  const result = LETTER[signature[signature.length - 1]!];
  if (!result) throw new Error(`${name} has no result: emit it as a statement`);
  const [a, b] = args;
  if (args.length !== signature.indexOf('>')) throw new Error(`${name} takes ${signature.indexOf('>')} operands`);
  for (let i = 0; i < args.length; i++)
    if (args[i]!.type !== LETTER[signature[i]!]) throw new Error(`${name}: operand ${i} is ${args[i]!.type}, not ${LETTER[signature[i]!]}`);
  const fold = FOLD32[name];
  if (fold && typeof a?.value === 'number' && typeof b?.value === 'number') return i32c(fold(a.value, b.value));
  if (typeof a?.value === 'number' && typeof b?.value === 'number' && (name === 'i64.eq' || name === 'i64.ne'))
    return i32c(Number((a.value === b.value) === (name === 'i64.eq')));
  if (name === 'i64.and' && b?.value === -1) return a!;
  if (b?.value === 0 && /\.(add|sub|or|xor|shl|shr_s|shr_u)$/.test(name) && name.startsWith('i') && b.type === result) return a!;
  if (name === 'i64.extend_i32_u' && typeof a!.value === 'number') return i64c(a!.value >>> 0);
  if (name === 'i64.extend_i32_s' && typeof a!.value === 'number') return i64c(a!.value);
  if (name === 'i32.wrap_i64' && typeof a!.value === 'number') return i32c(a!.value % 0x1_0000_0000);
  return new Op(name, result, args, immediate);
}

class Local implements Expr {
  readonly type: Type;
  readonly index: number;
  constructor(type: Type, index: number) {
    this.type = type;
    this.index = index;
  }
  emit(out: Bytes): void {
    out.u8(0x20);
    out.u32(this.index);
  }
}
export type LocalRef = Local;
export const local = (type: Type, index: number): Local => new Local(type, index);

/** `condition ? yes : no` without branches (both are evaluated). */
export function select(condition: Expr, yes: Expr, no: Expr): Expr {
  if (typeof condition.value === 'number') return condition.value ? yes : no;
  return {
    type: yes.type,
    emit(out) {
      yes.emit(out);
      no.emit(out);
      condition.emit(out);
      if (yes.type === 'v128') {
        out.u8(0x1c);
        out.u8(1);
        out.u8(TYPE_CODE.v128);
      } else out.u8(0x1b);
    },
  };
}

/** A call of function `index` with one result. */
export function call(index: number, result: Type, args: readonly Expr[]): Expr {
  return {
    type: result,
    emit(out) {
      for (const a of args) a.emit(out);
      out.u8(0x10);
      out.u32(index);
    },
  };
}

/** A call of a function whose index is not known yet. */
export function callLate(of: Late, result: Type, args: readonly Expr[]): Expr {
  return {
    type: result,
    emit(out) {
      for (const a of args) a.emit(out);
      out.u8(0x10);
      out.late(of);
    },
  };
}

/** The value of a global of the module. */
export function globalValue(type: Type, index: number): Expr {
  return {
    type,
    emit(out) {
      out.u8(0x23);
      out.u32(index);
    },
  };
}

export function callIndirect(typeIndex: number, result: Type, args: readonly Expr[], slot: Expr): Expr {
  return {
    type: result,
    emit(out) {
      for (const a of args) a.emit(out);
      slot.emit(out);
      out.u8(0x11);
      out.u32(typeIndex);
      out.u8(0);
    },
  };
}

type Binary = (a: Expr, b: Expr) => Expr;
type Unary = (a: Expr) => Expr;
const binary =
  (name: OpName): Binary =>
  (a, b) =>
    op(name, [a, b]);
const unary =
  (name: OpName): Unary =>
  (a) =>
    op(name, [a]);

const integer = <T extends 'i32' | 'i64'>(t: T) => ({
  add: binary(`${t}.add`),
  sub: binary(`${t}.sub`),
  mul: binary(`${t}.mul`),
  div_s: binary(`${t}.div_s`),
  div_u: binary(`${t}.div_u`),
  rem_s: binary(`${t}.rem_s`),
  rem_u: binary(`${t}.rem_u`),
  and: binary(`${t}.and`),
  or: binary(`${t}.or`),
  xor: binary(`${t}.xor`),
  shl: binary(`${t}.shl`),
  shr_s: binary(`${t}.shr_s`),
  shr_u: binary(`${t}.shr_u`),
  rotl: binary(`${t}.rotl`),
  rotr: binary(`${t}.rotr`),
  eq: binary(`${t}.eq`),
  ne: binary(`${t}.ne`),
  lt_s: binary(`${t}.lt_s`),
  lt_u: binary(`${t}.lt_u`),
  gt_s: binary(`${t}.gt_s`),
  gt_u: binary(`${t}.gt_u`),
  le_s: binary(`${t}.le_s`),
  le_u: binary(`${t}.le_u`),
  ge_s: binary(`${t}.ge_s`),
  ge_u: binary(`${t}.ge_u`),
  eqz: unary(`${t}.eqz`),
  clz: unary(`${t}.clz`),
  ctz: unary(`${t}.ctz`),
  popcnt: unary(`${t}.popcnt`),
});

export const i32 = { const: i32c, ...integer('i32'), wrap: unary('i32.wrap_i64') };
export const i64 = {
  const: i64c,
  ...integer('i64'),
  extend_u: unary('i64.extend_i32_u'),
  extend_s: unary('i64.extend_i32_s'),
};
export const f32 = { const: f32c };
export const f64 = { const: f64c };
export const v128 = { const: (bytes: ArrayLike<number>): Expr => new V128Const(bytes) };
