/**
 * A vCPU's software TLB: direct-mapped arrays, chosen by who accesses. An entry serves one 4 KiB page of linear addresses.
 * A tag is the page's linear address (bits 0..11 zero), or TLB_EMPTY where that kind of access must go through the slow path
 * (not permitted, not dirty yet, MMIO, holds decoded code, empty). An access of `size` bytes hits if
 * `(linear + (size - 1)) & ~0xfff == tag`: one that crosses pages never does.
 * Index: the lowest bits of the page's number. Host byte address: `i32(linear) + addend`.
 */
import { struct } from './struct.ts';

export const TlbEntry = struct('TlbEntry', { readTag: 'u64', writeTag: 'u64', execTag: 'u64', addend: 'u32', physicalPage: 'u32' });

export const TLB_ENTRIES = 1024;
/** log2 of TlbEntry.size. */
export const TLB_ENTRY_SHIFT = 5;
/** An entry's place in its array, in bytes: `(linear >> TLB_SLOT_SHIFT) & TLB_SLOT_MASK`. */
export const TLB_SLOT_SHIFT = 12 - TLB_ENTRY_SHIFT;
export const TLB_SLOT_MASK = (TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT;
/** Never equal to a page address. */
export const TLB_EMPTY = 1;

/** Supervisor accesses (SMAP not in force), user accesses, supervisor accesses with SMAP in force. */
export const TLB_SUPERVISOR = 0;
export const TLB_USER = 1;
export const TLB_SUPERVISOR_SMAP = 2;
/** User accesses with alignment checked (#AC): stays empty, so that every access takes the slow path. */
export const TLB_USER_ALIGNED = 3;
export const TLB_MODES = 4;

/** `physicalPage` is the index of the 4 KiB page in RAM (machine memory), for the code map. */
export const Tlb = struct('Tlb', {
  entries: [TlbEntry, TLB_ENTRIES * TLB_MODES],
  /**
   * One bit an entry: in use; of a global page; part of a page larger than 4 KiB; may be written, but only by the slow path because the
   * page holds decoded code. A flush costs what is in use, not the whole array.
   */
  used: ['u64', (TLB_ENTRIES * TLB_MODES) / 64],
  global: ['u64', (TLB_ENTRIES * TLB_MODES) / 64],
  large: ['u64', (TLB_ENTRIES * TLB_MODES) / 64],
  closed: ['u64', (TLB_ENTRIES * TLB_MODES) / 64],
  /** 1 once an entry of a 1 GiB page has been filled in since the last full flush. */
  huge: 'u32',
});
