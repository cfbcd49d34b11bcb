/**
 * Decoded code by page of RAM: what a write makes stale (core/state/code.ts has the structures).
 *
 * The decoder links a new block into its page between `lockCode` and `unlockCode`, sets the chunks it covers, and calls `protectCodePage`
 * when the page had no block before. The records of a block follow its BlockHeader. Invalidation writes HANDLER_STALE into them and
 * unlinks the block; CodeHash entries and `Record.target` of other blocks may go on pointing to them, so both must treat a record whose
 * handler is HANDLER_STALE as a miss.
 */
import {
  BLOCKHEADER_SIZE,
  BLOCKHEADER_count,
  BLOCKHEADER_first,
  BLOCKHEADER_last,
  BLOCKHEADER_next,
  BLOCKHEADER_original,
  CODEHASH_SIZE,
  CODEPAGE_SIZE,
  CODEPAGE_blocks,
  CODEPAGE_chunks,
  CODE_HASH_ENTRIES,
  CONTROL_branchTargets,
  CONTROL_branchTargetsNext,
  CONTROL_codeFlushes,
  CONTROL_codeHash,
  CONTROL_codePages,
  CONTROL_cpus,
  CONTROL_firstSlot,
  CONTROL_generation,
  CONTROL_invalidations,
  CONTROL_ramSize,
  CONTROL_records,
  CONTROL_recordsNext,
  CONTROL_vcpus,
  CPU_STRIDE,
  HANDLER_COUNT,
  HANDLER_STALE,
  RECORD_SIZE,
  RECORD_handler,
  SINGLES,
  SINGLE_SIZE,
} from './layout';
import { lockCode, unlockCode } from './codelock';
import { clearJumps } from './fetched';
import { closePage, fence } from './tlb';
import { ageCode, endAllTranslations, endTranslations } from './translations';

// @ts-ignore: decorator
@inline
export function codePage(page: u32): usize {
  return <usize>load<u32>(0, CONTROL_codePages) + <usize>page * CODEPAGE_SIZE;
}

/** The handler of a record as the interpreter has it, whatever counts or translates its block; 0 if it is stale. */
export function handlerOf(record: usize): u32 {
  const handler = load<u32>(record, RECORD_handler);
  if (handler != HANDLER_COUNT && handler < load<u32>(0, CONTROL_firstSlot)) return handler;
  return load<u32>(record - BLOCKHEADER_SIZE, BLOCKHEADER_original);
}

/** The 64-byte chunks that bytes `first`..`last` of a page touch, one bit each. */
// @ts-ignore: decorator
@inline
export function chunkMask(first: u32, last: u32): u64 {
  return ((<u64>-1) << (first >>> 6)) & ((<u64>-1) >>> (63 - (last >>> 6)));
}

/** Bytes `first`..`last` of RAM page `page` may hold decoded instructions. */
// @ts-ignore: decorator
@inline
export function holdsCode(page: u32, first: u32, last: u32): bool {
  const at = codePage(page);
  return load<u32>(at, CODEPAGE_blocks) != 0 && (load<u64>(at, CODEPAGE_chunks) & chunkMask(first, last)) != 0;
}

/** The page gets its first code: from now on writes to it take the slow path, in every vCPU. */
export function protectCodePage(page: u32): void {
  fence();
  closePage(page);
}

/** Bytes `first`..`last` of RAM page `page` changed: blocks that were decoded from any of them, and translations of those, become stale. */
export function invalidateCode(page: u32, first: i32, last: i32): void {
  if (!holdsCode(page, first, last)) return;
  lockCode();
  const at = codePage(page);
  let chunks: u64 = 0;
  let link = at + CODEPAGE_blocks;
  let block = <usize>load<u32>(link);
  let hit = false;
  while (block != 0) {
    const next = load<u32>(block, BLOCKHEADER_next);
    const low = <i32>load<u16>(block, BLOCKHEADER_first);
    const high = <i32>load<u16>(block, BLOCKHEADER_last);
    if (low <= last && high >= first) {
      // Translations come first: they put handlers back, which the blocks then lose. All that have any of the block: what is left of one would not
      // be found by the next write, because no block would have it.
      endTranslations(at, chunkMask(low, high));
      hit = true;
      const records = block + BLOCKHEADER_SIZE;
      const end = records + <usize>load<u32>(block, BLOCKHEADER_count) * RECORD_SIZE;
      for (let record = records; record < end; record += RECORD_SIZE) atomic.store<u32>(record + RECORD_handler, HANDLER_STALE);
      store<u32>(link, next);
    } else {
      chunks |= chunkMask(low, high);
      link = block + BLOCKHEADER_next;
    }
    block = next;
  }
  store<u64>(at, chunks, CODEPAGE_chunks);
  if (hit) ageCode(at);
  unlockCode();
  store<u64>(0, load<u64>(0, CONTROL_invalidations) + 1, CONTROL_invalidations);
}

/** The first record behind the vCPUs' own (`Single`). */
export function firstRecord(): u32 {
  return load<u32>(0, CONTROL_records) + load<u32>(0, CONTROL_vcpus) * SINGLES * <u32>SINGLE_SIZE;
}

/** Makes room for decoded code where a machine has none yet. */
export function prepareCode(): void {
  if (load<u32>(0, CONTROL_recordsNext) < firstRecord()) store<u32>(0, firstRecord(), CONTROL_recordsNext);
  if (load<u32>(0, CONTROL_branchTargetsNext) == 0) store<u32>(0, load<u32>(0, CONTROL_branchTargets), CONTROL_branchTargetsNext);
}

/** Everything decoded is forgotten. No record is being executed. */
export function forgetCode(): void {
  lockCode();
  memory.fill(<usize>load<u32>(0, CONTROL_codeHash), 0, CODE_HASH_ENTRIES * CODEHASH_SIZE);
  memory.fill(<usize>load<u32>(0, CONTROL_codePages), 0, <usize>(load<u32>(0, CONTROL_ramSize) >>> 12) * CODEPAGE_SIZE);
  endAllTranslations();
  store<u32>(0, firstRecord(), CONTROL_recordsNext);
  store<u32>(0, load<u32>(0, CONTROL_branchTargets), CONTROL_branchTargetsNext);
  for (let i: u32 = 0; i < load<u32>(0, CONTROL_vcpus); i++) clearJumps(<usize>load<u32>(0, CONTROL_cpus) + <usize>i * CPU_STRIDE);
  store<u32>(0, load<u32>(0, CONTROL_generation) + 1, CONTROL_generation);
  unlockCode();
  store<u64>(0, load<u64>(0, CONTROL_codeFlushes) + 1, CONTROL_codeFlushes);
}
