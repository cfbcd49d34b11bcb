/**
 * Where code was fetched from by way of the TLB, and so what translated code takes for granted: what `Cpu.jumps` holds, and what a region that spans
 * pages has made sure of. That ends with a flush of such pages; most flushes are of others, and change nothing.
 */
import {
  CPU_codeSize,
  CPU_jumpGenerations,
  CPU_jumpStamp,
  CPU_jumps,
  JUMPS,
  JUMP_SIZE,
  TLB_FILTER,
  TLB_FILTER_SMALL,
  TLB_USER,
  TLB_globalCode,
  TLB_localCode,
  TLB_supervisorCode,
} from './layout';
import { tlbMode } from './tlb';

/** Generations that fit into a stamp. */
const LAST_GENERATION: u32 = (1 << 28) - 1;

const SUPERVISOR: usize = CPU_jumpGenerations;
const USER: usize = CPU_jumpGenerations + 4;

// -- sets of page or region numbers, of `bits` bits

/** The bit of `number` in a set. */
// @ts-ignore: decorator
@inline
function place(number: u64, bits: u32): u32 {
  return <u32>(number ^ (number >>> 12)) & (bits - 1);
}

// @ts-ignore: decorator
@inline
export function addTo(set: usize, number: u64, bits: u32): void {
  const at = place(number, bits);
  store<u8>(set + (at >>> 3), load<u8>(set + (at >>> 3)) | ((<u8>1) << <u8>(at & 7)));
}

// @ts-ignore: decorator
@inline
export function mayHave(set: usize, number: u64, bits: u32): bool {
  const at = place(number, bits);
  return ((load<u8>(set + (at >>> 3)) >>> (at & 7)) & 1) != 0;
}

// -- stamps

/** After a change of the TLB array in use, of the code size or of a generation: what `Cpu.jumps` holds under another stamp is not to be used. */
export function updateStamp(cpu: usize): void {
  const mode = tlbMode(cpu);
  const generation = load<u32>(cpu + (mode & TLB_USER ? USER : SUPERVISOR));
  store<u32>(cpu, ((generation + 1) << 4) | (mode << 2) | load<u32>(cpu, CPU_codeSize), CPU_jumpStamp);
}

function nextGeneration(cpu: usize, at: usize): void {
  const next = load<u32>(cpu + at) + 1;
  // The stamp has no room for more: old ones would seem new again.
  if (next == LAST_GENERATION) clearJumps(cpu);
  store<u32>(cpu + at, next == LAST_GENERATION ? 0 : next);
}

/** Records are forgotten: what `Cpu.jumps` has of them may be anything soon. */
export function clearJumps(cpu: usize): void {
  memory.fill(cpu + CPU_jumps, 0, JUMPS * JUMP_SIZE);
}

/** No region is to be found by RIP alone any more. */
export function forgetJumps(cpu: usize): void {
  nextGeneration(cpu, SUPERVISOR);
  nextGeneration(cpu, USER);
  updateStamp(cpu);
}

// -- pages

/** The page at `linear` is fetched from in a TLB mode. */
export function noteFetch(tlb: usize, mode: u32, linear: u64, global: bool): void {
  if (global) addTo(tlb + TLB_globalCode, linear >>> 12, TLB_FILTER);
  else {
    addTo(tlb + TLB_localCode, linear >>> 12, TLB_FILTER_SMALL);
    if (mode != TLB_USER) store<u32>(tlb, 1, TLB_supervisorCode);
  }
}

/** The TLB was flushed, but for global pages if `keepGlobal`. */
export function forgetFetched(cpu: usize, tlb: usize, keepGlobal: bool): void {
  nextGeneration(cpu, USER);
  if (!keepGlobal || load<u32>(tlb, TLB_supervisorCode)) nextGeneration(cpu, SUPERVISOR);
  updateStamp(cpu);
  store<u32>(tlb, 0, TLB_supervisorCode);
  memory.fill(tlb + TLB_localCode, 0, TLB_FILTER_SMALL / 8);
  if (!keepGlobal) memory.fill(tlb + TLB_globalCode, 0, TLB_FILTER / 8);
}

/** The translation of the page at `linear` was forgotten. */
export function forgetFetchedPage(cpu: usize, tlb: usize, linear: u64): void {
  const page = linear >>> 12;
  if (mayHave(tlb + TLB_localCode, page, TLB_FILTER_SMALL) || mayHave(tlb + TLB_globalCode, page, TLB_FILTER)) forgetJumps(cpu);
}
