/** Flags as a whole, interrupts on and off, HLT, and the small system instructions. */
import {
  CPU_budget,
  CPU_cr4,
  CPU_cpl,
  CPU_cr0,
  CPU_eflags,
  CPU_event,
  CPU_gpr,
  CPU_halted,
  CPU_interruptShadow,
  CPU_kernelGsBase,
  CPU_reach,
  CPU_rip,
  CPU_segments,
  CPU_stackMask,
  CPU_xcr0,
  EVENT_INTERRUPT,
  FS,
  GS,
  REACH_SIZE,
  RECORD_position,
  SEGMENT_SIZE,
  SEGMENT_base,
  SS,
} from './layout';
import {
  CR0_PE,
  CR4_FSGSBASE,
  CR4_OSXSAVE,
  CR4_PCIDE,
  isCanonical,
  isCode64,
  privileged,
} from './control';
import { generalProtection, undefinedOpcode } from './fault';
import {
  FLAGS_ARITHMETIC,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  getFlags,
  setFlags,
} from './flags';
import { load16, load32, load64, probeRead, store16, store32, store64 } from './memory';
import { effectiveAddress, instructionAddress, operandSegment, operandSize, regAddress, rmAddress, stackOperandSize } from './operands';
import { isParaKernel } from './para';
import { updateReach } from './segments';
import { beginShadow } from './shadow';
import { flushTlb, invalidatePage } from './tlb';

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 8;
const RDX: usize = CPU_gpr + 16;
const RSP: usize = CPU_gpr + 32;
const SS_REACH: u32 = <u32>CPU_reach + SS * <u32>REACH_SIZE;

// @ts-ignore: decorator
@inline
function isVm86(cpu: usize): bool {
  return (load<u32>(cpu, CPU_eflags) & FLAG_VM) != 0;
}

// @ts-ignore: decorator
@inline
function iopl(cpu: usize): u32 {
  return (load<u32>(cpu, CPU_eflags) >>> 12) & 3;
}

/** Raises #GP(0) where IOPL does not permit CLI, STI (and, in virtual-8086 mode, PUSHF and POPF). */
function ioplSensitive(cpu: usize): void {
  if (load<u64>(cpu, CPU_cr0) & CR0_PE && load<u32>(cpu, CPU_cpl) > iopl(cpu)) generalProtection(cpu, 0);
}

/**
 * An interrupt has been waiting since before this instruction, which is about to mask interrupts: there was a place to take it, before this
 * instruction, that the block ran over. The instruction is then executed after it. (At the head of a block `run` has just looked; a shadow of 1 was made by an instruction of this block.)
 */
function yieldsToInterrupt(cpu: usize, record: usize): bool {
  if (load<u8>(record, RECORD_position) == 0 || !(load<u32>(cpu, CPU_eflags) & FLAG_IF)) return false;
  if (load<u32>(cpu, CPU_interruptShadow) == 1 || !(atomic.load<u32>(cpu + CPU_event) & EVENT_INTERRUPT)) return false;
  store<u64>(cpu, instructionAddress(cpu, record), CPU_rip);
  // The block counts it, but it will be executed only later.
  store<i32>(cpu, load<i32>(cpu, CPU_budget) + 1, CPU_budget);
  return true;
}

// -- interrupts

export function cli(cpu: usize, record: usize): void {
  ioplSensitive(cpu);
  if (yieldsToInterrupt(cpu, record)) return;
  setFlags(cpu, 0, FLAG_IF);
}

/** Interrupts are taken after the next instruction only, so that STI; HLT and STI; RET lose none. */
export function sti(cpu: usize, record: usize): void {
  ioplSensitive(cpu);
  if (load<u32>(cpu, CPU_eflags) & FLAG_IF) return;
  setFlags(cpu, FLAG_IF, FLAG_IF);
  beginShadow(cpu, record);
}

export function hlt(cpu: usize, record: usize): void {
  privileged(cpu);
  store<u32>(cpu, 1, CPU_halted);
}

// -- PUSHF, POPF

export function pushf(cpu: usize, record: usize): void {
  if (isVm86(cpu) && iopl(cpu) < 3) generalProtection(cpu, 0);
  const size = stackOperandSize(cpu, record);
  const mask = load<u64>(cpu, CPU_stackMask);
  const rsp = load<u64>(cpu, RSP);
  const to = (rsp - size) & mask;
  const value = getFlags(cpu) & ~(FLAG_VM | FLAG_RF);
  if (size == 2) store16(cpu, SS_REACH, to, value & 0xffff);
  else if (size == 4) store32(cpu, SS_REACH, to, value);
  else store64(cpu, SS_REACH, to, value);
  store<u64>(cpu, (rsp & ~mask) | to, RSP);
}

export function popf(cpu: usize, record: usize): void {
  const vm86 = isVm86(cpu);
  if (vm86 && iopl(cpu) < 3) generalProtection(cpu, 0);
  const size = stackOperandSize(cpu, record);
  const stackMask = load<u64>(cpu, CPU_stackMask);
  const rsp = load<u64>(cpu, RSP);
  const from = rsp & stackMask;
  const value: u32 = size == 2 ? load16(cpu, SS_REACH, from) : size == 4 ? load32(cpu, SS_REACH, from) : <u32>load64(cpu, SS_REACH, from);
  let mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT;
  if (size != 2) mask |= FLAG_AC | FLAG_ID | FLAG_RF;
  const protectedMode = (load<u64>(cpu, CPU_cr0) & CR0_PE) != 0;
  const cpl = load<u32>(cpu, CPU_cpl);
  if (!protectedMode || cpl == 0) mask |= FLAG_IF | FLAG_IOPL;
  else if (cpl <= iopl(cpu)) mask |= FLAG_IF;
  if (mask & FLAG_IF && !(value & FLAG_IF) && yieldsToInterrupt(cpu, record)) return;
  store<u64>(cpu, (rsp & ~stackMask) | ((from + size) & stackMask), RSP);
  // RF is cleared, whatever was popped.
  setFlags(cpu, value & ~FLAG_RF, mask);
}

// -- 64-bit segment bases

// @ts-ignore: decorator
@inline
function baseAt(cpu: usize, index: u32): usize {
  return cpu + CPU_segments + <usize>index * SEGMENT_SIZE + SEGMENT_base;
}

export function swapgs(cpu: usize, record: usize): void {
  if (!isCode64(cpu)) undefinedOpcode(cpu);
  privileged(cpu);
  const at = baseAt(cpu, GS);
  const base = load<u64>(at);
  store<u64>(at, load<u64>(cpu, CPU_kernelGsBase));
  store<u64>(cpu, base, CPU_kernelGsBase);
  updateReach(cpu);
}

function requireFsGsBase(cpu: usize): void {
  if (!isCode64(cpu) || !(load<u64>(cpu, CPU_cr4) & CR4_FSGSBASE)) undefinedOpcode(cpu);
}

function readBase(cpu: usize, record: usize, index: u32): void {
  requireFsGsBase(cpu);
  const base = load<u64>(baseAt(cpu, index));
  store<u64>(rmAddress(cpu, record), operandSize(cpu, record) == 8 ? base : base & 0xffffffff);
}

function writeBase(cpu: usize, record: usize, index: u32): void {
  requireFsGsBase(cpu);
  const from = rmAddress(cpu, record);
  const base = operandSize(cpu, record) == 8 ? load<u64>(from) : <u64>load<u32>(from);
  if (!isCanonical(base)) generalProtection(cpu, 0);
  store<u64>(baseAt(cpu, index), base);
  updateReach(cpu);
}

export function rdfsbase(cpu: usize, record: usize): void {
  readBase(cpu, record, FS);
}
export function rdgsbase(cpu: usize, record: usize): void {
  readBase(cpu, record, GS);
}
export function wrfsbase(cpu: usize, record: usize): void {
  writeBase(cpu, record, FS);
}
export function wrgsbase(cpu: usize, record: usize): void {
  writeBase(cpu, record, GS);
}

// -- SMAP

export function stac(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cpl) != 0) undefinedOpcode(cpu);
  setFlags(cpu, FLAG_AC, FLAG_AC);
}

export function clac(cpu: usize, record: usize): void {
  if (load<u32>(cpu, CPU_cpl) != 0) undefinedOpcode(cpu);
  setFlags(cpu, 0, FLAG_AC);
}

// -- XCR0

/** x87 and SSE state. */
const XCR0_DEFINED: u64 = 3;

export function xgetbv(cpu: usize, record: usize): void {
  if (!(load<u64>(cpu, CPU_cr4) & CR4_OSXSAVE)) undefinedOpcode(cpu);
  if (load<u32>(cpu, RCX) != 0) generalProtection(cpu, 0);
  const value = load<u64>(cpu, CPU_xcr0);
  store<u64>(cpu, value & 0xffffffff, RAX);
  store<u64>(cpu, value >>> 32, RDX);
}

export function xsetbv(cpu: usize, record: usize): void {
  if (!(load<u64>(cpu, CPU_cr4) & CR4_OSXSAVE)) undefinedOpcode(cpu);
  if (!isParaKernel(cpu)) privileged(cpu);
  const value = <u64>load<u32>(cpu, RAX) | ((<u64>load<u32>(cpu, RDX)) << 32);
  // x87 state cannot be turned off.
  if (load<u32>(cpu, RCX) != 0 || value & ~XCR0_DEFINED || !(value & 1)) generalProtection(cpu, 0);
  store<u64>(cpu, value, CPU_xcr0);
}

// -- caches and TLB

/** INVD, WBINVD: there is no cache to write back. */
export function wbinvd(cpu: usize, record: usize): void {
  if (!isParaKernel(cpu)) privileged(cpu);
}

/** CLFLUSH, CLFLUSHOPT: faults as a load of a byte does, and has nothing to flush. */
export function clflush(cpu: usize, record: usize): void {
  probeRead(cpu, operandSegment(record), effectiveAddress(cpu, record), 1);
}

/** 66 0F 38 82. Flushing more than asked for cannot be told. */
export function invpcid(cpu: usize, record: usize): void {
  privileged(cpu);
  const from = regAddress(cpu, record);
  const type = isCode64(cpu) ? load<u64>(from) : <u64>load<u32>(from);
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  const pcid = load64(cpu, segment, ea);
  const linear = load64(cpu, segment, ea + 8);
  if (type > 3) generalProtection(cpu, 0);
  if (type < 2) {
    if (pcid >>> 12 != 0 || (pcid != 0 && !(load<u64>(cpu, CPU_cr4) & CR4_PCIDE))) generalProtection(cpu, 0);
    if (type == 0) {
      if (!isCanonical(linear)) generalProtection(cpu, 0);
      invalidatePage(cpu, linear);
      return;
    }
  }
  flushTlb(cpu, type != 2);
}
