/**
 * Full virtualization's exits (core/vmm/full): what comes to the VMM, and how it goes back. An instruction is emulated by its own helper, on the
 * vCPU as the guest believes it to be; an exception is delivered there too.
 */
import {
  CONTROL_firstSlot,
  CONTROL_full,
  CPU_compressed,
  CPU_eflags,
  CPU_emulated,
  CPU_exitBegan,
  CPU_exitReason,
  CPU_exits,
  CPU_exitsTime,
  CPU_exitsTimed,
  CPU_faultError,
  CPU_faultPending,
  CPU_faultVector,
  CPU_trapped,
  FULL_ADAPT,
  FULL_PATIENCE,
  FULL_TRANSLATE,
  HANDLER_COUNT,
  BLOCKHEADER_SIZE,
  BLOCKHEADER_original,
  BLOCKHEADER_page,
  HANDLER_END,
  HANDLER_STALE,
  RECORD_SIZE,
  RECORD_handler,
  RECORD_length,
  RECORD_pageOffset,
  RECORD_position,
  RECORD_target,
  SINGLE_handler,
  SINGLE_records,
  VMM_CALLOUT,
  VMM_REFLECTED,
  VMM_SAMPLE,
  VMM_SHADOW,
} from './layout';
import { CALLOUT_ENTRY, CALLOUT_PRIVILEGED, SPECIALS, SPECIAL_CALLOUTS, SPECIAL_FIRST, SPECIAL_GROUP } from './opcodes';
import { chunkMask, codePage, firstRecord, handlerOf } from './codepages';
import { lockCode, unlockCode } from './codelock';
import { VECTOR_GP } from './fault';
import { FLAG_VM } from './flags';
import { clock } from './host';
import { compress, uncompress } from './rings';
import { endTranslations } from './translations';

/** The distance from a handler to its call-out. */
const DISTANCE: u32 = SPECIAL_CALLOUTS - SPECIAL_FIRST;
const KIND: u32 = (1 << SPECIAL_GROUP) - 1;

// @ts-ignore: decorator
@inline
export function isMonitored(): bool {
  return load<u32>(0, CONTROL_full) != 0;
}

// @ts-ignore: decorator
@inline
function kindOf(handler: u32): u32 {
  return <u32>load<u8>(SPECIALS + <usize>(handler - SPECIAL_FIRST)) & KIND;
}

/** The handler that the decoder gives an instruction which the VMM has to do with. */
export function monitoredHandler(cpu: usize, handler: u32): u32 {
  const full = load<u32>(0, CONTROL_full);
  if (full == 0) return handler;
  const kind = kindOf(handler);
  // Where no ring can stand for the guest's all of them are emulated.
  const callout = kind == CALLOUT_ENTRY || !load<u32>(cpu, CPU_compressed) || (kind != CALLOUT_PRIVILEGED && (full & FULL_TRANSLATE) != 0);
  return callout ? handler + DISTANCE : handler;
}

// -- exits

function count(cpu: usize, reason: u32): u64 {
  const at = cpu + CPU_exits + ((<usize>reason) << 3);
  const before = load<u64>(at);
  store<u64>(at, before + 1);
  return before;
}

/** Of so many before it. Of rare ones a few are timed, but the first, which is like no other: code is compiled for it, caches are cold. */
// @ts-ignore: decorator
@inline
export function isTimed(before: u64): bool {
  return (before & (VMM_SAMPLE - 1)) == VMM_SAMPLE - 1 || (before < VMM_SAMPLE && before != 0 && (before & (before + 1)) == 0);
}

/** Before an instruction is emulated, or an exception delivered: `reason` is VMM_*. */
export function enterVmm(cpu: usize, reason: u32): void {
  if (load<u32>(cpu, CPU_trapped)) {
    store<u32>(cpu, 0, CPU_trapped);
    if (reason >= VMM_CALLOUT && reason < VMM_REFLECTED) reason -= VMM_CALLOUT;
  }
  if (isTimed(count(cpu, reason))) {
    store<u32>(cpu, reason, CPU_exitReason);
    // Looking at the clock takes its time too: as long as between two looks.
    const before = clock();
    const now = clock();
    store<f64>(cpu, now + (now - before), CPU_exitBegan);
  } else store<f64>(cpu, 0, CPU_exitBegan);
  uncompress(cpu);
}

/** After it, if it did not fault. */
export function leaveVmm(cpu: usize): void {
  compress(cpu);
  const began = load<f64>(cpu, CPU_exitBegan);
  if (began == 0) return;
  store<f64>(cpu, 0, CPU_exitBegan);
  const at = cpu + ((<usize>load<u32>(cpu, CPU_exitReason)) << 3);
  store<u64>(at, load<u64>(at, CPU_exitsTimed) + 1, CPU_exitsTimed);
  store<f64>(at, load<f64>(at, CPU_exitsTime) + max<f64>(clock() - began, 0), CPU_exitsTime);
}

/** The TLB got an entry from the guest's page tables. */
// @ts-ignore: decorator
@inline
export function countShadow(cpu: usize): void {
  if (isMonitored()) count(cpu, VMM_SHADOW);
}

// -- traps

/**
 * The instruction of `record` has raised a fault in a compressed vCPU. True if that is none of the guest's: it is the VMM's to emulate, and
 * `emulation` has the record to go on with; or its bytes have changed meanwhile, and it is to be looked for again.
 */
export function intercept(cpu: usize, record: usize): bool {
  if (!load<u32>(cpu, CPU_compressed) || load<u32>(cpu, CPU_faultVector) != VECTOR_GP || load<u32>(cpu, CPU_faultError) != 0) return false;
  let handler = handlerOf(record);
  if (handler == HANDLER_STALE) {
    store<u32>(cpu, 0, CPU_faultPending);
    return true;
  }
  if (handler >= SPECIAL_CALLOUTS) handler -= DISTANCE;
  if (handler < SPECIAL_FIRST || handler >= SPECIAL_CALLOUTS) return false;
  // In virtual-8086 mode IOPL makes some sensitive ones trap.
  if (kindOf(handler) != CALLOUT_PRIVILEGED && !(load<u32>(cpu, CPU_eflags) & FLAG_VM)) return false;
  store<u32>(cpu, <u32>record, CPU_trapped);
  return true;
}

/** The record that emulates the instruction which `intercept` has kept, or 0. Nothing else comes before it. */
export function emulation(cpu: usize): u32 {
  const trapped = <usize>load<u32>(cpu, CPU_trapped);
  if (trapped == 0) return 0;
  store<u32>(cpu, 0, CPU_faultPending);
  store<u32>(cpu, 1, CPU_trapped);
  let handler = handlerOf(trapped);
  if (handler < SPECIAL_CALLOUTS) handler += DISTANCE;
  adapt(trapped, handler);
  const copy = cpu + CPU_emulated;
  memory.copy(copy, trapped, RECORD_SIZE);
  store<u32>(copy, handler, RECORD_handler);
  store<u8>(copy, 0, RECORD_position);
  store<u32>(copy, 0, RECORD_target);
  const end = copy + RECORD_SIZE;
  store<u32>(end, HANDLER_END, RECORD_handler);
  store<u8>(end, 0, RECORD_length);
  store<u8>(end, 1, RECORD_position);
  store<u16>(end, <u16>(load<u16>(trapped, RECORD_pageOffset) + load<u8>(trapped, RECORD_length)), RECORD_pageOffset);
  return <u32>copy;
}

/** An instruction that keeps trapping is rewritten: its record gets the call-out for handler. `Record.target`, of no use here, counts. */
function adapt(record: usize, callout: u32): void {
  if (!(load<u32>(0, CONTROL_full) & FULL_ADAPT)) return;
  if (record < <usize>firstRecord()) {
    // Decoded by itself (`Single`), and not counted: what is found there again is found often.
    const handler = record - SINGLE_records + SINGLE_handler;
    if (load<u32>(handler) == callout - DISTANCE) store<u32>(handler, callout);
    return;
  }
  const times = load<u32>(record, RECORD_target) + 1;
  store<u32>(record, times, RECORD_target);
  if (times == FULL_PATIENCE) rewrite(record, callout);
  else if (times == 2 * FULL_PATIENCE) endTranslation(record);
}

function rewrite(record: usize, callout: u32): void {
  lockCode();
  const handler = load<u32>(record, RECORD_handler);
  const native = callout - DISTANCE;
  if (handler == native) atomic.store<u32>(record + RECORD_handler, callout);
  else if (handler == HANDLER_COUNT || handler >= load<u32>(0, CONTROL_firstSlot)) {
    // The first of a block, which is counted or has been translated.
    const header = record - BLOCKHEADER_SIZE;
    if (load<u32>(header, BLOCKHEADER_original) == native) store<u32>(header, callout, BLOCKHEADER_original);
  }
  unlockCode();
}

/** It goes on trapping: in a translation that was made before. */
function endTranslation(record: usize): void {
  const header = record - <usize>load<u8>(record, RECORD_position) * RECORD_SIZE - BLOCKHEADER_SIZE;
  const page = codePage(load<u32>(header, BLOCKHEADER_page));
  const first = <u32>load<u16>(record, RECORD_pageOffset);
  lockCode();
  endTranslations(page, chunkMask(first, first + load<u8>(record, RECORD_length) - 1));
  unlockCode();
}
