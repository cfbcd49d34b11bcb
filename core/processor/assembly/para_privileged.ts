/**
 * Privileged instructions of a para guest's kernel, which runs at CPL 3: those that Xen emulates for PV guests. All others, and all of its programs', raise #GP.
 * Their helpers come here by themselves; nothing is trapped and decoded.
 */
import {
  CPU_cr0,
  CPU_cr2,
  CPU_cr3,
  CPU_efer,
  CPU_para,
  CPU_segments,
  FEATURE_rdtscp,
  FS,
  GS,
  PARAVCPU_cr0,
  PARAVCPU_cr4,
  PARAVCPU_gsBaseUser,
  PARAVCPU_iopl,
  SEGMENT_SIZE,
  SEGMENT_base,
} from './layout';
import { CR0_TS, isCanonical } from './control';
import { hasFeature } from './cpuid';
import { generalProtection } from './fault';
import { VCPU_INFO_CR2, isParaKernel, vcpuInfo } from './para';
import { getDebugRegister, setBase, setDebugRegister, setGuestCr4, setTaskSwitched } from './para_state';
import { readTsc } from './timing';

const PARA: usize = CPU_para;

/** MOV from CR0, CR2, CR3 and CR4. */
export function readControl(cpu: usize, number: u32): u64 {
  if (number == 0) return (load<u64>(cpu, CPU_cr0) & ~CR0_TS) | load<u64>(cpu, PARA + PARAVCPU_cr0);
  if (number == 2) return load<u64>(vcpuInfo(cpu), VCPU_INFO_CR2);
  if (number == 3) return load<u64>(cpu, CPU_cr3);
  if (number == 4) return load<u64>(cpu, PARA + PARAVCPU_cr4);
  generalProtection(cpu, 0);
  return 0;
}

/** MOV to them: of CR0 it may change TS. CR3 is for mmuext_op. */
export function writeControl(cpu: usize, number: u32, value: u64): void {
  if (number == 0) setTaskSwitched(cpu, (value & CR0_TS) != 0);
  else if (number == 2) store<u64>(vcpuInfo(cpu), value, VCPU_INFO_CR2);
  else if (number == 4) setGuestCr4(cpu, value);
  else generalProtection(cpu, 0);
}

export function readDebug(cpu: usize, number: u32): u64 {
  return <u64>getDebugRegister(cpu, number);
}

export function writeDebug(cpu: usize, number: u32, value: u64): void {
  if (setDebugRegister(cpu, number, value) != 0) generalProtection(cpu, 0);
}

const IA32_TIME_STAMP_COUNTER: u32 = 0x10;
const IA32_APIC_BASE: u32 = 0x1b;
const IA32_BIOS_SIGN_ID: u32 = 0x8b;
const IA32_MISC_ENABLE: u32 = 0x1a0;
const IA32_PAT: u32 = 0x277;
const IA32_EFER: u32 = 0xc0000080;
const IA32_FS_BASE: u32 = 0xc0000100;
const IA32_GS_BASE: u32 = 0xc0000101;
const IA32_KERNEL_GS_BASE: u32 = 0xc0000102;
const IA32_TSC_AUX: u32 = 0xc0000103;
/** As Xen sets it: WB, WT, UC-, UC, WC, WP. */
const PAT: u64 = 0x0000_0501_0007_0406;
/** Fast string operations; no branch trace store, no precise event-based sampling. */
const MISC_ENABLE: u64 = 1 | (1 << 11) | (1 << 12);
const APIC_BASE: u64 = 0xfee0_0900;

/** RDMSR: FS and GS, and a few that tell nothing. */
export function readRegister(cpu: usize, msr: u32): u64 {
  if (msr == IA32_FS_BASE) return load<u64>(cpu, CPU_segments + FS * SEGMENT_SIZE + SEGMENT_base);
  if (msr == IA32_GS_BASE) return load<u64>(cpu, CPU_segments + GS * SEGMENT_SIZE + SEGMENT_base);
  if (msr == IA32_KERNEL_GS_BASE) return load<u64>(cpu, PARA + PARAVCPU_gsBaseUser);
  if (msr == IA32_EFER) return load<u64>(cpu, CPU_efer);
  if (msr == IA32_TIME_STAMP_COUNTER) return readTsc(cpu);
  if (msr == IA32_PAT) return PAT;
  if (msr == IA32_MISC_ENABLE) return MISC_ENABLE;
  if (msr == IA32_APIC_BASE) return APIC_BASE;
  if (msr == IA32_BIOS_SIGN_ID || (msr == IA32_TSC_AUX && hasFeature(cpu, FEATURE_rdtscp))) return 0;
  generalProtection(cpu, 0);
  return 0;
}

/** WRMSR: others may be written what they hold. */
export function writeRegister(cpu: usize, msr: u32, value: u64): void {
  if (msr == IA32_FS_BASE || msr == IA32_GS_BASE || msr == IA32_KERNEL_GS_BASE) {
    if (!isCanonical(value)) generalProtection(cpu, 0);
    if (msr == IA32_KERNEL_GS_BASE) store<u64>(cpu, value, PARA + PARAVCPU_gsBaseUser);
    else setBase(cpu, msr == IA32_FS_BASE ? FS : GS, value);
  } else if (readRegister(cpu, msr) != value) generalProtection(cpu, 0);
}

/** IN and OUT: behind no port is anything. Raises #GP where IOPL, as PHYSDEVOP_set_iopl set it, does not permit them. */
export function checkPorts(cpu: usize): void {
  if (load<u32>(cpu, PARA + PARAVCPU_iopl) < (isParaKernel(cpu) ? 1 : 3)) generalProtection(cpu, 0);
}
