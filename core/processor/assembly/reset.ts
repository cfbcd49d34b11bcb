/** The processor's state after power-up, RESET and INIT (SDM vol. 3A, table 10-1). */
import {
  CPU_apicBase,
  CPU_cr0,
  CPU_cr2,
  CPU_delivering,
  CPU_dr,
  CPU_eflags,
  CPU_fpuControl,
  CPU_fpuTag,
  CPU_gdtr,
  CPU_gpr,
  CPU_halted,
  CPU_idtr,
  CPU_index,
  CPU_interruptShadow,
  CPU_miscEnable,
  CPU_mxcsr,
  CPU_pat,
  CPU_physicalMask,
  CPU_rip,
  CPU_segments,
  CPU_shutdown,
  CPU_xcr0,
  CPU_faultPending,
  CPU_cr3,
  CPU_cr4,
  CPU_efer,
  CPU_compressed,
  CPU_cpl,
  CPU_lowered,
  CPU_masked,
  CPU_trapped,
  CPU_virtualIopl,
  CS,
  DESCRIPTORTABLE_base,
  DESCRIPTORTABLE_limit,
  DS,
  ES,
  FEATURE_pse36,
  FS,
  GS,
  LDTR,
  SEGMENT_SIZE,
  SEGMENT_attributes,
  SEGMENT_base,
  SEGMENT_limit,
  SEGMENT_selector,
  SHUTDOWN_NONE,
  SS,
  TR,
} from './layout';
import { cpuidEax, hasFeature } from './cpuid';
import { setArithmeticFlags } from './flags';
import { updateReach } from './segments';
import { resetTlb } from './tlb';

const CR0_ET: u64 = 0x10;
const CR0_CD_NW: u64 = 0x60000000;
const DATA: u32 = 0x93;
const CODE: u32 = 0x9b;
const LDT: u32 = 0x82;
const TSS_BUSY: u32 = 0x8b;
const APIC_BASE: u64 = 0xfee00000;
const APIC_ENABLE: u64 = 1 << 11;
const APIC_BSP: u64 = 1 << 8;
/** Fast strings; no branch trace store, no precise event-based sampling. */
const MISC_ENABLE: u64 = 1 | (1 << 11) | (1 << 12);

function setSegment(cpu: usize, index: u32, selector: u32, base: u64, attributes: u32): void {
  const at = cpu + CPU_segments + <usize>index * SEGMENT_SIZE;
  store<u64>(at, base, SEGMENT_base);
  store<u32>(at, 0xffff, SEGMENT_limit);
  store<u32>(at, attributes, SEGMENT_attributes);
  store<u32>(at, selector, SEGMENT_selector);
}

/** What power-up and INIT set alike. */
function setCommon(cpu: usize): void {
  memory.fill(cpu + CPU_gpr, 0, 16 * 8);
  store<u64>(cpu, cpuidEax(cpu, 1), CPU_gpr + 16);
  store<u64>(cpu, 0xfff0, CPU_rip);
  store<u32>(cpu, 2, CPU_eflags);
  setArithmeticFlags(cpu, 0);
  setSegment(cpu, CS, 0xf000, 0xffff0000, CODE);
  setSegment(cpu, SS, 0, 0, DATA);
  setSegment(cpu, DS, 0, 0, DATA);
  setSegment(cpu, ES, 0, 0, DATA);
  setSegment(cpu, FS, 0, 0, DATA);
  setSegment(cpu, GS, 0, 0, DATA);
  setSegment(cpu, LDTR, 0, 0, LDT);
  setSegment(cpu, TR, 0, 0, TSS_BUSY);
  store<u64>(cpu + CPU_gdtr, 0, DESCRIPTORTABLE_base);
  store<u32>(cpu + CPU_gdtr, 0xffff, DESCRIPTORTABLE_limit);
  store<u64>(cpu + CPU_idtr, 0, DESCRIPTORTABLE_base);
  store<u32>(cpu + CPU_idtr, 0xffff, DESCRIPTORTABLE_limit);
  store<u64>(cpu, 0, CPU_cr2);
  store<u64>(cpu, 0, CPU_cr3);
  store<u64>(cpu, 0, CPU_cr4);
  store<u64>(cpu, 0, CPU_efer);
  for (let i: usize = 0; i < 4; i++) store<u64>(cpu + CPU_dr + (i << 3), 0);
  store<u64>(cpu, 0xffff0ff0, CPU_dr + 48);
  store<u64>(cpu, 0x400, CPU_dr + 56);
  store<u32>(cpu, 0, CPU_cpl);
  store<u32>(cpu, 0, CPU_compressed);
  store<u32>(cpu, 0, CPU_lowered);
  store<u32>(cpu, 0, CPU_masked);
  store<u32>(cpu, 0, CPU_virtualIopl);
  store<u32>(cpu, 0, CPU_trapped);
  store<u32>(cpu, 0, CPU_interruptShadow);
  store<u32>(cpu, 0, CPU_halted);
  store<u32>(cpu, 0, CPU_faultPending);
  store<u32>(cpu, 0xffffffff, CPU_delivering);
  store<u32>(cpu, SHUTDOWN_NONE, CPU_shutdown);
}

function finish(cpu: usize): void {
  resetTlb(cpu);
  updateReach(cpu);
}

/**
 * Power-on state. Needs `Cpu.index`, `apicId`, the CPUID table and `features`, which it keeps; must have been called once before anything
 * else works on the vCPU.
 */
export function resetCpu(cpu: usize): void {
  memory.fill(cpu, 0, CPU_index);
  const bits = cpuidEax(cpu, 0x80000008) & 0xff;
  const width = bits ? bits : hasFeature(cpu, FEATURE_pse36) ? 36 : 32;
  store<u64>(cpu, ((<u64>1) << width) - 1, CPU_physicalMask);
  setCommon(cpu);
  store<u64>(cpu, CR0_CD_NW | CR0_ET, CPU_cr0);
  store<u16>(cpu, 0x40, CPU_fpuControl);
  store<u16>(cpu, 0x5555, CPU_fpuTag);
  store<u32>(cpu, 0x1f80, CPU_mxcsr);
  store<u64>(cpu, 1, CPU_xcr0);
  store<u64>(cpu, 0x0007040600070406, CPU_pat);
  store<u64>(cpu, MISC_ENABLE, CPU_miscEnable);
  store<u64>(cpu, APIC_BASE | APIC_ENABLE | (load<u32>(cpu, CPU_index) == 0 ? APIC_BSP : 0), CPU_apicBase);
  finish(cpu);
}

/** INIT: as power-on, but x87 and SSE state, MSRs other than EFER, CR0.CD and CR0.NW, and the TSC stay. */
export function initCpu(cpu: usize): void {
  const cr0 = load<u64>(cpu, CPU_cr0) & CR0_CD_NW;
  setCommon(cpu);
  store<u64>(cpu, cr0 | CR0_ET, CPU_cr0);
  finish(cpu);
}
