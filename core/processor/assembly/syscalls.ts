/** SYSENTER, SYSEXIT, SYSCALL and SYSRET (SDM vol. 2; vol. 3A, 5.8.7 and 5.8.8). */
import {
  CODE_64,
  CPU_codeSize,
  CPU_cpl,
  CPU_cpuidTable,
  CPU_cr0,
  CPU_cstar,
  CPU_efer,
  CPU_gpr,
  CPU_lstar,
  CPU_rip,
  CPU_sfmask,
  CPU_star,
  CPU_sysenterCs,
  CPU_sysenterEip,
  CPU_sysenterEsp,
  CS,
  SS,
} from './layout';
import { CR0_PE, DEFAULT_BIG, EFER_SCE, LONG, NOT_SYSTEM, PRESENT, isCanonical, isLongMode, isReal, setSegment } from './descriptors';
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
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  getFlags,
  setFlags,
} from './flags';
import { operandSize } from './operands';
import { isPara } from './para';
import { paraSystemCall } from './para_calls';
import { bounceSystemEntry } from './para_entry';
import { updateReach } from './segments';

const RCX: usize = CPU_gpr + 1 * 8;
const RDX: usize = CPU_gpr + 2 * 8;
const RSP: usize = CPU_gpr + 4 * 8;
const R11: usize = CPU_gpr + 11 * 8;
const GRANULAR: u32 = 0x8000;
const CODE_TYPE: u32 = 11;
const DATA_TYPE: u32 = 3;
const ALL_FLAGS: u32 =
  FLAGS_ARITHMETIC | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
/** The first four letters of "AuthenticAMD": EBX of CPUID leaf 0. */
const AUTH: u32 = 0x6874_7541;

/** These instructions read no descriptors: code and stack are flat. Sets CPL too. */
function setFlat(cpu: usize, code: u32, stack: u32, cpl: u32, long: bool): void {
  const common = GRANULAR | PRESENT | NOT_SYSTEM | (cpl << 5);
  setSegment(cpu, CS, (code & 0xfffc) | cpl, 0, 0xffff_ffff, common | CODE_TYPE | (long ? LONG : DEFAULT_BIG));
  setSegment(cpu, SS, (stack & 0xfffc) | cpl, 0, 0xffff_ffff, common | DATA_TYPE | DEFAULT_BIG);
  store<u32>(cpu, cpl, CPU_cpl);
}

/** AMD's processors have SYSCALL and SYSRET outside 64-bit mode too (AMD64 manual, vol. 3). */
function isAmd(cpu: usize): bool {
  return load<u32>(cpu, CPU_cpuidTable + 12) == AUTH;
}

/** 0F 34. */
export function sysenter(cpu: usize, record: usize): void {
  if (isPara()) return bounceSystemEntry(cpu);
  const selector = <u32>load<u64>(cpu, CPU_sysenterCs) & 0xfffc;
  if (isReal(cpu) || selector == 0) generalProtection(cpu, 0);
  const long = isLongMode(cpu);
  setFlags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
  setFlat(cpu, selector, selector + 8, 0, long);
  store<u64>(cpu, long ? load<u64>(cpu, CPU_sysenterEsp) : <u64>load<u32>(cpu, CPU_sysenterEsp), RSP);
  store<u64>(cpu, long ? load<u64>(cpu, CPU_sysenterEip) : <u64>load<u32>(cpu, CPU_sysenterEip), CPU_rip);
  updateReach(cpu);
}

/** 0F 35; with REX.W to 64-bit code. */
export function sysexit(cpu: usize, record: usize): void {
  const selector = <u32>load<u64>(cpu, CPU_sysenterCs) & 0xfffc;
  if (isReal(cpu) || selector == 0 || load<u32>(cpu, CPU_cpl) != 0) generalProtection(cpu, 0);
  const rip = load<u64>(cpu, RDX);
  const rsp = load<u64>(cpu, RCX);
  if (operandSize(cpu, record) == 8) {
    if (!isCanonical(rip) || !isCanonical(rsp)) generalProtection(cpu, 0);
    setFlat(cpu, selector + 32, selector + 40, 3, true);
    store<u64>(cpu, rsp, RSP);
    store<u64>(cpu, rip, CPU_rip);
  } else {
    setFlat(cpu, selector + 16, selector + 24, 3, false);
    store<u64>(cpu, rsp & 0xffff_ffff, RSP);
    store<u64>(cpu, rip & 0xffff_ffff, CPU_rip);
  }
  updateReach(cpu);
}

/** 0F 05. */
export function syscall(cpu: usize, record: usize): void {
  const from64 = load<u32>(cpu, CPU_codeSize) == CODE_64;
  if (!(load<u64>(cpu, CPU_efer) & EFER_SCE) || (!from64 && !isAmd(cpu)) || !(load<u64>(cpu, CPU_cr0) & CR0_PE)) undefinedOpcode(cpu);
  if (isPara()) return paraSystemCall(cpu);
  const star = load<u64>(cpu, CPU_star);
  const selector = <u32>(star >> 32) & 0xfffc;
  const flags = getFlags(cpu) & ~FLAG_RF;
  store<u64>(cpu, load<u64>(cpu, CPU_rip), RCX);
  if (isLongMode(cpu)) {
    store<u64>(cpu, flags, R11);
    setFlags(cpu, flags & ~load<u32>(cpu, CPU_sfmask), ALL_FLAGS);
    setFlat(cpu, selector, selector + 8, 0, true);
    store<u64>(cpu, from64 ? load<u64>(cpu, CPU_lstar) : load<u64>(cpu, CPU_cstar), CPU_rip);
  } else {
    setFlags(cpu, 0, FLAG_VM | FLAG_IF | FLAG_RF);
    setFlat(cpu, selector, selector + 8, 0, false);
    store<u64>(cpu, star & 0xffff_ffff, CPU_rip);
  }
  updateReach(cpu);
}

/** 0F 07; with REX.W to 64-bit code. A target that is not canonical raises #GP at CPL 0, as Intel's processors do. */
export function sysret(cpu: usize, record: usize): void {
  const from64 = load<u32>(cpu, CPU_codeSize) == CODE_64;
  if (!(load<u64>(cpu, CPU_efer) & EFER_SCE) || (!from64 && !isAmd(cpu)) || !(load<u64>(cpu, CPU_cr0) & CR0_PE)) undefinedOpcode(cpu);
  if (load<u32>(cpu, CPU_cpl) != 0) generalProtection(cpu, 0);
  const selector = <u32>(load<u64>(cpu, CPU_star) >> 48);
  const rip = load<u64>(cpu, RCX);
  const long = operandSize(cpu, record) == 8;
  if (long && !isCanonical(rip)) generalProtection(cpu, 0);
  if (isLongMode(cpu)) setFlags(cpu, load<u32>(cpu, R11), ALL_FLAGS & ~(FLAG_RF | FLAG_VM));
  else setFlags(cpu, FLAG_IF, FLAG_IF);
  setFlags(cpu, 0, FLAG_RF | FLAG_VM);
  setFlat(cpu, long ? selector + 16 : selector, selector + 8, 3, long);
  store<u64>(cpu, long ? rip : rip & 0xffff_ffff, CPU_rip);
  updateReach(cpu);
}
