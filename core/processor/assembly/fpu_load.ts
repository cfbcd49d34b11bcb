/** FLD, FILD, FBLD, the constants, FXCH, FCMOVcc and what only moves registers or TOP. */
import { CPU_fpuControl, RECORD_segment } from './layout';
import { IE, high, low } from './float';
import { NEAREST } from './float_round';
import { arithmeticFlags } from './flags';
import { widenDouble, widenInteger, widenSingle } from './fpu_convert';
import {
  clearC1,
  enter,
  isEmpty,
  isSignaling,
  markEmpty,
  markUsed,
  moveTop,
  operand,
  physical,
  pop,
  push,
  put,
  slot,
  stackIndex,
  stackUnderflow,
  top,
} from './fpu';
import { readAddress } from './memory';

/** Pushes a number of a shorter format: SNaNs are invalid and become quiet. */
// @ts-ignore: decorator
@inline
function pushWidened(cpu: usize, value: v128): void {
  const significand = low(value);
  const upper = high(value);
  const se = <u32>upper & 0xffff;
  if (isSignaling(significand, se)) push(cpu, significand | 0x4000000000000000, se, IE);
  else push(cpu, significand, se, <u32>(upper >> 32));
}

export function fld_m32(cpu: usize, value: u32): void {
  pushWidened(cpu, widenSingle(value));
}

export function fld_m64(cpu: usize, value: u64): void {
  pushWidened(cpu, widenDouble(value));
}

export function fld_m80(cpu: usize, record: usize): void {
  enter(cpu, record);
  const at = readAddress(cpu, load<u16>(record, RECORD_segment), operand(cpu, record), 10);
  push(cpu, load<u64>(at), load<u16>(at, 8), 0);
}

export function fld_sti(cpu: usize, record: usize): void {
  enter(cpu, record);
  const register = physical(cpu, stackIndex(record));
  const at = slot(cpu, register);
  if (isEmpty(cpu, register)) {
    // Both faults at once count as underflow; the indefinite is pushed.
    if (stackUnderflow(cpu)) pushMasked(cpu);
    return;
  }
  push(cpu, load<u64>(at), load<u16>(at, 8), 0);
}

/** Pushes the indefinite over whatever is there, as the response to a stack underflow. */
export function pushMasked(cpu: usize): void {
  const register = (top(cpu) + 7) & 7;
  moveTop(cpu, 7);
  markUsed(cpu, register);
  put(slot(cpu, register), 0xc000000000000000, 0xffff);
}

export function fild_m16(cpu: usize, value: u32): void {
  pushExact(cpu, widenInteger(<i64>(<i16>value)));
}

export function fild_m32(cpu: usize, value: u32): void {
  pushExact(cpu, widenInteger(<i64>(<i32>value)));
}

export function fild_m64(cpu: usize, value: u64): void {
  pushExact(cpu, widenInteger(<i64>value));
}

// @ts-ignore: decorator
@inline
function pushExact(cpu: usize, value: v128): void {
  push(cpu, low(value), <u32>high(value), 0);
}

/** 18 packed decimal digits and a sign. Digits above 9 are the program's fault and give what the arithmetic gives. */
export function fbld(cpu: usize, record: usize): void {
  enter(cpu, record);
  const at = readAddress(cpu, load<u16>(record, RECORD_segment), operand(cpu, record), 10);
  let value: u64 = 0;
  for (let i = 8; i >= 0; i--) {
    const digits = <u64>load<u8>(at + i);
    value = value * 100 + (digits >> 4) * 10 + (digits & 15);
  }
  const sign: u32 = load<u8>(at, 9) & 0x80 ? 0x8000 : 0;
  if (value == 0) return push(cpu, 0, sign, 0);
  const n = clz(value);
  push(cpu, value << n, sign | (16383 + 63 - <u32>n), 0);
}

/**
 * Constants are kept with the bits that follow the 64th: rounding control decides the last one, but they never count as inexact
 * (SDM vol. 1, 8.3.2).
 */
// @ts-ignore: decorator
@inline
function pushConstant(cpu: usize, record: usize, truncated: u64, exponent: u32, above: bool): void {
  enter(cpu, record);
  const rounding = (<u32>load<u16>(cpu, CPU_fpuControl) >> 10) & 3;
  const up = rounding == NEAREST ? above : rounding == 2;
  push(cpu, truncated + <u64>up, exponent, 0);
}

export function fld1(cpu: usize, record: usize): void {
  enter(cpu, record);
  push(cpu, 0x8000000000000000, 16383, 0);
}
export function fldz(cpu: usize, record: usize): void {
  enter(cpu, record);
  push(cpu, 0, 0, 0);
}
export function fldl2t(cpu: usize, record: usize): void {
  pushConstant(cpu, record, 0xd49a784bcd1b8afe, 16384, false);
}
export function fldl2e(cpu: usize, record: usize): void {
  pushConstant(cpu, record, 0xb8aa3b295c17f0bb, 16383, true);
}
export function fldpi(cpu: usize, record: usize): void {
  pushConstant(cpu, record, 0xc90fdaa22168c234, 16384, true);
}
export function fldlg2(cpu: usize, record: usize): void {
  pushConstant(cpu, record, 0x9a209a84fbcff798, 16381, true);
}
export function fldln2(cpu: usize, record: usize): void {
  pushConstant(cpu, record, 0xb17217f7d1cf79ab, 16382, true);
}

export function fxch(cpu: usize, record: usize): void {
  enter(cpu, record);
  const zero = top(cpu);
  const other = physical(cpu, stackIndex(record));
  const a = slot(cpu, zero);
  const b = slot(cpu, other);
  if (isEmpty(cpu, zero) || isEmpty(cpu, other)) {
    if (!stackUnderflow(cpu)) return;
    fill(cpu, zero);
    fill(cpu, other);
  } else clearC1(cpu);
  const t = v128.load(a);
  v128.store(a, v128.load(b));
  v128.store(b, t);
}

function fill(cpu: usize, register: u32): void {
  if (!isEmpty(cpu, register)) return;
  markUsed(cpu, register);
  put(slot(cpu, register), 0xc000000000000000, 0xffff);
}

// @ts-ignore: decorator
@inline
function moveIf(cpu: usize, record: usize, mask: u32, set: bool): void {
  enter(cpu, record);
  const zero = top(cpu);
  const other = physical(cpu, stackIndex(record));
  if (isEmpty(cpu, zero) || isEmpty(cpu, other)) {
    if (stackUnderflow(cpu)) {
      markUsed(cpu, zero);
      put(slot(cpu, zero), 0xc000000000000000, 0xffff);
    }
    return;
  }
  if (((arithmeticFlags(cpu) & mask) != 0) == set) v128.store(slot(cpu, zero), v128.load(slot(cpu, other)));
}

const CF: u32 = 1;
const PF: u32 = 4;
const ZF: u32 = 0x40;

export function fcmovb(cpu: usize, record: usize): void {
  moveIf(cpu, record, CF, true);
}
export function fcmove(cpu: usize, record: usize): void {
  moveIf(cpu, record, ZF, true);
}
export function fcmovbe(cpu: usize, record: usize): void {
  moveIf(cpu, record, CF | ZF, true);
}
export function fcmovu(cpu: usize, record: usize): void {
  moveIf(cpu, record, PF, true);
}
export function fcmovnb(cpu: usize, record: usize): void {
  moveIf(cpu, record, CF, false);
}
export function fcmovne(cpu: usize, record: usize): void {
  moveIf(cpu, record, ZF, false);
}
export function fcmovnbe(cpu: usize, record: usize): void {
  moveIf(cpu, record, CF | ZF, false);
}
export function fcmovnu(cpu: usize, record: usize): void {
  moveIf(cpu, record, PF, false);
}

export function ffree(cpu: usize, record: usize): void {
  enter(cpu, record);
  clearC1(cpu);
  markEmpty(cpu, physical(cpu, stackIndex(record)));
}
/** FFREE, then pop: undocumented by Intel, documented by AMD. */
export function ffreep(cpu: usize, record: usize): void {
  enter(cpu, record);
  clearC1(cpu);
  markEmpty(cpu, physical(cpu, stackIndex(record)));
  pop(cpu);
}
export function fincstp(cpu: usize, record: usize): void {
  enter(cpu, record);
  clearC1(cpu);
  moveTop(cpu, 1);
}
export function fdecstp(cpu: usize, record: usize): void {
  enter(cpu, record);
  clearC1(cpu);
  moveTop(cpu, 7);
}
export function fnop(cpu: usize, record: usize): void {
  enter(cpu, record);
}

// @ts-ignore: decorator
@inline
function changeSign(cpu: usize, record: usize, and: u32, xor: u32): void {
  enter(cpu, record);
  const zero = top(cpu);
  const at = slot(cpu, zero);
  if (isEmpty(cpu, zero)) {
    if (stackUnderflow(cpu)) {
      markUsed(cpu, zero);
      put(at, 0xc000000000000000, 0xffff);
    }
    return;
  }
  clearC1(cpu);
  store<u16>(at, (load<u16>(at, 8) & and) ^ xor, 8);
}

export function fabs(cpu: usize, record: usize): void {
  changeSign(cpu, record, 0x7fff, 0);
}
export function fchs(cpu: usize, record: usize): void {
  changeSign(cpu, record, 0xffff, 0x8000);
}

