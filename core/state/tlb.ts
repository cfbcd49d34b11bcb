/**
 * A vCPU's software TLB: three direct-mapped arrays, chosen by who accesses. An entry serves one 4 KiB page of linear addresses.
 * A tag is the page's linear address (bits 0..11 zero), or TLB_EMPTY where that kind of access must go through the slow path
 * (not permitted, not dirty yet, MMIO, holds decoded code, empty). An access of `size` bytes hits if
 * `(linear + (size - 1)) & ~0xfff == tag`: one that crosses pages never does.
 * Index: bits 12..21 of the linear address. Host byte address: `i32(linear) + addend`.
 */
import { struct } from './struct.ts';

export const TlbEntry = struct('TlbEntry', { readTag: 'u64', writeTag: 'u64', execTag: 'u64', addend: 'u32', physicalPage: 'u32' });

export const TLB_ENTRIES = 1024;
/** log2 of TlbEntry.size. */
export const TLB_ENTRY_SHIFT = 5;
/** Never equal to a page address. */
export const TLB_EMPTY = 1;

/** Supervisor accesses (SMAP not in force), user accesses, supervisor accesses with SMAP in force. */
export const TLB_SUPERVISOR = 0;
export const TLB_USER = 1;
export const TLB_SUPERVISOR_SMAP = 2;
export const TLB_MODES = 3;

/** `physicalPage` is the index of the 4 KiB page in RAM (machine memory), for the code map. */
export const Tlb = struct('Tlb', { entries: [TlbEntry, TLB_ENTRIES * TLB_MODES] });
