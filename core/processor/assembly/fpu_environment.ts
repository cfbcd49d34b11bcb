/** FNINIT, FNCLEX, control and status word, FNSTENV, FLDENV, FNSAVE, FRSTOR (SDM vol. 1, 8.1.10), EMMS. */
import {
  CODE_16,
  CPU_codeSize,
  CPU_cr0,
  CPU_eflags,
  CPU_fpuControl,
  CPU_fpuCs,
  CPU_fpuDp,
  CPU_fpuDs,
  CPU_fpuIp,
  CPU_fpuOpcode,
  CPU_fpuStatus,
  CPU_fpuTag,
  CPU_gpr,
  PREFIX_OPERAND,
  RECORD_prefixes,
  RECORD_segment,
} from './layout';
import { FLAG_VM } from './flags';
import { BUSY, ES, TOP_MASK, isEmpty, isNormal, put, slot, waitX87 } from './fpu';
import { load16, load32, load64, readAddress, store16, store32, store64, probeWrite } from './memory';
import { effectiveAddress } from './operands';

/** Bit 6 of the control word is reserved and reads as 1; bits 7 and 13..15 read as 0. */
const CONTROL_ONES: u32 = 0x40;
const CONTROL_MASK: u32 = 0x1f3f;

export function setControl(cpu: usize, value: u32): void {
  store<u16>(cpu, (value & CONTROL_MASK) | CONTROL_ONES, CPU_fpuControl);
  summarize(cpu);
}

/** ES and B follow from the flags and their masks. */
export function summarize(cpu: usize): void {
  const status = <u32>load<u16>(cpu, CPU_fpuStatus);
  const pending = (status & ~(<u32>load<u16>(cpu, CPU_fpuControl)) & 0x3f) != 0;
  store<u16>(cpu, pending ? status | ES | BUSY : status & ~(ES | BUSY), CPU_fpuStatus);
}

export function initializeX87(cpu: usize): void {
  store<u16>(cpu, 0x37f, CPU_fpuControl);
  store<u16>(cpu, 0, CPU_fpuStatus);
  store<u16>(cpu, 0xffff, CPU_fpuTag);
  store<u16>(cpu, 0, CPU_fpuOpcode);
  store<u16>(cpu, 0, CPU_fpuCs);
  store<u16>(cpu, 0, CPU_fpuDs);
  store<u64>(cpu, 0, CPU_fpuIp);
  store<u64>(cpu, 0, CPU_fpuDp);
}

export function fninit(cpu: usize, record: usize): void {
  initializeX87(cpu);
}

export function fnclex(cpu: usize, record: usize): void {
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) & 0x7f00, CPU_fpuStatus);
}

export function fldcw(cpu: usize, record: usize): void {
  waitX87(cpu);
  setControl(cpu, load16(cpu, load<u16>(record, RECORD_segment), effectiveAddress(cpu, record)));
}

export function fnstcw(cpu: usize, record: usize): void {
  store16(cpu, load<u16>(record, RECORD_segment), effectiveAddress(cpu, record), load<u16>(cpu, CPU_fpuControl));
}

export function fnstsw_m16(cpu: usize, record: usize): void {
  store16(cpu, load<u16>(record, RECORD_segment), effectiveAddress(cpu, record), load<u16>(cpu, CPU_fpuStatus));
}

export function fnstsw_ax(cpu: usize, record: usize): void {
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus), CPU_gpr);
}

/** The tag word with its four classes. */
function fullTags(cpu: usize): u32 {
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    let tag: u32 = 2;
    const at = slot(cpu, i);
    const s = load<u64>(at);
    const se = <u32>load<u16>(at, 8);
    if (isEmpty(cpu, i)) tag = 3;
    else if (isNormal(s, se)) tag = 0;
    else if (s == 0 && !(se & 0x7fff)) tag = 1;
    tags |= tag << (i << 1);
  }
  return tags;
}

/** Only empty or not is taken from a loaded tag word: the classes come from the contents. */
function setTags(cpu: usize, tags: u32): void {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < 16; i += 2) if (((tags >> i) & 3) == 3) kept |= 3 << i;
  store<u16>(cpu, kept, CPU_fpuTag);
}

/** Layouts by operand size, and by mode: in real and virtual-8086 mode pointers are linear addresses. */
// @ts-ignore: decorator
@inline
function is16(cpu: usize, record: usize): bool {
  return (load<u32>(cpu, CPU_codeSize) == CODE_16) != ((load<u8>(record, RECORD_prefixes) & PREFIX_OPERAND) != 0);
}

// @ts-ignore: decorator
@inline
function isReal(cpu: usize): bool {
  return !(load<u32>(cpu, CPU_cr0) & 1) || (load<u32>(cpu, CPU_eflags) & FLAG_VM) != 0;
}

/** Writes the environment. Both ends are checked first, so that nothing is half written. */
function storeEnvironment(cpu: usize, record: usize, ea: u64, size: i32): void {
  const segment = <u32>load<u16>(record, RECORD_segment);
  probeWrite(cpu, segment, ea + <u64>(size - 1), 1);
  const control = <u32>load<u16>(cpu, CPU_fpuControl);
  const status = <u32>load<u16>(cpu, CPU_fpuStatus);
  const tags = fullTags(cpu);
  const real = isReal(cpu);
  const opcode = <u32>load<u16>(cpu, CPU_fpuOpcode) & 0x7ff;
  const cs = <u32>load<u16>(cpu, CPU_fpuCs);
  const ds = <u32>load<u16>(cpu, CPU_fpuDs);
  let ip = <u32>load<u64>(cpu, CPU_fpuIp);
  let dp = <u32>load<u64>(cpu, CPU_fpuDp);
  if (real) {
    ip += cs << 4;
    dp += ds << 4;
  }
  if (is16(cpu, record)) {
    store16(cpu, segment, ea, control);
    store16(cpu, segment, ea + 2, status);
    store16(cpu, segment, ea + 4, tags);
    store16(cpu, segment, ea + 6, ip & 0xffff);
    store16(cpu, segment, ea + 8, real ? ((ip >> 4) & 0xf000) | opcode : cs);
    store16(cpu, segment, ea + 10, dp & 0xffff);
    store16(cpu, segment, ea + 12, real ? (dp >> 4) & 0xf000 : ds);
  } else {
    store32(cpu, segment, ea, 0xffff0000 | control);
    store32(cpu, segment, ea + 4, 0xffff0000 | status);
    store32(cpu, segment, ea + 8, 0xffff0000 | tags);
    store32(cpu, segment, ea + 12, real ? 0xffff0000 | ip : ip);
    store32(cpu, segment, ea + 16, real ? ((ip >> 4) & 0x0ffff000) | opcode : cs | (opcode << 16));
    store32(cpu, segment, ea + 20, real ? 0xffff0000 | dp : dp);
    store32(cpu, segment, ea + 24, real ? (dp >> 4) & 0x0ffff000 : 0xffff0000 | ds);
  }
}

function loadEnvironment(cpu: usize, record: usize, ea: u64, size: i32): void {
  const segment = <u32>load<u16>(record, RECORD_segment);
  readAddress(cpu, segment, ea, 1);
  readAddress(cpu, segment, ea + <u64>(size - 1), 1);
  const real = isReal(cpu);
  let control: u32, status: u32, tags: u32, ip: u32, dp: u32;
  let cs: u32 = 0;
  let ds: u32 = 0;
  let opcode: u32 = 0;
  if (is16(cpu, record)) {
    control = load16(cpu, segment, ea);
    status = load16(cpu, segment, ea + 2);
    tags = load16(cpu, segment, ea + 4);
    ip = load16(cpu, segment, ea + 6);
    cs = load16(cpu, segment, ea + 8);
    dp = load16(cpu, segment, ea + 10);
    ds = load16(cpu, segment, ea + 12);
    if (real) {
      opcode = cs & 0x7ff;
      ip |= (cs & 0xf000) << 4;
      dp |= (ds & 0xf000) << 4;
    }
  } else {
    control = load16(cpu, segment, ea);
    status = load16(cpu, segment, ea + 4);
    tags = load16(cpu, segment, ea + 8);
    ip = load32(cpu, segment, ea + 12);
    cs = load32(cpu, segment, ea + 16);
    dp = load32(cpu, segment, ea + 20);
    ds = load32(cpu, segment, ea + 24);
    if (real) {
      opcode = cs & 0x7ff;
      ip = (ip & 0xffff) | ((cs & 0x0ffff000) << 4);
      dp = (dp & 0xffff) | ((ds & 0x0ffff000) << 4);
    } else opcode = (cs >> 16) & 0x7ff;
  }
  store<u16>(cpu, status & 0x7f7f, CPU_fpuStatus);
  setTags(cpu, tags);
  store<u64>(cpu, <u64>ip, CPU_fpuIp);
  store<u64>(cpu, <u64>dp, CPU_fpuDp);
  store<u16>(cpu, opcode, CPU_fpuOpcode);
  store<u16>(cpu, real ? 0 : cs, CPU_fpuCs);
  store<u16>(cpu, real ? 0 : ds, CPU_fpuDs);
  setControl(cpu, control);
}

/** Also masks all exceptions. */
export function fnstenv(cpu: usize, record: usize): void {
  storeEnvironment(cpu, record, effectiveAddress(cpu, record), is16(cpu, record) ? 14 : 28);
  setControl(cpu, load<u16>(cpu, CPU_fpuControl) | 0x3f);
}

export function fldenv(cpu: usize, record: usize): void {
  waitX87(cpu);
  loadEnvironment(cpu, record, effectiveAddress(cpu, record), is16(cpu, record) ? 14 : 28);
}

/** Also initializes. Registers go in stack order. */
export function fnsave(cpu: usize, record: usize): void {
  const ea = effectiveAddress(cpu, record);
  const head = is16(cpu, record) ? 14 : 28;
  storeEnvironment(cpu, record, ea, head + 80);
  const segment = <u32>load<u16>(record, RECORD_segment);
  const zero = (<u32>load<u16>(cpu, CPU_fpuStatus) >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = slot(cpu, (zero + i) & 7);
    const to = ea + <u64>head + <u64>(i * 10);
    store64(cpu, segment, to, load<u64>(from));
    store16(cpu, segment, to + 8, load<u16>(from, 8));
  }
  initializeX87(cpu);
}

export function frstor(cpu: usize, record: usize): void {
  waitX87(cpu);
  const ea = effectiveAddress(cpu, record);
  const head = is16(cpu, record) ? 14 : 28;
  loadEnvironment(cpu, record, ea, head + 80);
  const segment = <u32>load<u16>(record, RECORD_segment);
  const zero = (<u32>load<u16>(cpu, CPU_fpuStatus) >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = ea + <u64>head + <u64>(i * 10);
    put(slot(cpu, (zero + i) & 7), load64(cpu, segment, from), load16(cpu, segment, from + 8));
  }
}

/** FNENI, FNDISI, FNSETPM: of the 8087 and 287; nothing since. */
export function fnop_control(cpu: usize, record: usize): void {
}

export function emms(cpu: usize, record: usize): void {
  waitX87(cpu);
  store<u16>(cpu, load<u16>(cpu, CPU_fpuStatus) & ~TOP_MASK, CPU_fpuStatus);
  store<u16>(cpu, 0xffff, CPU_fpuTag);
}

