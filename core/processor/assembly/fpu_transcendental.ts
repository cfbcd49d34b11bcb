/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS. Arguments of the trigonometric ones are reduced exactly by the 66-bit pi that
 * x87 processors use (SDM vol. 1, 8.3.8). Rounding control counts, precision control does not.
 */
import { CPU_bounce, CPU_fpuControl, CPU_fpuStatus } from './layout';
import { DE, IE, INTEGER_BIT, PE, ZE, high, low, multiplyHigh, pair, wide } from './float';
import { roundExtended } from './float_round';
import { add128, divide128, leadingZeros128, less128, multiply128, shiftLeft128, shiftRight128, subtract128 } from './fixed';
import {
  C1,
  C2,
  commit,
  effectiveExponent,
  enter,
  indefinite,
  isDenormal,
  isEmpty,
  isInfinite,
  isNan,
  isUnsupported,
  markUsed,
  physical,
  pop,
  propagate,
  put,
  slot,
  stackOverflow,
  stackUnderflow,
  top,
  withFlags,
} from './fpu';
import { fillTop, pushResult } from './fpu_step';
import {
  arctangentDeficit,
  arctangentOfSixteenth,
  cosineDeficit,
  exponentialExcess,
  hyperbolicExcess,
  naturalLogarithmOf2,
  piOver4,
  sineDeficit,
  twiceBase2OfE,
} from './fpu_series';

const BIAS: i32 = 16383;

// @ts-ignore: decorator
@inline
function control(cpu: usize): u32 {
  return <u32>load<u16>(cpu, CPU_fpuControl) | 0x300;
}

/** Rounds s * 2^(e - 127), e unbiased, s not zero. `inexact`: the true value is not quite this one. */
function finish(cpu: usize, sign: u32, e: i32, s: v128, inexact: bool): v128 {
  const n = leadingZeros128(s);
  const t = shiftLeft128(s, n);
  return roundExtended(control(cpu), wide(sign, e - n + BIAS, high(t), low(t) | <u64>inexact));
}

/** A number below 1, of significand s and unbiased exponent e, as a fraction of 2^128. */
// @ts-ignore: decorator
@inline
function fraction(s: v128, e: i32): v128 {
  return shiftRight128(s, -1 - e);
}

// -- trigonometry

/** What `reduce` returns: the multiple of pi/2 that was taken off, modulo 4, and whether what is left is negative. */
const QUADRANT: u32 = 3;
const NEGATIVE: u32 = 4;

/** The 66-bit pi/2 in units of 2^-65. */
const PI_HIGH: u64 = 3;
const PI_LOW: u64 = 0x243f6a8885a308d3;

/**
 * Reduces |x| = s * 2^(e - 63) by pi/2 to at most pi/4. The significand of what is left (128 bits, normalized) goes to `at`, its unbiased
 * exponent to `at + 16`.
 */
function reduce(s: u64, e: i32, at: usize): u32 {
  if (e < -1 || (e == -1 && s <= 0xc90fdaa22168c234)) {
    v128.store(at, pair(0, s));
    store<i32>(at, e, 16);
    return 0;
  }
  let rl = s;
  let rh: u64 = 0;
  let quotient: u32 = 0;
  for (let i = e + 2; i > 0; i--) {
    rh = (rh << 1) | (rl >> 63);
    rl <<= 1;
    quotient <<= 1;
    if (rh > PI_HIGH || (rh == PI_HIGH && rl >= PI_LOW)) {
      rh -= PI_HIGH + <u64>(rl < PI_LOW);
      rl -= PI_LOW;
      quotient |= 1;
    }
  }
  const rest = pair(rl, rh);
  const other = subtract128(pair(PI_LOW, PI_HIGH), rest);
  let r = rest;
  let flags: u32 = 0;
  if (less128(other, rest)) {
    r = other;
    quotient++;
    flags = NEGATIVE;
  }
  const n = leadingZeros128(r);
  v128.store(at, shiftLeft128(r, n));
  store<i32>(at, 62 - n, 16);
  return flags | (quotient & QUADRANT);
}

/** r * r as a fraction. */
// @ts-ignore: decorator
@inline
function squared(s: v128, e: i32): v128 {
  const f = fraction(s, e);
  return multiply128(f, f);
}

/** The significand of sin r, at r's exponent. */
// @ts-ignore: decorator
@inline
function sine(s: v128, z: v128): v128 {
  return subtract128(s, multiply128(s, sineDeficit(z)));
}

/** cos r as a fraction; the largest one for 1. */
// @ts-ignore: decorator
@inline
function cosine(z: v128): v128 {
  const deficit = cosineDeficit(z);
  if (!v128.any_true(deficit)) return pair(u64.MAX_VALUE, u64.MAX_VALUE);
  return subtract128(pair(0, 0), deficit);
}

/** The sine (or cosine, which is a quadrant ahead) of the reduced number at `at`. */
function trigonometric(cpu: usize, at: usize, flags: u32, sign: u32, ahead: u32): v128 {
  const s = v128.load(at);
  const e = load<i32>(at, 16);
  const z = squared(s, e);
  const quadrant = ((flags & QUADRANT) + ahead) & 3;
  const negativeR = flags & NEGATIVE ? 1 : 0;
  if (quadrant & 1) return finish(cpu, (quadrant >> 1) ^ (ahead ? 0 : sign), -1, cosine(z), true);
  return finish(cpu, (quadrant >> 1) ^ negativeR ^ (ahead ? 0 : sign), e, sine(s, z), true);
}

const SINE: i32 = 0;
const COSINE: i32 = 1;
const BOTH: i32 = 2;
const TANGENT: i32 = 3;

function setC2(cpu: usize): void {
  store<u16>(cpu, (load<u16>(cpu, CPU_fpuStatus) & ~C1) | C2, CPU_fpuStatus);
}

function clearC2(cpu: usize): void {
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) & ~C2, CPU_fpuStatus);
}

/** Scratch of one instruction: no memory operand is under way. */
// @ts-ignore: decorator
@inline
function scratch(cpu: usize): usize {
  return cpu + CPU_bounce;
}

function trigonometry(cpu: usize, record: usize, what: i32): void {
  enter(cpu, record);
  const zero = top(cpu);
  const next = (zero + 7) & 7;
  const at = slot(cpu, zero);
  const pushes = what >= BOTH;
  if (isEmpty(cpu, zero) || (pushes && !isEmpty(cpu, next))) {
    const underflow = isEmpty(cpu, zero);
    clearC2(cpu);
    if (!(underflow ? stackUnderflow(cpu) : stackOverflow(cpu))) return;
    markUsed(cpu, zero);
    put(at, 0xc000000000000000, 0xffff);
    if (pushes) pushResult(cpu, next, 0xc000000000000000, 0xffff);
    return;
  }
  const s = load<u64>(at);
  const se = <u32>load<u16>(at, 8);
  const sign = se >> 15;
  if (isUnsupported(s, se) || isNan(s, se) || isInfinite(s, se)) {
    const r = isInfinite(s, se) ? withFlags(indefinite(), IE) : propagate(s, se, s, se);
    clearC2(cpu);
    if (commit(cpu, at, r) && pushes) pushResult(cpu, next, low(r), <u32>high(r) & 0xffff);
    return;
  }
  if (s == 0) {
    clearC2(cpu);
    if (what == COSINE) commit(cpu, at, pair(INTEGER_BIT, <u64>BIAS));
    else {
      commit(cpu, at, pair(0, <u64>se));
      if (pushes) pushResult(cpu, next, INTEGER_BIT, BIAS);
    }
    return;
  }
  const e = effectiveExponent(s, se) - BIAS;
  if (e >= 63) return setC2(cpu);
  const before = isDenormal(s, se) ? DE : 0;
  const room = scratch(cpu);
  const flags = reduce(s << clz(s), e, room);
  clearC2(cpu);
  if (what == SINE) commit(cpu, at, withFlags(trigonometric(cpu, room, flags, sign, 0), before));
  else if (what == COSINE) commit(cpu, at, withFlags(trigonometric(cpu, room, flags, sign, 1), before));
  else if (what == BOTH) {
    const cos = trigonometric(cpu, room, flags, sign, 1);
    const sin = trigonometric(cpu, room, flags, sign, 0);
    if (commit(cpu, at, withFlags(sin, before))) pushResult(cpu, next, low(cos), <u32>high(cos) & 0xffff);
  } else if (commit(cpu, at, withFlags(tangent(cpu, room, flags, sign), before))) pushResult(cpu, next, INTEGER_BIT, BIAS);
}

function tangent(cpu: usize, at: usize, flags: u32, sign: u32): v128 {
  const s = v128.load(at);
  const e = load<i32>(at, 16);
  const z = squared(s, e);
  let sin = sine(s, z);
  const ns = leadingZeros128(sin);
  sin = shiftLeft128(sin, ns);
  let cos = cosine(z);
  const nc = leadingZeros128(cos);
  cos = shiftLeft128(cos, nc);
  const es = e - ns;
  const ec = -1 - nc;
  sign ^= flags & NEGATIVE ? 1 : 0;
  if (flags & 1) return quotient(cpu, sign ^ 1, ec, cos, es, sin);
  return quotient(cpu, sign, es, sin, ec, cos);
}

function quotient(cpu: usize, sign: u32, ne: i32, n: v128, de: i32, d: v128): v128 {
  const below = less128(n, d);
  return finish(cpu, sign, ne - de - <i32>below, divide128(n, d), true);
}

export function fsin(cpu: usize, record: usize): void {
  trigonometry(cpu, record, SINE);
}
export function fcos(cpu: usize, record: usize): void {
  trigonometry(cpu, record, COSINE);
}
export function fsincos(cpu: usize, record: usize): void {
  trigonometry(cpu, record, BOTH);
}
export function fptan(cpu: usize, record: usize): void {
  trigonometry(cpu, record, TANGENT);
}

// -- exponential and logarithms

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
    commit(cpu, at, one && negative ? pair(INTEGER_BIT, <u64>(0x8000 | (BIAS - 1)) | (<u64>PE << 32)) : pair(s, <u64>se | (<u64>PE << 32)));
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

/** The first operand of what takes two goes away, the second becomes the result. */
function settlePair(cpu: usize, at: usize, r: v128): void {
  if (commit(cpu, at, r)) pop(cpu);
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
      const whole = pair(0, <u64>abs(k) << 48);
      const part = shiftRight128(l, 15 - le);
      const same = (k < 0) == (fs != 0);
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

function pairUnderflow(cpu: usize, one: u32): void {
  if (!stackUnderflow(cpu)) return;
  markUsed(cpu, one);
  put(slot(cpu, one), 0xc000000000000000, 0xffff);
  pop(cpu);
}

function infinity(sign: u32, flags: u32): v128 {
  return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | (<u64>flags << 32));
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
  if (y == 0) return pair(0, <u64>(xe < 0 ? ySign ^ 0x8000 : ySign) | (<u64>before << 32));
  if (xe == 0 && m == INTEGER_BIT) return pair(0, <u64>ySign | (<u64>before << 32));
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
  if (x == 0 || y == 0) return pair(0, <u64>sign | (<u64>before << 32));
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
      if (e >= 0) return pair(x, <u64>xse | (<u64>before << 32));
      const m = subtract128(pair(0, INTEGER_BIT), shiftRight128(pair(0, s), -e));
      const n = leadingZeros128(m);
      return withFlags(logarithm(cpu, -n, shiftLeft128(m, n), ys, ye, yn), before);
    }
    if (e >= 64) return withFlags(logarithm(cpu, e, pair(1, s), ys, ye, yn), before);
    const big = e < 0 ? add128(pair(0, INTEGER_BIT), shiftRight128(pair(0, s), -e)) : add128(pair(0, s), shiftRight128(pair(0, INTEGER_BIT), e));
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

// -- arctangent

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
    return pair(0, <u64>sign | (<u64>before << 32));
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
    const c = index == 16 ? pair(0, 0) : pair(0, <u64>index << 60);
    const negative = index == 16 || less128(f, c);
    let t = negative ? subtract128(c, f) : subtract128(f, c);
    a = arctangentOfSixteenth(index);
    ae = -1;
    if (v128.any_true(t)) {
      const tn = leadingZeros128(t);
      t = shiftLeft128(t, tn);
      const rc = index == 16 ? shiftRight128(f, 1) : multiply128(f, pair(0, <u64>index << 59));
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

