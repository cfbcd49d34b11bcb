/** Control and debug registers (SDM vol. 3A, 2.5 and 17.2; vol. 2, MOV CR, MOV DR). */
import {
  CODE_64,
  CPU_codeSize,
  CPU_cpl,
  CPU_cr0,
  CPU_cr2,
  CPU_cr3,
  CPU_cr4,
  CPU_cr8,
  CPU_dr,
  CPU_efer,
  CPU_physicalMask,
  CPU_segments,
  CS,
  FEATURE_apic,
  FEATURE_de,
  FEATURE_fsgsbase,
  FEATURE_fxsr,
  FEATURE_mce,
  FEATURE_pae,
  FEATURE_pcid,
  FEATURE_pge,
  FEATURE_pse,
  FEATURE_smap,
  FEATURE_smep,
  FEATURE_sse,
  FEATURE_tsc,
  FEATURE_umip,
  FEATURE_xsave,
  RECORD_extra,
  SEGMENT_SIZE,
  SEGMENT_attributes,
} from './layout';
import { hasFeature } from './cpuid';
import { VECTOR_DB, faultNoError, generalProtection, undefinedOpcode } from './fault';
import { readTaskPriority, taskPriority } from './host';
import { effectiveAddress, isRegister, linearAddress, operandSegment, operandSize, readRm16, rmAddress, writeRegister, writeRm16 } from './operands';
import { loadPdptes } from './paging';
import { isParaKernel } from './para';
import { readControl, readDebug, writeControl, writeDebug } from './para_privileged';
import { setTaskSwitched } from './para_state';
import { isCompressed, physicalCr0 } from './rings';
import { updateFacts, updateReach } from './segments';
import { flushTlb, invalidatePage } from './tlb';

export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 1 << 1;
export const CR0_EM: u64 = 1 << 2;
export const CR0_TS: u64 = 1 << 3;
export const CR0_ET: u64 = 1 << 4;
export const CR0_NE: u64 = 1 << 5;
export const CR0_WP: u64 = 1 << 16;
export const CR0_AM: u64 = 1 << 18;
export const CR0_NW: u64 = 1 << 29;
export const CR0_CD: u64 = 1 << 30;
export const CR0_PG: u64 = 1 << 31;
const CR0_DEFINED: u64 = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

export const CR4_TSD: u64 = 1 << 2;
export const CR4_DE: u64 = 1 << 3;
export const CR4_PSE: u64 = 1 << 4;
export const CR4_PAE: u64 = 1 << 5;
export const CR4_MCE: u64 = 1 << 6;
export const CR4_PGE: u64 = 1 << 7;
export const CR4_PCE: u64 = 1 << 8;
export const CR4_OSFXSR: u64 = 1 << 9;
export const CR4_OSXMMEXCPT: u64 = 1 << 10;
export const CR4_UMIP: u64 = 1 << 11;
export const CR4_FSGSBASE: u64 = 1 << 16;
export const CR4_PCIDE: u64 = 1 << 17;
export const CR4_OSXSAVE: u64 = 1 << 18;
export const CR4_SMEP: u64 = 1 << 20;
export const CR4_SMAP: u64 = 1 << 21;

export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 1 << 8;
export const EFER_LMA: u64 = 1 << 10;
export const EFER_NXE: u64 = 1 << 11;

const CS_ATTRIBUTES: usize = CPU_segments + CS * SEGMENT_SIZE + SEGMENT_attributes;

/** Raises #GP(0) unless CPL is 0 (which it is in real-address mode, and never in virtual-8086 mode). */
export function privileged(cpu: usize): void {
  if (load<u32>(cpu, CPU_cpl) != 0) generalProtection(cpu, 0);
}

// @ts-ignore: decorator
@inline
export function isCode64(cpu: usize): bool {
  return load<u32>(cpu, CPU_codeSize) == CODE_64;
}

// @ts-ignore: decorator
@inline
export function isCanonical(address: u64): bool {
  return (address + 0x800000000000) >>> 48 == 0;
}

/** Which bits of CR4 the model has. */
function cr4Defined(cpu: usize): u64 {
  let bits: u64 = CR4_PCE;
  if (hasFeature(cpu, FEATURE_tsc)) bits |= CR4_TSD;
  if (hasFeature(cpu, FEATURE_de)) bits |= CR4_DE;
  if (hasFeature(cpu, FEATURE_pse)) bits |= CR4_PSE;
  if (hasFeature(cpu, FEATURE_pae)) bits |= CR4_PAE;
  if (hasFeature(cpu, FEATURE_mce)) bits |= CR4_MCE;
  if (hasFeature(cpu, FEATURE_pge)) bits |= CR4_PGE;
  if (hasFeature(cpu, FEATURE_fxsr)) bits |= CR4_OSFXSR;
  if (hasFeature(cpu, FEATURE_sse)) bits |= CR4_OSXMMEXCPT;
  if (hasFeature(cpu, FEATURE_umip)) bits |= CR4_UMIP;
  if (hasFeature(cpu, FEATURE_fsgsbase)) bits |= CR4_FSGSBASE;
  if (hasFeature(cpu, FEATURE_pcid)) bits |= CR4_PCIDE;
  if (hasFeature(cpu, FEATURE_xsave)) bits |= CR4_OSXSAVE;
  if (hasFeature(cpu, FEATURE_smep)) bits |= CR4_SMEP;
  if (hasFeature(cpu, FEATURE_smap)) bits |= CR4_SMAP;
  return bits;
}

/** Loads the PDPTE registers where PAE paging is in use with the values given; raises #GP(0) where one has a reserved bit set. */
function reloadPdptes(cpu: usize, cr0: u64, cr3: u64, cr4: u64, efer: u64): void {
  if (cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA)) if (!loadPdptes(cpu, cr3)) generalProtection(cpu, 0);
}

/** Writes CR0 with all that hangs on it: paging, long mode's activation, TLB. */
export function setCr0(cpu: usize, value: u64): void {
  if (value >>> 32 != 0) generalProtection(cpu, 0);
  if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD))) generalProtection(cpu, 0);
  const next = (value & CR0_DEFINED) | CR0_ET;
  const old = load<u64>(cpu, CPU_cr0);
  const changed = old ^ next;
  const cr4 = load<u64>(cpu, CPU_cr4);
  let efer = load<u64>(cpu, CPU_efer);
  if (changed & CR0_PG) {
    if (next & CR0_PG) {
      if (efer & EFER_LME) {
        // Long mode needs PAE, and is entered from compatibility code: CS.L (bit 13 of the attributes) must be clear.
        if (!(cr4 & CR4_PAE) || codeIsLong(cpu)) generalProtection(cpu, 0);
        efer |= EFER_LMA;
      }
    } else {
      if (isCode64(cpu) || cr4 & CR4_PCIDE) generalProtection(cpu, 0);
      efer &= ~EFER_LMA;
    }
  }
  if (changed & (CR0_PG | CR0_CD | CR0_NW)) reloadPdptes(cpu, next, load<u64>(cpu, CPU_cr3), cr4, efer);
  store<u64>(cpu, next, CPU_cr0);
  store<u64>(cpu, efer, CPU_efer);
  if (changed & (CR0_PG | CR0_WP | CR0_PE)) flushTlb(cpu, false);
  updateReach(cpu);
}

/** Writes CR3: flushes all but global pages. With PCIDs the TLB keeps nothing of others: entries may go at any time. */
export function setCr3(cpu: usize, value: u64): void {
  const cr4 = load<u64>(cpu, CPU_cr4);
  let next = value;
  if (isCode64(cpu)) {
    if (cr4 & CR4_PCIDE) next &= ~(<u64>1 << 63);
    if (next & ~load<u64>(cpu, CPU_physicalMask) & ~0xfff) generalProtection(cpu, 0);
  } else next &= 0xffffffff;
  reloadPdptes(cpu, load<u64>(cpu, CPU_cr0), next, cr4, load<u64>(cpu, CPU_efer));
  store<u64>(cpu, next, CPU_cr3);
  flushTlb(cpu, true);
}

export function setCr4(cpu: usize, value: u64): void {
  if (value & ~cr4Defined(cpu)) generalProtection(cpu, 0);
  const old = load<u64>(cpu, CPU_cr4);
  const changed = old ^ value;
  const efer = load<u64>(cpu, CPU_efer);
  const cr3 = load<u64>(cpu, CPU_cr3);
  if (efer & EFER_LMA && !(value & CR4_PAE)) generalProtection(cpu, 0);
  if (changed & value & CR4_PCIDE && (!(efer & EFER_LMA) || cr3 & 0xfff)) generalProtection(cpu, 0);
  if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) reloadPdptes(cpu, load<u64>(cpu, CPU_cr0), cr3, value, efer);
  store<u64>(cpu, value, CPU_cr4);
  if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)) flushTlb(cpu, false);
  updateReach(cpu);
}

function codeIsLong(cpu: usize): bool {
  return (load<u32>(cpu, CS_ATTRIBUTES) & 0x2000) != 0;
}

// -- MOV CR

/** The number in modrm.reg, which the decoder stores there for an operand CRn or DRn. */
// @ts-ignore: decorator
@inline
function registerNumber(record: usize): u32 {
  return <u32>load<u16>(record, RECORD_extra);
}

/** A general register as MOV CR and MOV DR take it: 64 bits in 64-bit mode, else 32. */
function source(cpu: usize, record: usize): u64 {
  const at = rmAddress(cpu, record);
  return isCode64(cpu) ? load<u64>(at) : <u64>load<u32>(at);
}

function result(cpu: usize, record: usize, value: u64): void {
  store<u64>(rmAddress(cpu, record), isCode64(cpu) ? value : value & 0xffffffff);
}

/** 0F 20: MOV r, CRn. */
export function mov_from_cr(cpu: usize, record: usize): void {
  if (isParaKernel(cpu)) return result(cpu, record, readControl(cpu, registerNumber(record)));
  privileged(cpu);
  const number = registerNumber(record);
  if (number == 0) result(cpu, record, load<u64>(cpu, CPU_cr0));
  else if (number == 2) result(cpu, record, load<u64>(cpu, CPU_cr2));
  else if (number == 3) result(cpu, record, load<u64>(cpu, CPU_cr3));
  else if (number == 4) result(cpu, record, load<u64>(cpu, CPU_cr4));
  else if (number == 8) result(cpu, record, hasFeature(cpu, FEATURE_apic) ? <u64>readTaskPriority(cpu) : load<u64>(cpu, CPU_cr8));
  else undefinedOpcode(cpu);
}

/** 0F 22: MOV CRn, r. */
export function mov_to_cr(cpu: usize, record: usize): void {
  if (isParaKernel(cpu)) return writeControl(cpu, registerNumber(record), source(cpu, record));
  privileged(cpu);
  const number = registerNumber(record);
  const value = source(cpu, record);
  if (number == 0) setCr0(cpu, value);
  else if (number == 2) store<u64>(cpu, value, CPU_cr2);
  else if (number == 3) setCr3(cpu, value);
  else if (number == 4) setCr4(cpu, value);
  else if (number == 8) {
    if (value > 15) generalProtection(cpu, 0);
    store<u64>(cpu, value, CPU_cr8);
    taskPriority(cpu, <u32>value);
  } else undefinedOpcode(cpu);
}

/** 0F 06. */
export function clts(cpu: usize, record: usize): void {
  if (isParaKernel(cpu)) return setTaskSwitched(cpu, false);
  privileged(cpu);
  store<u64>(cpu, load<u64>(cpu, CPU_cr0) & ~CR0_TS, CPU_cr0);
  updateFacts(cpu);
}

/** 0F 01 /6: sets PE (never clears it), MP, EM and TS. */
export function lmsw(cpu: usize, record: usize): void {
  privileged(cpu);
  const value = <u64>readRm16(cpu, record);
  const cr0 = load<u64>(cpu, CPU_cr0);
  setCr0(cpu, (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
}

/** 0F 01 /4. */
export function smsw(cpu: usize, record: usize): void {
  if (load<u64>(cpu, CPU_cr4) & CR4_UMIP) privileged(cpu);
  const cr0 = isCompressed(cpu) ? physicalCr0(load<u64>(cpu, CPU_cr0)) : load<u64>(cpu, CPU_cr0);
  if (isRegister(record)) writeRegister(rmAddress(cpu, record), cr0, operandSize(cpu, record));
  else writeRm16(cpu, record, <u32>cr0 & 0xffff);
}

// -- MOV DR

const DR7_GD: u64 = 1 << 13;
const DR6_BD: u64 = 1 << 13;
const DR6_FIXED: u64 = 0xffff0ff0;
const DR6_DEFINED: u64 = 0xe00f;
const DR7_FIXED: u64 = 0x400;
const DR7_DEFINED: u64 = 0xffff23ff;

/** The number of the debug register, with DR4 and DR5 as aliases unless CR4.DE is set. */
function debugNumber(cpu: usize, record: usize): u32 {
  const number = registerNumber(record);
  if (number > 7) undefinedOpcode(cpu);
  if (number == 4 || number == 5) {
    if (load<u64>(cpu, CPU_cr4) & CR4_DE) undefinedOpcode(cpu);
    return number + 2;
  }
  return number;
}

/** DR7.GD: any access raises #DB, with DR6.BD set and GD cleared for the handler. */
function guardDebug(cpu: usize): void {
  if (!(load<u64>(cpu, CPU_dr + 56) & DR7_GD)) return;
  store<u64>(cpu, load<u64>(cpu, CPU_dr + 48) | DR6_BD, CPU_dr + 48);
  store<u64>(cpu, load<u64>(cpu, CPU_dr + 56) & ~DR7_GD, CPU_dr + 56);
  faultNoError(cpu, VECTOR_DB);
}

/** 0F 21: MOV r, DRn. */
export function mov_from_dr(cpu: usize, record: usize): void {
  if (isParaKernel(cpu)) return result(cpu, record, readDebug(cpu, debugNumber(cpu, record)));
  privileged(cpu);
  const number = debugNumber(cpu, record);
  guardDebug(cpu);
  result(cpu, record, load<u64>(cpu + CPU_dr + ((<usize>number) << 3)));
}

/** 0F 23: MOV DRn, r. */
export function mov_to_dr(cpu: usize, record: usize): void {
  if (isParaKernel(cpu)) return writeDebug(cpu, debugNumber(cpu, record), source(cpu, record));
  privileged(cpu);
  const number = debugNumber(cpu, record);
  guardDebug(cpu);
  let value = source(cpu, record);
  if (number >= 6) {
    if (value >>> 32 != 0) generalProtection(cpu, 0);
    value = number == 6 ? (value & DR6_DEFINED) | DR6_FIXED : (value & DR7_DEFINED) | DR7_FIXED;
  }
  store<u64>(cpu + CPU_dr + ((<usize>number) << 3), value);
  // Pages that hold a data breakpoint are closed to fast accesses as they come into the TLB.
  if (number != 6) flushTlb(cpu, false);
}

// -- TLB and caches

/** 0F 01 /7. A non-canonical address does nothing. */
export function invlpg(cpu: usize, record: usize): void {
  if (!isParaKernel(cpu)) privileged(cpu);
  const linear = linearAddress(cpu, operandSegment(record), effectiveAddress(cpu, record));
  if (!isCode64(cpu) || isCanonical(linear)) invalidatePage(cpu, linear);
}
