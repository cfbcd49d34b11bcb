/** The arithmetic instructions in all their forms: D8, DC (memory m32, m64, and registers), DA, DE (integers, and with pop). */
import { CPU_fpuControl, RECORD_segment } from './layout';
import { high, low } from './float';
import { addExtended, divideExtended, multiplyExtended, squareRootExtended } from './fpu_arithmetic';
import { widenDouble, widenInteger, widenSingle } from './fpu_convert';
import { commit, enter, isEmpty, markUsed, operand, physical, pop, put, slot, stackIndex, stackUnderflow, top } from './fpu';
import { load16, load32, load64 } from './memory';

/** The operations by their digit in the opcode map (SDM vol. 2D, A.5). */
const ADD = 0;
const MUL = 1;
const SUB = 4;
const SUBR = 5;
const DIV = 6;
const DIVR = 7;

// @ts-ignore: decorator
@inline
function operate(cpu: usize, operation: i32, a: u64, ase: u32, b: u64, bse: u32, before: u32): v128 {
  const control = <u32>load<u16>(cpu, CPU_fpuControl);
  if (operation == ADD) return addExtended(control, a, ase, b, bse, 0, before);
  if (operation == MUL) return multiplyExtended(control, a, ase, b, bse, before);
  if (operation == SUB) return addExtended(control, a, ase, b, bse, 0x8000, before);
  if (operation == SUBR) return addExtended(control, b, bse, a, ase, 0x8000, before);
  if (operation == DIV) return divideExtended(control, a, ase, b, bse, before);
  return divideExtended(control, b, bse, a, ase, before);
}

/** ST(0) := ST(0) op a number in memory, already widened. */
// @ts-ignore: decorator
@inline
function memoryForm(cpu: usize, operation: i32, value: v128): void {
  const register = top(cpu);
  const at = slot(cpu, register);
  if (isEmpty(cpu, register)) {
    if (stackUnderflow(cpu)) {
      markUsed(cpu, register);
      put(at, 0xc000000000000000, 0xffff);
    }
    return;
  }
  const upper = high(value);
  commit(cpu, at, operate(cpu, operation, load<u64>(at), load<u16>(at, 8), low(value), <u32>upper & 0xffff, <u32>(upper >> 32)));
}

/** Destination := destination op source, of ST(0) and ST(i). True if it was carried out. */
// @ts-ignore: decorator
@inline
function registerForm(cpu: usize, record: usize, operation: i32, toSti: bool): bool {
  enter(cpu, record);
  const zero = top(cpu);
  const other = physical(cpu, stackIndex(record));
  const a = slot(cpu, zero);
  const b = slot(cpu, other);
  const to = toSti ? b : a;
  if (isEmpty(cpu, zero) || isEmpty(cpu, other)) {
    if (!stackUnderflow(cpu)) return false;
    markUsed(cpu, toSti ? other : zero);
    put(to, 0xc000000000000000, 0xffff);
    return true;
  }
  // The first operand is the destination.
  const from = toSti ? a : b;
  return commit(cpu, to, operate(cpu, operation, load<u64>(to), load<u16>(to, 8), load<u64>(from), load<u16>(from, 8), 0));
}

// @ts-ignore: decorator
@inline
function m32(cpu: usize, record: usize, operation: i32): void {
  enter(cpu, record);
  memoryForm(cpu, operation, widenSingle(load32(cpu, load<u16>(record, RECORD_segment), operand(cpu, record))));
}

// @ts-ignore: decorator
@inline
function m64(cpu: usize, record: usize, operation: i32): void {
  enter(cpu, record);
  memoryForm(cpu, operation, widenDouble(load64(cpu, load<u16>(record, RECORD_segment), operand(cpu, record))));
}

// @ts-ignore: decorator
@inline
function i16m(cpu: usize, record: usize, operation: i32): void {
  enter(cpu, record);
  memoryForm(cpu, operation, widenInteger(<i64>(<i16>load16(cpu, load<u16>(record, RECORD_segment), operand(cpu, record)))));
}

// @ts-ignore: decorator
@inline
function i32m(cpu: usize, record: usize, operation: i32): void {
  enter(cpu, record);
  memoryForm(cpu, operation, widenInteger(<i64>(<i32>load32(cpu, load<u16>(record, RECORD_segment), operand(cpu, record)))));
}

export function fadd_m32(cpu: usize, record: usize): void {
  m32(cpu, record, ADD);
}
export function fadd_m64(cpu: usize, record: usize): void {
  m64(cpu, record, ADD);
}
export function fiadd_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, ADD);
}
export function fiadd_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, ADD);
}
export function fadd_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, ADD, false);
}
export function fadd_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, ADD, true);
}
export function faddp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, ADD, true)) pop(cpu);
}
export function fmul_m32(cpu: usize, record: usize): void {
  m32(cpu, record, MUL);
}
export function fmul_m64(cpu: usize, record: usize): void {
  m64(cpu, record, MUL);
}
export function fimul_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, MUL);
}
export function fimul_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, MUL);
}
export function fmul_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, MUL, false);
}
export function fmul_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, MUL, true);
}
export function fmulp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, MUL, true)) pop(cpu);
}
export function fsub_m32(cpu: usize, record: usize): void {
  m32(cpu, record, SUB);
}
export function fsub_m64(cpu: usize, record: usize): void {
  m64(cpu, record, SUB);
}
export function fisub_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, SUB);
}
export function fisub_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, SUB);
}
export function fsub_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, SUB, false);
}
export function fsub_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, SUB, true);
}
export function fsubp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, SUB, true)) pop(cpu);
}
export function fsubr_m32(cpu: usize, record: usize): void {
  m32(cpu, record, SUBR);
}
export function fsubr_m64(cpu: usize, record: usize): void {
  m64(cpu, record, SUBR);
}
export function fisubr_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, SUBR);
}
export function fisubr_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, SUBR);
}
export function fsubr_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, SUBR, false);
}
export function fsubr_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, SUBR, true);
}
export function fsubrp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, SUBR, true)) pop(cpu);
}
export function fdiv_m32(cpu: usize, record: usize): void {
  m32(cpu, record, DIV);
}
export function fdiv_m64(cpu: usize, record: usize): void {
  m64(cpu, record, DIV);
}
export function fidiv_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, DIV);
}
export function fidiv_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, DIV);
}
export function fdiv_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, DIV, false);
}
export function fdiv_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, DIV, true);
}
export function fdivp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, DIV, true)) pop(cpu);
}
export function fdivr_m32(cpu: usize, record: usize): void {
  m32(cpu, record, DIVR);
}
export function fdivr_m64(cpu: usize, record: usize): void {
  m64(cpu, record, DIVR);
}
export function fidivr_m16(cpu: usize, record: usize): void {
  i16m(cpu, record, DIVR);
}
export function fidivr_m32(cpu: usize, record: usize): void {
  i32m(cpu, record, DIVR);
}
export function fdivr_st0_sti(cpu: usize, record: usize): void {
  registerForm(cpu, record, DIVR, false);
}
export function fdivr_sti_st0(cpu: usize, record: usize): void {
  registerForm(cpu, record, DIVR, true);
}
export function fdivrp(cpu: usize, record: usize): void {
  if (registerForm(cpu, record, DIVR, true)) pop(cpu);
}

export function fsqrt(cpu: usize, record: usize): void {
  enter(cpu, record);
  const register = top(cpu);
  const at = slot(cpu, register);
  if (isEmpty(cpu, register)) {
    if (stackUnderflow(cpu)) {
      markUsed(cpu, register);
      put(at, 0xc000000000000000, 0xffff);
    }
    return;
  }
  commit(cpu, at, squareRootExtended(load<u16>(cpu, CPU_fpuControl), load<u64>(at), load<u16>(at, 8)));
}
