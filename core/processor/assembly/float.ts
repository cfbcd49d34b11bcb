/**
 * Binary floating point in integers, for x87 and for what SSE cannot leave to the host: exact sums, products, quotients and roots, not
 * yet rounded. Rounding to a format is in float_round.ts.
 *
 * A *wide* number is a v128: lane 0 holds a significand whose top bit is set (or 0: zero); the low half of lane 1 is
 * `exponent << 1 | sign` (i32, the exponent biased by 16383 as in extended format, but unbounded); the high half of lane 1 continues the
 * significand with 31 bits and a sticky one. Everything works on values; there is no state.
 */

export const INTEGER_BIT: u64 = 0x8000000000000000;
export const BIAS: i32 = 16383;

/** Exception flags, the same bits in the x87 status word and in MXCSR. */
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;
/** x87 status: stack fault; C1, which says "rounded up" after an inexact result. */
export const SF: u32 = 0x40;
export const C1: u32 = 0x200;

// @ts-ignore: decorator
@inline
export function low(v: v128): u64 {
  return <u64>i64x2.extract_lane(v, 0);
}

// @ts-ignore: decorator
@inline
export function high(v: v128): u64 {
  return <u64>i64x2.extract_lane(v, 1);
}

// @ts-ignore: decorator
@inline
export function pair(lowLane: u64, highLane: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(<i64>lowLane), 1, <i64>highLane);
}

/** Makes a wide number of a 128-bit significand. */
// @ts-ignore: decorator
@inline
export function wide(sign: u32, exponent: i32, significand: u64, more: u64): v128 {
  const rest = (more >> 32) | <u64>((more & 0xffffffff) != 0);
  return pair(significand, <u64>(<u32>((exponent << 1) | <i32>sign)) | (rest << 32));
}

// @ts-ignore: decorator
@inline
export function wideSign(w: v128): u32 {
  return <u32>high(w) & 1;
}

// @ts-ignore: decorator
@inline
export function wideExponent(w: v128): i32 {
  return <i32>high(w) >> 1;
}

/** The upper 64 bits of a product. */
// @ts-ignore: decorator
@inline
export function multiplyHigh(a: u64, b: u64): u64 {
  const al = a & 0xffffffff;
  const ah = a >> 32;
  const bl = b & 0xffffffff;
  const bh = b >> 32;
  const p1 = al * bh;
  const p2 = ah * bl + ((al * bl) >> 32);
  const middle = p1 + (p2 & 0xffffffff);
  return ah * bh + (p2 >> 32) + (middle >> 32);
}

/** floor((n1:n0) / d) for n1 < d and d with its top bit set. Two base-2^32 digits, each estimated and corrected (Knuth 4.3.1 D). */
export function divideWide(n1: u64, n0: u64, d: u64): u64 {
  const dh = d >> 32;
  const dl = d & 0xffffffff;
  let q1 = n1 / dh;
  let r = n1 - q1 * dh;
  while (q1 >> 32 || q1 * dl > ((r << 32) | (n0 >> 32))) {
    q1--;
    r += dh;
    if (r >> 32) break;
  }
  const n = ((n1 << 32) | (n0 >> 32)) - q1 * d;
  let q0 = n / dh;
  r = n - q0 * dh;
  while (q0 >> 32 || q0 * dl > ((r << 32) | (n0 & 0xffffffff))) {
    q0--;
    r += dh;
    if (r >> 32) break;
  }
  return (q1 << 32) + q0;
}

/**
 * a + b of finite numbers with normalized or zero significands. `down`: 1 when rounding down, which makes the zero of an exact
 * cancellation negative.
 */
export function addWide(as: u32, ae: i32, a: u64, bs: u32, be: i32, b: u64, down: u32): v128 {
  if (b == 0) {
    if (a == 0) return wide(as == bs ? as : down, 0, 0, 0);
    return wide(as, ae, a, 0);
  }
  if (a == 0) return wide(bs, be, b, 0);
  let d = ae - be;
  if (d < 0 || (d == 0 && a < b)) {
    const s = as;
    as = bs;
    bs = s;
    const t = a;
    a = b;
    b = t;
    ae = be;
    d = -d;
  }
  let shifted = b;
  let rest: u64 = 0;
  if (d > 0) {
    if (d < 64) {
      shifted = b >> <u64>d;
      rest = b << <u64>(64 - d);
    } else {
      shifted = 0;
      rest = d == 64 ? b : d < 128 ? (b >> <u64>(d - 64)) | <u64>(b << <u64>(128 - d) != 0) : 1;
    }
  }
  if (as == bs) {
    const sum = a + shifted;
    if (sum < a) return wide(as, ae + 1, (sum >> 1) | INTEGER_BIT, (rest >> 1) | (rest & 1) | (sum << 63));
    return wide(as, ae, sum, rest);
  }
  const difference = a - shifted - <u64>(rest != 0);
  rest = 0 - rest;
  if (difference == 0) {
    if (rest == 0) return wide(down, 0, 0, 0);
    const n = clz(rest);
    return wide(as, ae - 64 - <i32>n, rest << n, 0);
  }
  const n = clz(difference);
  if (n) return wide(as, ae - <i32>n, (difference << n) | (rest >> (64 - n)), rest << n);
  return wide(as, ae, difference, rest);
}

/** a * b, neither zero. */
export function multiplyWide(sign: u32, ae: i32, a: u64, be: i32, b: u64): v128 {
  const upper = multiplyHigh(a, b);
  const lower = a * b;
  const e = ae + be - BIAS;
  if (<i64>upper < 0) return wide(sign, e + 1, upper, lower);
  return wide(sign, e, (upper << 1) | (lower >> 63), lower << 1);
}

/** a / b, neither zero. */
export function divideToWide(sign: u32, ae: i32, a: u64, be: i32, b: u64): v128 {
  let e = ae - be + BIAS;
  let n1: u64;
  let n0: u64 = 0;
  if (a >= b) {
    n1 = a >> 1;
    n0 = a << 63;
  } else {
    n1 = a;
    e--;
  }
  const q = divideWide(n1, n0, b);
  let r = n0 - q * b;
  let rest: u64 = 0;
  if (r >= b - r) {
    rest = INTEGER_BIT;
    r = r - (b - r);
  }
  return wide(sign, e, q, rest | <u64>(r != 0));
}

/** The square root of a positive number: the host's double root, then one exact correction. */
export function squareRootWide(ae: i32, a: u64): v128 {
  // The radicand is (n1:n0), with an even exponent and its top bit in bit 126 or 127; the root has 64 bits.
  const odd = (ae - BIAS) & 1;
  const n1 = odd ? a : a >> 1;
  const n0 = odd ? 0 : a << 63;
  let x = <u64>(f64.sqrt(<f64>n1) * 4294967296.0);
  let rl = n0 - x * x;
  let rh = <i64>(n1 - multiplyHigh(x, x) - <u64>(n0 < x * x));
  const remainder = <f64>rh * 18446744073709551616.0 + <f64>rl;
  const correction = <i64>(remainder / (2.0 * <f64>x));
  const moved = x + <u64>correction;
  // Only a correction past 2^64 - 1 wraps.
  x = correction > 0 && moved < x ? u64.MAX_VALUE : moved;
  rl = n0 - x * x;
  rh = <i64>(n1 - multiplyHigh(x, x) - <u64>(n0 < x * x));
  while (rh < 0) {
    x--;
    const t = rl + (x << 1) + 1;
    rh += <i64>(x >> 63) + <i64>(t < rl);
    rl = t;
  }
  // While (rh:rl) > 2x the root is at least x + 1.
  while (x != u64.MAX_VALUE && (rh > <i64>(x >> 63) || (rh == <i64>(x >> 63) && rl > x << 1))) {
    const s = (x << 1) + 1;
    rh -= <i64>(x >> 63) + <i64>(rl < s);
    rl -= s;
    x++;
  }
  const above = rh > 0 || rl > x;
  const rest: u64 = (above ? INTEGER_BIT : 0) | <u64>(rl != 0 || rh != 0);
  return wide(0, (ae - BIAS - odd) / 2 + BIAS, x, rest);
}
