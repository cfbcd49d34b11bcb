/** SSE conversions and ROUNDPS in full: see sse_float.ts. */
import { CPU_mxcsr } from './layout';
import { DE, IE, PE, high, low, pair, wide } from './float';
import { roundInteger } from './float_round';
import { widenInteger } from './fpu_convert';
import { effectiveExponent } from './fpu';
import {
  getLane,
  infinityBits,
  isDenormalBits,
  isNanBits,
  isSignalingBits,
  quietBit,
  round,
  roundingControl,
  setLane,
  settleMxcsr,
  signBit,
  widen,
  zeroDenormal,
} from './sse_float';

const TRUNCATE: u32 = 3;

/** A number as a signed integer of `bits`; the most negative one, and IE, where it does not fit. */
function toInteger(x: u64, single: bool, bits: i32, rounding: u32, mxcsr: u32): v128 {
  const least: u64 = (<u64>1) << (<u64>(bits - 1));
  x = zeroDenormal(x, single, mxcsr);
  if ((x & ~signBit(single)) >= infinityBits(single)) return pair(least, IE);
  const w = widen(x, single);
  const s = low(w);
  if (s == 0) return pair(0, 0);
  const se = <u32>high(w) & 0xffff;
  const r = roundInteger(se >> 15, effectiveExponent(s, se), s << clz(s), rounding);
  const magnitude = low(r);
  const flags = high(r) & (IE | PE);
  const negative = (se & 0x8000) != 0;
  if (flags & IE || magnitude > least - <u64>!negative) return pair(least, IE);
  return pair(negative ? 0 - magnitude : magnitude, flags);
}

/** An integer as a number. */
function fromInteger(value: i64, single: bool, mxcsr: u32): v128 {
  if (value == 0) return pair(0, 0);
  const w = widenInteger(value);
  const se = <u32>high(w);
  return round(wide(se >> 15, <i32>(se & 0x7fff), low(w), 0), single, mxcsr);
}

/** Single to double or back. */
function changeFormat(x: u64, fromSingle: bool, mxcsr: u32): v128 {
  x = zeroDenormal(x, fromSingle, mxcsr);
  const sign = x & signBit(fromSingle);
  const toSign: u64 = sign ? signBit(!fromSingle) : 0;
  if (isNanBits(x, fromSingle)) {
    const payload = x & (quietBit(fromSingle) * 2 - 1);
    const moved = fromSingle ? payload << 29 : payload >> 29;
    const flags: u64 = isSignalingBits(x, fromSingle) ? IE : 0;
    return pair(toSign | infinityBits(!fromSingle) | quietBit(!fromSingle) | moved, flags);
  }
  if ((x & ~signBit(fromSingle)) == infinityBits(fromSingle)) return pair(toSign | infinityBits(!fromSingle), 0);
  if (x == sign) return pair(toSign, 0);
  const flags: u64 = isDenormalBits(x, fromSingle) ? DE : 0;
  const w = widen(x, fromSingle);
  const s = low(w);
  const se = <u32>high(w) & 0xffff;
  const r = round(wide(se >> 15, effectiveExponent(s, se), s << clz(s), 0), !fromSingle, mxcsr);
  return pair(low(r), high(r) | flags);
}

/** CVTSS2SI and its kin: the lowest lane as an integer of 32 or 64 bits. */
export function sseToInteger(cpu: usize, single: i32, bits: i32, truncate: i32, value: v128): i64 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const s = single != 0;
  const r = toInteger(getLane(value, s, 0), s, bits, truncate ? TRUNCATE : roundingControl(mxcsr), mxcsr);
  settleMxcsr(cpu, <u32>high(r));
  return <i64>low(r);
}

/** CVTSI2SS, CVTSI2SD: the number's bits. */
export function sseFromInteger(cpu: usize, single: i32, value: i64): i64 {
  const r = fromInteger(value, single != 0, load<u32>(cpu, CPU_mxcsr));
  settleMxcsr(cpu, <u32>high(r));
  return <i64>low(r);
}

/** CVTPS2DQ, CVTTPS2DQ (four lanes), CVTPS2PI (two). */
export function singlesToIntegers(cpu: usize, truncate: i32, count: i32, value: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const rounding = truncate ? TRUNCATE : roundingControl(mxcsr);
  let result = pair(0, 0);
  let flags: u32 = 0;
  for (let i = 0; i < count; i++) {
    const r = toInteger(getLane(value, true, i), true, 32, rounding, mxcsr);
    result = setLane(result, true, i, low(r) & 0xffffffff);
    flags |= <u32>high(r);
  }
  settleMxcsr(cpu, flags);
  return result;
}

/** CVTPD2DQ, CVTTPD2DQ, CVTPD2PI: two lanes into the low half; the rest is zero. */
export function doublesToIntegers(cpu: usize, truncate: i32, value: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const rounding = truncate ? TRUNCATE : roundingControl(mxcsr);
  const a = toInteger(low(value), false, 32, rounding, mxcsr);
  const b = toInteger(high(value), false, 32, rounding, mxcsr);
  settleMxcsr(cpu, <u32>(high(a) | high(b)));
  return pair((low(a) & 0xffffffff) | (low(b) << 32), 0);
}

/** CVTDQ2PS (four lanes), CVTPI2PS (two, the rest from `a`). */
export function integersToSingles(cpu: usize, count: i32, a: v128, value: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  let flags: u32 = 0;
  let result = a;
  for (let i = 0; i < count; i++) {
    const r = fromInteger(<i64>(<i32>getLane(value, true, i)), true, mxcsr);
    result = setLane(result, true, i, low(r));
    flags |= <u32>high(r);
  }
  settleMxcsr(cpu, flags);
  return result;
}

/** CVTSS2SD, CVTSD2SS: the lowest lane; the rest from `a`. */
export function changeScalarFormat(cpu: usize, fromSingle: i32, a: v128, value: v128): v128 {
  const s = fromSingle != 0;
  const r = changeFormat(getLane(value, s, 0), s, load<u32>(cpu, CPU_mxcsr));
  settleMxcsr(cpu, <u32>high(r));
  return setLane(a, !s, 0, low(r));
}

/** CVTPS2PD, CVTPD2PS: two lanes. */
export function changePackedFormat(cpu: usize, fromSingle: i32, value: v128): v128 {
  const s = fromSingle != 0;
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const a = changeFormat(getLane(value, s, 0), s, mxcsr);
  const b = changeFormat(getLane(value, s, 1), s, mxcsr);
  settleMxcsr(cpu, <u32>(high(a) | high(b)));
  return s ? pair(low(a), low(b)) : pair(low(a) | (low(b) << 32), 0);
}

/** ROUNDPS and its kin: imm[1:0] rounding unless imm[2] says MXCSR's; imm[3] keeps PE from being set. */
export function sseRound(cpu: usize, imm: i32, format: i32, a: v128, b: v128): v128 {
  const mxcsr = load<u32>(cpu, CPU_mxcsr);
  const single = (format & 1) == 0;
  const count = format == 0 ? 4 : format == 1 ? 2 : 1;
  const rounding = imm & 4 ? roundingControl(mxcsr) : <u32>imm & 3;
  let result = a;
  let flags: u32 = 0;
  for (let i = 0; i < count; i++) {
    const r = roundLane(getLane(b, single, i), single, rounding, mxcsr);
    result = setLane(result, single, i, low(r));
    flags |= <u32>high(r);
  }
  settleMxcsr(cpu, imm & 8 ? flags & IE : flags);
  return result;
}

function roundLane(x: u64, single: bool, rounding: u32, mxcsr: u32): v128 {
  x = zeroDenormal(x, single, mxcsr);
  if (isNanBits(x, single)) return pair(x | quietBit(single), isSignalingBits(x, single) ? IE : 0);
  if (single) {
    const f = reinterpret<f32>(<u32>x);
    const r = rounding == 0 ? nearest<f32>(f) : rounding == 1 ? floor<f32>(f) : rounding == 2 ? ceil<f32>(f) : trunc<f32>(f);
    return pair(<u64>reinterpret<u32>(r), r == f ? 0 : PE);
  }
  const d = reinterpret<f64>(x);
  const r = rounding == 0 ? nearest<f64>(d) : rounding == 1 ? floor<f64>(d) : rounding == 2 ? ceil<f64>(d) : trunc<f64>(d);
  return pair(reinterpret<u64>(r), r == d ? 0 : PE);
}
