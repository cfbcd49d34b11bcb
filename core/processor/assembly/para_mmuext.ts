/** Paravirtualization: HYPERVISOR_mmuext_op (xen.h): pins, page tables in use, flushes. */
import {
  CPU_cr3,
  CPU_para,
  PAGEINFO_pinned,
  PAGEINFO_type,
  PARAVCPU_kernelCr3,
  PARAVCPU_ldtBase,
  PARAVCPU_ldtEntries,
  PARAVCPU_userCr3,
  PGT_l1_page_table,
  PGT_writable_page,
} from './layout';
import { invalidateCode } from './codepages';
import { A } from './entries';
import { EACCES, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, dropType, flushAll, flushChanged, flushEverywhere, frameAddress, isGuests, lockPara, pageInfo, takeType, unlockPara } from './para_pages';
import { replaceBase } from './para_start';
import { beginList, endList, itemAt, portionOf } from './para_update';
import { invalidatePage } from './tlb';

const MMUEXT_PIN_L1_TABLE: u32 = 0;
const MMUEXT_PIN_L4_TABLE: u32 = 3;
const MMUEXT_UNPIN_TABLE: u32 = 4;
const MMUEXT_NEW_BASEPTR: u32 = 5;
const MMUEXT_TLB_FLUSH_LOCAL: u32 = 6;
const MMUEXT_INVLPG_LOCAL: u32 = 7;
const MMUEXT_TLB_FLUSH_MULTI: u32 = 8;
const MMUEXT_INVLPG_MULTI: u32 = 9;
const MMUEXT_TLB_FLUSH_ALL: u32 = 10;
const MMUEXT_INVLPG_ALL: u32 = 11;
const MMUEXT_FLUSH_CACHE: u32 = 12;
const MMUEXT_SET_LDT: u32 = 13;
const MMUEXT_NEW_USER_BASEPTR: u32 = 15;
const MMUEXT_CLEAR_PAGE: u32 = 16;
const MMUEXT_COPY_PAGE: u32 = 17;
const MMUEXT_FLUSH_CACHE_GLOBAL: u32 = 18;
const MMUEXT_MARK_SUPER: u32 = 19;
const MMUEXT_UNMARK_SUPER: u32 = 20;

const LDT_MOST: u32 = 8192;

/** HYPERVISOR_mmuext_op: `list` of `count` struct mmuext_op, `done` where to store how many were done (0: nowhere). */
export function mmuextOp(cpu: usize, list: u64, count: u32, done: u64, owner: u32): i64 {
  const before = beginList(cpu, count, done, owner);
  if (before < 0) return before;
  const portion = portionOf(count);
  let result: i64 = 0;
  let i: u32 = 0;
  for (; i < portion; i++) {
    const at = itemAt(cpu, list + <u64>i * 24, 24);
    result = at == 0 ? -EFAULT : operate(cpu, load<u32>(at), load<u64>(at, 8), load<u64>(at, 16));
    if (result != 0) break;
  }
  return endList(cpu, list, 24, count, done, owner, before, i, result);
}

/** The frame in an argument; what is none of the guest's: beyond memory. */
// @ts-ignore: decorator
@inline
function frameOfArgument(argument: u64): u32 {
  return argument >>> 32 ? 0xffffffff : <u32>argument;
}

function operate(cpu: usize, command: u32, first: u64, second: u64): i32 {
  switch (command) {
    case MMUEXT_TLB_FLUSH_LOCAL:
      flushChanged(cpu);
      return 0;
    case MMUEXT_INVLPG_LOCAL:
      invalidatePage(cpu, first);
      return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
      // The bitmap of vCPUs is at `second`; to flush more than these is right as well.
      if (itemAt(cpu, second, 1) == 0) return -EFAULT;
      flushEverywhere(cpu);
      return 0;
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
      flushEverywhere(cpu);
      return 0;
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
      return -EACCES;
    case MMUEXT_SET_LDT: {
      const entries = <u32>second;
      if (first & 0xfff || entries > LDT_MOST) return -EINVAL;
      store<u64>(cpu + CPU_para, entries == 0 ? 0 : first, PARAVCPU_ldtBase);
      store<u32>(cpu + CPU_para, entries, PARAVCPU_ldtEntries);
      return 0;
    }
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
      return -EOPNOTSUPP;
  }
  if (command > MMUEXT_COPY_PAGE || command == 14) return -ENOSYS;
  lockPara(cpu);
  const result = operateOnFrame(cpu, command, frameOfArgument(first), frameOfArgument(second));
  unlockPara();
  return result;
}

/** Those that need `Para.lock`. */
function operateOnFrame(cpu: usize, command: u32, frame: u32, source: u32): i32 {
  if (command <= MMUEXT_PIN_L4_TABLE) {
    if (!isGuests(frame) || load<u8>(pageInfo(frame), PAGEINFO_pinned)) return -EINVAL;
    if (!takeType(cpu, frame, command - MMUEXT_PIN_L1_TABLE + PGT_l1_page_table)) return -EINVAL;
    store<u8>(pageInfo(frame), 1, PAGEINFO_pinned);
    return 0;
  }
  if (command == MMUEXT_UNPIN_TABLE) {
    if (!isGuests(frame) || !load<u8>(pageInfo(frame), PAGEINFO_pinned)) return -EINVAL;
    store<u8>(pageInfo(frame), 0, PAGEINFO_pinned);
    dropType(cpu, frame);
    return 0;
  }
  if (command == MMUEXT_NEW_BASEPTR) {
    const before = load<u64>(cpu + CPU_para, PARAVCPU_kernelCr3);
    const same = isGuests(frame) && isSameKernel(<u32>(before >>> 12), frame);
    if (frame == 0 || !replaceBase(cpu, PARAVCPU_kernelCr3, frame)) return -EINVAL;
    store<u64>(cpu, <u64>frame << 12, CPU_cr3);
    if (same) flushChanged(cpu);
    else flushAll(cpu);
    return 0;
  }
  if (command == MMUEXT_NEW_USER_BASEPTR) {
    const before = load<u64>(cpu + CPU_para, PARAVCPU_userCr3);
    if (!replaceBase(cpu, PARAVCPU_userCr3, frame)) return -EINVAL;
    if (before >>> 12 == frame) return 0;
    // Nothing of a program's is kept, wherever it is (walkPara).
    flushChanged(cpu);
    return 0;
  }
  // MMUEXT_CLEAR_PAGE, MMUEXT_COPY_PAGE
  if (command == MMUEXT_COPY_PAGE && !isGuests(source)) return -EINVAL;
  if (!isGuests(frame) || !takeType(cpu, frame, PGT_writable_page)) return -EINVAL;
  if (command == MMUEXT_CLEAR_PAGE) memory.fill(frameAddress(frame), 0, 4096);
  else memory.copy(frameAddress(frame), frameAddress(source), 4096);
  invalidateCode(frame, 0, 0xfff);
  dropType(cpu, frame);
  return 0;
}

/** The upper halves of two level-4 tables refer to the same, so that what a TLB has of them stays right. */
function isSameKernel(before: u32, after: u32): bool {
  const a = frameAddress(before);
  const b = frameAddress(after);
  let difference: u64 = 0;
  for (let i = 272 * 8; i < 4096; i += 8) difference |= load<u64>(a + i) ^ load<u64>(b + i);
  return (difference & ~A) == 0;
}
