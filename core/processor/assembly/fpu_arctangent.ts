/** FPATAN. */
import { DE, INTEGER_BIT, high, pair } from './float';
import { add128, divide128, leadingZeros128, less128, multiply128, shiftLeft128, shiftRight128, subtract128 } from './fixed';
import {
  effectiveExponent,
  enter,
  isDenormal,
  isEmpty,
  isInfinite,
  isNan,
  isUnsupported,
  physical,
  propagate,
  slot,
  top,
  withFlags,
} from './fpu';
import { arctangentDeficit, arctangentOfSixteenth, piOver4 } from './fpu_series';
import { finish, fraction, pairUnderflow, settlePair, squared } from './fpu_precise';

/** A multiple of pi/4 rounded, with the sign of y. */
function piMultiple(cpu: usize, sign: u32, quarters: i32, flags: u32): v128 {
  const quarter = piOver4();
  let s = quarter;
  let e = -1;
  if (quarters == 2) e = 0;
  else if (quarters == 4) e = 1;
  else if (quarters == 3) {
    s = add128(shiftRight128(quarter, 1), shiftRight128(quarter, 2));
    e = 1;
  }
  return withFlags(finish(cpu, sign >> 15, e, s, true), flags);
}

/** atan2(ST(1), ST(0)). */
export function fpatan(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const one = physical(cpu, 1);
  const at = slot(cpu, one);
  if (isEmpty(cpu, zero) || isEmpty(cpu, one)) return pairUnderflow(cpu, one);
  const x = load<u64>(slot(cpu, zero));
  const xse = <u32>load<u16>(slot(cpu, zero), 8);
  settlePair(cpu, at, arctangent(cpu, x, xse, load<u64>(at), load<u16>(at, 8)));
}

function arctangent(cpu: usize, x: u64, xse: u32, y: u64, yse: u32): v128 {
  if (isUnsupported(x, xse) || isUnsupported(y, yse) || isNan(x, xse) || isNan(y, yse)) return propagate(x, xse, y, yse);
  const sign = yse & 0x8000;
  const xNegative = (xse & 0x8000) != 0;
  const before: u32 = isDenormal(x, xse) || isDenormal(y, yse) ? DE : 0;
  if (isInfinite(y, yse)) return piMultiple(cpu, sign, isInfinite(x, xse) ? (xNegative ? 3 : 1) : 2, before);
  if (isInfinite(x, xse) || y == 0) {
    if (xNegative) return piMultiple(cpu, sign, 4, before);
    return pair(0, <u64>sign | ((<u64>before) << 32));
  }
  if (x == 0) return piMultiple(cpu, sign, 2, before);
  let n = y << clz(y);
  let ne = effectiveExponent(y, yse);
  let d = x << clz(x);
  let de = effectiveExponent(x, xse);
  const swapped = ne > de || (ne == de && n > d);
  if (swapped) {
    let t = n;
    n = d;
    d = t;
    const u = ne;
    ne = de;
    de = u;
  }
  const exact = n == d && ne == de;
  // r = n/d in (0, 1], normalized.
  const below = n < d;
  let r = exact ? pair(0, INTEGER_BIT) : divide128(pair(0, n), pair(0, d));
  let e = ne - de - <i32>below;
  const z0 = leadingZeros128(r);
  r = shiftLeft128(r, z0);
  e -= z0;
  // The angle a: significand and exponent.
  let a: v128;
  let ae: i32;
  const i: u32 = exact ? 16 : e < -6 ? 0 : <u32>((high(fraction(r, e)) + 0x0800000000000000) >> 60);
  const index: u32 = !exact && i == 0 && e >= -1 ? 16 : i;
  if (exact) {
    a = piOver4();
    ae = -1;
  } else if (index == 0) {
    a = subtract128(r, multiply128(r, arctangentDeficit(squared(r, e))));
    ae = e;
  } else {
    // t = (r - c) / (1 + r c), c = index/16.
    const f = fraction(r, e);
    const c = index == 16 ? pair(0, 0) : pair(0, (<u64>index) << 60);
    const negative = index == 16 || less128(f, c);
    let t = negative ? subtract128(c, f) : subtract128(f, c);
    a = arctangentOfSixteenth(index);
    ae = -1;
    if (v128.any_true(t)) {
      const tn = leadingZeros128(t);
      t = shiftLeft128(t, tn);
      const rc = index == 16 ? shiftRight128(f, 1) : multiply128(f, pair(0, (<u64>index) << 59));
      const whole = add128(pair(0, INTEGER_BIT), rc);
      const q = divide128(t, whole);
      let te = -1 - tn - <i32>less128(t, whole);
      const qn = leadingZeros128(q);
      t = shiftLeft128(q, qn);
      te -= qn;
      t = subtract128(t, multiply128(t, arctangentDeficit(squared(t, te))));
      const part = shiftRight128(t, -1 - te);
      a = negative ? subtract128(a, part) : add128(a, part);
    }
  }
  const an = leadingZeros128(a);
  a = shiftLeft128(a, an);
  ae -= an;
  if (!swapped && !xNegative) return withFlags(finish(cpu, sign >> 15, ae, a, true), before);
  // pi/2 -+ a, or pi - a, as multiples of 2^-126.
  const part = shiftRight128(a, 1 - ae);
  let whole = piOver4();
  if (swapped) {
    whole = shiftRight128(whole, 1);
    whole = xNegative ? add128(whole, part) : subtract128(whole, part);
  } else whole = subtract128(whole, part);
  return withFlags(finish(cpu, sign >> 15, 1, whole, true), before);
}
