/** Far RET and IRET (SDM vol. 2, RET and IRET/IRETD/IRETQ). */
import {
  CODE_64,
  CPU_codeSize,
  CPU_cpl,
  CPU_cr4,
  CPU_nmiBlocked,
  CPU_rip,
  CPU_stackMask,
  CS,
  DS,
  ES,
  FS,
  GS,
  RECORD_immediate,
  SS,
  TR,
} from './layout';
import {
  CR4_VME,
  DEFAULT_BIG,
  LONG,
  NOWHERE,
  TSS_BUSY,
  baseOf,
  descriptorAttributes,
  descriptorLimit,
  dplOf,
  isCode,
  isConforming,
  isLongCode,
  isLongMode,
  isNull,
  isPresent,
  isReal,
  isReal86,
  isTss,
  isVm86,
  isWritableData,
  markAccessed,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  setFromDescriptor,
  systemType,
} from './descriptors';
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_TS, generalProtection } from './fault';
import {
  FLAGS_ARITHMETIC,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  getFlags,
  setFlags,
} from './flags';
import { MASK_64, checkTarget, checkTargetHere, maskOf, peek, setStackPointer, stackPointer } from './frames';
import { systemLoad16 } from './memory';
import { operandSize } from './operands';
import { invalidateInner, loadParagraph, setNullStack, updateReach } from './segments';
import { TASK_RETURN, finishTask, switchTask } from './tasks';

const PROGRAM_FLAGS: u32 = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;
const ALL_IOPL: u32 = 3 << 12;

/** Checks the code segment that a far RET or IRET goes back to; returns its descriptor's address. */
function returnCode(cpu: usize, selector: u32): u64 {
  if (isNull(selector)) generalProtection(cpu, 0);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const attributes = descriptorAttributes(readDescriptor(cpu, address));
  const rpl = selector & 3;
  const dpl = dplOf(attributes);
  if (!isCode(attributes) || rpl < load<u32>(cpu, CPU_cpl)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (isLongMode(cpu) && (attributes & (LONG | DEFAULT_BIG)) == (LONG | DEFAULT_BIG)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (isConforming(attributes) ? dpl > rpl : dpl != rpl) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  return address;
}

/** Checks the stack segment to go back to, for CPL `level`. NOWHERE: null, as 64-bit code below CPL 3 may have it. */
function returnStack(cpu: usize, selector: u32, level: u32, codeAttributes: u32): u64 {
  if (isNull(selector)) {
    if (!isLongCode(cpu, codeAttributes) || level == 3 || (selector & 3) != level) generalProtection(cpu, 0);
    return NOWHERE;
  }
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const attributes = descriptorAttributes(readDescriptor(cpu, address));
  if ((selector & 3) != level || dplOf(attributes) != level || !isWritableData(attributes)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_SS, selector, 0);
  return address;
}

/**
 * Commits a return that loads CS and, unless `stack` is no selector (-1), SS and the stack pointer; `release` bytes of parameters are dropped.
 * `flags` in `mask` come with an IRET.
 */
function commitReturn(
  cpu: usize,
  codeSelector: u32,
  codeAddress: u64,
  rip: u64,
  stack: i32,
  sp: u64,
  release: u32,
  flags: u32,
  mask: u32,
): void {
  const code = readDescriptor(cpu, codeAddress);
  const codeAttributes = descriptorAttributes(code);
  const level = codeSelector & 3;
  const outer = level > load<u32>(cpu, CPU_cpl);
  let stackAddress = NOWHERE;
  if (stack >= 0) stackAddress = returnStack(cpu, stack, level, codeAttributes);
  checkTarget(cpu, descriptorLimit(code), codeAttributes, rip, 0);
  const codeDescriptor = markAccessed(cpu, codeAddress, code);

  let stackMask = load<u64>(cpu, CPU_stackMask);
  if (stackAddress != NOWHERE) {
    const descriptor = markAccessed(cpu, stackAddress, readDescriptor(cpu, stackAddress));
    setFromDescriptor(cpu, SS, stack, descriptor);
    stackMask = maskOf(descriptorAttributes(descriptor));
  } else if (stack >= 0) setNullStack(cpu, stack, level);
  if (stack >= 0 && isLongCode(cpu, codeAttributes)) stackMask = MASK_64;
  setStackPointer(cpu, sp + release, stackMask);
  store<u32>(cpu, level, CPU_cpl);
  if (mask) setFlags(cpu, flags, mask);
  setFromDescriptor(cpu, CS, codeSelector, codeDescriptor);
  if (outer) invalidateInner(cpu, level);
  store<u64>(cpu, rip, CPU_rip);
  updateReach(cpu);
}

/** RET far; `size` is the operand size in bytes, `release` the bytes of parameters to drop. */
function returnFar(cpu: usize, size: u32, release: u32): void {
  const rip = peek(cpu, 0, size);
  const selector = <u32>peek(cpu, size, size) & 0xffff;
  const sp = stackPointer(cpu) + size * 2;
  if (isReal86(cpu)) {
    checkTargetHere(cpu, rip, 0);
    setStackPointer(cpu, sp + release, load<u64>(cpu, CPU_stackMask));
    loadParagraph(cpu, CS, selector);
    store<u64>(cpu, rip, CPU_rip);
    updateReach(cpu);
    return;
  }
  const address = returnCode(cpu, selector);
  if ((selector & 3) == load<u32>(cpu, CPU_cpl)) {
    commitReturn(cpu, selector, address, rip, -1, sp, release, 0, 0);
    return;
  }
  const outerSp = peek(cpu, size * 2 + release, size);
  const outerStack = <i32>peek(cpu, size * 3 + release, size) & 0xffff;
  commitReturn(cpu, selector, address, rip, outerStack, outerSp, release, 0, 0);
}

/** CB: RET far. */
export function ret_far(cpu: usize, record: usize): void {
  returnFar(cpu, operandSize(cpu, record), 0);
}

/** CA: RET far imm16. */
export function ret_far_imm(cpu: usize, record: usize): void {
  returnFar(cpu, operandSize(cpu, record), load<u16>(record, RECORD_immediate));
}

/** CF: IRET, IRETD, IRETQ. */
export function iret(cpu: usize, record: usize): void {
  const size = operandSize(cpu, record);
  if (isReal(cpu)) returnReal(cpu, size);
  else if (isVm86(cpu)) returnVm86(cpu, size);
  else if (getFlags(cpu) & FLAG_NT) returnTask(cpu, record);
  else returnProtected(cpu, size);
  store<u32>(cpu, 0, CPU_nmiBlocked);
}

function commitParagraph(cpu: usize, selector: u32, rip: u64, size: u32, flags: u32, mask: u32): void {
  setStackPointer(cpu, stackPointer(cpu) + size * 3, load<u64>(cpu, CPU_stackMask));
  setFlags(cpu, flags, mask);
  loadParagraph(cpu, CS, selector);
  store<u64>(cpu, rip, CPU_rip);
  updateReach(cpu);
}

function returnReal(cpu: usize, size: u32): void {
  const rip = peek(cpu, 0, size);
  const selector = <u32>peek(cpu, size, size) & 0xffff;
  const flags = <u32>peek(cpu, size * 2, size);
  checkTargetHere(cpu, rip, 0);
  // A 16-bit image has no RF: it is then cleared.
  commitParagraph(cpu, selector, rip, size, flags, PROGRAM_FLAGS | FLAG_IF | FLAG_IOPL | FLAG_RF | (size == 4 ? FLAG_AC | FLAG_ID : 0));
}

function returnVm86(cpu: usize, size: u32): void {
  const trusted = (getFlags(cpu) & FLAG_IOPL) == ALL_IOPL;
  if (!trusted && (size != 2 || !(load<u64>(cpu, CPU_cr4) & CR4_VME))) generalProtection(cpu, 0);
  const rip = peek(cpu, 0, size);
  const selector = <u32>peek(cpu, size, size) & 0xffff;
  const flags = <u32>peek(cpu, size * 2, size);
  checkTargetHere(cpu, rip, 0);
  if (trusted) {
    commitParagraph(cpu, selector, rip, size, flags, PROGRAM_FLAGS | FLAG_IF | FLAG_RF | (size == 4 ? FLAG_AC | FLAG_ID : 0));
    return;
  }
  // With the virtual interrupt flag (20.3.3.4): IF of the image is VIF; a pending interrupt that it would let in is the monitor's affair.
  if (flags & FLAG_TF || (flags & FLAG_IF && getFlags(cpu) & FLAG_VIP)) generalProtection(cpu, 0);
  const image = (flags & ~FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
  commitParagraph(cpu, selector, rip, size, image, PROGRAM_FLAGS | FLAG_VIF | FLAG_RF);
}

/** Back to the task that this one was nested in. */
function returnTask(cpu: usize, record: usize): void {
  if (isLongMode(cpu)) generalProtection(cpu, 0);
  const selector = <u32>systemLoad16(cpu, baseOf(cpu, TR));
  if (selector & 4) selectorFault(cpu, VECTOR_TS, selector, 0);
  const attributes = descriptorAttributes(readDescriptor(cpu, requireDescriptor(cpu, selector, 8, VECTOR_TS, 0)));
  const type = systemType(attributes);
  if (!isTss(type) || !(type & TSS_BUSY)) selectorFault(cpu, VECTOR_TS, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  switchTask(cpu, record, selector, TASK_RETURN, getFlags(cpu), 0);
  finishTask(cpu, 0);
}

function returnProtected(cpu: usize, size: u32): void {
  const cpl = load<u32>(cpu, CPU_cpl);
  const rip = peek(cpu, 0, size);
  const selector = <u32>peek(cpu, size, size) & 0xffff;
  const flags = <u32>peek(cpu, size * 2, size);
  if (size == 4 && flags & FLAG_VM && cpl == 0 && !isLongMode(cpu)) {
    returnToVm86(cpu, selector, rip, flags);
    return;
  }
  let mask = PROGRAM_FLAGS | FLAG_RF;
  if (size > 2) mask |= FLAG_AC | FLAG_ID;
  if (cpl <= (getFlags(cpu) & FLAG_IOPL) >> 12) mask |= FLAG_IF;
  if (cpl == 0) {
    mask |= FLAG_IOPL;
    if (size > 2) mask |= FLAG_VIF | FLAG_VIP;
  }
  const address = returnCode(cpu, selector);
  // 64-bit mode always takes SS:RSP from the frame.
  if ((selector & 3) > cpl || load<u32>(cpu, CPU_codeSize) == CODE_64) {
    const sp = peek(cpu, size * 3, size);
    const stack = <i32>peek(cpu, size * 4, size) & 0xffff;
    commitReturn(cpu, selector, address, rip, stack, sp, 0, flags, mask);
  } else commitReturn(cpu, selector, address, rip, -1, stackPointer(cpu) + size * 3, 0, flags, mask);
}

function returnToVm86(cpu: usize, selector: u32, rip: u64, flags: u32): void {
  const sp = peek(cpu, 12, 4);
  const ss = <u32>peek(cpu, 16, 4);
  const es = <u32>peek(cpu, 20, 4);
  const ds = <u32>peek(cpu, 24, 4);
  const fs = <u32>peek(cpu, 28, 4);
  const gs = <u32>peek(cpu, 32, 4);
  if (rip > 0xffff) generalProtection(cpu, 0);
  const all = PROGRAM_FLAGS | FLAG_IF | FLAG_IOPL | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
  store<u32>(cpu, 3, CPU_cpl);
  setFlags(cpu, flags, all);
  loadParagraph(cpu, CS, selector);
  loadParagraph(cpu, SS, ss);
  loadParagraph(cpu, ES, es);
  loadParagraph(cpu, DS, ds);
  loadParagraph(cpu, FS, fs);
  loadParagraph(cpu, GS, gs);
  setStackPointer(cpu, sp, 0xffff_ffff);
  store<u64>(cpu, rip, CPU_rip);
  updateReach(cpu);
}
