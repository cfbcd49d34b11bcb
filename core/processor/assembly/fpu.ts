/**
 * The x87 register stack, status word and exceptions (SDM vol. 1, chapter 8).
 *
 * Registers are kept in physical order (`Cpu.fpr`), each with the upper six bytes of its slot zero. `fpuTag` holds 3 for an empty register
 * and 0 for any other: which of valid, zero or special it is follows from the contents and is only worked out where it is stored.
 * As on processors that deprecate FCS and FDS (CPUID.7.0:EBX bit 13), both are always 0, and so is the last opcode.
 */
import {
  CPU_codeSize,
  CPU_cr0,
  CPU_cr4,
  CPU_fpr,
  CPU_fpuControl,
  CPU_fpuDp,
  CPU_fpuIp,
  CPU_fpuStatus,
  CPU_fpuTag,
  CPU_ripBase,
  CODE_64,
  RECORD_extra,
  RECORD_pageOffset,
} from './layout';
import { VECTOR_MF, deviceNotAvailable, faultNoError, undefinedOpcode } from './fault';
import { C1, DE, IE, INTEGER_BIT, OE, PE, SF, UE, ZE, high, low, pair } from './float';
import { effectiveAddress } from './operands';

/** Condition codes in the status word, its error summary, and the busy bit that mirrors it. */
export const C0: u32 = 0x100;
export const C2: u32 = 0x400;
export const C3: u32 = 0x4000;
export const ES: u32 = 0x80;
export const BUSY: u32 = 0x8000;
export const TOP_SHIFT: u32 = 11;
export const TOP_MASK: u32 = 0x3800;

const CR0_MP: u32 = 2;
const CR0_EM: u32 = 4;
const CR0_TS: u32 = 8;
const CR0_NE: u32 = 0x20;
const CR4_OSFXSR: u32 = 0x200;

/** The real indefinite: what masked invalid operations give. */
// @ts-ignore: decorator
@inline
export function indefinite(): v128 {
  return i64x2(<i64>0xc000000000000000, 0xffff);
}

/**
 * What the interpreter calls when CR0 or CR4 forbids an instruction of a unit (its handlers test that inline): raises #NM, or #UD
 * (SDM vol. 3A, tables 2-2 and 9-3, and 13.1).
 */
export function checkX87(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cr0) & (CR0_EM | CR0_TS)) deviceNotAvailable(cpu);
}

export function checkMmx(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cr0) & CR0_EM) undefinedOpcode(cpu);
  if (load<u32>(cpu, CPU_cr0) & CR0_TS) deviceNotAvailable(cpu);
}

export function checkSimd(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cr0) & CR0_EM || !(load<u32>(cpu, CPU_cr4) & CR4_OSFXSR)) undefinedOpcode(cpu);
  if (load<u32>(cpu, CPU_cr0) & CR0_TS) deviceNotAvailable(cpu);
}

/** A pending unmasked exception: #MF. With CR0.NE clear it is signalled outside the processor (FERR#), which no board here has wired. */
export function pendingException(cpu: usize): void {
  if (load<u32>(cpu, CPU_cr0) & CR0_NE) faultNoError(cpu, VECTOR_MF);
}

/** What every waiting instruction does first. */
// @ts-ignore: decorator
@inline
export function waitX87(cpu: usize): void {
  if (load<u16>(cpu, CPU_fpuStatus) & ES) pendingException(cpu);
}

/** What every waiting instruction that is not a control instruction does first: it also becomes "the last instruction". */
// @ts-ignore: decorator
@inline
export function enter(cpu: usize, record: usize): void {
  waitX87(cpu);
  store<u64>(cpu, load<u64>(cpu, CPU_ripBase) + load<u16>(record, RECORD_pageOffset), CPU_fpuIp);
}

/** The effective address of the memory operand, noted as the last data pointer. */
// @ts-ignore: decorator
@inline
export function operand(cpu: usize, record: usize): u64 {
  const ea = effectiveAddress(cpu, record);
  store<u64>(cpu, ea, CPU_fpuDp);
  return ea;
}

export function fwait(cpu: usize, record: usize): void {
  const cr0 = load<u32>(cpu, CPU_cr0);
  if ((cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) deviceNotAvailable(cpu);
  if (load<u16>(cpu, CPU_fpuStatus) & ES) pendingException(cpu);
}

// @ts-ignore: decorator
@inline
export function top(cpu: usize): u32 {
  return (<u32>load<u16>(cpu, CPU_fpuStatus) >> TOP_SHIFT) & 7;
}

/** Physical number of ST(i). */
// @ts-ignore: decorator
@inline
export function physical(cpu: usize, i: u32): u32 {
  return ((<u32>load<u16>(cpu, CPU_fpuStatus) >> TOP_SHIFT) + i) & 7;
}

/** The i of ST(i) in the record. */
// @ts-ignore: decorator
@inline
export function stackIndex(record: usize): u32 {
  return load<u16>(record, RECORD_extra);
}

/** Byte address of a physical register. */
// @ts-ignore: decorator
@inline
export function slot(cpu: usize, register: u32): usize {
  return cpu + CPU_fpr + (<usize>register << 4);
}

// @ts-ignore: decorator
@inline
export function isEmpty(cpu: usize, register: u32): bool {
  return ((<u32>load<u16>(cpu, CPU_fpuTag) >> (register << 1)) & 3) == 3;
}

// @ts-ignore: decorator
@inline
export function markUsed(cpu: usize, register: u32): void {
  store<u16>(cpu, <u32>load<u16>(cpu, CPU_fpuTag) & ~(3 << (register << 1)), CPU_fpuTag);
}

// @ts-ignore: decorator
@inline
export function markEmpty(cpu: usize, register: u32): void {
  store<u16>(cpu, <u32>load<u16>(cpu, CPU_fpuTag) | (3 << (register << 1)), CPU_fpuTag);
}

/** TOP moves by `by`; nothing else does. */
// @ts-ignore: decorator
@inline
export function moveTop(cpu: usize, by: u32): void {
  const status = <u32>load<u16>(cpu, CPU_fpuStatus);
  store<u16>(cpu, (status & ~TOP_MASK) | ((status + (by << TOP_SHIFT)) & TOP_MASK), CPU_fpuStatus);
}

/** Frees ST(0) and increments TOP. */
// @ts-ignore: decorator
@inline
export function pop(cpu: usize): void {
  const status = <u32>load<u16>(cpu, CPU_fpuStatus);
  const shift = ((status >> TOP_SHIFT) & 7) << 1;
  store<u16>(cpu, <u32>load<u16>(cpu, CPU_fpuTag) | (3 << shift), CPU_fpuTag);
  store<u16>(cpu, (status & ~TOP_MASK) | ((status + (1 << TOP_SHIFT)) & TOP_MASK), CPU_fpuStatus);
}

/** Writes an extended number to a register slot. */
// @ts-ignore: decorator
@inline
export function put(at: usize, significand: u64, signExponent: u32): void {
  store<u64>(at, significand);
  store<u64>(at, <u64>signExponent, 8);
}

/** Clears C1, as instructions do that cannot round or have not. */
// @ts-ignore: decorator
@inline
export function clearC1(cpu: usize): void {
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) & ~C1, CPU_fpuStatus);
}

/**
 * Adds exception flags (with SF and C1 as given) to the status word. True if one of them is unmasked: it is then pending for the next
 * waiting instruction.
 */
export function raiseFlags(cpu: usize, flags: u32): bool {
  const unmasked = flags & ~(<u32>load<u16>(cpu, CPU_fpuControl)) & 0x3f;
  const status = (<u32>load<u16>(cpu, CPU_fpuStatus) & ~C1) | (flags & 0xffff);
  store<u16>(cpu, unmasked ? status | ES | BUSY : status, CPU_fpuStatus);
  return unmasked != 0;
}

/** IE, DE and ZE come before the operation: unmasked, they leave the destination and the stack as they were. */
// @ts-ignore: decorator
@inline
export function prevents(cpu: usize, flags: u32): bool {
  return (flags & ~(<u32>load<u16>(cpu, CPU_fpuControl)) & (IE | DE | ZE)) != 0;
}

/** An empty register was read. True if the masked response (the indefinite) is to be carried out. */
export function stackUnderflow(cpu: usize): bool {
  return !raiseFlags(cpu, IE | SF);
}

/** A register that is not empty was to be pushed onto. */
export function stackOverflow(cpu: usize): bool {
  return !raiseFlags(cpu, IE | SF | C1);
}

/**
 * Stores a result (significand; sign, exponent and exceptions as `roundExtended` returns them). False if an unmasked exception came
 * before the operation, so that nothing was stored and nothing may be popped.
 */
// @ts-ignore: decorator
@inline
export function commit(cpu: usize, at: usize, result: v128): bool {
  const upper = high(result);
  const flags = <u32>(upper >> 32);
  if (flags) {
    if (!commitFlags(cpu, flags)) return false;
  } else clearC1(cpu);
  put(at, low(result), <u32>upper & 0xffff);
  return true;
}

export function commitFlags(cpu: usize, flags: u32): bool {
  const allowed = !prevents(cpu, flags);
  // What did not happen was neither inexact nor out of range.
  raiseFlags(cpu, allowed ? flags : flags & (IE | DE | ZE | SF));
  return allowed;
}

/** Pushes an extended number with the exceptions of making it. */
export function push(cpu: usize, significand: u64, signExponent: u32, flags: u32): void {
  const register = (top(cpu) + 7) & 7;
  if (!isEmpty(cpu, register)) {
    if (!stackOverflow(cpu)) return;
    significand = 0xc000000000000000;
    signExponent = 0xffff;
  } else if (flags) {
    // A denormal is loaded even where its exception is not masked.
    if (!commitFlags(cpu, flags) && flags & IE) return;
  } else clearC1(cpu);
  moveTop(cpu, 7);
  markUsed(cpu, register);
  put(slot(cpu, register), significand, signExponent);
}

// -- classes of extended numbers

/** A normal number: neither zero, denormal, infinite, NaN nor an invalid encoding. */
// @ts-ignore: decorator
@inline
export function isNormal(significand: u64, signExponent: u32): bool {
  return <i64>significand < 0 && ((signExponent + 1) & 0x7fff) > 1;
}

// @ts-ignore: decorator
@inline
export function isNan(significand: u64, signExponent: u32): bool {
  return (signExponent & 0x7fff) == 0x7fff && <i64>significand < 0 && significand << 1 != 0;
}

// @ts-ignore: decorator
@inline
export function isSignaling(significand: u64, signExponent: u32): bool {
  return isNan(significand, signExponent) && !(significand & 0x4000000000000000);
}

// @ts-ignore: decorator
@inline
export function isInfinite(significand: u64, signExponent: u32): bool {
  return (signExponent & 0x7fff) == 0x7fff && significand == INTEGER_BIT;
}

/** Unnormals, pseudo-NaNs and pseudo-infinities (SDM vol. 1, table 8-3): invalid operands since the 387. */
// @ts-ignore: decorator
@inline
export function isUnsupported(significand: u64, signExponent: u32): bool {
  return <i64>significand >= 0 && (signExponent & 0x7fff) != 0;
}

/** Denormals and pseudo-denormals. */
// @ts-ignore: decorator
@inline
export function isDenormal(significand: u64, signExponent: u32): bool {
  return (signExponent & 0x7fff) == 0 && significand != 0;
}

/** The exponent a finite operand computes with, its significand shifted left by `clz(significand)`. */
// @ts-ignore: decorator
@inline
export function effectiveExponent(significand: u64, signExponent: u32): i32 {
  const e = <i32>(signExponent & 0x7fff);
  return (e == 0 ? 1 : e) - <i32>clz(significand);
}

/**
 * The result of an operation one of whose operands is a NaN or unsupported (SDM vol. 1, table 4-7): the larger significand of two NaNs,
 * a quiet one before a signaling one.
 */
export function propagate(a: u64, ase: u32, b: u64, bse: u32): v128 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse)) return withFlags(indefinite(), IE);
  const nanA = isNan(a, ase);
  const nanB = isNan(b, bse);
  const signalingA = isSignaling(a, ase);
  const signalingB = isSignaling(b, bse);
  const flags: u32 = signalingA || signalingB ? IE : 0;
  const quietA = a | 0x4000000000000000;
  const quietB = b | 0x4000000000000000;
  let first: bool;
  if (!nanB) first = true;
  else if (!nanA) first = false;
  else if (signalingA != signalingB) first = signalingB;
  else if (a != b) first = a > b;
  else first = !(ase & 0x8000);
  return first ? pair(quietA, <u64>ase | (<u64>flags << 32)) : pair(quietB, <u64>bse | (<u64>flags << 32));
}

// @ts-ignore: decorator
@inline
export function withFlags(result: v128, flags: u32): v128 {
  return pair(low(result), high(result) | (<u64>flags << 32));
}

/** 64-bit mode stores environments without selectors. */
export function in64BitMode(cpu: usize): bool {
  return load<u32>(cpu, CPU_codeSize) == CODE_64;
}

export { C1, OE, PE, SF, UE };
