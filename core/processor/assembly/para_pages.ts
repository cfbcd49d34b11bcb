/**
 * Paravirtualization: what every machine frame is used for (core/state/para.ts, `PageInfo`). A frame has one type at a time; it changes only while no reference of the
 * old type is left, and a frame that becomes a page table or a descriptor page is validated first. So nobody ever has a writable mapping of these.
 *
 * All of it happens under `Para.lock`. Functions whose names begin with get, put, release or allocate take it; those with take and drop are called under it.
 *
 * TLBs may remember what was mapped. An entry that may write is noted in the frame's `PageInfo` when it is made (`noteWriter`), so that all of them can be closed when the
 * frame becomes a table, without a flush. Where there were several, and before a frame gets another owner, clocks tell if a flush is needed: `PageInfo.stamp` is the
 * time (`Para.flushClock`) at which there came to be several, or at which a mapping of the frame was last taken away; `ParaVcpu.flushed` that of a vCPU's last flush.
 */
import {
  CONTROL_cpus,
  CONTROL_ram,
  CONTROL_vcpus,
  CPU_STRIDE,
  CPU_event,
  CPU_para,
  EVENT_FLUSH,
  OWNER_FREE,
  OWNER_GUEST,
  OWNER_SHARED,
  PAGEINFO_SIZE,
  PAGEINFO_count,
  PAGEINFO_owner,
  PAGEINFO_place,
  PAGEINFO_stamp,
  PAGEINFO_type,
  PAGEINFO_typeCount,
  PAGEINFO_writers,
  PARAVCPU_flushAsked,
  PARAVCPU_flushServed,
  PARAVCPU_flushed,
  PARAVCPU_flushedLower,
  PARAVCPU_running,
  PARA_busy,
  PARA_flushClock,
  PARA_frames,
  PARA_guestFrames,
  PARA_lastFound,
  PARA_lock,
  PARA_m2p,
  PARA_maxPages,
  PARA_pages,
  PARA_totalPages,
  PARA_upperStale,
  PGT_l1_page_table,
  PGT_l4_page_table,
  PGT_none,
  PGT_seg_desc_page,
  PGT_writable_page,
  TLB_USER,
} from './layout';
import { invalidateCode } from './codepages';
import { domain } from './para';
import { validateDescriptors } from './para_descriptors';
import { invalidateTable, validateTable } from './para_tables';
import { clearEntry, fence, flushTlb, forgetDirectories, forgetDirectoriesOf, frameOf, isOpen, tlbBase, vcpuOf } from './tlb';

/** errno.h, as results have them. */
export const EPERM: i32 = 1;
export const ESRCH: i32 = 3;
export const EACCES: i32 = 13;
export const EFAULT: i32 = 14;
export const EBUSY: i32 = 16;
export const EINVAL: i32 = 22;
export const ENOSYS: i32 = 38;
export const EOPNOTSUPP: i32 = 95;

/** Of a frame without a place in the guest's memory, in the machine-to-physical table (INVALID_M2P_ENTRY). */
export const INVALID_M2P_ENTRY: u64 = -1;

// @ts-ignore: decorator
@inline
export function pageInfo(frame: u32): usize {
  return <usize>load<u32>(domain(), PARA_pages) + <usize>frame * PAGEINFO_SIZE;
}

/** Host address of a frame's bytes. */
// @ts-ignore: decorator
@inline
export function frameAddress(frame: u32): usize {
  return <usize>load<u32>(0, CONTROL_ram) + (<usize>frame << 12);
}

// @ts-ignore: decorator
@inline
function vcpuAt(index: u32): usize {
  return <usize>load<u32>(0, CONTROL_cpus) + <usize>index * CPU_STRIDE;
}

// -- the lock

/** How long who waits sleeps before it looks again: nanoseconds. */
const PATIENCE: i64 = 50_000;

/** Whoever waits for another vCPU does meanwhile what that one may wait for. */
export function lockPara(cpu: usize): void {
  const at = domain() + PARA_lock;
  while (atomic.cmpxchg<u32>(at, 0, 1) != 0) {
    serveFlush(cpu);
    atomic.wait<i32>(at, 1, PATIENCE);
  }
}

export function unlockPara(): void {
  const at = domain() + PARA_lock;
  atomic.store<u32>(at, 0);
  if (load<u32>(0, CONTROL_vcpus) > 1) atomic.notify(at, 1);
}

// -- flushes

/** The TLB of the calling vCPU forgets everything; its clock says so. */
export function flushAll(cpu: usize): void {
  flushTlb(cpu, false);
  const clock = atomic.add<u32>(domain() + PARA_flushClock, 1) + 1;
  store<u32>(cpu + CPU_para, clock, PARAVCPU_flushed);
  store<u32>(cpu + CPU_para, clock, PARAVCPU_flushedLower);
  if (load<u32>(0, CONTROL_vcpus) == 1) store<u32>(domain(), 0, PARA_upperStale);
}

/**
 * The guest wants the TLB of the calling vCPU flushed. What it has of the upper half of the address space, the kernel's, is kept where it is known to be right: all
 * changes there are seen as they are made (`PageInfo.place`).
 */
export function flushChanged(cpu: usize): void {
  if (load<u32>(domain(), PARA_upperStale) || load<u32>(0, CONTROL_vcpus) > 1) flushAll(cpu);
  else flushLower(cpu);
}

/** The TLB of the calling vCPU forgets what is in the lower half of the address space. */
export function flushLower(cpu: usize): void {
  flushTlb(cpu, true);
  const clock = atomic.add<u32>(domain() + PARA_flushClock, 1) + 1;
  store<u32>(cpu + CPU_para, clock, PARAVCPU_flushedLower);
}

/** Does what `flushOther` asked for. */
export function serveFlush(cpu: usize): void {
  const para = cpu + CPU_para;
  const asked = atomic.load<u32>(para + PARAVCPU_flushAsked);
  if (asked == load<u32>(para, PARAVCPU_flushServed)) return;
  flushAll(cpu);
  atomic.store<u32>(para + PARAVCPU_flushServed, asked);
  atomic.notify(para + PARAVCPU_flushServed, -1);
}

/** Another vCPU's TLB forgets everything before its guest executes anything more: it is waited for where it does now. */
function flushOther(cpu: usize, other: usize): void {
  const para = other + CPU_para;
  const ticket = atomic.add<u32>(para + PARAVCPU_flushAsked, 1) + 1;
  atomic.or<u32>(other + CPU_event, EVENT_FLUSH);
  for (;;) {
    const served = atomic.load<u32>(para + PARAVCPU_flushServed);
    if (<i32>(served - ticket) >= 0 || !atomic.load<u32>(para + PARAVCPU_running)) return;
    serveFlush(cpu);
    atomic.wait<i32>(para + PARAVCPU_flushServed, served, PATIENCE);
  }
}

/** No walk goes on from the page table of `info`, which is to become something else. Nothing refers to it any more. */
function forgetTable(cpu: usize, info: usize): void {
  if (load<u32>(info, PAGEINFO_place) == 0) forgetDirectoriesOf(tlbBase(cpu), 0);
  else forgetDirectories(tlbBase(cpu));
  for (let i: u32 = 0; i < load<u32>(0, CONTROL_vcpus); i++) if (vcpuAt(i) != cpu) flushOther(cpu, vcpuAt(i));
}

function flushOf(cpu: usize, vcpu: usize): void {
  if (vcpu == cpu) flushChanged(cpu);
  else flushOther(cpu, vcpu);
}

/** The guest wants all vCPUs' TLBs flushed. */
export function flushEverywhere(cpu: usize): void {
  for (let i: u32 = 0; i < load<u32>(0, CONTROL_vcpus); i++) flushOf(cpu, vcpuAt(i));
}

/** Offset of the clock of the last flush, in `ParaVcpu`. */
// @ts-ignore: decorator
@inline
function clockOf(upper: bool): usize {
  return CPU_para + (upper ? PARAVCPU_flushed : PARAVCPU_flushedLower);
}

/** A vCPU has not flushed its TLB since the time of `stamp`. (The clock wraps: one from long ago may cost a flush.) */
// @ts-ignore: decorator
@inline
function flushedBefore(cpu: usize, stamp: u32, upper: bool): bool {
  return <i32>(stamp - load<u32>(cpu + clockOf(upper))) >= 0;
}

/** A TLB may have an entry for the frame of `info` of which nothing else is known, for an address in the lower half of the address space or (`upper`) anywhere. */
function isStale(info: usize, upper: bool): bool {
  const stamp = load<u32>(info, PAGEINFO_stamp);
  for (let i: u32 = 0; i < load<u32>(0, CONTROL_vcpus); i++) if (flushedBefore(vcpuAt(i), stamp, upper)) return true;
  return false;
}

function flushStale(cpu: usize, info: usize, upper: bool): void {
  const stamp = load<u32>(info, PAGEINFO_stamp);
  for (let i: u32 = 0; i < load<u32>(0, CONTROL_vcpus); i++) {
    const vcpu = vcpuAt(i);
    if (!flushedBefore(vcpu, stamp, upper)) continue;
    if (vcpu != cpu) flushOther(cpu, vcpu);
    else if (upper) flushAll(cpu);
    else flushLower(cpu);
  }
}

/** A mapping of the frame of `info` was taken away, or its right to write. */
// @ts-ignore: decorator
@inline
export function stampFrame(info: usize): void {
  store<u32>(info, load<u32>(domain(), PARA_flushClock), PAGEINFO_stamp);
}

// -- TLB entries that may write

/** In place of an entry's address: there are several. */
const SEVERAL: u32 = 1;

/** The last place in `PageInfo.writers`; the first is that of entries of the lower half alone. */
const PROGRAM: u32 = 2;

/** A TLB of `mode` has an entry for `linear` that may write to `frame`. */
export function noteWriter(mode: u32, linear: u64, entry: usize, frame: u32): void {
  const info = pageInfo(frame);
  // What a kernel has mapped for itself, and for a program, are flushed at different times; a program's own are in another array.
  const place: u32 = mode == TLB_USER ? PROGRAM : <u32>(linear >>> 63);
  const at = info + PAGEINFO_writers + (<usize>place << 2);
  const before = load<u32>(at);
  if (before != <u32>entry) {
    if (before == SEVERAL ? isStale(info, place != 0) : before != 0 && frameOf(before) == frame << 12 && isOpen(before)) {
      store<u32>(at, SEVERAL);
      stampFrame(info);
    } else store<u32>(at, <u32>entry);
  }
  // Another vCPU may have given the frame another type since the walk, and have looked for writers before this one was there.
  if (load<u32>(0, CONTROL_vcpus) == 1) return;
  fence();
  if (atomic.load<u8>(info + PAGEINFO_type) != PGT_writable_page) clearEntry(entry);
}

/** No TLB has an entry that may write to `frame`. */
function closeWriters(cpu: usize, frame: u32, info: usize): void {
  for (let place: u32 = 0; place <= PROGRAM; place++) {
    const at = info + PAGEINFO_writers + (<usize>place << 2);
    const entry = load<u32>(at);
    if (entry == 0) continue;
    store<u32>(at, 0);
    if (entry == SEVERAL) flushStale(cpu, info, place != 0);
    else if (frameOf(entry) == frame << 12) {
      const vcpu = vcpuAt(vcpuOf(entry));
      if (vcpu == cpu) clearEntry(entry);
      else flushOther(cpu, vcpu);
    }
  }
}

// -- references

/** Whether the guest may refer to a frame at all. */
// @ts-ignore: decorator
@inline
export function isGuests(frame: u32): bool {
  if (frame >= load<u32>(domain(), PARA_frames)) return false;
  return load<u8>(pageInfo(frame), PAGEINFO_owner) == OWNER_GUEST;
}

/** Whether the guest may map a frame. */
// @ts-ignore: decorator
@inline
export function isMappable(frame: u32): bool {
  if (frame >= load<u32>(domain(), PARA_frames)) return false;
  const owner = load<u8>(pageInfo(frame), PAGEINFO_owner);
  return owner == OWNER_GUEST || owner == OWNER_SHARED;
}

// @ts-ignore: decorator
@inline
export function takePage(info: usize): void {
  store<u32>(info, load<u32>(info, PAGEINFO_count) + 1, PAGEINFO_count);
}

// @ts-ignore: decorator
@inline
export function dropPage(info: usize): void {
  store<u32>(info, load<u32>(info, PAGEINFO_count) - 1, PAGEINFO_count);
}

/** A backend uses the frame in another thread. To be asked after the type or owner was changed: it looks at these after it said that it does. */
function isBusy(frame: u32): bool {
  fence();
  return atomic.load<u8>(<usize>load<u32>(domain(), PARA_busy) + frame) != 0;
}

/** Takes a reference of `type` to a frame that may be mapped, with all that it means; false, nothing having changed: it cannot have it. */
export function takeType(cpu: usize, frame: u32, type: u32): bool {
  if (!isMappable(frame)) return false;
  const info = pageInfo(frame);
  const count = load<u32>(info, PAGEINFO_typeCount);
  if (count != 0) {
    if (load<u8>(info, PAGEINFO_type) != type) return false;
  } else if (load<u8>(info, PAGEINFO_type) != type && !changeType(cpu, frame, info, type)) return false;
  store<u32>(info, load<u32>(info, PAGEINFO_typeCount) + 1, PAGEINFO_typeCount);
  takePage(info);
  return true;
}

/** The frame, without references by its old type, gets another. */
function changeType(cpu: usize, frame: u32, info: usize, type: u32): bool {
  const before = load<u8>(info, PAGEINFO_type);
  store<u8>(info, <u8>type, PAGEINFO_type);
  if (type == PGT_writable_page) return true;
  // The VMM writes into what it shares with the guest.
  if (load<u8>(info, PAGEINFO_owner) != OWNER_GUEST || isBusy(frame)) {
    store<u8>(info, before, PAGEINFO_type);
    return false;
  }
  closeWriters(cpu, frame, info);
  // A table that refers to itself finds that it has the type.
  store<u32>(info, 1, PAGEINFO_typeCount);
  const valid = type == PGT_seg_desc_page ? validateDescriptors(frame) : validateTable(cpu, frame, type);
  store<u32>(info, 0, PAGEINFO_typeCount);
  if (!valid) store<u8>(info, <u8>PGT_none, PAGEINFO_type);
  return valid;
}

/** Gives back what `takeType` took. */
export function dropType(cpu: usize, frame: u32): void {
  const info = pageInfo(frame);
  dropPage(info);
  const count = load<u32>(info, PAGEINFO_typeCount) - 1;
  store<u32>(info, count, PAGEINFO_typeCount);
  if (count != 0) return;
  const type = <u32>load<u8>(info, PAGEINFO_type);
  if (type == PGT_writable_page) return;
  if (type == PGT_l1_page_table) forgetTable(cpu, info);
  store<u8>(info, <u8>PGT_none, PAGEINFO_type);
  store<u32>(info, 0, PAGEINFO_place);
  if (type >= PGT_l1_page_table && type <= PGT_l4_page_table) invalidateTable(cpu, frame, type);
}

// -- for others

/** Takes a reference to a frame of the guest's; false: it has none of that number. */
export function getPage(cpu: usize, frame: u32): bool {
  lockPara(cpu);
  const may = isMappable(frame);
  if (may) takePage(pageInfo(frame));
  unlockPara();
  return may;
}

/** Gives back what `getPage` took. */
export function putPage(cpu: usize, frame: u32): void {
  lockPara(cpu);
  dropPage(pageInfo(frame));
  unlockPara();
}

/** Takes a reference to a frame of the guest's as one of `type` (PGT_*), which is validated if it is not yet; false: it cannot be that now. */
export function getPageType(cpu: usize, frame: u32, type: u32): bool {
  lockPara(cpu);
  const may = takeType(cpu, frame, type);
  unlockPara();
  return may;
}

/** Gives back what `getPageType` took. */
export function putPageType(cpu: usize, frame: u32): void {
  lockPara(cpu);
  dropType(cpu, frame);
  unlockPara();
}

// -- owners

/** Host address of a frame's entry in the machine-to-physical table. */
// @ts-ignore: decorator
@inline
export function m2pEntry(frame: u32): usize {
  return frameAddress(load<u32>(domain(), PARA_m2p)) + (<usize>frame << 3);
}

/** The guest gives a frame back: 0, or a negative error if it is not its own or still in use. */
export function releaseFrame(cpu: usize, frame: u32): i32 {
  lockPara(cpu);
  const result = release(cpu, frame);
  unlockPara();
  return result;
}

function release(cpu: usize, frame: u32): i32 {
  if (!isGuests(frame)) return -EINVAL;
  const info = pageInfo(frame);
  if (load<u32>(info, PAGEINFO_count) != 0) return -EBUSY;
  store<u8>(info, <u8>OWNER_FREE, PAGEINFO_owner);
  if (isBusy(frame)) {
    store<u8>(info, <u8>OWNER_GUEST, PAGEINFO_owner);
    return -EBUSY;
  }
  flushStale(cpu, info, true);
  store<u8>(info, <u8>PGT_none, PAGEINFO_type);
  store<u64>(m2pEntry(frame), INVALID_M2P_ENTRY);
  store<u32>(domain(), load<u32>(domain(), PARA_totalPages) - 1, PARA_totalPages);
  return 0;
}

/** A free frame, of zeros, becomes the guest's; 0: it has as many as it may, or none is free. */
export function allocateFrame(cpu: usize): u32 {
  lockPara(cpu);
  const at = domain();
  const total = load<u32>(at, PARA_totalPages);
  let found: u32 = 0;
  if (total < load<u32>(at, PARA_maxPages)) {
    const frames = load<u32>(at, PARA_m2p);
    const first = frames - load<u32>(at, PARA_guestFrames);
    // From where the last one was found on: who asks for one asks for many.
    let frame = max(load<u32>(at, PARA_lastFound), first);
    for (let i = first; i < frames && found == 0; i++) {
      if (load<u8>(pageInfo(frame), PAGEINFO_owner) == OWNER_FREE) found = frame;
      else if (++frame == frames) frame = first;
    }
    store<u32>(at, frame, PARA_lastFound);
  }
  if (found != 0) {
    invalidateCode(found, 0, 0xfff);
    memory.fill(frameAddress(found), 0, 4096);
    store<u8>(pageInfo(found), <u8>OWNER_GUEST, PAGEINFO_owner);
    store<u32>(at, total + 1, PARA_totalPages);
  }
  unlockPara();
  return found;
}
