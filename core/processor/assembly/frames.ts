/** Stack frames of far transfers: checked as a whole first, then written; the stack pointer moves last, so that a fault leaves nothing done. */
import { CPU_gpr, CPU_reach, CPU_stackMask, CS, FLAT, REACH_SIZE, SS, TR } from './layout';
import {
  CODE,
  DEFAULT_BIG,
  EXPAND_DOWN,
  TYPE_32,
  UNUSABLE,
  attributesOf,
  baseOf,
  descriptorAttributes,
  dplOf,
  isCanonical,
  isLongCode,
  isLongMode,
  isNull,
  isPresent,
  isReal86,
  isWritableData,
  limitOf,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  systemMask,
} from './descriptors';
import { VECTOR_SS, VECTOR_TS, fault, generalProtection } from './fault';
import {
  load16,
  load32,
  load64,
  store16,
  store32,
  store64,
  systemLoad16,
  systemLoad32,
  systemLoad64,
  systemStore16,
  systemStore32,
  systemStore64,
} from './memory';
import { isCompressed } from './rings';

/** `stackMask` of 64-bit mode. */
export const MASK_64: u64 = 0xffff_ffff_ffff_ffff;

const RSP: usize = CPU_gpr + 4 * 8;
const REACH_STACK: u32 = <u32>CPU_reach + SS * <u32>REACH_SIZE;
const REACH_FLAT: u32 = <u32>CPU_reach + FLAT * <u32>REACH_SIZE;

export function stackPointer(cpu: usize): u64 {
  return load<u64>(cpu, RSP);
}

/** Writes SP, ESP or RSP as `mask` says: SP leaves the rest of the register alone, ESP clears its upper half. */
export function setStackPointer(cpu: usize, value: u64, mask: u64): void {
  store<u64>(cpu, mask == 0xffff ? (load<u64>(cpu, RSP) & ~mask) | (value & mask) : value & mask, RSP);
}

/** The stack pointer's mask that a stack segment outside 64-bit mode gives. */
export function maskOf(attributes: u32): u64 {
  return attributes & DEFAULT_BIG ? 0xffff_ffff : 0xffff;
}

/** Whether `count` pushes of `size` bytes below `sp` stay inside a stack: by the segment's limit, or canonical if `mask` is MASK_64. */
export function hasRoom(limit: u32, attributes: u32, mask: u64, sp: u64, count: u32, size: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    sp -= size;
    if (mask == MASK_64) {
      if (!isCanonical(sp) || !isCanonical(sp + (size - 1))) return false;
      continue;
    }
    const first = sp & mask;
    const last = first + (size - 1);
    if ((attributes & (CODE | EXPAND_DOWN)) == EXPAND_DOWN) {
      if (first <= <u64>limit || last > (attributes & DEFAULT_BIG ? 0xffff_ffff : 0xffff)) return false;
    } else if (last > <u64>limit) return false;
  }
  return true;
}

/** The same for the stack in use. */
export function hasRoomHere(cpu: usize, count: u32, size: u32): bool {
  const mask = load<u64>(cpu, CPU_stackMask);
  const attributes = attributesOf(cpu, SS);
  if (mask != MASK_64 && attributes & UNUSABLE) return false;
  // Paragraphs have no expand-down.
  const kind = isReal86(cpu) ? attributes & ~(CODE | EXPAND_DOWN) : attributes;
  return hasRoom(limitOf(cpu, SS), kind, mask, stackPointer(cpu), count, size);
}

/**
 * Writes one item of a frame below `sp` on the stack at `base` and returns the new stack pointer, uncommitted. `supervisor`: the frame belongs to a
 * CPL below 3 whatever CPL is now; else the permissions of CPL hold.
 */
export function place(cpu: usize, base: u64, mask: u64, sp: u64, size: u32, supervisor: bool, value: u64): u64 {
  const next = mask == MASK_64 ? sp - size : (sp & ~mask) | ((sp - size) & mask);
  const linear = mask == MASK_64 ? next : (base + (next & mask)) & 0xffff_ffff;
  if (supervisor) {
    if (size == 8) systemStore64(cpu, linear, value);
    else if (size == 4) systemStore32(cpu, linear, <u32>value);
    else systemStore16(cpu, linear, <u16>value);
  } else {
    if (size == 8) store64(cpu, REACH_FLAT, linear, value);
    else if (size == 4) store32(cpu, REACH_FLAT, linear, <u32>value);
    else store16(cpu, REACH_FLAT, linear, <u16>value);
  }
  return next;
}

/** Reads `size` bytes (2, 4 or 8) `offset` bytes above the top of the stack. Raises #SS(0) beyond its limit. */
export function peek(cpu: usize, offset: u32, size: u32): u64 {
  const ea = (stackPointer(cpu) + offset) & load<u64>(cpu, CPU_stackMask);
  return size == 8 ? load64(cpu, REACH_STACK, ea) : size == 4 ? load32(cpu, REACH_STACK, ea) : load16(cpu, REACH_STACK, ea);
}

/** Base of the stack in use. */
export function stackBase(cpu: usize): u64 {
  return load<u64>(cpu, CPU_stackMask) == MASK_64 ? 0 : baseOf(cpu, SS) & 0xffff_ffff;
}

/** An instruction pointer that a transfer is about to load: #GP(error) if it is beyond the code segment's limit, or not canonical in 64-bit code. */
export function checkTarget(cpu: usize, limit: u32, attributes: u32, rip: u64, error: u32): void {
  if (isLongCode(cpu, attributes)) {
    if (!isCanonical(rip)) generalProtection(cpu, error);
  } else if (rip > <u64>limit) generalProtection(cpu, error);
}

/** The same for the code segment in use. */
export function checkTargetHere(cpu: usize, rip: u64, error: u32): void {
  checkTarget(cpu, limitOf(cpu, CS), attributesOf(cpu, CS), rip, error);
}

// -- the stack of an inner level, from the TSS (vol. 3A, 5.8.5, 6.12.1, 6.14.4)

/** Linear address of the stack of privilege `level` (or, in IA-32e mode, of `ist`, if not 0) in the current TSS. #TS(TR) beyond its limit. */
export function innerStackSlot(cpu: usize, level: u32, ist: u32, external: u32): u64 {
  // The VMM's TSS has the guest's stack of ring 0 for ring 1.
  if (level == 1 && isCompressed(cpu)) level = 0;
  let offset: u32;
  let last: u32;
  if (isLongMode(cpu)) {
    offset = ist ? 28 + 8 * ist : 4 + 8 * level;
    last = offset + 7;
  } else if (attributesOf(cpu, TR) & TYPE_32) {
    offset = 4 + 8 * level;
    last = offset + 5;
  } else {
    offset = 2 + 4 * level;
    last = offset + 3;
  }
  if (attributesOf(cpu, TR) & UNUSABLE || last > limitOf(cpu, TR)) selectorFault(cpu, VECTOR_TS, selectorOf(cpu, TR), external);
  return (baseOf(cpu, TR) + offset) & systemMask(cpu);
}

/** The stack pointer in such a slot. */
export function innerStackPointer(cpu: usize, slot: u64): u64 {
  if (isLongMode(cpu)) return systemLoad64(cpu, slot);
  return attributesOf(cpu, TR) & TYPE_32 ? systemLoad32(cpu, slot) : systemLoad16(cpu, slot);
}

/** The stack segment's selector in such a slot, outside IA-32e mode. */
export function innerStackSelector(cpu: usize, slot: u64): u32 {
  const selector: u32 = systemLoad16(cpu, slot + (attributesOf(cpu, TR) & TYPE_32 ? 4 : 2));
  return isCompressed(cpu) && (selector & 3) == 0 ? selector | 1 : selector;
}

/** Checks the stack segment of an inner level and returns its descriptor's address: #TS, or #SS if it is not present. */
export function innerStackSegment(cpu: usize, selector: u32, level: u32, external: u32): u64 {
  if (isNull(selector)) fault(cpu, VECTOR_TS, external);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_TS, external);
  const attributes = descriptorAttributes(readDescriptor(cpu, address));
  if ((selector & 3) != level || dplOf(attributes) != level || !isWritableData(attributes))
    selectorFault(cpu, VECTOR_TS, selector, external);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_SS, selector, external);
  return address;
}
