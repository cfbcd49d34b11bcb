/** The virtual processor of a para guest's kernel as hypercalls set it: tables, stacks, callbacks, segment bases, debug registers (xen.h, arch-x86/xen.h, callback.h). */
import {
  CPU_cr0,
  CPU_cr4,
  CPU_cpl,
  CPU_dr,
  CPU_efer,
  CPU_eflags,
  CPU_gdtr,
  CPU_gpr,
  CPU_idtr,
  CPU_para,
  CPU_reach,
  CPU_segments,
  DESCRIPTORTABLE_base,
  DESCRIPTORTABLE_limit,
  ES,
  FEATURE_fsgsbase,
  FEATURE_xsave,
  FIRST_RESERVED_GDT_ENTRY,
  FLAT_RING3_CS64,
  FLAT_RING3_DS32,
  FS,
  GS,
  HYPERVISOR_VIRT_END,
  HYPERVISOR_VIRT_START,
  LDTR,
  PARAVCPU_args,
  PARAVCPU_callbackMasks,
  PARAVCPU_calls,
  PARAVCPU_cr0,
  PARAVCPU_cr4,
  PARAVCPU_eventCallback,
  PARAVCPU_failsafeCallback,
  PARAVCPU_nmiCallback,
  PARAVCPU_syscall32Callback,
  PARAVCPU_syscallCallback,
  PARAVCPU_sysenterCallback,
  PARAVCPU_frame,
  PARAVCPU_gdtEntries,
  PARAVCPU_gdtFrames,
  PARAVCPU_gsBaseUser,
  PARAVCPU_kernelSp,
  PARAVCPU_kernelSs,
  PARAVCPU_mode,
  PARAVCPU_traps,
  PARA_KERNEL,
  PGT_seg_desc_page,
  PGT_writable_page,
  REACH_SIZE,
  REACH_base,
  SEGMENT_SIZE,
  SEGMENT_base,
  TRAPINFO_SIZE,
  TRAPINFO_address,
  TRAPINFO_cs,
  TRAPINFO_flags,
  TRAPINFO_vector,
} from './layout';
import { invalidateCode } from './codepages';
import { CR0_TS, CR4_DE, CR4_FSGSBASE, CR4_OSXSAVE, CR4_TSD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from './control';
import { hasFeature } from './cpuid';
import { isCanonical, setNull } from './descriptors';
import { FLAG_IF } from './flags';
import { ramAt } from './para';
import { NO_DESCRIPTOR, permittedDescriptor } from './para_descriptors';
import { EFAULT, EINVAL, ENOSYS, EPERM, getPageType, putPageType } from './para_pages';
import { loadUserGs, setFlat } from './para_segments';
import { PREEMPTED } from './para_update';
import { copyKernel } from './para_walk';
import { updateFacts, updateReach } from './segments';
import { DR7_ENABLES, flushTlb } from './tlb';

const PARA: usize = CPU_para;
/** What the guest has of CR4 and CR0 whatever it says. */
// PAE, OSFXSR, OSXMMEXCPT; PE, MP, ET, NE, WP, AM, PG.
const CR4_FIXED: u64 = 0x620;
const CR0_FIXED: u64 = 0x8005_0033;
/** The VMM's GDT and IDT, as SGDT and SIDT show them: in its own range of addresses. */
const TABLES: u64 = 0xffff_82d0_8000_0000;

/** An address that the guest may give for code or a stack of its own, or for a base. */
function isGuestAddress(linear: u64): bool {
  return isCanonical(linear) && (linear < HYPERVISOR_VIRT_START || linear >= HYPERVISOR_VIRT_END);
}

/**
 * After `resetCpu`: a vCPU as Xen's PV guests find it at start of day (VCPUOP_initialise as well), but for the registers that a loader sets. Statistics stay.
 */
export function resetPara(cpu: usize): void {
  memory.fill(cpu + PARA, 0, PARAVCPU_calls);
  store<u64>(cpu, CR0_FIXED, CPU_cr0);
  store<u64>(cpu, CR4_FIXED, CPU_cr4);
  store<u64>(cpu, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE, CPU_efer);
  store<u32>(cpu, 2 | FLAG_IF, CPU_eflags);
  store<u32>(cpu, 3, CPU_cpl);
  store<u64>(cpu, CR4_FIXED, PARA + PARAVCPU_cr4);
  store<u32>(cpu, PARA_KERNEL, PARA + PARAVCPU_mode);
  store<u64>(cpu + CPU_gdtr, TABLES, DESCRIPTORTABLE_base);
  store<u32>(cpu + CPU_gdtr, 0xffff, DESCRIPTORTABLE_limit);
  store<u64>(cpu + CPU_idtr, TABLES + 0x1_0000, DESCRIPTORTABLE_base);
  store<u32>(cpu + CPU_idtr, 0xfff, DESCRIPTORTABLE_limit);
  for (let index: u32 = ES; index <= GS; index++) setNull(cpu, index, 0);
  setNull(cpu, LDTR, 0);
  setFlat(cpu, FLAT_RING3_CS64, FLAT_RING3_DS32);
  updateReach(cpu);
  flushTlb(cpu, false);
}

// -- traps and callbacks

/** struct trap_info: offsets. */
const TRAP_VECTOR: usize = 0;
const TRAP_FLAGS: usize = 1;
const TRAP_CS: usize = 2;
const TRAP_ADDRESS: usize = 8;
const TRAP_SIZE: u64 = 16;
/** Entries that are looked at in one go. */
const TRAPS: u32 = 512;

/** set_trap_table: entries up to one with address 0; a null pointer takes all away. */
export function setTrapTable(cpu: usize, list: u64): i64 {
  const table = cpu + PARA + PARAVCPU_traps;
  if (list == 0) {
    memory.fill(table, 0, 256 * TRAPINFO_SIZE);
    return 0;
  }
  const entry = cpu + PARA + PARAVCPU_frame;
  for (let i: u32 = 0; i < TRAPS; i++, list += TRAP_SIZE) {
    if (!copyKernel(cpu, list, entry, <usize>TRAP_SIZE, false)) return -EFAULT;
    const address = load<u64>(entry, TRAP_ADDRESS);
    if (address == 0) return 0;
    if (!isCanonical(address)) return -EINVAL;
    const to = table + <usize>load<u8>(entry, TRAP_VECTOR) * TRAPINFO_SIZE;
    store<u64>(to, address, TRAPINFO_address);
    store<u16>(to, load<u16>(entry, TRAP_CS) | 3, TRAPINFO_cs);
    store<u8>(to, load<u8>(entry, TRAP_FLAGS), TRAPINFO_flags);
    store<u8>(to, load<u8>(entry, TRAP_VECTOR), TRAPINFO_vector);
  }
  const args = cpu + PARA + PARAVCPU_args;
  store<u64>(args, list);
  store<u64>(args, load<u64>(cpu, CPU_gpr + 6 * 8), 8);
  store<u64>(args, load<u64>(cpu, CPU_gpr + 2 * 8), 16);
  return PREEMPTED;
}

/** set_callbacks */
export function setCallbacks(cpu: usize, event: u64, failsafe: u64, systemCall: u64): i64 {
  if (!isCanonical(event) || !isCanonical(failsafe) || !isCanonical(systemCall)) return -EINVAL;
  store<u64>(cpu, event, PARA + PARAVCPU_eventCallback);
  store<u64>(cpu, failsafe, PARA + PARAVCPU_failsafeCallback);
  store<u64>(cpu, systemCall, PARA + PARAVCPU_syscallCallback);
  return 0;
}

const CALLBACKOP_register: u32 = 0;
const CALLBACKOP_unregister: u32 = 1;
/** CALLBACKTYPE_*, with `ParaVcpu`'s field; the old sysenter entry is for 32-bit guests. */
function callbackField(type: u32): usize {
  if (type == 0) return PARAVCPU_eventCallback;
  if (type == 1) return PARAVCPU_failsafeCallback;
  if (type == 2) return PARAVCPU_syscallCallback;
  if (type == 4) return PARAVCPU_nmiCallback;
  if (type == 5) return PARAVCPU_sysenterCallback;
  return type == 7 ? PARAVCPU_syscall32Callback : 0;
}

/** callback_op: struct callback_register is { u16 type, u16 flags, pad, u64 address }. */
export function callbackOp(cpu: usize, command: u32, pointer: u64): i64 {
  if (command > CALLBACKOP_unregister) return -ENOSYS;
  const argument = cpu + PARA + PARAVCPU_frame;
  if (!copyKernel(cpu, pointer, argument, command == CALLBACKOP_register ? 16 : 2, false)) return -EFAULT;
  const type = <u32>load<u16>(argument);
  const field = callbackField(type);
  if (field == 0) return -ENOSYS;
  if (command == CALLBACKOP_unregister) {
    // Those that it cannot do without are changed only.
    if (type < 2) return -EINVAL;
    store<u64>(cpu + PARA + field, 0);
    return 0;
  }
  if (!isCanonical(load<u64>(argument, 8))) return -EINVAL;
  store<u64>(cpu + PARA + field, load<u64>(argument, 8));
  const bit: u32 = 1 << type;
  const masks = load<u32>(cpu, PARA + PARAVCPU_callbackMasks) & ~bit;
  store<u32>(cpu, load<u16>(argument, 2) & 1 ? masks | bit : masks, PARA + PARAVCPU_callbackMasks);
  return 0;
}

/** stack_switch */
export function stackSwitch(cpu: usize, ss: u64, sp: u64): i64 {
  store<u64>(cpu, ss | 3, PARA + PARAVCPU_kernelSs);
  store<u64>(cpu, sp, PARA + PARAVCPU_kernelSp);
  return 0;
}

// -- segments

/** set_gdt: the frames of so many entries. They are validated, and stay descriptor pages as long as they are in use. */
export function setGdt(cpu: usize, list: u64, entries: u32): i64 {
  if (entries > FIRST_RESERVED_GDT_ENTRY) return -EINVAL;
  const pages: u32 = (entries + 511) >>> 9;
  const numbers = cpu + PARA + PARAVCPU_frame;
  if (pages != 0 && !copyKernel(cpu, list, numbers, pages << 3, false)) return -EFAULT;
  for (let i: u32 = 0; i < pages; i++) {
    const number = load<u64>(numbers + (i << 3));
    if (number >>> 32 == 0 && getPageType(cpu, <u32>number, PGT_seg_desc_page)) continue;
    while (i-- > 0) putPageType(cpu, load<u32>(numbers + (i << 3)));
    return -EINVAL;
  }
  const frames = cpu + PARA + PARAVCPU_gdtFrames;
  const before: u32 = (load<u32>(cpu, PARA + PARAVCPU_gdtEntries) + 511) >>> 9;
  for (let i: u32 = 0; i < before; i++) putPageType(cpu, load<u32>(frames + (i << 2)));
  for (let i: u32 = 0; i < pages; i++) store<u32>(frames + (i << 2), load<u32>(numbers + (i << 3)));
  store<u32>(cpu, entries, PARA + PARAVCPU_gdtEntries);
  return 0;
}

/** update_descriptor: `machine` is its machine address. The frame is a descriptor page, or may become writable. */
export function updateDescriptor(cpu: usize, machine: u64, descriptor: u64): i64 {
  const permitted = permittedDescriptor(descriptor);
  const frame = <u32>(machine >>> 12);
  if (machine & 7 || machine >>> 44 != 0 || permitted == NO_DESCRIPTOR) return -EINVAL;
  if (getPageType(cpu, frame, PGT_seg_desc_page)) {
    store<u64>(ramAt(<u32>machine), permitted);
    putPageType(cpu, frame);
    return 0;
  }
  if (!getPageType(cpu, frame, PGT_writable_page)) return -EINVAL;
  store<u64>(ramAt(<u32>machine), permitted);
  invalidateCode(frame, <u32>machine & 0xfff, (<u32>machine & 0xfff) + 7);
  putPageType(cpu, frame);
  return 0;
}

const SEGBASE_FS: u32 = 0;
const SEGBASE_GS_USER: u32 = 1;
const SEGBASE_GS_KERNEL: u32 = 2;
const SEGBASE_GS_USER_SEL: u32 = 3;

/** Sets the base of FS or GS that is in use, and what hangs on it. */
export function setBase(cpu: usize, index: usize, base: u64): void {
  store<u64>(cpu + CPU_segments + index * SEGMENT_SIZE, base, SEGMENT_base);
  store<u64>(cpu + CPU_reach + index * REACH_SIZE, base, REACH_base);
}

/** set_segment_base */
export function setSegmentBase(cpu: usize, which: u32, base: u64): i64 {
  if (which == SEGBASE_GS_USER_SEL) return loadUserGs(cpu, <u32>base & 0xffff) ? 0 : -EFAULT;
  if (which > SEGBASE_GS_USER_SEL || !isCanonical(base)) return -EINVAL;
  if (which == SEGBASE_GS_USER) store<u64>(cpu, base, PARA + PARAVCPU_gsBaseUser);
  else setBase(cpu, which == SEGBASE_FS ? FS : GS, base);
  return 0;
}

// -- control and debug registers

/** CR0.TS, in both views. */
export function setTaskSwitched(cpu: usize, on: bool): void {
  const cr0 = load<u64>(cpu, CPU_cr0) & ~CR0_TS;
  store<u64>(cpu, on ? CR0_TS : 0, PARA + PARAVCPU_cr0);
  store<u64>(cpu, on ? cr0 | CR0_TS : cr0, CPU_cr0);
  updateFacts(cpu);
}

/** fpu_taskswitch */
export function fpuTaskswitch(cpu: usize, on: u32): i64 {
  setTaskSwitched(cpu, on != 0);
  return 0;
}

/** CR4 of the guest's kernel: what it may not have is left out without a word. */
export function setGuestCr4(cpu: usize, value: u64): void {
  let bits = CR4_TSD | CR4_DE;
  if (hasFeature(cpu, FEATURE_fsgsbase)) bits |= CR4_FSGSBASE;
  if (hasFeature(cpu, FEATURE_xsave)) bits |= CR4_OSXSAVE;
  const next = (value & bits) | CR4_FIXED;
  store<u64>(cpu, next, PARA + PARAVCPU_cr4);
  store<u64>(cpu, next, CPU_cr4);
}

const DR6_FIXED: u64 = 0xffff0ff0;
const DR6_DEFINED: u64 = 0xe00f;
const DR7_FIXED: u64 = 0x400;
/** Without GD. */
const DR7_DEFINED: u64 = 0xffff03ff;

/** set_debugreg: breakpoints are for addresses of the guest. */
export function setDebugRegister(cpu: usize, number: u32, value: u64): i64 {
  if (number == 4 || number == 5 || number > 7) return -EINVAL;
  if (number < 4) {
    if (!isGuestAddress(value)) return -EPERM;
  } else if (value >>> 32 != 0) return -EPERM;
  else value = number == 6 ? (value & DR6_DEFINED) | DR6_FIXED : (value & DR7_DEFINED) | DR7_FIXED;
  const dr7 = <u32>load<u64>(cpu, CPU_dr + 56);
  store<u64>(cpu + CPU_dr + ((<usize>number) << 3), value);
  // Pages with a data breakpoint are closed to fast accesses as they come into the TLB.
  if (number != 6 && (dr7 | <u32>load<u64>(cpu, CPU_dr + 56)) & DR7_ENABLES) flushTlb(cpu, false);
  return 0;
}

/** get_debugreg */
export function getDebugRegister(cpu: usize, number: u32): i64 {
  if (number == 4 || number == 5 || number > 7) return -EINVAL;
  return load<i64>(cpu + CPU_dr + ((<usize>number) << 3));
}
