/**
 * String instructions (SDM vol. 1, 7.3.9.3; vol. 2, REP): restartable and interruptible after every iteration, and done a page at a time where
 * that cannot be told from single iterations.
 *
 * Each iteration of a repeated instruction counts as one instruction, whoever executes it and however it is cut up by pages, budgets and events; a
 * count of zero counts as one too. Rows of these end their block, which takes one instruction (and those before it) from the budget when the helper
 * returns; the helper takes the others.
 *
 * `rip` holds the next address on entry, and is set back to the instruction's own where work is left.
 */
import {
  CODE_16,
  CODE_64,
  CONTROL_ram,
  CPU_bounce,
  CPU_budget,
  CPU_codeSize,
  CPU_eflags,
  CPU_event,
  CPU_gpr,
  CPU_privileged,
  CPU_linearMask,
  CPU_reach,
  CPU_rip,
  CS,
  DS,
  ES,
  GS,
  HANDLER_STALE,
  PREFIX_ADDRESS,
  PREFIX_REP,
  PREFIX_REPNE,
  REACH_SIZE,
  REACH_base,
  RECORD_addressMask,
  RECORD_handler,
  RECORD_length,
  RECORD_pageOffset,
  RECORD_position,
  RECORD_prefixes,
  RECORD_segment,
  TLBENTRY_execTag,
} from './layout';
import { holdsCode, invalidateCode } from './codepages';
import { compareElements, copyElements, fillElements, goesOn, loadElement, scanElements, span, storeElement } from './elements';
import { checkIo } from './ports';
import { FLAG_DF, FLAG_TF, setCompareFlags } from './flags';
import { readPort, writePort } from './host';
import { commitWrite, readAddress, storeAddress, stringAddress } from './memory';
import { instructionAddress, operandSize } from './operands';
import { frameOf, tlbEntry } from './tlb';
import { fetchMode } from './paging';

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
 * After `done` iterations (and CHANGED), `left` remaining: takes them from the budget, and says whether to go on here. If not, and work is left, the instruction
 * will be executed again.
 */
function proceed(cpu: usize, record: usize, left: u64, done: u32): bool {
  const budget = load<i32>(cpu, CPU_budget) - <i32>(done & ~CHANGED);
  if (left != 0) {
    const go = budget >= <i32>load<u8>(record, RECORD_position) && !(done & CHANGED) && atomic.load<u32>(cpu + CPU_event) == 0;
    if (go && !(load<u32>(cpu, CPU_eflags) & FLAG_TF)) {
      store<i32>(cpu, budget, CPU_budget);
      return true;
    }
    store<u64>(cpu, instructionAddress(cpu, record), CPU_rip);
  }
  // The block takes one more.
  store<i32>(cpu, budget + 1, CPU_budget);
  return false;
}

/** At most so many iterations before `proceed` is asked: as many as the budget has; with TF set, one: there is a trap after each. */
// @ts-ignore: decorator
@inline
function limited(cpu: usize, record: usize, count: u64): u64 {
  const budget = load<i32>(cpu, CPU_budget) - <i32>load<u8>(record, RECORD_position);
  if (budget < 2 || load<u32>(cpu, CPU_eflags) & FLAG_TF) return 1;
  return min(count, <u64>budget);
}

/** Bytes at a host address of RAM were written. */
// @ts-ignore: decorator
@inline
function written(at: usize, bytes: u32): void {
  const offset = <u32>at - load<u32>(0, CONTROL_ram);
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + bytes - 1);
}

// @ts-ignore: decorator
@inline
function crosses(record: usize): bool {
  return <u32>load<u16>(record, RECORD_pageOffset) + load<u8>(record, RECORD_length) > 0x1000;
}

/** Whether `bytes` bytes at host address `at`, in one page of RAM, are or may be bytes of the instruction itself. */
function isItself(cpu: usize, record: usize, at: usize, bytes: u32): bool {
  const offset = <u32>at - load<u32>(0, CONTROL_ram);
  // What an earlier chunk has made stale is no longer known to be code.
  const known = load<u32>(record, RECORD_handler) != HANDLER_STALE && !crosses(record);
  if (known && !holdsCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + bytes - 1)) return false;
  const base = load<u64>(cpu, CPU_reach + CS * REACH_SIZE + REACH_base);
  const linear = (instructionAddress(cpu, record) + base) & load<u64>(cpu, CPU_linearMask);
  const length = <u32>load<u8>(record, RECORD_length);
  const inPage = min(length, 0x1000 - (<u32>linear & 0xfff));
  if (meets(cpu, linear, inPage, offset, bytes)) return true;
  return inPage < length && meets(cpu, (linear + inPage) & load<u64>(cpu, CPU_linearMask), length - inPage, offset, bytes);
}

/** Whether code at a linear address may be in RAM at `offset`..`offset + bytes - 1`. */
function meets(cpu: usize, linear: u64, length: u32, offset: u32, bytes: u32): bool {
  const entry = tlbEntry(cpu, fetchMode(cpu), linear);
  if (load<u64>(entry, TLBENTRY_execTag) != (linear & ~0xfff)) return true;
  const at = frameOf(entry) | (<u32>linear & 0xfff);
  return at < offset + bytes && offset < at + length;
}

/** In the result of moveChunk and fillChunk: the instruction may have changed itself, and is to be fetched again. */
const CHANGED: u32 = 0x8000_0000;

/** Ends a chunk of one element that went to `Cpu.bounce`. */
function commitElement(cpu: usize, record: usize): u32 {
  commitWrite(cpu);
  return load<u32>(record, RECORD_handler) == HANDLER_STALE || crosses(record) ? 1 | CHANGED : 1;
}

// -- MOVS

/** Moves at least one element of at most `count`; returns how many, and CHANGED. Registers but RCX are up to date then. */
function moveChunk(cpu: usize, record: usize, segment: u32, mask: u64, size: u32, count: u64): u32 {
  const bounce = cpu + CPU_bounce;
  const back = backward(cpu);
  const si = load<u64>(cpu, RSI) & mask;
  const di = load<u64>(cpu, RDI) & mask;
  const from = readAddress(cpu, segment, si, size);
  const value = loadElement(from, size);
  const isRam = from != bounce;
  const to = stringAddress(cpu, ES_REACH, di, size);
  let n: u64 = 1;
  let result: u32 = 1;
  if (to == bounce) {
    storeElement(to, value, size);
    result = commitElement(cpu, record);
  } else {
    if (count > 1 && isRam) {
      n = span(cpu, segment, false, si, mask, from, size, count, back);
      if (n > 1) n = span(cpu, ES_REACH, true, di, mask, to, size, n, back);
    }
    let down: u32 = back ? <u32>(n - 1) * size : 0;
    const itself = isItself(cpu, record, to - down, <u32>n * size);
    if (itself) {
      n = 1;
      down = 0;
    }
    const bytes = <u32>n * size;
    if (n == 1) storeElement(to, value, size);
    else copyElements(to - down, from - down, bytes, size, back);
    written(to - down, bytes);
    result = itself ? 1 | CHANGED : <u32>n;
  }
  advance(cpu, RSI, mask, size, n);
  advance(cpu, RDI, mask, size, n);
  return result;
}

function move(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  if (!repeats(record)) {
    moveChunk(cpu, record, segment, mask, size, 1);
    return;
  }
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const n = moveChunk(cpu, record, segment, mask, size, limited(cpu, record, left));
    left -= n & ~CHANGED;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, n)) return;
  }
}

// -- STOS

function fillChunk(cpu: usize, record: usize, mask: u64, size: u32, count: u64): u32 {
  const back = backward(cpu);
  const di = load<u64>(cpu, RDI) & mask;
  const value = load<u64>(cpu, RAX);
  const to = stringAddress(cpu, ES_REACH, di, size);
  let n: u64 = 1;
  let result: u32 = 1;
  if (to == cpu + CPU_bounce) {
    storeElement(to, value, size);
    result = commitElement(cpu, record);
  } else {
    if (count > 1) n = span(cpu, ES_REACH, true, di, mask, to, size, count, back);
    let down: u32 = back ? <u32>(n - 1) * size : 0;
    const itself = isItself(cpu, record, to - down, <u32>n * size);
    if (itself) {
      n = 1;
      down = 0;
    }
    const bytes = <u32>n * size;
    if (n == 1) storeElement(to, value, size);
    else fillElements(to - down, value, bytes, size);
    written(to - down, bytes);
    result = itself ? 1 | CHANGED : <u32>n;
  }
  advance(cpu, RDI, mask, size, n);
  return result;
}

function fill(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  if (!repeats(record)) {
    fillChunk(cpu, record, mask, size, 1);
    return;
  }
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const n = fillChunk(cpu, record, mask, size, limited(cpu, record, left));
    left -= n & ~CHANGED;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, n)) return;
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

// -- SCAS, CMPS: the flags are those from before the instruction until it is done, also where it faults (vol. 2, REP) or is interrupted

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
  const back = backward(cpu);
  let left = load<u64>(cpu, RCX) & mask;
  if (left == 0) return;
  for (;;) {
    const di = load<u64>(cpu, RDI) & mask;
    const at = readAddress(cpu, ES_REACH, di, size);
    let value = loadElement(at, size);
    let n: u32 = 1;
    let more = goesOn(prefixes, value == wanted);
    if (more && at != cpu + CPU_bounce && !back) {
      const most = <u32>span(cpu, ES_REACH, false, di, mask, at, size, limited(cpu, record, left), false);
      const end = scanElements(at, most, size, wanted, prefixes);
      more = end == most;
      n = more ? most : end + 1;
      value = loadElement(at + (n - 1) * size, size);
    }
    left -= n;
    advance(cpu, RDI, mask, size, n);
    setPart(cpu + RCX, left, mask);
    if (!more) left = 0;
    if (!proceed(cpu, record, left, n)) {
      if (left == 0) setCompareFlags(cpu, wanted, value, size);
      return;
    }
  }
}

function compare(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  const prefixes = repeats(record);
  const bounce = cpu + CPU_bounce;
  const back = backward(cpu);
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
    let n: u32 = 1;
    let more = goesOn(prefixes, a == b);
    if (more && prefixes && isRam && second != bounce && !back) {
      let most = span(cpu, segment, false, si, mask, first, size, limited(cpu, record, left), false);
      most = span(cpu, ES_REACH, false, di, mask, second, size, most, false);
      const end = compareElements(first, second, <u32>most, size, prefixes);
      more = end == <u32>most;
      n = more ? <u32>most : end + 1;
      a = loadElement(first + (n - 1) * size, size);
      b = loadElement(second + (n - 1) * size, size);
    }
    advance(cpu, RSI, mask, size, n);
    advance(cpu, RDI, mask, size, n);
    if (prefixes) {
      left -= n;
      setPart(cpu + RCX, left, mask);
    }
    if (!more) left = 0;
    if (!prefixes || !proceed(cpu, record, left, n)) {
      if (!prefixes || left == 0) setCompareFlags(cpu, a, b, size);
      return;
    }
  }
}

// -- INS, OUTS

/** One iteration is done: each is an instruction, and privileged (perform.ts does not count these). */
// @ts-ignore: decorator
@inline
function countPrivileged(cpu: usize): void {
  store<u64>(cpu, load<u64>(cpu, CPU_privileged) + 1, CPU_privileged);
}

/** The port's element is read only when it is sure that it can be written: reading has effects. */
function input(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const repeated = repeats(record) != 0;
  const port = <u32>load<u16>(cpu, RDX);
  checkIo(cpu, port, size);
  let left: u64 = repeated ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return countPrivileged(cpu);
  for (;;) {
    const to = storeAddress(cpu, ES_REACH, load<u64>(cpu, RDI) & mask, size);
    storeElement(to, readPort(cpu, port, size), size);
    if (to == cpu + CPU_bounce) commitWrite(cpu);
    advance(cpu, RDI, mask, size, 1);
    countPrivileged(cpu);
    if (!repeated) return;
    left--;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 1)) return;
  }
}

function output(cpu: usize, record: usize, size: u32): void {
  const mask = addressMask(cpu, record);
  const segment = sourceSegment(record);
  const repeated = repeats(record) != 0;
  const port = <u32>load<u16>(cpu, RDX);
  checkIo(cpu, port, size);
  let left: u64 = repeated ? load<u64>(cpu, RCX) & mask : 1;
  if (left == 0) return countPrivileged(cpu);
  for (;;) {
    const value = <u32>loadElement(readAddress(cpu, segment, load<u64>(cpu, RSI) & mask, size), size);
    writePort(cpu, port, size, value);
    advance(cpu, RSI, mask, size, 1);
    countPrivileged(cpu);
    if (!repeated) return;
    left--;
    setPart(cpu + RCX, left, mask);
    if (!proceed(cpu, record, left, 1)) return;
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
