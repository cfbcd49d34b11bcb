/**
 * String instructions (SDM vol. 1, 7.3.9.3; vol. 2, REP): restartable after every element, interruptible between chunks, and done a page
 * at a time where that cannot be told from single steps.
 *
 * Rows of these end their block: `rip` holds the next address on entry, and is set back to the instruction's own where work is left.
 */
import {
  CODE_16,
  CODE_64,
  CONTROL_ram,
  CPU_bounce,
  CPU_budget,
  CPU_codeSize,
  CPU_dr,
  CPU_eflags,
  CPU_event,
  CPU_gpr,
  CPU_reach,
  CPU_rip,
  DS,
  ES,
  GS,
  PREFIX_ADDRESS,
  PREFIX_REP,
  PREFIX_REPNE,
  REACH_SIZE,
  REACH_readEnd,
  REACH_writeEnd,
  RECORD_addressMask,
  RECORD_prefixes,
  RECORD_segment,
} from './layout';
import { invalidateCode } from './codepages';
import { checkIo } from './ports';
import { FLAG_DF, FLAG_TF, setCompareFlags } from './flags';
import { readPort, writePort } from './host';
import { commitWrite, readAddress, storeAddress } from './memory';
import { instructionAddress, operandSize } from './operands';
import { DR7_ENABLES } from './tlb';

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 8;
const RDX: usize = CPU_gpr + 16;
const RSI: usize = CPU_gpr + 48;
const RDI: usize = CPU_gpr + 56;
const ES_REACH: u32 = <u32>CPU_reach + ES * <u32>REACH_SIZE;
const DS_REACH: u32 = <u32>CPU_reach + DS * <u32>REACH_SIZE;
const GS_REACH: u32 = <u32>CPU_reach + GS * <u32>REACH_SIZE;

// -- the record

/** The source's segment: DS, or what a prefix said. */
function sourceSegment(record: usize): u32 {
  const segment = <u32>load<u16>(record, RECORD_segment);
  return segment < ES_REACH || segment > GS_REACH ? DS_REACH : segment;
}

/** 0xffff, 0xffffffff or all ones: which part of RSI, RDI and RCX is used. */
function addressMask(cpu: usize, record: usize): u64 {
  const mask = load<u64>(record, RECORD_addressMask);
  if (mask != 0) return mask;
  const mode = load<u32>(cpu, CPU_codeSize);
  const flip = (load<u8>(record, RECORD_prefixes) & PREFIX_ADDRESS) != 0;
  if (mode == CODE_64) return flip ? 0xffffffff : <u64>-1;
  return (mode == CODE_16) != flip ? 0xffff : 0xffffffff;
}

// @ts-ignore: decorator
@inline
function repeats(record: usize): u32 {
  return <u32>load<u8>(record, RECORD_prefixes) & (PREFIX_REP | PREFIX_REPNE);
}

// @ts-ignore: decorator
@inline
function backward(cpu: usize): bool {
  return (load<u32>(cpu, CPU_eflags) & FLAG_DF) != 0;
}

/** Writes the part of an index or count register that `mask` selects; a 32-bit part is zero-extended, as 32-bit results are. */
// @ts-ignore: decorator
@inline
function setPart(at: usize, value: u64, mask: u64): void {
  if (mask == 0xffff) store<u16>(at, <u16>value);
  else store<u64>(at, value & mask);
}

/** Moves an index register by `count` elements in the direction that DF says. */
// @ts-ignore: decorator
@inline
function advance(cpu: usize, register: usize, mask: u64, size: u32, count: u64): void {
  const by = count * size;
  const old = load<u64>(cpu + register);
  setPart(cpu + register, backward(cpu) ? old - by : old + by, mask);
}

/**
 * After `done` elements, `left` remaining: whether to go on here. If not, and work is left, the instruction will be executed again.
 * `work` is what the chunk cost, in instructions.
 */
function proceed(cpu: usize, record: usize, left: u64, work: i32): bool {
  const budget = load<i32>(cpu, CPU_budget) - work;
  store<i32>(cpu, budget, CPU_budget);
  if (left == 0) return false;
  if (budget >= 0 && atomic.load<u32>(cpu + CPU_event) == 0 && !(load<u32>(cpu, CPU_eflags) & FLAG_TF)) return true;
  store<u64>(cpu, instructionAddress(cpu, record), CPU_rip);
  return false;
}

/** At most so many elements before `proceed` is asked; with TF set, one: there is a trap after each. */
// @ts-ignore: decorator
@inline
function limited(cpu: usize, count: u64): u64 {
  return load<u32>(cpu, CPU_eflags) & FLAG_TF ? 1 : count;
}

/**
 * How many of `count` elements from effective address `ea`, the first of which is at host address `at`, go the same way as the first:
 * forward, within its page, within the segment, without a wrap of the address.
 */
function span(cpu: usize, segment: u32, write: bool, ea: u64, mask: u64, at: usize, size: u32, count: u64): u64 {
  let n = <u64>((0x1000 - (<u32>at & 0xfff)) / size);
  if (count < n) n = count;
  // A data breakpoint may be on any of them.
  if (n <= 1 || <u32>load<u64>(cpu, CPU_dr + 7 * 8) & DR7_ENABLES) return 1;
  const last = ea + n * size - 1;
  // In 64-bit mode a page is canonical or not as a whole.
  if (load<u32>(cpu, CPU_codeSize) == CODE_64) return mask - ea >= n * size - 1 ? n : 1;
  const end = write ? load<u64>(cpu + segment, REACH_writeEnd) : load<u64>(cpu + segment, REACH_readEnd);
  return last < end && last <= mask ? n : 1;
}

// @ts-ignore: decorator
@inline
function loadElement(at: usize, size: u32): u64 {
  return size == 1 ? load<u8>(at) : size == 2 ? load<u16>(at) : size == 4 ? load<u32>(at) : load<u64>(at);
}

// @ts-ignore: decorator
@inline
function storeElement(at: usize, value: u64, size: u32): void {
  if (size == 1) store<u8>(at, <u8>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else if (size == 4) store<u32>(at, <u32>value);
  else store<u64>(at, value);
}

/** Bytes at a host address of RAM were written without `storeAddress` having seen all of them. */
function written(at: usize, bytes: u32): void {
  const offset = <u32>at - load<u32>(0, CONTROL_ram);
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + bytes - 1);
}

// -- MOVS

/** Moves at least one element of at most `count`; returns how many. Registers but RCX are up to date then. */
function moveChunk(cpu: usize, segment: u32, mask: u64, size: u32, count: u64): u64 {
  const bounce = cpu + CPU_bounce;
  const si = load<u64>(cpu, RSI) & mask;
  const di = load<u64>(cpu, RDI) & mask;
  const from = readAddress(cpu, segment, si, size);
  const value = loadElement(from, size);
  const isRam = from != bounce;
  const to = storeAddress(cpu, ES_REACH, di, size);
  let n: u64 = 1;
  if (count > 1 && isRam && to != bounce && !backward(cpu)) {
    n = span(cpu, segment, false, si, mask, from, size, count);
    if (n > 1) n = span(cpu, ES_REACH, true, di, mask, to, size, n);
  }
  if (n == 1) {
    storeElement(to, value, size);
    if (to == bounce) commitWrite(cpu);
  } else {
    const bytes = <u32>n * size;
    if (bytes >= 32 && !(to > from && to < from + bytes)) memory.copy(to, from, bytes);
    else for (let i: u32 = 0; i < bytes; i += size) storeElement(to + i, loadElement(from + i, size), size);
    written(to, bytes);
  }
  advance(cpu, RSI, mask, size, n);
  advance(cpu, RDI, mask, size, n);
  return n;
}

function move(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  if (!repeats(record)) {
    moveChunk(cpu, segment, mask, size, 1);
    return;
  }
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const n = moveChunk(cpu, segment, mask, size, limited(cpu, left));
    left -= n;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 1 + <i32>((n * size) >>> 6))) return;
  }
}

// -- STOS

function fillChunk(cpu: usize, mask: u64, size: u32, count: u64): u64 {
  const bounce = cpu + CPU_bounce;
  const di = load<u64>(cpu, RDI) & mask;
  const value = load<u64>(cpu, RAX);
  const to = storeAddress(cpu, ES_REACH, di, size);
  const n = count > 1 && to != bounce && !backward(cpu) ? span(cpu, ES_REACH, true, di, mask, to, size, count) : 1;
  if (n == 1) {
    storeElement(to, value, size);
    if (to == bounce) commitWrite(cpu);
  } else {
    const bytes = <u32>n * size;
    const pattern: u64 =
      size == 1
        ? (value & 0xff) * 0x0101010101010101
        : size == 2
          ? (value & 0xffff) * 0x0001000100010001
          : size == 4
            ? (value & 0xffffffff) * 0x0000000100000001
            : value;
    if (bytes >= 32 && pattern == (value & 0xff) * 0x0101010101010101) memory.fill(to, <u8>value, bytes);
    else {
      let i: u32 = 0;
      for (; i + 8 <= bytes; i += 8) store<u64>(to + i, pattern);
      for (; i < bytes; i += size) storeElement(to + i, value, size);
    }
    written(to, bytes);
  }
  advance(cpu, RDI, mask, size, n);
  return n;
}

function fill(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  if (!repeats(record)) {
    fillChunk(cpu, mask, size, 1);
    return;
  }
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const n = fillChunk(cpu, mask, size, limited(cpu, left));
    left -= n;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 1 + <i32>((n * size) >>> 6))) return;
  }
}

// -- LODS

function loadString(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  const repeated = repeats(record) != 0;
  let left: u64 = repeated ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return;
  for (;;) {
    const value = loadElement(readAddress(cpu, segment, load<u64>(cpu, RSI) & mask, size), size);
    if (size == 1) store<u8>(cpu, <u8>value, RAX);
    else if (size == 2) store<u16>(cpu, <u16>value, RAX);
    else store<u64>(cpu, value, RAX);
    advance(cpu, RSI, mask, size, 1);
    if (!repeated) return;
    left--;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 1)) return;
  }
}

// -- SCAS, CMPS

/** With REPE elements are compared while they are equal, with REPNE while they are not. */
// @ts-ignore: decorator
@inline
function goesOn(prefixes: u32, equal: bool): bool {
  return equal == ((prefixes & PREFIX_REP) != 0);
}

function scan(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const prefixes = repeats(record);
  const wanted = loadElement(cpu + RAX, size);
  if (!prefixes) {
    const value = loadElement(readAddress(cpu, ES_REACH, load<u64>(cpu, RDI) & mask, size), size);
    advance(cpu, RDI, mask, size, 1);
    setCompareFlags(cpu, wanted, value, size);
    return;
  }
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const di = load<u64>(cpu, RDI) & mask;
    const at = readAddress(cpu, ES_REACH, di, size);
    let value = loadElement(at, size);
    let n: u64 = 1;
    let more = goesOn(prefixes, value == wanted);
    if (more && at != cpu + CPU_bounce && !backward(cpu)) {
      const most = span(cpu, ES_REACH, false, di, mask, at, size, limited(cpu, left));
      while (more && n < most) {
        value = loadElement(at + <usize>n * size, size);
        n++;
        more = goesOn(prefixes, value == wanted);
      }
    }
    left -= n;
    advance(cpu, RDI, mask, size, n);
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, more ? left : 0, 1 + <i32>(n >>> 2))) {
      // A fault leaves the flags as they were before the instruction, so they are set only here.
      setCompareFlags(cpu, wanted, value, size);
      return;
    }
  }
}

function compare(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  const prefixes = repeats(record);
  const bounce = cpu + CPU_bounce;
  let left: u64 = prefixes ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return;
  for (;;) {
    const si = load<u64>(cpu, RSI) & mask;
    const di = load<u64>(cpu, RDI) & mask;
    const first = readAddress(cpu, segment, si, size);
    let a = loadElement(first, size);
    const isRam = first != bounce;
    const second = readAddress(cpu, ES_REACH, di, size);
    let b = loadElement(second, size);
    let n: u64 = 1;
    let more = goesOn(prefixes, a == b);
    if (more && prefixes && isRam && second != bounce && !backward(cpu)) {
      let most = span(cpu, segment, false, si, mask, first, size, limited(cpu, left));
      most = span(cpu, ES_REACH, false, di, mask, second, size, most);
      while (more && n < most) {
        a = loadElement(first + <usize>n * size, size);
        b = loadElement(second + <usize>n * size, size);
        n++;
        more = goesOn(prefixes, a == b);
      }
    }
    advance(cpu, RSI, mask, size, n);
    advance(cpu, RDI, mask, size, n);
    if (prefixes) {
      left -= n;
      setPart(cpu + RCX, left, mask);
    }
    if (!prefixes || !proceed(cpu, record, more ? left : 0, 1 + <i32>(n >>> 2))) {
      setCompareFlags(cpu, a, b, size);
      return;
    }
  }
}

// -- INS, OUTS

/** The port's element is read only when it is sure that it can be written: reading has effects. */
function input(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const repeated = repeats(record) != 0;
  const port = <u32>load<u16>(cpu, RDX);
  checkIo(cpu, port, size);
  let left: u64 = repeated ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return;
  for (;;) {
    const to = storeAddress(cpu, ES_REACH, load<u64>(cpu, RDI) & mask, size);
    storeElement(to, readPort(cpu, port, size), size);
    if (to == cpu + CPU_bounce) commitWrite(cpu);
    advance(cpu, RDI, mask, size, 1);
    if (!repeated) return;
    left--;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 8)) return;
  }
}

function output(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  const repeated = repeats(record) != 0;
  const port = <u32>load<u16>(cpu, RDX);
  checkIo(cpu, port, size);
  let left: u64 = repeated ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return;
  for (;;) {
    const value = <u32>loadElement(readAddress(cpu, segment, load<u64>(cpu, RSI) & mask, size), size);
    writePort(cpu, port, size, value);
    advance(cpu, RSI, mask, size, 1);
    if (!repeated) return;
    left--;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 8)) return;
  }
}

/** INS and OUTS have no 64-bit form: REX.W is ignored. */
// @ts-ignore: decorator
@inline
function portSize(cpu: usize, record: usize): u32 {
  const size = operandSize(cpu, record);
  return size == 8 ? 4 : size;
}

// -- instructions

export function movsb(cpu: usize, record: usize): void {
  move(cpu, record, 1);
}
export function movs(cpu: usize, record: usize): void {
  move(cpu, record, operandSize(cpu, record));
}
export function stosb(cpu: usize, record: usize): void {
  fill(cpu, record, 1);
}
export function stos(cpu: usize, record: usize): void {
  fill(cpu, record, operandSize(cpu, record));
}
export function lodsb(cpu: usize, record: usize): void {
  loadString(cpu, record, 1);
}
export function lods(cpu: usize, record: usize): void {
  loadString(cpu, record, operandSize(cpu, record));
}
export function scasb(cpu: usize, record: usize): void {
  scan(cpu, record, 1);
}
export function scas(cpu: usize, record: usize): void {
  scan(cpu, record, operandSize(cpu, record));
}
export function cmpsb(cpu: usize, record: usize): void {
  compare(cpu, record, 1);
}
export function cmps(cpu: usize, record: usize): void {
  compare(cpu, record, operandSize(cpu, record));
}
export function insb(cpu: usize, record: usize): void {
  input(cpu, record, 1);
}
export function ins(cpu: usize, record: usize): void {
  input(cpu, record, portSize(cpu, record));
}
export function outsb(cpu: usize, record: usize): void {
  output(cpu, record, 1);
}
export function outs(cpu: usize, record: usize): void {
  output(cpu, record, portSize(cpu, record));
}
