/** F2XM1, FYL2X, FYL2XP1. */
import { DE, IE, INTEGER_BIT, PE, ZE, high, low, multiplyHigh, pair } from './float';
import { add128, divide128, leadingZeros128, less128, multiply128, shiftLeft128, shiftRight128, subtract128 } from './fixed';
import {
  commit,
  effectiveExponent,
  enter,
  indefinite,
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
import { fillTop } from './fpu_step';
import { exponentialExcess, hyperbolicExcess, naturalLogarithmOf2, twiceBase2OfE } from './fpu_series';
import { BIAS, finish, fraction, pairUnderflow, settlePair, squared } from './fpu_precise';

/** 2^x - 1 for x from -1 to 1; beyond, where the result is undefined, x stays. */
export function f2xm1(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const at = slot(cpu, zero);
  if (isEmpty(cpu, zero)) return fillTop(cpu, zero);
  const s = load<u64>(at);
  const se = <u32>load<u16>(at, 8);
  if (isUnsupported(s, se) || isNan(s, se)) {
    commit(cpu, at, propagate(s, se, s, se));
    return;
  }
  const negative = (se & 0x8000) != 0;
  if (isInfinite(s, se)) {
    commit(cpu, at, negative ? pair(INTEGER_BIT, <u64>(0x8000 | BIAS)) : pair(s, <u64>se));
    return;
  }
  if (s == 0) {
    commit(cpu, at, pair(0, <u64>se));
    return;
  }
  const before = isDenormal(s, se) ? DE : 0;
  const e = effectiveExponent(s, se) - BIAS;
  if (e >= 0) {
    const one = e == 0 && s == INTEGER_BIT;
    commit(
      cpu,
      at,
      one && negative ? pair(INTEGER_BIT, <u64>(0x8000 | (BIAS - 1)) | ((<u64>PE) << 32)) : pair(s, <u64>se | ((<u64>PE) << 32)),
    );
    return;
  }
  // t = x ln 2, whose significand is below 2^128 and may need normalizing for its precision's sake.
  let t = multiply128(pair(0, s << clz(s)), naturalLogarithmOf2());
  const n = leadingZeros128(t);
  t = shiftLeft128(t, n);
  const te = e - n;
  const part = multiply128(t, exponentialExcess(fraction(t, te), negative));
  let r: v128;
  if (negative) r = finish(cpu, 1, te, subtract128(t, part), true);
  else {
    const sum = add128(t, part);
    if (less128(sum, t)) r = finish(cpu, 0, te + 1, add128(shiftRight128(sum, 1), pair(0, INTEGER_BIT)), true);
    else r = finish(cpu, 0, te, sum, true);
  }
  commit(cpu, at, withFlags(r, before));
}

/**
 * y * (k + log2((1 + f) / 1)), where the logarithm is 2/ln2 * atanh(f / (2 + f)): f has the sign `fs`, unbiased exponent `fe` and significand `f`
 * (0: none), `denominator` is 2 + f as a fraction of 4, y is finite and not zero.
 */
function scaledLogarithm(cpu: usize, k: i32, fs: u32, fe: i32, f: v128, denominator: v128, ys: u32, ye: i32, y: u64): v128 {
  let sum: v128;
  let sumExponent: i32;
  let sign: u32;
  let inexact = false;
  if (!v128.any_true(f)) {
    // A power of two: the logarithm is k.
    sign = k < 0 ? 1 : 0;
    const m = <u64>abs(k);
    const n = clz(m);
    sum = pair(0, m << n);
    sumExponent = 63 - <i32>n;
  } else {
    inexact = true;
    const dn = leadingZeros128(denominator);
    const d = shiftLeft128(denominator, dn);
    let s = divide128(f, d);
    let se = fe - (1 - dn) - <i32>less128(f, d);
    let n = leadingZeros128(s);
    s = shiftLeft128(s, n);
    se -= n;
    const square = squared(s, se);
    let l = add128(shiftRight128(s, 1), shiftRight128(multiply128(s, hyperbolicExcess(square)), 1));
    // l is a fraction of 2^(se + 2); times 2/ln 2, a fraction of 4.
    l = multiply128(l, twiceBase2OfE());
    let le = se + 1 + 2;
    n = leadingZeros128(l);
    l = shiftLeft128(l, n);
    le -= n;
    if (k == 0) {
      sum = l;
      sumExponent = le;
      sign = fs;
    } else {
      // Both as multiples of 2^-112; the logarithm is at most a half.
      const whole = pair(0, (<u64>abs(k)) << 48);
      const part = shiftRight128(l, 15 - le);
      const same = k < 0 == (fs != 0);
      sum = same ? add128(whole, part) : subtract128(whole, part);
      n = leadingZeros128(sum);
      sum = shiftLeft128(sum, n);
      sumExponent = 15 - n;
      sign = k < 0 ? 1 : 0;
    }
  }
  // 128 bits by 64: the upper 128 of 192, the rest sticky.
  const product = low(sum) * y;
  const middle = multiplyHigh(low(sum), y);
  const lower = high(sum) * y;
  const total = lower + middle;
  const upper = multiplyHigh(high(sum), y) + <u64>(total < lower);
  return finish(cpu, sign ^ ys, sumExponent + ye - BIAS + 1, pair(total, upper), inexact || product != 0);
}

/** log2 of m * 2^k, m in 1..2 with its bits below the point as significand: moves m to around 1 and hands over. */
function logarithm(cpu: usize, k: i32, m: v128, ys: u32, ye: i32, y: u64): v128 {
  // m is a fraction of 2. Beyond the square root of 2 it is halved.
  let f: v128;
  let fs: u32 = 0;
  let denominator: v128;
  const one = pair(0, INTEGER_BIT);
  let fe: i32;
  if (high(m) >= 0xb504f333f9de6484) {
    k++;
    fs = 1;
    f = subtract128(pair(0, 0), m);
    fe = -1;
    denominator = add128(pair(0, 0x4000000000000000), shiftRight128(m, 2));
  } else {
    f = subtract128(m, one);
    fe = 0;
    denominator = add128(pair(0, 0x4000000000000000), shiftRight128(m, 1));
  }
  if (v128.any_true(f)) {
    const n = leadingZeros128(f);
    f = shiftLeft128(f, n);
    fe -= n;
  }
  return scaledLogarithm(cpu, k, fs, fe, f, denominator, ys, ye, y);
}

export function fyl2x(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const one = physical(cpu, 1);
  const at = slot(cpu, one);
  if (isEmpty(cpu, zero) || isEmpty(cpu, one)) return pairUnderflow(cpu, one);
  const x = load<u64>(slot(cpu, zero));
  const xse = <u32>load<u16>(slot(cpu, zero), 8);
  const y = load<u64>(at);
  const yse = <u32>load<u16>(at, 8);
  settlePair(cpu, at, logarithmOf(cpu, x, xse, y, yse));
}

function infinity(sign: u32, flags: u32): v128 {
  return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | ((<u64>flags) << 32));
}

function logarithmOf(cpu: usize, x: u64, xse: u32, y: u64, yse: u32): v128 {
  if (isUnsupported(x, xse) || isUnsupported(y, yse) || isNan(x, xse) || isNan(y, yse)) return propagate(x, xse, y, yse);
  const invalid = withFlags(indefinite(), IE);
  const ySign = yse & 0x8000;
  let before: u32 = isDenormal(x, xse) || isDenormal(y, yse) ? DE : 0;
  if (x == 0) {
    if (y == 0) return invalid;
    return infinity(ySign ^ 0x8000, isInfinite(y, yse) ? 0 : ZE);
  }
  if (xse & 0x8000) return invalid;
  if (isInfinite(x, xse)) return y == 0 ? invalid : infinity(ySign, before);
  const xe = effectiveExponent(x, xse) - BIAS;
  const m = x << clz(x);
  if (isInfinite(y, yse)) {
    if (xe == 0 && m == INTEGER_BIT) return invalid;
    return infinity(xe < 0 ? ySign ^ 0x8000 : ySign, before);
  }
  if (y == 0) return pair(0, <u64>(xe < 0 ? ySign ^ 0x8000 : ySign) | ((<u64>before) << 32));
  if (xe == 0 && m == INTEGER_BIT) return pair(0, <u64>ySign | ((<u64>before) << 32));
  // Powers of two come out exactly, and still count as inexact.
  return withFlags(logarithm(cpu, xe, pair(0, m), ySign >> 15, effectiveExponent(y, yse), y << clz(y)), before | PE);
}

export function fyl2xp1(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const one = physical(cpu, 1);
  const at = slot(cpu, one);
  if (isEmpty(cpu, zero) || isEmpty(cpu, one)) return pairUnderflow(cpu, one);
  const x = load<u64>(slot(cpu, zero));
  const xse = <u32>load<u16>(slot(cpu, zero), 8);
  const y = load<u64>(at);
  const yse = <u32>load<u16>(at, 8);
  settlePair(cpu, at, logarithmPlusOne(cpu, x, xse, y, yse));
}

function logarithmPlusOne(cpu: usize, x: u64, xse: u32, y: u64, yse: u32): v128 {
  if (isUnsupported(x, xse) || isUnsupported(y, yse) || isNan(x, xse) || isNan(y, yse)) return propagate(x, xse, y, yse);
  const invalid = withFlags(indefinite(), IE);
  const xSign = xse & 0x8000;
  const sign = (xse ^ yse) & 0x8000;
  let before: u32 = isDenormal(x, xse) || isDenormal(y, yse) ? DE : 0;
  if (isInfinite(x, xse)) return xSign || y == 0 ? invalid : infinity(sign, before);
  if (isInfinite(y, yse)) return x == 0 ? invalid : infinity(sign, before);
  if (x == 0 || y == 0) return pair(0, <u64>sign | ((<u64>before) << 32));
  // Inexact even where it happens to come out exactly.
  before |= PE;
  const e = effectiveExponent(x, xse) - BIAS;
  const s = x << clz(x);
  const ys = (yse & 0x8000) >> 15;
  const ye = effectiveExponent(y, yse);
  const yn = y << clz(y);
  if (e >= 0 || (e == -1 && !xSign) || (e == -2 && xSign && s > 0x95f619980c4336f7) || (e == -1 && xSign)) {
    // Outside the documented range: the logarithm of the sum itself, or x where there is none.
    if (xSign) {
      if (e >= 0) return pair(x, <u64>xse | ((<u64>before) << 32));
      const m = subtract128(pair(0, INTEGER_BIT), shiftRight128(pair(0, s), -e));
      const n = leadingZeros128(m);
      return withFlags(logarithm(cpu, -n, shiftLeft128(m, n), ys, ye, yn), before);
    }
    if (e >= 64) return withFlags(logarithm(cpu, e, pair(1, s), ys, ye, yn), before);
    const big =
      e < 0 ? add128(pair(0, INTEGER_BIT), shiftRight128(pair(0, s), -e)) : add128(pair(0, s), shiftRight128(pair(0, INTEGER_BIT), e));
    if (high(big) < INTEGER_BIT) {
      const carried = pair((low(big) >> 1) | (high(big) << 63), (high(big) >> 1) | INTEGER_BIT);
      return withFlags(logarithm(cpu, max(e, 0) + 1, carried, ys, ye, yn), before);
    }
    return withFlags(logarithm(cpu, max(e, 0), big, ys, ye, yn), before);
  }
  // 2 + x as a fraction of 4.
  const two = pair(0, INTEGER_BIT);
  const f = pair(0, s);
  const quarter = shiftRight128(f, 1 - e);
  const denominator = xSign ? subtract128(two, quarter) : add128(two, quarter);
  return withFlags(scaledLogarithm(cpu, 0, xSign >> 15, e, f, denominator, ys, ye, yn), before);
}
