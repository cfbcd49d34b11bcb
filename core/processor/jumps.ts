/** Going on at RIP without a trip through the run loop, as emitters have it done: what `prepare` in assembly/run.ts does, where it is usual. */
import {
  ACTIVITY_INTERPRETED, BlockHeader, CODE_64, CODE_HASH_ENTRIES, CodeHash, Cpu, CS, EVENT_INTERRUPT, HANDLER_STALE, Jump, JUMPS, Reach, Record, Segment,
  TlbEntry,
} from '../state/index.ts'; // prettier-ignore
import { i32, i64, op, type Expr, type FunctionBuilder, type Label, type LocalRef } from '../wasm/index.ts';
import { handlerCount } from './handlers.ts';
import { tlbEntry } from './tlb-entry.ts';

const O = Cpu.offsets;
const J = Jump.offsets;
const EFLAGS_IF = 0x200;
const PAGE_MASK = i64.const(-4096);

/** `Cpu.activity` for the handler in slot `slot`. */
export function activityOf(slot: Expr): Expr {
  // A translation's slot is beyond the handlers'.
  return i32.add(i32.const(ACTIVITY_INTERPRETED), i32.ge_u(slot, i32.const(handlerCount())));
}

/** The entry of `Cpu.jumps` for an address, of which `low` is the lower half; its fields are O.jumps further. */
export function jumpEntry(cpu: LocalRef, low: Expr): Expr {
  // The upper bits of a product depend on all bits of the address.
  const product = i32.mul(low, i32.const(0x9e37_79b1));
  const bytes = JUMPS * Jump.size;
  return i32.add(cpu, i32.and(i32.shr_u(product, i32.const(32 - Math.log2(bytes))), i32.const(bytes - Jump.size)));
}

/** Branches to `away` if the run loop has to look before the next block: for events, the budget; or because RIP may not be the linear address. */
export function lookAround(f: FunctionBuilder, cpu: LocalRef, mode: Expr, away: Label): void {
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  // An interrupt that is masked may wait.
  const masked = i32.and(
    i32.eq(load(O.event), i32.const(EVENT_INTERRUPT)),
    i32.eqz(i32.and(i32.xor(load(O.eflags), load(O.masked)), i32.const(EFLAGS_IF))),
  );
  const event = i32.and(load(O.event), i32.sub(masked, i32.const(1)));
  const debug = i32.and(load(O.dr + 7 * 8), i32.const(0xff));
  const waiting = [O.halted, O.interruptShadow, O.stepping].reduce((e, offset) => i32.or(e, load(offset)), i32.or(event, debug));
  f.brIfRarely(away, waiting);
  f.brIfRarely(away, i32.lt_s(load(O.budget), i32.const(0)));
  f.if(i32.ne(mode, i32.const(CODE_64)), () => {
    f.brIfRarely(away, i32.ne(load(O.segments + CS * Segment.size + Segment.offsets.limit), i32.const(-1)));
    f.brIfRarely(away, i64.ne(op('i64.load', [cpu], O.reach + CS * Reach.size + Reach.offsets.base), i64.const(0)));
  });
}

export interface Block {
  readonly record: LocalRef;
  readonly handler: LocalRef;
}

/** The block at `rip` and its handler, by `Cpu.jumps` or by TLB and hash, which it is then known by; branches to `unknown` if there is none. */
export function findBlock(f: FunctionBuilder, cpu: LocalRef, rip: LocalRef, mode: Expr, codeHash: Expr, unknown: Label): Block {
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  const [record, handler] = [f.local('i32'), f.local('i32')];
  const low = f.let(i32.wrap(rip));
  const known = f.let(jumpEntry(cpu, low));
  const isKnown = f.let(i64.eq(op('i64.load', [known], O.jumps + J.rip), rip));
  /** Branches to `other` if the block that is known for `rip` is stale. */
  const takeKnown = (other: Label): void => {
    f.brIf(other, i32.eqz(isKnown));
    f.set(record, op('i32.load', [known], O.jumps + J.record));
    f.brIf(other, i32.eqz(record));
    f.set(handler, op('i32.load', [record], Record.offsets.handler));
    f.brIf(other, i32.eq(handler, i32.const(HANDLER_STALE)));
  };
  f.block((found) => {
    f.block((other) => {
      takeKnown(other);
      f.brIf(found, i32.eq(op('i32.load', [known], O.jumps + J.stamp), load(O.jumpStamp)));
    });
    const entry = f.let(tlbEntry(load(O.tlb), low));
    f.brIfRarely(unknown, i64.ne(i64.and(rip, PAGE_MASK), op('i64.load', [entry], TlbEntry.offsets.execTag)));
    const frame = f.let(op('i32.load', [entry], TlbEntry.offsets.frame));
    f.block((same) => {
      // Translations of addresses may have been forgotten and have come out the same: that is seen without a look into the large hash.
      f.block((other) => {
        takeKnown(other);
        const header = f.let(i32.sub(record, i32.const(BlockHeader.size)));
        f.brIf(other, i32.ne(op('i32.load', [header], BlockHeader.offsets.page), i32.shr_u(frame, i32.const(12))));
        f.brIf(same, i32.eq(op('i32.load', [header], BlockHeader.offsets.mode), mode));
      });
      const at = f.let(i32.or(i32.and(frame, i32.const(-4096)), i32.and(low, i32.const(0xfff))));
      const hash = i32.and(i32.xor(at, i32.shr_u(at, i32.const(14))), i32.const(CODE_HASH_ENTRIES - 1));
      const slot = f.let(i32.add(codeHash, i32.mul(hash, i32.const(CodeHash.size))));
      f.brIfRarely(unknown, i32.ne(op('i32.load', [slot], CodeHash.offsets.key), at));
      f.brIfRarely(unknown, i32.ne(op('i32.load', [slot], CodeHash.offsets.key + 4), i32.add(mode, i32.const(1))));
      f.set(record, op('i32.load', [slot], CodeHash.offsets.record));
      f.set(handler, op('i32.load', [record], Record.offsets.handler));
      f.brIfRarely(unknown, i32.eq(handler, i32.const(HANDLER_STALE)));
    });
    f.do('i64.store', [known, rip], O.jumps + J.rip);
    f.do('i32.store', [known, load(O.jumpStamp)], O.jumps + J.stamp);
    f.do('i32.store', [known, record], O.jumps + J.record);
  });
  return { record, handler };
}

/** Enters a block in this function's place, at its address `rip`. */
export function enterBlock(f: FunctionBuilder, handlerType: number, cpu: LocalRef, rip: LocalRef, { record, handler }: Block): void {
  f.do('i64.store', [cpu, i64.and(rip, PAGE_MASK)], O.ripBase);
  f.do('i32.store', [cpu, activityOf(handler)], O.activity);
  f.returnCallIndirect(handlerType, [cpu, record], handler);
}
