/** Descriptor-table registers and instructions that look at descriptors: LAR, LSL, VERR, VERW, ARPL, LGDT, LLDT, LTR and the like (SDM vol. 2). */
import {
  CODE_64,
  CPU_codeSize,
  CPU_cpl,
  CPU_cr4,
  CPU_gdtr,
  CPU_idtr,
  DESCRIPTORTABLE_base,
  DESCRIPTORTABLE_limit,
  LDTR,
  RECORD_addressMask,
  TR,
} from './layout';
import {
  CR4_UMIP,
  NOT_SYSTEM,
  NOWHERE,
  PRESENT,
  TSS_BUSY,
  TYPE_CALL_GATE,
  TYPE_CALL_GATE16,
  TYPE_LDT,
  TYPE_TASK_GATE,
  TYPE_TSS,
  TYPE_TSS16,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  dplOf,
  findDescriptor,
  isCanonical,
  isConforming,
  isLongMode,
  isNull,
  isPresent,
  isReadable,
  isReal86,
  isTss,
  isWritableData,
  markBusy,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  setNull,
  setSegment,
  systemType,
} from './descriptors';
import { VECTOR_GP, VECTOR_NP, generalProtection, undefinedOpcode } from './fault';
import { FLAG_ZF, setFlags } from './flags';
import { load16, load32, load64, probeWrite, store16, store32, store64 } from './memory';
import {
  effectiveAddress,
  isRegister,
  operandSegment,
  operandSize,
  readRm16,
  regAddress,
  rmAddress,
  writeRegister,
  writeRm16,
} from './operands';
import { VMM_GDT, VMM_GDT_LIMIT, VMM_IDT, VMM_IDT_LIMIT, VMM_LDT_SELECTOR, VMM_TSS_SELECTOR, isCompressed } from './rings';

/** #GP(0) for privileged instructions above CPL 0. */
function requireCpl0(cpu: usize): void {
  if (load<u32>(cpu, CPU_cpl) != 0) generalProtection(cpu, 0);
}

/** User-mode instruction prevention: SGDT, SIDT, SLDT, STR raise #GP(0) above CPL 0 (vol. 3A, 2.5). */
function requireUmip(cpu: usize): void {
  if (load<u64>(cpu, CPU_cr4) & CR4_UMIP) requireCpl0(cpu);
}

// -- GDTR and IDTR

function storeTable(cpu: usize, record: usize, table: usize): void {
  requireUmip(cpu);
  let base = load<u64>(cpu + table, DESCRIPTORTABLE_base);
  let limit = load<u32>(cpu + table, DESCRIPTORTABLE_limit);
  if (isCompressed(cpu)) {
    const global = table == CPU_gdtr;
    base = global ? VMM_GDT : VMM_IDT;
    limit = global ? VMM_GDT_LIMIT : VMM_IDT_LIMIT;
  }
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  const at = (ea + 2) & load<u64>(record, RECORD_addressMask);
  const long = load<u32>(cpu, CPU_codeSize) == CODE_64;
  // All of it or nothing.
  probeWrite(cpu, segment, at, long ? 8 : 4);
  store16(cpu, segment, ea, limit);
  if (long) store64(cpu, segment, at, base);
  else store32(cpu, segment, at, <u32>base);
}

function loadTable(cpu: usize, record: usize, table: usize): void {
  requireCpl0(cpu);
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  const at = (ea + 2) & load<u64>(record, RECORD_addressMask);
  const limit = load16(cpu, segment, ea);
  let base: u64;
  if (load<u32>(cpu, CPU_codeSize) == CODE_64) {
    base = load64(cpu, segment, at);
    if (!isCanonical(base)) generalProtection(cpu, 0);
  } else {
    base = load32(cpu, segment, at);
    // With 16-bit operands the base has 24 bits.
    if (operandSize(cpu, record) == 2) base &= 0xff_ffff;
  }
  store<u32>(cpu + table, limit, DESCRIPTORTABLE_limit);
  store<u64>(cpu + table, base, DESCRIPTORTABLE_base);
}

export function sgdt(cpu: usize, record: usize): void {
  storeTable(cpu, record, CPU_gdtr);
}
export function sidt(cpu: usize, record: usize): void {
  storeTable(cpu, record, CPU_idtr);
}
export function lgdt(cpu: usize, record: usize): void {
  loadTable(cpu, record, CPU_gdtr);
}
export function lidt(cpu: usize, record: usize): void {
  loadTable(cpu, record, CPU_idtr);
}

// -- LDTR and TR

function storeSelector(cpu: usize, record: usize, index: u32): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  requireUmip(cpu);
  const selector: u32 = !isCompressed(cpu) ? selectorOf(cpu, index) : index == LDTR ? VMM_LDT_SELECTOR : VMM_TSS_SELECTOR;
  if (isRegister(record)) writeRegister(rmAddress(cpu, record), selector, operandSize(cpu, record));
  else writeRm16(cpu, record, selector);
}

export function sldt(cpu: usize, record: usize): void {
  storeSelector(cpu, record, LDTR);
}
export function str(cpu: usize, record: usize): void {
  storeSelector(cpu, record, TR);
}

/** Base of an LDT or TSS: its descriptor has 16 bytes in IA-32e mode, whose upper type bits must be 0. */
function systemBase(cpu: usize, selector: u32, address: u64, descriptor: u64): u64 {
  const base = descriptorBase(descriptor);
  if (!isLongMode(cpu)) return base;
  const upper = readDescriptor(cpu, address + 8);
  const wide = base | (upper << 32);
  if ((upper >> 40) & 0x1f || !isCanonical(wide)) selectorFault(cpu, VECTOR_GP, selector, 0);
  return wide;
}

export function lldt(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  requireCpl0(cpu);
  const selector: u32 = readRm16(cpu, record);
  if (isNull(selector)) {
    setNull(cpu, LDTR, selector);
    return;
  }
  if (selector & 4) selectorFault(cpu, VECTOR_GP, selector, 0);
  const address = requireDescriptor(cpu, selector, isLongMode(cpu) ? 16 : 8, VECTOR_GP, 0);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  if (systemType(attributes) != TYPE_LDT) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  const base = systemBase(cpu, selector, address, descriptor);
  setSegment(cpu, LDTR, selector, base, descriptorLimit(descriptor), attributes);
}

export function ltr(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  requireCpl0(cpu);
  const selector: u32 = readRm16(cpu, record);
  if (isNull(selector)) generalProtection(cpu, 0);
  if (selector & 4) selectorFault(cpu, VECTOR_GP, selector, 0);
  const address = requireDescriptor(cpu, selector, isLongMode(cpu) ? 16 : 8, VECTOR_GP, 0);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  const type = systemType(attributes);
  if (type != TYPE_TSS && (type != TYPE_TSS16 || isLongMode(cpu))) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  const base = systemBase(cpu, selector, address, descriptor);
  markBusy(cpu, address, true);
  setSegment(cpu, TR, selector, base, descriptorLimit(descriptor), attributes | TSS_BUSY);
}

// -- looking at descriptors

/** The descriptor of `selector` if CPL and RPL let a program know of it; 0 (which is no valid descriptor) if not. */
function visibleDescriptor(cpu: usize, selector: u32): u64 {
  if (isNull(selector)) return 0;
  const address = findDescriptor(cpu, selector, 8);
  if (address == NOWHERE) return 0;
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  const dpl = dplOf(attributes);
  if (!isConforming(attributes) && (dpl < load<u32>(cpu, CPU_cpl) || dpl < (selector & 3))) return 0;
  return descriptor;
}

function setZero(cpu: usize, zero: bool): void {
  setFlags(cpu, zero ? FLAG_ZF : 0, FLAG_ZF);
}

/** LDT and TSS, and in LAR also call and task gates; those of 16 and 32 bits are none in IA-32e mode. */
function hasLimit(cpu: usize, type: u32): bool {
  if (isLongMode(cpu)) return type == TYPE_LDT || (type & ~TSS_BUSY) == TYPE_TSS;
  return type == TYPE_LDT || isTss(type);
}

/** 0F 02: LAR r, r/m16. Bits 16..19, which Intel leaves undefined, are the descriptor's, as AMD defines them. */
export function lar(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  const descriptor = visibleDescriptor(cpu, readRm16(cpu, record));
  const attributes = descriptorAttributes(descriptor);
  const type = systemType(attributes);
  const long = isLongMode(cpu);
  const valid =
    descriptor != 0 &&
    ((attributes & NOT_SYSTEM) != 0 ||
      hasLimit(cpu, type) ||
      type == TYPE_CALL_GATE ||
      (!long && (type == TYPE_CALL_GATE16 || type == TYPE_TASK_GATE)));
  if (valid) writeRegister(regAddress(cpu, record), (descriptor >> 32) & 0xff_ff00, operandSize(cpu, record));
  setZero(cpu, valid);
}

/** 0F 03: LSL r, r/m16. */
export function lsl(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  const descriptor = visibleDescriptor(cpu, readRm16(cpu, record));
  const attributes = descriptorAttributes(descriptor);
  const valid = descriptor != 0 && ((attributes & NOT_SYSTEM) != 0 || hasLimit(cpu, systemType(attributes)));
  if (valid) writeRegister(regAddress(cpu, record), descriptorLimit(descriptor), operandSize(cpu, record));
  setZero(cpu, valid);
}

/** 0F 00 /4: VERR r/m16. */
export function verr(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  setZero(cpu, isReadable(descriptorAttributes(visibleDescriptor(cpu, readRm16(cpu, record)))));
}

/** 0F 00 /5: VERW r/m16. */
export function verw(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  setZero(cpu, isWritableData(descriptorAttributes(visibleDescriptor(cpu, readRm16(cpu, record)))));
}

/** 63 outside 64-bit mode: ARPL r/m16, r16. */
export function arpl(cpu: usize, record: usize): void {
  if (isReal86(cpu)) undefinedOpcode(cpu);
  const selector: u32 = readRm16(cpu, record);
  const rpl: u32 = load<u16>(regAddress(cpu, record)) & 3;
  const raise = (selector & 3) < rpl;
  if (raise) writeRm16(cpu, record, (selector & ~3) | rpl);
  setZero(cpu, raise);
}
