/** Between blocks: events, the delivery of faults and interrupts, and the way from an address to decoded records. */
import {
  BLOCKHEADER_SIZE,
  BLOCKHEADER_mode,
  BLOCKHEADER_next,
  CHAIN_JUMP,
  CHAIN_RETURN,
  CODE_64,
  CODEPAGE_blocks,
  CODEHASH_key,
  CODEHASH_record,
  CPU_budget,
  CPU_chain,
  CPU_codeSize,
  CPU_current,
  CPU_delivering,
  CPU_dr,
  CPU_eflags,
  CPU_event,
  CPU_faultIsTrap,
  CPU_faultPending,
  CPU_halted,
  CPU_interruptShadow,
  CPU_linearMask,
  CPU_nmiBlocked,
  CPU_reach,
  CPU_rip,
  CPU_ripBase,
  CPU_segments,
  CPU_shutdown,
  CPU_stepping,
  CPU_tlb,
  CS,
  EVENT_FLUSH,
  EVENT_INIT,
  EVENT_INTERRUPT,
  EVENT_KICK,
  EVENT_NMI,
  EVENT_TRAP,
  EXIT_BUDGET,
  EXIT_HALT,
  EXIT_INIT,
  EXIT_KICK,
  EXIT_SHUTDOWN,
  HANDLER_STALE,
  PAGE,
  REACH_SIZE,
  REACH_base,
  RECORD_handler,
  RECORD_pageOffset,
  RECORD_position,
  RECORD_target,
  SEGMENT_SIZE,
  SEGMENT_limit,
  SHUTDOWN_INTERNAL,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TLBENTRY_execTag,
  VMM_REFLECTED,
} from './layout';
import { generalProtection } from './fault';
import { FLAG_IF, FLAG_RF, FLAG_TF } from './flags';
import { acknowledgeInterrupt } from './host';
import { checkCodeBreakpoint, combineFault, deliverDataBreakpoint, deliverFault, deliverInterrupt, deliverNmi, singleStep } from './interrupts';
import { NOT_RAM, codeSlot, decodeBlock, findSingle } from './blocks';
import { noteTarget } from './branches';
import { codePage } from './codepages';
import { LENGTH_MAX } from './decoder';
import { emulation, enterVmm, intercept, isMonitored, leaveVmm } from './monitor';
import { fetchAddress } from './paging';
import { serveFlush } from './para_pages';
import { frameOf } from './tlb';
import { instructionAddress } from './operands';
import { isPara } from './para';
import { serveEvents } from './para_entry';
import { compress, uncompress } from './rings';
import { endShadow } from './shadow';

const NOT_DELIVERING: u32 = 0xffffffff;
/** DR7: L0..G3. */
const DR7_ENABLES: u32 = 0xff;
/** Where CS ends within this of an instruction, each is checked by itself. */
const NEAR_LIMIT: u64 = 4096 + 16;

/** Asks for the translation of the block that begins with `record`: it may have taken place when this returns, or come later. */
@external("host", "translate")
declare function translate(cpu: usize, record: u32): void;

/** What comes before each block: the record to execute next, or EXIT_*. May throw a fault. */
export function prepare(cpu: usize): u32 {
  const monitored = isMonitored();
  if (load<u32>(cpu, CPU_faultPending)) {
    store<u32>(cpu, 0, CPU_chain);
    if (monitored) {
      const record = emulation(cpu);
      if (record != 0) return record;
      enterVmm(cpu, VMM_REFLECTED);
      deliverFault(cpu);
      leaveVmm(cpu);
    } else deliverFault(cpu);
  }
  if (load<u32>(cpu, CPU_shutdown)) return EXIT_SHUTDOWN;
  // Before events are looked at: what that arranges for the next instruction holds only if it follows.
  if (load<i32>(cpu, CPU_budget) < 0) {
    store<u32>(cpu, 0, CPU_chain);
    endShadow(cpu);
    return EXIT_BUDGET;
  }
  let one = false;
  if (
    atomic.load<u32>(cpu + CPU_event) |
    load<u32>(cpu, CPU_halted) |
    load<u32>(cpu, CPU_interruptShadow) |
    load<u32>(cpu, CPU_stepping) |
    ((<u32>load<u64>(cpu, CPU_dr + 7 * 8)) & DR7_ENABLES)
  ) {
    if (monitored) uncompress(cpu);
    const exit = service(cpu);
    if (monitored) compress(cpu);
    if (exit > 1) return exit - 2;
    one = exit == 1;
  } else if (monitored) compress(cpu);
  return find(cpu, one);
}

/** Returns 0: go on, 1: go on for one instruction, 2 + EXIT_*: leave. */
function service(cpu: usize): u32 {
  if (load<u32>(cpu, CPU_stepping)) {
    // The instruction is done: the trap after it. (A fault or interrupt delivered in its place has cleared `stepping`.)
    store<u32>(cpu, 0, CPU_stepping);
    store<u32>(cpu, 0, CPU_chain);
    singleStep(cpu);
  } else if (deliverDataBreakpoint(cpu)) store<u32>(cpu, 0, CPU_chain);
  let one = false;
  endShadow(cpu);
  const shadow = load<u32>(cpu, CPU_interruptShadow);
  if (shadow == 1) {
    store<u32>(cpu, 2, CPU_interruptShadow);
    one = true;
  } else if (shadow == 2) store<u32>(cpu, 0, CPU_interruptShadow);

  const event = atomic.load<u32>(cpu + CPU_event);
  if (event & EVENT_FLUSH) {
    atomic.and<u32>(cpu + CPU_event, ~EVENT_FLUSH);
    serveFlush(cpu);
  }
  if (event & EVENT_KICK) {
    atomic.and<u32>(cpu + CPU_event, ~EVENT_KICK);
    // The shadow covers the next instruction, whenever it is executed.
    if (one) store<u32>(cpu, 1, CPU_interruptShadow);
    return 2 + EXIT_KICK;
  }
  if (event & EVENT_INIT) {
    atomic.and<u32>(cpu + CPU_event, ~EVENT_INIT);
    return 2 + EXIT_INIT;
  }
  if (!one) {
    if ((event & EVENT_NMI) && !load<u32>(cpu, CPU_nmiBlocked)) {
      atomic.and<u32>(cpu + CPU_event, ~EVENT_NMI);
      wake(cpu);
      deliverNmi(cpu);
    } else if ((event & EVENT_INTERRUPT) && (load<u32>(cpu, CPU_eflags) & FLAG_IF)) {
      if (isPara()) {
        if (serveEvents(cpu)) wake(cpu);
      } else {
        const vector = acknowledgeInterrupt(cpu);
        if (vector >= 0) {
          wake(cpu);
          deliverInterrupt(cpu, vector);
        }
      }
    }
  }
  if (load<u32>(cpu, CPU_halted)) return 2 + EXIT_HALT;

  if (load<u32>(cpu, CPU_eflags) & FLAG_TF) {
    store<u32>(cpu, 1, CPU_stepping);
    one = true;
  } else if (event & EVENT_TRAP) atomic.and<u32>(cpu + CPU_event, ~EVENT_TRAP);
  if ((<u32>load<u64>(cpu, CPU_dr + 7 * 8)) & DR7_ENABLES) {
    if (checkCodeBreakpoint(cpu, codeAddress(cpu))) store<u32>(cpu, 0, CPU_chain);
    store<u32>(cpu, load<u32>(cpu, CPU_eflags) & ~FLAG_RF, CPU_eflags);
    one = true;
  }
  // In the shadow nothing but an interrupt makes a difference: without one waiting, blocks go on.
  return <u32>(one && (load<u32>(cpu, CPU_stepping) != 0 || event != 0 || ((<u32>load<u64>(cpu, CPU_dr + 7 * 8)) & DR7_ENABLES) != 0));
}

function wake(cpu: usize): void {
  store<u32>(cpu, 0, CPU_halted);
  store<u32>(cpu, 0, CPU_chain);
}

// @ts-ignore: decorator
@inline
function codeAddress(cpu: usize): u64 {
  return (load<u64>(cpu, CPU_rip) + load<u64>(cpu, CPU_reach + CS * REACH_SIZE + REACH_base)) & load<u64>(cpu, CPU_linearMask);
}

/** The record at CS:RIP. Sets `ripBase`. May throw #PF, #GP. */
function find(cpu: usize, one: bool): u32 {
  const rip = load<u64>(cpu, CPU_rip);
  const mode = load<u32>(cpu, CPU_codeSize);
  if (mode != CODE_64) {
    const limit = <u64>load<u32>(cpu, CPU_segments + CS * SEGMENT_SIZE + SEGMENT_limit);
    if (rip > limit) {
      store<u32>(cpu, 0, CPU_chain);
      generalProtection(cpu, 0);
    }
    if (limit != 0xffffffff && limit - rip < NEAR_LIMIT) one = true;
  }
  const linear = codeAddress(cpu);
  const entry = <usize>load<u32>(cpu, CPU_tlb) + (((<usize>linear) >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
  let at: u32;
  if (load<u64>(entry, TLBENTRY_execTag) == (linear & ~0xfff)) at = frameOf(entry) | ((<u32>linear) & 0xfff);
  else {
    // A fault here is the fetch's: a branch waiting for its target must not take the handler's first record for it.
    const chain = load<u32>(cpu, CPU_chain);
    store<u32>(cpu, 0, CPU_chain);
    at = fetchAddress(cpu, linear);
    if (at == NOT_RAM) {
      store<u32>(cpu, SHUTDOWN_INTERNAL, CPU_shutdown);
      return EXIT_SHUTDOWN;
    }
    store<u32>(cpu, chain, CPU_chain);
  }
  const distance = rip - load<u64>(cpu, CPU_ripBase);
  store<u64>(cpu, rip - (linear & 0xfff), CPU_ripBase);
  if (one) {
    store<u32>(cpu, 0, CPU_chain);
    return findSingle(cpu, at, linear, mode, false);
  }
  const key = (<u64>(mode + 1) << 32) | <u64>at;
  const slot = codeSlot(at);
  let record: u32 = 0;
  if (load<u64>(slot, CODEHASH_key) == key) {
    record = load<u32>(slot, CODEHASH_record);
    if (load<u32>(record, RECORD_handler) == HANDLER_STALE) record = 0;
  }
  if (record == 0 && (at & (PAGE - 1)) > PAGE - LENGTH_MAX) {
    const chain = load<u32>(cpu, CPU_chain);
    store<u32>(cpu, 0, CPU_chain);
    record = findSingle(cpu, at, linear, mode, true);
    if (record != 0) return record;
    store<u32>(cpu, chain, CPU_chain);
  }
  const chain = load<u32>(cpu, CPU_chain);
  if (record == 0) {
    // Another block may have taken its place in the hash: it would be decoded, and counted, again and again.
    record = findDecoded(at, mode);
    if (record != 0) {
      store<u64>(slot, key, CODEHASH_key);
      store<u32>(slot, record, CODEHASH_record);
    }
  }
  if (record == 0) {
    store<u32>(cpu, 0, CPU_chain);
    // Decoding may forget all records, the waiting branch's too: it finds its target next time.
    record = decodeBlock(cpu, at, mode);
    return record != 0 ? record : findSingle(cpu, at, linear, mode, false);
  }
  if (chain != 0) {
    store<u32>(cpu, 0, CPU_chain);
    if (chain & (CHAIN_RETURN | CHAIN_JUMP)) noteTarget(chain, distance);
    else store<u32>(chain, record, RECORD_target);
  }
  return record;
}

/** The block that begins with `record` is entered often (see HANDLER_COUNT). */
export function hot(cpu: usize, record: u32): void {
  translate(cpu, record);
}

/** The block that was decoded at RAM offset `at` for `mode`, if the page still has it. */
function findDecoded(at: u32, mode: u32): u32 {
  let block = <usize>load<u32>(codePage(at >>> 12), CODEPAGE_blocks);
  while (block != 0) {
    if (load<u16>(block + BLOCKHEADER_SIZE, RECORD_pageOffset) == (at & 0xfff) && load<u32>(block, BLOCKHEADER_mode) == mode) return <u32>(block + BLOCKHEADER_SIZE);
    block = <usize>load<u32>(block, BLOCKHEADER_next);
  }
  return 0;
}

/** A fault was thrown: by the instruction of the current record, or by `prepare`, where there is none. */
export function caught(cpu: usize): void {
  const record = <usize>load<u32>(cpu, CPU_current);
  store<u32>(cpu, 0, CPU_chain);
  if (load<u32>(cpu, CPU_delivering) != NOT_DELIVERING) return combineFault(cpu);
  if (record == 0) return;
  const done = <i32>load<u8>(record, RECORD_position);
  if (load<u32>(cpu, CPU_faultIsTrap)) {
    store<i32>(cpu, load<i32>(cpu, CPU_budget) - done - 1, CPU_budget);
    return;
  }
  store<i32>(cpu, load<i32>(cpu, CPU_budget) - done, CPU_budget);
  store<u64>(cpu, instructionAddress(cpu, record), CPU_rip);
  // Then it is not over: whatever is arranged for after it still is.
  if (intercept(cpu, record)) return;
  store<u32>(cpu, 0, CPU_stepping);
  // A faulting instruction ends the shadow: the handler runs with interrupts as its gate says.
  store<u32>(cpu, 0, CPU_interruptShadow);
}
