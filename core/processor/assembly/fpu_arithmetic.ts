/** FADD, FSUB, FMUL, FDIV, FSQRT: the operations on extended numbers. The instructions' forms are in fpu_forms.ts. */
import { BIAS, C1, DE, IE, INTEGER_BIT, PE, ZE, addWide, divideToWide, divideWide, multiplyHigh, multiplyWide, pair, squareRootWide } from './float';
import { effectiveExponent, indefinite, isDenormal, isInfinite, isNan, isNormal, isUnsupported, propagate, withFlags } from './fpu';
import { DOWN, roundExtended } from './float_round';

/** Precision and rounding control, and what they are after FNINIT: 64 bits, to nearest. */
const CONTROL_ROUNDING: u32 = 0xf00;
const CONTROL_DEFAULT: u32 = 0x300;

/** Packs a normal result rounded to nearest at 64 bits. `e` must stay within 1..0x7ffd before rounding. */
// @ts-ignore: decorator
@inline
function nearest(se: u32, e: i32, s: u64, rest: u64): v128 {
  if (rest == 0) return pair(s, <u64>(se | <u32>e));
  const up = <u64>(rest > INTEGER_BIT) | (<u64>(rest == INTEGER_BIT) & s);
  if (up & 1) {
    s++;
    if (s == 0) return pair(INTEGER_BIT, <u64>(se | <u32>(e + 1)) | (<u64>(PE | C1) << 32));
    return pair(s, <u64>(se | <u32>e) | (<u64>(PE | C1) << 32));
  }
  return pair(s, <u64>(se | <u32>e) | (<u64>PE << 32));
}

/**
 * a + (b with its sign flipped by `flip`, 0 or 0x8000). `before`: DE if an operand was a denormal of a shorter format. Returns as
 * `roundExtended`.
 */
export function addExtended(control: u32, a: u64, ase: u32, b: u64, bse: u32, flip: u32, before: u32): v128 {
  if (isNormal(a, ase) && isNormal(b, bse) && (control & CONTROL_ROUNDING) == CONTROL_DEFAULT && !before) {
    bse ^= flip;
    let e = <i32>(ase & 0x7fff);
    let d = e - <i32>(bse & 0x7fff);
    if (d < 0 || (d == 0 && a < b)) {
      const t = a;
      a = b;
      b = t;
      const u = ase;
      ase = bse;
      bse = u;
      d = -d;
      e = <i32>(ase & 0x7fff);
    }
    if (d < 64 && e > 64 && e < 0x7ffe) {
      const se = ase & 0x8000;
      const rest = d ? b << <u64>(64 - d) : 0;
      b >>= <u64>d;
      if (!((ase ^ bse) & 0x8000)) {
        const sum = a + b;
        if (sum >= a) return nearest(se, e, sum, rest);
        return nearest(se, e + 1, (sum >> 1) | INTEGER_BIT, (sum << 63) | (rest >> 1) | (rest & 1));
      }
      const difference = a - b - <u64>(rest != 0);
      const lower = 0 - rest;
      if (difference) {
        const n = clz(difference);
        if (n == 0) return nearest(se, e, difference, lower);
        return nearest(se, e - <i32>n, (difference << n) | (lower >> (64 - n)), lower << n);
      }
      // What is left, if anything, is the bit that the alignment shifted out.
      if (lower == 0) return pair(0, 0);
      return pair(lower, <u64>(se | <u32>(e - 64)));
    }
    return addGeneral(control, a, ase, b, bse);
  }
  return addSpecial(control, a, ase, b, bse, flip, before);
}

function addGeneral(control: u32, a: u64, ase: u32, b: u64, bse: u32): v128 {
  const an = clz(a);
  const bn = clz(b);
  const w = addWide(
    ase >> 15,
    effectiveExponent(a, ase),
    a ? a << an : 0,
    bse >> 15,
    effectiveExponent(b, bse),
    b ? b << bn : 0,
    <u32>(((control >> 10) & 3) == DOWN),
  );
  return roundExtended(control, w);
}

function addSpecial(control: u32, a: u64, ase: u32, b: u64, bse: u32, flip: u32, before: u32): v128 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse) || isNan(a, ase) || isNan(b, bse)) return propagate(a, ase, b, bse);
  bse ^= flip;
  const infiniteA = isInfinite(a, ase);
  const infiniteB = isInfinite(b, bse);
  if (infiniteA && infiniteB && ase != bse) return withFlags(indefinite(), IE);
  if (isDenormal(a, ase) || isDenormal(b, bse)) before |= DE;
  if (infiniteA) return pair(a, <u64>ase | (<u64>before << 32));
  if (infiniteB) return pair(b, <u64>bse | (<u64>before << 32));
  return withFlags(addGeneral(control, a, ase, b, bse), before);
}

export function multiplyExtended(control: u32, a: u64, ase: u32, b: u64, bse: u32, before: u32): v128 {
  const sign = (ase ^ bse) & 0x8000;
  if (isNormal(a, ase) && isNormal(b, bse) && (control & CONTROL_ROUNDING) == CONTROL_DEFAULT && !before) {
    const e = <i32>(ase & 0x7fff) + <i32>(bse & 0x7fff) - BIAS;
    if (e > 0 && e < 0x7ffd) {
      const upper = multiplyHigh(a, b);
      const lower = a * b;
      if (<i64>upper < 0) return nearest(sign, e + 1, upper, lower);
      return nearest(sign, e, (upper << 1) | (lower >> 63), lower << 1);
    }
  }
  return multiplySpecial(control, a, ase, b, bse, before, sign);
}

function multiplySpecial(control: u32, a: u64, ase: u32, b: u64, bse: u32, before: u32, sign: u32): v128 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse) || isNan(a, ase) || isNan(b, bse)) return propagate(a, ase, b, bse);
  if (isInfinite(a, ase) || isInfinite(b, bse)) {
    if (a == 0 || b == 0) return withFlags(indefinite(), IE);
    if (isDenormal(a, ase) || isDenormal(b, bse)) before |= DE;
    return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | (<u64>before << 32));
  }
  if (isDenormal(a, ase) || isDenormal(b, bse)) before |= DE;
  if (a == 0 || b == 0) return pair(0, <u64>sign | (<u64>before << 32));
  const w = multiplyWide(sign >> 15, effectiveExponent(a, ase), a << clz(a), effectiveExponent(b, bse), b << clz(b));
  return withFlags(roundExtended(control, w), before);
}

/** a / b. */
export function divideExtended(control: u32, a: u64, ase: u32, b: u64, bse: u32, before: u32): v128 {
  const sign = (ase ^ bse) & 0x8000;
  if (isNormal(a, ase) && isNormal(b, bse) && (control & CONTROL_ROUNDING) == CONTROL_DEFAULT && !before) {
    let e = <i32>(ase & 0x7fff) - <i32>(bse & 0x7fff) + BIAS;
    if (e > 1 && e < 0x7ffe) {
      let n1 = a;
      let n0: u64 = 0;
      if (a >= b) {
        n1 = a >> 1;
        n0 = a << 63;
      } else e--;
      const q = divideWide(n1, n0, b);
      const r = n0 - q * b;
      // The remainder against half the divisor; half way is impossible, except that nothing is left.
      if (r == 0) return pair(q, <u64>(sign | <u32>e));
      return nearest(sign, e, q, r >= b - r ? u64.MAX_VALUE : 1);
    }
  }
  return divideSpecial(control, a, ase, b, bse, before, sign);
}

function divideSpecial(control: u32, a: u64, ase: u32, b: u64, bse: u32, before: u32, sign: u32): v128 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse) || isNan(a, ase) || isNan(b, bse)) return propagate(a, ase, b, bse);
  const infiniteA = isInfinite(a, ase);
  const infiniteB = isInfinite(b, bse);
  if ((infiniteA && infiniteB) || (a == 0 && b == 0)) return withFlags(indefinite(), IE);
  // Division by zero comes before the denormal operand.
  if (b == 0 && !infiniteA) return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | (<u64>ZE << 32));
  if (isDenormal(a, ase) || isDenormal(b, bse)) before |= DE;
  if (infiniteA) return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | (<u64>before << 32));
  if (infiniteB) return pair(0, <u64>sign | (<u64>before << 32));
  if (a == 0) return pair(0, <u64>sign | (<u64>before << 32));
  const w = divideToWide(sign >> 15, effectiveExponent(a, ase), a << clz(a), effectiveExponent(b, bse), b << clz(b));
  return withFlags(roundExtended(control, w), before);
}

export function squareRootExtended(control: u32, a: u64, ase: u32): v128 {
  if (isUnsupported(a, ase) || isNan(a, ase)) return propagate(a, ase, a, ase);
  if (a == 0) return pair(0, <u64>ase);
  if (ase & 0x8000) return withFlags(indefinite(), IE);
  if (isInfinite(a, ase)) return pair(a, <u64>ase);
  const before = isDenormal(a, ase) ? DE : 0;
  return withFlags(roundExtended(control, squareRootWide(effectiveExponent(a, ase), a << clz(a))), before);
}
