/**
 * Guest memory as instructions see it: segment, alignment, translation, RAM or MMIO. The slow path behind every inline TLB check, and
 * what helpers use.
 *
 * An address that these functions return is valid until the next call of any of them: it may be `Cpu.bounce`, of which there is one.
 */
import {
  CODE_64,
  CONTROL_ram,
  CPU_bounce,
  CPU_bounceAddress,
  CPU_bounceKind,
  CPU_bouncePhysical,
  CPU_bounceSize,
  CPU_codeSize,
  CPU_cr0,
  CPU_dr,
  CPU_efer,
  CPU_eflags,
  CPU_linearMask,
  CPU_reach,
  CPU_segments,
  CPU_tlb,
  FLAT,
  REACH_SIZE,
  REACH_base,
  REACH_readEnd,
  REACH_writeEnd,
  SEGMENT_SIZE,
  SEGMENT_attributes,
  SEGMENT_limit,
  SS,
  TLBENTRY_addend,
  TLBENTRY_readTag,
  TLBENTRY_writeTag,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TLB_USER,
  TLB_USER_ALIGNED,
} from './layout';
import { holdsCode, invalidateCode } from './codepages';
import { VECTOR_AC, VECTOR_GP, VECTOR_SS, fault } from './fault';
import { readMmio, writeMmio } from './host';
import { checkDataBreakpoint } from './interrupts';
import { ACCESS_READ, ACCESS_WRITE, MMIO, TABLE, translate } from './paging';
import { pageTableWrite } from './para_update';
import { DR7_ENABLES, isRom, systemMode, tlbEntry, tlbMode } from './tlb';

const CR0_PE: u64 = 1;
const EFER_LMA: u64 = 1 << 10;
const EFLAGS_VM: u32 = 1 << 17;

const ATTRIBUTE_UNUSABLE: u32 = 0x10000;
const ATTRIBUTE_BIG: u32 = 0x4000;
const TYPE_CODE: u32 = 8;
const TYPE_EXPAND_DOWN: u32 = 4;
/** Of data: writable. Of code: readable. */
const TYPE_WRITABLE: u32 = 2;

// -- segments

// @ts-ignore: decorator
@inline
function isStack(segment: u32): bool {
  return segment == <u32>CPU_reach + SS * <u32>REACH_SIZE;
}

/** Raises #SS(0) for the stack segment, #GP(0) for others. */
function segmentFault(cpu: usize, segment: u32): void {
  fault(cpu, isStack(segment) ? VECTOR_SS : VECTOR_GP, 0);
}

/** What `Reach` could not decide outside 64-bit mode: type, limit, expand-down (SDM vol. 3A, 5.3 to 5.5). Returns, or raises. */
function checkSegment(cpu: usize, segment: u32, ea: u64, size: u32, write: bool): void {
  const index = (segment - <u32>CPU_reach) / <u32>REACH_SIZE;
  if (index == FLAT) return;
  const at = cpu + CPU_segments + <usize>index * SEGMENT_SIZE;
  const limit = load<u32>(at, SEGMENT_limit);
  const last = ea + (size - 1);
  let down = false;
  const attributes = load<u32>(at, SEGMENT_attributes);
  if (load<u64>(cpu, CPU_cr0) & CR0_PE && !(load<u32>(cpu, CPU_eflags) & EFLAGS_VM)) {
    if (attributes & ATTRIBUTE_UNUSABLE) segmentFault(cpu, segment);
    const code = (attributes & TYPE_CODE) != 0;
    if (write ? code || !(attributes & TYPE_WRITABLE) : code && !(attributes & TYPE_WRITABLE)) fault(cpu, VECTOR_GP, 0);
    down = !code && (attributes & TYPE_EXPAND_DOWN) != 0;
  }
  if (down) {
    const top: u64 = attributes & ATTRIBUTE_BIG ? 0xffffffff : 0xffff;
    if (ea <= <u64>limit || last > top) segmentFault(cpu, segment);
  } else if (last > <u64>limit && limit != 0xffffffff) segmentFault(cpu, segment);
}

/** Linear address of an operand, checked against its segment or for being canonical. */
// @ts-ignore: decorator
@inline
function linearOperand(cpu: usize, segment: u32, ea: u64, size: u32, write: bool): u64 {
  const reach = cpu + segment;
  if (load<u32>(cpu, CPU_codeSize) == CODE_64) {
    const linear = ea + load<u64>(reach, REACH_base);
    const last = linear + (size - 1);
    // Bits 47..63 are all equal where adding bit 47 leaves nothing above it.
    if ((((linear + 0x800000000000) | (last + 0x800000000000)) >>> 48) != 0) segmentFault(cpu, segment);
    return linear;
  }
  const end = write ? load<u64>(reach, REACH_writeEnd) : load<u64>(reach, REACH_readEnd);
  if (ea + (size - 1) >= end) checkSegment(cpu, segment, ea, size, write);
  return (ea + load<u64>(reach, REACH_base)) & load<u64>(cpu, CPU_linearMask);
}

/** The TLB mode of a data access; raises #AC(0) where alignment is checked and wrong (SDM vol. 3A, 6.15, interrupt 17). */
function dataMode(cpu: usize, linear: u64, size: u32): u32 {
  const mode = tlbMode(cpu);
  if (mode != TLB_USER_ALIGNED) return mode;
  // An x87 extended operand is aligned to 8 bytes, a far pointer to its offset.
  const mask: u64 = size == 10 ? 7 : size == 6 ? 3 : popcnt<u32>(size) == 1 ? size - 1 : 0;
  if (linear & mask) fault(cpu, VECTOR_AC, 0);
  return TLB_USER;
}

// -- physical accesses

/** Reads MMIO in naturally aligned pieces of at most 4 bytes. */
function readDevice(cpu: usize, physical: u64, to: usize, size: u32): void {
  while (size != 0) {
    const low = <u32>physical;
    const piece: u32 = size >= 4 && (low & 3) == 0 ? 4 : size >= 2 && (low & 1) == 0 ? 2 : 1;
    const value = readMmio(cpu, low, <u32>(physical >>> 32), piece);
    if (piece == 4) store<u32>(to, value);
    else if (piece == 2) store<u16>(to, value);
    else store<u8>(to, value);
    physical += piece;
    to += piece;
    size -= piece;
  }
}

function writeDevice(cpu: usize, physical: u64, from: usize, size: u32): void {
  while (size != 0) {
    const low = <u32>physical;
    const piece: u32 = size >= 4 && (low & 3) == 0 ? 4 : size >= 2 && (low & 1) == 0 ? 2 : 1;
    const value: u32 = piece == 4 ? load<u32>(from) : piece == 2 ? load<u16>(from) : load<u8>(from);
    writeMmio(cpu, low, <u32>(physical >>> 32), piece, value);
    physical += piece;
    from += piece;
    size -= piece;
  }
}

// @ts-ignore: decorator
@inline
function ramAddress(offset: u64): usize {
  return <usize>load<u32>(0, CONTROL_ram) + <usize>offset;
}

/** Copies bytes one by one or, where they are an operand's size, at once. */
function copy(to: usize, from: usize, size: u32): void {
  if (size == 8) store<u64>(to, load<u64>(from));
  else if (size == 4) store<u32>(to, load<u32>(from));
  else if (size == 2) store<u16>(to, load<u16>(from));
  else for (let i: u32 = 0; i < size; i++) store<u8>(to + i, load<u8>(from + i));
}

function readPart(cpu: usize, at: u64, to: usize, size: u32): void {
  if (at & MMIO) readDevice(cpu, at & ~MMIO, to, size);
  else copy(to, ramAddress(at), size);
}

function writePart(cpu: usize, at: u64, from: usize, size: u32): void {
  if (at & MMIO) {
    writeDevice(cpu, at & ~MMIO, from, size);
    return;
  }
  const offset = <u32>at;
  if (at & TABLE) return pageTableWrite(cpu, offset, from, size, load<u64>(cpu, CPU_bounceAddress));
  if (isRom(offset)) return;
  copy(ramAddress(at), from, size);
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + size - 1);
}

// -- linear accesses

/** Outside long mode linear addresses wrap at 4 GiB. */
// @ts-ignore: decorator
@inline
function systemMask(cpu: usize): u64 {
  return load<u64>(cpu, CPU_efer) & EFER_LMA ? <u64>-1 : 0xffffffff;
}

function readLinear(cpu: usize, linear: u64, size: u32, mode: u32): usize {
  const offset = <u32>linear & 0xfff;
  const first = translate(cpu, linear, ACCESS_READ, mode);
  const bounce = cpu + CPU_bounce;
  if (offset + size <= 0x1000) {
    if (!(first & MMIO)) return ramAddress(first);
    readDevice(cpu, first & ~MMIO, bounce, size);
    return bounce;
  }
  const part = 0x1000 - offset;
  const second = translate(cpu, (linear + part) & systemMask(cpu), ACCESS_READ, mode);
  readPart(cpu, first, bounce, part);
  readPart(cpu, second, bounce + part, size - part);
  return bounce;
}

/** A write of all bytes: what is there now does not matter, so that devices are not read. */
const WRITE_ALL: u32 = 0;
/** The old bytes are wanted. */
const WRITE_MODIFY: u32 = 1;
/** As WRITE_MODIFY, and never by way of the bounce buffer within a page of RAM: for LOCK. */
const WRITE_LOCKED: u32 = 2;
/** As WRITE_ALL, and never by way of the bounce buffer within a page of RAM: the caller makes code stale after the store. */
const WRITE_STRING: u32 = 3;
/** As WRITE_ALL, but 0 is returned and nothing done where a device, or decoded code, is written. */
const WRITE_PLAIN: u32 = 4;
/** As WRITE_PLAIN, and 0 too for whatever is not within a page of RAM, or of a page table: that is in the bounce buffer, with the old bytes. */
const WRITE_PLACE: u32 = 5;

/** `size` bytes at what `translate` returned are RAM without decoded code, or ROM. */
function isPlain(at: u64, size: u32): bool {
  return !(at & MMIO) && !holdsCode(<u32>at >>> 12, <u32>at & 0xfff, (<u32>at & 0xfff) + size - 1);
}

function writeLinear(cpu: usize, linear: u64, size: u32, mode: u32, how: u32): usize {
  const offset = <u32>linear & 0xfff;
  const first = translate(cpu, linear, ACCESS_WRITE, mode);
  const one = offset + size <= 0x1000;
  const bounce = cpu + CPU_bounce;
  if (one && !(first & (MMIO | TABLE))) {
    const ram = <u32>first;
    if (!isRom(ram)) {
      if (!holdsCode(ram >>> 12, offset, offset + size - 1)) return ramAddress(first);
      if (how == WRITE_STRING) return ramAddress(first);
      // Code is made stale after the store, by commitWrite: another vCPU could decode the old bytes meanwhile.
      if (how == WRITE_LOCKED) {
        invalidateCode(ram >>> 12, offset, offset + size - 1);
        return ramAddress(first);
      }
    }
  }
  const part = one ? size : 0x1000 - offset;
  let second: u64 = 0;
  if (!one) second = translate(cpu, (linear + part) & systemMask(cpu), ACCESS_WRITE, mode);
  if (how == WRITE_PLACE && !(one && first & TABLE && isPlain(first, part))) return 0;
  if (how == WRITE_PLAIN && (!isPlain(first, part) || (!one && !isPlain(second, size - part)))) return 0;
  const modify = how == WRITE_MODIFY || how == WRITE_LOCKED || how == WRITE_PLACE;
  if (modify || !(first & MMIO)) readPart(cpu, first, bounce, part);
  if (!one && (modify || !(second & MMIO))) readPart(cpu, second, bounce + part, size - part);
  store<u64>(cpu, linear, CPU_bounceAddress);
  store<u64>(cpu, first, CPU_bouncePhysical);
  store<u64>(cpu, second, CPU_bouncePhysical + 8);
  store<u32>(cpu, size, CPU_bounceSize);
  store<u32>(cpu, part, CPU_bounceKind);
  return bounce;
}

/** After the store to `Cpu.bounce`: writes it where `writeAddress` or `storeAddress` was asked for. */
export function commitWrite(cpu: usize): void {
  const size = load<u32>(cpu, CPU_bounceSize);
  const part = load<u32>(cpu, CPU_bounceKind);
  const first = load<u64>(cpu, CPU_bouncePhysical);
  const second = load<u64>(cpu, CPU_bouncePhysical + 8);
  writePart(cpu, first, cpu + CPU_bounce, part);
  if (part < size) writePart(cpu, second, cpu + CPU_bounce + part, size - part);
}

// -- operands

/** Host address of `size` bytes (at most 32) for reading. */
export function readAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  const linear = linearOperand(cpu, segment, ea, size, false);
  const entry = <usize>load<u32>(cpu, CPU_tlb) + ((<usize>linear >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
  if (((linear + (size - 1)) & ~0xfff) == load<u64>(entry, TLBENTRY_readTag)) return <usize>(<u32>linear + load<u32>(entry, TLBENTRY_addend));
  const at = readLinear(cpu, linear, size, dataMode(cpu, linear, size));
  if (<u32>load<u64>(cpu, CPU_dr + 7 * 8) & DR7_ENABLES) checkDataBreakpoint(cpu, linear, size, false);
  return at;
}

// @ts-ignore: decorator
@inline
function addressForWrite(cpu: usize, segment: u32, ea: u64, size: u32, how: u32): usize {
  const linear = linearOperand(cpu, segment, ea, size, true);
  const entry = <usize>load<u32>(cpu, CPU_tlb) + ((<usize>linear >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
  if (((linear + (size - 1)) & ~0xfff) == load<u64>(entry, TLBENTRY_writeTag)) return <usize>(<u32>linear + load<u32>(entry, TLBENTRY_addend));
  const at = writeLinear(cpu, linear, size, dataMode(cpu, linear, size), how);
  if (<u32>load<u64>(cpu, CPU_dr + 7 * 8) & DR7_ENABLES) checkDataBreakpoint(cpu, linear, size, true);
  return at;
}

/** Host address of `size` bytes for a read-modify-write, or for a write; `commitWrite` if it is `Cpu.bounce`. */
export function writeAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_MODIFY);
}

/** As `writeAddress` where all bytes are going to be written: devices are not read first. */
export function storeAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_ALL);
}

/** As `writeAddress` for locked instructions: within a page of RAM it is always the memory itself, so that atomics work on it. */
export function lockAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_LOCKED);
}

/** As `storeAddress` for string instructions: within a page of RAM it is always the memory itself; `invalidateCode` after the store. */
export function stringAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_STRING);
}

/** As `storeAddress`; 0, nothing having been done, where a device or decoded code is written. */
export function plainStoreAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_PLAIN);
}

/** As `writeAddress` where that is within a page of RAM that has no decoded code there, or within a page table; else 0. */
export function plainAddress(cpu: usize, segment: u32, ea: u64, size: u32): usize {
  return addressForWrite(cpu, segment, ea, size, WRITE_PLACE);
}

/** Raises what a read of `size` bytes would raise; whether a device would be read. */
export function readsDevice(cpu: usize, segment: u32, ea: u64, size: u32): bool {
  const linear = linearOperand(cpu, segment, ea, size, false);
  const mode = dataMode(cpu, linear, size);
  let found = translate(cpu, linear, ACCESS_READ, mode);
  const offset = <u32>linear & 0xfff;
  if (offset + size > 0x1000) found |= translate(cpu, (linear + 0x1000 - offset) & systemMask(cpu), ACCESS_READ, mode);
  return (found & MMIO) != 0;
}

/** Raises what a read of `size` bytes would raise, and does nothing else. */
export function probeRead(cpu: usize, segment: u32, ea: u64, size: u32): void {
  readsDevice(cpu, segment, ea, size);
}

/** Raises what a write of `size` bytes would raise, and does nothing else. */
export function probeWrite(cpu: usize, segment: u32, ea: u64, size: u32): void {
  const linear = linearOperand(cpu, segment, ea, size, true);
  const mode = dataMode(cpu, linear, size);
  translate(cpu, linear, ACCESS_WRITE, mode);
  const offset = <u32>linear & 0xfff;
  if (offset + size > 0x1000) translate(cpu, (linear + 0x1000 - offset) & systemMask(cpu), ACCESS_WRITE, mode);
}

// @ts-ignore: decorator
@inline
function finish(cpu: usize, at: usize): void {
  if (at == cpu + CPU_bounce) commitWrite(cpu);
}

export function load8(cpu: usize, segment: u32, ea: u64): u32 {
  return load<u8>(readAddress(cpu, segment, ea, 1));
}
export function load16(cpu: usize, segment: u32, ea: u64): u32 {
  return load<u16>(readAddress(cpu, segment, ea, 2));
}
export function load32(cpu: usize, segment: u32, ea: u64): u32 {
  return load<u32>(readAddress(cpu, segment, ea, 4));
}
export function load64(cpu: usize, segment: u32, ea: u64): u64 {
  return load<u64>(readAddress(cpu, segment, ea, 8));
}
export function store8(cpu: usize, segment: u32, ea: u64, value: u32): void {
  const at = storeAddress(cpu, segment, ea, 1);
  store<u8>(at, value);
  finish(cpu, at);
}
export function store16(cpu: usize, segment: u32, ea: u64, value: u32): void {
  const at = storeAddress(cpu, segment, ea, 2);
  store<u16>(at, value);
  finish(cpu, at);
}
export function store32(cpu: usize, segment: u32, ea: u64, value: u32): void {
  const at = storeAddress(cpu, segment, ea, 4);
  store<u32>(at, value);
  finish(cpu, at);
}
export function store64(cpu: usize, segment: u32, ea: u64, value: u64): void {
  const at = storeAddress(cpu, segment, ea, 8);
  store<u64>(at, value);
  finish(cpu, at);
}

// -- implicit supervisor accesses

// @ts-ignore: decorator
@inline
function systemRead(cpu: usize, at: u64, size: u32): usize {
  const linear = at & systemMask(cpu);
  const mode = systemMode(cpu);
  const entry = tlbEntry(cpu, mode, linear);
  if (((linear + (size - 1)) & ~0xfff) == load<u64>(entry, TLBENTRY_readTag)) return <usize>(<u32>linear + load<u32>(entry, TLBENTRY_addend));
  return readLinear(cpu, linear, size, mode);
}

// @ts-ignore: decorator
@inline
function systemWrite(cpu: usize, at: u64, size: u32): usize {
  const linear = at & systemMask(cpu);
  const mode = systemMode(cpu);
  const entry = tlbEntry(cpu, mode, linear);
  if (((linear + (size - 1)) & ~0xfff) == load<u64>(entry, TLBENTRY_writeTag)) return <usize>(<u32>linear + load<u32>(entry, TLBENTRY_addend));
  return writeLinear(cpu, linear, size, mode, WRITE_ALL);
}

export function systemLoad8(cpu: usize, linear: u64): u32 {
  return load<u8>(systemRead(cpu, linear, 1));
}
export function systemLoad16(cpu: usize, linear: u64): u32 {
  return load<u16>(systemRead(cpu, linear, 2));
}
export function systemLoad32(cpu: usize, linear: u64): u32 {
  return load<u32>(systemRead(cpu, linear, 4));
}
export function systemLoad64(cpu: usize, linear: u64): u64 {
  return load<u64>(systemRead(cpu, linear, 8));
}
export function systemStore8(cpu: usize, linear: u64, value: u32): void {
  const at = systemWrite(cpu, linear, 1);
  store<u8>(at, value);
  finish(cpu, at);
}
export function systemStore16(cpu: usize, linear: u64, value: u32): void {
  const at = systemWrite(cpu, linear, 2);
  store<u16>(at, value);
  finish(cpu, at);
}
export function systemStore32(cpu: usize, linear: u64, value: u32): void {
  const at = systemWrite(cpu, linear, 4);
  store<u32>(at, value);
  finish(cpu, at);
}
export function systemStore64(cpu: usize, linear: u64, value: u64): void {
  const at = systemWrite(cpu, linear, 8);
  store<u64>(at, value);
  finish(cpu, at);
}
