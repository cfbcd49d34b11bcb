/** What the transcendental x87 instructions share: numbers of 128 significant bits, rounded once. Precision control does not count for them. */
import { CPU_fpuControl } from './layout';
import { high, low, wide } from './float';
import { roundExtended } from './float_round';
import { leadingZeros128, multiply128, shiftLeft128, shiftRight128 } from './fixed';
import { commit, markUsed, pop, put, slot, stackUnderflow } from './fpu';

export const BIAS: i32 = 16383;

// @ts-ignore: decorator
@inline
function control(cpu: usize): u32 {
  return <u32>load<u16>(cpu, CPU_fpuControl) | 0x300;
}

/** Rounds s * 2^(e - 127), e unbiased, s not zero. `inexact`: the true value is not quite this one. */
export function finish(cpu: usize, sign: u32, e: i32, s: v128, inexact: bool): v128 {
  const n = leadingZeros128(s);
  const t = shiftLeft128(s, n);
  return roundExtended(control(cpu), wide(sign, e - n + BIAS, high(t), low(t) | <u64>inexact));
}

/** A number below 1, of significand s and unbiased exponent e, as a fraction of 2^128. */
// @ts-ignore: decorator
@inline
export function fraction(s: v128, e: i32): v128 {
  return shiftRight128(s, -1 - e);
}

/** r * r as a fraction. */
// @ts-ignore: decorator
@inline
export function squared(s: v128, e: i32): v128 {
  const f = fraction(s, e);
  return multiply128(f, f);
}

/** The first operand of what takes two goes away, the second becomes the result. */
export function settlePair(cpu: usize, at: usize, r: v128): void {
  if (commit(cpu, at, r)) pop(cpu);
}

export function pairUnderflow(cpu: usize, one: u32): void {
  if (!stackUnderflow(cpu)) return;
  markUsed(cpu, one);
  put(slot(cpu, one), 0xc000000000000000, 0xffff);
  pop(cpu);
}
