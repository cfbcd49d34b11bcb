/** FXSAVE, FXRSTOR (SDM vol. 1, 10.5), XSAVE, XSAVEOPT, XRSTOR for x87 and SSE state (vol. 1, chapter 13), LDMXCSR, STMXCSR. */
import {
  CPU_cr0,
  CPU_cr4,
  CPU_efer,
  CPU_fpr,
  CPU_fpuControl,
  CPU_fpuCs,
  CPU_fpuDp,
  CPU_fpuDs,
  CPU_fpuIp,
  CPU_fpuOpcode,
  CPU_fpuStatus,
  CPU_fpuTag,
  CPU_gpr,
  CPU_mxcsr,
  CPU_xcr0,
  CPU_xmm,
  RECORD_segment,
} from './layout';
import { deviceNotAvailable, generalProtection, undefinedOpcode } from './fault';
import { in64BitMode, put, slot } from './fpu';
import { initializeX87, setControl } from './fpu_environment';
import { load16, load32, load64, readAddress, store32, store64, load8, probeWrite } from './memory';
import { effectiveAddress } from './operands';
import { believedCpl } from './rings';

const CR0_EM: u32 = 4;
const CR0_TS: u32 = 8;
const CR4_OSFXSR: u32 = 0x200;
const CR4_OSXSAVE: u32 = 0x40000;
const EFER_FFXSR: u32 = 0x4000;

/** Bits of MXCSR that exist; the rest raise #GP when set. */
export const MXCSR_MASK: u32 = 0xffff;
export const MXCSR_RESET: u32 = 0x1f80;

const X87_STATE: u32 = 1;
const SSE_STATE: u32 = 2;

/** FXSAVE area: bytes before the registers, and the registers' places. */
const AREA_ST: u64 = 32;
const AREA_XMM: u64 = 160;
const HEADER: u64 = 512;

function xmmCount(cpu: usize): u32 {
  return in64BitMode(cpu) ? 16 : 8;
}

function checkFxsr(cpu: usize): void {
  if (load<u32>(cpu, CPU_cr0) & (CR0_EM | CR0_TS)) deviceNotAvailable(cpu);
}

function checkXsave(cpu: usize): void {
  if (!(load<u32>(cpu, CPU_cr4) & CR4_OSXSAVE)) undefinedOpcode(cpu);
  if (load<u32>(cpu, CPU_cr0) & CR0_TS) deviceNotAvailable(cpu);
}

/** The operand's effective address; alignment counts on the linear address, whose segment bases are aligned in practice. */
function alignedAddress(cpu: usize, record: usize, alignment: u64): u64 {
  const ea = effectiveAddress(cpu, record);
  if ((ea + load<u64>(cpu + load<u16>(record, RECORD_segment))) & (alignment - 1)) generalProtection(cpu, 0);
  return ea;
}

function storeX87(cpu: usize, segment: u32, ea: u64, wide: bool): void {
  const tags = <u32>load<u16>(cpu, CPU_fpuTag);
  let used: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (i << 1)) & 3) != 3) used |= 1 << i;
  const status = <u32>load<u16>(cpu, CPU_fpuStatus);
  store32(cpu, segment, ea, <u32>load<u16>(cpu, CPU_fpuControl) | (status << 16));
  store32(cpu, segment, ea + 4, used | ((<u32>load<u16>(cpu, CPU_fpuOpcode) & 0x7ff) << 16));
  if (wide) {
    store64(cpu, segment, ea + 8, load<u64>(cpu, CPU_fpuIp));
    store64(cpu, segment, ea + 16, load<u64>(cpu, CPU_fpuDp));
  } else {
    store32(cpu, segment, ea + 8, <u32>load<u64>(cpu, CPU_fpuIp));
    store32(cpu, segment, ea + 12, load<u16>(cpu, CPU_fpuCs));
    store32(cpu, segment, ea + 16, <u32>load<u64>(cpu, CPU_fpuDp));
    store32(cpu, segment, ea + 20, load<u16>(cpu, CPU_fpuDs));
  }
  const zero = (status >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = slot(cpu, (zero + i) & 7);
    const to = ea + AREA_ST + <u64>(i << 4);
    store64(cpu, segment, to, load<u64>(from));
    store64(cpu, segment, to + 8, <u64>load<u16>(from, 8));
  }
}

function loadX87(cpu: usize, segment: u32, ea: u64, wide: bool): void {
  const status = load16(cpu, segment, ea + 2);
  const used = load8(cpu, segment, ea + 4);
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (!((used >> i) & 1)) tags |= 3 << (i << 1);
  store<u16>(cpu, status, CPU_fpuStatus);
  store<u16>(cpu, tags, CPU_fpuTag);
  store<u16>(cpu, load16(cpu, segment, ea + 6) & 0x7ff, CPU_fpuOpcode);
  if (wide) {
    store<u64>(cpu, load64(cpu, segment, ea + 8), CPU_fpuIp);
    store<u64>(cpu, load64(cpu, segment, ea + 16), CPU_fpuDp);
    store<u16>(cpu, 0, CPU_fpuCs);
    store<u16>(cpu, 0, CPU_fpuDs);
  } else {
    store<u64>(cpu, <u64>load32(cpu, segment, ea + 8), CPU_fpuIp);
    store<u16>(cpu, load16(cpu, segment, ea + 12), CPU_fpuCs);
    store<u64>(cpu, <u64>load32(cpu, segment, ea + 16), CPU_fpuDp);
    store<u16>(cpu, load16(cpu, segment, ea + 20), CPU_fpuDs);
  }
  const zero = (status >> 11) & 7;
  for (let i: u32 = 0; i < 8; i++) {
    const from = ea + AREA_ST + <u64>(i << 4);
    put(slot(cpu, (zero + i) & 7), load64(cpu, segment, from), load16(cpu, segment, from + 8));
  }
  setControl(cpu, load16(cpu, segment, ea));
}

function storeXmm(cpu: usize, segment: u32, ea: u64): void {
  const count = xmmCount(cpu);
  for (let i: u32 = 0; i < count; i++) {
    const from = cpu + CPU_xmm + (i << 4);
    const to = ea + AREA_XMM + <u64>(i << 4);
    store64(cpu, segment, to, load<u64>(from));
    store64(cpu, segment, to + 8, load<u64>(from, 8));
  }
}

function loadXmm(cpu: usize, segment: u32, ea: u64): void {
  const count = xmmCount(cpu);
  for (let i: u32 = 0; i < count; i++) {
    const to = cpu + CPU_xmm + (i << 4);
    const from = ea + AREA_XMM + <u64>(i << 4);
    store<u64>(to, load64(cpu, segment, from));
    store<u64>(to, load64(cpu, segment, from + 8), 8);
  }
}

function checkedMxcsr(cpu: usize, segment: u32, ea: u64): u32 {
  const value = load32(cpu, segment, ea);
  if (value & ~MXCSR_MASK) generalProtection(cpu, 0);
  return value;
}

function saveLegacy(cpu: usize, record: usize, wide: bool): void {
  checkFxsr(cpu);
  const ea = alignedAddress(cpu, record, 16);
  const segment = <u32>load<u16>(record, RECORD_segment);
  // Both ends first: nothing is written if a part cannot be.
  probeWrite(cpu, segment, ea, 1);
  probeWrite(cpu, segment, ea + 511, 1);
  storeX87(cpu, segment, ea, wide);
  store32(cpu, segment, ea + 24, load<u32>(cpu, CPU_mxcsr));
  store32(cpu, segment, ea + 28, MXCSR_MASK);
  if (hasXmm(cpu)) storeXmm(cpu, segment, ea);
}

/**
 * Without CR4.OSFXSR, and with AMD's fast FXSAVE at CPL 0 of 64-bit mode, the XMM registers stay out. (A VMM that cannot translate FXSAVE hides the
 * feature; here it sees to it.)
 */
function hasXmm(cpu: usize): bool {
  if (!(load<u32>(cpu, CPU_cr4) & CR4_OSFXSR)) return false;
  return !(load<u32>(cpu, CPU_efer) & EFER_FFXSR && in64BitMode(cpu) && believedCpl(cpu) == 0);
}

function restoreLegacy(cpu: usize, record: usize, wide: bool): void {
  checkFxsr(cpu);
  const ea = alignedAddress(cpu, record, 16);
  const segment = <u32>load<u16>(record, RECORD_segment);
  readAddress(cpu, segment, ea, 1);
  readAddress(cpu, segment, ea + 511, 1);
  const mxcsr = checkedMxcsr(cpu, segment, ea + 24);
  loadX87(cpu, segment, ea, wide);
  store<u32>(cpu, mxcsr, CPU_mxcsr);
  if (hasXmm(cpu)) loadXmm(cpu, segment, ea);
}

export function fxsave(cpu: usize, record: usize): void {
  saveLegacy(cpu, record, false);
}
export function fxsave64(cpu: usize, record: usize): void {
  saveLegacy(cpu, record, true);
}
export function fxrstor(cpu: usize, record: usize): void {
  restoreLegacy(cpu, record, false);
}
export function fxrstor64(cpu: usize, record: usize): void {
  restoreLegacy(cpu, record, true);
}

/** The requested-feature bitmap: EDX:EAX and XCR0, of which only x87 and SSE can be set here. */
function requested(cpu: usize): u32 {
  return load<u32>(cpu, CPU_gpr) & load<u32>(cpu, CPU_xcr0) & (X87_STATE | SSE_STATE);
}

/** State components that are not in their initial configuration. */
function inUse(cpu: usize): u32 {
  let used: u32 = 0;
  if (
    load<u16>(cpu, CPU_fpuControl) != 0x37f ||
    load<u16>(cpu, CPU_fpuStatus) != 0 ||
    load<u16>(cpu, CPU_fpuTag) != 0xffff ||
    (load<u64>(cpu, CPU_fpuIp) | load<u64>(cpu, CPU_fpuDp)) != 0
  ) {
    used = X87_STATE;
  } else {
    let any = i64x2.splat(0);
    for (let i: usize = 0; i < 8; i++) any = v128.or(any, v128.load(cpu + CPU_fpr + (i << 4)));
    if (v128.any_true(any)) used = X87_STATE;
  }
  let any = i64x2.splat(0);
  const count = xmmCount(cpu);
  for (let i: usize = 0; i < count; i++) any = v128.or(any, v128.load(cpu + CPU_xmm + (i << 4)));
  if (v128.any_true(any)) used |= SSE_STATE;
  return used;
}

function saveExtended(cpu: usize, record: usize, wide: bool, optimized: bool): void {
  checkXsave(cpu);
  const ea = alignedAddress(cpu, record, 64);
  const segment = <u32>load<u16>(record, RECORD_segment);
  probeWrite(cpu, segment, ea, 1);
  probeWrite(cpu, segment, ea + HEADER + 63, 1);
  const mask = requested(cpu);
  const used = inUse(cpu);
  const old = load64(cpu, segment, ea + HEADER);
  const written = optimized ? mask & used : mask;
  if (written & X87_STATE) storeX87(cpu, segment, ea, wide);
  if (mask & SSE_STATE) {
    store32(cpu, segment, ea + 24, load<u32>(cpu, CPU_mxcsr));
    store32(cpu, segment, ea + 28, MXCSR_MASK);
  }
  if (written & SSE_STATE) storeXmm(cpu, segment, ea);
  store64(cpu, segment, ea + HEADER, (old & ~(<u64>mask)) | <u64>(used & mask));
}

function restoreExtended(cpu: usize, record: usize, wide: bool): void {
  checkXsave(cpu);
  const ea = alignedAddress(cpu, record, 64);
  const segment = <u32>load<u16>(record, RECORD_segment);
  readAddress(cpu, segment, ea, 1);
  readAddress(cpu, segment, ea + HEADER + 63, 1);
  const present = load64(cpu, segment, ea + HEADER);
  if (present & ~load<u64>(cpu, CPU_xcr0)) generalProtection(cpu, 0);
  // The standard form; bytes 8..23 of the header must be zero.
  if (load64(cpu, segment, ea + HEADER + 8) | load64(cpu, segment, ea + HEADER + 16)) generalProtection(cpu, 0);
  const mask = requested(cpu);
  const mxcsr = mask & SSE_STATE ? checkedMxcsr(cpu, segment, ea + 24) : load<u32>(cpu, CPU_mxcsr);
  if (mask & X87_STATE) {
    if (<u32>present & X87_STATE) loadX87(cpu, segment, ea, wide);
    else {
      initializeX87(cpu);
      for (let i: u32 = 0; i < 8; i++) put(slot(cpu, i), 0, 0);
    }
  }
  if (mask & SSE_STATE) {
    if (<u32>present & SSE_STATE) loadXmm(cpu, segment, ea);
    else memory.fill(cpu + CPU_xmm, 0, (<usize>xmmCount(cpu)) << 4);
    store<u32>(cpu, mxcsr, CPU_mxcsr);
  }
}

export function xsave(cpu: usize, record: usize): void {
  saveExtended(cpu, record, false, false);
}
export function xsave64(cpu: usize, record: usize): void {
  saveExtended(cpu, record, true, false);
}
export function xsaveopt(cpu: usize, record: usize): void {
  saveExtended(cpu, record, false, true);
}
export function xsaveopt64(cpu: usize, record: usize): void {
  saveExtended(cpu, record, true, true);
}
export function xrstor(cpu: usize, record: usize): void {
  restoreExtended(cpu, record, false);
}
export function xrstor64(cpu: usize, record: usize): void {
  restoreExtended(cpu, record, true);
}

export function ldmxcsr(cpu: usize, record: usize): void {
  store<u32>(cpu, checkedMxcsr(cpu, load<u16>(record, RECORD_segment), effectiveAddress(cpu, record)), CPU_mxcsr);
}

export function stmxcsr(cpu: usize, record: usize): void {
  store32(cpu, load<u16>(record, RECORD_segment), effectiveAddress(cpu, record), load<u32>(cpu, CPU_mxcsr));
}
