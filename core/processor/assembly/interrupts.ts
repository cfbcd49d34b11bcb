/** Interrupts and exceptions: delivery through the IVT or the IDT (SDM vol. 3A, chapters 6, 17 and 20), double and triple faults, debug traps. */
import {
  CPU_cpl,
  CPU_cr4,
  CPU_delivering,
  CPU_dr,
  CPU_event,
  CPU_faultError,
  CPU_faultHasError,
  CPU_faultIsTrap,
  CPU_faultPending,
  CPU_faultVector,
  CPU_halted,
  CPU_idtr,
  CPU_interruptShadow,
  CPU_nmiBlocked,
  CPU_pendingDebug,
  CPU_rip,
  CPU_shutdown,
  CPU_stackMask,
  CS,
  DESCRIPTORTABLE_base,
  DESCRIPTORTABLE_limit,
  DS,
  ES,
  EVENT_TRAP,
  FS,
  GROUP_TRANSFER,
  GS,
  RECORD_immediate,
  SHUTDOWN_NONE,
  SHUTDOWN_TRIPLE_FAULT,
  SS,
  TR,
  VMM_TRAP,
} from './layout';
import {
  CR4_VME,
  DEFAULT_BIG,
  LONG,
  TYPE_32,
  TYPE_INTERRUPT_GATE,
  TYPE_INTERRUPT_GATE16,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE,
  TYPE_TRAP_GATE16,
  TYPE_TSS,
  TYPE_TSS16,
  baseOf,
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
  isReal,
  isVm86,
  limitOf,
  markAccessed,
  readDescriptor,
  requireDescriptor,
  selectorFault,
  selectorOf,
  setFromDescriptor,
  setNull,
  systemMask,
  systemType,
} from './descriptors';
import {
  VECTOR_BP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_MC,
  VECTOR_NMI,
  VECTOR_NP,
  VECTOR_OF,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
  fault,
  generalProtection,
  stackFault,
} from './fault';
import { FLAG_AC, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_OF, FLAG_RF, FLAG_TF, FLAG_VIF, FLAG_VM, getFlags, setFlags } from './flags';
import {
  MASK_64,
  checkTarget,
  hasRoom,
  hasRoomHere,
  innerStackPointer,
  innerStackSegment,
  innerStackSelector,
  innerStackSlot,
  maskOf,
  place,
  setStackPointer,
  stackBase,
  stackPointer,
} from './frames';
import { systemLoad16, systemLoad32, systemLoad64, systemLoad8 } from './memory';
import { enterVmm, leaveVmm } from './monitor';
import { isPara } from './para';
import { deliverTrap } from './para_entry';
import { isCompressed } from './rings';
import { loadParagraph, setNullStack, updateReach } from './segments';
import { TASK_INTERRUPT, finishTask, pushErrorCode, switchTask } from './tasks';

@external("trap", "raise")
declare function raise(): void;

export const NOT_DELIVERING: u32 = 0xffff_ffff;
/** Added to `delivering` for external interrupts: whatever their vector, they are benign (vol. 3A, table 6-4). */
const EXTERNAL_INTERRUPT: u32 = 0x100;
const ALL_IOPL: u32 = 3 << 12;

const DR6: usize = CPU_dr + 6 * 8;
const DR7: usize = CPU_dr + 7 * 8;
const DR6_BD: u64 = 1 << 13;
const DR6_BS: u64 = 1 << 14;
const DR7_GD: u64 = 1 << 13;
const DR7_ENABLES: u64 = 0xff;

/** Error code that names an entry of the IDT (vol. 3A, 6.13). */
function idtError(vector: u32, external: u32): u32 {
  return vector << 3 | 2 | external;
}

// -- delivery

/** On the 16-bit stack in use, through the vector table at `table`: real-address mode, and redirected interrupts of virtual-8086 mode. */
function deliverByTable(cpu: usize, table: u64, vector: u32, flags: u32, clear: u32): void {
  const mask = load<u64>(cpu, CPU_stackMask);
  const base = stackBase(cpu);
  if (!hasRoomHere(cpu, 3, 2)) stackFault(cpu, 0);
  const target = systemLoad32(cpu, (table + (vector << 2)) & 0xffff_ffff);
  const supervisor = load<u32>(cpu, CPU_cpl) < 3;
  let sp = place(cpu, base, mask, stackPointer(cpu), 2, supervisor, flags);
  sp = place(cpu, base, mask, sp, 2, supervisor, selectorOf(cpu, CS));
  sp = place(cpu, base, mask, sp, 2, supervisor, load<u64>(cpu, CPU_rip));
  setStackPointer(cpu, sp, mask);
  setFlags(cpu, 0, clear);
  loadParagraph(cpu, CS, target >> 16);
  store<u64>(cpu, target & 0xffff, CPU_rip);
  updateReach(cpu);
}

/**
 * The one way to a handler. `software`: INT n, INT3 or INTO, for which the gate's DPL counts. `flags` is the image to push; `external` the EXT bit of
 * error codes for what goes wrong here.
 */
function deliver(cpu: usize, record: usize, vector: u32, software: bool, flags: u32, hasError: bool, error: u32, external: u32): void {
  if (isPara()) return deliverTrap(cpu, vector, software, flags, hasError, error);
  if (isReal(cpu)) {
    if ((vector << 2) + 3 > load<u32>(cpu + CPU_idtr, DESCRIPTORTABLE_limit)) generalProtection(cpu, idtError(vector, external));
    deliverByTable(cpu, load<u64>(cpu + CPU_idtr, DESCRIPTORTABLE_base), vector, flags, FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
    return;
  }
  const long = isLongMode(cpu);
  const offset = vector << (long ? 4 : 3);
  if (offset + (long ? 15 : 7) > load<u32>(cpu + CPU_idtr, DESCRIPTORTABLE_limit)) generalProtection(cpu, idtError(vector, external));
  const address = (load<u64>(cpu + CPU_idtr, DESCRIPTORTABLE_base) + offset) & systemMask(cpu);
  const gate = systemLoad64(cpu, address);
  const attributes = descriptorAttributes(gate);
  const type = systemType(attributes);
  const wide = type == TYPE_INTERRUPT_GATE || type == TYPE_TRAP_GATE;
  if (!wide && (long || (type != TYPE_TASK_GATE && type != TYPE_INTERRUPT_GATE16 && type != TYPE_TRAP_GATE16)))
    generalProtection(cpu, idtError(vector, external));
  if (software && dplOf(attributes) < load<u32>(cpu, CPU_cpl)) generalProtection(cpu, idtError(vector, external));
  if (!isPresent(attributes)) fault(cpu, VECTOR_NP, idtError(vector, external));
  if (type == TYPE_TASK_GATE) {
    deliverToTask(cpu, record, gateSelector(gate), flags, hasError, error, external);
    return;
  }
  const selector = gateSelector(gate);
  if (isNull(selector)) generalProtection(cpu, external);
  const codeAddress = requireDescriptor(cpu, selector, 8, VECTOR_GP, external);
  const code = readDescriptor(cpu, codeAddress);
  const codeAttributes = descriptorAttributes(code);
  const cpl = load<u32>(cpu, CPU_cpl);
  const dpl = dplOf(codeAttributes);
  if (!isCode(codeAttributes) || dpl > cpl || (long && (codeAttributes & (LONG | DEFAULT_BIG)) != LONG))
    selectorFault(cpu, VECTOR_GP, selector, external);
  if (!isPresent(codeAttributes)) selectorFault(cpu, VECTOR_NP, selector, external);
  const conforming = isConforming(codeAttributes);
  if (isVm86(cpu) && (conforming || dpl != 0)) selectorFault(cpu, VECTOR_GP, selector, external);
  const level = conforming ? cpl : dpl;
  const accessed = markAccessed(cpu, codeAddress, code);
  const clear = FLAG_TF | FLAG_NT | FLAG_VM | FLAG_RF | ((type & 1) == 0 ? FLAG_IF : 0);

  if (long) {
    const ist = <u32>(gate >> 32) & 7;
    const rip = gateOffset(gate, type) | systemLoad64(cpu, address + 8) << 32;
    deliverLong(cpu, code, codeAttributes, rip, ist, level, flags, hasError, error, external);
  } else if (level < cpl) deliverInner(cpu, code, gateOffset(gate, type), wide ? 4 : 2, level, flags, hasError, error, external);
  else deliverSame(cpu, code, gateOffset(gate, type), wide ? 4 : 2, flags, hasError, error, external);

  store<u32>(cpu, level, CPU_cpl);
  setFlags(cpu, 0, clear);
  setFromDescriptor(cpu, CS, (selector & 0xfffc) | level, accessed);
  updateReach(cpu);
}

/** The frame in IA-32e mode (6.14): always SS:RSP too, on an aligned stack. Writes the frame and moves RSP, SS and RIP. */
function deliverLong(
  cpu: usize, code: u64, codeAttributes: u32, rip: u64, ist: u32, level: u32, flags: u32, hasError: bool, error: u32, external: u32,
): void {
  const inner = level < load<u32>(cpu, CPU_cpl);
  let sp = stackPointer(cpu);
  if (inner || ist) sp = innerStackPointer(cpu, innerStackSlot(cpu, level, ist, external));
  sp &= ~15;
  if (!hasRoom(0, 0, MASK_64, sp, hasError ? 6 : 5, 8)) stackFault(cpu, external);
  checkTarget(cpu, descriptorLimit(code), codeAttributes, rip, external);
  const supervisor = level < 3;
  sp = place(cpu, 0, MASK_64, sp, 8, supervisor, selectorOf(cpu, SS));
  sp = place(cpu, 0, MASK_64, sp, 8, supervisor, stackPointer(cpu));
  sp = place(cpu, 0, MASK_64, sp, 8, supervisor, flags);
  sp = place(cpu, 0, MASK_64, sp, 8, supervisor, selectorOf(cpu, CS));
  sp = place(cpu, 0, MASK_64, sp, 8, supervisor, load<u64>(cpu, CPU_rip));
  if (hasError) sp = place(cpu, 0, MASK_64, sp, 8, supervisor, error);
  if (inner) setNullStack(cpu, level, level);
  setStackPointer(cpu, sp, MASK_64);
  store<u64>(cpu, rip, CPU_rip);
}

/** To an inner level, on its stack; from virtual-8086 mode the data segments are saved there too and become null. */
function deliverInner(cpu: usize, code: u64, rip: u64, size: u32, level: u32, flags: u32, hasError: bool, error: u32, external: u32): void {
  const virtual = isVm86(cpu);
  const slot = innerStackSlot(cpu, level, 0, external);
  let sp = innerStackPointer(cpu, slot);
  const stackSelector = innerStackSelector(cpu, slot);
  const stackAddress = innerStackSegment(cpu, stackSelector, level, external);
  const stack = readDescriptor(cpu, stackAddress);
  const stackAttributes = descriptorAttributes(stack);
  const mask = maskOf(stackAttributes);
  const base = descriptorBase(stack);
  const count = (virtual ? 9 : 5) + <u32>hasError;
  if (!hasRoom(descriptorLimit(stack), stackAttributes, mask, sp, count, size)) selectorFault(cpu, VECTOR_SS, stackSelector, external);
  checkTarget(cpu, descriptorLimit(code), descriptorAttributes(code), rip, external);
  const stackDescriptor = markAccessed(cpu, stackAddress, stack);
  if (virtual) {
    sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, GS));
    sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, FS));
    sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, DS));
    sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, ES));
  }
  sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, SS));
  sp = place(cpu, base, mask, sp, size, true, stackPointer(cpu));
  sp = place(cpu, base, mask, sp, size, true, flags);
  sp = place(cpu, base, mask, sp, size, true, selectorOf(cpu, CS));
  sp = place(cpu, base, mask, sp, size, true, load<u64>(cpu, CPU_rip));
  if (hasError) sp = place(cpu, base, mask, sp, size, true, error);
  if (virtual) {
    setNull(cpu, ES, 0);
    setNull(cpu, DS, 0);
    setNull(cpu, FS, 0);
    setNull(cpu, GS, 0);
  }
  setFromDescriptor(cpu, SS, stackSelector, stackDescriptor);
  setStackPointer(cpu, sp, 0xffff_ffff);
  store<u64>(cpu, rip, CPU_rip);
}

function deliverSame(cpu: usize, code: u64, rip: u64, size: u32, flags: u32, hasError: bool, error: u32, external: u32): void {
  const mask = load<u64>(cpu, CPU_stackMask);
  const base = stackBase(cpu);
  const supervisor = load<u32>(cpu, CPU_cpl) < 3;
  if (!hasRoomHere(cpu, 3 + <u32>hasError, size)) stackFault(cpu, external);
  checkTarget(cpu, descriptorLimit(code), descriptorAttributes(code), rip, external);
  let sp = place(cpu, base, mask, stackPointer(cpu), size, supervisor, flags);
  sp = place(cpu, base, mask, sp, size, supervisor, selectorOf(cpu, CS));
  sp = place(cpu, base, mask, sp, size, supervisor, load<u64>(cpu, CPU_rip));
  if (hasError) sp = place(cpu, base, mask, sp, size, supervisor, error);
  setStackPointer(cpu, sp, mask);
  store<u64>(cpu, rip, CPU_rip);
}

function deliverToTask(cpu: usize, record: usize, tss: u32, flags: u32, hasError: bool, error: u32, external: u32): void {
  if (tss & 4) selectorFault(cpu, VECTOR_GP, tss, external);
  const attributes = descriptorAttributes(readDescriptor(cpu, requireDescriptor(cpu, tss, 8, VECTOR_GP, external)));
  const type = systemType(attributes);
  if (type != TYPE_TSS && type != TYPE_TSS16) selectorFault(cpu, VECTOR_GP, tss, external);
  if (!isPresent(attributes)) selectorFault(cpu, VECTOR_NP, tss, external);
  switchTask(cpu, record, tss, TASK_INTERRUPT, flags, external);
  if (hasError) pushErrorCode(cpu, error, external);
  finishTask(cpu, external);
}

/** RF is only kept exact while breakpoints are enabled; elsewhere it would be a leftover of an earlier IRET. */
function currentFlags(cpu: usize): u32 {
  const flags = getFlags(cpu);
  return load<u64>(cpu, DR7) & DR7_ENABLES ? flags : flags & ~FLAG_RF;
}

function delivered(cpu: usize): void {
  store<u32>(cpu, 0, CPU_faultPending);
  store<u32>(cpu, 0, CPU_faultIsTrap);
  store<u32>(cpu, NOT_DELIVERING, CPU_delivering);
  store<u32>(cpu, 0, CPU_halted);
  store<u32>(cpu, 0, CPU_interruptShadow);
}

/** The RF that the handler of a fault finds set in the image, so that IRET does not meet the same instruction breakpoint again (17.3.1.1). */
function resumeFlag(cpu: usize, vector: u32): u32 {
  if (load<u32>(cpu, CPU_faultIsTrap)) return 0;
  if (vector == VECTOR_BP || vector == VECTOR_OF || vector == VECTOR_NMI || vector == VECTOR_DF || vector == VECTOR_MC) return 0;
  if (vector == VECTOR_DB) return load<u64>(cpu, DR6) & DR6_BD ? FLAG_RF : 0;
  return FLAG_RF;
}

/**
 * Delivers the pending fault; `CPU_rip` is the address to return to. May raise another fault while `delivering` is set: `combineFault` is for that.
 * Does nothing once the processor has shut down.
 */
export function deliverFault(cpu: usize): void {
  if (load<u32>(cpu, CPU_shutdown) != SHUTDOWN_NONE) return;
  const vector = load<u32>(cpu, CPU_faultVector);
  const hasError = load<u32>(cpu, CPU_faultHasError) != 0;
  store<u32>(cpu, vector, CPU_delivering);
  deliver(cpu, 0, vector, false, currentFlags(cpu) | resumeFlag(cpu, vector), hasError, load<u32>(cpu, CPU_faultError), 1);
  // A debug exception's handler may use the debug registers again (17.2.4).
  if (vector == VECTOR_DB) store<u64>(cpu, load<u64>(cpu, DR7) & ~DR7_GD, DR7);
  delivered(cpu);
}

/** Takes an external interrupt; whether it may be taken is the caller's to decide. */
export function deliverInterrupt(cpu: usize, vector: u32): void {
  store<u32>(cpu, vector | EXTERNAL_INTERRUPT, CPU_delivering);
  deliver(cpu, 0, vector, false, currentFlags(cpu), false, 0, 1);
  delivered(cpu);
}

/** Takes an NMI, and blocks others until IRET. */
export function deliverNmi(cpu: usize): void {
  store<u32>(cpu, VECTOR_NMI, CPU_delivering);
  // Blocked also for the handler of a fault that the delivery itself raises.
  store<u32>(cpu, 1, CPU_nmiBlocked);
  deliver(cpu, 0, VECTOR_NMI, false, currentFlags(cpu), false, 0, 1);
  delivered(cpu);
}

function isContributory(vector: u32): bool {
  return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

/**
 * A fault was raised while another event was being delivered (vol. 3A, 6.15, Interrupt 8): what is pending afterwards is the second one, a double
 * fault, or nothing, if the processor has shut down.
 */
export function combineFault(cpu: usize): void {
  const first = load<u32>(cpu, CPU_delivering);
  const second = load<u32>(cpu, CPU_faultVector);
  const grave = isContributory(second) || second == VECTOR_PF;
  store<u32>(cpu, NOT_DELIVERING, CPU_delivering);
  if (first == VECTOR_DF && grave) {
    store<u32>(cpu, SHUTDOWN_TRIPLE_FAULT, CPU_shutdown);
    store<u32>(cpu, 0, CPU_faultPending);
  } else if ((isContributory(first) && isContributory(second)) || (first == VECTOR_PF && grave)) {
    store<u32>(cpu, VECTOR_DF, CPU_faultVector);
    store<u32>(cpu, 0, CPU_faultError);
    store<u32>(cpu, 1, CPU_faultHasError);
    store<u32>(cpu, 0, CPU_faultIsTrap);
  }
}

// -- software interrupts

/** Interrupts that a program asks for: whatever goes wrong is the instruction's own fault. */
function softwareInterrupt(cpu: usize, record: usize, vector: u32): void {
  if (isCompressed(cpu)) return interruptVmm(cpu, record, vector, true);
  deliver(cpu, record, vector, true, getFlags(cpu) & ~FLAG_RF, false, 0, 0);
}

/**
 * At ring 1 or 3 the processor goes through the VMM's IDT, whose gates have the DPL of the guest's, as far as there is no ring 0 in it; the VMM hands
 * the interrupt on. That the guest's gate would not have let it pass cannot be seen then (`software`: the gate's DPL counts).
 */
function interruptVmm(cpu: usize, record: usize, vector: u32, software: bool): void {
  const shift = isLongMode(cpu) ? 4 : 3;
  const offset = vector << shift;
  if (software && offset + (1 << shift) - 1 <= load<u32>(cpu + CPU_idtr, DESCRIPTORTABLE_limit)) {
    const gate = readDescriptor(cpu, (load<u64>(cpu + CPU_idtr, DESCRIPTORTABLE_base) + offset) & systemMask(cpu));
    if (dplOf(descriptorAttributes(gate)) < load<u32>(cpu, CPU_cpl)) generalProtection(cpu, idtError(vector, 0));
  }
  enterVmm(cpu, VMM_TRAP + GROUP_TRANSFER);
  deliver(cpu, record, vector, false, getFlags(cpu) & ~FLAG_RF, false, 0, software ? 0 : 1);
  leaveVmm(cpu);
}

/** Whether the TSS's bitmap sends INT `vector` of a virtual-8086 program to the program's own handler (20.3.3). */
function isRedirected(cpu: usize, vector: u32): bool {
  const limit = limitOf(cpu, TR);
  if (limit < 103) generalProtection(cpu, 0);
  const at = systemLoad16(cpu, baseOf(cpu, TR) + 102) as u32 + (vector >> 3);
  if (at < 32 || at - 32 > limit) generalProtection(cpu, 0);
  return ((systemLoad8(cpu, baseOf(cpu, TR) + at - 32) >> (vector & 7)) & 1) == 0;
}

/** CD: INT n. */
export function int_n(cpu: usize, record: usize): void {
  const vector = <u32>load<u8>(record, RECORD_immediate);
  if (isVm86(cpu)) {
    const flags = getFlags(cpu) & ~FLAG_RF;
    const trusted = (flags & FLAG_IOPL) == ALL_IOPL;
    if (load<u64>(cpu, CPU_cr4) & CR4_VME && isRedirected(cpu, vector)) {
      // Without IOPL 3 the program sees and clears its virtual interrupt flag.
      if (trusted) deliverByTable(cpu, 0, vector, flags, FLAG_IF | FLAG_TF | FLAG_RF);
      else deliverByTable(cpu, 0, vector, (flags & ~FLAG_IF) | ALL_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0), FLAG_VIF | FLAG_TF | FLAG_RF);
      return;
    }
    if (!trusted) generalProtection(cpu, 0);
  }
  softwareInterrupt(cpu, record, vector);
}

/** CC: INT3. */
export function int3(cpu: usize, record: usize): void {
  softwareInterrupt(cpu, record, VECTOR_BP);
}

/** CE: INTO. */
export function into(cpu: usize, record: usize): void {
  if (getFlags(cpu) & FLAG_OF) softwareInterrupt(cpu, record, VECTOR_OF);
}

/** F1: INT1. It comes as from outside: no gate's DPL holds it back. */
export function int1(cpu: usize, record: usize): void {
  if (isCompressed(cpu)) interruptVmm(cpu, record, VECTOR_DB, false);
  else deliver(cpu, record, VECTOR_DB, false, getFlags(cpu) & ~FLAG_RF, false, 0, 1);
  store<u64>(cpu, load<u64>(cpu, DR7) & ~DR7_GD, DR7);
}

// -- debug exceptions

function pendDebug(cpu: usize, dr6: u64, trap: u32): void {
  store<u64>(cpu, load<u64>(cpu, DR6) | dr6 | load<u32>(cpu, CPU_pendingDebug), DR6);
  store<u32>(cpu, 0, CPU_pendingDebug);
  store<u32>(cpu, VECTOR_DB, CPU_faultVector);
  store<u32>(cpu, 0, CPU_faultError);
  store<u32>(cpu, 0, CPU_faultHasError);
  store<u32>(cpu, trap, CPU_faultIsTrap);
  store<u32>(cpu, 1, CPU_faultPending);
}

/** Throws #DB as a trap with these DR6 bits: `CPU_rip` is where to go on. For helpers; whatever was being delivered has been. */
export function debugTrap(cpu: usize, dr6: u64): void {
  store<u32>(cpu, NOT_DELIVERING, CPU_delivering);
  pendDebug(cpu, dr6, 1);
  raise();
}

/** Delivers the single-step trap after an instruction that began with TF set, along with the data breakpoints that it met. */
export function singleStep(cpu: usize): void {
  pendDebug(cpu, DR6_BS, 1);
  deliverFault(cpu);
}

/** Delivers #DB for the data breakpoints that the last instruction met. Returns 1 if there were any. */
export function deliverDataBreakpoint(cpu: usize): u32 {
  if (!load<u32>(cpu, CPU_pendingDebug)) return 0;
  pendDebug(cpu, 0, 1);
  deliverFault(cpu);
  return 1;
}

/** Bits 0..3: the enabled breakpoints that an access meets. `kind` is a mask of R/W values: bit 0 execution, bit 1 writes, bit 3 reads and writes. */
function breakpoints(cpu: usize, linear: u64, size: u32, kind: u32): u32 {
  const dr7 = <u32>load<u64>(cpu, DR7);
  let met: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    if (!((dr7 >> (i * 2)) & 3)) continue;
    const control = dr7 >> (16 + i * 4);
    if (!((kind >> (control & 3)) & 1)) continue;
    // LEN: 1, 2, 8 or 4 bytes, aligned (17.2.4).
    const length = (control >> 2) & 3;
    const bytes: u64 = length == 2 ? 8 : length + 1;
    const first = load<u64>(cpu + CPU_dr + (<usize>i << 3)) & ~(bytes - 1);
    if (linear < first + bytes && first < linear + size) met |= 1 << i;
  }
  return met;
}

/** Notes the data breakpoints that an access of `size` bytes at `linear` meets: #DB comes after the instruction. */
export function checkDataBreakpoint(cpu: usize, linear: u64, size: u32, write: bool): void {
  const met = breakpoints(cpu, linear, size, write ? 1 << 1 | 1 << 3 : 1 << 3);
  if (!met) return;
  store<u32>(cpu, load<u32>(cpu, CPU_pendingDebug) | met, CPU_pendingDebug);
  atomic.or<u32>(cpu + CPU_event, EVENT_TRAP);
}

/**
 * Before the instruction at `linear` (= CS base + RIP): delivers #DB if an instruction breakpoint is there and RF is clear. Returns 1 if it did:
 * `CPU_rip` is then the handler's.
 */
export function checkCodeBreakpoint(cpu: usize, linear: u64): u32 {
  if (getFlags(cpu) & FLAG_RF) {
    // It holds for this one instruction. If that faults, the image pushed has it again.
    setFlags(cpu, 0, FLAG_RF);
    return 0;
  }
  const met = breakpoints(cpu, linear, 1, 1 << 0);
  if (!met) return 0;
  pendDebug(cpu, met, 0);
  deliverFault(cpu);
  return 1;
}
