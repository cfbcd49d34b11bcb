/**
 * In and out of a para guest's kernel, as Xen's 64-bit PV interface has it (arch-x86/xen-x86_64.h): exceptions, system calls and events are bounced to the
 * handlers that the guest has registered, with a frame on its kernel's stack; it returns by the hypercall iret.
 */
import {
  CODE_64,
  CPU_codeSize,
  CPU_cr0,
  CPU_cr2,
  CPU_cr3,
  CPU_event,
  CPU_gpr,
  CPU_halted,
  CPU_nmiBlocked,
  CPU_para,
  CPU_rip,
  CPU_segments,
  CS,
  DS,
  ES,
  EVENT_INTERRUPT,
  FLAT_RING3_CS32,
  FLAT_RING3_CS64,
  FLAT_RING3_DS32,
  FS,
  GS,
  PARAVCPU_callbackMasks,
  PARAVCPU_cr0,
  PARAVCPU_eventCallback,
  PARAVCPU_exceptions,
  PARAVCPU_failsafeCallback,
  PARAVCPU_frame,
  PARAVCPU_gsBaseKernel,
  PARAVCPU_gsBaseUser,
  PARAVCPU_iopl,
  PARAVCPU_kernelCr3,
  PARAVCPU_kernelSp,
  PARAVCPU_mode,
  PARAVCPU_nmiCallback,
  PARAVCPU_syscall32Callback,
  PARAVCPU_syscallCallback,
  PARAVCPU_sysenterCallback,
  PARAVCPU_systemCalls,
  PARAVCPU_traps,
  PARAVCPU_upcalls,
  PARAVCPU_userCr3,
  PARA_CRASH_HANDLER,
  PARA_CRASH_IRET,
  PARA_CRASH_STACK,
  PARA_KERNEL,
  PARA_USER,
  PARA_assists,
  SEGMENT_SIZE,
  SEGMENT_base,
  SS,
  TLB_SUPERVISOR,
  TLB_USER,
  TRAPINFO_SIZE,
  TRAPINFO_address,
  TRAPINFO_flags,
} from './layout';
import { CR0_TS } from './control';
import { cpuid } from './cpuid';
import { selectorOf } from './descriptors';
import { VECTOR_BP, VECTOR_GP, VECTOR_NM, VECTOR_NMI, VECTOR_OF, VECTOR_PF, VECTOR_UD, generalProtection, undefinedOpcode } from './fault';
import { FLAGS_ARITHMETIC, FLAG_AC, FLAG_DF, FLAG_ID, FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VM, getFlags, setFlags } from './flags';
import { VCPU_INFO_CR2, VCPU_INFO_MASK, VCPU_INFO_PENDING, crash, domain, isParaKernel, vcpuInfo } from './para';
import { loadFrameSegments, setFlat, setSelectors } from './para_segments';
import { setTaskSwitched } from './para_state';
import { addressIn, copyKernel, kernelAddress } from './para_walk';

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 1 * 8;
const RSP: usize = CPU_gpr + 4 * 8;
const R11: usize = CPU_gpr + 11 * 8;
const PARA: usize = CPU_para;
const GS_BASE: usize = CPU_segments + GS * SEGMENT_SIZE + SEGMENT_base;

/** What `bounce` does beyond the plain frame: an error code is in it; events are masked from now on; DS, ES, FS and GS are in it. */
const WITH_ERROR: u32 = 1;
const MASKING: u32 = 2;
const WITH_SELECTORS: u32 = 4;

/** Flags that the guest's kernel begins without. */
const CLEARED: u32 = FLAG_AC | FLAG_VM | FLAG_RF | FLAG_NT | FLAG_TF;
/** Flags that iret sets as its frame says. */
const RETURNED: u32 = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT | FLAG_RF | FLAG_AC | FLAG_ID;
/** TI_GET_DPL, TI_GET_IF: bits of trap_info_t.flags. */
const TI_DPL: u32 = 3;
const TI_IF: u32 = 4;
/** CALLBACKTYPE_*: bits of `ParaVcpu.callbackMasks`. */
const CALLBACKTYPE_failsafe: u32 = 1;
const CALLBACKTYPE_syscall: u32 = 2;
const CALLBACKTYPE_sysenter: u32 = 5;
const CALLBACKTYPE_syscall32: u32 = 7;
const VMASST_TYPE_architectural_iopl: u32 = 4;

// -- modes

/** Takes the vCPU into the other mode: its page tables and its GS base. `derive` of para_segments.ts is to follow. */
function toggle(cpu: usize, mode: u32): void {
  const base = load<u64>(cpu, GS_BASE);
  store<u32>(cpu, mode, PARA + PARAVCPU_mode);
  if (mode == PARA_KERNEL) {
    store<u64>(cpu, base, PARA + PARAVCPU_gsBaseUser);
    store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_gsBaseKernel), GS_BASE);
    store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_kernelCr3), CPU_cr3);
  } else {
    store<u64>(cpu, base, PARA + PARAVCPU_gsBaseKernel);
    store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_gsBaseUser), GS_BASE);
    store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_userCr3), CPU_cr3);
  }
}

// -- into the kernel

/** What a frame shows of the flags: IF says that events are not masked, IOPL is shown if the guest asked for it. */
function shownFlags(cpu: usize, flags: u32, masked: u32): u32 {
  let shown = flags & ~(FLAG_IF | FLAG_IOPL);
  if (masked == 0) shown |= FLAG_IF;
  if ((load<u32>(domain(), PARA_assists) >>> VMASST_TYPE_architectural_iopl) & 1) shown |= load<u32>(cpu, PARA + PARAVCPU_iopl) << 12;
  return shown;
}

/**
 * Goes on in the guest's kernel at `target`, with a frame on its stack: [DS, ES, FS, GS after] RCX, R11, [error code], RIP, CS with saved_upcall_mask, RFLAGS,
 * RSP, SS. The kernel's own CS has RPL 0 there. The domain ends where that cannot be.
 */
function bounce(cpu: usize, target: u64, how: u32, flags: u32, error: u32): void {
  const kernel = isParaKernel(cpu);
  if (target == 0) return crash(cpu, PARA_CRASH_HANDLER);
  const rsp = load<u64>(cpu, RSP);
  const size: usize = 56 + (how & WITH_ERROR ? 8 : 0) + (how & WITH_SELECTORS ? 32 : 0);
  const bottom = ((kernel ? rsp : load<u64>(cpu, PARA + PARAVCPU_kernelSp)) & ~15) - size;
  const whole = (<usize>bottom & 0xfff) + size <= 0x1000;
  const frame = whole ? kernelAddress(cpu, bottom, true) : cpu + PARA + PARAVCPU_frame;
  if (frame == 0) return crash(cpu, PARA_CRASH_STACK);
  const info = vcpuInfo(cpu);
  const masked = <u32>load<u8>(info, VCPU_INFO_MASK);
  let cs = selectorOf(cpu, CS);
  if (kernel) cs &= ~3;
  let at = frame;
  store<u64>(at, load<u64>(cpu, RCX));
  store<u64>(at, load<u64>(cpu, R11), 8);
  at += 16;
  if (how & WITH_SELECTORS) {
    store<u64>(at, selectorOf(cpu, DS));
    store<u64>(at, selectorOf(cpu, ES), 8);
    store<u64>(at, selectorOf(cpu, FS), 16);
    store<u64>(at, selectorOf(cpu, GS), 24);
    at += 32;
  }
  if (how & WITH_ERROR) {
    store<u64>(at, error);
    at += 8;
  }
  store<u64>(at, load<u64>(cpu, CPU_rip));
  store<u64>(at, <u64>cs | (<u64>masked << 32), 8);
  store<u64>(at, shownFlags(cpu, flags, masked), 16);
  store<u64>(at, rsp, 24);
  store<u64>(at, selectorOf(cpu, SS), 32);
  if (!whole && !copyKernel(cpu, bottom, frame, size, true)) return crash(cpu, PARA_CRASH_STACK);

  if (how & MASKING) store<u8>(info, 1, VCPU_INFO_MASK);
  setFlags(cpu, 0, CLEARED);
  store<u64>(cpu, bottom, RSP);
  store<u64>(cpu, target, CPU_rip);
  store<u32>(cpu, 0, CPU_halted);
  if (!kernel) toggle(cpu, PARA_KERNEL);
  setFlat(cpu, FLAT_RING3_CS64, FLAT_RING3_DS32);
}

/** Hands an exception, or an interrupt that a program asked for (`software`: by INT n, which the entry must permit), to the guest's kernel. */
export function deliverTrap(cpu: usize, vector: u32, software: bool, flags: u32, hasError: bool, error: u32): void {
  if ((vector == VECTOR_UD && emulatePrefixed(cpu)) || (vector == VECTOR_GP && emulateInterruptFlag(cpu))) return;
  if (vector == VECTOR_NMI) {
    const target = load<u64>(cpu, PARA + PARAVCPU_nmiCallback);
    // Without a callback there are none.
    if (target == 0) store<u32>(cpu, 0, CPU_nmiBlocked);
    else bounce(cpu, target, MASKING, flags, 0);
    return;
  }
  const trap = cpu + PARA + PARAVCPU_traps + <usize>vector * TRAPINFO_SIZE;
  const kind = <u32>load<u8>(trap, TRAPINFO_flags);
  if (software && vector != VECTOR_BP && vector != VECTOR_OF && (kind & TI_DPL) != 3 && !isParaKernel(cpu)) generalProtection(cpu, (vector << 3) | 2);
  if (vector == VECTOR_PF) store<u64>(vcpuInfo(cpu), load<u64>(cpu, CPU_cr2), VCPU_INFO_CR2);
  else if (vector == VECTOR_NM && load<u64>(cpu, PARA + PARAVCPU_cr0) & CR0_TS) setTaskSwitched(cpu, false);
  store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_exceptions) + 1, PARA + PARAVCPU_exceptions);
  bounce(cpu, load<u64>(trap, TRAPINFO_address), (hasError ? WITH_ERROR : 0) | (kind & TI_IF ? MASKING : 0), flags, error);
}

/** Whether events wait that are not masked. */
// @ts-ignore: decorator
@inline
function isUpcallDue(cpu: usize): bool {
  const info = vcpuInfo(cpu);
  return load<u8>(info, VCPU_INFO_PENDING) != 0 && load<u8>(info, VCPU_INFO_MASK) == 0;
}

/** On the way back to the guest: its event callback, if one is due. */
export function deliverEvent(cpu: usize): bool {
  if (!isUpcallDue(cpu)) return false;
  store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_upcalls) + 1, PARA + PARAVCPU_upcalls);
  bounce(cpu, load<u64>(cpu, PARA + PARAVCPU_eventCallback), MASKING, getFlags(cpu), 0);
  return true;
}

/** EVENT_INTERRUPT was set: it is a hint, and over with this look. True: the vCPU goes on at its event callback. */
export function serveEvents(cpu: usize): bool {
  atomic.and<u32>(cpu + CPU_event, ~EVENT_INTERRUPT);
  return deliverEvent(cpu);
}

// @ts-ignore: decorator
@inline
function maskingOf(cpu: usize, callback: u32): u32 {
  return (load<u32>(cpu, PARA + PARAVCPU_callbackMasks) >>> callback) & 1 ? MASKING : 0;
}

/** SYSCALL of a program: RIP is the next instruction's. */
export function bounceSystemCall(cpu: usize): void {
  const long = load<u32>(cpu, CPU_codeSize) == CODE_64;
  const target = long ? load<u64>(cpu, PARA + PARAVCPU_syscallCallback) : load<u64>(cpu, PARA + PARAVCPU_syscall32Callback);
  if (target == 0) undefinedOpcode(cpu);
  const flags = getFlags(cpu) & ~FLAG_RF;
  store<u64>(cpu, load<u64>(cpu, CPU_rip), RCX);
  store<u64>(cpu, flags, R11);
  // Such selectors the frame has whatever they were.
  setSelectors(cpu, long ? FLAT_RING3_CS64 : FLAT_RING3_CS32, FLAT_RING3_DS32);
  store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_systemCalls) + 1, PARA + PARAVCPU_systemCalls);
  bounce(cpu, target, maskingOf(cpu, long ? CALLBACKTYPE_syscall : CALLBACKTYPE_syscall32), flags, 0);
  setFlags(cpu, 0, FLAG_DF);
}

/** SYSENTER of a program: where it was is not known (the frame has RIP and RSP 0). */
export function bounceSystemEntry(cpu: usize): void {
  const target = load<u64>(cpu, PARA + PARAVCPU_sysenterCallback);
  if (target == 0 || isParaKernel(cpu)) generalProtection(cpu, 0);
  store<u64>(cpu, 0, CPU_rip);
  store<u64>(cpu, 0, RSP);
  setSelectors(cpu, 3, FLAT_RING3_DS32);
  store<u64>(cpu, load<u64>(cpu, PARA + PARAVCPU_systemCalls) + 1, PARA + PARAVCPU_systemCalls);
  bounce(cpu, target, maskingOf(cpu, CALLBACKTYPE_sysenter), getFlags(cpu) & ~FLAG_RF, 0);
}

// -- out of it

/** struct iret_context: offsets. */
const IRET_RAX: usize = 0;
const IRET_R11: usize = 8;
const IRET_RCX: usize = 16;
const IRET_FLAGS: usize = 24;
const IRET_RIP: usize = 32;
const IRET_CS: usize = 40;
const IRET_RFLAGS: usize = 48;
const IRET_RSP: usize = 56;
const IRET_SS: usize = 64;
const IRET_SIZE: usize = 72;
const VGCF_in_syscall: u64 = 256;

/** The hypercall iret: to a program (CS with RPL 3) or within the kernel, as the frame at RSP says. Events that wait come right after it. */
export function paraIret(cpu: usize): void {
  const from = load<u64>(cpu, RSP);
  let frame = cpu + PARA + PARAVCPU_frame;
  if ((<usize>from & 0xfff) + IRET_SIZE <= 0x1000) {
    frame = kernelAddress(cpu, from, false);
    if (frame == 0) return crash(cpu, PARA_CRASH_IRET);
  } else if (!copyKernel(cpu, from, frame, IRET_SIZE, false)) return crash(cpu, PARA_CRASH_IRET);

  let cs = <u32>load<u16>(frame, IRET_CS);
  let ss = <u32>load<u16>(frame, IRET_SS) | 3;
  const flags = <u32>load<u64>(frame, IRET_RFLAGS);
  const rip = load<u64>(frame, IRET_RIP);
  const user = (cs & 3) == 3;
  cs |= 3;
  if (user && load<u64>(cpu, PARA + PARAVCPU_userCr3) == 0) return crash(cpu, PARA_CRASH_IRET);
  store<u64>(cpu, load<u64>(frame, IRET_RAX), RAX);
  if (load<u64>(frame, IRET_FLAGS) & VGCF_in_syscall) {
    store<u64>(cpu, rip, RCX);
    store<u64>(cpu, flags | FLAG_IF, R11);
    if (cs != FLAT_RING3_CS32) cs = FLAT_RING3_CS64;
    ss = FLAT_RING3_DS32;
  } else {
    store<u64>(cpu, load<u64>(frame, IRET_R11), R11);
    store<u64>(cpu, load<u64>(frame, IRET_RCX), RCX);
  }
  store<u64>(cpu, load<u64>(frame, IRET_RSP), RSP);
  store<u64>(cpu, rip, CPU_rip);
  store<u8>(vcpuInfo(cpu), flags & FLAG_IF ? 0 : 1, VCPU_INFO_MASK);
  store<u32>(cpu, 0, CPU_nmiBlocked);
  if (user) toggle(cpu, PARA_USER);
  setFlags(cpu, flags, RETURNED);
  if (!loadFrameSegments(cpu, cs, ss)) return bounce(cpu, load<u64>(cpu, PARA + PARAVCPU_failsafeCallback), WITH_SELECTORS | maskingOf(cpu, CALLBACKTYPE_failsafe), flags, 0);
  deliverEvent(cpu);
}

// -- instructions that are emulated when they have faulted

/** UD2, "xen", CPUID. */
const PREFIXED_LOW: u64 = 0x0f_6e_65_78_0b_0f;
const PREFIXED_SIZE: u32 = 7;

/** CPUID with XEN_EMULATE_PREFIX at RIP (arch-x86/xen.h): done. */
function emulatePrefixed(cpu: usize): bool {
  const rip = load<u64>(cpu, CPU_rip);
  const mode = isParaKernel(cpu) ? TLB_SUPERVISOR : TLB_USER;
  for (let i: u32 = 0; i < PREFIXED_SIZE; i++) {
    const at = addressIn(cpu, mode, rip + i, false);
    if (at == 0 || <u64>load<u8>(at) != (i == 6 ? 0xa2 : (PREFIXED_LOW >>> (<u64>i << 3)) & 0xff)) return false;
  }
  cpuid(cpu, 0);
  store<u64>(cpu, rip + PREFIXED_SIZE, CPU_rip);
  return true;
}

const OPCODE_CLI: u32 = 0xfa;
const OPCODE_STI: u32 = 0xfb;

/** CLI and STI of a kernel with an IOPL of its own (PHYSDEVOP_set_iopl) do nothing: events are masked in vcpu_info. */
function emulateInterruptFlag(cpu: usize): bool {
  if (!isParaKernel(cpu) || load<u32>(cpu, PARA + PARAVCPU_iopl) == 0) return false;
  const rip = load<u64>(cpu, CPU_rip);
  const at = kernelAddress(cpu, rip, false);
  if (at == 0 || (load<u8>(at) != OPCODE_CLI && load<u8>(at) != OPCODE_STI)) return false;
  store<u64>(cpu, rip + 1, CPU_rip);
  return true;
}
