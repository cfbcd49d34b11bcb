/**
 * Decoded code: records in one big array, found by physical address and mode. The decoder writes them; interpreter and translator read.
 */
import { struct } from './struct.ts';

/**
 * One decoded instruction. Register operands are byte offsets from the vCPU's address (`Cpu.gpr` slots, +1 for AH..BH, XMM slots ...).
 * A memory operand's linear address is ((reg[base] + (reg[index] << scale) + displacement) & addressMask + reach.base) & linearMask.
 */
export const Record = struct('Record', {
  /** Index in the table of handlers. Overwritten with HANDLER_STALE when the bytes under the record changed. */
  handler: 'u32',
  /** Bytes of the instruction. */
  length: 'u8',
  /** Instructions of the block before this one. */
  position: 'u8',
  /** Offset of the first byte in its page. */
  pageOffset: 'u16',
  /** Operand held in modrm.reg, or the register of an opcode. */
  reg: 'u16',
  /** Operand in modrm.rm where it is a register; else the base register. */
  base: 'u16',
  index: 'u16',
  /** Offset of the `Reach` of the segment. */
  segment: 'u16',
  displacement: 'u64',
  /** Immediate, sign-extended to 64 bits where the instruction does so; for branches, the displacement from the next instruction. */
  immediate: 'u64',
  addressMask: 'u64',
  /** Direct branch: address of the target's record, or 0 until known. */
  target: 'u32',
  scale: 'u8',
  /** PREFIX_* seen. */
  prefixes: 'u8',
  /** Number of a segment, control or debug register; i of ST(i); selector of a far pointer; second immediate of ENTER. */
  extra: 'u16',
});

export const PREFIX_LOCK = 1;
export const PREFIX_REP = 2;
export const PREFIX_REPNE = 4;
export const PREFIX_OPERAND = 8;
export const PREFIX_ADDRESS = 16;
/** REX.W: with PREFIX_OPERAND and the code size it gives a helper the operand size. */
export const PREFIX_REXW = 32;

/** Handlers with a fixed place in the table. */
export const HANDLER_STALE = 0;
/** End of a block that ran into its limit or the page's end: carry on at the next instruction's address. */
export const HANDLER_END = 1;
/** Raises #UD; counted by opcode. */
export const HANDLER_UNDEFINED = 2;
/** Raises #GP(0): longer than 15 bytes, or beyond the limit of CS. */
export const HANDLER_TOO_LONG = 3;
/** The first with no fixed place. */
export const HANDLER_FIRST = 8;

/** Before each block of records: the next block of the same physical page (address, or 0), how many records, how often it was entered (counted for the
 *  translator), and the mode it was decoded for (CODE_*). */
export const BlockHeader = struct('BlockHeader', { next: 'u32', page: 'u32', count: 'u32', chunks: 'u32', entries: 'u32', mode: 'u32' });

/** Direct-mapped: physical address (RAM offset) | mode in the key -> record. */
export const CodeHash = struct('CodeHash', { key: 'u64', record: 'u32', reserved: 'u32' });
export const CODE_HASH_ENTRIES = 1 << 18;

/** Per 4 KiB page of RAM: its blocks, which 64-byte chunks hold decoded instructions, and 1 if code of it was translated: then all its blocks
 *  become stale together. */
export const CodePage = struct('CodePage', { blocks: 'u32', translated: 'u32', chunks: 'u64' });
