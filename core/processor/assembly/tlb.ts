/** The software TLB of a vCPU: lookup, fill, flush (core/state/tlb.ts has the layout and what a tag means). */
import {
  ACTIVITY_MMU,
  CODEPAGE_SIZE,
  CODEPAGE_blocks,
  CONTROL_codeLock,
  CONTROL_codePages,
  CONTROL_ram,
  CONTROL_romWritable,
  CONTROL_tlbs,
  CONTROL_vcpus,
  CPU_activity,
  CPU_budget,
  CPU_budgetMark,
  CPU_current,
  CPU_codeSize,
  CPU_cpl,
  CPU_cr0,
  CPU_cr4,
  CPU_dr,
  CPU_eflags,
  CPU_index,
  CPU_tlb,
  CPU_userInstructions,
  TLBDIRECTORY_SIZE,
  TLBDIRECTORY_entry,
  TLBDIRECTORY_tag,
  TLBENTRY_SIZE,
  TLBENTRY_addend,
  TLBENTRY_execTag,
  TLBENTRY_frame,
  TLBENTRY_readTag,
  TLBENTRY_writeTag,
  TLBLIST_count,
  TLBLIST_numbers,
  TLB_DIRECTORIES,
  TLB_EMPTY,
  TLB_EPOCHS,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_FILTER,
  TLB_MODES,
  TLB_SIZE,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TLB_SUPERVISOR,
  TLB_SUPERVISOR_SMAP,
  TLB_USER,
  TLB_USER_ALIGNED,
  TLB_directories,
  TLB_epochs,
  TLB_globals,
  TLB_huge,
  TLB_large,
  TLB_locals,
  RECORD_position,
} from './layout';
import { isPara, isParaKernel } from './para';
import { noteWriter } from './para_pages';
import { addTo, forgetFetched, forgetFetchedPage, forgetJumps, mayHave, noteFetch, updateStamp } from './fetched';

const EMPTY: u64 = TLB_EMPTY;
const MODE_SHIFT: u32 = 31 - clz(TLB_ENTRIES) + TLB_ENTRY_SHIFT;

const CR0_WP: u64 = 1 << 16;
const CR0_AM: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;
const EFLAGS_AC: u32 = 1 << 18;

/** What the page walk says of a page (also in Cpu.walkFlags). */
export const WALK_WRITE: u32 = 1;
export const WALK_USER: u32 = 2;
export const WALK_NO_EXECUTE: u32 = 4;
export const WALK_DIRTY: u32 = 8;
export const WALK_GLOBAL: u32 = 16;
/** Part of a page larger than 4 KiB; of one of 1 GiB. */
export const WALK_LARGE: u32 = 32;
export const WALK_HUGE: u32 = 64;
/** Only in Cpu.walkFlags: a page table, which the kernel of a para VM writes to. It is in no TLB for that. */
export const WALK_TABLE: u32 = 1024;

/** Bits 0..11 of `TlbEntry.frame`: WALK_*, and: the page may be written, but only by the slow path because it holds decoded code. */
const FRAME_CLOSED: u32 = 128;
/** The entry is in the list of local entries, in that of global ones. */
const FRAME_LOCAL: u32 = 256;
const FRAME_GLOBAL: u32 = 512;
const FRAME_WALK: u32 = 127;
const FRAME_PAGE: u32 = ~0xfff;

// @ts-ignore: decorator
@inline
export function tlbBase(cpu: usize): usize {
  return <usize>load<u32>(0, CONTROL_tlbs) + <usize>load<u32>(cpu, CPU_index) * TLB_SIZE;
}

// @ts-ignore: decorator
@inline
export function tlbEntry(cpu: usize, mode: u32, linear: u64): usize {
  return tlbBase(cpu) + ((<usize>mode) << MODE_SHIFT) + ((<usize>linear >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
}

/** The number of the vCPU whose TLB has `entry`. */
export function vcpuOf(entry: usize): u32 {
  return <u32>((entry - <usize>load<u32>(0, CONTROL_tlbs)) / TLB_SIZE);
}

/** Which array an ordinary access of this vCPU uses. */
export function tlbMode(cpu: usize): u32 {
  return <u32>(load<u32>(cpu, CPU_tlb) - tlbBase(cpu)) >>> MODE_SHIFT;
}

/** Sets `Cpu.tlb` from CPL, CR4.SMAP, CR0.AM and EFLAGS.AC. */
export function updateTlbMode(cpu: usize): void {
  const ac = (load<u32>(cpu, CPU_eflags) & EFLAGS_AC) != 0;
  let mode: u32;
  if (isParaKernel(cpu)) mode = TLB_SUPERVISOR;
  else if (load<u32>(cpu, CPU_cpl) == 3) mode = ac && (load<u64>(cpu, CPU_cr0) & CR0_AM) != 0 ? TLB_USER_ALIGNED : TLB_USER;
  else mode = !ac && (load<u64>(cpu, CPU_cr4) & CR4_SMAP) != 0 ? TLB_SUPERVISOR_SMAP : TLB_SUPERVISOR;
  const before = load<u32>(cpu, CPU_tlb);
  const after = <u32>(tlbBase(cpu) + ((<usize>mode) << MODE_SHIFT));
  if (before == after) return;
  store<u32>(cpu, after, CPU_tlb);
  updateStamp(cpu);
  countUser(cpu, (before - <u32>tlbBase(cpu)) >>> MODE_SHIFT);
}

/** CPL changed (or only AC, which does no harm): what was executed since the last change counts for the mode that it was executed in. */
function countUser(cpu: usize, mode: u32): void {
  // Those of the block before the instruction that is being executed are still in the budget.
  const record = <usize>load<u32>(cpu, CPU_current);
  const budget = load<i32>(cpu, CPU_budget) - (record == 0 ? 0 : <i32>load<u8>(record, RECORD_position));
  if (mode == TLB_USER || mode == TLB_USER_ALIGNED)
    store<u64>(cpu, load<u64>(cpu, CPU_userInstructions) + <u64>(load<i32>(cpu, CPU_budgetMark) - budget), CPU_userInstructions);
  store<i32>(cpu, budget, CPU_budgetMark);
}

/** The mode of implicit supervisor accesses (descriptor tables, TSS): EFLAGS.AC does not lift SMAP for them (SDM vol. 3A, 4.6.1). */
// @ts-ignore: decorator
@inline
export function systemMode(cpu: usize): u32 {
  return load<u64>(cpu, CPU_cr4) & CR4_SMAP ? TLB_SUPERVISOR_SMAP : TLB_SUPERVISOR;
}

/** A full memory barrier. (The compiler's own `atomic.fence` does not validate.) */
// @ts-ignore: decorator
@inline
export function fence(): void {
  atomic.add<u32>(CONTROL_codeLock, 0);
}

/** ROM: in 0xc0000..0xfffff, in a window that the machine has not made writable. */
// @ts-ignore: decorator
@inline
export function isRom(ramOffset: u32): bool {
  const at = ramOffset - 0xc0000;
  return at < 0x40000 && !((load<u32>(0, CONTROL_romWritable) >>> (at >>> 14)) & 1);
}

// @ts-ignore: decorator
@inline
export function clearEntry(entry: usize): void {
  store<u64>(entry, EMPTY, TLBENTRY_readTag);
  store<u64>(entry, EMPTY, TLBENTRY_writeTag);
  store<u64>(entry, EMPTY, TLBENTRY_execTag);
}

/** RAM offset of the page that an entry is for. */
// @ts-ignore: decorator
@inline
export function frameOf(entry: usize): u32 {
  return load<u32>(entry, TLBENTRY_frame) & FRAME_PAGE;
}

/** The entry translates something. */
// @ts-ignore: decorator
@inline
export function isOpen(entry: usize): bool {
  return load<u64>(entry, TLBENTRY_readTag) != EMPTY;
}

/** What the walk found when the entry was filled. */
// @ts-ignore: decorator
@inline
export function walkFlagsOf(entry: usize): u32 {
  return load<u32>(entry, TLBENTRY_frame) & FRAME_WALK;
}

/** The page may be written through the slow path although its write tag is closed: its translation is known to be writable and dirty. */
// @ts-ignore: decorator
@inline
export function isClosed(entry: usize): bool {
  return (load<u32>(entry, TLBENTRY_frame) & FRAME_CLOSED) != 0;
}

/** Bits 0..7 of DR7 that enable a breakpoint, globally or locally. */
export const DR7_ENABLES: u32 = 0xff;

/** A data breakpoint is enabled on the page at `page`: every access to it takes the slow path, which looks closer. */
function isWatched(cpu: usize, page: u64): bool {
  const dr7 = <u32>load<u64>(cpu, CPU_dr + 7 * 8);
  if (!(dr7 & DR7_ENABLES)) return false;
  for (let i: u32 = 0; i < 4; i++) {
    // R/W 0 is an instruction breakpoint.
    if (((dr7 >>> (i << 1)) & 3) == 0 || ((dr7 >>> (16 + (i << 2))) & 3) == 0) continue;
    if ((load<u64>(cpu + CPU_dr + ((<usize>i) << 3)) & ~0xfff) == page) return true;
  }
  return false;
}

/** The list of FRAME_LOCAL or FRAME_GLOBAL entries. */
// @ts-ignore: decorator
@inline
function listOf(base: usize, kind: u32): usize {
  return base + (kind == FRAME_LOCAL ? TLB_locals : TLB_globals);
}

/** Where the numbers in a list end. */
// @ts-ignore: decorator
@inline
function listEnd(at: usize): usize {
  return at + ((<usize>load<u32>(at, TLBLIST_count)) << 1);
}

/** The entry that a list names at `at`: the address is of the list, moved on by as many numbers. */
// @ts-ignore: decorator
@inline
function listed(base: usize, at: usize): usize {
  return base + ((<usize>load<u16>(at, TLBLIST_numbers)) << TLB_ENTRY_SHIFT);
}

/** Notes that an entry is in use: `kind` is FRAME_LOCAL or FRAME_GLOBAL. */
// @ts-ignore: decorator
@inline
function enlist(base: usize, entry: usize, kind: u32): void {
  const at = listOf(base, kind);
  const count = load<u32>(at, TLBLIST_count);
  store<u16>(at + ((<usize>count) << 1), <u16>((entry - base) >>> TLB_ENTRY_SHIFT), TLBLIST_numbers);
  store<u32>(at, count + 1, TLBLIST_count);
}

/**
 * Fills the entry of `linear` for accesses of `mode`: `ram` is the RAM offset of its 4 KiB page, `flags` what the walk found. Code can be fetched
 * by it only if this is for a fetch, so that it is known where code was fetched from.
 */
export function fillTlb(cpu: usize, mode: u32, linear: u64, ram: u32, flags: u32, fetch: bool): void {
  const base = tlbBase(cpu);
  const entry = tlbEntry(cpu, mode, linear);
  const tag = linear & ~0xfff;
  const user = (flags & WALK_USER) != 0;
  const watched = isWatched(cpu, tag);
  const readable = mode == TLB_USER ? user : mode == TLB_SUPERVISOR_SMAP ? !user : true;
  const fetched = fetch || load<u64>(entry, TLBENTRY_execTag) == tag;
  const executable = fetched && !(flags & WALK_NO_EXECUTE) && (mode == TLB_USER ? user : !user || !(load<u64>(cpu, CPU_cr4) & CR4_SMEP));
  const permitted =
    readable && (flags & WALK_DIRTY) != 0 && ((flags & WALK_WRITE) != 0 || (mode != TLB_USER && !(load<u64>(cpu, CPU_cr0) & CR0_WP)));
  const writable = permitted && !isRom(ram);
  const code = <usize>load<u32>(0, CONTROL_codePages) + <usize>(ram >>> 12) * CODEPAGE_SIZE;
  const open = writable && !watched && load<u32>(code, CODEPAGE_blocks) == 0;

  const kind = flags & WALK_GLOBAL ? FRAME_GLOBAL : FRAME_LOCAL;
  const lists = load<u32>(entry, TLBENTRY_frame) & (FRAME_LOCAL | FRAME_GLOBAL);
  if (!(lists & kind)) enlist(base, entry, kind);
  if (flags & WALK_LARGE) {
    addTo(base + TLB_large, linear >>> 22, TLB_FILTER);
    if (flags & WALK_HUGE) store<u32>(base, 1, TLB_huge);
  }
  if (executable) noteFetch(base, mode, linear, (flags & WALK_GLOBAL) != 0);
  store<u32>(entry, load<u32>(0, CONTROL_ram) + ram - <u32>tag, TLBENTRY_addend);
  store<u32>(entry, ram | flags | lists | kind | (writable && !open ? FRAME_CLOSED : 0), TLBENTRY_frame);
  store<u64>(entry, readable && !watched ? tag : EMPTY, TLBENTRY_readTag);
  store<u64>(entry, executable ? tag : EMPTY, TLBENTRY_execTag);
  store<u64>(entry, open ? tag : EMPTY, TLBENTRY_writeTag);
  if (permitted && isPara()) noteWriter(mode, linear, entry, ram >>> 12);

  if (open && load<u32>(0, CONTROL_vcpus) > 1) {
    // Another vCPU may have put its first code on this page meanwhile, and have looked at this TLB before the tag was there.
    fence();
    if (atomic.load<u32>(code, CODEPAGE_blocks) != 0) store<u64>(entry, EMPTY, TLBENTRY_writeTag);
  }
}

/** The entry of another mode that translates the page at `page`, or 0. In a para VM each mode has page tables of its own. */
// @ts-ignore: decorator
@inline
export function twin(cpu: usize, mode: u32, page: u64): usize {
  if (isPara()) return 0;
  for (let other: u32 = TLB_SUPERVISOR; other <= TLB_SUPERVISOR_SMAP; other++) {
    if (other == mode) continue;
    const entry = tlbEntry(cpu, other, page);
    if (load<u64>(entry, TLBENTRY_readTag) == page) return entry;
  }
  return 0;
}

// -- page-directory entries

/** Where the entry for a region is, if there is one. In a para VM kernel and programs have different ones: bit 1 of `region` says whose it is. */
// @ts-ignore: decorator
@inline
function directory(base: usize, region: u64): usize {
  // Regions of 4 MiB take every other place, which is good enough.
  const place = (<u32>(region >>> 21) + ((<u32>region & 2) << 6)) & (TLB_DIRECTORIES - 1);
  return base + TLB_directories + <usize>place * TLBDIRECTORY_SIZE;
}

/** Address of the epoch of the half of the address space in which `region` is. */
// @ts-ignore: decorator
@inline
function epochOf(base: usize, region: u64): usize {
  return base + TLB_epochs + (<usize>(region >>> 63) << 2);
}

// @ts-ignore: decorator
@inline
function directoryTag(base: usize, region: u64): u64 {
  return region + 1 + (<u64>load<u32>(epochOf(base, region)) << 2);
}

/** The page-directory entry for the region at linear address `region` with the rights of the levels above it, if it is remembered; else 0. */
// @ts-ignore: decorator
@inline
export function knownDirectory(cpu: usize, region: u64): u64 {
  const base = tlbBase(cpu);
  const at = directory(base, region);
  return load<u64>(at, TLBDIRECTORY_tag) == directoryTag(base, region) ? load<u64>(at, TLBDIRECTORY_entry) : 0;
}

/** Remembers a page-directory entry that was just used, accessed bits and all. */
// @ts-ignore: decorator
@inline
export function rememberDirectory(cpu: usize, region: u64, entry: u64): void {
  const base = tlbBase(cpu);
  const at = directory(base, region);
  store<u64>(at, directoryTag(base, region), TLBDIRECTORY_tag);
  store<u64>(at, entry, TLBDIRECTORY_entry);
}

/** Forgets those of the half of the address space in which `linear` is. */
export function forgetDirectoriesOf(base: usize, linear: u64): void {
  const at = epochOf(base, linear);
  const epoch = load<u32>(at) + 1;
  if (epoch < TLB_EPOCHS) store<u32>(at, epoch);
  else {
    // The first epoch again: nothing is left of what there was in it.
    store<u32>(at, 0);
    memory.fill(base + TLB_directories, 0, TLB_DIRECTORIES * TLBDIRECTORY_SIZE);
  }
}

/** INVLPG, whatever its operand, and loads of CR3 forget all of them (4.10.4.1). */
export function forgetDirectories(base: usize): void {
  forgetDirectoriesOf(base, 0);
  forgetDirectoriesOf(base, -1);
}

// -- flushes

/** Forgets what is in a list, but for pages that are global if `keepGlobal`; the list is empty then. */
function flushList(base: usize, kind: u32, keepGlobal: bool): void {
  const list = listOf(base, kind);
  const end = listEnd(list);
  for (let at = list; at < end; at += 2) {
    const entry = listed(base, at);
    const frame = load<u32>(entry, TLBENTRY_frame);
    if (keepGlobal && frame & WALK_GLOBAL) store<u32>(entry, frame & ~kind, TLBENTRY_frame);
    else {
      clearEntry(entry);
      store<u32>(entry, frame & (FRAME_LOCAL | FRAME_GLOBAL) & ~kind, TLBENTRY_frame);
    }
  }
  store<u32>(list, 0, TLBLIST_count);
}

/** Forgets all translations, or all but those of global pages. */
export function flushTlb(cpu: usize, keepGlobal: bool): void {
  const base = tlbBase(cpu);
  const activity = load<u32>(cpu, CPU_activity);
  store<u32>(cpu, ACTIVITY_MMU, CPU_activity);
  forgetDirectoriesOf(base, 0);
  // What a para VM's kernel has in the upper half is kept (para_pages.ts).
  if (!keepGlobal || !isPara()) forgetDirectoriesOf(base, -1);
  flushList(base, FRAME_LOCAL, keepGlobal);
  if (!keepGlobal) {
    flushList(base, FRAME_GLOBAL, false);
    memory.fill(base + TLB_large, 0, TLB_FILTER / 8);
    store<u32>(base, 0, TLB_huge);
  }
  forgetFetched(cpu, base, keepGlobal);
  store<u32>(cpu, activity, CPU_activity);
}

/**
 * Empties every entry, whatever was there. Machine memory begins as zeros, and a tag of 0 is page 0: that is looked for in its own entry, and in the
 * last by an operand that begins on the last page and ends on the first.
 */
export function resetTlb(cpu: usize): void {
  flushTlb(cpu, false);
  for (let mode: u32 = 0; mode < TLB_MODES; mode++) {
    clearEntry(tlbEntry(cpu, mode, 0));
    clearEntry(tlbEntry(cpu, mode, -1));
  }
}

// @ts-ignore: decorator
@inline
function translates(entry: usize, mask: u64, page: u64): bool {
  return (load<u64>(entry, TLBENTRY_readTag) & mask) == page || (load<u64>(entry, TLBENTRY_execTag) & mask) == page;
}

/** Regions of 4 MiB, the largest pages but for those of 1 GiB. */
const LARGE_MASK: u64 = ~0x3fffff;

/** INVLPG: forgets the translations of the page that holds `linear`, global or not, of whatever size it is. */
export function invalidatePage(cpu: usize, linear: u64): void {
  const base = tlbBase(cpu);
  forgetDirectories(base);
  for (let mode: u32 = 0; mode < TLB_MODES; mode++) clearEntry(tlbEntry(cpu, mode, linear));
  if (load<u32>(base, TLB_huge)) {
    invalidateHuge(base, linear & ~0x3fffffff, FRAME_LOCAL);
    invalidateHuge(base, linear & ~0x3fffffff, FRAME_GLOBAL);
    forgetJumps(cpu);
  } else if (mayHave(base + TLB_large, linear >>> 22, TLB_FILTER)) {
    // Other entries of the same large page.
    const page = linear & LARGE_MASK;
    for (let mode: u32 = 0; mode < TLB_MODES; mode++) {
      let entry = tlbEntry(cpu, mode, page);
      for (let i: u32 = 0; i < 1024; i++, entry += TLBENTRY_SIZE) {
        if (load<u32>(entry, TLBENTRY_frame) & WALK_LARGE && translates(entry, LARGE_MASK, page)) clearEntry(entry);
      }
    }
    forgetJumps(cpu);
  } else forgetFetchedPage(cpu, base, linear);
}

/** The entry for the 4 KiB page at `linear` in page tables has changed: forgets its translations. `code`: it may be code. */
export function forgetPage(cpu: usize, linear: u64, code: bool): void {
  const page = linear & ~0xfff;
  for (let mode: u32 = TLB_SUPERVISOR; mode <= TLB_USER; mode++) {
    const entry = tlbEntry(cpu, mode, linear);
    if (translates(entry, -1, page)) clearEntry(entry);
  }
  if (code) forgetFetchedPage(cpu, tlbBase(cpu), linear);
}

function invalidateHuge(base: usize, page: u64, kind: u32): void {
  const list = listOf(base, kind);
  const end = listEnd(list);
  for (let at = list; at < end; at += 2) {
    const entry = listed(base, at);
    if (load<u32>(entry, TLBENTRY_frame) & WALK_LARGE && translates(entry, ~0x3fffffff, page)) clearEntry(entry);
  }
}

/** Closes RAM page `page` to fast writes in the TLBs of all vCPUs. */
export function closePage(page: u32): void {
  const vcpus = load<u32>(0, CONTROL_vcpus);
  for (let i: u32 = 0; i < vcpus; i++) {
    const base = <usize>load<u32>(0, CONTROL_tlbs) + <usize>i * TLB_SIZE;
    closeListed(base, page << 12, FRAME_LOCAL);
    closeListed(base, page << 12, FRAME_GLOBAL);
  }
}

function closeListed(base: usize, ram: u32, kind: u32): void {
  const list = listOf(base, kind);
  const end = listEnd(list);
  for (let at = list; at < end; at += 2) {
    const entry = listed(base, at);
    if (frameOf(entry) == ram) store<u64>(entry, EMPTY, TLBENTRY_writeTag);
  }
}
