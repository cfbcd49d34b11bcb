/** Rounding of wide numbers (float.ts) to the formats of x87 and SSE. SDM vol. 1, 4.8.4 and 4.9.1: tininess is detected after rounding. */
import { C1, INTEGER_BIT, OE, PE, UE, high, low, pair, wideExponent, wideSign } from './float';

/** Rounding control, as in bits 10..11 of the x87 control word and 13..14 of MXCSR. */
export const NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const ZERO: u32 = 3;

/** What is added below the last kept bit; `mask` covers the bits to be dropped. */
// @ts-ignore: decorator
@inline
function increment(rounding: u32, sign: u32, mask: u64): u64 {
  if (rounding == NEAREST) return (mask >> 1) + 1;
  if (rounding == ZERO) return 0;
  return (rounding == UP) == (sign == 0) ? mask : 0;
}

/** Shifts right; bits that fall out are kept as a sticky last bit. */
// @ts-ignore: decorator
@inline
export function shiftSticky(value: u64, count: i32): u64 {
  if (count <= 0) return value;
  if (count >= 64) return <u64>(value != 0);
  return (value >> <u64>count) | <u64>(value << <u64>(64 - count) != 0);
}

/**
 * To extended format under an x87 control word (precision, rounding, and the masks of overflow and underflow, which scale the result
 * by 2^24576 where they are not masked: SDM vol. 1, 8.5.4 and 8.5.5).
 * Returns the significand; sign and exponent in bits 0..15 of the other lane, exceptions and C1 in its bits 32..
 */
export function roundExtended(control: u32, w: v128): v128 {
  let s = low(w);
  const sign = wideSign(w);
  const se = sign << 15;
  if (s == 0) return pair(0, <u64>se);
  let rest = <u32>(high(w) >> 32);
  let e = wideExponent(w);
  const rounding = (control >> 10) & 3;
  const precision = (control >> 8) & 3;
  let mask: u64 = 0;
  if (precision == 0) mask = 0xffffffffff;
  else if (precision == 2) mask = 0x7ff;

  let flags: u32 = 0;
  if (e <= 0) {
    if (!(control & UE)) {
      // Unmasked: the result is tiny unless rounding carries it to the least normal number.
      if (!(e == 0 && carries(s, rest, mask, rounding, sign))) {
        flags = UE;
        e += 24576;
        // Too small even for that (FSCALE): a zero.
        if (e <= 0) return pair(0, <u64>se | (<u64>(UE | PE) << 32));
      }
    } else {
      const tiny = !(e == 0 && carries(s, rest, mask, rounding, sign));
      const count = 1 - e;
      if (count < 64) {
        const dropped = s << <u64>(64 - count);
        rest = <u32>(dropped >> 32) | <u32>(<u32>dropped != 0 || rest != 0);
        s >>= <u64>count;
      } else {
        rest = count == 64 ? <u32>(s >> 32) | <u32>(<u32>s != 0 || rest != 0) : 1;
        s = 0;
      }
      e = 0;
      if (tiny) flags = UE;
    }
  }
  // Round at bit 0 of (s, rest), or at the precision's bit with everything below it sticky.
  let inexact = false;
  let up = false;
  if (mask == 0) {
    inexact = rest != 0;
    if (inexact) {
      if (rounding == NEAREST) up = rest > 0x80000000 || (rest == 0x80000000 && (s & 1) != 0);
      else up = rounding != ZERO && (rounding == UP) == (sign == 0);
      if (up) {
        s++;
        if (s == 0) {
          s = INTEGER_BIT;
          e++;
        }
      }
    }
  } else {
    s |= <u64>(rest != 0);
    const dropped = s & mask;
    inexact = dropped != 0;
    if (inexact) {
      const kept = s & ~mask;
      const half = (mask >> 1) + 1;
      if (rounding == NEAREST) up = dropped > half || (dropped == half && (s & (mask + 1)) != 0);
      else up = rounding != ZERO && (rounding == UP) == (sign == 0);
      s = kept;
      if (up) {
        s += mask + 1;
        if (s == 0) {
          s = INTEGER_BIT;
          e++;
        }
      }
    }
  }
  if (e == 0 && <i64>s < 0) e = 1;
  if (e >= 0x7fff) {
    if (control & OE) {
      const toInfinity = rounding == NEAREST || (rounding == UP && !sign) || (rounding == DOWN && sign);
      if (toInfinity) return pair(INTEGER_BIT, <u64>(se | 0x7fff) | (<u64>(OE | PE | C1) << 32));
      return pair(~mask, <u64>(se | 0x7ffe) | (<u64>(OE | PE) << 32));
    }
    flags = OE;
    e -= 24576;
    if (e >= 0x7fff) return pair(INTEGER_BIT, <u64>(se | 0x7fff) | (<u64>(OE | PE | C1) << 32));
  }
  if (inexact) {
    flags |= PE;
    if (up) flags |= C1;
  } else if (control & UE) {
    // Masked underflow is only reported when the result is also inexact.
    flags &= ~UE;
  }
  return pair(s, <u64>(se | <u32>e) | (<u64>flags << 32));
}

/** Does rounding at normal precision carry out of the significand? */
function carries(s: u64, rest: u32, mask: u64, rounding: u32, sign: u32): bool {
  if ((s | mask) != u64.MAX_VALUE) return false;
  if (mask == 0) {
    if (rest == 0) return false;
    if (rounding == NEAREST) return rest >= 0x80000000;
    return rounding != ZERO && (rounding == UP) == (sign == 0);
  }
  const dropped = (s & mask) | <u64>(rest != 0);
  return dropped + increment(rounding, sign, mask) > mask;
}

/**
 * To double format. Returns the bits; exceptions and C1 in the other lane. `masks`: exception masks (UE decides whether exact tiny
 * results are reported). `flush`: flush-to-zero is in force.
 */
export function roundDouble(w: v128, rounding: u32, masks: u32, flush: bool): v128 {
  let s = low(w);
  const sign = wideSign(w);
  const signBit = <u64>sign << 63;
  if (s == 0) return pair(signBit, 0);
  s |= <u64>(high(w) >> 32 != 0);
  let e = wideExponent(w) - (16383 - 1023);
  const add = increment(rounding, sign, 0x7ff);
  let flags: u32 = 0;
  if (e <= 0) {
    const tiny = e < 0 || s + add >= s;
    if (tiny) {
      if (flush) return pair(signBit, <u64>(UE | PE));
      flags = UE;
    }
    s = shiftSticky(s, 1 - e);
    e = 0;
  }
  const dropped = s & 0x7ff;
  let kept = s >> 11;
  if (dropped) {
    flags |= PE;
    if (rounding == NEAREST ? dropped > 0x400 || (dropped == 0x400 && (kept & 1) != 0) : add != 0) {
      kept++;
      flags |= C1;
    }
  } else if (masks & UE) flags &= ~UE;
  // The integer bit carries into the exponent: for a normal number it makes up for the 1 subtracted here.
  const biased = (<u64>(e > 0 ? min(e, 0x7ff) - 1 : 0) << 52) + kept;
  if (biased >= 0x7ff0000000000000) {
    const toInfinity = rounding == NEAREST || add != 0;
    if (toInfinity) return pair(signBit | 0x7ff0000000000000, <u64>(OE | PE | C1));
    return pair(signBit | 0x7fefffffffffffff, <u64>(OE | PE));
  }
  return pair(signBit | biased, <u64>flags);
}

/** To single format; as `roundDouble`. */
export function roundSingle(w: v128, rounding: u32, masks: u32, flush: bool): v128 {
  let s = low(w);
  const sign = wideSign(w);
  const signBit = <u64>sign << 31;
  if (s == 0) return pair(signBit, 0);
  s |= <u64>(high(w) >> 32 != 0);
  let e = wideExponent(w) - (16383 - 127);
  const add = increment(rounding, sign, 0xffffffffff);
  let flags: u32 = 0;
  if (e <= 0) {
    const tiny = e < 0 || s + add >= s;
    if (tiny) {
      if (flush) return pair(signBit, <u64>(UE | PE));
      flags = UE;
    }
    s = shiftSticky(s, 1 - e);
    e = 0;
  }
  const dropped = s & 0xffffffffff;
  let kept = s >> 40;
  if (dropped) {
    flags |= PE;
    if (rounding == NEAREST ? dropped > 0x8000000000 || (dropped == 0x8000000000 && (kept & 1) != 0) : add != 0) {
      kept++;
      flags |= C1;
    }
  } else if (masks & UE) flags &= ~UE;
  const biased = (<u64>(e > 0 ? e - 1 : 0) << 23) + kept;
  if (biased >= 0x7f800000) {
    const toInfinity = rounding == NEAREST || add != 0;
    if (toInfinity) return pair(signBit | 0x7f800000, <u64>(OE | PE | C1));
    return pair(signBit | 0x7f7fffff, <u64>(OE | PE));
  }
  return pair(signBit | biased, <u64>flags);
}

/**
 * The magnitude of a finite number rounded to an integer: `significand * 2^(exponent - 16383 - 63)`.
 * Returns it with exceptions (PE, C1) in the other lane; IE if it does not fit 64 bits.
 */
export function roundInteger(sign: u32, exponent: i32, significand: u64, rounding: u32): v128 {
  const shift = 16383 + 63 - exponent;
  if (shift < 0) return pair(0, 1);
  if (shift == 0 || significand == 0) return pair(significand, 0);
  let kept: u64;
  let rest: u64;
  if (shift < 64) {
    kept = significand >> <u64>shift;
    rest = significand << <u64>(64 - shift);
  } else {
    kept = 0;
    rest = shift == 64 ? significand : 1;
  }
  if (rest == 0) return pair(kept, 0);
  const half = INTEGER_BIT;
  const up =
    rounding == NEAREST
      ? rest > half || (rest == half && (kept & 1) != 0)
      : rounding != ZERO && (rounding == UP) == (sign == 0);
  if (!up) return pair(kept, <u64>PE);
  kept++;
  return pair(kept, <u64>(PE | C1));
}
