/** Paravirtualization: the first page table of a domain, and those in use. */
import { CPU_cr3, CPU_para, PAGEINFO_pinned, PARAVCPU_kernelCr3, PGT_l4_page_table } from './layout';
import { EINVAL, dropType, lockPara, pageInfo, takeType, unlockPara } from './para_pages';

/**
 * Before the first instruction of a domain, whose memory and registers the loader has prepared: validates the page tables that `ParaVcpu.kernelCr3` refers to. They are pinned,
 * as those of Xen's domain builder are, and in use. 0, or a negative error.
 */
export function paraStart(cpu: usize): i32 {
  const base = load<u64>(cpu + CPU_para, PARAVCPU_kernelCr3);
  store<u64>(cpu, base, CPU_cr3);
  const frame = base >>> 44 ? 0xffffffff : <u32>(base >>> 12);
  lockPara(cpu);
  const valid = takeType(cpu, frame, PGT_l4_page_table);
  if (valid) {
    takeType(cpu, frame, PGT_l4_page_table);
    store<u8>(pageInfo(frame), 1, PAGEINFO_pinned);
  }
  unlockPara();
  return valid ? 0 : -EINVAL;
}

/** Puts another table in the place of one that is in use, at `field` of `ParaVcpu`; frame 0: none. False: it cannot be that. */
export function replaceBase(cpu: usize, field: usize, frame: u32): bool {
  const before = <u32>(load<u64>(cpu + CPU_para + field) >>> 12);
  if (frame != 0 && !takeType(cpu, frame, PGT_l4_page_table)) return false;
  store<u64>(cpu + CPU_para + field, (<u64>frame) << 12);
  if (before != 0) dropType(cpu, before);
  return true;
}
