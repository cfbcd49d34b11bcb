/**
 * Addition and multiplication of normal numbers in the control word's usual setting (64 bits, to nearest, PE masked), straight from registers
 * to a register. False: not this case, nothing was done.
 */
import { CPU_fpuControl, CPU_fpuStatus } from './layout';
import { BIAS, C1, INTEGER_BIT, multiplyHigh } from './float';
import { isNormal, put } from './fpu';

/** Precision and rounding control, and the mask of PE. */
const CONTROL_MASK: u32 = 0xf20;
const CONTROL_USUAL: u32 = 0x320;

// @ts-ignore: decorator
@inline
export function isUsual(cpu: usize, a: u64, ase: u32, b: u64, bse: u32): bool {
  return isNormal(a, ase) && isNormal(b, bse) && (<u32>load<u16>(cpu, CPU_fpuControl) & CONTROL_MASK) == CONTROL_USUAL;
}

/** Rounds to nearest, stores, and reports PE and C1. The exponent is at most 0x7ffd. */
// @ts-ignore: decorator
@inline
function settle(cpu: usize, at: usize, sign: u32, e: i32, s: u64, rest: u64): void {
  const up = <u64>(rest > INTEGER_BIT) | (<u64>(rest == INTEGER_BIT) & s & 1);
  s += up;
  if (s < up) {
    s = INTEGER_BIT;
    e++;
  }
  put(at, s, sign | <u32>e);
  const status = <u32>load<u16>(cpu, CPU_fpuStatus) & ~C1;
  store<u16>(cpu, status | (<u32>(rest != 0) << 5) | (<u32>up << 9), CPU_fpuStatus);
}

/** a + (b with its sign flipped by `flip`). */
// @ts-ignore: decorator
@inline
export function addUsual(cpu: usize, at: usize, a: u64, ase: u32, b: u64, bse: u32, flip: u32): bool {
  bse ^= flip;
  let e = <i32>(ase & 0x7fff);
  let d = e - <i32>(bse & 0x7fff);
  const different = (ase ^ bse) & 0x8000;
  if (d < 0 || (d == 0 && a < b)) {
    const t = a;
    a = b;
    b = t;
    ase = bse;
    e -= d;
    d = 0 - d;
  }
  if (d > 63 || e <= 65 || e >= 0x7ffd) return false;
  const sign = ase & 0x8000;
  // All zeros for d = 0, where a shift by 64 would be one by 0.
  const rest = (b << 1) << <u64>(63 - d);
  b >>= <u64>d;
  if (!different) {
    const sum = a + b;
    if (sum >= a) settle(cpu, at, sign, e, sum, rest);
    else settle(cpu, at, sign, e + 1, (sum >> 1) | INTEGER_BIT, (sum << 63) | (rest >> 1) | (rest & 1));
    return true;
  }
  const difference = a - b - <u64>(rest != 0);
  if (difference == 0) return false;
  const lower = 0 - rest;
  const n = clz(difference);
  settle(cpu, at, sign, e - <i32>n, (difference << n) | ((lower >> 1) >> (63 - n)), lower << n);
  return true;
}

// @ts-ignore: decorator
@inline
export function multiplyUsual(cpu: usize, at: usize, a: u64, ase: u32, b: u64, bse: u32): bool {
  const e = <i32>(ase & 0x7fff) + <i32>(bse & 0x7fff) - BIAS;
  if (<u32>(e - 1) >= 0x7ffb) return false;
  const upper = multiplyHigh(a, b);
  const lower = a * b;
  const n = (upper >> 63) ^ 1;
  settle(cpu, at, (ase ^ bse) & 0x8000, e + 1 - <i32>n, (upper << n) | ((lower >> 1) >> (63 - n)), lower << n);
  return true;
}
