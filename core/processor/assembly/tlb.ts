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
  CPU_codeSize,
  CPU_cpl,
  CPU_cr0,
  CPU_cr4,
  CPU_dr,
  CPU_eflags,
  CPU_index,
  CPU_jumpGeneration,
  CPU_jumpStamp,
  CPU_jumps,
  CPU_tlb,
  CPU_userInstructions,
  JUMPS,
  JUMP_SIZE,
  TLBENTRY_addend,
  TLBENTRY_execTag,
  TLBENTRY_physicalPage,
  TLBENTRY_readTag,
  TLBENTRY_writeTag,
  TLB_EMPTY,
  TLB_ENTRIES,
  TLB_ENTRY_SHIFT,
  TLB_MODES,
  TLB_SIZE,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TLB_SUPERVISOR,
  TLB_SUPERVISOR_SMAP,
  TLB_USER,
  TLB_USER_ALIGNED,
  TLB_closed,
  TLB_global,
  TLB_huge,
  TLB_large,
  TLB_used,
} from './layout';

const EMPTY: u64 = TLB_EMPTY;
const MODE_SHIFT: u32 = 31 - clz(TLB_ENTRIES) + TLB_ENTRY_SHIFT;
/** Generations that fit into a stamp. */
const LAST_GENERATION: u32 = (1 << 28) - 1;
const WORDS_PER_MODE: u32 = TLB_ENTRIES / 64;
const WORDS: u32 = WORDS_PER_MODE * TLB_MODES;

const CR0_AM: u64 = 1 << 18;
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

/** After a change of the TLB array in use, of the code size or of the generation: what `Cpu.jumps` holds under another stamp is not to be used. */
export function updateStamp(cpu: usize): void {
  const key = (tlbMode(cpu) << 2) | load<u32>(cpu, CPU_codeSize);
  store<u32>(cpu, ((load<u32>(cpu, CPU_jumpGeneration) + 1) << 4) | key, CPU_jumpStamp);
}

/** Translations of linear addresses were forgotten, or translated code was: no region is to be found by RIP alone any more. */
export function forgetJumps(cpu: usize): void {
  const next = load<u32>(cpu, CPU_jumpGeneration) + 1;
  // The stamp has no room for more: old ones would seem new again.
  if (next == LAST_GENERATION) memory.fill(cpu + CPU_jumps, 0, JUMPS * JUMP_SIZE);
  store<u32>(cpu, next == LAST_GENERATION ? 0 : next, CPU_jumpGeneration);
  updateStamp(cpu);
}

/** Which array an ordinary access of this vCPU uses. */
export function tlbMode(cpu: usize): u32 {
  return <u32>(load<u32>(cpu, CPU_tlb) - tlbBase(cpu)) >>> MODE_SHIFT;
}

/** Sets `Cpu.tlb` from CPL, CR4.SMAP, CR0.AM and EFLAGS.AC. */
export function updateTlbMode(cpu: usize): void {
  const ac = (load<u32>(cpu, CPU_eflags) & EFLAGS_AC) != 0;
  let mode: u32;
  if (load<u32>(cpu, CPU_cpl) == 3) mode = ac && (load<u64>(cpu, CPU_cr0) & CR0_AM) != 0 ? TLB_USER_ALIGNED : TLB_USER;
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
  const budget = load<i32>(cpu, CPU_budget);
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
function clearEntry(entry: usize): void {
  store<u64>(entry, EMPTY, TLBENTRY_readTag);
  store<u64>(entry, EMPTY, TLBENTRY_writeTag);
  store<u64>(entry, EMPTY, TLBENTRY_execTag);
}

// @ts-ignore: decorator
@inline
function setBit(word: usize, bit: u64, on: bool): void {
  const old = load<u64>(word);
  store<u64>(word, on ? old | bit : old & ~bit);
}

/** The page may be written through the slow path although its write tag is closed: its translation is known to be writable and dirty. */
export function isClosed(cpu: usize, mode: u32, linear: u64): bool {
  const index = <u32>(linear >>> 12) & (TLB_ENTRIES - 1);
  const word = tlbBase(cpu) + ((mode * WORDS_PER_MODE + (index >>> 6)) << 3);
  return ((load<u64>(word, TLB_closed) >>> (index & 63)) & 1) != 0;
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

/** Fills the entry of `linear` for accesses of `mode`: `page` is the index of its 4 KiB page in RAM, `flags` what the walk found. */
export function fillTlb(cpu: usize, mode: u32, linear: u64, page: u32, flags: u32, smep: bool, writeProtect: bool): void {
  const entry = tlbEntry(cpu, mode, linear);
  const tag = linear & ~0xfff;
  const user = (flags & WALK_USER) != 0;
  const watched = isWatched(cpu, tag);
  const readable = mode == TLB_USER ? user : mode == TLB_SUPERVISOR_SMAP ? !user : true;
  const executable = !(flags & WALK_NO_EXECUTE) && (mode == TLB_USER ? user : !(user && smep));
  const permitted = readable && (flags & WALK_DIRTY) != 0 && ((flags & WALK_WRITE) != 0 || (mode != TLB_USER && !writeProtect));
  const writable = permitted && !isRom(page << 12);
  const code = <usize>load<u32>(0, CONTROL_codePages) + <usize>page * CODEPAGE_SIZE;
  const open = writable && !watched && load<u32>(code, CODEPAGE_blocks) == 0;

  store<u32>(entry, load<u32>(0, CONTROL_ram) + (page << 12) - <u32>tag, TLBENTRY_addend);
  store<u32>(entry, page, TLBENTRY_physicalPage);
  store<u64>(entry, readable && !watched ? tag : EMPTY, TLBENTRY_readTag);
  store<u64>(entry, executable ? tag : EMPTY, TLBENTRY_execTag);
  store<u64>(entry, open ? tag : EMPTY, TLBENTRY_writeTag);

  const index = <u32>(linear >>> 12) & (TLB_ENTRIES - 1);
  const word = tlbBase(cpu) + ((mode * WORDS_PER_MODE + (index >>> 6)) << 3);
  const bit = (<u64>1) << (index & 63);
  setBit(word + TLB_used, bit, true);
  setBit(word + TLB_global, bit, (flags & WALK_GLOBAL) != 0);
  setBit(word + TLB_large, bit, (flags & WALK_LARGE) != 0);
  setBit(word + TLB_closed, bit, writable && !open);
  if (flags & WALK_HUGE) store<u32>(tlbBase(cpu), 1, TLB_huge);

  if (open && load<u32>(0, CONTROL_vcpus) > 1) {
    // Another vCPU may have put its first code on this page meanwhile, and have looked at this TLB before the tag was there.
    fence();
    if (atomic.load<u32>(code, CODEPAGE_blocks) != 0) store<u64>(entry, EMPTY, TLBENTRY_writeTag);
  }
}

/** Forgets all translations, or all but those of global pages. */
export function flushTlb(cpu: usize, keepGlobal: bool): void {
  const base = tlbBase(cpu);
  const activity = load<u32>(cpu, CPU_activity);
  store<u32>(cpu, ACTIVITY_MMU, CPU_activity);
  for (let word: u32 = 0; word < WORDS; word++) {
    const at = base + (word << 3);
    const used = load<u64>(at, TLB_used);
    if (used == 0) continue;
    let bits = keepGlobal ? used & ~load<u64>(at, TLB_global) : used;
    store<u64>(at, used & ~bits, TLB_used);
    while (bits != 0) {
      clearEntry(base + ((<usize>(word << 6) + <usize>ctz(bits)) << TLB_ENTRY_SHIFT));
      bits &= bits - 1;
    }
  }
  if (!keepGlobal) store<u32>(base, 0, TLB_huge);
  forgetJumps(cpu);
  store<u32>(cpu, activity, CPU_activity);
}

/** Empties every entry, whatever was there: machine memory begins as zeros, and a tag of 0 is page 0. */
export function resetTlb(cpu: usize): void {
  const base = tlbBase(cpu);
  for (let i: u32 = 0; i < TLB_ENTRIES * TLB_MODES; i++) clearEntry(base + ((<usize>i) << TLB_ENTRY_SHIFT));
  memory.fill(base + TLB_used, 0, TLB_SIZE - TLB_used);
  forgetJumps(cpu);
}

/** INVLPG: forgets the translations of the page that holds `linear`, global or not, of whatever size it is. */
export function invalidatePage(cpu: usize, linear: u64): void {
  const base = tlbBase(cpu);
  for (let mode: u32 = 0; mode < TLB_MODES; mode++) clearEntry(tlbEntry(cpu, mode, linear));
  forgetJumps(cpu);
  // Other entries of the same large page: 4 MiB is the largest but for 1 GiB pages.
  const mask: u64 = load<u32>(base, TLB_huge) ? ~0x3fffffff : ~0x3fffff;
  const page = linear & mask;
  for (let word: u32 = 0; word < WORDS; word++) {
    let bits = load<u64>(base + (word << 3), TLB_large) & load<u64>(base + (word << 3), TLB_used);
    while (bits != 0) {
      const entry = base + ((<usize>(word << 6) + <usize>ctz(bits)) << TLB_ENTRY_SHIFT);
      bits &= bits - 1;
      if ((load<u64>(entry, TLBENTRY_readTag) & mask) == page || (load<u64>(entry, TLBENTRY_execTag) & mask) == page) clearEntry(entry);
    }
  }
}

/** Closes RAM page `page` to fast writes in the TLBs of all vCPUs. */
export function closePage(page: u32): void {
  const vcpus = load<u32>(0, CONTROL_vcpus);
  for (let i: u32 = 0; i < vcpus; i++) {
    const base = <usize>load<u32>(0, CONTROL_tlbs) + <usize>i * TLB_SIZE;
    for (let word: u32 = 0; word < WORDS; word++) {
      let bits = load<u64>(base + (word << 3), TLB_used);
      while (bits != 0) {
        const entry = base + ((<usize>(word << 6) + <usize>ctz(bits)) << TLB_ENTRY_SHIFT);
        bits &= bits - 1;
        if (load<u32>(entry, TLBENTRY_physicalPage) == page) store<u64>(entry, EMPTY, TLBENTRY_writeTag);
      }
    }
  }
}
