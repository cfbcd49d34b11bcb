/** Operands of helpers, taken from the decoded record (core/state/code.ts). */
import {
  CODE_16,
  CODE_64,
  CPU_codeSize,
  CPU_linearMask,
  CPU_ripBase,
  PREFIX_OPERAND,
  PREFIX_REXW,
  RECORD_addressMask,
  RECORD_base,
  RECORD_displacement,
  RECORD_index,
  RECORD_pageOffset,
  RECORD_prefixes,
  RECORD_reg,
  RECORD_scale,
  RECORD_segment,
} from './layout';
import { load16, load32, load64, load8, store16, store32, store64, store8 } from './memory';

/** What the decoder stores as the segment of an operand that is a register. */
export const SEGMENT_NONE: u32 = 0xffff;

/** The operand in modrm.rm is a register. */
// @ts-ignore: decorator
@inline
export function isRegister(record: usize): bool {
  return load<u16>(record, RECORD_segment) == SEGMENT_NONE;
}

/** Offset of the `Reach` of the memory operand's segment. */
// @ts-ignore: decorator
@inline
export function operandSegment(record: usize): u32 {
  return load<u16>(record, RECORD_segment);
}

/** The operand size in bytes: 2, 4 or 8, for instructions whose operand is 16, 32 or (with REX.W) 64 bits. */
export function operandSize(cpu: usize, record: usize): u32 {
  const prefixes = <u32>load<u8>(record, RECORD_prefixes);
  const mode = load<u32>(cpu, CPU_codeSize);
  if (mode == CODE_64 && (prefixes & PREFIX_REXW)) return 8;
  const flip = (prefixes & PREFIX_OPERAND) != 0;
  return (mode == CODE_16) != flip ? 2 : 4;
}

/** The same where the operand is 64 bits by default in 64-bit mode (PUSHF, POPF, ... : `d64` rows): 2, 4 or 8. */
export function stackOperandSize(cpu: usize, record: usize): u32 {
  const prefixes = <u32>load<u8>(record, RECORD_prefixes);
  const mode = load<u32>(cpu, CPU_codeSize);
  const flip = (prefixes & PREFIX_OPERAND) != 0;
  if (mode == CODE_64) return flip && !(prefixes & PREFIX_REXW) ? 2 : 8;
  return (mode == CODE_16) != flip ? 2 : 4;
}

/** The effective address: an offset in the segment, without its base. */
export function effectiveAddress(cpu: usize, record: usize): u64 {
  const base = load<u64>(cpu + load<u16>(record, RECORD_base));
  const index = load<u64>(cpu + load<u16>(record, RECORD_index));
  return (
    (base + (index << load<u8>(record, RECORD_scale)) + load<u64>(record, RECORD_displacement)) & load<u64>(record, RECORD_addressMask)
  );
}

/** The address of the instruction being executed, as RIP, EIP or IP. */
export function instructionAddress(cpu: usize, record: usize): u64 {
  const rip = load<u64>(cpu, CPU_ripBase) + load<u16>(record, RECORD_pageOffset);
  const mode = load<u32>(cpu, CPU_codeSize);
  return mode == CODE_64 ? rip : mode == CODE_16 ? rip & 0xffff : rip & 0xffffffff;
}

export function readRm8(cpu: usize, record: usize): u32 {
  if (isRegister(record)) return load<u8>(cpu + load<u16>(record, RECORD_base));
  return load8(cpu, operandSegment(record), effectiveAddress(cpu, record));
}
export function readRm16(cpu: usize, record: usize): u32 {
  if (isRegister(record)) return load<u16>(cpu + load<u16>(record, RECORD_base));
  return load16(cpu, operandSegment(record), effectiveAddress(cpu, record));
}
export function readRm32(cpu: usize, record: usize): u32 {
  if (isRegister(record)) return load<u32>(cpu + load<u16>(record, RECORD_base));
  return load32(cpu, operandSegment(record), effectiveAddress(cpu, record));
}
export function readRm64(cpu: usize, record: usize): u64 {
  if (isRegister(record)) return load<u64>(cpu + load<u16>(record, RECORD_base));
  return load64(cpu, operandSegment(record), effectiveAddress(cpu, record));
}

/** Writes modrm.rm; a 32-bit register is zero-extended to 64. */
export function writeRm8(cpu: usize, record: usize, value: u32): void {
  if (isRegister(record)) store<u8>(cpu + load<u16>(record, RECORD_base), value);
  else store8(cpu, operandSegment(record), effectiveAddress(cpu, record), value);
}
export function writeRm16(cpu: usize, record: usize, value: u32): void {
  if (isRegister(record)) store<u16>(cpu + load<u16>(record, RECORD_base), value);
  else store16(cpu, operandSegment(record), effectiveAddress(cpu, record), value);
}
export function writeRm32(cpu: usize, record: usize, value: u32): void {
  if (isRegister(record)) store<u64>(cpu + load<u16>(record, RECORD_base), <u64>value);
  else store32(cpu, operandSegment(record), effectiveAddress(cpu, record), value);
}
export function writeRm64(cpu: usize, record: usize, value: u64): void {
  if (isRegister(record)) store<u64>(cpu + load<u16>(record, RECORD_base), value);
  else store64(cpu, operandSegment(record), effectiveAddress(cpu, record), value);
}

/** Byte address of the register in modrm.reg (or of the opcode's register). */
// @ts-ignore: decorator
@inline
export function regAddress(cpu: usize, record: usize): usize {
  return cpu + load<u16>(record, RECORD_reg);
}

/** Byte address of the register in modrm.rm. */
// @ts-ignore: decorator
@inline
export function rmAddress(cpu: usize, record: usize): usize {
  return cpu + load<u16>(record, RECORD_base);
}

/** Writes a general register at byte address `at` with `size` 2, 4 or 8; 4 zero-extends. */
export function writeRegister(at: usize, value: u64, size: u32): void {
  if (size == 2) store<u16>(at, <u16>value);
  else if (size == 4) store<u64>(at, value & 0xffffffff);
  else store<u64>(at, value);
}

/** Writes modrm.rm with `size` 2, 4 or 8. */
export function writeRm(cpu: usize, record: usize, value: u64, size: u32): void {
  if (size == 2) writeRm16(cpu, record, <u32>value);
  else if (size == 4) writeRm32(cpu, record, <u32>value);
  else writeRm64(cpu, record, value);
}

/** Reads modrm.rm with `size` 2, 4 or 8, zero-extended. */
export function readRm(cpu: usize, record: usize, size: u32): u64 {
  return size == 2 ? readRm16(cpu, record) : size == 4 ? readRm32(cpu, record) : readRm64(cpu, record);
}

/** A linear address from a segment's `Reach`, without any check. */
export function linearAddress(cpu: usize, segment: u32, ea: u64): u64 {
  return (ea + load<u64>(cpu + segment)) & load<u64>(cpu, CPU_linearMask);
}
