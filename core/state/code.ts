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
  /** Direct branch: address of the target's record, or 0 until known. Near return or indirect branch: the first of its `BranchTarget`s, or 0. */
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
/** The first record of a block that is not translated: counts, asks for the translation in time, and goes on with `BlockHeader.original`. */
export const HANDLER_COUNT = 4;
/** The first with no fixed place. */
export const HANDLER_FIRST = 8;

/** With a record's address, where translated code says which of its accesses it is at: to the stack, and not to the memory operand. */
export const SITE_STACK = 1;
/** The first of two: what is read here is written elsewhere. */
export const SITE_COPIES = 2;
/** All bits that are not the record's address. */
export const SITE_BITS = 3;

/** Before each block of records. */
export const BlockHeader = struct('BlockHeader', {
  /** The next block of the same page of RAM (address, or 0). */
  next: 'u32',
  page: 'u32',
  /** Records. */
  count: 'u32',
  /** The first record's handler, where HANDLER_COUNT or a translation stands in its place. */
  original: 'u32',
  /** How often it was entered and not translated. Above 2^31: less than never, for code that did not last. */
  entries: 'u32',
  /** CODE_*, for which it was decoded. */
  mode: 'u32',
  /** Offsets in the page of the first and the last byte that it was decoded from. */
  first: 'u16',
  last: 'u16',
  reserved: 'u32',
});

/**
 * An instruction that was decoded by itself: because it crosses into the next page, or because only one is to be executed. Each vCPU has
 * SINGLES of them, in front of all other records, direct-mapped by RAM offset. Nothing invalidates them: `bytes` are compared with what
 * memory holds whenever one is used, those in the next page by way of where that is mapped now.
 */
export const Single = struct('Single', {
  /** RAM offset of the first byte, and CODE_* + 1; 0: empty. */
  at: 'u32',
  mode: 'u32',
  length: 'u32',
  /** `Record.handler` where CS has room for the whole instruction. */
  handler: 'u32',
  bytes: ['u8', 16],
  /** The instruction and the block's end. */
  records: [Record, 2],
});
export const SINGLES = 64;

/** Direct-mapped: physical address (RAM offset) | mode in the key -> record. */
export const CodeHash = struct('CodeHash', { key: 'u64', record: 'u32', reserved: 'u32' });
export const CODE_HASH_ENTRIES = 1 << 18;

/** Per 4 KiB page of RAM. */
export const CodePage = struct('CodePage', {
  /** The first of its blocks (BlockHeader), or 0. */
  blocks: 'u32',
  /** The first of the translations that have code in it (`Dependent`, by number), or 0. */
  dependents: 'u32',
  /** Which 64-byte chunks hold decoded instructions. */
  chunks: 'u64',
  /** `Translations.clock` when code in it last became stale. */
  generation: 'u32',
  /**
   * Bits 1..5: how often translations of code in it became stale soon after they were made; the more, the longer until the next. Bit 0: 1 if
   * there is one that has not been reckoned.
   */
  churn: 'u32',
});

/** Where a near return or an indirect branch has gone: the target's distance from offset 0 of the branch's page, in linear addresses. */
export const BranchTarget = struct('BranchTarget', { next: 'u32', reserved: 'u32', distance: 'u64' });
/** So many different ones are remembered, of a jump (through a table, perhaps) and of a return or call. */
export const JUMP_TARGETS = 64;
export const RETURN_TARGETS = 8;
/** Of all code together. */
export const BRANCH_TARGETS = 32768;
