/** Model-specific registers (SDM vol. 4; AMD APM vol. 2, appendix A). What is not here raises #GP(0), as on a processor that lacks it. */
import {
  CPU_apicBase,
  CPU_cr0,
  CPU_cstar,
  CPU_efer,
  CPU_gpr,
  CPU_kernelGsBase,
  CPU_lstar,
  CPU_miscEnable,
  CPU_mtrrDefType,
  CPU_mtrrFixed,
  CPU_mtrrPhys,
  CPU_pat,
  CPU_physicalMask,
  CPU_segments,
  CPU_sfmask,
  CPU_star,
  CPU_sysenterCs,
  CPU_sysenterEip,
  CPU_sysenterEsp,
  CPU_tscAux,
  CPU_tscDeadline,
  CPU_tscOffset,
  FEATURE_apic,
  FEATURE_lm,
  FEATURE_mca,
  FEATURE_mtrr,
  FEATURE_nx,
  FEATURE_pat,
  FEATURE_rdtscp,
  FEATURE_sep,
  FEATURE_syscall,
  FEATURE_tsc,
  FEATURE_tsc_adjust,
  FEATURE_tsc_deadline,
  FS,
  GS,
  SEGMENT_SIZE,
  SEGMENT_base,
} from './layout';
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, isCanonical, privileged } from './control';
import { hasFeature } from './cpuid';
import { generalProtection } from './fault';
import { apicMsr, tsc } from './host';
import { updateReach } from './segments';
import { isParaKernel } from './para';
import { readRegister, writeRegister } from './para_privileged';
import { readTsc } from './timing';
import { flushTlb } from './tlb';

export const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
export const IA32_PLATFORM_ID: u32 = 0x17;
export const IA32_APIC_BASE: u32 = 0x1b;
export const IA32_FEATURE_CONTROL: u32 = 0x3a;
export const IA32_TSC_ADJUST: u32 = 0x3b;
export const IA32_BIOS_UPDT_TRIG: u32 = 0x79;
export const IA32_BIOS_SIGN_ID: u32 = 0x8b;
export const IA32_MTRRCAP: u32 = 0xfe;
export const IA32_SYSENTER_CS: u32 = 0x174;
export const IA32_SYSENTER_ESP: u32 = 0x175;
export const IA32_SYSENTER_EIP: u32 = 0x176;
export const IA32_MCG_CAP: u32 = 0x179;
export const IA32_MCG_STATUS: u32 = 0x17a;
export const IA32_MISC_ENABLE: u32 = 0x1a0;
export const IA32_DEBUGCTL: u32 = 0x1d9;
export const IA32_MTRR_PHYSBASE0: u32 = 0x200;
export const IA32_MTRR_PHYSMASK7: u32 = 0x20f;
export const IA32_MTRR_FIX64K_00000: u32 = 0x250;
export const IA32_MTRR_FIX16K_80000: u32 = 0x258;
export const IA32_MTRR_FIX16K_A0000: u32 = 0x259;
export const IA32_MTRR_FIX4K_C0000: u32 = 0x268;
export const IA32_MTRR_FIX4K_F8000: u32 = 0x26f;
export const IA32_PAT: u32 = 0x277;
export const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
export const IA32_TSC_DEADLINE: u32 = 0x6e0;
export const IA32_EFER: u32 = 0xc0000080;
export const IA32_STAR: u32 = 0xc0000081;
export const IA32_LSTAR: u32 = 0xc0000082;
export const IA32_CSTAR: u32 = 0xc0000083;
export const IA32_FMASK: u32 = 0xc0000084;
export const IA32_FS_BASE: u32 = 0xc0000100;
export const IA32_GS_BASE: u32 = 0xc0000101;
export const IA32_KERNEL_GS_BASE: u32 = 0xc0000102;
export const IA32_TSC_AUX: u32 = 0xc0000103;

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 8;
const RDX: usize = CPU_gpr + 16;

/** Eight variable ranges, fixed ranges, write-combining. */
const MTRRCAP: u64 = 8 | (1 << 8) | (1 << 10);
const FEATURE_CONTROL_LOCK: u64 = 1;
const APIC_BASE_EXTD: u64 = 1 << 10;
const APIC_BASE_RESERVED: u64 = 0x2ff;

/** Where a segment's base is kept. */
// @ts-ignore: decorator
@inline
function segmentBase(index: u32): usize {
  return CPU_segments + <usize>index * SEGMENT_SIZE + SEGMENT_base;
}

/** Index into `mtrrFixed`, or -1. */
function fixedMtrr(msr: u32): i32 {
  if (msr == IA32_MTRR_FIX64K_00000) return 0;
  if (msr == IA32_MTRR_FIX16K_80000) return 1;
  if (msr == IA32_MTRR_FIX16K_A0000) return 2;
  if (msr >= IA32_MTRR_FIX4K_C0000 && msr <= IA32_MTRR_FIX4K_F8000) return 3 + <i32>(msr - IA32_MTRR_FIX4K_C0000);
  return -1;
}

/**
 * Registers that a processor of the time has and that do nothing here: they read as 0 and take any value. Systems touch them without
 * asking CPUID: microcode, debug control, last-branch records; and on AMD SYSCFG, HWCR, top of memory, northbridge and errata controls.
 */
function isIgnored(msr: u32): bool {
  return (
    msr == IA32_PLATFORM_ID ||
    msr == IA32_BIOS_UPDT_TRIG ||
    msr == IA32_BIOS_SIGN_ID ||
    msr == IA32_DEBUGCTL ||
    (msr >= 0x1db && msr <= 0x1de) ||
    msr == 0x2a ||
    msr == 0xc0010010 ||
    msr == 0xc0010015 ||
    msr == 0xc001001a ||
    msr == 0xc001001d ||
    msr == 0xc001001f ||
    msr == 0xc0010055 ||
    msr == 0xc0010112 ||
    msr == 0xc0011022 ||
    msr == 0xc0011023 ||
    msr == 0xc0011029
  );
}

/** Each byte must be one of UC, WC, WT, WP, WB, UC- (only in the PAT). */
function validTypes(value: u64, uncachedMinus: bool): bool {
  for (let i = 0; i < 8; i++, value >>>= 8) {
    const type = <u32>value & 0xff;
    if (type > 7 || type == 2 || type == 3 || (type == 7 && !uncachedMinus)) return false;
  }
  return true;
}

function readMsr(cpu: usize, msr: u32): u64 {
  if (hasFeature(cpu, FEATURE_mtrr)) {
    if (msr == IA32_MTRRCAP) return MTRRCAP;
    if (msr == IA32_MTRR_DEF_TYPE) return load<u64>(cpu, CPU_mtrrDefType);
    if (msr >= IA32_MTRR_PHYSBASE0 && msr <= IA32_MTRR_PHYSMASK7)
      return load<u64>(cpu + CPU_mtrrPhys + ((<usize>(msr - IA32_MTRR_PHYSBASE0)) << 3));
    const fixed = fixedMtrr(msr);
    if (fixed >= 0) return load<u64>(cpu + CPU_mtrrFixed + ((<usize>fixed) << 3));
  }
  if (hasFeature(cpu, FEATURE_sep)) {
    if (msr == IA32_SYSENTER_CS) return load<u64>(cpu, CPU_sysenterCs);
    if (msr == IA32_SYSENTER_ESP) return load<u64>(cpu, CPU_sysenterEsp);
    if (msr == IA32_SYSENTER_EIP) return load<u64>(cpu, CPU_sysenterEip);
  }
  if (msr == IA32_TIME_STAMP_COUNTER && hasFeature(cpu, FEATURE_tsc)) return readTsc(cpu);
  // What software has added to the machine's TSC, by this register or by the TSC itself (SDM vol. 3B, 18.17.3).
  if (msr == IA32_TSC_ADJUST && hasFeature(cpu, FEATURE_tsc_adjust)) return load<u64>(cpu, CPU_tscOffset);
  if (msr == IA32_APIC_BASE && hasFeature(cpu, FEATURE_apic)) return load<u64>(cpu, CPU_apicBase);
  if (msr == IA32_TSC_DEADLINE && hasFeature(cpu, FEATURE_tsc_deadline)) return load<u64>(cpu, CPU_tscDeadline);
  if (msr == IA32_PAT && hasFeature(cpu, FEATURE_pat)) return load<u64>(cpu, CPU_pat);
  if (msr == IA32_MISC_ENABLE) return load<u64>(cpu, CPU_miscEnable);
  if (msr == IA32_FEATURE_CONTROL) return FEATURE_CONTROL_LOCK;
  if ((msr == IA32_MCG_CAP || msr == IA32_MCG_STATUS) && hasFeature(cpu, FEATURE_mca)) return 0;
  if (hasFeature(cpu, FEATURE_syscall) || hasFeature(cpu, FEATURE_nx) || hasFeature(cpu, FEATURE_lm)) {
    if (msr == IA32_EFER) return load<u64>(cpu, CPU_efer);
    if (msr == IA32_STAR) return load<u64>(cpu, CPU_star);
  }
  if (hasFeature(cpu, FEATURE_lm)) {
    if (msr == IA32_LSTAR) return load<u64>(cpu, CPU_lstar);
    if (msr == IA32_CSTAR) return load<u64>(cpu, CPU_cstar);
    if (msr == IA32_FMASK) return load<u64>(cpu, CPU_sfmask);
    if (msr == IA32_FS_BASE) return load<u64>(cpu + segmentBase(FS));
    if (msr == IA32_GS_BASE) return load<u64>(cpu + segmentBase(GS));
    if (msr == IA32_KERNEL_GS_BASE) return load<u64>(cpu, CPU_kernelGsBase);
  }
  if (msr == IA32_TSC_AUX && hasFeature(cpu, FEATURE_rdtscp)) return load<u64>(cpu, CPU_tscAux);
  if (!isIgnored(msr)) generalProtection(cpu, 0);
  return 0;
}

function setEfer(cpu: usize, value: u64): void {
  let defined: u64 = EFER_LMA;
  if (hasFeature(cpu, FEATURE_syscall)) defined |= EFER_SCE;
  if (hasFeature(cpu, FEATURE_lm)) defined |= EFER_LME;
  if (hasFeature(cpu, FEATURE_nx)) defined |= EFER_NXE;
  const old = load<u64>(cpu, CPU_efer);
  if (value & ~defined) generalProtection(cpu, 0);
  if ((old ^ value) & EFER_LME && load<u64>(cpu, CPU_cr0) & CR0_PG) generalProtection(cpu, 0);
  // LMA is the processor's own.
  const next = (value & ~EFER_LMA) | (old & EFER_LMA);
  store<u64>(cpu, next, CPU_efer);
  if ((old ^ next) & EFER_NXE) flushTlb(cpu, false);
}

// @ts-ignore: decorator
@inline
function canonical(cpu: usize, value: u64): void {
  if (!isCanonical(value)) generalProtection(cpu, 0);
}

/** A variable MTRR: a base's type must be one of the five, bits beyond the physical address are reserved. */
function setVariableMtrr(cpu: usize, index: u32, value: u64): void {
  const reserved = ~load<u64>(cpu, CPU_physicalMask) & ~0xfff;
  const type = <u32>value & 0xff;
  const wrong = index & 1 ? (value & 0x7ff) != 0 : (value & 0xf00) != 0 || type > 6 || type == 2 || type == 3;
  if (value & reserved || wrong) generalProtection(cpu, 0);
  store<u64>(cpu + CPU_mtrrPhys + ((<usize>index) << 3), value);
}

/** False: there is no such register. */
function writeMtrr(cpu: usize, msr: u32, value: u64): bool {
  if (!hasFeature(cpu, FEATURE_mtrr)) return false;
  if (msr == IA32_MTRR_DEF_TYPE) {
    const type = <u32>value & 0xff;
    if (value & ~0xcff || type > 6 || type == 2 || type == 3) generalProtection(cpu, 0);
    store<u64>(cpu, value, CPU_mtrrDefType);
    return true;
  }
  if (msr >= IA32_MTRR_PHYSBASE0 && msr <= IA32_MTRR_PHYSMASK7) {
    setVariableMtrr(cpu, msr - IA32_MTRR_PHYSBASE0, value);
    return true;
  }
  const fixed = fixedMtrr(msr);
  if (fixed < 0) return false;
  if (!validTypes(value, false)) generalProtection(cpu, 0);
  store<u64>(cpu + CPU_mtrrFixed + ((<usize>fixed) << 3), value);
  return true;
}

/** False: there is no such register. */
function writeSystemCall(cpu: usize, msr: u32, value: u64): bool {
  if (hasFeature(cpu, FEATURE_sep) && msr >= IA32_SYSENTER_CS && msr <= IA32_SYSENTER_EIP) {
    if (msr == IA32_SYSENTER_CS) store<u64>(cpu, value & 0xffffffff, CPU_sysenterCs);
    else {
      const wide = hasFeature(cpu, FEATURE_lm);
      if (wide) canonical(cpu, value);
      else value &= 0xffffffff;
      if (msr == IA32_SYSENTER_ESP) store<u64>(cpu, value, CPU_sysenterEsp);
      else store<u64>(cpu, value, CPU_sysenterEip);
    }
    return true;
  }
  if (hasFeature(cpu, FEATURE_syscall) || hasFeature(cpu, FEATURE_nx) || hasFeature(cpu, FEATURE_lm)) {
    if (msr == IA32_EFER) {
      setEfer(cpu, value);
      return true;
    }
    if (msr == IA32_STAR) {
      store<u64>(cpu, value, CPU_star);
      return true;
    }
  }
  if (!hasFeature(cpu, FEATURE_lm)) return false;
  if (msr == IA32_FMASK) {
    store<u64>(cpu, value & 0xffffffff, CPU_sfmask);
    return true;
  }
  if (msr != IA32_LSTAR && msr != IA32_CSTAR && msr != IA32_FS_BASE && msr != IA32_GS_BASE && msr != IA32_KERNEL_GS_BASE) return false;
  canonical(cpu, value);
  if (msr == IA32_LSTAR) store<u64>(cpu, value, CPU_lstar);
  else if (msr == IA32_CSTAR) store<u64>(cpu, value, CPU_cstar);
  else if (msr == IA32_KERNEL_GS_BASE) store<u64>(cpu, value, CPU_kernelGsBase);
  else {
    store<u64>(cpu + segmentBase(msr == IA32_FS_BASE ? FS : GS), value);
    updateReach(cpu);
  }
  return true;
}

function setApicBase(cpu: usize, value: u64): void {
  const reserved = APIC_BASE_RESERVED | APIC_BASE_EXTD | (~load<u64>(cpu, CPU_physicalMask) & ~0xfff);
  if (value & reserved) generalProtection(cpu, 0);
  // Whether this is the bootstrap processor is not for software to say.
  const next = (value & ~0x100) | (load<u64>(cpu, CPU_apicBase) & 0x100);
  store<u64>(cpu, next, CPU_apicBase);
  apicMsr(cpu, IA32_APIC_BASE, <u32>next, <u32>(next >>> 32));
}

function writeMsr(cpu: usize, msr: u32, value: u64): void {
  if (writeSystemCall(cpu, msr, value) || writeMtrr(cpu, msr, value)) return;
  if (msr == IA32_TIME_STAMP_COUNTER && hasFeature(cpu, FEATURE_tsc)) store<u64>(cpu, value - <u64>tsc(cpu), CPU_tscOffset);
  else if (msr == IA32_TSC_ADJUST && hasFeature(cpu, FEATURE_tsc_adjust)) store<u64>(cpu, value, CPU_tscOffset);
  else if (msr == IA32_APIC_BASE && hasFeature(cpu, FEATURE_apic)) setApicBase(cpu, value);
  else if (msr == IA32_TSC_DEADLINE && hasFeature(cpu, FEATURE_tsc_deadline)) {
    store<u64>(cpu, value, CPU_tscDeadline);
    apicMsr(cpu, IA32_TSC_DEADLINE, <u32>value, <u32>(value >>> 32));
  } else if (msr == IA32_PAT && hasFeature(cpu, FEATURE_pat)) {
    if (!validTypes(value, true)) generalProtection(cpu, 0);
    store<u64>(cpu, value, CPU_pat);
  } else if (msr == IA32_TSC_AUX && hasFeature(cpu, FEATURE_rdtscp)) {
    if (value >>> 32 != 0) generalProtection(cpu, 0);
    store<u64>(cpu, value, CPU_tscAux);
  } else if (msr == IA32_MISC_ENABLE) store<u64>(cpu, value, CPU_miscEnable);
  else if (msr == IA32_MCG_STATUS && hasFeature(cpu, FEATURE_mca) && value == 0) return;
  else if (!isIgnored(msr)) generalProtection(cpu, 0);
}

export function rdmsr(cpu: usize, record: usize): void {
  const para = isParaKernel(cpu);
  if (!para) privileged(cpu);
  const value = para ? readRegister(cpu, load<u32>(cpu, RCX)) : readMsr(cpu, load<u32>(cpu, RCX));
  store<u64>(cpu, value & 0xffffffff, RAX);
  store<u64>(cpu, value >>> 32, RDX);
}

export function wrmsr(cpu: usize, record: usize): void {
  const value = <u64>load<u32>(cpu, RAX) | ((<u64>load<u32>(cpu, RDX)) << 32);
  if (isParaKernel(cpu)) return writeRegister(cpu, load<u32>(cpu, RCX), value);
  privileged(cpu);
  writeMsr(cpu, load<u32>(cpu, RCX), value);
}
