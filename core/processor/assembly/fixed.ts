/** 128-bit numbers as v128 (lane 0 low), most of them fractions of 2^128: what the transcendental instructions compute with. */
import { divideWide, high, low, multiplyHigh, pair } from './float';

// @ts-ignore: decorator
@inline
export function add128(a: v128, b: v128): v128 {
  const l = low(a) + low(b);
  return pair(l, high(a) + high(b) + <u64>(l < low(a)));
}

// @ts-ignore: decorator
@inline
export function subtract128(a: v128, b: v128): v128 {
  return pair(low(a) - low(b), high(a) - high(b) - <u64>(low(a) < low(b)));
}

// @ts-ignore: decorator
@inline
export function less128(a: v128, b: v128): bool {
  return high(a) < high(b) || (high(a) == high(b) && low(a) < low(b));
}

export function shiftRight128(a: v128, count: i32): v128 {
  const n = <u64>count;
  if (n == 0) return a;
  if (n < 64) return pair((low(a) >> n) | (high(a) << (64 - n)), high(a) >> n);
  if (n < 128) return pair(high(a) >> (n - 64), 0);
  return pair(0, 0);
}

export function shiftLeft128(a: v128, count: i32): v128 {
  const n = <u64>count;
  if (n == 0) return a;
  if (n < 64) return pair(low(a) << n, (high(a) << n) | (low(a) >> (64 - n)));
  if (n < 128) return pair(0, low(a) << (n - 64));
  return pair(0, 0);
}

// @ts-ignore: decorator
@inline
export function leadingZeros128(a: v128): i32 {
  return high(a) ? <i32>clz(high(a)) : 64 + <i32>clz(low(a));
}

/** The upper 128 bits of a product, to within two units: the product of the low halves only counts through its carry, left out. */
export function multiply128(a: v128, b: v128): v128 {
  const ah = high(a);
  const bh = high(b);
  const l = ah * bh;
  const cross = multiplyHigh(ah, low(b));
  const t = l + cross;
  const other = multiplyHigh(low(a), bh);
  const u = t + other;
  return pair(u, multiplyHigh(ah, bh) + <u64>(t < l) + <u64>(u < t));
}

/**
 * n / d for two numbers with their top bits set, as a fraction of 2^128 (n < d) or of 2^127 (n >= d); to about 2^-124.
 */
export function divide128(n: v128, d: v128): v128 {
  const half = less128(n, d) ? n : shiftRight128(n, 1);
  const d1 = high(d);
  let n1 = high(half);
  // Only n1 == d1 is left (n0 < d0): the quotient by d1 alone would not fit. A quotient so close to 1 loses nothing by halving both.
  if (n1 >= d1) return pair(u64.MAX_VALUE - shiftedDifference(half, d), u64.MAX_VALUE);
  const q1 = divideWide(n1, low(half), d1);
  const r = low(half) - q1 * d1;
  const q0 = divideWide(r, 0, d1);
  // (n / d1) * (1 - d0 / (d1 * 2^64)): the next term of the series is below 2^-126.
  const epsilon = divideWide(low(d) >> 1, low(d) << 63, d1);
  const upper = multiplyHigh(q1, epsilon);
  const lower = q1 * epsilon;
  return subtract128(pair(q0, q1), pair((upper << 1) | (lower >> 63), upper >> 63));
}

/** (d - n) as a fraction of d, where they agree in their upper halves. */
function shiftedDifference(n: v128, d: v128): u64 {
  return divideWide((low(d) - low(n)) >> 1, 0, high(d)) << 1;
}
