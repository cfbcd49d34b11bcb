/** SSE4.1 and SSE4.2 instructions that are loops: PCMPxSTRx (SDM vol. 2B, 4.1), MPSADBW, PHMINPOSUW; and MASKMOVQ, MASKMOVDQU. */
import { CPU_gpr, CPU_reach, DS, RECORD_addressMask, RECORD_base, RECORD_reg, REACH_SIZE } from './layout';
import { high, low, pair } from './float';
import { setArithmeticFlags } from './flags';
import { store8 } from './memory';

/** Element `i` of a string of bytes or words, extended as the control byte says. */
// @ts-ignore: decorator
@inline
function element(v: v128, i: i32, words: bool, signed: bool): i32 {
  const half = i >= (words ? 4 : 8) ? high(v) : low(v);
  const raw = <u32>(words ? half >> <u64>((i & 3) << 4) : half >> <u64>((i & 7) << 3));
  if (words) return signed ? <i32>(<i16>raw) : <i32>(raw & 0xffff);
  return signed ? <i32>(<i8>raw) : <i32>(raw & 0xff);
}

/** Elements before the first that is zero. */
function implicitLength(v: v128, words: bool): i32 {
  const count = words ? 8 : 16;
  for (let i = 0; i < count; i++) if (element(v, i, words, false) == 0) return i;
  return count;
}

/** A length register: its magnitude, at most `count`. */
function explicitLength(cpu: usize, register: usize, count: i32, wide: bool): i32 {
  const value = wide ? load<i64>(cpu + register, CPU_gpr) : <i64>load<i32>(cpu + register, CPU_gpr);
  // The magnitude of the least integer is itself, unsigned.
  const magnitude = <u64>(value < 0 ? 0 - value : value);
  return magnitude > <u64>count ? count : <i32>magnitude;
}

/** The intermediate result 2, one bit an element; sets the flags. `how`: 0 implicit lengths, 1 explicit in EAX and EDX, 2 in RAX and RDX. */
function compareStrings(cpu: usize, imm: i32, how: i32, a: v128, b: v128): u32 {
  const words = (imm & 1) != 0;
  const signed = (imm & 2) != 0;
  const count = words ? 8 : 16;
  const la = how ? explicitLength(cpu, 0, count, how == 2) : implicitLength(a, words);
  const lb = how ? explicitLength(cpu, 16, count, how == 2) : implicitLength(b, words);
  const all: u32 = (1 << count) - 1;
  let result: u32 = 0;
  const aggregation = (imm >> 2) & 3;
  for (let j = 0; j < count; j++) {
    let holds = false;
    if (aggregation == 0) {
      // Equal any
      if (j < lb) {
        const y = element(b, j, words, signed);
        for (let i = 0; i < la; i++) if (element(a, i, words, signed) == y) holds = true;
      }
    } else if (aggregation == 1) {
      // Ranges
      if (j < lb) {
        const y = element(b, j, words, signed);
        for (let i = 0; i + 1 < la; i += 2) if (element(a, i, words, signed) <= y && y <= element(a, i + 1, words, signed)) holds = true;
      }
    } else if (aggregation == 2) {
      // Equal each
      holds = j < la && j < lb ? element(a, j, words, signed) == element(b, j, words, signed) : j >= la && j >= lb;
    } else {
      // Equal ordered: the rest of the second operand may hold only the beginning.
      holds = true;
      for (let i = 0; i < la && j + i < count; i++) {
        if (j + i >= lb || element(a, i, words, signed) != element(b, j + i, words, signed)) {
          holds = false;
          break;
        }
      }
    }
    if (holds) result |= 1 << j;
  }
  if (imm & 0x10) result ^= imm & 0x20 ? (1 << lb) - 1 : all;
  setArithmeticFlags(
    cpu,
    <u32>(result != 0) | (<u32>(lb < count) << 6) | (<u32>(la < count) << 7) | ((result & 1) << 11),
  );
  return result;
}

/** PCMPESTRI, PCMPISTRI: the index, or the number of elements. */
export function stringIndex(cpu: usize, imm: i32, how: i32, a: v128, b: v128): i32 {
  const result = compareStrings(cpu, imm, how, a, b);
  if (result == 0) return imm & 1 ? 8 : 16;
  return imm & 0x40 ? 31 - clz<i32>(<i32>result) : ctz<i32>(<i32>result);
}

/** PCMPESTRM, PCMPISTRM: a bit, or a whole element, for each. */
export function stringMask(cpu: usize, imm: i32, how: i32, a: v128, b: v128): v128 {
  const result = compareStrings(cpu, imm, how, a, b);
  if (!(imm & 0x40)) return pair(<u64>result, 0);
  if (imm & 1) {
    const bits = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
    return i16x8.eq(v128.and(i16x8.splat(<i16>result), bits), bits);
  }
  const bits = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const bytes = pair((<u64>(result & 0xff)) * 0x0101010101010101, <u64>(result >> 8) * 0x0101010101010101);
  return i8x16.eq(v128.and(bytes, bits), bits);
}

/** Eight sums of absolute differences of four bytes each. */
export function multipleSums(cpu: usize, imm: i32, a: v128, b: v128): v128 {
  const from = imm & 4;
  const block = (imm & 3) << 2;
  let lower: u64 = 0;
  let upper: u64 = 0;
  for (let i = 0; i < 8; i++) {
    let sum: u32 = 0;
    for (let k = 0; k < 4; k++) sum += <u32>abs(element(a, from + i + k, false, false) - element(b, block + k, false, false));
    if (i < 4) lower |= <u64>sum << <u64>(i << 4);
    else upper |= <u64>sum << <u64>((i - 4) << 4);
  }
  return pair(lower, upper);
}

/** The least word and its index. */
export function minimumPosition(cpu: usize, b: v128): v128 {
  let least = element(b, 0, true, false);
  let at = 0;
  for (let i = 1; i < 8; i++) {
    const word = element(b, i, true, false);
    if (word < least) {
      least = word;
      at = i;
    }
  }
  return pair(<u64>least | (<u64>at << 16), 0);
}

/** Bytes whose mask byte has bit 7 go to DS:[rDI]. */
function storeMasked(cpu: usize, record: usize, bytes: i32): void {
  const ea = load<u64>(cpu, CPU_gpr + 56);
  const addresses = load<u64>(record, RECORD_addressMask);
  const data = cpu + load<u16>(record, RECORD_reg);
  const chosen = cpu + load<u16>(record, RECORD_base);
  const segment = <u32>CPU_reach + DS * <u32>REACH_SIZE;
  for (let i = 0; i < bytes; i++) {
    if (load<i8>(chosen + i) < 0) store8(cpu, segment, (ea + <u64>i) & addresses, load<u8>(data + i));
  }
}

export function maskmovdqu(cpu: usize, record: usize): void {
  storeMasked(cpu, record, 16);
}
export function maskmovq(cpu: usize, record: usize): void {
  storeMasked(cpu, record, 8);
}
