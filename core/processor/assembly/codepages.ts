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
  BLOCKHEADER_next,
  CODEPAGE_SIZE,
  CODEPAGE_blocks,
  CODEPAGE_chunks,
  CODEPAGE_translated,
  CONTROL_codeLock,
  CONTROL_codePages,
  CONTROL_invalidations,
  CONTROL_vcpus,
  HANDLER_STALE,
  RECORD_SIZE,
  RECORD_handler,
  RECORD_length,
  RECORD_pageOffset,
} from './layout';
import { closePage, fence } from './tlb';

// @ts-ignore: decorator
@inline
export function codePage(page: u32): usize {
  return <usize>load<u32>(0, CONTROL_codePages) + <usize>page * CODEPAGE_SIZE;
}

/** Spins until this thread may change links of decoded code. Not held over anything that can fault or call the host. */
export function lockCode(): void {
  if (load<u32>(0, CONTROL_vcpus) < 2) return;
  while (atomic.cmpxchg<u32>(CONTROL_codeLock, 0, 1) != 0) {}
}

export function unlockCode(): void {
  if (load<u32>(0, CONTROL_vcpus) < 2) return;
  atomic.store<u32>(CONTROL_codeLock, 0);
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

/** Bytes `first`..`last` of RAM page `page` changed: the blocks that were decoded from any of them become stale. */
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
    const records = block + BLOCKHEADER_SIZE;
    const end = records + <usize>load<u32>(block, BLOCKHEADER_count) * RECORD_SIZE;
    let low: i32 = 0xfff;
    let high: i32 = 0;
    for (let record = records; record < end; record += RECORD_SIZE) {
      const begin = <i32>load<u16>(record, RECORD_pageOffset);
      const length = <i32>load<u8>(record, RECORD_length);
      if (length == 0) continue;
      if (begin < low) low = begin;
      if (begin + length - 1 > high) high = begin + length - 1;
    }
    if (low <= last && high >= first) {
      hit = true;
      for (let record = records; record < end; record += RECORD_SIZE) atomic.store<u32>(record + RECORD_handler, HANDLER_STALE);
      store<u32>(link, next);
    } else {
      if (low <= high) chunks |= chunkMask(low, high);
      link = block + BLOCKHEADER_next;
    }
    block = next;
  }
  if (hit && load<u32>(at, CODEPAGE_translated)) {
    // Translations reach over blocks: none of this page may be entered any more.
    for (block = <usize>load<u32>(at, CODEPAGE_blocks); block != 0; block = <usize>load<u32>(block, BLOCKHEADER_next)) {
      const records = block + BLOCKHEADER_SIZE;
      const end = records + <usize>load<u32>(block, BLOCKHEADER_count) * RECORD_SIZE;
      for (let record = records; record < end; record += RECORD_SIZE) atomic.store<u32>(record + RECORD_handler, HANDLER_STALE);
    }
    store<u32>(at, 0, CODEPAGE_blocks);
    store<u32>(at, 0, CODEPAGE_translated);
    chunks = 0;
  }
  store<u64>(at, chunks, CODEPAGE_chunks);
  unlockCode();
  store<u64>(0, load<u64>(0, CONTROL_invalidations) + 1, CONTROL_invalidations);
}
