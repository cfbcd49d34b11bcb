/**
 * A vCPU's software TLB: direct-mapped arrays, chosen by who accesses. An entry serves one 4 KiB page of linear addresses.
 * A tag is the page's linear address (bits 0..11 zero), or TLB_EMPTY where that kind of access must go through the slow path
 * (not permitted, not dirty yet, never fetched from, MMIO, holds decoded code, empty). An access of `size` bytes hits if
 * `(linear + (size - 1)) & ~0xfff == tag`: one that crosses pages never does.
 * Index: the lowest bits of the page's number. Host byte address: `i32(linear) + addend`.
 *
 * Memory of zeros is an empty TLB, but for the first and the last entry of each array: only there can an address be in page 0, whose tag is 0, or
 * an access of the last page end in it.
 */
import { struct } from './struct.ts';

/** `frame`: RAM offset of the page; its bits 0..11 are FRAME_* of assembly/tlb.ts. */
export const TlbEntry = struct('TlbEntry', { readTag: 'u64', writeTag: 'u64', execTag: 'u64', addend: 'u32', frame: 'u32' });

/**
 * Of each array. The pages that a kernel is busy with are some hundreds, spread over all of its address space: with 1,024 entries two of them often
 * share one (20 walks for a page fault of Linux), with 16,384 hardly ever. What is never used takes no memory of the host.
 */
export const TLB_ENTRIES = 16384;
/** log2 of TlbEntry.size. */
export const TLB_ENTRY_SHIFT = 5;
/** An entry's place in its array, in bytes: `(linear >> TLB_SLOT_SHIFT) & TLB_SLOT_MASK`. */
export const TLB_SLOT_SHIFT = 12 - TLB_ENTRY_SHIFT;
export const TLB_SLOT_MASK = (TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT;
/** Never equal to a page address, nor to one with the four lowest bits of an operand's that is to be aligned to 16. */
export const TLB_EMPTY = 0x10;

/** Supervisor accesses (SMAP not in force), user accesses, supervisor accesses with SMAP in force. */
export const TLB_SUPERVISOR = 0;
export const TLB_USER = 1;
export const TLB_SUPERVISOR_SMAP = 2;
/** User accesses with alignment checked (#AC): stays empty, so that every access takes the slow path. */
export const TLB_USER_ALIGNED = 3;
export const TLB_MODES = 4;

/** The page-directory entries of so many regions of 2 MiB (4 MiB with 32-bit paging) are remembered. */
export const TLB_DIRECTORIES = 256;
/** Bits 2..20 of `TlbDirectory.tag`. */
export const TLB_EPOCHS = 1 << 19;

/**
 * A paging-structure cache (SDM vol. 3A, 4.10.3): `tag` is the region's linear address, in its lower bits 1, and from bit 2 on `Tlb.epochs` when the entry was made; `entry`
 * its page-directory entry, which refers to a page table, with the rights of all levels down to it.
 */
export const TlbDirectory = struct('TlbDirectory', { tag: 'u64', entry: 'u64' });

/** Numbers of entries, each at most once. */
export const TlbList = struct('TlbList', { count: 'u32', numbers: ['u16', TLB_ENTRIES * TLB_MODES] });

/** Bits of the sets of pages and regions below. Several share a bit: what is not in a set was never entered, what seems to be may not have been. */
export const TLB_FILTER = 32768;
/** Of a set that is emptied often. */
export const TLB_FILTER_SMALL = 4096;

export const Tlb = struct('Tlb', {
  entries: [TlbEntry, TLB_ENTRIES * TLB_MODES],
  directories: [TlbDirectory, TLB_DIRECTORIES],
  /** Entries that were filled since the last flush, for pages that are not global and for global ones: a flush costs what is in use. */
  locals: TlbList,
  globals: TlbList,
  /** Regions of 4 MiB that had an entry of a page larger than 4 KiB since the last full flush. */
  large: ['u8', TLB_FILTER / 8],
  /** Pages that code was fetched from: local ones since the last flush, global ones since the last full flush. */
  localCode: ['u8', TLB_FILTER_SMALL / 8],
  globalCode: ['u8', TLB_FILTER / 8],
  /** 1 if there were local ones among the supervisor's. */
  supervisorCode: 'u32',
  /** 1 once an entry of a 1 GiB page has been filled in since the last full flush. */
  huge: 'u32',
  /** How often all directories were forgotten that are for addresses in the lower half of the address space, and in the upper; below TLB_EPOCHS. */
  epochs: ['u32', 2],
});
