/**
 * Ring compression (core/vmm/full): the vCPU as it physically is, with the guest's kernel at ring 1, and as the guest believes it to be, at ring 0.
 * Which of the two the state is now, `Cpu.compressed` says; what is different between them is listed there. Reach, TLB mode and code size
 * are the same for both: pages know only user and supervisor, and limits know no ring.
 */
import {
  CPU_compressed,
  CPU_cpl,
  CPU_cr0,
  CPU_eflags,
  CPU_facts,
  CPU_lowered,
  CPU_masked,
  CPU_virtualIopl,
  CS,
  FACT_COMPRESSED,
  SEGMENT_attributes,
  SEGMENT_selector,
  SS,
} from './layout';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP } from './control';
import { attributesOf, isConforming, segmentAt, selectorOf } from './descriptors';
import { FLAG_IF, FLAG_IOPL } from './flags';

/** What a guest sees of the VMM's own tables, where nothing hides them: they are in no address space of the guest. */
export const VMM_GDT: u64 = 0xffff_fe00_ffff_0000;
export const VMM_GDT_LIMIT: u32 = 0xfeff;
export const VMM_IDT: u64 = 0xffff_fe00_fffe_f000;
export const VMM_IDT_LIMIT: u32 = 0xfff;
export const VMM_LDT_SELECTOR: u32 = 0xfe80;
export const VMM_TSS_SELECTOR: u32 = 0xfe90;

const DPL_1: u32 = 1 << 5;
const DESCRIPTOR_DPL: u64 = 3 << 45;
const DESCRIPTOR_DPL_1: u64 = 1 << 45;

// @ts-ignore: decorator
@inline
export function isCompressed(cpu: usize): bool {
  return load<u32>(cpu, CPU_compressed) != 0;
}

/** CPL as the guest believes it is, in either view: for what is neither privileged nor translated and yet looks at it. */
export function believedCpl(cpu: usize): u32 {
  const cpl = load<u32>(cpu, CPU_cpl);
  return cpl == 1 ? cpl - load<u32>(cpu, CPU_lowered) : cpl;
}

/** CR0 as the processor needs it: protected, paged and write-protected whatever the guest believes; the rest is the guest's. */
export function physicalCr0(cr0: u64): u64 {
  return cr0 | CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
}

/** A descriptor of the guest's as the processor has it: there is no ring 0 in it. */
export function physicalDescriptor(descriptor: u64): u64 {
  return descriptor & DESCRIPTOR_DPL ? descriptor : descriptor | DESCRIPTOR_DPL_1;
}

/** Whether ring 1 can stand for where the guest is: not in real-address mode, nor before CS and SS were loaded after it. */
function isCompressible(cpu: usize): bool {
  if (!(load<u64>(cpu, CPU_cr0) & CR0_PE)) return false;
  const cpl = load<u32>(cpu, CPU_cpl);
  if (cpl == 3) return true;
  if ((selectorOf(cpu, CS) & 3) != cpl || (selectorOf(cpu, SS) & 3) != cpl) return false;
  const code = attributesOf(cpu, CS);
  return ((attributesOf(cpu, SS) >> 5) & 3) == cpl && (isConforming(code) || ((code >> 5) & 3) == cpl);
}

/** Adds to the ring in CS and SS: selectors' RPL, descriptors' DPL. */
// @ts-ignore: decorator
@inline
function turn(cpu: usize): void {
  const code = segmentAt(cpu, CS);
  store<u32>(code, load<u32>(code, SEGMENT_selector) ^ 1, SEGMENT_selector);
  const attributes = load<u32>(code, SEGMENT_attributes);
  if (!isConforming(attributes)) store<u32>(code, attributes ^ DPL_1, SEGMENT_attributes);
  const stack = segmentAt(cpu, SS);
  store<u32>(stack, load<u32>(stack, SEGMENT_selector) ^ 1, SEGMENT_selector);
  store<u32>(stack, load<u32>(stack, SEGMENT_attributes) ^ DPL_1, SEGMENT_attributes);
}

/** Makes the vCPU what it physically is, if that is another thing than what the guest believes. */
export function compress(cpu: usize): void {
  if (load<u32>(cpu, CPU_compressed)) return;
  const facts = load<u32>(cpu, CPU_facts);
  if (!isCompressible(cpu)) {
    store<u32>(cpu, facts & ~FACT_COMPRESSED, CPU_facts);
    return;
  }
  const eflags = load<u32>(cpu, CPU_eflags);
  store<u32>(cpu, ~eflags & FLAG_IF, CPU_masked);
  store<u32>(cpu, eflags & FLAG_IOPL, CPU_virtualIopl);
  store<u32>(cpu, (eflags & ~FLAG_IOPL) | FLAG_IF, CPU_eflags);
  const cpl = load<u32>(cpu, CPU_cpl);
  // Of a program: for when its kernel is next entered.
  store<u32>(cpu, u32(cpl != 1), CPU_lowered);
  if (cpl == 0) {
    store<u32>(cpu, 1, CPU_cpl);
    turn(cpu);
  }
  store<u32>(cpu, facts | FACT_COMPRESSED, CPU_facts);
  store<u32>(cpu, 1, CPU_compressed);
}

/** Makes the vCPU what the guest believes it to be: whatever is done to it now is done as on a processor of its own. */
export function uncompress(cpu: usize): void {
  if (!load<u32>(cpu, CPU_compressed)) return;
  store<u32>(cpu, 0, CPU_compressed);
  const eflags = (load<u32>(cpu, CPU_eflags) ^ load<u32>(cpu, CPU_masked)) & ~FLAG_IOPL;
  store<u32>(cpu, eflags | load<u32>(cpu, CPU_virtualIopl), CPU_eflags);
  store<u32>(cpu, 0, CPU_masked);
  store<u32>(cpu, 0, CPU_virtualIopl);
  if (load<u32>(cpu, CPU_cpl) == 1 && load<u32>(cpu, CPU_lowered)) {
    store<u32>(cpu, 0, CPU_cpl);
    turn(cpu);
  }
  store<u32>(cpu, 0, CPU_lowered);
}
