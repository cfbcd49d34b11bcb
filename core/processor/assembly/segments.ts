/** Segment registers: loading them in every mode (SDM vol. 3A, 3.4, 5.2 to 5.6, 20.1), and what follows from them for memory operands. */
import {
  CODE_16,
  CODE_32,
  CODE_64,
  CPU_codeSize,
  CPU_cpl,
  CPU_cr0,
  CPU_cr4,
  CPU_facts,
  CPU_gpr,
  CPU_linearMask,
  CPU_reach,
  CPU_stackMask,
  CS,
  DS,
  ES,
  FACT_COMPRESSED,
  FACT_FLAT,
  FACT_SEGMENT,
  FACT_SIMD,
  FACT_X87,
  FLAT,
  FS,
  GS,
  RECORD_addressMask,
  RECORD_extra,
  REACH_SIZE,
  REACH_base,
  REACH_readEnd,
  REACH_writeEnd,
  SS,
} from './layout';
import {
  ACCESSED,
  CR0_TS,
  CODE,
  CONFORMING,
  DEFAULT_BIG,
  EXPAND_DOWN,
  LONG,
  NOT_SYSTEM,
  PRESENT,
  READABLE,
  UNUSABLE,
  WRITABLE,
  attributesOf,
  baseOf,
  dplOf,
  isConforming,
  isLongMode,
  isNull,
  isPresent,
  isReadable,
  isReal,
  isReal86,
  isVm86,
  isWritableData,
  descriptorAttributes,
  limitOf,
  markAccessed,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  setFromDescriptor,
  setNull,
  setSegment,
} from './descriptors';
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, generalProtection, undefinedOpcode } from './fault';
import { peek, setStackPointer, stackPointer } from './frames';
import { load16, load32, load64, store16, store32, store64 } from './memory';
import {
  effectiveAddress,
  isRegister,
  operandSegment,
  operandSize,
  readRm16,
  regAddress,
  rmAddress,
  stackOperandSize,
  writeRegister,
  writeRm16,
} from './operands';
import { isCompressed } from './rings';
import { beginShadow } from './shadow';
import { updateStamp } from './fetched';
import { updateTlbMode } from './tlb';

/** Offset of the stack segment's `Reach`. */
const STACK: u32 = <u32>CPU_reach + SS * <u32>REACH_SIZE;
const CR0_EM: u64 = 4;
const CR4_OSFXSR: u64 = 1 << 9;
/** `readEnd` and `writeEnd` of a limit of 4 GiB. */
const WHOLE: u64 = 0x1_0000_0000;
const EVERYTHING: u64 = 0xffff_ffff_ffff_ffff;

function setReach(cpu: usize, index: u32, base: u64, readEnd: u64, writeEnd: u64): void {
  const at = cpu + CPU_reach + <usize>index * REACH_SIZE;
  store<u64>(at, base, REACH_base);
  store<u64>(at, readEnd, REACH_readEnd);
  store<u64>(at, writeEnd, REACH_writeEnd);
}

/** Derives everything that hangs on the segment registers, CR0.PE, EFER.LMA, EFLAGS.VM and CPL. Call it after any of them changed. */
export function updateReach(cpu: usize): void {
  const code = attributesOf(cpu, CS);
  setReach(cpu, FLAT, 0, EVERYTHING, EVERYTHING);
  if (isLongMode(cpu) && code & LONG) {
    for (let i = ES; i <= DS; i++) setReach(cpu, i, 0, EVERYTHING, EVERYTHING);
    setReach(cpu, FS, baseOf(cpu, FS), EVERYTHING, EVERYTHING);
    setReach(cpu, GS, baseOf(cpu, GS), EVERYTHING, EVERYTHING);
    store<u64>(cpu, EVERYTHING, CPU_linearMask);
    store<u64>(cpu, EVERYTHING, CPU_stackMask);
    setCodeSize(cpu, CODE_64);
    updateTlbMode(cpu);
    updateFacts(cpu);
    return;
  }
  const paragraphs = isReal86(cpu);
  for (let i = ES; i <= GS; i++) {
    const attributes = attributesOf(cpu, i);
    const end = <u64>limitOf(cpu, i) + 1;
    const base = baseOf(cpu, i) & 0xffff_ffff;
    if (paragraphs) setReach(cpu, i, base, end, end);
    // An expand-down segment's limit is a lower bound: the slow path knows.
    else if (attributes & UNUSABLE || (attributes & (CODE | EXPAND_DOWN)) == EXPAND_DOWN) setReach(cpu, i, base, 0, 0);
    else setReach(cpu, i, base, isReadable(attributes) ? end : 0, isWritableData(attributes) ? end : 0);
  }
  store<u64>(cpu, 0xffff_ffff, CPU_linearMask);
  store<u64>(cpu, attributesOf(cpu, SS) & DEFAULT_BIG ? 0xffff_ffff : 0xffff, CPU_stackMask);
  setCodeSize(cpu, code & DEFAULT_BIG ? CODE_32 : CODE_16);
  updateTlbMode(cpu);
  updateFacts(cpu);
}

function setCodeSize(cpu: usize, size: u32): void {
  const old = load<u32>(cpu, CPU_codeSize);
  if (old == size) return;
  if (old == CODE_64) {
    // Not preserved when 64-bit mode is left (vol. 1, 3.4.1.1): zero, so that 32-bit code need not carry them along.
    for (let register: usize = 0; register < 8; register++) store<u32>(cpu + (register << 3), 0, CPU_gpr + 4);
  }
  store<u32>(cpu, size, CPU_codeSize);
  updateStamp(cpu);
}

/** What translated code takes for granted. Call it after CR0.EM, CR0.TS or CR4.OSFXSR changed; `updateReach` does. */
export function updateFacts(cpu: usize): void {
  let facts: u32 = isCompressed(cpu) ? FACT_COMPRESSED : 0;
  if (!(load<u64>(cpu, CPU_cr0) & (CR0_EM | CR0_TS))) facts |= load<u64>(cpu, CPU_cr4) & CR4_OSFXSR ? FACT_X87 | FACT_SIMD : FACT_X87;
  if (load<u32>(cpu, CPU_codeSize) == CODE_32) {
    for (let i = ES; i <= DS; i++) {
      const at = cpu + CPU_reach + <usize>i * REACH_SIZE;
      const whole = load<u64>(at, REACH_readEnd) == WHOLE && load<u64>(at, REACH_writeEnd) == WHOLE;
      if (load<u64>(at, REACH_base) == 0 && whole) facts |= FACT_SEGMENT << i;
    }
    const flat = baseOf(cpu, CS) == 0 && limitOf(cpu, CS) == 0xffff_ffff;
    if (flat && load<u64>(cpu, CPU_stackMask) == 0xffff_ffff) facts |= FACT_FLAT;
  }
  store<u32>(cpu, facts, CPU_facts);
}

/**
 * Loads a segment register as real-address and virtual-8086 mode do. In real-address mode the limit and the default size stay what they were
 * (so a system that loaded 4 GiB limits in protected mode keeps them); in virtual-8086 mode they are 64 KiB and 16 bits.
 */
export function loadParagraph(cpu: usize, index: u32, selector: u32): void {
  const base = (<u64>(selector & 0xffff)) << 4;
  if (isVm86(cpu)) setSegment(cpu, index, selector, base, 0xffff, PRESENT | (3 << 5) | NOT_SYSTEM | WRITABLE | ACCESSED);
  else {
    const old = attributesOf(cpu, index);
    // A null register has no limit to keep: it becomes as after reset.
    const limit: u32 = old & UNUSABLE ? 0xffff : limitOf(cpu, index);
    const size: u32 = old & UNUSABLE ? 0 : old & 0xf000 & ~LONG;
    setSegment(cpu, index, selector, base, limit, size | PRESENT | NOT_SYSTEM | WRITABLE | ACCESSED);
  }
}

/** The null selector in SS, which 64-bit mode allows below CPL 3: its DPL is CPL. */
export function setNullStack(cpu: usize, selector: u32, cpl: u32): void {
  setSegment(cpu, SS, selector, 0, 0, UNUSABLE | (cpl << 5));
}

/**
 * MOV and POP to a segment register other than CS, LDS and the like (vol. 2, MOV). The caller commits nothing before it. Raises #GP, #NP or #SS
 * with the selector as error code.
 */
export function loadSegment(cpu: usize, index: u32, selector: u32): void {
  selector &= 0xffff;
  if (isReal86(cpu)) {
    loadParagraph(cpu, index, selector);
    updateReach(cpu);
    return;
  }
  const cpl = load<u32>(cpu, CPU_cpl);
  const rpl = selector & 3;
  if (isNull(selector)) {
    if (index == SS) {
      if (load<u32>(cpu, CPU_codeSize) != CODE_64 || cpl == 3 || rpl != cpl) generalProtection(cpu, 0);
      setNullStack(cpu, selector, cpl);
    } else setNull(cpu, index, selector);
    updateReach(cpu);
    return;
  }
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  const dpl = dplOf(attributes);
  if (index == SS) {
    if (rpl != cpl || dpl != cpl || !isWritableData(attributes)) selectorFault(cpu, VECTOR_GP, selector, 0);
    if (!isPresent(attributes)) selectorFault(cpu, VECTOR_SS, selector, 0);
  } else {
    if (!isReadable(attributes)) selectorFault(cpu, VECTOR_GP, selector, 0);
    if (!isConforming(attributes) && (rpl > dpl || cpl > dpl)) selectorFault(cpu, VECTOR_GP, selector, 0);
    if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  }
  setFromDescriptor(cpu, index, selector, markAccessed(cpu, address, descriptor));
  updateReach(cpu);
}

/** On a return to an outer level: ES, FS, GS and DS must not go on reaching what the new CPL may not (vol. 2, RET and IRET). */
export function invalidateInner(cpu: usize, cpl: u32): void {
  invalidateIfInner(cpu, ES, cpl);
  invalidateIfInner(cpu, DS, cpl);
  invalidateIfInner(cpu, FS, cpl);
  invalidateIfInner(cpu, GS, cpl);
}

function invalidateIfInner(cpu: usize, index: u32, cpl: u32): void {
  const attributes = attributesOf(cpu, index);
  if (attributes & UNUSABLE || isConforming(attributes) || dplOf(attributes) >= cpl) return;
  // The base stays: in 64-bit mode FS and GS use it also with a null selector.
  setSegment(cpu, index, 0, baseOf(cpu, index), 0, UNUSABLE);
}

// -- instructions

/** The segment register in modrm.reg (REX.R says nothing there): #UD for the two that do not exist. */
function segmentOperand(cpu: usize, record: usize): u32 {
  const index = <u32>load<u16>(record, RECORD_extra) & 7;
  if (index > GS) undefinedOpcode(cpu);
  return index;
}

/** 8E: MOV Sreg, r/m16. */
export function mov_sreg_rm(cpu: usize, record: usize): void {
  const index = segmentOperand(cpu, record);
  if (index == CS) undefinedOpcode(cpu);
  loadSegment(cpu, index, readRm16(cpu, record));
  if (index == SS) beginShadow(cpu, record);
}

/** 8C: MOV r/m16, Sreg; a register gets the selector zero-extended to the operand size. */
export function mov_rm_sreg(cpu: usize, record: usize): void {
  const selector = selectorOf(cpu, segmentOperand(cpu, record));
  if (isRegister(record)) writeRegister(rmAddress(cpu, record), selector, operandSize(cpu, record));
  else writeRm16(cpu, record, selector);
}

function pushSegment(cpu: usize, record: usize, index: u32): void {
  const size = stackOperandSize(cpu, record);
  const selector = selectorOf(cpu, index);
  const mask = load<u64>(cpu, CPU_stackMask);
  const sp = (stackPointer(cpu) - size) & mask;
  // With 32-bit operands a processor may also write 16 bits only (vol. 2, PUSH).
  if (size == 8) store64(cpu, STACK, sp, selector);
  else if (size == 4) store32(cpu, STACK, sp, selector);
  else store16(cpu, STACK, sp, selector);
  setStackPointer(cpu, sp, mask);
}

function popSegment(cpu: usize, record: usize, index: u32): void {
  const size = stackOperandSize(cpu, record);
  const mask = load<u64>(cpu, CPU_stackMask);
  const selector = <u32>peek(cpu, 0, size) & 0xffff;
  loadSegment(cpu, index, selector);
  setStackPointer(cpu, stackPointer(cpu) + size, mask);
}

export function push_es(cpu: usize, record: usize): void {
  pushSegment(cpu, record, ES);
}
export function push_cs(cpu: usize, record: usize): void {
  pushSegment(cpu, record, CS);
}
export function push_ss(cpu: usize, record: usize): void {
  pushSegment(cpu, record, SS);
}
export function push_ds(cpu: usize, record: usize): void {
  pushSegment(cpu, record, DS);
}
export function push_fs(cpu: usize, record: usize): void {
  pushSegment(cpu, record, FS);
}
export function push_gs(cpu: usize, record: usize): void {
  pushSegment(cpu, record, GS);
}
export function pop_es(cpu: usize, record: usize): void {
  popSegment(cpu, record, ES);
}
export function pop_ss(cpu: usize, record: usize): void {
  popSegment(cpu, record, SS);
  beginShadow(cpu, record);
}
export function pop_ds(cpu: usize, record: usize): void {
  popSegment(cpu, record, DS);
}
export function pop_fs(cpu: usize, record: usize): void {
  popSegment(cpu, record, FS);
}
export function pop_gs(cpu: usize, record: usize): void {
  popSegment(cpu, record, GS);
}

/** LDS and the like: offset, then selector, from memory. */
function loadPointer(cpu: usize, record: usize, index: u32): void {
  const size = operandSize(cpu, record);
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  const mask = load<u64>(record, RECORD_addressMask);
  const offset: u64 = size == 8 ? load64(cpu, segment, ea) : size == 4 ? load32(cpu, segment, ea) : load16(cpu, segment, ea);
  const selector = load16(cpu, segment, (ea + size) & mask);
  loadSegment(cpu, index, selector);
  writeRegister(regAddress(cpu, record), offset, size);
}

export function les(cpu: usize, record: usize): void {
  loadPointer(cpu, record, ES);
}
export function lds(cpu: usize, record: usize): void {
  loadPointer(cpu, record, DS);
}
export function lss(cpu: usize, record: usize): void {
  loadPointer(cpu, record, SS);
}
export function lfs(cpu: usize, record: usize): void {
  loadPointer(cpu, record, FS);
}
export function lgs(cpu: usize, record: usize): void {
  loadPointer(cpu, record, GS);
}
