/** Multiplication and division (Intel SDM vol. 2, MUL, IMUL, DIV, IDIV), and the decimal adjustments. */
import { i32, i64, type Expr } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';
import { fit, signed, type Width } from './widths.ts';

/** rDX:rAX, or AX for 8 bits, as i64 (widths to 32). */
const dividend = (e: Emitter, w: Width): Expr =>
  w === 8 ? i64.extend_u(e.gpr(0, 16)) : i64.or(i64.shl(i64.extend_u(e.gpr(2, w)), i64.const(w)), i64.extend_u(e.gpr(0, w)));

/** Writes a double-width product. */
function product(e: Emitter, w: Width, wide: Expr): void {
  if (w === 8) return e.setGpr(0, 16, i32.wrap(wide));
  const v = e.f.let(wide);
  e.setGpr(0, w, i32.wrap(v));
  e.setGpr(2, w, i32.wrap(i64.shr_u(v, i64.const(w))));
}

/** CF = OF = the upper half is significant. SF, ZF, PF are undefined: processors set them from the low half. */
const multiplied = (e: Emitter, w: Width, low: Expr, over: Expr): void => {
  const c = e.f.let(over);
  e.flagsResult(w, low, c, c);
};

const LOW = i64.const(0xffff_ffff);

/** The upper half of the 128-bit product of two 64-bit numbers, from four products of halves. */
function upperHalf(e: Emitter, a: Expr, b: Expr): Expr {
  const { f } = e;
  const half = (v: Expr): Expr => f.let(i64.and(v, LOW));
  const upper = (v: Expr): Expr => i64.shr_u(v, i64.const(32));
  const [aLow, aHigh, bLow, bHigh] = [half(a), f.let(upper(a)), half(b), f.let(upper(b))];
  const first = f.let(i64.add(i64.mul(aHigh, bLow), upper(i64.mul(aLow, bLow))));
  const second = i64.add(i64.mul(aLow, bHigh), i64.and(first, LOW));
  return i64.add(i64.add(i64.mul(aHigh, bHigh), upper(first)), upper(second));
}

/** The same of signed numbers: a negative one counts for 2^64 less. */
function upperHalfSigned(e: Emitter, a: Expr, b: Expr): Expr {
  const negative = (v: Expr): Expr => i64.shr_s(v, i64.const(63));
  const excess = i64.add(i64.and(negative(a), b), i64.and(negative(b), a));
  return i64.sub(upperHalf(e, a, b), excess);
}

const mul: Family = (e) => {
  const w = e.width(0);
  const b = e.read(0);
  if (w === 64) {
    const a = e.f.let(e.gpr(0, 64));
    const high = e.f.let(upperHalf(e, a, b));
    const low = e.f.let(i64.mul(a, b));
    e.setGpr(0, 64, low);
    e.setGpr(2, 64, high);
    return multiplied(e, 64, low, i64.ne(high, i64.const(0)));
  }
  const wide = e.f.let(i64.mul(i64.extend_u(e.gpr(0, w)), i64.extend_u(b)));
  product(e, w, wide);
  multiplied(e, w, i32.wrap(wide), i64.ne(i64.shr_u(wide, i64.const(w)), i64.const(0)));
};

const imul1: Family = (e) => {
  const w = e.width(0);
  const b = e.read(0);
  if (w === 64) {
    const a = e.f.let(e.gpr(0, 64));
    const high = e.f.let(upperHalfSigned(e, a, b));
    const low = e.f.let(i64.mul(a, b));
    e.setGpr(0, 64, low);
    e.setGpr(2, 64, high);
    return multiplied(e, 64, low, i64.ne(high, i64.shr_s(low, i64.const(63))));
  }
  const wide = e.f.let(i64.mul(signed(e.gpr(0, w), w), signed(b, w)));
  product(e, w, wide);
  multiplied(e, w, i32.wrap(wide), i64.ne(signed(i32.wrap(wide), w), wide));
};

const imul: Family = (e) => {
  const w = e.width(0);
  const three = e.row.operands.length === 3;
  const a = three ? e.read(1) : e.read(0);
  const b = fit(e.read(three ? 2 : 1), w);
  if (w === 64) {
    const high = e.f.let(upperHalfSigned(e, a, b));
    const low = e.f.let(i64.mul(a, b));
    e.write(0, low);
    return multiplied(e, 64, low, i64.ne(high, i64.shr_s(low, i64.const(63))));
  }
  const wide = e.f.let(i64.mul(signed(a, w), signed(b, w)));
  e.write(0, i32.wrap(wide));
  multiplied(e, w, i32.wrap(wide), i64.ne(signed(i32.wrap(wide), w), wide));
};

const DE = 0;

/** Quotient and remainder: AL and AH for 8 bits, rAX and rDX otherwise. */
function divided(e: Emitter, w: Width, quotient: Expr, remainder: Expr): void {
  if (w === 8) {
    e.setGpr(0, 8, quotient);
    e.setGpr(4, 8, remainder);
  } else {
    e.setGpr(0, w, quotient);
    e.setGpr(2, w, remainder);
  }
}

const div: Family = (e) => {
  const w = e.width(0);
  const d = e.read(0);
  if (w === 64) return e.helper('divide64', [d]);
  e.f.if(i32.eqz(d), () => e.fault(DE));
  const n = e.f.let(dividend(e, w));
  const wide = e.f.let(i64.extend_u(d));
  const q = e.f.let(i64.div_u(n, wide));
  e.f.if(i64.ne(i64.shr_u(q, i64.const(w)), i64.const(0)), () => e.fault(DE));
  divided(e, w, i32.wrap(q), i32.wrap(i64.sub(n, i64.mul(q, wide))));
};

const idiv: Family = (e) => {
  const w = e.width(0);
  const d = e.read(0);
  if (w === 64) return e.helper('divideSigned64', [d]);
  const n = e.f.let(w === 8 ? signed(e.gpr(0, 16), 16) : w === 16 ? signed(i32.wrap(dividend(e, w)), 32) : dividend(e, w));
  const wide = e.f.let(signed(d, w));
  e.f.if(i64.eqz(wide), () => e.fault(DE));
  // -2^63 / -1 traps in WebAssembly; the quotient does not fit anyway.
  e.f.if(i32.and(i64.eq(n, i64.const(-0x8000_0000_0000_0000n)), i64.eq(wide, i64.const(-1))), () => e.fault(DE));
  const q = e.f.let(i64.div_s(n, wide));
  e.f.if(i64.ne(signed(i32.wrap(q), w), q), () => e.fault(DE));
  divided(e, w, i32.wrap(q), i32.wrap(i64.sub(n, i64.mul(q, wide))));
};

const aam: Family = (e) => {
  const base = e.f.let(i32.and(e.read(0), i32.const(0xff)));
  e.f.if(i32.eqz(base), () => e.fault(DE));
  const al = e.f.let(e.gpr(0, 8));
  const rest = e.f.let(i32.rem_u(al, base));
  e.setGpr(4, 8, i32.div_u(al, base));
  e.setGpr(0, 8, rest);
  e.flagsLogic(8, rest);
};

const aad: Family = (e) => {
  const base = i32.and(e.read(0), i32.const(0xff));
  const r = e.f.let(i32.and(i32.add(e.gpr(0, 8), i32.mul(e.gpr(4, 8), base)), i32.const(0xff)));
  e.setGpr(0, 16, r);
  e.flagsLogic(8, r);
};

const adjust =
  (name: string): Family =>
  (e) =>
    e.helper(name, []);

export const multiply: Record<string, Family> = {
  mul, imul1, imul, div, idiv, aam, aad, daa: adjust('daa'), das: adjust('das'), aaa: adjust('aaa'), aas: adjust('aas'),
}; // prettier-ignore
