/** Segment and gate descriptors as they lie in the GDT, LDT and IDT (SDM vol. 3A, 3.4.5, 3.5, 5.8.3, 6.11), and the hidden parts of segment registers. */
import {
  CPU_cr0,
  CPU_efer,
  CPU_eflags,
  CPU_gdtr,
  CPU_segments,
  DESCRIPTORTABLE_base,
  DESCRIPTORTABLE_limit,
  LDTR,
  SEGMENT_SIZE,
  SEGMENT_attributes,
  SEGMENT_base,
  SEGMENT_limit,
  SEGMENT_selector,
} from './layout';
import { isCompressed, physicalDescriptor } from './rings';
import { isPara } from './para';
import { paraDescriptor } from './para_segments';
import { fault } from './fault';
import { FLAG_VM } from './flags';
import { systemLoad64, systemLoad8, systemStore8 } from './memory';

export const CR0_PE: u64 = 1;
export const CR0_TS: u64 = 8;
export const CR0_PG: u64 = 0x8000_0000;
export const CR4_VME: u64 = 1;
export const CR4_UMIP: u64 = 1 << 11;
export const EFER_SCE: u64 = 1;
export const EFER_LMA: u64 = 1 << 10;

// Attributes as `Segment` keeps them.
export const ACCESSED: u32 = 1;
/** Data: writable. Code: readable. */
export const WRITABLE: u32 = 2;
export const READABLE: u32 = 2;
export const EXPAND_DOWN: u32 = 4;
export const CONFORMING: u32 = 4;
export const CODE: u32 = 8;
/** Set: code or data; clear: a system segment or gate. */
export const NOT_SYSTEM: u32 = 0x10;
export const PRESENT: u32 = 0x80;
export const LONG: u32 = 0x2000;
export const DEFAULT_BIG: u32 = 0x4000;
export const UNUSABLE: u32 = 0x10000;

// Types of system descriptors (vol. 3A, table 3-2).
export const TYPE_TSS16: u32 = 1;
export const TYPE_LDT: u32 = 2;
export const TYPE_CALL_GATE16: u32 = 4;
export const TYPE_TASK_GATE: u32 = 5;
export const TYPE_INTERRUPT_GATE16: u32 = 6;
export const TYPE_TRAP_GATE16: u32 = 7;
export const TYPE_TSS: u32 = 9;
export const TYPE_CALL_GATE: u32 = 12;
export const TYPE_INTERRUPT_GATE: u32 = 14;
export const TYPE_TRAP_GATE: u32 = 15;
/** Of a TSS's type: busy. */
export const TSS_BUSY: u32 = 2;
/** Of a gate's or TSS's type: 32-bit (or 64-bit). */
export const TYPE_32: u32 = 8;

/** Not the address of a descriptor. */
export const NOWHERE: u64 = 0x8000_0000_0000_0001;

/** Real-address mode. */
export function isReal(cpu: usize): bool {
  return (load<u64>(cpu, CPU_cr0) & CR0_PE) == 0;
}

export function isVm86(cpu: usize): bool {
  return (load<u32>(cpu, CPU_eflags) & FLAG_VM) != 0;
}

/** Segments are paragraphs: real-address or virtual-8086 mode. */
export function isReal86(cpu: usize): bool {
  return isReal(cpu) || isVm86(cpu);
}

/** IA-32e mode is active: 64-bit or compatibility mode. */
export function isLongMode(cpu: usize): bool {
  return (load<u64>(cpu, CPU_efer) & EFER_LMA) != 0;
}

export function isCanonical(address: u64): bool {
  return <u64>(((<i64>address) << 16) >> 16) == address;
}

/** What linear addresses of system structures are cut to. */
export function systemMask(cpu: usize): u64 {
  return isLongMode(cpu) ? 0xffff_ffff_ffff_ffff : 0xffff_ffff;
}

export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}

// -- segment registers

export function segmentAt(cpu: usize, index: u32): usize {
  return cpu + CPU_segments + <usize>index * SEGMENT_SIZE;
}

export function selectorOf(cpu: usize, index: u32): u32 {
  return load<u32>(segmentAt(cpu, index), SEGMENT_selector);
}

export function attributesOf(cpu: usize, index: u32): u32 {
  return load<u32>(segmentAt(cpu, index), SEGMENT_attributes);
}

export function limitOf(cpu: usize, index: u32): u32 {
  return load<u32>(segmentAt(cpu, index), SEGMENT_limit);
}

export function baseOf(cpu: usize, index: u32): u64 {
  return load<u64>(segmentAt(cpu, index), SEGMENT_base);
}

export function setSegment(cpu: usize, index: u32, selector: u32, base: u64, limit: u32, attributes: u32): void {
  const at = segmentAt(cpu, index);
  store<u32>(at, selector & 0xffff, SEGMENT_selector);
  store<u64>(at, base, SEGMENT_base);
  store<u32>(at, limit, SEGMENT_limit);
  store<u32>(at, attributes, SEGMENT_attributes);
}

/** A code or data segment (or an LDT or TSS below 4 GiB) from its descriptor. */
export function setFromDescriptor(cpu: usize, index: u32, selector: u32, descriptor: u64): void {
  setSegment(cpu, index, selector, descriptorBase(descriptor), descriptorLimit(descriptor), descriptorAttributes(descriptor));
}

export function setNull(cpu: usize, index: u32, selector: u32): void {
  setSegment(cpu, index, selector, 0, 0, UNUSABLE);
}

// -- descriptors

export function descriptorBase(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xff_ffff) | ((descriptor >> 32) & 0xff00_0000);
}

/** In bytes: the offset of the last one. */
export function descriptorLimit(descriptor: u64): u32 {
  const limit = (<u32>descriptor & 0xffff) | (<u32>(descriptor >> 32) & 0xf_0000);
  return (descriptor >> 55) & 1 ? (limit << 12) | 0xfff : limit;
}

export function descriptorAttributes(descriptor: u64): u32 {
  return <u32>(descriptor >> 40) & 0xf0ff;
}

export function dplOf(attributes: u32): u32 {
  return (attributes >> 5) & 3;
}

export function isCode(attributes: u32): bool {
  return (attributes & (NOT_SYSTEM | CODE)) == (NOT_SYSTEM | CODE);
}

export function isConforming(attributes: u32): bool {
  return (attributes & (NOT_SYSTEM | CODE | CONFORMING)) == (NOT_SYSTEM | CODE | CONFORMING);
}

export function isWritableData(attributes: u32): bool {
  return (attributes & (NOT_SYSTEM | CODE | WRITABLE)) == (NOT_SYSTEM | WRITABLE);
}

/** Data, or code that may be read. */
export function isReadable(attributes: u32): bool {
  return (attributes & NOT_SYSTEM) != 0 && (attributes & (CODE | READABLE)) != CODE;
}

export function isPresent(attributes: u32): bool {
  return (attributes & PRESENT) != 0;
}

/** The type of a system descriptor, or 16 and more for code and data. */
export function systemType(attributes: u32): u32 {
  return attributes & 0x1f;
}

export function isTss(type: u32): bool {
  return (type & ~(TSS_BUSY | TYPE_32)) == TYPE_TSS16;
}

/** A code segment that runs in 64-bit mode, if `attributes` are of one. */
export function isLongCode(cpu: usize, attributes: u32): bool {
  return isLongMode(cpu) && (attributes & LONG) != 0;
}

/** An exception whose error code names a selector (vol. 3A, 6.13); `external` is its EXT bit. Does not return. */
export function selectorFault(cpu: usize, vector: u32, selector: u32, external: u32): void {
  fault(cpu, vector, (selector & 0xfffc) | external);
}

/** Linear address of the `size` bytes of a selector's descriptor, in a para VM the selector; NOWHERE if they are not inside its table. */
export function findDescriptor(cpu: usize, selector: u32, size: u32): u64 {
  if (isPara()) return paraDescriptor(cpu, selector) == 0 ? NOWHERE : <u64>(selector & 0xffff);
  const offset = selector & 0xfff8;
  let base: u64;
  let limit: u32;
  if (selector & 4) {
    if (attributesOf(cpu, LDTR) & UNUSABLE) return NOWHERE;
    base = baseOf(cpu, LDTR);
    limit = limitOf(cpu, LDTR);
  } else {
    base = load<u64>(cpu + CPU_gdtr, DESCRIPTORTABLE_base);
    limit = load<u32>(cpu + CPU_gdtr, DESCRIPTORTABLE_limit);
  }
  if (offset + (size - 1) > limit) return NOWHERE;
  return (base + <u64>offset) & systemMask(cpu);
}

/** As `findDescriptor`, but raises `vector` with the selector if it is not inside its table. */
export function requireDescriptor(cpu: usize, selector: u32, size: u32, vector: u32, external: u32): u64 {
  const address = findDescriptor(cpu, selector, size);
  if (address == NOWHERE) selectorFault(cpu, vector, selector, external);
  return address;
}

export function readDescriptor(cpu: usize, address: u64): u64 {
  if (isPara()) return paraDescriptor(cpu, <u32>address);
  const descriptor = systemLoad64(cpu, address);
  return isCompressed(cpu) ? physicalDescriptor(descriptor) : descriptor;
}

/** Sets the accessed bit in the table, whose descriptor may have another DPL. Returns the descriptor with it. */
export function markAccessed(cpu: usize, address: u64, descriptor: u64): u64 {
  if ((descriptor >> 40) & 1) return descriptor;
  if (isPara()) return descriptor | ((<u64>1) << 40);
  systemStore8(cpu, address + 5, <u8>systemLoad8(cpu, address + 5) | 1);
  return descriptor | ((<u64>1) << 40);
}

/** Sets or clears the busy bit of the TSS descriptor at `address`. */
export function markBusy(cpu: usize, address: u64, busy: bool): void {
  const access = <u32>systemLoad8(cpu, address + 5);
  systemStore8(cpu, address + 5, <u8>(busy ? access | TSS_BUSY : access & ~TSS_BUSY));
}

// -- gates

export function gateSelector(gate: u64): u32 {
  return <u32>(gate >> 16) & 0xffff;
}

/** Offset of a 16- or 32-bit gate, or the low half of a 64-bit one's. */
export function gateOffset(gate: u64, type: u32): u64 {
  return type & TYPE_32 ? (gate & 0xffff) | ((gate >> 32) & 0xffff_0000) : gate & 0xffff;
}
