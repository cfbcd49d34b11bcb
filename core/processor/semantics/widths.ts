/** Integer expressions by operand width: 8, 16 and 32 bits are i32, 64 bits are i64. */
import { i32, i64, op, type Expr } from '../../wasm/index.ts';

export type Width = 8 | 16 | 32 | 64;

type Integer = typeof i32;
/** The arithmetic of a width. (i64 has the same names; the type is shared for brevity.) */
export const integer = (width: Width): Integer => (width === 64 ? (i64 as unknown as Integer) : i32);

export const constant = (width: Width, value: number): Expr => (width === 64 ? i64.const(value) : i32.const(value));

/** The value as the type of a width, zero-extended or cut. */
export const fit = (value: Expr, width: Width): Expr =>
  width === 64 ? (value.type === 'i64' ? value : i64.extend_u(value)) : value.type === 'i64' ? i32.wrap(value) : value;

/** A value of `width` bits, sign-extended to i64. */
export function signed(value: Expr, width: Width): Expr {
  if (width === 64) return value;
  if (width === 32) return i64.extend_s(value);
  return i64.extend_s(op(width === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [value]));
}

/** The low `width` bits of an i32 or i64. */
export const masked = (value: Expr, width: Width): Expr => (width >= 32 ? value : i32.and(value, i32.const(width === 8 ? 0xff : 0xffff)));
