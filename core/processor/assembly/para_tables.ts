/**
 * Paravirtualization: page tables. A frame becomes one of a level when all that its entries refer to may be referred to by that level: tables of the level below,
 * pages of the guest's. From then on every entry is changed by the functions here alone, and each that is present holds a reference (para_pages.ts).
 *
 * Entries are stored as Xen stores them, for the guest reads them: with the user's right, because the guest's kernel is in ring 3 too, and with bit 52 where
 * the guest had not given it.
 */
import {
  CODEPAGE_SIZE,
  CODEPAGE_blocks,
  CONTROL_codePages,
  CONTROL_ram,
  PAGEINFO_place,
  PARA_frames,
  PARA_upperStale,
  PLACE_KNOWN,
  PLACE_SEVERAL,
  PGT_l1_page_table,
  PGT_l3_page_table,
  PGT_l4_page_table,
  PGT_writable_page,
} from './layout';
import { invalidateCode } from './codepages';
import { A, ADDRESS, D, P, RW, US, XD } from './entries';
import { domain } from './para';
import { EINVAL, dropPage, dropType, frameAddress, isMappable, pageInfo, stampFrame, takePage, takeType } from './para_pages';
import { forgetPage } from './tlb';

/** Bits that may be set without TLBs having to forget anything: a walk has the last word. */
const GRANTS: u64 = RW | US | A | D;
/** _PAGE_GUEST_KERNEL */
const KERNEL: u64 = 1 << 52;
/** PWT, PCD and PAT: a guest without devices has memory of one type. */
const CACHING: u64 = 0x98;
/** In tables of higher levels neither large pages nor global ones. */
const UPPER_FORBIDDEN: u64 = 0x198;

/** Entries of a level-4 table that are the VMM's: HYPERVISOR_VIRT_START to HYPERVISOR_VIRT_END. */
const L4_RESERVED_FIRST: u32 = 256;
const L4_RESERVED_COUNT: u32 = 16;
const ENTRIES: u32 = 512;
/** Bits 48..63 of addresses there. */
const UPPER_HALF: u64 = 0xffff000000000000;

/** The frame that an entry refers to; one beyond memory where it is. */
// @ts-ignore: decorator
@inline
function frameIn(entry: u64): u32 {
  const frame = (entry & ADDRESS) >>> 12;
  return frame < <u64>load<u32>(domain(), PARA_frames) ? <u32>frame : 0xffffffff;
}

/** An entry of a table of `level` that is present, as it is stored. */
// @ts-ignore: decorator
@inline
function stored(entry: u64, level: u32): u64 {
  if (level != PGT_l1_page_table || entry & US) return entry | US;
  return entry | US | KERNEL;
}

/** Takes the reference that a present entry of a table of `level` holds; false: there cannot be such an entry. */
function takeEntry(cpu: usize, entry: u64, level: u32): bool {
  const frame = frameIn(entry);
  if (level != PGT_l1_page_table) return !(entry & UPPER_FORBIDDEN) && takeType(cpu, frame, level - 1);
  if (entry & CACHING) return false;
  if (entry & RW) return takeType(cpu, frame, PGT_writable_page);
  if (!isMappable(frame)) return false;
  takePage(pageInfo(frame));
  return true;
}

/** Gives back what `takeEntry` took. */
function dropEntry(cpu: usize, entry: u64, level: u32): void {
  const frame = <u32>((entry & ADDRESS) >>> 12);
  if (level == PGT_l1_page_table) {
    stampFrame(pageInfo(frame));
    if (!(entry & RW)) return dropPage(pageInfo(frame));
  }
  dropType(cpu, frame);
}

// -- where tables are in the upper half of the address space

/** The place of the table that entry `index` of a table of `level` at `place` refers to; 0: not in the upper half. */
// @ts-ignore: decorator
@inline
function placeBelow(place: u32, level: u32, index: u32): u32 {
  if (level == PGT_l4_page_table) return index >= L4_RESERVED_FIRST + L4_RESERVED_COUNT ? PLACE_KNOWN | (index << 18) : 0;
  if (place == 0 || place == PLACE_SEVERAL) return place;
  return place | (level == PGT_l3_page_table ? index << 9 : index);
}

/** The table of `level` in `frame` is reached at `place`, and those below it. */
function setPlace(frame: u32, level: u32, place: u32): void {
  const info = pageInfo(frame);
  const before = load<u32>(info, PAGEINFO_place);
  if (place == 0 || before == place || before == PLACE_SEVERAL) return;
  const now = before == 0 ? place : PLACE_SEVERAL;
  store<u32>(info, now, PAGEINFO_place);
  if (level == PGT_l1_page_table) return;
  const table = frameAddress(frame);
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = load<u64>(table + (i << 3));
    if (entry & P) setPlace(<u32>((entry & ADDRESS) >>> 12), level - 1, placeBelow(now, level, i));
  }
}

/** The entry at `at` of a table of `level` was present as `before`, and is less than that now: TLBs have nothing of it in the upper half, or are known to. */
function forgetEntry(cpu: usize, at: usize, level: u32, before: u64): void {
  const place = load<u32>(pageInfo(<u32>(at - load<u32>(0, CONTROL_ram)) >>> 12), PAGEINFO_place);
  const index = <u32>((at & 0xfff) >>> 3);
  if (level != PGT_l1_page_table) {
    if (placeBelow(place, level, index) != 0) store<u32>(domain(), 1, PARA_upperStale);
  } else if (place == PLACE_SEVERAL) store<u32>(domain(), 1, PARA_upperStale);
  else if (place != 0) forgetPage(cpu, UPPER_HALF | (<u64>(place & ~PLACE_KNOWN) << 21) | (<u64>index << 12), !(before & XD));
}

/** The frame is to become a table of `level`: takes all references of its entries, or none and returns false. */
export function validateTable(cpu: usize, frame: u32, level: u32): bool {
  const table = frameAddress(frame);
  if (level == PGT_l4_page_table) memory.fill(table + (L4_RESERVED_FIRST << 3), 0, L4_RESERVED_COUNT << 3);
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const at = table + (i << 3);
    const entry = load<u64>(at);
    if (!(entry & P)) continue;
    if (!takeEntry(cpu, entry, level)) {
      dropEntries(cpu, table, i, level);
      return false;
    }
    store<u64>(at, stored(entry, level));
    if (level == PGT_l4_page_table) setPlace(<u32>((entry & ADDRESS) >>> 12), PGT_l3_page_table, placeBelow(0, level, i));
  }
  if (load<u32>(<usize>load<u32>(0, CONTROL_codePages) + <usize>frame * CODEPAGE_SIZE, CODEPAGE_blocks) != 0) invalidateCode(frame, 0, 0xfff);
  return true;
}

/** The frame is no table of `level` any more. */
export function invalidateTable(cpu: usize, frame: u32, level: u32): void {
  dropEntries(cpu, frameAddress(frame), ENTRIES, level);
}

function dropEntries(cpu: usize, table: usize, count: u32, level: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    const entry = load<u64>(table + (i << 3));
    if (entry & P) dropEntry(cpu, entry, level);
  }
}

/** Stores an entry that was `before`; accessed and dirty bits that a walk sets meanwhile are kept if `preserve`. */
// @ts-ignore: decorator
@inline
function storeEntry(at: usize, before: u64, entry: u64, preserve: bool): void {
  if (preserve) {
    let was = before;
    for (;;) {
      const seen = atomic.cmpxchg<u64>(at, was, entry | (was & (A | D)));
      if (seen == was) break;
      was = seen;
    }
  } else atomic.store<u64>(at, entry);
  const offset = <u32>(at - load<u32>(0, CONTROL_ram));
  invalidateCode(offset >>> 12, offset & 0xfff, (offset & 0xfff) + 7);
}

/** Makes the entry at `at`, in a table of `level`, what the guest asks for: 0, or a negative error. */
export function changeEntry(cpu: usize, at: usize, level: u32, value: u64, preserve: bool): i32 {
  const index = <u32>((at & 0xfff) >>> 3);
  if (level == PGT_l4_page_table && index - L4_RESERVED_FIRST < L4_RESERVED_COUNT) return -EINVAL;
  const before = load<u64>(at);
  const entry = value & P ? stored(value, level) : value;
  const upper = level != PGT_l1_page_table;
  // What a reference is for; where it stays the same, it stays.
  const same = before & P && ((before ^ entry) & (upper ? ADDRESS | P : ADDRESS | RW | P)) == 0;
  if (same) {
    if (entry & (upper ? UPPER_FORBIDDEN : CACHING)) return -EINVAL;
  } else if (entry & P && !takeEntry(cpu, entry, level)) return -EINVAL;
  storeEntry(at, before, entry, preserve);
  if (before & P && (before & ~entry) | ((before ^ entry) & ~GRANTS)) forgetEntry(cpu, at, level, before);
  if (same) return 0;
  if (before & P) dropEntry(cpu, before, level);
  if (upper && entry & P) {
    const frame = <u32>(at - load<u32>(0, CONTROL_ram)) >>> 12;
    setPlace(<u32>((entry & ADDRESS) >>> 12), level - 1, placeBelow(load<u32>(pageInfo(frame), PAGEINFO_place), level, index));
  }
  return 0;
}
