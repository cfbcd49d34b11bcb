/** FSIN, FCOS, FSINCOS, FPTAN. Arguments are reduced exactly by the 66-bit pi that x87 processors use (SDM vol. 1, 8.3.8). */
import { CPU_bounce, CPU_fpuStatus } from './layout';
import { DE, IE, INTEGER_BIT, high, low, pair } from './float';
import { divide128, leadingZeros128, less128, multiply128, shiftLeft128, subtract128 } from './fixed';
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
  propagate,
  put,
  slot,
  stackOverflow,
  stackUnderflow,
  top,
  withFlags,
} from './fpu';
import { pushResult } from './fpu_step';
import { cosineDeficit, sineDeficit } from './fpu_series';
import { BIAS, finish, fraction, squared } from './fpu_precise';

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
