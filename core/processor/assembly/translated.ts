/**
 * What translated code calls for the accesses that the TLB does not serve (core/translator/access.ts). `site` is the record of the instruction,
 * plus SITE_*; `linear` has the segment's base in it.
 *
 * Translated code itself never writes to devices or to decoded code: it is left then, before the instruction has done anything, and the
 * interpreter goes on from there. So nothing that translated code relies on changes under it.
 */
import {
  CODE_64,
  CPU_codeSize,
  CPU_current,
  CPU_reach,
  REACH_SIZE,
  REACH_base,
  RECORD_segment,
  SITE_BITS,
  SITE_COPIES,
  SITE_STACK,
  SS,
} from './layout';
import { handlerOf } from './codepages';
import { raise } from './fault';
import { plainAddress, plainStoreAddress, readAddress, readsDevice } from './memory';

// @ts-ignore: decorator
@inline
function segmentOf(site: u32): u32 {
  return site & SITE_STACK ? <u32>CPU_reach + SS * <u32>REACH_SIZE : load<u16>(<usize>(site & ~SITE_BITS), RECORD_segment);
}

// @ts-ignore: decorator
@inline
function effective(cpu: usize, segment: u32, linear: u64): u64 {
  const ea = linear - load<u64>(cpu + segment, REACH_base);
  return load<u32>(cpu, CPU_codeSize) == CODE_64 ? ea : ea & 0xffffffff;
}

/** Host address of `size` bytes for reading; it may be `Cpu.bounce`. */
export function translatedRead(cpu: usize, linear: u64, site: u32, size: u32): usize {
  const segment = segmentOf(site);
  store<u32>(cpu, site & ~SITE_BITS, CPU_current);
  const ea = effective(cpu, segment, linear);
  // Where the write then needed the interpreter, the device would be read twice.
  if (site & SITE_COPIES && readsDevice(cpu, segment, ea, size)) raise();
  return readAddress(cpu, segment, ea, size);
}

/** Host address of `size` bytes for writing all of them: if it is `Cpu.bounce`, `commitWrite` is to follow. */
export function translatedStore(cpu: usize, linear: u64, site: u32, size: u32): usize {
  const segment = segmentOf(site);
  store<u32>(cpu, site & ~SITE_BITS, CPU_current);
  const at = plainStoreAddress(cpu, segment, effective(cpu, segment, linear), size);
  if (at == 0) raise();
  return at;
}

/** Host address of `size` bytes for a read-modify-write. */
export function translatedModify(cpu: usize, linear: u64, site: u32, size: u32): usize {
  const segment = segmentOf(site);
  store<u32>(cpu, site & ~SITE_BITS, CPU_current);
  const at = plainAddress(cpu, segment, effective(cpu, segment, linear), size);
  if (at == 0) raise();
  return at;
}

/** Leaves translated code before the instruction of `record`. */
export function interpretFrom(cpu: usize, record: u32): void {
  store<u32>(cpu, record, CPU_current);
  raise();
}

/** The interpreter's handler for the current record. */
export function currentHandler(cpu: usize): u32 {
  return handlerOf(<usize>load<u32>(cpu, CPU_current));
}
