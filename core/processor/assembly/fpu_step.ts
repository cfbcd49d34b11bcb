/** FRNDINT, FSCALE, FXTRACT, FPREM, FPREM1: exact, or one rounding. */
import { CPU_fpuControl, CPU_fpuStatus } from './layout';
import { DE, IE, INTEGER_BIT, ZE, high, low, pair, wide } from './float';
import { roundExtended, roundInteger } from './float_round';
import {
  C0,
  C1,
  C2,
  C3,
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
  moveTop,
  physical,
  propagate,
  put,
  slot,
  stackOverflow,
  stackUnderflow,
  top,
  withFlags,
} from './fpu';

/** Masked response to an empty ST(0). */
export function fillTop(cpu: usize, register: u32): void {
  if (!stackUnderflow(cpu)) return;
  markUsed(cpu, register);
  put(slot(cpu, register), 0xc000000000000000, 0xffff);
}

export function frndint(cpu: usize, record: usize): void {
  enter(cpu, record);
  const register = top(cpu);
  if (isEmpty(cpu, register)) return fillTop(cpu, register);
  const at = slot(cpu, register);
  commit(cpu, at, roundToIntegral(load<u16>(cpu, CPU_fpuControl), load<u64>(at), load<u16>(at, 8)));
}

function roundToIntegral(control: u32, s: u64, se: u32): v128 {
  if (isUnsupported(s, se) || isNan(s, se)) return propagate(s, se, s, se);
  const e = <i32>(se & 0x7fff);
  if (s == 0 || e >= 16383 + 63) return pair(s, <u64>se);
  const before = isDenormal(s, se) ? DE : 0;
  const rounded = roundInteger(se >> 15, effectiveExponent(s, se), s << clz(s), (control >> 10) & 3);
  const magnitude = low(rounded);
  const flags = <u32>high(rounded) | before;
  const sign = se & 0x8000;
  if (magnitude == 0) return pair(0, <u64>sign | ((<u64>flags) << 32));
  const n = clz(magnitude);
  return pair(magnitude << n, <u64>(sign | (16383 + 63 - <u32>n)) | ((<u64>flags) << 32));
}

export function fscale(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const one = physical(cpu, 1);
  if (isEmpty(cpu, zero) || isEmpty(cpu, one)) return fillTop(cpu, zero);
  const at = slot(cpu, zero);
  const by = slot(cpu, one);
  commit(cpu, at, scale(load<u16>(cpu, CPU_fpuControl), load<u64>(at), load<u16>(at, 8), load<u64>(by), load<u16>(by, 8)));
}

function scale(control: u32, a: u64, ase: u32, b: u64, bse: u32): v128 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse) || isNan(a, ase) || isNan(b, bse)) return propagate(a, ase, b, bse);
  const before: u32 = isDenormal(a, ase) || isDenormal(b, bse) ? DE : 0;
  const sign = ase & 0x8000;
  if (isInfinite(b, bse)) {
    if (bse & 0x8000) {
      if (isInfinite(a, ase)) return withFlags(indefinite(), IE);
      return pair(0, <u64>sign | ((<u64>before) << 32));
    }
    if (a == 0) return withFlags(indefinite(), IE);
    return pair(INTEGER_BIT, <u64>(sign | 0x7fff) | ((<u64>before) << 32));
  }
  if (a == 0 || isInfinite(a, ase)) return pair(a, <u64>ase | ((<u64>before) << 32));
  const eb = effectiveExponent(b, bse);
  let n: i32 = 0;
  if (b != 0 && eb >= 16383) n = eb > 16383 + 16 ? 0x20000 : <i32>((b << clz(b)) >> <u64>(16383 + 63 - eb));
  if (bse & 0x8000) n = -n;
  // A power of two changes nothing but the exponent; rounding happens only at the format's ends, at full precision.
  const w = wide(ase >> 15, effectiveExponent(a, ase) + n, a << clz(a), 0);
  return withFlags(roundExtended(control | 0x300, w), before);
}

/** ST(0) becomes the exponent; the significand is pushed. */
export function fxtract(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const next = (zero + 7) & 7;
  const at = slot(cpu, zero);
  if (isEmpty(cpu, zero) || !isEmpty(cpu, next)) {
    if (!(isEmpty(cpu, zero) ? stackUnderflow(cpu) : stackOverflow(cpu))) return;
    markUsed(cpu, zero);
    put(at, 0xc000000000000000, 0xffff);
    pushResult(cpu, next, 0xc000000000000000, 0xffff);
    return;
  }
  const s = load<u64>(at);
  const se = <u32>load<u16>(at, 8);
  if (isUnsupported(s, se) || isNan(s, se)) {
    const r = propagate(s, se, s, se);
    if (!commit(cpu, at, r)) return;
    return pushResult(cpu, next, low(r), <u32>high(r) & 0xffff);
  }
  if (isInfinite(s, se)) {
    commit(cpu, at, pair(INTEGER_BIT, 0x7fff));
    return pushResult(cpu, next, s, se);
  }
  if (s == 0) {
    if (!commit(cpu, at, pair(INTEGER_BIT, <u64>0xffff | ((<u64>ZE) << 32)))) return;
    return pushResult(cpu, next, 0, se);
  }
  const exponent = effectiveExponent(s, se) - 16383;
  const magnitude = <u64>abs(exponent);
  const n = clz(magnitude);
  const flags: u64 = isDenormal(s, se) ? (<u64>DE) << 32 : 0;
  const integer = exponent == 0 ? pair(0, flags) : pair(magnitude << n, <u64>((exponent < 0 ? 0x8000 : 0) | (16383 + 63 - <u32>n)) | flags);
  if (!commit(cpu, at, integer)) return;
  pushResult(cpu, next, s << clz(s), (se & 0x8000) | 16383);
}

/** Pushes the second result of an instruction that has checked for room before. */
export function pushResult(cpu: usize, next: u32, s: u64, se: u32): void {
  moveTop(cpu, 7);
  markUsed(cpu, next);
  put(slot(cpu, next), s, se);
}

/** The least number of bits that one step of a partial remainder takes off where the exponents differ by 64 or more is 32. */
function remainder(cpu: usize, record: usize, nearest: bool): void {
  enter(cpu, record);
  const zero = top(cpu);
  const one = physical(cpu, 1);
  const at = slot(cpu, zero);
  if (isEmpty(cpu, zero) || isEmpty(cpu, one)) {
    fillTop(cpu, zero);
    return complete(cpu);
  }
  const by = slot(cpu, one);
  const a = load<u64>(at);
  const ase = <u32>load<u16>(at, 8);
  const b = load<u64>(by);
  const bse = <u32>load<u16>(by, 8);
  if (isUnsupported(a, ase) || isUnsupported(b, bse) || isNan(a, ase) || isNan(b, bse)) {
    commit(cpu, at, propagate(a, ase, b, bse));
    return complete(cpu);
  }
  if (isInfinite(a, ase) || b == 0) {
    commit(cpu, at, withFlags(indefinite(), IE));
    return complete(cpu);
  }
  const before: u32 = isDenormal(a, ase) || isDenormal(b, bse) ? DE : 0;
  if (a == 0 || isInfinite(b, bse)) {
    const same =
      a == 0 ? pair(0, <u64>ase) : normalized(load<u16>(cpu, CPU_fpuControl), ase >> 15, effectiveExponent(a, ase) + <i32>clz(a), a);
    if (commit(cpu, at, withFlags(same, before))) setQuotient(cpu, 0, false);
    else complete(cpu);
    return;
  }
  let ea = effectiveExponent(a, ase);
  const eb = effectiveExponent(b, bse);
  const divisor = b << clz(b);
  let rest = a << clz(a);
  let sign = ase >> 15;
  const d = ea - eb;
  let quotient: u64 = 0;
  let partial = false;
  if (d >= 0) {
    // One quotient bit a turn; a partial reduction stops early and leaves the rest to the next FPREM.
    partial = d >= 64;
    let bits = partial ? 32 + (d & 31) : d;
    let carry: u64 = 0;
    ea = eb + d - bits;
    for (;;) {
      quotient <<= 1;
      if (carry || rest >= divisor) {
        rest -= divisor;
        quotient |= 1;
      }
      if (bits == 0) break;
      bits--;
      carry = rest >> 63;
      rest <<= 1;
    }
  }
  if (nearest && !partial && d >= -1) {
    // Round the quotient to nearest even: compare twice the remainder with the divisor.
    let more: bool;
    if (d >= 0) more = rest > divisor - rest || (rest == divisor - rest && (quotient & 1) != 0);
    else more = rest > divisor;
    if (more) {
      quotient++;
      sign ^= 1;
      if (d >= 0) rest = divisor - rest;
      else {
        // rest has half the divisor's weight: 2 * divisor - rest, exact at the lower exponent.
        rest = divisor - (rest - divisor);
      }
    }
  }
  const result: v128 = rest == 0 ? pair(0, <u64>(ase & 0x8000)) : normalized(load<u16>(cpu, CPU_fpuControl), sign, ea, rest);
  if (commit(cpu, at, withFlags(result, before))) setQuotient(cpu, <u32>quotient, partial);
  else complete(cpu);
}

/** An invalid or prevented operation leaves no quotient, but is not partial. */
function complete(cpu: usize): void {
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) & ~(C1 | C2), CPU_fpuStatus);
}

function normalized(control: u32, sign: u32, e: i32, s: u64): v128 {
  const n = clz(s);
  return roundExtended(control | 0x300, wide(sign, e - <i32>n, s << n, 0));
}

/** C0, C3, C1: the quotient's bits 2, 1 and 0; C2: the reduction is partial. */
function setQuotient(cpu: usize, quotient: u32, partial: bool): void {
  let codes: u32 = 0;
  if (partial) codes = C2;
  else {
    if (quotient & 4) codes |= C0;
    if (quotient & 2) codes |= C3;
    if (quotient & 1) codes |= C1;
  }
  store<u16>(cpu, (load<u16>(cpu, CPU_fpuStatus) & ~(C0 | C1 | C2 | C3)) | codes, CPU_fpuStatus);
}

export function fprem(cpu: usize, record: usize): void {
  remainder(cpu, record, false);
}
export function fprem1(cpu: usize, record: usize): void {
  remainder(cpu, record, true);
}
