/** Task switches (SDM vol. 3A, chapter 7). */
import {
  CPU_cr0,
  CPU_cpl,
  CPU_dr,
  CPU_faultIsTrap,
  CPU_gpr,
  CPU_rip,
  CPU_ripBase,
  CPU_stackMask,
  CS,
  DS,
  ES,
  FS,
  GS,
  LDTR,
  RECORD_pageOffset,
  SS,
  TR,
} from './layout';
import {
  CR0_PG,
  CR0_TS,
  PRESENT,
  TSS_BUSY,
  TYPE_32,
  TYPE_LDT,
  UNUSABLE,
  attributesOf,
  baseOf,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  dplOf,
  findDescriptor,
  isCode,
  isConforming,
  isNull,
  isPresent,
  isReadable,
  isWritableData,
  limitOf,
  markAccessed,
  markBusy,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  setFromDescriptor,
  setNull,
  setSegment,
  systemType,
} from './descriptors';
import { setCr3 } from './control';
import { VECTOR_NP, VECTOR_SS, VECTOR_TS, fault, generalProtection } from './fault';
import { FLAG_NT, FLAG_VM, getFlags, setFlags } from './flags';
import { checkTargetHere, hasRoomHere, place, setStackPointer, stackBase, stackPointer } from './frames';
import { debugTrap } from './interrupts';
import { systemLoad16, systemLoad32, systemLoad8, systemStore16, systemStore32 } from './memory';
import { isCompressed } from './rings';
import { loadParagraph, updateReach } from './segments';

/** What a task switch is made by. */
export const TASK_JUMP: u32 = 0;
export const TASK_CALL: u32 = 1;
export const TASK_RETURN: u32 = 2;
/** An interrupt or exception through a task gate: nests as CALL does. */
export const TASK_INTERRUPT: u32 = 3;

// Offsets in a TSS (vol. 3A, figures 7-2 and 7-10).
const TSS32_CR3: u64 = 28;
const TSS32_EIP: u64 = 32;
const TSS32_EFLAGS: u64 = 36;
const TSS32_GPR: u64 = 40;
const TSS32_SEGMENTS: u64 = 72;
const TSS32_LDT: u64 = 96;
const TSS32_TRAP: u64 = 100;
const TSS32_LAST: u32 = 103;
const TSS16_IP: u64 = 14;
const TSS16_FLAGS: u64 = 16;
const TSS16_GPR: u64 = 18;
const TSS16_SEGMENTS: u64 = 34;
const TSS16_LDT: u64 = 42;
const TSS16_LAST: u32 = 43;

const ALL_FLAGS: u32 = 0x3f_7fd5;
/** DR7.LE and DR7.L0..L3: breakpoints of the task. */
const DR7_LOCAL: u64 = 0x155;
const DR6_BT: u64 = 1 << 15;

/** Writes the state of the task that is left into its TSS. */
function saveTask(cpu: usize, flags: u32): void {
  const base = baseOf(cpu, TR);
  if (attributesOf(cpu, TR) & TYPE_32) {
    systemStore32(cpu, base + TSS32_EIP, load<u32>(cpu, CPU_rip));
    systemStore32(cpu, base + TSS32_EFLAGS, flags);
    for (let i = 0; i < 8; i++) systemStore32(cpu, base + TSS32_GPR + i * 4, load<u32>(cpu + CPU_gpr + i * 8));
    for (let i = ES; i <= GS; i++) systemStore16(cpu, base + TSS32_SEGMENTS + i * 4, <u16>selectorOf(cpu, i));
  } else {
    systemStore16(cpu, base + TSS16_IP, load<u16>(cpu, CPU_rip));
    systemStore16(cpu, base + TSS16_FLAGS, <u16>flags);
    for (let i = 0; i < 8; i++) systemStore16(cpu, base + TSS16_GPR + i * 2, load<u16>(cpu + CPU_gpr + i * 8));
    for (let i = ES; i <= DS; i++) systemStore16(cpu, base + TSS16_SEGMENTS + i * 2, <u16>selectorOf(cpu, i));
  }
}

/** Segment registers hold their new selectors, but reach nothing until their descriptors are checked. */
function setSelector(cpu: usize, index: u32, selector: u32): void {
  setSegment(cpu, index, selector, 0, 0, UNUSABLE);
}

/**
 * Switches to the task of the TSS that `selector` names in the GDT; its type and presence have been checked. `flags` is the EFLAGS image to save,
 * `CPU_rip` the address at which the old task goes on. `record` is the instruction's, or 0 for interrupts. Faults raised before the switch belong to the
 * old task, those of the new segments (#TS, #NP, #SS) to the new one. `finishTask` comes after it.
 */
export function switchTask(cpu: usize, record: usize, selector: u32, source: u32, flags: u32, external: u32): void {
  // The tasks that the processor knows are the VMM's.
  if (isCompressed(cpu)) generalProtection(cpu, 0);
  const address = requireDescriptor(cpu, selector, 8, VECTOR_TS, external);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  const wide = (attributes & TYPE_32) != 0;
  const last = wide ? TSS32_LAST : TSS16_LAST;
  if (descriptorLimit(descriptor) < last) selectorFault(cpu, VECTOR_TS, selector, external);
  if (attributesOf(cpu, TR) & UNUSABLE || limitOf(cpu, TR) < (attributesOf(cpu, TR) & TYPE_32 ? 95 : TSS16_LAST - 2))
    selectorFault(cpu, VECTOR_TS, selectorOf(cpu, TR), external);
  const base = descriptorBase(descriptor);
  // Whatever is still to be read must not fault halfway.
  systemLoad8(cpu, base);
  systemLoad8(cpu, base + last);

  const oldSelector = selectorOf(cpu, TR);
  const oldAddress = findDescriptor(cpu, oldSelector, 8);
  const nests = source == TASK_CALL || source == TASK_INTERRUPT;
  saveTask(cpu, source == TASK_RETURN ? flags & ~FLAG_NT : flags);
  if (nests) systemStore16(cpu, base, <u16>oldSelector);
  else markBusy(cpu, oldAddress, false);
  if (source != TASK_RETURN) markBusy(cpu, address, true);

  // -- the new task's state, from here on
  const cr3: u32 = wide ? systemLoad32(cpu, base + TSS32_CR3) : 0;
  const ldt: u32 = wide ? systemLoad16(cpu, base + TSS32_LDT) : systemLoad16(cpu, base + TSS16_LDT);
  const eip: u32 = wide ? systemLoad32(cpu, base + TSS32_EIP) : systemLoad16(cpu, base + TSS16_IP);
  let eflags: u32 = wide ? systemLoad32(cpu, base + TSS32_EFLAGS) : systemLoad16(cpu, base + TSS16_FLAGS);
  if (nests) eflags |= FLAG_NT;
  for (let i = 0; i < 8; i++) {
    const value: u32 = wide ? systemLoad32(cpu, base + TSS32_GPR + i * 4) : systemLoad16(cpu, base + TSS16_GPR + i * 2);
    store<u64>(cpu + CPU_gpr + i * 8, value);
  }
  for (let i = ES; i <= GS; i++) {
    const value: u32 = wide
      ? systemLoad16(cpu, base + TSS32_SEGMENTS + i * 4)
      : i > DS
        ? 0
        : systemLoad16(cpu, base + TSS16_SEGMENTS + i * 2);
    setSelector(cpu, i, value);
  }
  setSelector(cpu, LDTR, ldt);
  setSegment(cpu, TR, selector, base, descriptorLimit(descriptor), attributes | TSS_BUSY);
  setFlags(cpu, eflags, ALL_FLAGS);
  store<u64>(cpu, load<u64>(cpu, CPU_cr0) | CR0_TS, CPU_cr0);
  store<u64>(cpu, load<u64>(cpu + CPU_dr + 7 * 8) & ~DR7_LOCAL, CPU_dr + 7 * 8);
  store<u64>(cpu, eip, CPU_rip);
  // A fault from here on is one of the new task's first instruction: that is where `run` is to find it.
  if (record) store<u64>(cpu, <u64>eip - <u64>load<u16>(record, RECORD_pageOffset), CPU_ripBase);
  if (wide && load<u64>(cpu, CPU_cr0) & CR0_PG) setCr3(cpu, cr3);
  loadSegments(cpu, ldt, external);
}

/** Checks and loads LDTR and the segment registers by the selectors that they already hold (table 7-1). */
function loadSegments(cpu: usize, ldt: u32, external: u32): void {
  const virtual = (getFlags(cpu) & FLAG_VM) != 0;
  const code = selectorOf(cpu, CS);
  const cpl: u32 = virtual ? 3 : code & 3;
  store<u32>(cpu, cpl, CPU_cpl);
  if (virtual) for (let i = ES; i <= GS; i++) loadParagraph(cpu, i, selectorOf(cpu, i));
  updateReach(cpu);

  if (isNull(ldt)) setNull(cpu, LDTR, ldt);
  else {
    if (ldt & 4) selectorFault(cpu, VECTOR_TS, ldt, external);
    const descriptor = readDescriptor(cpu, requireDescriptor(cpu, ldt, 8, VECTOR_TS, external));
    const attributes = descriptorAttributes(descriptor);
    if (systemType(attributes) != TYPE_LDT || !isPresent(attributes)) selectorFault(cpu, VECTOR_TS, ldt, external);
    setFromDescriptor(cpu, LDTR, ldt, descriptor);
  }
  if (virtual) return;

  if (isNull(code)) fault(cpu, VECTOR_TS, external);
  const codeAddress = requireDescriptor(cpu, code, 8, VECTOR_TS, external);
  const codeDescriptor = readDescriptor(cpu, codeAddress);
  const codeAttributes = descriptorAttributes(codeDescriptor);
  if (!isCode(codeAttributes) || (isConforming(codeAttributes) ? dplOf(codeAttributes) > cpl : dplOf(codeAttributes) != cpl))
    selectorFault(cpu, VECTOR_TS, code, external);
  if (!isPresent(codeAttributes)) selectorFault(cpu, VECTOR_NP, code, external);
  setFromDescriptor(cpu, CS, code, markAccessed(cpu, codeAddress, codeDescriptor));
  updateReach(cpu);

  const stack = selectorOf(cpu, SS);
  if (isNull(stack)) fault(cpu, VECTOR_TS, external);
  const stackAddress = requireDescriptor(cpu, stack, 8, VECTOR_TS, external);
  const stackDescriptor = readDescriptor(cpu, stackAddress);
  const stackAttributes = descriptorAttributes(stackDescriptor);
  if (!isWritableData(stackAttributes) || dplOf(stackAttributes) != cpl || (stack & 3) != cpl)
    selectorFault(cpu, VECTOR_TS, stack, external);
  if (!isPresent(stackAttributes)) selectorFault(cpu, VECTOR_SS, stack, external);
  setFromDescriptor(cpu, SS, stack, markAccessed(cpu, stackAddress, stackDescriptor));

  loadData(cpu, ES, cpl, external);
  loadData(cpu, DS, cpl, external);
  loadData(cpu, FS, cpl, external);
  loadData(cpu, GS, cpl, external);
  updateReach(cpu);
}

function loadData(cpu: usize, index: u32, cpl: u32, external: u32): void {
  const selector = selectorOf(cpu, index);
  if (isNull(selector)) {
    setNull(cpu, index, selector);
    return;
  }
  const address = requireDescriptor(cpu, selector, 8, VECTOR_TS, external);
  const descriptor = readDescriptor(cpu, address);
  const attributes = descriptorAttributes(descriptor);
  const dpl = dplOf(attributes);
  if (!isReadable(attributes) || (!isConforming(attributes) && (dpl < cpl || dpl < (selector & 3))))
    selectorFault(cpu, VECTOR_TS, selector, external);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, selector, external);
  setFromDescriptor(cpu, index, selector, markAccessed(cpu, address, descriptor));
}

/** The new task's EIP against its code segment's limit, then its T bit: raises #GP(external) or the debug trap. */
export function finishTask(cpu: usize, external: u32): void {
  checkTargetHere(cpu, load<u64>(cpu, CPU_rip), external);
  if (attributesOf(cpu, TR) & TYPE_32 && systemLoad8(cpu, baseOf(cpu, TR) + TSS32_TRAP) & 1) debugTrap(cpu, DR6_BT);
}

/** Pushes an exception's error code on the stack of the task that a task gate led to. */
export function pushErrorCode(cpu: usize, error: u32, external: u32): void {
  const size: u32 = attributesOf(cpu, TR) & TYPE_32 ? 4 : 2;
  if (!hasRoomHere(cpu, 1, size)) fault(cpu, VECTOR_SS, external);
  const mask = load<u64>(cpu, CPU_stackMask);
  setStackPointer(cpu, place(cpu, stackBase(cpu), mask, stackPointer(cpu), size, load<u32>(cpu, CPU_cpl) < 3, error), mask);
}
