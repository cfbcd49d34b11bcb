/** Shorter formats and integers to extended format: exact. SNaNs stay signaling; what that means is the caller's. */
import { DE, INTEGER_BIT, pair } from './float';

/** Returns the significand; sign and exponent in bits 0..15 of the other lane, DE in its bits 32.. for a denormal. */
// @ts-ignore: decorator
@inline
export function widenDouble(bits: u64): v128 {
  const e = <u32>(bits >> 52) & 0x7ff;
  if (((e + 1) & 0x7ff) > 1) return pair(INTEGER_BIT | (bits << 11), <u64>((<u32>(bits >> 48) & 0x8000) | (e + 15360)));
  return widenDoubleSpecial(bits);
}

function widenDoubleSpecial(bits: u64): v128 {
  const sign = <u32>(bits >> 48) & 0x8000;
  const fraction = bits & 0xfffffffffffff;
  if (bits & 0x7ff0000000000000) return pair(INTEGER_BIT | (fraction << 11), <u64>(sign | 0x7fff));
  if (fraction == 0) return pair(0, <u64>sign);
  const n = <u32>clz(fraction);
  return pair(fraction << n, <u64>(sign | (15360 + 12 - n)) | (<u64>DE << 32));
}

// @ts-ignore: decorator
@inline
export function widenSingle(bits: u32): v128 {
  const e = (bits >> 23) & 0xff;
  if (((e + 1) & 0xff) > 1) return pair(INTEGER_BIT | (<u64>bits << 40), <u64>(((bits >> 16) & 0x8000) | (e + 16256)));
  return widenSingleSpecial(bits);
}

function widenSingleSpecial(bits: u32): v128 {
  const sign = (bits >> 16) & 0x8000;
  const fraction = bits & 0x7fffff;
  if (bits & 0x7f800000) return pair(INTEGER_BIT | (<u64>fraction << 40), <u64>(sign | 0x7fff));
  if (fraction == 0) return pair(0, <u64>sign);
  const n = <u32>clz(fraction);
  return pair(<u64>fraction << (32 + n), <u64>(sign | (16256 + 9 - n)) | (<u64>DE << 32));
}

// @ts-ignore: decorator
@inline
export function widenInteger(value: i64): v128 {
  if (value == 0) return pair(0, 0);
  const sign: u32 = value < 0 ? 0x8000 : 0;
  const magnitude = value < 0 ? <u64>(0 - value) : <u64>value;
  const n = clz(magnitude);
  return pair(magnitude << n, <u64>(sign | (16383 + 63 - <u32>n)));
}
