/**
 * Address translation in a para VM: 4-level paging over tables that have been validated (para_tables.ts), so that nothing in them is reserved or beyond
 * memory. Kernel and programs have tables of their own. Entries of the upper half count as global: `MMUEXT_NEW_BASEPTR` keeps them where it is the same.
 */
import {
  CPU_cr2,
  CPU_faultPending,
  CPU_para,
  CPU_walkFlags,
  CPU_walkPhysical,
  HYPERVISOR_VIRT_END,
  HYPERVISOR_VIRT_START,
  MACH2PHYS_VIRT_ALIAS,
  PAGEINFO_SIZE,
  PAGEINFO_type,
  PAGEINFO_typeCount,
  PARAVCPU_kernelCr3,
  PARAVCPU_userCr3,
  PARA_frames,
  PARA_m2p,
  PARA_m2pFrames,
  PARA_pages,
  PGT_l1_page_table,
  TLBENTRY_addend,
  TLBENTRY_readTag,
  TLBENTRY_writeTag,
  TLB_SUPERVISOR,
  TLB_USER,
} from './layout';
import { invalidateCode } from './codepages';
import { isCanonical } from './descriptors';
import { A, ADDRESS, D, P, RW, US, XD } from './entries';
import { ACCESS_READ, ACCESS_WRITE, CHANGED, FAULT, FOUND, combine, found, mark64, permitted, walkFault } from './paging';
import { PF_PRESENT } from './fault';
import { domain, ramAt } from './para';
import {
  WALK_DIRTY,
  WALK_GLOBAL,
  WALK_NO_EXECUTE,
  WALK_TABLE,
  WALK_USER,
  WALK_WRITE,
  fillTlb,
  isRom,
  knownDirectory,
  rememberDirectory,
  tlbEntry,
} from './tlb';

/** Added to a region for the directories of programs (see `knownDirectory`). */
const USER_REGION: u64 = 2;

/** Host address of the entry for `index` (times 8) in the table that `entry` refers to; 0: it is beyond memory. */
// @ts-ignore: decorator
@inline
function below(frames: u64, entry: u64, index: u64): usize {
  const table = entry & ADDRESS;
  return table >>> 12 < frames ? ramAt(<u32>(table + index)) : 0;
}

/** The machine-to-physical table, which the guest's kernel reads in every address space. */
function isTranslationTable(cpu: usize, linear: u64, access: u32, mode: u32): bool {
  const offset = linear - (linear < MACH2PHYS_VIRT_ALIAS ? HYPERVISOR_VIRT_START : MACH2PHYS_VIRT_ALIAS);
  const at = domain();
  if (mode == TLB_USER || access != ACCESS_READ || offset >= <u64>load<u32>(at, PARA_m2pFrames) << 12) return false;
  found(cpu, (<u64>load<u32>(at, PARA_m2p) << 12) + (offset & ~0xfff), WALK_DIRTY | WALK_NO_EXECUTE | WALK_GLOBAL);
  return true;
}

/** A table of the guest's that maps 4 KiB pages: the kernel's stores to it are done as updates. */
// @ts-ignore: decorator
@inline
function isPageTable(frame: u64): bool {
  const at = domain();
  const page = <usize>load<u32>(at, PARA_pages) + <usize>frame * PAGEINFO_SIZE;
  return load<u8>(page, PAGEINFO_type) == PGT_l1_page_table && load<u32>(page, PAGEINFO_typeCount) != 0;
}

/** As the walks of paging.ts. The result may have WALK_TABLE. */
export function walkPara(cpu: usize, linear: u64, access: u32, mode: u32): u32 {
  if (linear >= HYPERVISOR_VIRT_START && linear < HYPERVISOR_VIRT_END) {
    if (isTranslationTable(cpu, linear, access, mode)) return FOUND;
    return walkFault(cpu, linear, access, mode, access == ACCESS_WRITE && isTranslationTable(cpu, linear, ACCESS_READ, mode) ? PF_PRESENT : 0);
  }
  const frames = <u64>load<u32>(domain(), PARA_frames);
  const region = (linear & ~0x1fffff) | (mode == TLB_USER ? USER_REGION : 0);
  let directory = knownDirectory(cpu, region);
  if (directory == 0) {
    const base = mode == TLB_USER ? load<u64>(cpu, CPU_para + PARAVCPU_userCr3) : load<u64>(cpu, CPU_para + PARAVCPU_kernelCr3);
    let at = below(frames, base, (linear >>> 36) & 0xff8);
    let entry: u64 = base != 0 && at ? load<u64>(at) : 0;
    if (!(entry & P)) return walkFault(cpu, linear, access, mode, 0);
    if (!mark64(at, entry, A)) return CHANGED;
    let rights = entry;
    at = below(frames, entry, (linear >>> 27) & 0xff8);
    entry = at ? load<u64>(at) : 0;
    if (!(entry & P)) return walkFault(cpu, linear, access, mode, 0);
    if (!mark64(at, entry, A)) return CHANGED;
    rights = combine(rights, entry);
    at = below(frames, entry, (linear >>> 18) & 0xff8);
    entry = at ? load<u64>(at) : 0;
    if (!(entry & P)) return walkFault(cpu, linear, access, mode, 0);
    if (!mark64(at, entry, A)) return CHANGED;
    directory = (entry & ADDRESS) | combine(rights, entry) | P;
    // Flushes keep what is remembered of the upper half: that has to be the kernel's.
    if (mode != TLB_USER || <i64>linear >= 0) rememberDirectory(cpu, region, directory);
  }
  const at = below(frames, directory, (linear >>> 9) & 0xff8);
  const page: u64 = at ? load<u64>(at) : 0;
  if (!(page & P)) return walkFault(cpu, linear, access, mode, 0);
  const rights = combine(directory, page);
  const frame = (page & ADDRESS) >>> 12;
  if (frame >= frames) return walkFault(cpu, linear, access, mode, 0);
  let flags: u32 = <i64>linear < 0 && mode != TLB_USER ? WALK_GLOBAL : 0;
  if (rights & RW) flags |= WALK_WRITE;
  if (rights & US) flags |= WALK_USER;
  if (rights & XD) flags |= WALK_NO_EXECUTE;
  if (!permitted(cpu, access, mode, flags)) {
    if (access != ACCESS_WRITE || mode == TLB_USER || !isPageTable(frame)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
    found(cpu, page & ADDRESS, flags | WALK_TABLE);
    return FOUND;
  }
  const write = access == ACCESS_WRITE;
  if (!mark64(at, page, write ? A | D : A)) return CHANGED;
  if (write || page & D) flags |= WALK_DIRTY;
  found(cpu, page & ADDRESS, flags);
  return FOUND;
}

/**
 * Host address of the byte at a linear address, by the page table and with the rights of the guest's kernel (TLB_SUPERVISOR) or its programs (TLB_USER), good to
 * the end of the page and until the guest runs again; 0: it may not access that. Never in the VMM's range. Raises nothing. Code on a page that
 * is to be written is made stale.
 */
export function addressIn(cpu: usize, mode: u32, linear: u64, write: bool): usize {
  const entry = tlbEntry(cpu, mode, linear);
  const page = linear & ~0xfff;
  if (linear >= HYPERVISOR_VIRT_START && linear < HYPERVISOR_VIRT_END) return 0;
  if ((write ? load<u64>(entry, TLBENTRY_writeTag) : load<u64>(entry, TLBENTRY_readTag)) == page)
    return <usize>(<u32>linear + load<u32>(entry, TLBENTRY_addend));
  if (!isCanonical(linear)) return 0;
  const cr2 = load<u64>(cpu, CPU_cr2);
  const pending = load<u32>(cpu, CPU_faultPending);
  let end = CHANGED;
  while (end == CHANGED) end = walkPara(cpu, linear, write ? ACCESS_WRITE : ACCESS_READ, mode);
  if (end == FAULT) {
    store<u64>(cpu, cr2, CPU_cr2);
    store<u32>(cpu, pending, CPU_faultPending);
    return 0;
  }
  const flags = load<u32>(cpu, CPU_walkFlags);
  if (flags & WALK_TABLE) return 0;
  const ram = <u32>load<u64>(cpu, CPU_walkPhysical);
  fillTlb(cpu, mode, linear, ram, flags, false);
  if (write) {
    if (isRom(ram)) return 0;
    invalidateCode(ram >>> 12, 0, 0xfff);
  }
  return ramAt(ram) + (<usize>linear & 0xfff);
}

export function kernelAddress(cpu: usize, linear: u64, write: bool): usize {
  return addressIn(cpu, TLB_SUPERVISOR, linear, write);
}

/** `kernelAddress` for the host: `write` is 0 or 1. */
export function guestAddress(cpu: usize, low: u32, high: u32, write: u32): usize {
  return kernelAddress(cpu, (<u64>high << 32) | <u64>low, write != 0);
}

/** Copies `size` bytes (at most a page) from the guest's kernel to `at` or, if `write`, to it from there; false: it may not access all of them. */
export function copyKernel(cpu: usize, linear: u64, at: usize, size: usize, write: bool): bool {
  const room = 0x1000 - (<usize>linear & 0xfff);
  const part = min<usize>(room, size);
  const first = kernelAddress(cpu, linear, write);
  if (first == 0) return false;
  let second: usize = 0;
  if (part < size) {
    second = kernelAddress(cpu, linear + part, write);
    if (second == 0) return false;
  }
  if (write) {
    memory.copy(first, at, part);
    if (part < size) memory.copy(second, at + part, size - part);
  } else {
    memory.copy(at, first, part);
    if (part < size) memory.copy(at + part, second, size - part);
  }
  return true;
}
