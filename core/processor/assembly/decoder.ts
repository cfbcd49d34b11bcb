/**
 * From bytes to decoded records (core/state/code.ts; Intel SDM vol. 2, chapter 2). The only decoder: it knows no instruction but by the
 * tables in opcodes.ts, which are made from the rows (core/processor/opcodes.ts says what they hold).
 */
import {
  CODE_16,
  CODE_32,
  CODE_64,
  CPU_features,
  CPU_fpr,
  CPU_gpr,
  CPU_reach,
  CPU_ripBase,
  CPU_xmm,
  CPU_zero,
  DS,
  HANDLER_TOO_LONG,
  HANDLER_UNDEFINED,
  PREFIX_ADDRESS,
  PREFIX_LOCK,
  PREFIX_OPERAND,
  PREFIX_REP,
  PREFIX_REPNE,
  PREFIX_REXW,
  REACH_SIZE,
  RECORD_addressMask,
  RECORD_base,
  RECORD_displacement,
  RECORD_extra,
  RECORD_handler,
  RECORD_immediate,
  RECORD_index,
  RECORD_length,
  RECORD_pageOffset,
  RECORD_position,
  RECORD_prefixes,
  RECORD_reg,
  RECORD_scale,
  RECORD_segment,
  RECORD_target,
  SS,
} from './layout';
import {
  CANDIDATES,
  CANDIDATE_BASE,
  CANDIDATE_EXTRA,
  CANDIDATE_FEATURE,
  CANDIDATE_IMMEDIATES,
  CANDIDATE_MASK,
  CANDIDATE_REG,
  CANDIDATE_RM,
  CANDIDATE_SIZE,
  CANDIDATE_SIZES,
  CANDIDATE_VALUE,
  ENDS_BLOCK,
  EXTRA_OPCODE,
  EXTRA_REG,
  EXTRA_RM,
  HAS_MODRM,
  IMMEDIATES_BYTE,
  IMMEDIATES_NONE,
  IMMEDIATES_OFFSET,
  IMMEDIATES_POINTER,
  IMMEDIATES_SIGNED_BYTE,
  IMMEDIATES_V,
  IMMEDIATES_WORD,
  IMMEDIATES_WORD_BYTE,
  IMMEDIATES_Z,
  KEY_LONG,
  KEY_PREFIX_SHIFT,
  KEY_REGISTER,
  KEY_REXB,
  KEY_REXW,
  LOCKABLE,
  NO_FEATURE,
  OPCODES,
  OPERAND_GPR8,
  OPERAND_MM,
  OPERAND_NONE,
  OPERAND_XMM,
  REG_OPCODE,
  RM_REGISTER,
  SIZES_16_32_64,
  SIZES_MASK,
  SIZES_NONE,
  SIZE_D64,
  SIZE_F64,
  SIZE_FIXED,
  SPECIAL_FIRST,
} from './opcodes';
import { monitoredHandler } from './monitor';
import { SEGMENT_NONE } from './operands';

export const LENGTH_MAX: u32 = 15;

/** What `decodeInstruction` returns where the instruction goes on behind the bytes that there are. */
export const NEEDS_MORE: i32 = -1;
/** Added to the length of an instruction that ends its block. */
export const DECODED_END: i32 = 0x100;

/** Which of the bytes 00..3F, 40..7F and C0..FF are legacy prefixes: 26 2E 36 3E, 64 to 67, F0 F2 F3. */
const PREFIXES_00: u64 = 0x4040404000000000;
const PREFIXES_40: u64 = 0x000000f000000000;
const PREFIXES_C0: u64 = 0x000d000000000000;

// @ts-ignore: decorator
@inline
function isPrefix(byte: u32): bool {
  const set = byte < 0x80 ? (byte < 0x40 ? PREFIXES_00 : PREFIXES_40) : byte < 0xc0 ? 0 : PREFIXES_C0;
  return ((set >>> (byte & 63)) & 1) != 0;
}

/** 16-bit addressing: base and index by modrm.rm, four bits each (vol. 2, table 2-1); F: none. */
const BASES_16: u32 = 0x3576_5533;
const INDICES_16: u32 = 0xffff_7676;

/** Byte offset in `Cpu` of a register operand. */
// @ts-ignore: decorator
@inline
function register(kind: u32, number: u32, rex: u32): u32 {
  if (kind == OPERAND_XMM) return <u32>CPU_xmm + number * 16;
  if (kind == OPERAND_MM) return <u32>CPU_fpr + (number & 7) * 16;
  // Without REX, 4 to 7 are AH, CH, DH, BH.
  if (kind == OPERAND_GPR8 && rex == 0 && number >= 4 && number < 8) return <u32>CPU_gpr + (number - 4) * 8 + 1;
  return kind == OPERAND_NONE ? <u32>CPU_zero : <u32>CPU_gpr + number * 8;
}

/** No row matches, or more than 15 bytes. The opcode is kept to name it: map and byte, modrm, prefixes. */
function undefinedRecord(record: usize, handler: u32, length: u32, opcode: u32, modrm: u32, prefixes: u32): i32 {
  store<u32>(record, handler, RECORD_handler);
  store<u8>(record, length, RECORD_length);
  store<u64>(record, <u64>((prefixes << 24) | (modrm << 16) | opcode), RECORD_immediate);
  return <i32>length | DECODED_END;
}

/** The bytes end before the instruction does. */
function beyond(record: usize, available: u32, opcode: u32, modrm: u32, prefixes: u32): i32 {
  if (available < LENGTH_MAX) return NEEDS_MORE;
  return undefinedRecord(record, HANDLER_TOO_LONG, LENGTH_MAX, opcode, modrm, prefixes);
}

// @ts-ignore: decorator
@inline
function offered(cpu: usize, candidate: usize): bool {
  const feature = <u32>load<u8>(candidate, CANDIDATE_FEATURE);
  return feature == NO_FEATURE || ((load<u32>(cpu + ((feature >>> 5) << 2), CPU_features) >>> (feature & 31)) & 1) != 0;
}

/**
 * Decodes one instruction of code for CODE_16, CODE_32 or CODE_64. `available` bytes of it are at `from`; it is at `offset` of its page, and
 * comes after `position` others in its block. Returns its length, with DECODED_END if it ends the block, or NEEDS_MORE.
 */
export function decodeInstruction(cpu: usize, record: usize, from: usize, available: u32, mode: u32, offset: u32, position: u32): i32 {
  const long = mode == CODE_64;
  const limit = min(available, LENGTH_MAX);
  store<u8>(record, position, RECORD_position);
  store<u16>(record, offset, RECORD_pageOffset);
  store<u32>(record, 0, RECORD_target);

  // -- prefixes
  let at: u32 = 0;
  let prefixes: u32 = 0;
  let rex: u32 = 0;
  let prefixed: i32 = -1;
  let byte: u32;
  for (;;) {
    if (at >= limit) return beyond(record, available, 0, 0, prefixes);
    byte = load<u8>(from + at++);
    if (long && (byte & 0xf0) == 0x40) {
      // A REX prefix counts only right before the opcode.
      rex = byte;
      continue;
    }
    if (!isPrefix(byte)) break;
    rex = 0;
    if (byte == 0x66) prefixes |= PREFIX_OPERAND;
    else if (byte == 0xf3) prefixes = (prefixes & ~PREFIX_REPNE) | PREFIX_REP;
    else if (byte == 0xf2) prefixes = (prefixes & ~PREFIX_REP) | PREFIX_REPNE;
    else if (byte == 0xf0) prefixes |= PREFIX_LOCK;
    else if (byte == 0x67) prefixes |= PREFIX_ADDRESS;
    else if (byte >= 0x64) prefixed = byte - 0x60;
    else if (!long) prefixed = (byte >>> 3) & 3;
  }
  if (rex & 8) prefixes |= PREFIX_REXW;

  // -- opcode
  let opcode = byte;
  if (byte == 0x0f) {
    if (at >= limit) return beyond(record, available, opcode, 0, prefixes);
    byte = load<u8>(from + at++);
    opcode = 0x100 | byte;
    if (byte == 0x38 || byte == 0x3a) {
      if (at >= limit) return beyond(record, available, opcode, 0, prefixes);
      opcode = byte == 0x38 ? 0x200 : 0x300;
      byte = load<u8>(from + at++);
      opcode |= byte;
    }
  }
  let candidate = CANDIDATES + <usize>load<u16>(OPCODES + (opcode << 1)) * CANDIDATE_SIZE;
  const candidatesEnd = CANDIDATES + <usize>load<u16>(OPCODES + (opcode << 1), 2) * CANDIDATE_SIZE;
  while (candidate < candidatesEnd && !offered(cpu, candidate)) candidate += CANDIDATE_SIZE;
  if (candidate == candidatesEnd) return undefinedRecord(record, HANDLER_UNDEFINED, at, opcode, 0, prefixes);
  // Whether there is a modrm byte is a matter of the opcode alone.
  const hasModrm = (load<u8>(candidate, CANDIDATE_SIZES) & HAS_MODRM) != 0;
  let modrm: u32 = 0;
  if (hasModrm) {
    if (at >= limit) return beyond(record, available, opcode, 0, prefixes);
    modrm = load<u8>(from + at++);
  }

  // -- row
  let key = modrm | ((rex & 8) << 7) | ((rex & 1) << 11);
  if (modrm >= 0xc0) key |= KEY_REGISTER;
  if (long) key |= KEY_LONG;
  if (prefixes & (PREFIX_OPERAND | PREFIX_REP | PREFIX_REPNE))
    key |= (prefixes & PREFIX_REPNE ? 3 : prefixes & PREFIX_REP ? 2 : 1) << KEY_PREFIX_SHIFT;
  while ((key & load<u16>(candidate, CANDIDATE_MASK)) != load<u16>(candidate, CANDIDATE_VALUE) || !offered(cpu, candidate)) {
    candidate += CANDIDATE_SIZE;
    if (candidate == candidatesEnd) return undefinedRecord(record, HANDLER_UNDEFINED, at, opcode, modrm, prefixes);
  }
  const reg = <u32>load<u8>(candidate, CANDIDATE_REG);
  const rm = <u32>load<u8>(candidate, CANDIDATE_RM);
  const memory = hasModrm && modrm < 0xc0 && !(rm & RM_REGISTER);

  // -- memory operand
  const flip = (prefixes & PREFIX_ADDRESS) != 0;
  const narrow = !long && (mode == CODE_32) == flip;
  let base: u32 = CPU_zero;
  let index: u32 = CPU_zero;
  let scale: u32 = 0;
  let segment = prefixed >= 0 ? <u32>prefixed : DS;
  let displacement: i64 = 0;
  let relative = false;
  if (memory) {
    const mod = modrm >>> 6;
    let stack = false;
    let bytes: u32;
    let low = modrm & 7;
    if (narrow) {
      const shift = low << 2;
      bytes = mod == 0 ? 0 : mod;
      if (mod == 0 && low == 6) bytes = 2;
      else {
        const b = (BASES_16 >>> shift) & 15;
        const i = (INDICES_16 >>> shift) & 15;
        base = <u32>CPU_gpr + b * 8;
        if (i != 15) index = <u32>CPU_gpr + i * 8;
        stack = b == 5;
      }
    } else {
      bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
      let sib = false;
      if (low == 4) {
        if (at >= limit) return beyond(record, available, opcode, modrm, prefixes);
        const byte = <u32>load<u8>(from + at++);
        const i = ((byte >>> 3) & 7) | ((rex & 2) << 2);
        if (i != 4) {
          index = <u32>CPU_gpr + i * 8;
          scale = byte >>> 6;
        }
        low = byte & 7;
        sib = true;
      }
      if (low == 5 && mod == 0) {
        bytes = 4;
        if (long && !sib) {
          relative = true;
          base = CPU_ripBase;
        }
      } else {
        const b = low | ((rex & 1) << 3);
        base = <u32>CPU_gpr + b * 8;
        stack = b == 5 || (sib && b == 4);
      }
    }
    if (bytes != 0) {
      if (at + bytes > limit) return beyond(record, available, opcode, modrm, prefixes);
      const p = from + at;
      displacement = bytes == 1 ? <i64>load<i8>(p) : bytes == 4 ? <i64>load<i32>(p) : <i64>load<u16>(p);
      at += bytes;
    }
    if (stack && prefixed < 0) segment = SS;
  }

  // -- operand size
  const sizes = <u32>load<u8>(candidate, CANDIDATE_SIZES);
  let variant: u32 = 0;
  // 0: 16, 1: 32, 2: 64 bits
  let size: u32 = 1;
  if ((sizes & SIZES_MASK) != SIZES_NONE) {
    const other = (prefixes & PREFIX_OPERAND) != 0 && !(sizes & SIZE_FIXED);
    if (long) size = (sizes & SIZE_F64) || rex & 8 ? 2 : other ? 0 : sizes & SIZE_D64 ? 2 : 1;
    else size = (mode == CODE_16) == other ? 1 : 0;
    if ((sizes & SIZES_MASK) == SIZES_16_32_64) variant = size;
    else {
      // 32 and 64 bits only: 66 makes no difference.
      if (size == 0) size = 1;
      variant = size - 1;
    }
  }

  // -- immediates
  const kind = <u32>load<u8>(candidate, CANDIDATE_IMMEDIATES);
  let immediate: i64 = 0;
  let second: u32 = 0;
  if (kind != IMMEDIATES_NONE) {
    const p = from + at;
    if (kind == IMMEDIATES_BYTE || kind == IMMEDIATES_SIGNED_BYTE) {
      at += 1;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      immediate = kind == IMMEDIATES_BYTE ? <i64>load<u8>(p) : <i64>load<i8>(p);
    } else if (kind == IMMEDIATES_Z) {
      // The displacement of a near branch is 32 bits wide in 64-bit mode whatever the prefixes say.
      const word = size == 0 && !(long && sizes & SIZE_F64);
      at += word ? 2 : 4;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      immediate = word ? <i64>load<i16>(p) : <i64>load<i32>(p);
    } else if (kind == IMMEDIATES_V) {
      at += 2 << size;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      immediate = size == 0 ? <i64>load<u16>(p) : size == 1 ? <i64>load<u32>(p) : load<i64>(p);
    } else if (kind == IMMEDIATES_OFFSET) {
      at += narrow ? 2 : long && !flip ? 8 : 4;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      displacement = narrow ? <i64>load<u16>(p) : long && !flip ? load<i64>(p) : <i64>load<u32>(p);
    } else if (kind == IMMEDIATES_POINTER) {
      const bytes: u32 = size == 0 ? 2 : 4;
      at += bytes + 2;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      immediate = size == 0 ? <i64>load<u16>(p) : <i64>load<u32>(p);
      second = load<u16>(p + bytes);
    } else {
      // IMMEDIATES_WORD, IMMEDIATES_WORD_BYTE
      at += kind == IMMEDIATES_WORD ? 2 : 3;
      if (at > limit) return beyond(record, available, opcode, modrm, prefixes);
      immediate = <i64>load<u16>(p);
      if (kind == IMMEDIATES_WORD_BYTE) second = load<u8>(p + 2);
    }
  }
  if (prefixes & PREFIX_LOCK && !(memory && sizes & LOCKABLE))
    return undefinedRecord(record, HANDLER_UNDEFINED, at, opcode, modrm, prefixes);

  // -- the record
  const regNumber = reg & REG_OPCODE ? (byte & 7) | ((rex & 1) << 3) : ((modrm >>> 3) & 7) | ((rex & 4) << 1);
  if (hasModrm && !memory) base = register(rm & 7, (modrm & 7) | ((rex & 1) << 3), rex);
  // `ripBase` is RIP at offset 0 of the page.
  if (relative) displacement += <i64>(offset + at);
  const extra = <u32>load<u8>(candidate, CANDIDATE_EXTRA);
  if (extra == EXTRA_REG) second = regNumber;
  else if (extra == EXTRA_RM) second = modrm & 7;
  else if (extra == EXTRA_OPCODE) second = opcode;
  const handler = <u32>load<u16>(candidate, CANDIDATE_BASE) + 2 * variant + u32(memory);
  store<u32>(record, handler >= SPECIAL_FIRST ? monitoredHandler(cpu, handler) : handler, RECORD_handler);
  store<u8>(record, at, RECORD_length);
  store<u16>(record, register(reg & 7, regNumber, rex), RECORD_reg);
  store<u16>(record, base, RECORD_base);
  store<u16>(record, index, RECORD_index);
  store<u16>(record, !hasModrm || memory ? <u32>CPU_reach + segment * <u32>REACH_SIZE : SEGMENT_NONE, RECORD_segment);
  store<i64>(record, displacement, RECORD_displacement);
  store<i64>(record, immediate, RECORD_immediate);
  store<u64>(record, narrow ? 0xffff : long && !flip ? <u64>-1 : 0xffffffff, RECORD_addressMask);
  store<u8>(record, scale, RECORD_scale);
  store<u8>(record, prefixes, RECORD_prefixes);
  store<u16>(record, second, RECORD_extra);
  return <i32>at | (sizes & ENDS_BLOCK ? DECODED_END : 0);
}
