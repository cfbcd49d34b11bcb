/** Elements of strings, many at a time: what does for all of them what string instructions do for one after the other. */
import {
  CODE_64,
  CPU_codeSize,
  CPU_dr,
  PREFIX_REP,
  REACH_readEnd,
  REACH_writeEnd,
} from './layout';
import { DR7_ENABLES } from './tlb';

/**
 * How many of `count` elements from effective address `ea`, the first of which is at host address `at`, go the same way as the first:
 * within its page, within the segment, without a wrap of the address.
 */
export function span(cpu: usize, segment: u32, write: bool, ea: u64, mask: u64, at: usize, size: u32, count: u64, back: bool): u64 {
  const offset = <u32>at & 0xfff;
  let n: u64 = back ? offset / size + 1 : (0x1000 - offset) / size;
  if (count < n) n = count;
  // A data breakpoint may be on any of them.
  if (n <= 1 || <u32>load<u64>(cpu, CPU_dr + 7 * 8) & DR7_ENABLES) return 1;
  // In 64-bit mode a page is canonical or not as a whole.
  const long = load<u32>(cpu, CPU_codeSize) == CODE_64;
  if (back) {
    if (ea < (n - 1) * size) return 1;
    if (long) return n;
  } else if (long) return mask - ea >= n * size - 1 ? n : 1;
  const last = back ? ea + size - 1 : ea + n * size - 1;
  const end = write ? load<u64>(cpu + segment, REACH_writeEnd) : load<u64>(cpu + segment, REACH_readEnd);
  return last < end && last <= mask ? n : 1;
}

// @ts-ignore: decorator
@inline
export function loadElement(at: usize, size: u32): u64 {
  return size == 1 ? load<u8>(at) : size == 2 ? load<u16>(at) : size == 4 ? load<u32>(at) : load<u64>(at);
}

// @ts-ignore: decorator
@inline
export function storeElement(at: usize, value: u64, size: u32): void {
  if (size == 1) store<u8>(at, <u8>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else if (size == 4) store<u32>(at, <u32>value);
  else store<u64>(at, value);
}

/** Copies elements of `size` bytes as if one by one, upwards or, with `back`, downwards. */
export function copyElements(to: usize, from: usize, bytes: u32, size: u32, back: bool): void {
  const spoils = back ? to < from && from < to + bytes : from < to && to < from + bytes;
  if (!spoils) {
    if (bytes >= 64 || back) {
      memory.copy(to, from, bytes);
      return;
    }
    let i: u32 = 0;
    for (; i + 8 <= bytes; i += 8) store<u64>(to + i, load<u64>(from + i));
    for (; i < bytes; i += size) storeElement(to + i, loadElement(from + i, size), size);
    return;
  }
  // What was written is read again.
  if (back) for (let i = bytes; i != 0; i -= size) storeElement(to + i - size, loadElement(from + i - size, size), size);
  else for (let i: u32 = 0; i < bytes; i += size) storeElement(to + i, loadElement(from + i, size), size);
}

/** Stores `bytes` bytes of elements of `size` bytes, all of `value`. */
export function fillElements(to: usize, value: u64, bytes: u32, size: u32): void {
  const pattern: u64 =
    size == 1
      ? (value & 0xff) * 0x0101010101010101
      : size == 2
        ? (value & 0xffff) * 0x0001000100010001
        : size == 4
          ? (value & 0xffffffff) * 0x0000000100000001
          : value;
  if (bytes >= 64 && pattern == (value & 0xff) * 0x0101010101010101) memory.fill(to, <u8>value, bytes);
  else {
    let i: u32 = 0;
    const both = i64x2.splat(pattern);
    for (; i + 16 <= bytes; i += 16) v128.store(to + i, both);
    for (; i + 8 <= bytes; i += 8) store<u64>(to + i, pattern);
    for (; i < bytes; i += size) storeElement(to + i, value, size);
  }
}

/** With REPE elements are compared while they are equal, with REPNE while they are not. */
// @ts-ignore: decorator
@inline
export function goesOn(prefixes: u32, equal: bool): bool {
  return equal == ((prefixes & PREFIX_REP) != 0);
}

/** Index of the first of `n` elements from `at` at which a scan for `wanted` ends, or `n`. */
export function scanElements(at: usize, n: u32, size: u32, wanted: u64, prefixes: u32): u32 {
  let i: u32 = 0;
  if (size == 1) {
    const all = i8x16.splat(<i8>wanted);
    if (prefixes & PREFIX_REP) while (i + 16 <= n && i8x16.all_true(i8x16.eq(v128.load(at + i), all))) i += 16;
    else while (i + 16 <= n && !v128.any_true(i8x16.eq(v128.load(at + i), all))) i += 16;
  }
  while (i < n && goesOn(prefixes, loadElement(at + i * size, size) == wanted)) i++;
  return i;
}

/** Index of the first of `n` pairs of elements at which a comparison ends, or `n`. */
export function compareElements(first: usize, second: usize, n: u32, size: u32, prefixes: u32): u32 {
  let i: u32 = 0;
  if (prefixes & PREFIX_REP) {
    const step = 16 / size;
    while (i + step <= n && !v128.any_true(v128.xor(v128.load(first + i * size), v128.load(second + i * size)))) i += step;
  }
  while (i < n && goesOn(prefixes, loadElement(first + i * size, size) == loadElement(second + i * size, size))) i++;
  return i;
}
