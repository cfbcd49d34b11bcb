/** Port I/O: the permission check and IN and OUT (SDM vol. 1, 19.5). */
import {
  CPU_cpl,
  CPU_cr0,
  CPU_eflags,
  CPU_gpr,
  CPU_segments,
  RECORD_immediate,
  SEGMENT_SIZE,
  SEGMENT_attributes,
  SEGMENT_base,
  SEGMENT_limit,
  TR,
} from './layout';
import { generalProtection } from './fault';
import { FLAG_VM } from './flags';
import { readPort, writePort } from './host';
import { systemLoad16 } from './memory';
import { operandSize } from './operands';
import { isPara } from './para';
import { checkPorts } from './para_privileged';
import { isCompressed } from './rings';

const CR0_PE: u64 = 1;
const RAX: usize = CPU_gpr;
const RDX: usize = CPU_gpr + 16;
/** Where a 32- or 64-bit TSS holds the offset of its I/O permission bitmap. */
const TSS_IO_MAP: u64 = 102;

/** The bitmap of the TSS says whether ports `port`..`port + size - 1` are permitted. */
function mapPermits(cpu: usize, port: u32, size: u32): bool {
  // The VMM's TSS permits nothing.
  if (isCompressed(cpu)) return false;
  const tr = cpu + CPU_segments + TR * SEGMENT_SIZE;
  const type = load<u32>(tr, SEGMENT_attributes) & 0xf;
  const limit = load<u32>(tr, SEGMENT_limit);
  // Available or busy 32- or 64-bit TSS; a 16-bit one has no bitmap.
  if ((type != 9 && type != 11) || limit < <u32>TSS_IO_MAP + 1) return false;
  const base = load<u64>(tr, SEGMENT_base);
  const at = systemLoad16(cpu, base + TSS_IO_MAP) + (port >>> 3);
  // The processor always reads two bytes, so both must be within the limit.
  if (at + 1 > limit) return false;
  const mask: u32 = ((1 << size) - 1) << (port & 7);
  return (systemLoad16(cpu, base + at) & mask) == 0;
}

/** Raises #GP(0) unless the current privilege permits an access of `size` bytes to `port`. */
export function checkIo(cpu: usize, port: u32, size: u32): void {
  if (isPara()) return checkPorts(cpu);
  if (!(load<u64>(cpu, CPU_cr0) & CR0_PE)) return;
  const eflags = load<u32>(cpu, CPU_eflags);
  if (!(eflags & FLAG_VM) && load<u32>(cpu, CPU_cpl) <= ((eflags >>> 12) & 3)) return;
  if (!mapPermits(cpu, port, size)) generalProtection(cpu, 0);
}

/** There is no 64-bit form: REX.W is ignored. */
// @ts-ignore: decorator
@inline
function wideSize(cpu: usize, record: usize): u32 {
  const size = operandSize(cpu, record);
  return size == 8 ? 4 : size;
}

function input(cpu: usize, port: u32, size: u32): void {
  checkIo(cpu, port, size);
  const value = readPort(cpu, port, size);
  if (size == 1) store<u8>(cpu, value, RAX);
  else if (size == 2) store<u16>(cpu, value, RAX);
  else store<u64>(cpu, <u64>value, RAX);
}

function output(cpu: usize, port: u32, size: u32): void {
  checkIo(cpu, port, size);
  const value: u32 = size == 1 ? load<u8>(cpu, RAX) : size == 2 ? load<u16>(cpu, RAX) : load<u32>(cpu, RAX);
  writePort(cpu, port, size, value);
}

export function in_al_imm(cpu: usize, record: usize): void {
  input(cpu, load<u8>(record, RECORD_immediate), 1);
}
export function in_eax_imm(cpu: usize, record: usize): void {
  input(cpu, load<u8>(record, RECORD_immediate), wideSize(cpu, record));
}
export function in_al_dx(cpu: usize, record: usize): void {
  input(cpu, load<u16>(cpu, RDX), 1);
}
export function in_eax_dx(cpu: usize, record: usize): void {
  input(cpu, load<u16>(cpu, RDX), wideSize(cpu, record));
}
export function out_imm_al(cpu: usize, record: usize): void {
  output(cpu, load<u8>(record, RECORD_immediate), 1);
}
export function out_imm_eax(cpu: usize, record: usize): void {
  output(cpu, load<u8>(record, RECORD_immediate), wideSize(cpu, record));
}
export function out_dx_al(cpu: usize, record: usize): void {
  output(cpu, load<u16>(cpu, RDX), 1);
}
export function out_dx_eax(cpu: usize, record: usize): void {
  output(cpu, load<u16>(cpu, RDX), wideSize(cpu, record));
}
