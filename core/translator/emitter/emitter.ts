/**
 * The emitter of the translator: builds a region's instructions one after the other into one function. Operands are known from the decoded record;
 * general registers and flags are in locals.
 */
import type { Emitter } from '../../processor/semantics/emitter.ts';
import type { Width } from '../../processor/semantics/widths.ts';
import { CS, PAGE, Segment } from '../../state/index.ts';
import { i32, i64, op, type Expr } from '../../wasm/index.ts';
import { EFFECTS } from '../effects.ts';
import { either } from '../flags.ts';
import type { Instruction } from '../region.ts';
import { O } from './frame.ts';
import { step } from './spans.ts';
import { SystemEmitter } from './system.ts';

export class TranslatorEmitter extends SystemEmitter implements Emitter {
  /** Emits one instruction: what `meaning` does with this emitter. */
  emit(i: Instruction, executed: number, meaning: () => void): void {
    const { row } = i.row!;
    this.row = row;
    const first = row.operands[0]?.size;
    this.size = i.size || (typeof first === 'number' && first <= 64 ? (first as Width) : 32);
    this.record = i32.const(i.record);
    this.instruction = i;
    this.executed = executed;
    this.inMemory = i.memory;
    this.ea = undefined;
    this.anchor = undefined;
    this.hosts = [];
    this.stored = false;
    this.afterwards = undefined;
    this.depth = this.f.depth;
    this.f.scope(() => {
      const effect = row.helper ? EFFECTS.get(row.helper) : undefined;
      const added = step(i, this.view, this.frame.mode);
      if (effect) this.system(effect, meaning);
      else if (added) this.bases.adding(added.register, added.by, meaning);
      else meaning();
      if (this.afterwards) this.known = either(this.known, this.afterwards);
      if (this.stored && !i.end) this.checkStale(() => this.frame.leave(executed + 1, this.nextRip()));
    });
  }

  // -- control

  /** The address of a byte, by its offset from the entry's page. */
  address(offset: number): Expr {
    const sum = i64.add(this.frame.ripBase, i64.const(offset));
    return this.long || (offset >= 0 && offset < PAGE) ? sum : i64.and(sum, i64.const(0xffff_ffff));
  }

  nextRip(): Expr {
    return this.address(this.instruction.offset + this.instruction.length);
  }

  jumpRelative(_i: number): void {
    const target = this.instruction.target!;
    if (this.stored) this.checkStale(() => this.frame.leave(this.executed + 1, this.address(target)));
    this.frame.edge(this.executed + 1, target);
  }

  jump(target: Expr): void {
    this.jumpAfter(target, () => {});
  }

  jumpAfter(target: Expr, commit: () => void): void {
    const { f, frame } = this;
    const done = this.executed + 1;
    const to = f.let(target);
    // What is found in the region was executed before: it need not be checked. Code that became stale is not to be gone on with.
    const fresh = this.stored ? i32.eqz(frame.stale) : undefined;
    for (const offset of frame.targets()) {
      const same = i64.eq(to, this.address(offset));
      f.if(fresh ? i32.and(same, fresh) : same, () => {
        commit();
        frame.edge(done, offset);
      });
    }
    if (this.long)
      f.ifRarely(i64.ne(i64.shr_s(i64.shl(to, i64.const(16)), i64.const(16)), to), () => this.helper('generalProtection', [i32.const(0)]));
    else {
      const limit = op('i64.load32_u', [this.cpu], O.segments + CS * Segment.size + Segment.offsets.limit);
      f.ifRarely(i64.gt_u(to, limit), () => this.helper('generalProtection', [i32.const(0)]));
    }
    commit();
    if (fresh) this.checkStale(() => frame.leave(done, to));
    frame.jump(done, to);
  }
}
