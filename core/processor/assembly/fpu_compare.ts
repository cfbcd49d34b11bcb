/** FCOM, FUCOM, FICOM, FCOMI, FUCOMI, FTST, FXAM. */
import { CPU_fpuStatus } from './layout';
import { C1, DE, IE, SF, high, low } from './float';
import { setArithmeticFlags } from './flags';
import { widenDouble, widenInteger, widenSingle } from './fpu_convert';
import {
  C0,
  C2,
  C3,
  commitFlags,
  enter,
  isDenormal,
  isEmpty,
  isInfinite,
  isNan,
  isSignaling,
  isUnsupported,
  physical,
  pop,
  slot,
  stackIndex,
  top,
} from './fpu';


/** Results, as C3 C2 C0. */
const GREATER: u32 = 0;
const LESS: u32 = C0;
const EQUAL: u32 = C3;
const UNORDERED: u32 = C3 | C2 | C0;

/** Compares; exceptions in the upper half of the result. `quiet`: QNaNs are not invalid. */
function compare(a: u64, ase: u32, b: u64, bse: u32, quiet: bool, before: u32): u32 {
  if (isUnsupported(a, ase) || isUnsupported(b, bse)) return UNORDERED | (IE << 16);
  if (isNan(a, ase) || isNan(b, bse)) {
    const invalid = !quiet || isSignaling(a, ase) || isSignaling(b, bse);
    return UNORDERED | (invalid ? IE << 16 : 0);
  }
  if (isDenormal(a, ase) || isDenormal(b, bse)) before |= DE;
  const flags = before << 16;
  if (a == 0 && b == 0) return EQUAL | flags;
  const negative = (ase & 0x8000) != 0;
  if (a == 0) return (bse & 0x8000 ? GREATER : LESS) | flags;
  if (b == 0 || negative != ((bse & 0x8000) != 0)) return (negative ? LESS : GREATER) | flags;
  // A pseudo-denormal has the value that exponent 1 gives it.
  const ea = max(ase & 0x7fff, 1);
  const eb = max(bse & 0x7fff, 1);
  if (ea == eb && a == b) return EQUAL | flags;
  const smaller = ea < eb || (ea == eb && a < b);
  return (smaller != negative ? LESS : GREATER) | flags;
}

/** Sets C0, C2, C3 and clears C1, also where an unmasked exception keeps the instruction from popping: then it returns false. */
// @ts-ignore: decorator
@inline
function setCodes(cpu: usize, result: u32): bool {
  const flags = result >>> 16;
  let allowed = true;
  if (flags) allowed = commitFlags(cpu, flags);
  const status = <u32>load<u16>(cpu, CPU_fpuStatus) & ~(C0 | C1 | C2 | C3);
  store<u16>(cpu, status | (result & 0xffff), CPU_fpuStatus);
  return allowed;
}

function compareUnderflow(cpu: usize): bool {
  return setCodes(cpu, UNORDERED | ((IE | SF) << 16));
}

// @ts-ignore: decorator
@inline
function withMemory(cpu: usize, value: v128): bool {
  const register = top(cpu);
  if (isEmpty(cpu, register)) return compareUnderflow(cpu);
  const at = slot(cpu, register);
  const upper = high(value);
  return setCodes(cpu, compare(load<u64>(at), load<u16>(at, 8), low(value), <u32>upper & 0xffff, false, <u32>(upper >> 32)));
}

// @ts-ignore: decorator
@inline
function withRegister(cpu: usize, record: usize, quiet: bool): bool {
  enter(cpu, record);
  return compareWith(cpu, stackIndex(record), quiet);
}

function compareWith(cpu: usize, i: u32, quiet: bool): bool {
  const zero = top(cpu);
  const other = physical(cpu, i);
  if (isEmpty(cpu, zero) || isEmpty(cpu, other)) return compareUnderflow(cpu);
  const a = slot(cpu, zero);
  const b = slot(cpu, other);
  return setCodes(cpu, compare(load<u64>(a), load<u16>(a, 8), load<u64>(b), load<u16>(b, 8), quiet, 0));
}

export function fcom_m32(cpu: usize, value: u32): void {
  withMemory(cpu, widenSingle(value));
}
export function fcomp_m32(cpu: usize, value: u32): void {
  if (withMemory(cpu, widenSingle(value))) pop(cpu);
}
export function fcom_m64(cpu: usize, value: u64): void {
  withMemory(cpu, widenDouble(value));
}
export function fcomp_m64(cpu: usize, value: u64): void {
  if (withMemory(cpu, widenDouble(value))) pop(cpu);
}
export function ficom_m16(cpu: usize, value: u32): void {
  withMemory(cpu, widenInteger(<i64>(<i16>value)));
}
export function ficomp_m16(cpu: usize, value: u32): void {
  if (withMemory(cpu, widenInteger(<i64>(<i16>value)))) pop(cpu);
}
export function ficom_m32(cpu: usize, value: u32): void {
  withMemory(cpu, widenInteger(<i64>(<i32>value)));
}
export function ficomp_m32(cpu: usize, value: u32): void {
  if (withMemory(cpu, widenInteger(<i64>(<i32>value)))) pop(cpu);
}
export function fcom_sti(cpu: usize, record: usize): void {
  withRegister(cpu, record, false);
}
export function fcomp_sti(cpu: usize, record: usize): void {
  if (withRegister(cpu, record, false)) pop(cpu);
}
export function fucom_sti(cpu: usize, record: usize): void {
  withRegister(cpu, record, true);
}
export function fucomp_sti(cpu: usize, record: usize): void {
  if (withRegister(cpu, record, true)) pop(cpu);
}
export function fcompp(cpu: usize, record: usize): void {
  enter(cpu, record);
  if (!compareWith(cpu, 1, false)) return;
  pop(cpu);
  pop(cpu);
}
export function fucompp(cpu: usize, record: usize): void {
  enter(cpu, record);
  if (!compareWith(cpu, 1, true)) return;
  pop(cpu);
  pop(cpu);
}

/** C3, C2, C0 become ZF, PF, CF; OF, SF and AF are cleared. The condition codes stay, C1 too unless the stack underflows. */
// @ts-ignore: decorator
@inline
function toFlags(cpu: usize, record: usize, quiet: bool): bool {
  enter(cpu, record);
  const zero = top(cpu);
  const other = physical(cpu, stackIndex(record));
  let result = UNORDERED | ((IE | SF) << 16);
  if (!isEmpty(cpu, zero) && !isEmpty(cpu, other)) {
    const a = slot(cpu, zero);
    const b = slot(cpu, other);
    result = compare(load<u64>(a), load<u16>(a, 8), load<u64>(b), load<u16>(b, 8), quiet, 0);
  }
  setArithmeticFlags(cpu, (result >> 8) & 0x45);
  const flags = result >>> 16;
  if (!flags) return true;
  const status = load<u16>(cpu, CPU_fpuStatus);
  const allowed = commitFlags(cpu, flags);
  if (!(flags & SF)) store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) | (status & <u16>C1), CPU_fpuStatus);
  return allowed;
}

export function fcomi(cpu: usize, record: usize): void {
  toFlags(cpu, record, false);
}
export function fcomip(cpu: usize, record: usize): void {
  if (toFlags(cpu, record, false)) pop(cpu);
}
export function fucomi(cpu: usize, record: usize): void {
  toFlags(cpu, record, true);
}
export function fucomip(cpu: usize, record: usize): void {
  if (toFlags(cpu, record, true)) pop(cpu);
}

export function ftst(cpu: usize, record: usize): void {
  enter(cpu, record);
  const register = top(cpu);
  if (isEmpty(cpu, register)) {
    compareUnderflow(cpu);
    return;
  }
  const at = slot(cpu, register);
  setCodes(cpu, compare(load<u64>(at), load<u16>(at, 8), 0, 0, false, 0));
}

/** Classes as C3 C2 C0 (SDM vol. 2A, FXAM); C1 is the sign, of an empty register too. */
export function fxam(cpu: usize, record: usize): void {
  enter(cpu, record);
  const register = top(cpu);
  const at = slot(cpu, register);
  const s = load<u64>(at);
  const se = <u32>load<u16>(at, 8);
  let codes: u32 = C2;
  if (isEmpty(cpu, register)) codes = C3 | C0;
  else if (isUnsupported(s, se)) codes = 0;
  else if (isNan(s, se)) codes = C0;
  else if (isInfinite(s, se)) codes = C2 | C0;
  else if (s == 0) codes = C3;
  else if (isDenormal(s, se)) codes = C3 | C2;
  if (se & 0x8000) codes |= C1;
  store<u16>(cpu, (load<u16>(cpu, CPU_fpuStatus) & ~(C0 | C1 | C2 | C3)) | codes, CPU_fpuStatus);
}
