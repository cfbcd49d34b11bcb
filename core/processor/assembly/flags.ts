/** EFLAGS: the lazy arithmetic flags (see `Cpu` in core/state/cpu.ts) and the rest, as one image. */
import { CPU_eflags, CPU_event, CPU_flagAux, CPU_flagResult, EVENT_TRAP } from './layout';
import { updateTlbMode } from './tlb';

export const FLAG_CF: u32 = 1;
export const FLAG_PF: u32 = 4;
export const FLAG_AF: u32 = 0x10;
export const FLAG_ZF: u32 = 0x40;
export const FLAG_SF: u32 = 0x80;
export const FLAG_TF: u32 = 0x100;
export const FLAG_IF: u32 = 0x200;
export const FLAG_DF: u32 = 0x400;
export const FLAG_OF: u32 = 0x800;
export const FLAG_IOPL: u32 = 0x3000;
export const FLAG_NT: u32 = 0x4000;
export const FLAG_RF: u32 = 0x10000;
export const FLAG_VM: u32 = 0x20000;
export const FLAG_AC: u32 = 0x40000;
export const FLAG_VIF: u32 = 0x80000;
export const FLAG_VIP: u32 = 0x100000;
export const FLAG_ID: u32 = 0x200000;

export const FLAGS_ARITHMETIC: u32 = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;

const AUX_CF: u32 = 0x80000000;
const AUX_CF_XOR_OF: u32 = 0x40000000;
const AUX_AF: u32 = 8;

/** CF, PF, AF, ZF, SF and OF in their EFLAGS places. */
export function arithmeticFlags(cpu: usize): u32 {
  const result = load<u64>(cpu, CPU_flagResult);
  const aux = load<u32>(cpu, CPU_flagAux);
  const carry = aux >>> 31;
  const overflow = carry ^ ((aux >>> 30) & 1);
  const parity = (<u32>popcnt<u32>((<u32>result ^ (aux >>> 8)) & 0xff) & 1) ^ 1;
  const sign = <u32>(result >>> 63) ^ (aux & 1);
  return carry | (parity << 2) | ((aux & AUX_AF) << 1) | ((<u32>(result == 0)) << 6) | (sign << 7) | (overflow << 11);
}

/** Sets all six arithmetic flags from an EFLAGS image. */
export function setArithmeticFlags(cpu: usize, value: u32): void {
  // flagResult is 0 or 1: its sign is 0, and one bit of P makes the parity what it is to be.
  const zero = (value >>> 6) & 1;
  const result = zero ^ 1;
  const carry = value & 1;
  const overflow = (value >>> 11) & 1;
  const parity = (value >>> 2) & 1;
  const p = result ^ parity ^ 1;
  store<u64>(cpu, result, CPU_flagResult);
  store<u32>(cpu, (carry << 31) | ((carry ^ overflow) << 30) | ((value & FLAG_AF) >>> 1) | (p << 8) | ((value >>> 7) & 1), CPU_flagAux);
}

/** The whole EFLAGS image. */
export function getFlags(cpu: usize): u32 {
  return load<u32>(cpu, CPU_eflags) | arithmeticFlags(cpu) | 2;
}

/**
 * Sets the flags in `mask`. A change of VM, or of CPL with it, is the caller's to follow with `updateReach`; what hangs on AC and TF is
 * done here.
 */
export function setFlags(cpu: usize, value: u32, mask: u32): void {
  if (mask & FLAGS_ARITHMETIC) {
    const arithmetic = mask & FLAGS_ARITHMETIC;
    setArithmeticFlags(cpu, arithmetic == FLAGS_ARITHMETIC ? value : (arithmeticFlags(cpu) & ~arithmetic) | (value & arithmetic));
  }
  const rest = mask & ~FLAGS_ARITHMETIC;
  const old = load<u32>(cpu, CPU_eflags);
  const next = (old & ~rest) | (value & rest) | 2;
  store<u32>(cpu, next, CPU_eflags);
  if ((old ^ next) & FLAG_AC) updateTlbMode(cpu);
  if (next & FLAG_TF) atomic.or<u32>(cpu + CPU_event, EVENT_TRAP);
}

/** The flags of `a - b`, both zero-extended from `size` bytes (CMP, CMPS, SCAS). */
export function setCompareFlags(cpu: usize, a: u64, b: u64, size: u32): void {
  const shift: u64 = 64 - ((<u64>size) << 3);
  const difference = a - b;
  const result = <u64>(<i64>(difference << shift) >> shift);
  const carry = <u32>(a < b);
  const overflow = <u32>((((a ^ b) & (a ^ difference)) << shift) >>> 63);
  store<u64>(cpu, result, CPU_flagResult);
  store<u32>(cpu, (carry << 31) | ((carry ^ overflow) << 30) | ((<u32>(a ^ b ^ difference) & 0x10) >>> 1), CPU_flagAux);
}

export { AUX_CF, AUX_CF_XOR_OF, AUX_AF };
