/** Bit test and scan (Intel SDM vol. 1, 5.1.6). */
import { i32, i64, type Expr } from '../../wasm/index.ts';
import { clearButZero } from './arithmetic.ts';
import type { Family } from './emitter.ts';
import { constant, fit, integer, signed, type Width } from './widths.ts';

type Change = ((w: Width, value: Expr, mask: Expr) => Expr) | undefined;

const test =
  (change: Change): Family =>
  (e) => {
    const w = e.width(0);
    const t = integer(w);
    const select1 = (index: Expr): Expr => t.shl(constant(w, 1), t.and(index, constant(w, w - 1)));
    const carry = (value: Expr, index: Expr): void => {
      const shifted = t.shr_u(value, t.and(index, constant(w, w - 1)));
      e.setCarry(i32.and(fit(shifted, 32), i32.const(1)));
    };
    const bitString = e.isMemory(0) && e.row.operands[1]!.kind === 'r';
    if (!bitString) {
      const value = change ? e.modify(0) : e.read(0);
      const index = fit(e.read(1), w);
      if (change) e.write(0, change(w, value, e.f.let(select1(index))));
      return carry(value, index);
    }
    // A register index addresses a string of bits around the operand (vol. 2, BT).
    const index = e.read(1);
    const words = i64.shr_s(signed(index, w), i64.const(w === 64 ? 6 : w === 32 ? 5 : 4));
    const ea = i64.and(i64.add(e.effectiveAddress(), i64.shl(words, i64.const(w === 64 ? 3 : w === 32 ? 2 : 1))), e.addressMask());
    if (!change) return carry(e.loadAt(ea, w), index);
    const at = e.modifyAt(ea, w);
    at.store(change(w, at.value, e.f.let(select1(index))));
    carry(at.value, index);
  };

/** BSF, BSR: a zero source sets ZF and leaves the destination as it was (as all processors do). */
const scan =
  (reverse: boolean): Family =>
  (e) => {
    const w = e.width(0);
    const t = integer(w);
    const s = e.read(1);
    const found = e.f.let(reverse ? t.sub(constant(w, w === 64 ? 63 : 31), t.clz(s)) : t.ctz(s));
    const zero = e.f.let(t.eqz(s));
    e.f.if(i32.eqz(zero), () => e.write(0, found));
    clearButZero(e, zero);
  };

const or = (w: Width, v: Expr, m: Expr): Expr => integer(w).or(v, m);
const clear = (w: Width, v: Expr, m: Expr): Expr => integer(w).and(v, integer(w).xor(m, constant(w, -1)));
const complement = (w: Width, v: Expr, m: Expr): Expr => integer(w).xor(v, m);

export const bits: Record<string, Family> = {
  bt: test(undefined), bts: test(or), btr: test(clear), btc: test(complement),
  bsf: scan(false), bsr: scan(true),
}; // prettier-ignore
