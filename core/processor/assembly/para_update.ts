/** Paravirtualization: the hypercalls that change page tables (xen.h: HYPERVISOR_mmu_update, HYPERVISOR_update_va_mapping), and stores to them. */
import {
  CONTROL_vcpus,
  CPU_bounce,
  CPU_para,
  PAGEINFO_type,
  PAGEINFO_typeCount,
  PARAVCPU_args,
  PARAVCPU_kernelCr3,
  PARAVCPU_pageTableWrites,
  PARAVCPU_updateSizes,
  PARA_BATCHING,
  PARA_SIZES,
  PARA_switches,
  PGT_l1_page_table,
  PGT_l4_page_table,
  PGT_writable_page,
} from './layout';
import { invalidateCode } from './codepages';
import { ADDRESS, P } from './entries';
import { PF_PRESENT, PF_WRITE, leave, pendPageFault } from './fault';
import { domain } from './para';
import { EFAULT, EINVAL, EPERM, ESRCH, dropType, flushChanged, flushEverywhere, frameAddress, isGuests, lockPara, m2pEntry, pageInfo, takeType, unlockPara } from './para_pages';
import { changeEntry } from './para_tables';
import { kernelAddress } from './para_walk';
import { invalidatePage } from './tlb';

const MMU_MACHPHYS_UPDATE: u32 = 1;
const MMU_PT_UPDATE_PRESERVE_AD: u32 = 2;

const UVMF_TLB_FLUSH: u64 = 1;
const UVMF_INVLPG: u64 = 2;
/** Not only the calling vCPU's TLB: all, or those in a bitmap whose address this is. */
const UVMF_OTHERS: u64 = ~3;

/** In the count of a list: it is the rest of one that was begun. */
const CONTINUED: u32 = 0x8000_0000;
/** The result of a hypercall that is to go on: RIP stays, `ParaVcpu.args` are its arguments then. No result is as large as this. */
export const PREEMPTED: i64 = 0x1_0000_0000;
/** Entries that are done before others have their turn. */
const PORTION: u32 = 512;

/** Of the guest (core/vmm/para/shared.ts). */
const DOMID_GUEST: u32 = 1;
const DOMID_SELF: u32 = 0x7ff0;
const DOMID_IO: u32 = 0x7ff1;
const DOMID_XEN: u32 = 0x7ff2;


// -- lists in guest memory

/** Host address of `size` bytes (at most 32) of the guest's kernel for reading, good until the next call; 0: it cannot read them. */
export function itemAt(cpu: usize, linear: u64, size: u32): usize {
  const at = kernelAddress(cpu, linear, false);
  const part: u32 = 0x1000 - (<u32>linear & 0xfff);
  if (at == 0 || size <= part) return at;
  const bounce = cpu + CPU_bounce;
  memory.copy(bounce, at, part);
  const rest = kernelAddress(cpu, linear + part, false);
  if (rest == 0) return 0;
  memory.copy(bounce + part, rest, size - part);
  return bounce;
}

/** Stores a word for the guest's kernel; false: it cannot write there. */
function putWord(cpu: usize, linear: u64, value: u32): bool {
  for (let i: u32 = 0; i < 4; i++) {
    const at = kernelAddress(cpu, linear + i, true);
    if (at == 0) return false;
    store<u8>(at, <u8>(value >>> (i << 3)));
  }
  return true;
}

/** Whether a guest may have to do with the memory of a domain: 0 for its own, or a negative error. */
export function ownerError(owner: u32): i32 {
  if (owner == DOMID_SELF || owner == DOMID_GUEST) return 0;
  return owner == 0 || owner == DOMID_IO || owner == DOMID_XEN || owner >>> 16 ? -EPERM : -ESRCH;
}

/** Begins with a list of `count`, or with the rest of one: -errno, or the number of entries that were done before. */
export function beginList(cpu: usize, count: u32, done: u64, owner: u32): i64 {
  // The guest's I/O memory is none, which is seen when it comes to mapping it.
  const error = owner == DOMID_IO ? 0 : ownerError(owner);
  if (error != 0) return error;
  if (!(count & CONTINUED) || done == 0) return 0;
  const at = itemAt(cpu, done, 4);
  return at == 0 ? -EFAULT : <i64>load<u32>(at);
}

/** How many entries of a list are done in one go. */
export function portionOf(count: u32): u32 {
  return min(count & ~CONTINUED, load<u32>(domain(), PARA_switches) & PARA_BATCHING ? PORTION : 1);
}

/**
 * After `index` entries of `size` bytes, before which `before` were done: the hypercall's result. `done` is where the guest wants to read how many that were.
 */
export function endList(cpu: usize, list: u64, size: u32, count: u32, done: u64, owner: u32, before: i64, index: u32, result: i64): i64 {
  if (done != 0 && !putWord(cpu, done, <u32>before + index)) return -EFAULT;
  const rest = (count & ~CONTINUED) - index;
  if (result != 0 || rest == 0) return result;
  const args = cpu + CPU_para + PARAVCPU_args;
  store<u64>(args, list + <u64>index * size);
  store<u64>(args, rest | CONTINUED, 8);
  store<u64>(args, done, 16);
  store<u64>(args, owner, 24);
  return PREEMPTED;
}

function noteSize(cpu: usize, count: u32): void {
  if (count == 0) return;
  const place = count <= 1 ? 0 : min<u32>(32 - clz(count - 1), PARA_SIZES - 1);
  const at = cpu + CPU_para + PARAVCPU_updateSizes + (<usize>place << 3);
  store<u64>(at, load<u64>(at) + 1);
}

// -- mmu_update

/** HYPERVISOR_mmu_update: `list` of `count` struct mmu_update, `done` where to store how many were done (0: nowhere), `owner` whose pages they refer to. */
export function mmuUpdate(cpu: usize, list: u64, count: u32, done: u64, owner: u32): i64 {
  const before = beginList(cpu, count, done, owner);
  if (before < 0) return before;
  if (!(count & CONTINUED)) noteSize(cpu, count);
  const portion = portionOf(count);
  let result: i64 = 0;
  let i: u32 = 0;
  lockPara(cpu);
  for (; i < portion; i++) {
    const at = itemAt(cpu, list + (<u64>i << 4), 16);
    result = at == 0 ? -EFAULT : update(cpu, load<u64>(at), load<u64>(at, 8), owner);
    if (result != 0) break;
  }
  unlockPara();
  return endList(cpu, list, 16, count, done, owner, before, i, result);
}

/** One struct mmu_update. */
function update(cpu: usize, pointer: u64, value: u64, owner: u32): i32 {
  const command = <u32>pointer & 3;
  const frame: u32 = pointer >>> 44 ? 0xffffffff : <u32>(pointer >>> 12);
  if (!isGuests(frame)) return -EINVAL;
  if (command == MMU_MACHPHYS_UPDATE) {
    store<u64>(m2pEntry(frame), value);
    return 0;
  }
  // Bit 2: an entry is 8 bytes.
  if (pointer & 4) return -EINVAL;
  const at = frameAddress(frame) + (<usize>pointer & 0xff8);
  const info = pageInfo(frame);
  const type = <u32>load<u8>(info, PAGEINFO_type);
  if (type >= PGT_l1_page_table && type <= PGT_l4_page_table) {
    // The guest has no I/O memory that it could map.
    if (owner == DOMID_IO && value & P) return -EPERM;
    return changeEntry(cpu, at, type, value, command == MMU_PT_UPDATE_PRESERVE_AD);
  }
  if (!takeType(cpu, frame, PGT_writable_page)) return -EINVAL;
  store<u64>(at, value);
  invalidateCode(frame, <u32>pointer & 0xff8, (<u32>pointer & 0xff8) + 7);
  dropType(cpu, frame);
  return 0;
}

// -- update_va_mapping

/** Host address of the page-table entry for an address of the guest's kernel; 0: there is no page table for it. */
function pageEntry(cpu: usize, linear: u64): usize {
  if (<u64>((<i64>(linear << 16)) >> 16) != linear) return 0;
  let table = load<u64>(cpu + CPU_para, PARAVCPU_kernelCr3);
  for (let shift = 39; shift > 12; shift -= 9) {
    const entry = load<u64>(frameAddress(<u32>(table >>> 12)) + (<usize>((linear >>> shift) & 511) << 3));
    if (!(entry & P)) return 0;
    table = entry & ADDRESS;
  }
  return frameAddress(<u32>(table >>> 12)) + (<usize>((linear >>> 12) & 511) << 3);
}

/** HYPERVISOR_update_va_mapping: the entry for the page at `linear` in the tables in use becomes `value`; `flags` are UVMF_*. */
export function updateVaMapping(cpu: usize, linear: u64, value: u64, flags: u64): i64 {
  lockPara(cpu);
  const at = pageEntry(cpu, linear);
  const result = at == 0 ? -EINVAL : changeEntry(cpu, at, PGT_l1_page_table, value, false);
  unlockPara();
  const kind = flags & (UVMF_TLB_FLUSH | UVMF_INVLPG);
  if (kind != 0) {
    if (flags & UVMF_OTHERS && load<u32>(0, CONTROL_vcpus) > 1) flushEverywhere(cpu);
    else if (kind == UVMF_INVLPG) invalidatePage(cpu, linear);
    else flushChanged(cpu);
  }
  return result;
}

// -- stores

/**
 * The guest's kernel stored `size` bytes, which are at `from`, to RAM offset `ram`, in a page table that it has mapped at `linear` for reading: an update of the entry
 * there, or #PF. Stores to more than one entry are none.
 */
export function pageTableWrite(cpu: usize, ram: u32, from: usize, size: u32, linear: u64): void {
  const within = ram & 7;
  if (within + size <= 8) {
    const frame = ram >>> 12;
    lockPara(cpu);
    const info = pageInfo(frame);
    let result: i32 = -EINVAL;
    if (load<u8>(info, PAGEINFO_type) == PGT_l1_page_table && load<u32>(info, PAGEINFO_typeCount) != 0) {
      const at = frameAddress(frame) + (ram & 0xff8);
      let value: u64;
      if (size == 8) value = load<u64>(from);
      else {
        const bits = <u64>within << 3;
        const mask = (((<u64>1) << (<u64>size << 3)) - 1) << bits;
        let bytes: u64 = 0;
        for (let i = size; i != 0; i--) bytes = (bytes << 8) | <u64>load<u8>(from + i - 1);
        value = (load<u64>(at) & ~mask) | (bytes << bits);
      }
      result = changeEntry(cpu, at, PGT_l1_page_table, value, false);
    }
    unlockPara();
    if (result == 0) {
      const para = cpu + CPU_para;
      store<u64>(para, load<u64>(para, PARAVCPU_pageTableWrites) + 1, PARAVCPU_pageTableWrites);
      return;
    }
  }
  pendPageFault(cpu, linear, PF_PRESENT | PF_WRITE);
  leave();
}
