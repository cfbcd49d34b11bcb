/** The TLB entry that serves an address, as emitters have it computed (core/state/tlb.ts; `tlbEntry` in assembly/tlb.ts is the same). */
import { TLB_SLOT_MASK, TLB_SLOT_SHIFT } from '../state/index.ts';
import { i32, type Expr } from '../wasm/index.ts';

/** Byte address of the entry in the array at `tlb` for a linear address, of which `low` is the lower half. */
export function tlbEntry(tlb: Expr, low: Expr): Expr {
  return i32.add(tlb, i32.and(i32.shr_u(low, i32.const(TLB_SLOT_SHIFT)), i32.const(TLB_SLOT_MASK)));
}
