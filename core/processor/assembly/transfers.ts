/** Far JMP and far CALL: directly, through call gates, and to tasks (SDM vol. 2, CALL and JMP; vol. 3A, 5.8). */
import { CPU_cpl, CPU_rip, CPU_stackMask, CS, RECORD_addressMask, RECORD_extra, RECORD_immediate, SS } from './layout';
import {
  DEFAULT_BIG,
  LONG,
  NOT_SYSTEM,
  TYPE_32,
  TYPE_CALL_GATE,
  TYPE_CALL_GATE16,
  TYPE_TASK_GATE,
  TYPE_TSS,
  TYPE_TSS16,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  dplOf,
  gateOffset,
  gateSelector,
  isCode,
  isConforming,
  isLongMode,
  isNull,
  isPresent,
  isReal86,
  markAccessed,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  setFromDescriptor,
  systemType,
} from './descriptors';
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, generalProtection, stackFault } from './fault';
import {
  MASK_64,
  checkTarget,
  checkTargetHere,
  hasRoom,
  hasRoomHere,
  innerStackPointer,
  innerStackSegment,
  innerStackSelector,
  innerStackSlot,
  maskOf,
  peek,
  place,
  setStackPointer,
  stackBase,
  stackPointer,
} from './frames';
import { getFlags } from './flags';
import { load16, load32, load64 } from './memory';
import { effectiveAddress, operandSegment, operandSize } from './operands';
import { loadParagraph, setNullStack, updateReach } from './segments';
import { TASK_CALL, TASK_JUMP, finishTask, switchTask } from './tasks';

const LONG_AND_BIG: u32 = LONG | DEFAULT_BIG;

/** Checks the code segment that a far JMP or CALL names, or that a gate leads to without more privilege. */
function checkCode(cpu: usize, selector: u32, attributes: u32): void {
  const cpl = load<u32>(cpu, CPU_cpl);
  const dpl = dplOf(attributes);
  if (isLongMode(cpu) && (attributes & LONG_AND_BIG) == LONG_AND_BIG) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (isConforming(attributes) ? dpl > cpl : (selector & 3) > cpl || dpl != cpl) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
}

/** The gate whose low half is `gate`: its DPL and presence (vol. 3A, 5.8.4). */
function checkGate(cpu: usize, selector: u32, attributes: u32): void {
  const dpl = dplOf(attributes);
  if (dpl < load<u32>(cpu, CPU_cpl) || dpl < (selector & 3)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
}

/** Address of the descriptor of the code segment that a call gate leads to, checked. */
function gateTarget(cpu: usize, selector: u32, jump: bool): u64 {
  const cpl = load<u32>(cpu, CPU_cpl);
  if (isNull(selector)) generalProtection(cpu, 0);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const attributes = descriptorAttributes(readDescriptor(cpu, address));
  const dpl = dplOf(attributes);
  if (!isCode(attributes) || dpl > cpl) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (jump && !isConforming(attributes) && dpl != cpl) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (isLongMode(cpu) && (attributes & LONG_AND_BIG) != LONG) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, 0);
  return address;
}

/** The offset of the call gate at `address`: 64 bits wide in IA-32e mode, where the upper half's type must be 0. */
function callGateOffset(cpu: usize, selector: u32, gate: u64, type: u32): u64 {
  const low = gateOffset(gate, type);
  if (!isLongMode(cpu)) return low;
  const upper = readDescriptor(cpu, requireDescriptor(cpu, selector, 16, VECTOR_GP, 0) + 8);
  if ((upper >> 40) & 0x1f) selectorFault(cpu, VECTOR_GP, selector, 0);
  return low | (upper << 32);
}

/** Whether a system descriptor's type can be the target of a far transfer in this mode. */
function isTransferType(cpu: usize, type: u32): bool {
  if (isLongMode(cpu)) return type == TYPE_CALL_GATE;
  return type == TYPE_CALL_GATE || type == TYPE_CALL_GATE16 || type == TYPE_TASK_GATE || type == TYPE_TSS || type == TYPE_TSS16;
}

function enterCode(cpu: usize, selector: u32, address: u64, rip: u64): void {
  const descriptor = markAccessed(cpu, address, readDescriptor(cpu, address));
  setFromDescriptor(cpu, CS, (selector & 0xfffc) | load<u32>(cpu, CPU_cpl), descriptor);
  store<u64>(cpu, rip, CPU_rip);
  updateReach(cpu);
}

/** To the task of a TSS descriptor or a task gate that a far JMP or CALL names. */
function enterTask(cpu: usize, record: usize, selector: u32, descriptor: u64, source: u32): void {
  const attributes = descriptorAttributes(descriptor);
  checkGate(cpu, selector, attributes);
  let tss = selector;
  if (systemType(attributes) == TYPE_TASK_GATE) {
    tss = gateSelector(descriptor);
    if (tss & 4) selectorFault(cpu, VECTOR_GP, tss, 0);
    const target = descriptorAttributes(readDescriptor(cpu, requireDescriptor(cpu, tss, 8, VECTOR_GP, 0)));
    const type = systemType(target);
    if (type != TYPE_TSS && type != TYPE_TSS16) selectorFault(cpu, VECTOR_GP, tss, 0);
    if (!isPresent(target)) selectorFault(cpu, VECTOR_NP, tss, 0);
  } else if (selector & 4) selectorFault(cpu, VECTOR_GP, selector, 0);
  switchTask(cpu, record, tss, source, getFlags(cpu), 0);
  finishTask(cpu, 0);
}

/** JMP selector:offset; `size` is the operand size in bytes. */
function jumpFar(cpu: usize, record: usize, selector: u32, offset: u64, size: u32): void {
  if (size == 2) offset &= 0xffff;
  if (isReal86(cpu)) {
    checkTargetHere(cpu, offset, 0);
    loadParagraph(cpu, CS, selector);
    store<u64>(cpu, offset, CPU_rip);
    updateReach(cpu);
    return;
  }
  if (isNull(selector)) generalProtection(cpu, 0);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  if (attributes & NOT_SYSTEM) {
    if (!isCode(attributes)) selectorFault(cpu, VECTOR_GP, selector, 0);
    checkCode(cpu, selector, attributes);
    checkTarget(cpu, descriptorLimit(descriptor), attributes, offset, 0);
    enterCode(cpu, selector, address, offset);
    return;
  }
  const type = systemType(attributes);
  if (!isTransferType(cpu, type)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (type != TYPE_CALL_GATE && type != TYPE_CALL_GATE16) {
    enterTask(cpu, record, selector, descriptor, TASK_JUMP);
    return;
  }
  checkGate(cpu, selector, attributes);
  const rip = callGateOffset(cpu, selector, descriptor, type);
  const code = gateSelector(descriptor);
  const target = gateTarget(cpu, code, true);
  const codeDescriptor = readDescriptor(cpu, target);
  checkTarget(cpu, descriptorLimit(codeDescriptor), descriptorAttributes(codeDescriptor), rip, 0);
  enterCode(cpu, code, target, rip);
}

/** Pushes CS and the return address on the stack in use, which has the room. Returns the stack pointer to commit. */
function placeReturn(cpu: usize, size: u32, mask: u64, base: u64): u64 {
  const supervisor = load<u32>(cpu, CPU_cpl) < 3;
  const sp = place(cpu, base, mask, stackPointer(cpu), size, supervisor, selectorOf(cpu, CS));
  return place(cpu, base, mask, sp, size, supervisor, load<u64>(cpu, CPU_rip));
}

/** CALL selector:offset; `size` is the operand size in bytes. */
function callFar(cpu: usize, record: usize, selector: u32, offset: u64, size: u32): void {
  if (size == 2) offset &= 0xffff;
  const mask = load<u64>(cpu, CPU_stackMask);
  if (isReal86(cpu)) {
    if (!hasRoomHere(cpu, 2, size)) stackFault(cpu, 0);
    checkTargetHere(cpu, offset, 0);
    setStackPointer(cpu, placeReturn(cpu, size, mask, stackBase(cpu)), mask);
    loadParagraph(cpu, CS, selector);
    store<u64>(cpu, offset, CPU_rip);
    updateReach(cpu);
    return;
  }
  if (isNull(selector)) generalProtection(cpu, 0);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_GP, 0);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  if (attributes & NOT_SYSTEM) {
    if (!isCode(attributes)) selectorFault(cpu, VECTOR_GP, selector, 0);
    checkCode(cpu, selector, attributes);
    if (!hasRoomHere(cpu, 2, size)) stackFault(cpu, 0);
    checkTarget(cpu, descriptorLimit(descriptor), attributes, offset, 0);
    markAccessed(cpu, address, descriptor);
    setStackPointer(cpu, placeReturn(cpu, size, mask, stackBase(cpu)), mask);
    enterCode(cpu, selector, address, offset);
    return;
  }
  const type = systemType(attributes);
  if (!isTransferType(cpu, type)) selectorFault(cpu, VECTOR_GP, selector, 0);
  if (type != TYPE_CALL_GATE && type != TYPE_CALL_GATE16) {
    enterTask(cpu, record, selector, descriptor, TASK_CALL);
    return;
  }
  checkGate(cpu, selector, attributes);
  const rip = callGateOffset(cpu, selector, descriptor, type);
  const code = gateSelector(descriptor);
  const target = gateTarget(cpu, code, false);
  const codeAttributes = descriptorAttributes(readDescriptor(cpu, target));
  const gateSize: u32 = isLongMode(cpu) ? 8 : type & TYPE_32 ? 4 : 2;
  if (!isConforming(codeAttributes) && dplOf(codeAttributes) < load<u32>(cpu, CPU_cpl)) {
    if (gateSize == 8) callInner64(cpu, code, target, rip);
    else callInner(cpu, code, target, rip, gateSize, <u32>(descriptor >> 32) & 0x1f);
  } else callSame(cpu, code, target, rip, gateSize);
}

/** Through a call gate, CPL stays. */
function callSame(cpu: usize, selector: u32, address: u64, rip: u64, size: u32): void {
  const descriptor = readDescriptor(cpu, address);
  // A 64-bit gate leads to 64-bit code, which pushes on a flat stack whatever the caller's mode.
  const mask = size == 8 ? MASK_64 : load<u64>(cpu, CPU_stackMask);
  const base: u64 = size == 8 ? 0 : stackBase(cpu);
  if (size == 8 ? !hasRoom(0, 0, MASK_64, stackPointer(cpu), 2, 8) : !hasRoomHere(cpu, 2, size)) stackFault(cpu, 0);
  checkTarget(cpu, descriptorLimit(descriptor), descriptorAttributes(descriptor), rip, 0);
  markAccessed(cpu, address, descriptor);
  setStackPointer(cpu, placeReturn(cpu, size, mask, base), mask);
  enterCode(cpu, selector, address, rip);
}

/** Through a 16- or 32-bit call gate to more privilege: a new stack, with `parameters` words or doublewords copied to it. */
function callInner(cpu: usize, selector: u32, address: u64, rip: u64, size: u32, parameters: u32): void {
  const code = readDescriptor(cpu, address);
  const level = dplOf(descriptorAttributes(code));
  const slot = innerStackSlot(cpu, level, 0, 0);
  let sp = innerStackPointer(cpu, slot);
  const stackSelector = innerStackSelector(cpu, slot);
  const stackAddress = innerStackSegment(cpu, stackSelector, level, 0);
  const stack = readDescriptor(cpu, stackAddress);
  const stackAttributes = descriptorAttributes(stack);
  const mask = maskOf(stackAttributes);
  if (!hasRoom(descriptorLimit(stack), stackAttributes, mask, sp, 4 + parameters, size)) selectorFault(cpu, VECTOR_SS, stackSelector, 0);
  checkTarget(cpu, descriptorLimit(code), descriptorAttributes(code), rip, 0);
  markAccessed(cpu, address, code);
  const stackDescriptor = markAccessed(cpu, stackAddress, stack);
  const base = descriptorBase(stack);
  sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, SS));
  sp = place(cpu, base, mask, sp, size, true, stackPointer(cpu));
  for (let i = parameters; i > 0; i--) sp = place(cpu, base, mask, sp, size, true, peek(cpu, (i - 1) * size, size));
  sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, CS));
  sp = place(cpu, base, mask, sp, size, true, load<u64>(cpu, CPU_rip));
  setFromDescriptor(cpu, SS, stackSelector, stackDescriptor);
  setStackPointer(cpu, sp, 0xffff_ffff);
  store<u32>(cpu, level, CPU_cpl);
  enterCode(cpu, selector, address, rip);
}

/** Through a 64-bit call gate to more privilege: no parameters, and a null stack segment. */
function callInner64(cpu: usize, selector: u32, address: u64, rip: u64): void {
  const code = readDescriptor(cpu, address);
  const level = dplOf(descriptorAttributes(code));
  let sp = innerStackPointer(cpu, innerStackSlot(cpu, level, 0, 0));
  if (!hasRoom(0, 0, MASK_64, sp, 4, 8)) stackFault(cpu, 0);
  checkTarget(cpu, descriptorLimit(code), descriptorAttributes(code), rip, 0);
  markAccessed(cpu, address, code);
  sp = place(cpu, 0, MASK_64, sp, 8, true, selectorOf(cpu, SS));
  sp = place(cpu, 0, MASK_64, sp, 8, true, stackPointer(cpu));
  sp = place(cpu, 0, MASK_64, sp, 8, true, selectorOf(cpu, CS));
  sp = place(cpu, 0, MASK_64, sp, 8, true, load<u64>(cpu, CPU_rip));
  setNullStack(cpu, level, level);
  setStackPointer(cpu, sp, MASK_64);
  store<u32>(cpu, level, CPU_cpl);
  enterCode(cpu, selector, address, rip);
}

// -- instructions

/** The offset of a selector:offset operand in memory. */
function pointerOffset(cpu: usize, record: usize, size: u32): u64 {
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  return size == 8 ? load64(cpu, segment, ea) : size == 4 ? load32(cpu, segment, ea) : load16(cpu, segment, ea);
}

function pointerSelector(cpu: usize, record: usize, size: u32): u32 {
  return load16(cpu, operandSegment(record), (effectiveAddress(cpu, record) + size) & load<u64>(record, RECORD_addressMask));
}

/** EA: JMP ptr16:16/32. */
export function jmp_far_ptr(cpu: usize, record: usize): void {
  jumpFar(cpu, record, load<u16>(record, RECORD_extra), load<u64>(record, RECORD_immediate) & 0xffff_ffff, operandSize(cpu, record));
}

/** FF /5: JMP m16:16/32/64. */
export function jmp_far_m(cpu: usize, record: usize): void {
  const size = operandSize(cpu, record);
  jumpFar(cpu, record, pointerSelector(cpu, record, size), pointerOffset(cpu, record, size), size);
}

/** 9A: CALL ptr16:16/32. */
export function call_far_ptr(cpu: usize, record: usize): void {
  callFar(cpu, record, load<u16>(record, RECORD_extra), load<u64>(record, RECORD_immediate) & 0xffff_ffff, operandSize(cpu, record));
}

/** FF /3: CALL m16:16/32/64. */
export function call_far_m(cpu: usize, record: usize): void {
  const size = operandSize(cpu, record);
  callFar(cpu, record, pointerSelector(cpu, record, size), pointerOffset(cpu, record, size), size);
}
