/** Bits of paging-structure entries (SDM vol. 3A, 4.3 to 4.5). A file that imports nothing: others take their constants from it. */
export const P: u64 = 1;
export const RW: u64 = 2;
export const US: u64 = 4;
export const A: u64 = 0x20;
export const D: u64 = 0x40;
export const PS: u64 = 0x80;
export const G: u64 = 0x100;
export const XD: u64 = 1 << 63;
/** Bits 12..51: where an entry holds an address. */
export const ADDRESS: u64 = 0x000ffffffffff000;
