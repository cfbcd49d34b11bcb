/** FST, FSTP, FIST, FISTP, FISTTP, FBSTP. */
import { CPU_bounce, CPU_fpuControl, RECORD_segment } from './layout';
import { C1, IE, OE, PE, UE, ZE, DE, high, low, pair, wide } from './float';
import { ZERO, roundDouble, roundInteger, roundSingle } from './float_round';
import {
  clearC1,
  effectiveExponent,
  enter,
  indefinite,
  isEmpty,
  isNan,
  isUnsupported,
  markUsed,
  operand,
  physical,
  pop,
  put,
  raiseFlags,
  slot,
  stackIndex,
  stackUnderflow,
  top,
} from './fpu';
import { commitWrite, storeAddress, store16, store32, store64 } from './memory';

/** Exceptions that, unmasked, keep a store to memory from happening. */
const PREVENTS: u32 = IE | DE | ZE | OE | UE;

/**
 * ST(0) as a double: bits, and exceptions in the other lane. An empty register counts as a stack fault.
 */
// @ts-ignore: decorator
@inline
function toDouble(control: u32, s: u64, se: u32): v128 {
  const e = <i32>(se & 0x7fff) - 15360;
  // Normal in both formats and nothing to round, or to nearest without reaching the next binade's end.
  if (<i64>s < 0 && e > 0 && e < 0x7fe && !(control & 0xc00)) {
    const dropped = s & 0x7ff;
    const bits = (<u64>(se & 0x8000) << 48) | (<u64>e << 52) | ((s >> 11) & 0xfffffffffffff);
    if (dropped == 0) return pair(bits, 0);
    const up = <u64>(dropped > 0x400) | (<u64>(dropped == 0x400) & bits);
    return up & 1 ? pair(bits + 1, <u64>(PE | C1)) : pair(bits, <u64>PE);
  }
  return toDoubleSlow(control, s, se);
}

function toDoubleSlow(control: u32, s: u64, se: u32): v128 {
  const sign = <u64>(se & 0x8000) << 48;
  if (isUnsupported(s, se)) return pair(0xfff8000000000000, <u64>IE);
  if ((se & 0x7fff) == 0x7fff) {
    if (!isNan(s, se)) return pair(sign | 0x7ff0000000000000, 0);
    return pair(sign | 0x7ff8000000000000 | ((s << 1) >> 12), s & 0x4000000000000000 ? 0 : <u64>IE);
  }
  if (s == 0) return pair(sign, 0);
  return roundDouble(wide(se >> 15, effectiveExponent(s, se), s << clz(s), 0), (control >> 10) & 3, control, false);
}

function toSingle(control: u32, s: u64, se: u32): v128 {
  const sign = <u64>(se & 0x8000) << 16;
  if (isUnsupported(s, se)) return pair(0xffc00000, <u64>IE);
  if ((se & 0x7fff) == 0x7fff) {
    if (!isNan(s, se)) return pair(sign | 0x7f800000, 0);
    return pair(sign | 0x7fc00000 | ((s << 1) >> 41), s & 0x4000000000000000 ? 0 : <u64>IE);
  }
  if (s == 0) return pair(sign, 0);
  return roundSingle(wide(se >> 15, effectiveExponent(s, se), s << clz(s), 0), (control >> 10) & 3, control, false);
}

/** True if the exceptions let the value be stored. */
// @ts-ignore: decorator
@inline
function mayStore(cpu: usize, flags: u32): bool {
  if (!(flags & ~(<u32>load<u16>(cpu, CPU_fpuControl)) & PREVENTS)) return true;
  // Exponent adjustment is for registers: memory and stack stay as they are, and with them the exactness is not known.
  raiseFlags(cpu, flags & (OE | UE) ? flags & ~(PE | C1) : flags);
  return false;
}

// @ts-ignore: decorator
@inline
function settle(cpu: usize, flags: u32): void {
  if (flags) raiseFlags(cpu, flags);
  else clearC1(cpu);
}

const STACK_FAULT: u64 = 0x41;

// @ts-ignore: decorator
@inline
function store64Form(cpu: usize, record: usize): bool {
  enter(cpu, record);
  const ea = operand(cpu, record);
  const register = top(cpu);
  const at = slot(cpu, register);
  const result = isEmpty(cpu, register)
    ? pair(0xfff8000000000000, STACK_FAULT)
    : toDouble(load<u16>(cpu, CPU_fpuControl), load<u64>(at), load<u16>(at, 8));
  const flags = <u32>high(result);
  if (flags && !mayStore(cpu, flags)) return false;
  store64(cpu, load<u16>(record, RECORD_segment), ea, low(result));
  settle(cpu, flags);
  return true;
}

// @ts-ignore: decorator
@inline
function store32Form(cpu: usize, record: usize): bool {
  enter(cpu, record);
  const ea = operand(cpu, record);
  const register = top(cpu);
  const at = slot(cpu, register);
  const result = isEmpty(cpu, register)
    ? pair(0xffc00000, STACK_FAULT)
    : toSingle(load<u16>(cpu, CPU_fpuControl), load<u64>(at), load<u16>(at, 8));
  const flags = <u32>high(result);
  if (flags && !mayStore(cpu, flags)) return false;
  store32(cpu, load<u16>(record, RECORD_segment), ea, <u32>low(result));
  settle(cpu, flags);
  return true;
}

export function fst_m32(cpu: usize, record: usize): void {
  store32Form(cpu, record);
}
export function fstp_m32(cpu: usize, record: usize): void {
  if (store32Form(cpu, record)) pop(cpu);
}
export function fst_m64(cpu: usize, record: usize): void {
  store64Form(cpu, record);
}
export function fstp_m64(cpu: usize, record: usize): void {
  if (store64Form(cpu, record)) pop(cpu);
}

export function fstp_m80(cpu: usize, record: usize): void {
  enter(cpu, record);
  const ea = operand(cpu, record);
  const register = top(cpu);
  const from = slot(cpu, register);
  const empty = isEmpty(cpu, register);
  if (empty && !mayStore(cpu, <u32>STACK_FAULT)) return;
  const to = storeAddress(cpu, load<u16>(record, RECORD_segment), ea, 10);
  store<u64>(to, empty ? 0xc000000000000000 : load<u64>(from));
  store<u16>(to, empty ? 0xffff : load<u16>(from, 8), 8);
  if (to == cpu + CPU_bounce) commitWrite(cpu);
  settle(cpu, empty ? <u32>STACK_FAULT : 0);
  pop(cpu);
}

// @ts-ignore: decorator
@inline
function storeRegister(cpu: usize, record: usize): bool {
  enter(cpu, record);
  const zero = top(cpu);
  const to = physical(cpu, stackIndex(record));
  if (isEmpty(cpu, zero)) {
    if (!stackUnderflow(cpu)) return false;
    markUsed(cpu, to);
    v128.store(slot(cpu, to), indefinite());
    return true;
  }
  clearC1(cpu);
  markUsed(cpu, to);
  v128.store(slot(cpu, to), v128.load(slot(cpu, zero)));
  return true;
}

export function fst_sti(cpu: usize, record: usize): void {
  storeRegister(cpu, record);
}
export function fstp_sti(cpu: usize, record: usize): void {
  if (storeRegister(cpu, record)) pop(cpu);
}

/** ST(0) rounded to an integer of `bits`; the most negative one where it does not fit. */
function toInteger(cpu: usize, bits: i32, rounding: u32): v128 {
  const register = top(cpu);
  const at = slot(cpu, register);
  const least: u64 = <u64>1 << <u64>(bits - 1);
  if (isEmpty(cpu, register)) return pair(least, STACK_FAULT);
  const s = load<u64>(at);
  const se = <u32>load<u16>(at, 8);
  if (isUnsupported(s, se) || (se & 0x7fff) == 0x7fff) return pair(least, <u64>IE);
  if (s == 0) return pair(0, 0);
  const negative = (se & 0x8000) != 0;
  const rounded = roundInteger(se >> 15, effectiveExponent(s, se), s << clz(s), rounding);
  const magnitude = low(rounded);
  const flags = high(rounded);
  if (flags & <u64>IE || magnitude > least - <u64>!negative) return pair(least, <u64>IE);
  return pair(negative ? 0 - magnitude : magnitude, flags);
}

// @ts-ignore: decorator
@inline
function storeInteger(cpu: usize, record: usize, bits: i32, truncate: bool): bool {
  enter(cpu, record);
  const ea = operand(cpu, record);
  const rounding = truncate ? ZERO : (<u32>load<u16>(cpu, CPU_fpuControl) >> 10) & 3;
  const result = toInteger(cpu, bits, rounding);
  const flags = <u32>high(result);
  if (flags && !mayStore(cpu, flags)) return false;
  const segment = <u32>load<u16>(record, RECORD_segment);
  if (bits == 16) store16(cpu, segment, ea, <u32>low(result));
  else if (bits == 32) store32(cpu, segment, ea, <u32>low(result));
  else store64(cpu, segment, ea, low(result));
  settle(cpu, flags);
  return true;
}

export function fist_m16(cpu: usize, record: usize): void {
  storeInteger(cpu, record, 16, false);
}
export function fist_m32(cpu: usize, record: usize): void {
  storeInteger(cpu, record, 32, false);
}
export function fistp_m16(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 16, false)) pop(cpu);
}
export function fistp_m32(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 32, false)) pop(cpu);
}
export function fistp_m64(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 64, false)) pop(cpu);
}
export function fisttp_m16(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 16, true)) pop(cpu);
}
export function fisttp_m32(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 32, true)) pop(cpu);
}
export function fisttp_m64(cpu: usize, record: usize): void {
  if (storeInteger(cpu, record, 64, true)) pop(cpu);
}

const DECIMAL_LIMIT: u64 = 1000000000000000000;

export function fbstp(cpu: usize, record: usize): void {
  enter(cpu, record);
  const ea = operand(cpu, record);
  const result = toInteger(cpu, 64, (<u32>load<u16>(cpu, CPU_fpuControl) >> 10) & 3);
  const register = top(cpu);
  const negative = (load<u16>(slot(cpu, register), 8) & 0x8000) != 0;
  let flags = <u32>high(result);
  let magnitude = negative ? 0 - low(result) : low(result);
  if (!(flags & IE) && magnitude >= DECIMAL_LIMIT) flags = IE;
  if (flags && !mayStore(cpu, flags)) return;
  const to = storeAddress(cpu, load<u16>(record, RECORD_segment), ea, 10);
  if (flags & IE) {
    // The packed decimal indefinite.
    store<u64>(to, 0xc000000000000000);
    store<u16>(to, 0xffff, 8);
  } else {
    for (let i = 0; i < 9; i++) {
      const digits = magnitude % 100;
      magnitude /= 100;
      store<u8>(to + i, <u8>(((digits / 10) << 4) | (digits % 10)));
    }
    store<u8>(to, negative ? 0x80 : 0, 9);
  }
  if (to == cpu + CPU_bounce) commitWrite(cpu);
  settle(cpu, flags);
  pop(cpu);
}
