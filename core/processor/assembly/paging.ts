/** Address translation: no paging, 32-bit, PAE and 4-level paging (SDM vol. 3A, chapter 4). */
import {
  ACTIVITY_MMU,
  CODEPAGE_blocks,
  CONTROL_ram,
  CONTROL_ramLow,
  CONTROL_ramSize,
  CPU_activity,
  CPU_cr0,
  CPU_cr3,
  CPU_cr4,
  CPU_efer,
  CPU_pdpte,
  CPU_physicalMask,
  CPU_walkFlags,
  CPU_walkPhysical,
  TLBENTRY_execTag,
  TLBENTRY_readTag,
  TLBENTRY_writeTag,
  TLB_SUPERVISOR,
  TLB_SUPERVISOR_SMAP,
  TLB_USER,
  TLB_USER_ALIGNED,
} from './layout';
import { codePage, invalidateCode } from './codepages';
import { A, ADDRESS, D, G, P, PS, RW, US, XD } from './entries';
import { PF_FETCH, PF_PRESENT, PF_RESERVED, PF_USER, PF_WRITE, generalProtection, leave, pendPageFault } from './fault';
import { countShadow } from './monitor';
import { isPara } from './para';
import { walkPara } from './para_walk';
import { hasPage1Gb, hasPse36 } from './cpuid';
import {
  WALK_DIRTY,
  WALK_GLOBAL,
  WALK_HUGE,
  WALK_LARGE,
  WALK_NO_EXECUTE,
  WALK_TABLE,
  WALK_USER,
  WALK_WRITE,
  fillTlb,
  isClosed,
  frameOf,
  isRom,
  knownDirectory,
  rememberDirectory,
  tlbEntry,
  tlbMode,
  twin,
  walkFlagsOf,
} from './tlb';

export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 1;
export const ACCESS_FETCH: u32 = 2;

/** Set in the result of `translate` where the page is not RAM: the rest is the guest-physical address. */
export const MMIO: u64 = 1 << 63;
/** The page is a page table of a para VM: the rest is its RAM offset. What is written to it is an update, which `pageTableWrite` does. */
export const TABLE: u64 = 1 << 62;
export const NOT_RAM: u32 = 0xffffffff;

const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_SMEP: u64 = 1 << 20;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;


/** RAM offset of a guest-physical address, or NOT_RAM. */
export function ramOffset(physical: u64): u32 {
  const low = load<u32>(0, CONTROL_ramLow);
  if (physical < <u64>low) return physical - 0xa0000 < 0x20000 ? NOT_RAM : <u32>physical;
  if (physical >= 0x100000000 && physical - 0x100000000 < <u64>(load<u32>(0, CONTROL_ramSize) - low))
    return low + <u32>(physical - 0x100000000);
  return NOT_RAM;
}

/** Host address of a paging-structure entry, or 0 where there is no RAM: it then reads as all ones. */
// @ts-ignore: decorator
@inline
function entryAddress(physical: u64): usize {
  const at = ramOffset(physical);
  return at == NOT_RAM ? 0 : <usize>load<u32>(0, CONTROL_ram) + at;
}

// @ts-ignore: decorator
@inline
function entry64(at: usize): u64 {
  return at ? load<u64>(at) : <u64>-1;
}

/** Sets `bits` in an entry that was read as `value`; false if another vCPU changed it meanwhile: the walk begins anew. */
export function mark64(at: usize, value: u64, bits: u64): bool {
  if ((value & bits) == bits || at == 0) return true;
  const offset = <u32>(at - load<u32>(0, CONTROL_ram));
  if (isRom(offset)) return true;
  if (atomic.cmpxchg<u64>(at, value, value | bits) != value) return false;
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + 7);
  return true;
}

function mark32(at: usize, value: u32, bits: u32): bool {
  if ((value & bits) == bits || at == 0) return true;
  const offset = <u32>(at - load<u32>(0, CONTROL_ram));
  if (isRom(offset)) return true;
  if (atomic.cmpxchg<u32>(at, value, value | bits) != value) return false;
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + 3);
  return true;
}

/** How a walk ends: it found the page; an entry changed under it; there is a fault, which is pending but was not thrown. */
export const FOUND: u32 = 0;
export const CHANGED: u32 = 1;
export const FAULT: u32 = 2;

export function walkFault(cpu: usize, linear: u64, access: u32, mode: u32, code: u32): u32 {
  let error = code;
  if (access == ACCESS_WRITE) error |= PF_WRITE;
  if (mode == TLB_USER) error |= PF_USER;
  if (access == ACCESS_FETCH) {
    const cr4 = load<u64>(cpu, CPU_cr4);
    if (cr4 & CR4_SMEP || (cr4 & CR4_PAE && load<u64>(cpu, CPU_efer) & EFER_NXE)) error |= PF_FETCH;
  }
  pendPageFault(cpu, linear, error);
  return FAULT;
}

/** Whether a page with the rights in `flags` may be accessed (4.6.1). */
export function permitted(cpu: usize, access: u32, mode: u32, flags: u32): bool {
  const user = (flags & WALK_USER) != 0;
  if (mode == TLB_USER) {
    if (!user) return false;
    if (access == ACCESS_WRITE) return (flags & WALK_WRITE) != 0;
  } else if (access == ACCESS_FETCH) {
    if (user && load<u64>(cpu, CPU_cr4) & CR4_SMEP) return false;
  } else {
    if (user && mode == TLB_SUPERVISOR_SMAP) return false;
    if (access == ACCESS_WRITE) return (flags & WALK_WRITE) != 0 || !(load<u64>(cpu, CPU_cr0) & CR0_WP);
  }
  return access != ACCESS_FETCH || !(flags & WALK_NO_EXECUTE);
}

/** Leaves the result in Cpu.walkPhysical and Cpu.walkFlags. */
// @ts-ignore: decorator
@inline
export function found(cpu: usize, physical: u64, flags: u32): void {
  store<u64>(cpu, physical, CPU_walkPhysical);
  store<u32>(cpu, flags, CPU_walkFlags);
}

/** 32-bit paging (4.3). */
function walk32(cpu: usize, linear: u64, access: u32, mode: u32): u32 {
  const cr4 = load<u64>(cpu, CPU_cr4);
  const write = access == ACCESS_WRITE;
  const region = linear & ~0x3fffff;
  let pdeAt: usize = 0;
  let pde = <u32>knownDirectory(cpu, region);
  const known = pde != 0;
  if (!known) {
    pdeAt = entryAddress((load<u64>(cpu, CPU_cr3) & 0xfffff000) + ((linear >>> 20) & 0xffc));
    pde = pdeAt ? load<u32>(pdeAt) : 0xffffffff;
    if (!(pde & <u32>P)) return walkFault(cpu, linear, access, mode, 0);
  }
  if (pde & <u32>PS && cr4 & CR4_PSE) {
    // Bits 13..20 are bits 32..39 of the address as far as the processor has them (PSE-36); the rest, and bit 21, are reserved.
    const high = <u64>((pde >>> 13) & 0xff);
    const highMask = hasPse36(cpu) ? load<u64>(cpu, CPU_physicalMask) >>> 32 : 0;
    if (pde & 0x200000 || high & ~highMask) return walkFault(cpu, linear, access, mode, PF_PRESENT | PF_RESERVED);
    let flags: u32 = WALK_LARGE;
    if (pde & <u32>RW) flags |= WALK_WRITE;
    if (pde & <u32>US) flags |= WALK_USER;
    if (pde & <u32>G && cr4 & CR4_PGE) flags |= WALK_GLOBAL;
    if (!permitted(cpu, access, mode, flags)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
    if (!mark32(pdeAt, pde, write ? <u32>(A | D) : <u32>A)) return CHANGED;
    if (write || pde & <u32>D) flags |= WALK_DIRTY;
    found(cpu, (high << 32) | (pde & 0xffc00000) | (linear & 0x3ff000), flags);
    return FOUND;
  }
  const pteAt = entryAddress(<u64>(pde & 0xfffff000) + ((linear >>> 10) & 0xffc));
  const pte: u32 = pteAt ? load<u32>(pteAt) : 0xffffffff;
  if (!(pte & <u32>P)) return walkFault(cpu, linear, access, mode, 0);
  let flags: u32 = 0;
  if (pde & pte & <u32>RW) flags |= WALK_WRITE;
  if (pde & pte & <u32>US) flags |= WALK_USER;
  if (pte & <u32>G && cr4 & CR4_PGE) flags |= WALK_GLOBAL;
  if (!permitted(cpu, access, mode, flags)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
  if (!known) {
    if (!mark32(pdeAt, pde, <u32>A)) return CHANGED;
    rememberDirectory(cpu, region, pde);
  }
  if (!mark32(pteAt, pte, write ? <u32>(A | D) : <u32>A)) return CHANGED;
  if (write || pte & <u32>D) flags |= WALK_DIRTY;
  found(cpu, pte & 0xfffff000, flags);
  return FOUND;
}

/** WALK_* of a page: rights of all levels, and the entry that maps it. */
// @ts-ignore: decorator
@inline
function pageFlags(cpu: usize, rights: u64, page: u64, size: u32): u32 {
  let flags = size;
  if (rights & RW) flags |= WALK_WRITE;
  if (rights & US) flags |= WALK_USER;
  if (rights & XD) flags |= WALK_NO_EXECUTE;
  if (page & G && load<u64>(cpu, CPU_cr4) & CR4_PGE) flags |= WALK_GLOBAL;
  return flags;
}

/** Rights of two levels together: both permit writes, both permit the user, one forbids execution. */
// @ts-ignore: decorator
@inline
export function combine(upper: u64, lower: u64): u64 {
  return (upper & lower & (RW | US)) | ((upper | lower) & XD);
}

/** PAE (4.4) and 4-level paging (4.5). */
function walk64(cpu: usize, linear: u64, access: u32, mode: u32): u32 {
  const efer = load<u64>(cpu, CPU_efer);
  const long = (efer & EFER_LMA) != 0;
  const write = access == ACCESS_WRITE;
  // Bits that must be 0 in every entry.
  let reserved = ~load<u64>(cpu, CPU_physicalMask) & ADDRESS;
  if (!long) reserved |= 0x7ff0000000000000;
  if (!(efer & EFER_NXE)) reserved |= XD;

  const region = linear & ~0x1fffff;
  let directory = knownDirectory(cpu, region);
  const known = directory != 0;
  let pml4eAt: usize = 0;
  let pml4e: u64 = RW | US | A;
  let pdpteAt: usize = 0;
  let pdpte: u64 = 0;
  let pdeAt: usize = 0;
  let pde: u64 = 0;
  if (!known) {
    let rights: u64 = RW | US;
    if (long) {
      pml4eAt = entryAddress((load<u64>(cpu, CPU_cr3) & ADDRESS) + ((linear >>> 36) & 0xff8));
      pml4e = entry64(pml4eAt);
      if (!(pml4e & P)) return walkFault(cpu, linear, access, mode, 0);
      if (pml4e & (reserved | PS)) return walkFault(cpu, linear, access, mode, PF_PRESENT | PF_RESERVED);
      pdpteAt = entryAddress((pml4e & ADDRESS) + ((linear >>> 27) & 0xff8));
      pdpte = entry64(pdpteAt);
      if (!(pdpte & P)) return walkFault(cpu, linear, access, mode, 0);
      const wrong = pdpte & PS ? (hasPage1Gb(cpu) ? reserved | 0x3fffe000 : reserved | PS) : reserved;
      if (pdpte & wrong) return walkFault(cpu, linear, access, mode, PF_PRESENT | PF_RESERVED);
      rights = combine(pml4e, pdpte);
      if (pdpte & PS) {
        let flags = pageFlags(cpu, rights, pdpte, WALK_LARGE | WALK_HUGE);
        if (!permitted(cpu, access, mode, flags)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
        if (!mark64(pml4eAt, pml4e, A) || !mark64(pdpteAt, pdpte, write ? A | D : A)) return CHANGED;
        if (write || pdpte & D) flags |= WALK_DIRTY;
        found(cpu, (pdpte & ADDRESS & ~0x3fffffff) | (linear & 0x3ffff000), flags);
        return FOUND;
      }
    } else {
      // Loaded, and found free of reserved bits, by MOV CR3 and its like.
      pdpte = load<u64>(cpu + CPU_pdpte + ((<usize>(linear >>> 30) & 3) << 3));
      if (!(pdpte & P)) return walkFault(cpu, linear, access, mode, 0);
      pdpte |= A;
    }

    pdeAt = entryAddress((pdpte & ADDRESS) + ((linear >>> 18) & 0xff8));
    pde = entry64(pdeAt);
    if (!(pde & P)) return walkFault(cpu, linear, access, mode, 0);
    if (pde & (pde & PS ? reserved | 0x1fe000 : reserved)) return walkFault(cpu, linear, access, mode, PF_PRESENT | PF_RESERVED);
    rights = combine(rights, pde);
    if (pde & PS) {
      let flags = pageFlags(cpu, rights, pde, WALK_LARGE);
      if (!permitted(cpu, access, mode, flags)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
      if (!mark64(pml4eAt, pml4e, A) || !mark64(pdpteAt, pdpte, A) || !mark64(pdeAt, pde, write ? A | D : A)) return CHANGED;
      if (write || pde & D) flags |= WALK_DIRTY;
      found(cpu, (pde & ADDRESS & ~0x1fffff) | (linear & 0x1ff000), flags);
      return FOUND;
    }
    directory = (pde & ADDRESS) | rights | P;
  }
  const pteAt = entryAddress((directory & ADDRESS) + ((linear >>> 9) & 0xff8));
  const pte = entry64(pteAt);
  if (!(pte & P)) return walkFault(cpu, linear, access, mode, 0);
  if (pte & reserved) return walkFault(cpu, linear, access, mode, PF_PRESENT | PF_RESERVED);
  let flags = pageFlags(cpu, combine(directory, pte), pte, 0);
  if (!permitted(cpu, access, mode, flags)) return walkFault(cpu, linear, access, mode, PF_PRESENT);
  if (!known) {
    if (!mark64(pml4eAt, pml4e, A) || !mark64(pdpteAt, pdpte, A) || !mark64(pdeAt, pde, A)) return CHANGED;
    rememberDirectory(cpu, region, directory);
  }
  if (!mark64(pteAt, pte, write ? A | D : A)) return CHANGED;
  if (write || pte & D) flags |= WALK_DIRTY;
  found(cpu, pte & ADDRESS, flags);
  return FOUND;
}

/**
 * Walks the paging structures for an access in TLB mode `mode` (TLB_SUPERVISOR, TLB_USER, TLB_SUPERVISOR_SMAP), sets accessed and dirty
 * bits, and leaves the page in Cpu.walkPhysical, its rights in Cpu.walkFlags. False: #PF is pending, to be thrown.
 */
function walk(cpu: usize, linear: u64, access: u32, mode: u32): bool {
  if (!(load<u64>(cpu, CPU_cr0) & CR0_PG)) {
    // All is permitted: a page that is both user's and (for SMEP and SMAP) not is said by the mode.
    found(cpu, linear & 0xfffff000, WALK_WRITE | WALK_DIRTY | (mode == TLB_USER ? WALK_USER : 0));
    return true;
  }
  const para = isPara();
  const wide = (load<u64>(cpu, CPU_cr4) & CR4_PAE) != 0;
  let end = CHANGED;
  while (end == CHANGED) end = para ? walkPara(cpu, linear, access, mode) : wide ? walk64(cpu, linear, access, mode) : walk32(cpu, linear, access, mode);
  return end == FOUND;
}

/**
 * Translates one byte's address, by the TLB or by a walk that fills it: a RAM offset, or MMIO | guest-physical address; or #PF. What one mode's
 * entry has is good for the others too: a page that both the kernel and a program use is walked to once.
 */
export function translate(cpu: usize, linear: u64, access: u32, mode: u32): u64 {
  const entry = tlbEntry(cpu, mode, linear);
  const page = linear & ~0xfff;
  const readable = load<u64>(entry, TLBENTRY_readTag) == page;
  if (access == ACCESS_READ) {
    if (readable) return <u64>frameOf(entry) | (linear & 0xfff);
  } else if (access == ACCESS_FETCH) {
    if (load<u64>(entry, TLBENTRY_execTag) == page) return <u64>frameOf(entry) | (linear & 0xfff);
  } else {
    if (load<u64>(entry, TLBENTRY_writeTag) == page) return <u64>frameOf(entry) | (linear & 0xfff);
    if (readable && isClosed(entry)) {
      const ram = frameOf(entry);
      // The last code on it is gone: writes need not come here any more.
      if (load<u32>(codePage(ram >>> 12), CODEPAGE_blocks) == 0) fillTlb(cpu, mode, linear, ram, walkFlagsOf(entry), false);
      return <u64>ram | (linear & 0xfff);
    }
  }

  const fetch = access == ACCESS_FETCH;
  const known = readable ? entry : twin(cpu, mode, page);
  if (known) {
    const flags = walkFlagsOf(known);
    // Where it does not permit the access, or the dirty bit is to be set, the walk has the last word.
    if (permitted(cpu, access, mode, flags) && (access != ACCESS_WRITE || flags & WALK_DIRTY)) {
      const ram = frameOf(known);
      fillTlb(cpu, mode, linear, ram, flags, fetch);
      return <u64>ram | (linear & 0xfff);
    }
  }
  // A fault leaves it at that until the next block.
  const activity = load<u32>(cpu, CPU_activity);
  store<u32>(cpu, ACTIVITY_MMU, CPU_activity);
  // Thrown from here and not from the depth of the walk: what an exception costs is the frames that it passes.
  if (!walk(cpu, linear, access, mode)) leave();
  countShadow(cpu);
  const physical = load<u64>(cpu, CPU_walkPhysical);
  const ram = ramOffset(physical);
  const flags = load<u32>(cpu, CPU_walkFlags);
  store<u32>(cpu, activity, CPU_activity);
  if (flags & WALK_TABLE) return TABLE | physical | (linear & 0xfff);
  if (ram != NOT_RAM) fillTlb(cpu, mode, linear, ram & ~0xfff, flags, fetch);
  if (ram == NOT_RAM) return MMIO | physical | (linear & 0xfff);
  return <u64>ram | (linear & 0xfff);
}

/** The array that instruction fetches use: the same that data accesses do, so that one look at `Cpu.tlb` finds it. */
export function fetchMode(cpu: usize): u32 {
  const mode = tlbMode(cpu);
  return mode == TLB_USER_ALIGNED ? TLB_USER : mode;
}

/** For instruction fetch: RAM offset of the byte at `linear`; 0xffffffff: it is not in RAM; or raises #PF, #GP(0) if not canonical. */
export function fetchAddress(cpu: usize, linear: u64): u32 {
  if (load<u64>(cpu, CPU_efer) & EFER_LMA && <u64>((<i64>(linear << 16)) >> 16) != linear) generalProtection(cpu, 0);
  const at = translate(cpu, linear, ACCESS_FETCH, fetchMode(cpu));
  return at & MMIO ? NOT_RAM : <u32>at;
}

/**
 * Loads the PDPTE registers from CR3 if PAE paging is (about to be) in use; false if a present one has a reserved bit: #GP(0) (4.4.1).
 * Nothing is changed then.
 */
export function loadPdptes(cpu: usize, cr3: u64): bool {
  const reserved = (~load<u64>(cpu, CPU_physicalMask) & ~0xfff) | 0x1e6;
  const base = cr3 & 0xffffffe0;
  for (let i: u64 = 0; i < 4; i++) {
    const pdpte = entry64(entryAddress(base + (i << 3)));
    if (pdpte & P && pdpte & reserved) return false;
  }
  for (let i: u64 = 0; i < 4; i++) store<u64>(cpu + CPU_pdpte + (<usize>i << 3), entry64(entryAddress(base + (i << 3))));
  return true;
}
