/** The translator's emitter, third part: calls of helpers, and what must be in the vCPU's state for them. */
import { Control } from '../../state/index.ts';
import { call, i32, i64, op, type Expr, type LocalRef } from '../../wasm/index.ts';
import { EFFECTS, X87_INTEGER, type Effect } from '../effects.ts';
import { FlagsEmitter } from './flags.ts';
import { GPR_END, O, R, REGISTER_FORM } from './frame.ts';

/** Helpers that neither read nor write general registers or flags: all they may do to them is to raise a fault. */
const PURE =
  /^(multiplyHigh(Signed)?|crc32|sse[A-Z]\w*|change(Scalar|Packed)Format|(integers|singles|doubles)To\w+|multipleSums|minimumPosition|pendingException|generalProtection|faultNoError|fi?(add|mul|comp?|subr?|divr?)_m\d\d|fi?ld_m(16|32|64))$/;
/** Helpers that read or write flags, and no general registers. */
const FLAGS_ONLY = /^(setFlags|getFlags|setArithmeticFlags)$/;

export abstract class HelperEmitter extends FlagsEmitter {
  protected abstract forgetSpans(): void;

  protected clearStale(): void {
    if (!this.stored) this.f.set(this.frame.stale, i32.const(0));
    this.stored = true;
  }

  /** Notes if code became stale by what is done inside. */
  protected watch(inside: () => void): void {
    const { f } = this;
    const count = (): Expr => op('i32.load', [i32.const(0)], Control.offsets.invalidations);
    this.clearStale();
    const before = f.let(count());
    this.bases.forget();
    this.forgetSpans();
    inside();
    f.set(this.frame.stale, i32.or(this.frame.stale, i32.ne(count(), before)));
  }

  protected checkStale(leave: () => void): void {
    this.f.ifRarely(this.frame.stale, leave);
  }

  /** Those of the registers `numbers`, and of those that the record names, that the region may change. */
  private involved(numbers: readonly number[]): number[] {
    const slots = [R.reg, R.base, R.index].map((field) => this.u16(field)).filter((slot) => slot < GPR_END);
    const all = new Set([...numbers, ...slots.map((slot) => (slot - O.gpr) >> 3)]);
    return [...this.frame.written].filter((n) => all.has(n));
  }

  protected writeBack(registers: Iterable<number>): void {
    for (const n of registers) {
      const l = this.frame.gpr[n]!;
      this.f.do('i64.store', [this.cpu, this.long ? l : i64.extend_u(l)], O.gpr + n * 8);
    }
  }

  /** Everything into the vCPU's state, and back; or as much as concerns the helper that is called inside. */
  protected exposed(inside: () => void, effect?: Effect): void {
    const { f } = this;
    const registers = effect ? this.involved(effect.registers) : this.frame.written;
    if (effect?.flags !== false) this.toMemory();
    this.writeBack(registers);
    if (effect?.repeats) f.set(this.frame.repeating, i32.const(1));
    this.watch(inside);
    if (effect?.repeats) f.set(this.frame.repeating, i32.const(0));
    for (const n of registers) f.set(this.frame.gpr[n]!, op(this.long ? 'i64.load' : 'i32.load', [this.cpu], O.gpr + n * 8));
    f.set(this.frame.tlb, this.load32(O.tlb));
  }

  helper(name: string, args: readonly Expr[]): void {
    const index = this.frame.import(name, ['i32', ...args.map((a) => a.type)], []);
    const callout = name === this.row.helper ? this.instruction.callout : undefined;
    const run = (): void => {
      this.precise();
      if (callout !== undefined) this.f.call(this.frame.import('enterVmm', ['i32', 'i32'], []), [this.cpu, i32.const(callout)]);
      this.f.call(index, [this.cpu, ...args]);
      if (callout !== undefined) this.f.call(this.frame.import('leaveVmm', ['i32'], []), [this.cpu]);
    };
    if (PURE.test(name)) return run();
    if (this.row.unit === 'x87' && !X87_INTEGER.test(name)) {
      // The registers serve for the operand's address at most.
      if (this.u16(R.segment) === REGISTER_FORM) return run();
      const slots = [this.u16(R.base), this.u16(R.index)].filter((slot) => slot < GPR_END).map((slot) => (slot - O.gpr) >> 3);
      this.writeBack(slots.filter((n) => this.frame.written.has(n)));
      return this.watch(run);
    }
    if (FLAGS_ONLY.test(name)) {
      this.toMemory();
      return run();
    }
    this.exposed(run, name === this.row.helper ? EFFECTS.get(name) : undefined);
  }

  helperValue(name: string, args: readonly Expr[], result: 'i32' | 'i64' | 'f64' | 'v128'): LocalRef {
    const { f } = this;
    const index = this.frame.import(name, ['i32', ...args.map((a) => a.type)], [result]);
    const value = f.local(result);
    const run = (): void => {
      this.precise();
      f.set(value, call(index, result, [this.cpu, ...args]));
    };
    if (PURE.test(name)) run();
    else if (FLAGS_ONLY.test(name)) {
      this.toMemory();
      run();
    } else this.exposed(run);
    return value;
  }

  fault(vector: number): void {
    this.helper('faultNoError', [i32.const(vector)]);
  }
}
