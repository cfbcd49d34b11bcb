/**
 * The arithmetic instructions in all their forms: D8, DC (memory m32, m64, and registers), DA, DE (integers, and with pop). Those with a memory
 * operand get its value from the family (semantics/x87.ts), which has waited for pending exceptions.
 */
import { CPU_fpuControl } from './layout';
import { high, low } from './float';
import { addExtended, divideExtended, multiplyExtended, squareRootExtended } from './fpu_arithmetic';
import { addUsual, isUsual, multiplyUsual } from './fpu_hot';
import { widenDouble, widenInteger, widenSingle } from './fpu_convert';
import { commit, enter, isEmpty, markUsed, physical, pop, put, slot, stackIndex, stackUnderflow, top } from './fpu';

/** The operations by their digit in the opcode map (SDM vol. 2D, A.5). */
const ADD = 0;
const MUL = 1;
const SUB = 4;
const SUBR = 5;
const DIV = 6;
const DIVR = 7;

/** Destination := a op b. False if an unmasked exception came first. */
// @ts-ignore: decorator
@inline
function operate(cpu: usize, at: usize, operation: i32, a: u64, ase: u32, b: u64, bse: u32, before: u32): bool {
  if (operation != DIV && operation != DIVR && isUsual(cpu, a, ase, b, bse) && !before) {
    if (operation == ADD && addUsual(cpu, at, a, ase, b, bse, 0)) return true;
    if (operation == SUB && addUsual(cpu, at, a, ase, b, bse, 0x8000)) return true;
    if (operation == SUBR && addUsual(cpu, at, b, bse, a, ase, 0x8000)) return true;
    if (operation == MUL && multiplyUsual(cpu, at, a, ase, b, bse)) return true;
  }
  const control = <u32>load<u16>(cpu, CPU_fpuControl);
  let r: v128;
  if (operation == ADD) r = addExtended(control, a, ase, b, bse, 0, before);
  else if (operation == MUL) r = multiplyExtended(control, a, ase, b, bse, before);
  else if (operation == SUB) r = addExtended(control, a, ase, b, bse, 0x8000, before);
  else if (operation == SUBR) r = addExtended(control, b, bse, a, ase, 0x8000, before);
  else if (operation == DIV) r = divideExtended(control, a, ase, b, bse, before);
  else r = divideExtended(control, b, bse, a, ase, before);
  return commit(cpu, at, r);
}

/** ST(0) := ST(0) op a number from memory, already widened. */
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
  operate(cpu, at, operation, load<u64>(at), load<u16>(at, 8), low(value), <u32>upper & 0xffff, <u32>(upper >> 32));
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
  return operate(cpu, to, operation, load<u64>(to), load<u16>(to, 8), load<u64>(from), load<u16>(from, 8), 0);
}

export function fadd_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, ADD, widenSingle(value));
}
export function fadd_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, ADD, widenDouble(value));
}
export function fiadd_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, ADD, widenInteger(<i64>(<i16>value)));
}
export function fiadd_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, ADD, widenInteger(<i64>(<i32>value)));
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
export function fmul_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, MUL, widenSingle(value));
}
export function fmul_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, MUL, widenDouble(value));
}
export function fimul_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, MUL, widenInteger(<i64>(<i16>value)));
}
export function fimul_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, MUL, widenInteger(<i64>(<i32>value)));
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
export function fsub_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, SUB, widenSingle(value));
}
export function fsub_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, SUB, widenDouble(value));
}
export function fisub_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, SUB, widenInteger(<i64>(<i16>value)));
}
export function fisub_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, SUB, widenInteger(<i64>(<i32>value)));
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
export function fsubr_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, SUBR, widenSingle(value));
}
export function fsubr_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, SUBR, widenDouble(value));
}
export function fisubr_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, SUBR, widenInteger(<i64>(<i16>value)));
}
export function fisubr_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, SUBR, widenInteger(<i64>(<i32>value)));
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
export function fdiv_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, DIV, widenSingle(value));
}
export function fdiv_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, DIV, widenDouble(value));
}
export function fidiv_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, DIV, widenInteger(<i64>(<i16>value)));
}
export function fidiv_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, DIV, widenInteger(<i64>(<i32>value)));
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
export function fdivr_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, DIVR, widenSingle(value));
}
export function fdivr_m64(cpu: usize, value: u64): void {
  memoryForm(cpu, DIVR, widenDouble(value));
}
export function fidivr_m16(cpu: usize, value: u32): void {
  memoryForm(cpu, DIVR, widenInteger(<i64>(<i16>value)));
}
export function fidivr_m32(cpu: usize, value: u32): void {
  memoryForm(cpu, DIVR, widenInteger(<i64>(<i32>value)));
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
