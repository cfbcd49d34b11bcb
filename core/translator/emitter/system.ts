/** The translator's emitter, sixth part: instructions that have to do with interrupts and with what a region rests on. */
import { EVENT_INTERRUPT, GS, Reach, Segment } from '../../state/index.ts';
import { i32, i64, type Expr, type LocalRef } from '../../wasm/index.ts';
import type { Effect } from '../effects.ts';
import { O } from './frame.ts';
import { VectorEmitter } from './vectors.ts';

const IF = i32.const(0x200);

export abstract class SystemEmitter extends VectorEmitter {
  protected abstract nextRip(): Expr;

  override helper(name: string, args: readonly Expr[]): void {
    if (name === 'cli') this.cli();
    else if (name === 'sti') this.sti();
    else if (name === 'swapgs' && this.long) this.swapgs();
    else super.helper(name, args);
  }

  /** The row's helper, where the rest of the emitter does without: it raises a fault. */
  private refuse(name: string, condition: Expr): void {
    this.f.ifRarely(condition, () => {
      this.precise();
      this.f.call(this.frame.import(name, ['i32', 'i32'], []), [this.cpu, this.record]);
      this.f.unreachable();
    });
  }

  /** CPL as the guest believes it is: in a call-out the vCPU is compressed (see `Cpu`). */
  private cpl(): Expr {
    const cpl = this.f.let(this.load32(O.cpl));
    if (this.instruction.callout === undefined) return cpl;
    return i32.sub(cpl, i32.and(i32.eq(cpl, i32.const(1)), this.load32(O.lowered)));
  }

  /** IF and IOPL as the guest believes they are. */
  private interruptFlags(): LocalRef {
    const eflags = this.load32(O.eflags);
    if (this.instruction.callout === undefined) return this.f.let(eflags);
    return this.f.let(i32.or(i32.xor(i32.and(eflags, IF), this.load32(O.masked)), this.load32(O.virtualIopl)));
  }

  private setInterruptFlag(flags: LocalRef, on: boolean): void {
    if (this.instruction.callout !== undefined) this.store32(O.masked, i32.const(on ? 0 : 0x200));
    else this.store32(O.eflags, on ? i32.or(flags, IF) : i32.and(flags, i32.const(~0x200)));
  }

  /** IOPL does not permit it (vol. 1, 3.4.3). In real-address mode CPL is 0. */
  private forbidden(flags: LocalRef): Expr {
    return i32.gt_u(this.cpl(), i32.and(i32.shr_u(flags, i32.const(12)), i32.const(3)));
  }

  private cli(): void {
    const { f, instruction } = this;
    const flags = this.interruptFlags();
    this.refuse('cli', this.forbidden(flags));
    // An interrupt that has been waiting is taken before: but not on the first instruction that is executed here, when it was looked for.
    const waiting = i32.and(i32.shr_u(flags, i32.const(9)), i32.and(this.load32(O.event), i32.const(EVENT_INTERRUPT)));
    const first = instruction.record === this.frame.entry;
    f.ifRarely(first ? i32.and(waiting, i32.ne(this.frame.budget, this.frame.began)) : waiting, () =>
      this.frame.leave(this.executed, this.address(instruction.offset)),
    );
    this.setInterruptFlag(flags, false);
  }

  /**
   * No interrupt is taken before the next instruction is done. One that comes after this has come later than that, unless a run may end between
   * the two.
   */
  private sti(): void {
    const flags = this.interruptFlags();
    this.refuse('sti', this.forbidden(flags));
    this.f.if(i32.eqz(i32.and(flags, IF)), () => {
      this.setInterruptFlag(flags, true);
      this.store32(O.interruptShadow, this.closing ? i32.const(1) : i32.ne(this.load32(O.event), i32.const(0)));
      this.store32(O.shadowBudget, i32.sub(this.frame.budget, i32.const(this.instruction.position + 1)));
    });
  }

  private swapgs(): void {
    this.refuse('swapgs', this.cpl());
    const gs = O.segments + GS * Segment.size + Segment.offsets.base;
    const base = this.f.let(this.load64(O.kernelGsBase));
    this.store64(O.kernelGsBase, this.load64(gs));
    this.store64(gs, base);
    this.store64(O.reach + GS * Reach.size + Reach.offsets.base, base);
  }

  /** Does the instruction, and leaves the region after it where something is to be seen to first. */
  protected system(effect: Effect, meaning: () => void): void {
    const { f } = this;
    if (!effect.checked) {
      meaning();
      if (effect.events) f.ifRarely(this.load32(O.event), () => this.frame.leave(this.executed + 1, this.nextRip()));
      return;
    }
    const next = f.let(this.nextRip());
    const stamp = f.let(this.load32(O.jumpStamp));
    // For those that the interpreter ends a block with.
    this.store64(O.rip, next);
    meaning();
    if (effect.repeats) f.set(this.frame.budget, this.load32(O.budget));
    const facts = i32.const(this.frame.facts);
    const changed = [
      i32.xor(this.load32(O.jumpStamp), stamp),
      i32.xor(i32.and(this.load32(O.facts), facts), facts),
      ...[O.event, O.halted, O.interruptShadow, O.stepping].map((field) => this.load32(field)),
      i32.and(this.load32(O.dr + 7 * 8), i32.const(0xff)),
      i64.ne(this.load64(O.rip), next),
    ].reduce((x, y) => i32.or(x, y));
    f.ifRarely(changed, () => this.frame.leave(this.executed + 1, this.load64(O.rip)));
  }
}
