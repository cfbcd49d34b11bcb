/**
 * Expressions: trees of instructions, folded where both sides are known. An expression is evaluated where it is emitted, as often as it is
 * emitted: bind it to a local (`FunctionBuilder.let`) to fix its value and its place in the order of effects.
 */
import type { Bytes, Late } from './bytes.ts';
import { instruction, type Instruction, type Type } from './instructions.ts';
import type { OpName } from './ops.ts';

export type { Type } from './instructions.ts';
export const TYPE_CODE: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

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
  readonly value = undefined;
  readonly instruction: Instruction;
  readonly args: readonly Expr[];
  /** Memory operand: byte offset. Lane: its index. */
  readonly immediate: number | ArrayLike<number>;
  constructor(of: Instruction, type: Type, args: readonly Expr[], immediate: number | ArrayLike<number>) {
    this.type = type;
    this.instruction = of;
    this.args = args;
    this.immediate = immediate;
  }
  emit(out: Bytes): void {
    const { args } = this;
    for (let i = 0; i < args.length; i++) args[i]!.emit(out);
    emitInstruction(out, this.instruction, this.immediate);
  }
}

/** Natural alignment exponents: only atomics must state theirs; for the rest it is a hint, and 0 is always right. */
export function emitInstruction(out: Bytes, { code, immediate: kind }: Instruction, immediate: number | ArrayLike<number>): void {
  emitCode(out, code);
  if (kind === 'm') {
    out.u8(code >> 8 === 0xfe ? 2 : 0);
    out.u32(immediate as number);
  } else if (kind === 'l') out.u8(immediate as number);
  else if (kind === 's') out.bytes(immediate as ArrayLike<number>);
}

function apply(of: Instruction, args: readonly Expr[], immediate: number | ArrayLike<number>): Expr {
  const { name, params, result, constant } = of;
  if (!result) throw new Error(`${name} has no result: emit it as a statement`);
  if (args.length !== params.length) throw new Error(`${name} takes ${params.length} operands`);
  for (let i = 0; i < params.length; i++)
    if (args[i]!.type !== params[i]) throw new Error(`${name}: operand ${i} is ${args[i]!.type}, not ${params[i]}`);
  const a = args.length > 0 ? args[0]!.value : undefined;
  const b = args.length > 1 ? args[1]!.value : undefined;
  if (constant && typeof a === 'number' && (params.length === 1 || typeof b === 'number'))
    return result === 'i32' ? i32c(constant(a, b as number)) : i64c(constant(a, b as number));
  if (b !== undefined && b === of.neutral) return args[0]!;
  return new Op(of, result, args, immediate);
}

/** One instruction applied to its operands. `immediate`: memory offset in bytes, lane, or shuffle mask. */
export const op = (name: OpName, args: readonly Expr[], immediate: number | ArrayLike<number> = 0): Expr =>
  apply(instruction(name), args, immediate);

class Local implements Expr {
  readonly type: Type;
  readonly value = undefined;
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

/** Operands, and something else than an instruction of the table after them. */
class Other implements Expr {
  readonly type: Type;
  readonly value = undefined;
  readonly args: readonly Expr[];
  readonly put: (out: Bytes) => void;
  constructor(type: Type, args: readonly Expr[], put: (out: Bytes) => void) {
    this.type = type;
    this.args = args;
    this.put = put;
  }
  emit(out: Bytes): void {
    for (const a of this.args) a.emit(out);
    this.put(out);
  }
}

/** `condition ? yes : no` without branches (both are evaluated). */
export function select(condition: Expr, yes: Expr, no: Expr): Expr {
  if (typeof condition.value === 'number') return condition.value ? yes : no;
  return new Other(yes.type, [yes, no, condition], (out) => {
    if (yes.type === 'v128') out.bytes([0x1c, 1, TYPE_CODE.v128]);
    else out.u8(0x1b);
  });
}

/** A call of function `index` with one result. */
export function call(index: number, result: Type, args: readonly Expr[]): Expr {
  return new Other(result, args, (out) => {
    out.u8(0x10);
    out.u32(index);
  });
}

/** A call of a function whose index is not known yet. */
export function callLate(of: Late, result: Type, args: readonly Expr[]): Expr {
  return new Other(result, args, (out) => {
    out.u8(0x10);
    out.late(of);
  });
}

/** The value of a global of the module. */
export function globalValue(type: Type, index: number): Expr {
  return new Other(type, [], (out) => {
    out.u8(0x23);
    out.u32(index);
  });
}

export function callIndirect(typeIndex: number, result: Type, args: readonly Expr[], slot: Expr): Expr {
  return new Other(result, [...args, slot], (out) => {
    out.u8(0x11);
    out.u32(typeIndex);
    out.u8(0);
  });
}

type Binary = (a: Expr, b: Expr) => Expr;
type Unary = (a: Expr) => Expr;
const binary = (name: OpName): Binary => {
  const of = instruction(name);
  return (a, b) => apply(of, [a, b], 0);
};
const unary = (name: OpName): Unary => {
  const of = instruction(name);
  return (a) => apply(of, [a], 0);
};

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
