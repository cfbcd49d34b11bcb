/**
 * Segments of a para VM: all of them are of privilege level 3. The GDT is made of frames that were validated (set_gdt); its last entries are the VMM's flat
 * ones. The LDT is read where the guest's kernel has it, and looked at each time.
 */
import {
  CODE_64,
  CPU_codeSize,
  CPU_para,
  CPU_reach,
  CPU_segments,
  CS,
  FIRST_RESERVED_GDT_ENTRY,
  FLAT_RING3_CS32,
  FLAT_RING3_CS64,
  FLAT_RING3_DS32,
  GS,
  PARAVCPU_gdtEntries,
  PARAVCPU_gdtFrames,
  PARAVCPU_gsBaseUser,
  PARAVCPU_ldtBase,
  PARAVCPU_ldtEntries,
  REACH_SIZE,
  REACH_base,
  SEGMENT_SIZE,
  SEGMENT_base,
  SEGMENT_selector,
  SS,
} from './layout';
import {
  DEFAULT_BIG,
  LONG,
  attributesOf,
  descriptorAttributes,
  descriptorBase,
  isCode,
  isNull,
  isPresent,
  isReadable,
  isWritableData,
  segmentAt,
  setFromDescriptor,
  setSegment,
} from './descriptors';
import { ramAt } from './para';
import { NO_DESCRIPTOR, permittedDescriptor } from './para_descriptors';
import { kernelAddress } from './para_walk';
import { updateReach } from './segments';
import { updateTlbMode } from './tlb';

const PARA: usize = CPU_para;
const GS_BASE: usize = CPU_segments + GS * SEGMENT_SIZE + SEGMENT_base;
const GS_REACH: usize = CPU_reach + GS * REACH_SIZE + REACH_base;

/** Descriptors of the VMM's entries of the GDT. */
const FLAT_CS32: u64 = 0x00cf_fb00_0000_ffff;
const FLAT_DS32: u64 = 0x00cf_f300_0000_ffff;
const FLAT_CS64: u64 = 0x00af_fb00_0000_ffff;

/** The descriptor that a selector names; 0: there is none (which is not present). */
export function paraDescriptor(cpu: usize, selector: u32): u64 {
  const index = (selector & 0xffff) >>> 3;
  if (selector & 4) {
    if (index >= load<u32>(cpu, PARA + PARAVCPU_ldtEntries)) return 0;
    const at = kernelAddress(cpu, load<u64>(cpu, PARA + PARAVCPU_ldtBase) + ((<u64>index) << 3), false);
    if (at == 0) return 0;
    const descriptor = permittedDescriptor(load<u64>(at));
    return descriptor == NO_DESCRIPTOR ? 0 : descriptor;
  }
  if (index < load<u32>(cpu, PARA + PARAVCPU_gdtEntries)) {
    const frame = load<u32>(cpu + PARA + PARAVCPU_gdtFrames + ((<usize>index >>> 9) << 2));
    return load<u64>(ramAt((frame << 12) + ((index & 511) << 3)));
  }
  const flat = (index << 3) | 3;
  return flat == FLAT_RING3_CS64 ? FLAT_CS64 : flat == FLAT_RING3_DS32 ? FLAT_DS32 : flat == FLAT_RING3_CS32 ? FLAT_CS32 : 0;
}

/** Selectors alone. */
export function setSelectors(cpu: usize, code: u32, stack: u32): void {
  store<u32>(segmentAt(cpu, CS), code, SEGMENT_selector);
  store<u32>(segmentAt(cpu, SS), stack, SEGMENT_selector);
}

/** 64-bit code and its stack, for the guest's kernel. The mode, and with it the base of GS, may have changed. */
export function setFlat(cpu: usize, code: u32, stack: u32): void {
  setFromDescriptor(cpu, CS, code, FLAT_CS64);
  setFromDescriptor(cpu, SS, stack, FLAT_DS32);
  derive(cpu);
}

/** What hangs on CS, the mode and the base of GS. */
function derive(cpu: usize): void {
  if (load<u32>(cpu, CPU_codeSize) == CODE_64 && attributesOf(cpu, CS) & LONG) {
    store<u64>(cpu, load<u64>(cpu, GS_BASE), GS_REACH);
    updateTlbMode(cpu);
  } else updateReach(cpu);
}

/** Loads CS and SS (RPL 3) as an interrupt return does; where it may not, the selectors alone are loaded, into flat segments, and it is false. */
export function loadFrameSegments(cpu: usize, code: u32, stack: u32): bool {
  if (code == FLAT_RING3_CS64 && stack == FLAT_RING3_DS32) {
    setFlat(cpu, code, stack);
    return true;
  }
  const codeDescriptor = paraDescriptor(cpu, code);
  const codeAttributes = descriptorAttributes(codeDescriptor);
  const stackDescriptor = paraDescriptor(cpu, stack);
  const stackAttributes = descriptorAttributes(stackDescriptor);
  const both = LONG | DEFAULT_BIG;
  if (
    isNull(code) ||
    !isCode(codeAttributes) ||
    !isPresent(codeAttributes) ||
    (codeAttributes & both) == both ||
    isNull(stack) ||
    !isWritableData(stackAttributes) ||
    !isPresent(stackAttributes)
  ) {
    setFlat(cpu, code, stack);
    return false;
  }
  setFromDescriptor(cpu, CS, code, codeDescriptor);
  setFromDescriptor(cpu, SS, stack, stackDescriptor);
  derive(cpu);
  return true;
}

/** SEGBASE_GS_USER_SEL: the selector goes into GS, the base it has into the program's. False: there is no such segment, and GS is null. */
export function loadUserGs(cpu: usize, selector: u32): bool {
  const descriptor = paraDescriptor(cpu, selector);
  const attributes = descriptorAttributes(descriptor);
  const fits = !isNull(selector) && isReadable(attributes) && isPresent(attributes);
  const base = load<u64>(cpu, GS_BASE);
  if (fits) setFromDescriptor(cpu, GS, selector, descriptor);
  else setSegment(cpu, GS, isNull(selector) ? selector : 0, 0, 0, 0x10000);
  store<u64>(cpu, base, GS_BASE);
  store<u64>(cpu, fits ? descriptorBase(descriptor) : 0, PARA + PARAVCPU_gsBaseUser);
  return fits || isNull(selector);
}
