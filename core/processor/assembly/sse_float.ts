/**
 * SSE floating point in full: every rounding mode, DAZ and FTZ, exceptions masked or not (SDM vol. 1, 11.5; vol. 1, 4.8 and 4.9). Families
 * leave the common case to WebAssembly's own arithmetic and come here where a flag, a NaN or another mode is at stake.
 */
import { CPU_cr4, CPU_mxcsr } from './layout';
import { VECTOR_XM, faultNoError, undefinedOpcode } from './fault';
import { DE, IE, ZE, addWide, divideToWide, high, low, multiplyWide, pair, squareRootWide } from './float';
import { DOWN, roundDouble, roundSingle } from './float_round';
import { widenDouble, widenSingle } from './fpu_convert';
import { effectiveExponent } from './fpu';

const CR4_OSXMMEXCPT: u32 = 0x400;
const MXCSR_DAZ: u32 = 0x40;
const MXCSR_FTZ: u32 = 0x8000;

/** Formats: packed single, packed double, scalar single, scalar double. */
const PACKED_DOUBLE: i32 = 1;
const SCALAR_SINGLE: i32 = 2;

/** Operations. ADDSUB subtracts in even lanes and adds in odd ones; SQRT has only the second operand. */
const ADD: i32 = 0;
const MUL: i32 = 1;
const SUB: i32 = 2;
const DIV: i32 = 3;
const MIN: i32 = 4;
const MAX: i32 = 5;
const SQRT: i32 = 6;
const ADDSUB: i32 = 7;

const SINGLE_NAN: u64 = 0xffc00000;
const DOUBLE_NAN: u64 = 0xfff8000000000000;

// @ts-ignore: decorator
@inline
function isSingle(format: i32): bool {
  return (format & 1) == 0;
}

/** Rounding control in force. */
// @ts-ignore: decorator
@inline
export function roundingControl(mxcsr: u32): u32 {
  return (mxcsr >> 13) & 3;
}

/** Flush-to-zero works only while underflow is masked. */
// @ts-ignore: decorator
@inline
export function flushes(mxcsr: u32): bool {
  return (mxcsr & MXCSR_FTZ) != 0 && (mxcsr & 0x800) != 0;
}

/** Masks in the places of the flags. */
// @ts-ignore: decorator
@inline
export function masks(mxcsr: u32): u32 {
  return (mxcsr >> 7) & 0x3f;
}

/**
 * Adds flags to MXCSR; an unmasked one raises #XM (or #UD where the system has not said that it handles it). Exceptions found before
 * computing, unmasked, keep those of the result from being reported.
 */
export function settleMxcsr(cpu: usize, flags: u32): void {
  flags &= 0x3f;
  if (!flags) return;
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const unmasked = flags & ~masks(mxcsr);
  if (unmasked & (IE | DE | ZE)) flags &= IE | DE | ZE;
  store<u32>(cpu, mxcsr | flags, CPU_mxcsr);
  if (unmasked) {
    if (load<u32>(cpu, CPU_cr4) & CR4_OSXMMEXCPT) faultNoError(cpu, VECTOR_XM);
    else undefinedOpcode(cpu);
  }
}

// -- lanes

// @ts-ignore: decorator
@inline
export function getLane(v: v128, single: bool, i: i32): u64 {
  const half = (single ? i >> 1 : i) ? high(v) : low(v);
  return single ? (i & 1 ? half >> 32 : half & 0xffffffff) : half;
}

// @ts-ignore: decorator
@inline
export function setLane(v: v128, single: bool, i: i32, bits: u64): v128 {
  let l = low(v);
  let h = high(v);
  if (single) {
    const shift = <u64>((i & 1) << 5);
    const keep = ~(<u64>0xffffffff << shift);
    if (i >> 1) h = (h & keep) | (bits << shift);
    else l = (l & keep) | (bits << shift);
  } else if (i) h = bits;
  else l = bits;
  return pair(l, h);
}

// @ts-ignore: decorator
@inline
export function isNanBits(x: u64, single: bool): bool {
  return single ? (x & 0x7fffffff) > 0x7f800000 : (x & 0x7fffffffffffffff) > 0x7ff0000000000000;
}

// @ts-ignore: decorator
@inline
export function isSignalingBits(x: u64, single: bool): bool {
  return isNanBits(x, single) && !(x & quietBit(single));
}

// @ts-ignore: decorator
@inline
export function quietBit(single: bool): u64 {
  return single ? 0x400000 : 0x8000000000000;
}

// @ts-ignore: decorator
@inline
export function signBit(single: bool): u64 {
  return single ? 0x80000000 : 0x8000000000000000;
}

// @ts-ignore: decorator
@inline
export function infinityBits(single: bool): u64 {
  return single ? 0x7f800000 : 0x7ff0000000000000;
}

// @ts-ignore: decorator
@inline
export function isDenormalBits(x: u64, single: bool): bool {
  return !(x & infinityBits(single)) && (x & ~signBit(single)) != 0;
}

/** With denormals-are-zeros, a denormal is a zero of its sign. */
// @ts-ignore: decorator
@inline
export function zeroDenormal(x: u64, single: bool, mxcsr: u32): u64 {
  return mxcsr & MXCSR_DAZ && isDenormalBits(x, single) ? x & signBit(single) : x;
}

// @ts-ignore: decorator
@inline
export function defaultNan(single: bool): u64 {
  return single ? SINGLE_NAN : DOUBLE_NAN;
}

// @ts-ignore: decorator
@inline
export function widen(x: u64, single: bool): v128 {
  return single ? widenSingle(<u32>x) : widenDouble(x);
}

// @ts-ignore: decorator
@inline
export function round(w: v128, single: bool, mxcsr: u32): v128 {
  return single
    ? roundSingle(w, roundingControl(mxcsr), masks(mxcsr), flushes(mxcsr))
    : roundDouble(w, roundingControl(mxcsr), masks(mxcsr), flushes(mxcsr));
}

/** One lane: the result's bits, and flags in the other lane. */
export function operateLane(operation: i32, x: u64, y: u64, single: bool, mxcsr: u32): v128 {
  x = zeroDenormal(x, single, mxcsr);
  y = zeroDenormal(y, single, mxcsr);
  if (operation == MIN || operation == MAX) return extreme(operation, x, y, single);
  if (isNanBits(x, single) || isNanBits(y, single)) {
    const invalid: u64 = isSignalingBits(x, single) || isSignalingBits(y, single) ? IE : 0;
    return pair((isNanBits(x, single) ? x : y) | quietBit(single), invalid);
  }
  const sign = signBit(single);
  const infinity = infinityBits(single);
  let flags: u64 = isDenormalBits(x, single) || isDenormalBits(y, single) ? DE : 0;
  const wx = widen(x, single);
  const wy = widen(y, single);
  const a = low(wx);
  const b = low(wy);
  const ase = <u32>high(wx) & 0xffff;
  const bse = <u32>high(wy) & 0xffff;
  const ae = effectiveExponent(a, ase);
  const be = effectiveExponent(b, bse);
  const infiniteX = (x & ~sign) == infinity;
  const infiniteY = (y & ~sign) == infinity;
  let w: v128;
  if (operation == ADD || operation == SUB) {
    if (operation == SUB) y ^= sign;
    if (infiniteX) return infiniteY && x != y ? pair(defaultNan(single), IE) : pair(x, flags);
    if (infiniteY) return pair(y, flags);
    const bs = (bse >> 15) ^ <u32>(operation == SUB);
    w = addWide(ase >> 15, ae, a, bs, be, b, <u32>(roundingControl(mxcsr) == DOWN));
  } else if (operation == MUL) {
    const s = (x ^ y) & sign;
    if (infiniteX || infiniteY) return a == 0 || b == 0 ? pair(defaultNan(single), IE) : pair(s | infinity, flags);
    if (a == 0 || b == 0) return pair(s, flags);
    w = multiplyWide((ase ^ bse) >> 15, ae, a << clz(a), be, b << clz(b));
  } else if (operation == DIV) {
    const s = (x ^ y) & sign;
    if (infiniteX) return infiniteY ? pair(defaultNan(single), IE) : pair(s | infinity, flags);
    if (infiniteY) return pair(s, flags);
    if (b == 0) return a == 0 ? pair(defaultNan(single), IE) : pair(s | infinity, ZE);
    if (a == 0) return pair(s, flags);
    w = divideToWide((ase ^ bse) >> 15, ae, a << clz(a), be, b << clz(b));
  } else {
    // SQRT of y.
    if (b == 0) return pair(y, 0);
    if (y & sign) return pair(defaultNan(single), IE);
    if (infiniteY) return pair(y, 0);
    w = squareRootWide(be, b << clz(b));
  }
  const r = round(w, single, mxcsr);
  return pair(low(r), high(r) | flags);
}

/** MIN and MAX: the second operand where either is a NaN, or both are zeros; any NaN is invalid. */
function extreme(operation: i32, x: u64, y: u64, single: bool): v128 {
  if (isNanBits(x, single) || isNanBits(y, single)) return pair(y, IE);
  const flags: u64 = isDenormalBits(x, single) || isDenormalBits(y, single) ? DE : 0;
  const first = operation == MIN ? lessBits(x, y, single) : lessBits(y, x, single);
  return pair(first ? x : y, flags);
}

/** x < y for numbers. */
export function lessBits(x: u64, y: u64, single: bool): bool {
  return single ? reinterpret<f32>(<u32>x) < reinterpret<f32>(<u32>y) : reinterpret<f64>(x) < reinterpret<f64>(y);
}

/** The arithmetic instructions on whole registers. `a` is the destination, whose upper lanes scalar operations keep. */
export function sseArithmetic(cpu: usize, operation: i32, format: i32, a: v128, b: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const single = isSingle(format);
  const count = format == 0 ? 4 : format == PACKED_DOUBLE ? 2 : 1;
  let result = a;
  let flags: u32 = 0;
  for (let i = 0; i < count; i++) {
    let o = operation;
    if (o == ADDSUB) o = i & 1 ? ADD : SUB;
    const y = getLane(b, single, i);
    const r = operateLane(o, o == SQRT ? y : getLane(a, single, i), y, single, mxcsr);
    result = setLane(result, single, i, low(r));
    flags |= <u32>high(r);
  }
  settleMxcsr(cpu, flags);
  return result;
}

// -- comparisons

const UNORDERED: u32 = 3;

/** 0 equal, 1 less, 2 greater, 3 unordered; flags in bits 8.. `quiet`: only SNaNs are invalid. */
function compareLane(x: u64, y: u64, single: bool, quiet: bool, mxcsr: u32): u32 {
  x = zeroDenormal(x, single, mxcsr);
  y = zeroDenormal(y, single, mxcsr);
  if (isNanBits(x, single) || isNanBits(y, single)) {
    const invalid = !quiet || isSignalingBits(x, single) || isSignalingBits(y, single);
    return UNORDERED | (invalid ? IE << 8 : 0);
  }
  const flags = isDenormalBits(x, single) || isDenormalBits(y, single) ? DE << 8 : 0;
  if (lessBits(x, y, single)) return 1 | flags;
  return (lessBits(y, x, single) ? 2 : 0) | flags;
}

/** CMPPS and its kin; predicates 0..7 (SDM vol. 2A, table 3-1). */
export function sseCompare(cpu: usize, predicate: i32, format: i32, a: v128, b: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const single = isSingle(format);
  const count = format == 0 ? 4 : format == PACKED_DOUBLE ? 2 : 1;
  const base = predicate & 3;
  const quiet = base == 0 || base == 3;
  let result = a;
  let flags: u32 = 0;
  for (let i = 0; i < count; i++) {
    const order = compareLane(getLane(a, single, i), getLane(b, single, i), single, quiet, mxcsr);
    flags |= order >>> 8;
    const o = order & 3;
    let holds = base == 0 ? o == 0 : base == 1 ? o == 1 : base == 2 ? o < 2 : o == UNORDERED;
    if (predicate & 4) holds = !holds;
    result = setLane(result, single, i, holds ? (single ? 0xffffffff : u64.MAX_VALUE) : 0);
  }
  settleMxcsr(cpu, flags);
  return result;
}

/** The order of the lowest lanes as COMISS and UCOMISS report it: ZF, PF and CF in their EFLAGS places. */
export function sseOrder(cpu: usize, single: i32, quiet: i32, a: v128, b: v128): u32 {
  const s = single != 0;
  const order = compareLane(getLane(a, s, 0), getLane(b, s, 0), s, quiet != 0, load<u32>(cpu, CPU_mxcsr));
  settleMxcsr(cpu, order >>> 8);
  const o = order & 3;
  return o == UNORDERED ? 0x45 : o == 0 ? 0x40 : o == 1 ? 1 : 0;
}

// -- what is built from these

/** DPPS, DPPD: products of the lanes in imm[7:4], summed by pairs, into the lanes of imm[3:0] (SDM vol. 2A). */
export function sseDotProduct(cpu: usize, imm: i32, double: i32, a: v128, b: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const single = !double;
  const count = double ? 2 : 4;
  let products = pair(0, 0);
  let flags: u32 = 0;
  for (let i = 0; i < count; i++) {
    if (!((imm >> (4 + i)) & 1)) continue;
    const r = operateLane(MUL, getLane(a, single, i), getLane(b, single, i), single, mxcsr);
    products = setLane(products, single, i, low(r));
    flags |= <u32>high(r);
  }
  settleMxcsr(cpu, flags);
  let sum: v128;
  if (double) sum = operateLane(ADD, getLane(products, false, 0), getLane(products, false, 1), false, mxcsr);
  else {
    const first = operateLane(ADD, getLane(products, true, 0), getLane(products, true, 1), true, mxcsr);
    const second = operateLane(ADD, getLane(products, true, 2), getLane(products, true, 3), true, mxcsr);
    settleMxcsr(cpu, <u32>(high(first) | high(second)));
    sum = operateLane(ADD, low(first), low(second), true, mxcsr);
  }
  settleMxcsr(cpu, <u32>high(sum));
  let result = pair(0, 0);
  for (let i = 0; i < count; i++) if ((imm >> i) & 1) result = setLane(result, single, i, low(sum));
  return result;
}

/**
 * RCPPS, RSQRTPS and their scalars, to full precision where processors promise 1.5 * 2^-12 relative error. No exceptions; denormals are
 * zeros on either side whatever MXCSR says.
 */
export function sseApproximate(cpu: usize, root: i32, format: i32, a: v128, b: v128): v128 {
  const count = format == SCALAR_SINGLE ? 1 : 4;
  let result = a;
  for (let i = 0; i < count; i++) {
    const x = <u32>getLane(b, true, i);
    let r: u32;
    if (isNanBits(<u64>x, true)) r = x | 0x400000;
    else if (!(x & 0x7f800000)) r = (x & 0x80000000) | 0x7f800000;
    else if (root && x & 0x80000000) r = <u32>SINGLE_NAN;
    else {
      const f = <f64>reinterpret<f32>(x);
      r = reinterpret<u32>(<f32>(root ? 1.0 / sqrt<f64>(f) : 1.0 / f));
      if (!(r & 0x7f800000)) r &= 0x80000000;
    }
    result = setLane(result, true, i, <u64>r);
  }
  return result;
}


