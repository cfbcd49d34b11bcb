/** General-purpose instructions that need more than 64 bits, or are rare enough not to be built into handlers. */
import {
  CPU_bounce,
  CPU_cr0,
  CPU_cr4,
  CPU_gpr,
  CPU_flagAux,
  CPU_flagResult,
  CPU_reach,
  CPU_stackMask,
  RECORD_extra,
  RECORD_immediate,
  REACH_SIZE,
  REACH_base,
  SS,
} from './layout';
import { faultNoError, generalProtection, VECTOR_DE, VECTOR_NM, VECTOR_UD } from './fault';
import { FLAG_AF, FLAG_CF, FLAG_ZF, arithmeticFlags, setArithmeticFlags, setFlags } from './flags';
import { commitWrite, load16, load32, load64, probeWrite, storeAddress, writeAddress } from './memory';
import { effectiveAddress, linearAddress, operandSegment } from './operands';

const RAX: usize = CPU_gpr;
const RCX: usize = CPU_gpr + 8;
const RDX: usize = CPU_gpr + 16;
const RBX: usize = CPU_gpr + 24;
const RSP: usize = CPU_gpr + 32;
const RBP: usize = CPU_gpr + 40;
const STACK: u32 = <u32>(CPU_reach + SS * REACH_SIZE);

/** high:low / divisor, the quotient known to fit; leaves the remainder in RDX, the quotient in RAX. */
function divide(cpu: usize, high: u64, low: u64, divisor: u64): void {
  if (high == 0) {
    store<u64>(cpu, low / divisor, RAX);
    store<u64>(cpu, low % divisor, RDX);
    return;
  }
  let q: u64 = 0;
  let r = high;
  for (let i = 0; i < 64; i++) {
    const carry = r >>> 63;
    r = (r << 1) | (low >>> 63);
    low <<= 1;
    q <<= 1;
    if (carry || r >= divisor) {
      r -= divisor;
      q |= 1;
    }
  }
  store<u64>(cpu, q, RAX);
  store<u64>(cpu, r, RDX);
}

export function divide64(cpu: usize, divisor: u64): void {
  const high = load<u64>(cpu, RDX);
  if (divisor == 0 || high >= divisor) faultNoError(cpu, VECTOR_DE);
  divide(cpu, high, load<u64>(cpu, RAX), divisor);
}

export function divideSigned64(cpu: usize, divisor: i64): void {
  let high = load<u64>(cpu, RDX);
  let low = load<u64>(cpu, RAX);
  const negative = <i64>high < 0;
  if (negative) {
    low = 0 - low;
    high = ~high + u64(low == 0);
  }
  const d = <u64>(divisor < 0 ? 0 - divisor : divisor);
  if (d == 0 || high >= d) faultNoError(cpu, VECTOR_DE);
  const rax = load<u64>(cpu, RAX);
  const rdx = load<u64>(cpu, RDX);
  divide(cpu, high, low, d);
  const q = load<u64>(cpu, RAX);
  const r = load<u64>(cpu, RDX);
  const down = negative != divisor < 0;
  if (q > (down ? <u64>0x8000000000000000 : <u64>0x7fffffffffffffff)) {
    store<u64>(cpu, rax, RAX);
    store<u64>(cpu, rdx, RDX);
    faultNoError(cpu, VECTOR_DE);
  }
  if (down) store<u64>(cpu, 0 - q, RAX);
  if (negative) store<u64>(cpu, 0 - r, RDX);
}

/** CRC-32C (Castagnoli), bit-reflected, without inversion (SDM vol. 2A, CRC32). */
export function crc32(cpu: usize, crc: u32, data: u64, bits: u32): u32 {
  for (let i: u32 = 0; i < bits; i += 8) {
    crc ^= <u32>(data & 0xff);
    data >>= 8;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (0x82f63b78 & (0 - (crc & 1)));
  }
  return crc;
}

export function cmpxchg16b(cpu: usize, record: usize): void {
  const segment = operandSegment(record);
  const ea = effectiveAddress(cpu, record);
  if (linearAddress(cpu, segment, ea) & 15) generalProtection(cpu, 0);
  const at = writeAddress(cpu, segment, ea, 16);
  const low = load<u64>(at);
  const high = load<u64>(at, 8);
  const equal = low == load<u64>(cpu, RAX) && high == load<u64>(cpu, RDX);
  if (equal) {
    store<u64>(at, load<u64>(cpu, RBX));
    store<u64>(at, load<u64>(cpu, RCX), 8);
  } else {
    store<u64>(cpu, low, RAX);
    store<u64>(cpu, high, RDX);
  }
  if (at == cpu + CPU_bounce) commitWrite(cpu);
  setFlags(cpu, equal ? FLAG_ZF : 0, FLAG_ZF);
}

/** Faults if one of `count` pushes of `width` bits would. */
export function probeStack(cpu: usize, width: u32, count: u32): void {
  const mask = load<u64>(cpu, CPU_stackMask);
  let ea = load<u64>(cpu, RSP);
  for (let i: u32 = 0; i < count; i++) {
    ea = (ea - <u64>(width >> 3)) & mask;
    probeWrite(cpu, STACK, ea, width >> 3);
  }
}

function pushTo(cpu: usize, ea: u64, width: u32, value: u64): void {
  const at = storeAddress(cpu, STACK, ea, width >> 3);
  if (width == 64) store<u64>(at, value);
  else if (width == 32) store<u32>(at, <u32>value);
  else store<u16>(at, <u16>value);
  if (at == cpu + CPU_bounce) commitWrite(cpu);
}

/** ENTER (SDM vol. 2A). */
export function enter(cpu: usize, record: usize, width: u32): void {
  const size = <u64>(load<u64>(record, RECORD_immediate) & 0xffff);
  const level = <u32>load<u16>(record, RECORD_extra) & 31;
  const mask = load<u64>(cpu, CPU_stackMask);
  const bytes = <u64>(width >> 3);
  const rsp = load<u64>(cpu, RSP);
  const rbp = load<u64>(cpu, RBP);
  let sp = (rsp - bytes) & mask;
  // Everything that can fault comes before RSP and RBP change; the memory below the stack may be written twice.
  pushTo(cpu, sp, width, rbp);
  const frame = sp;
  if (level > 0) {
    let from = rbp;
    for (let i: u32 = 1; i < level; i++) {
      from = (from - bytes) & mask;
      const value: u64 = width == 64 ? load64(cpu, STACK, from) : width == 32 ? load32(cpu, STACK, from) : load16(cpu, STACK, from);
      sp = (sp - bytes) & mask;
      pushTo(cpu, sp, width, value);
    }
    sp = (sp - bytes) & mask;
    pushTo(cpu, sp, width, (rsp & ~mask) | frame);
  }
  sp = (sp - size) & mask;
  // The processor checks that the new top of the stack may be written.
  probeWrite(cpu, STACK, sp, width >> 3);
  store<u64>(cpu, (rsp & ~mask) | sp, RSP);
  if (width == 16) store<u16>(cpu, <u16>frame, RBP);
  else store<u64>(cpu, width == 32 ? frame & 0xffffffff : frame, RBP);
}

/** ZF, SF and PF by AL; CF and AF as given. */
function adjusted(cpu: usize, carry: u32, auxiliary: u32): void {
  store<u64>(cpu, <u64>(<i64>load<i8>(cpu, RAX)), CPU_flagResult);
  store<u32>(cpu, (carry << 31) | (carry << 30) | (auxiliary << 3), CPU_flagAux);
}

export function daa(cpu: usize): void {
  const flags = arithmeticFlags(cpu);
  const old = <u32>load<u8>(cpu, RAX);
  let al = old;
  let carry = flags & FLAG_CF;
  let auxiliary: u32 = 0;
  if ((al & 15) > 9 || (flags & FLAG_AF)) {
    al += 6;
    auxiliary = 1;
  }
  if (old > 0x99 || carry) {
    al += 0x60;
    carry = 1;
  }
  store<u8>(cpu, <u8>al, RAX);
  adjusted(cpu, carry, auxiliary);
}

export function das(cpu: usize): void {
  const flags = arithmeticFlags(cpu);
  const old = <u32>load<u8>(cpu, RAX);
  let al = old;
  const oldCarry = flags & FLAG_CF;
  let carry: u32 = 0;
  let auxiliary: u32 = 0;
  if ((al & 15) > 9 || (flags & FLAG_AF)) {
    carry = oldCarry | <u32>(al < 6);
    al -= 6;
    auxiliary = 1;
  }
  if (old > 0x99 || oldCarry) {
    al -= 0x60;
    carry = 1;
  }
  store<u8>(cpu, <u8>al, RAX);
  adjusted(cpu, carry, auxiliary);
}

function adjustAscii(cpu: usize, by: u32): void {
  const needed = (load<u8>(cpu, RAX) & 15) > 9 || (arithmeticFlags(cpu) & FLAG_AF) != 0;
  if (needed) store<u16>(cpu, <u16>(load<u16>(cpu, RAX) + by), RAX);
  store<u8>(cpu, load<u8>(cpu, RAX) & 15, RAX);
  adjusted(cpu, <u32>needed, <u32>needed);
}

export function aaa(cpu: usize): void {
  adjustAscii(cpu, 0x106);
}
export function aas(cpu: usize): void {
  adjustAscii(cpu, <u32>-0x106);
}

/** Tells the host which opcode it was (the decoder left it in `immediate`). */
@external("host", "undefinedInstruction")
declare function countUndefined(cpu: usize, opcode: u32): void;

/** An opcode that no row has, or none that the CPU model offers: counted by name, and #UD. */
export function undefinedInstruction(cpu: usize, record: usize): void {
  countUndefined(cpu, load<u32>(record, RECORD_immediate));
  faultNoError(cpu, VECTOR_UD);
}

const CR0_MP: u64 = 2;
const CR0_EM: u64 = 4;
const CR0_TS: u64 = 8;
const CR4_OSFXSR: u64 = 0x200;
const OPCODE_FWAIT: u32 = 0x9b;

/** CR0 says that the x87 unit may not be used as it is (SDM vol. 3A, 2.5): #NM, but for WAIT unless MP is set with TS. */
export function checkX87(cpu: usize, record: usize): void {
  const cr0 = load<u64>(cpu, CPU_cr0);
  if (load<u16>(record, RECORD_extra) == OPCODE_FWAIT) {
    if ((cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) faultNoError(cpu, VECTOR_NM);
    return;
  }
  if (cr0 & (CR0_EM | CR0_TS)) faultNoError(cpu, VECTOR_NM);
}

export function checkMmx(cpu: usize, record: usize): void {
  const cr0 = load<u64>(cpu, CPU_cr0);
  if (cr0 & CR0_EM) faultNoError(cpu, VECTOR_UD);
  if (cr0 & CR0_TS) faultNoError(cpu, VECTOR_NM);
}

export function checkSimd(cpu: usize, record: usize): void {
  const cr0 = load<u64>(cpu, CPU_cr0);
  if ((cr0 & CR0_EM) || !(load<u64>(cpu, CPU_cr4) & CR4_OSFXSR)) faultNoError(cpu, VECTOR_UD);
  if (cr0 & CR0_TS) faultNoError(cpu, VECTOR_NM);
}
