/** Decoded code: blocks in the array of records, and instructions that are decoded by themselves (core/state/code.ts has the structures). */
import {
  ACTIVITY_DECODING,
  BLOCKHEADER_SIZE,
  BLOCKHEADER_count,
  BLOCKHEADER_entries,
  BLOCKHEADER_first,
  BLOCKHEADER_last,
  BLOCKHEADER_mode,
  BLOCKHEADER_next,
  BLOCKHEADER_original,
  BLOCKHEADER_page,
  CODEHASH_SIZE,
  CODEHASH_key,
  CODEHASH_record,
  CODEPAGE_blocks,
  CODEPAGE_chunks,
  CODEPAGE_churn,
  CODE_16,
  CODE_64,
  CODE_HASH_ENTRIES,
  CONTROL_blockMost,
  CONTROL_codeHash,
  CONTROL_decodedInstructions,
  CONTROL_ram,
  CONTROL_records,
  CONTROL_recordsEnd,
  CONTROL_recordsNext,
  CONTROL_translateAfter,
  CPU_activity,
  CPU_index,
  CPU_linearMask,
  CPU_rip,
  CPU_segments,
  CPU_shutdown,
  CPU_tlb,
  CS,
  EXIT_SHUTDOWN,
  HANDLER_COUNT,
  HANDLER_END,
  HANDLER_TOO_LONG,
  PAGE,
  RECORD_SIZE,
  RECORD_handler,
  RECORD_length,
  RECORD_pageOffset,
  RECORD_position,
  RECORD_target,
  SEGMENT_SIZE,
  SEGMENT_limit,
  SHUTDOWN_INTERNAL,
  SINGLES,
  SINGLE_SIZE,
  SINGLE_at,
  SINGLE_bytes,
  SINGLE_handler,
  SINGLE_length,
  SINGLE_mode,
  SINGLE_records,
  TLB_SLOT_MASK,
  TLB_SLOT_SHIFT,
  TLBENTRY_execTag,
} from './layout';
import { lockCode, unlockCode } from './codelock';
import { chunkMask, codePage, forgetCode, protectCodePage } from './codepages';
import { DECODED_END, LENGTH_MAX, NEEDS_MORE, decodeInstruction } from './decoder';
import { fetchAddress } from './paging';
import { frameOf } from './tlb';
import { patience } from './translations';

export const NOT_RAM: u32 = 0xffffffff;
/** Instructions a block has at most: `position` must fit its byte, and interrupts must not wait. */
const BLOCK_MAX: u32 = 64;
const BLOCK_BYTES: usize = BLOCKHEADER_SIZE + (BLOCK_MAX + 1) * RECORD_SIZE;

// @ts-ignore: decorator
@inline
export function codeSlot(at: u32): usize {
  return <usize>load<u32>(0, CONTROL_codeHash) + <usize>((at ^ (at >>> 14)) & (CODE_HASH_ENTRIES - 1)) * CODEHASH_SIZE;
}

/** Ends a block that goes on at `offset` of its page, after `position` instructions. */
function endBlock(record: usize, position: u32, offset: u32): void {
  store<u32>(record, HANDLER_END, RECORD_handler);
  store<u8>(record, 0, RECORD_length);
  store<u8>(record, position, RECORD_position);
  store<u16>(record, offset, RECORD_pageOffset);
}

/** Decodes the block that begins at RAM offset `at`; returns its first record, or 0 if its first instruction crosses into the next page. */
export function decodeBlock(cpu: usize, at: u32, mode: u32): u32 {
  if (<usize>load<u32>(0, CONTROL_recordsNext) + BLOCK_BYTES > <usize>load<u32>(0, CONTROL_recordsEnd)) forgetCode();
  // Until the block is entered.
  store<u32>(cpu, ACTIVITY_DECODING, CPU_activity);
  const page = at >>> 12;
  const map = codePage(page);
  const begin = at & (PAGE - 1);
  const bytes = <usize>load<u32>(0, CONTROL_ram) + (<usize>page << 12);
  lockCode();
  const header = <usize>load<u32>(0, CONTROL_recordsNext);
  const first = header + BLOCKHEADER_SIZE;
  let record = first;
  let offset = begin;
  let position: u32 = 0;
  let ended = false;
  const most = load<u32>(0, CONTROL_blockMost) || BLOCK_MAX;
  while (position < most && offset < PAGE) {
    const length = decodeInstruction(cpu, record, bytes + offset, PAGE - offset, mode, offset, position);
    if (length == NEEDS_MORE) break;
    record += RECORD_SIZE;
    position++;
    offset += length & (DECODED_END - 1);
    if (length & DECODED_END) {
      ended = true;
      break;
    }
  }
  if (position == 0) {
    unlockCode();
    return 0;
  }
  if (!ended) {
    endBlock(record, position, offset);
    record += RECORD_SIZE;
  }
  const others = load<u32>(map, CODEPAGE_blocks);
  store<u32>(header, others, BLOCKHEADER_next);
  store<u32>(header, page, BLOCKHEADER_page);
  store<u32>(header, <u32>((record - first) / RECORD_SIZE), BLOCKHEADER_count);
  const churn = load<u32>(map, CODEPAGE_churn);
  store<u32>(header, churn >>> 2 == 0 ? 0 : patience(churn), BLOCKHEADER_entries);
  store<u32>(header, load<u32>(first, RECORD_handler), BLOCKHEADER_original);
  if (load<u32>(0, CONTROL_translateAfter) != 0 && mode != CODE_16) store<u32>(first, HANDLER_COUNT, RECORD_handler);
  store<u32>(header, mode, BLOCKHEADER_mode);
  store<u16>(header, begin, BLOCKHEADER_first);
  store<u16>(header, offset - 1, BLOCKHEADER_last);
  store<u32>(0, <u32>record, CONTROL_recordsNext);
  store<u64>(map, load<u64>(map, CODEPAGE_chunks) | chunkMask(begin, offset - 1), CODEPAGE_chunks);
  store<u32>(map, <u32>header, CODEPAGE_blocks);
  const slot = codeSlot(at);
  store<u64>(slot, (<u64>(mode + 1) << 32) | <u64>at, CODEHASH_key);
  store<u32>(slot, <u32>first, CODEHASH_record);
  unlockCode();
  if (others == 0) protectCodePage(page);
  store<u64>(0, load<u64>(0, CONTROL_decodedInstructions) + position, CONTROL_decodedInstructions);
  return <u32>first;
}

/** RAM offset of the page after that of the linear address; may throw the guest's fault. NOT_RAM where there is none. */
function nextPage(cpu: usize, linear: u64): u32 {
  const next = ((linear | (PAGE - 1)) + 1) & load<u64>(cpu, CPU_linearMask);
  const entry = <usize>load<u32>(cpu, CPU_tlb) + (((<usize>next) >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
  if (load<u64>(entry, TLBENTRY_execTag) == next) return frameOf(entry);
  return fetchAddress(cpu, next);
}

/** Whether memory at `from` still holds bytes `first`..`last - 1` of an instruction. */
function unchanged(single: usize, from: usize, first: u32, last: u32): bool {
  for (let i = first; i < last; i++) if (load<u8>(from + i - first) != load<u8>(single + i, SINGLE_bytes)) return false;
  return true;
}

/**
 * The record of the instruction at RAM offset `at`, at linear address `linear`, by itself: for what crosses into the next page, and for where
 * only one is to be executed. With `crossing`, 0 if it is not known as one that crosses. EXIT_SHUTDOWN: code outside of RAM.
 */
export function findSingle(cpu: usize, at: u32, linear: u64, mode: u32, crossing: bool): u32 {
  const offset = at & (PAGE - 1);
  const inPage = PAGE - offset;
  const number = load<u32>(cpu, CPU_index) * SINGLES + ((at ^ (at >>> 12)) & (SINGLES - 1));
  const single = <usize>load<u32>(0, CONTROL_records) + <usize>number * SINGLE_SIZE;
  const ram = <usize>load<u32>(0, CONTROL_ram);
  const from = ram + at;
  const record = single + SINGLE_records;
  const length = load<u32>(single, SINGLE_length);
  // By its bytes in this page first: another instruction may be there by now, which has nothing to do with the next page.
  let known = load<u32>(single, SINGLE_at) == at && load<u32>(single, SINGLE_mode) == mode + 1 && unchanged(single, from, 0, min(length, inPage));
  const crosses = known && length > inPage;
  if (crossing && !crosses) return 0;
  let second: u32 = 0;
  if (crosses) {
    second = nextPage(cpu, linear);
    if (second == NOT_RAM) return outside(cpu);
    known = unchanged(single, ram + second, inPage, length);
  }
  if (!known) {
    store<u32>(single, 0, SINGLE_mode);
    store<u32>(cpu, ACTIVITY_DECODING, CPU_activity);
    memory.copy(single + SINGLE_bytes, from, min(inPage, LENGTH_MAX));
    let decoded = decodeInstruction(cpu, record, from, inPage, mode, offset, 0);
    if (decoded == NEEDS_MORE) {
      second = nextPage(cpu, linear);
      if (second == NOT_RAM) return outside(cpu);
      memory.copy(single + SINGLE_bytes + inPage, ram + second, LENGTH_MAX - inPage);
      decoded = decodeInstruction(cpu, record, single + SINGLE_bytes, LENGTH_MAX, mode, offset, 0);
    }
    decoded &= DECODED_END - 1;
    endBlock(record + RECORD_SIZE, 1, offset + decoded);
    store<u32>(single, decoded, SINGLE_length);
    store<u32>(single, load<u32>(record, RECORD_handler), SINGLE_handler);
    store<u32>(single, at, SINGLE_at);
    store<u32>(single, mode + 1, SINGLE_mode);
    store<u64>(0, load<u64>(0, CONTROL_decodedInstructions) + 1, CONTROL_decodedInstructions);
  }
  // A branch's target was found for another time: records may have been forgotten since.
  store<u32>(record, 0, RECORD_target);
  let handler = load<u32>(single, SINGLE_handler);
  if (mode != CODE_64) {
    const last = load<u32>(cpu, CPU_rip) + load<u32>(single, SINGLE_length) - 1;
    if (last > load<u32>(cpu, CPU_segments + CS * SEGMENT_SIZE + SEGMENT_limit)) handler = HANDLER_TOO_LONG;
  }
  store<u32>(record, handler, RECORD_handler);
  return <u32>record;
}

function outside(cpu: usize): u32 {
  store<u32>(cpu, SHUTDOWN_INTERNAL, CPU_shutdown);
  return EXIT_SHUTDOWN;
}
