/** The translator's emitter, second part: arithmetic flags, as kind and operands in locals where that goes (../flags.ts). */
import type { Value } from '../../processor/semantics/emitter.ts';
import { integer, masked, signed, type Width } from '../../processor/semantics/widths.ts';
import { i32, i64, type Expr } from '../../wasm/index.ts';
import { FLAGS_ADD, FLAGS_DEC, FLAGS_INC, FLAGS_LOGIC, FLAGS_MEMORY, FLAGS_RAW, FLAGS_SUB, kindOf } from '../flags.ts';
import { O } from './frame.ts';
import { RegisterEmitter } from './registers.ts';

export abstract class FlagsEmitter extends RegisterEmitter {
  /** Sets the kind and operands. Under a condition only memory will do. */
  protected setLazy(kind: number, a: Expr, b: Expr): void {
    const { f } = this;
    const { kind: k, a: la, b: lb } = this.frame;
    if (f.depth > this.depth) {
      if (this.known !== FLAGS_MEMORY) throw new Error(`${this.row.text}: that it sets flags under a condition was not foreseen`);
      f.call(this.frame.import('flush', ['i32', 'i32', 'i64', 'i64'], []), [this.cpu, i32.const(kind), a, b]);
      return;
    }
    const first = f.let(a);
    f.set(lb, b);
    f.set(la, first);
    f.set(k, i32.const(kind));
    this.known = kind;
  }

  protected wide(value: Expr, width: Width): Expr {
    if (width === 64) return value;
    return i64.extend_u(value.value !== undefined ? masked(value, width) : value);
  }

  flagsRaw(result: Expr, aux: Expr): void {
    if (this.f.depth > this.depth && this.known === FLAGS_MEMORY) {
      this.store64(O.flagResult, result);
      this.store32(O.flagAux, aux);
      return;
    }
    this.setLazy(FLAGS_RAW, result, i64.extend_u(aux));
  }

  flagsAdd(width: Width, a: Value, b: Value, result: Value): void {
    if (this.row.family === 'adc') return this.withCarry(width, a, b, result, false);
    this.setLazy(kindOf(FLAGS_ADD, width), this.wide(a, width), this.wide(b, width));
  }

  flagsSub(width: Width, a: Value, b: Value, result: Value): void {
    if (this.row.family === 'sbb') return this.withCarry(width, a, b, result, true);
    this.setLazy(kindOf(FLAGS_SUB, width), this.wide(a, width), this.wide(b, width));
  }

  /** ADC, SBB: the carry that went in is in the result. */
  protected withCarry(width: Width, a: Value, b: Value, result: Value, down: boolean): void {
    const t = integer(width);
    const ones = width === 64 ? i64.const(-1) : i32.const(-1);
    const na = t.xor(a, ones);
    const carries = this.f.let(
      down ? t.or(t.and(na, b), t.and(t.or(na, b), result)) : t.or(t.and(a, b), t.and(t.or(a, b), t.xor(result, ones))),
    );
    const low = width === 64 ? i32.wrap(carries) : carries;
    const top = width === 64 ? i32.wrap(i64.shr_u(carries, i64.const(32))) : i32.shl(carries, i32.const(32 - width));
    this.flagsRaw(signed(result, width), i32.or(i32.and(top, i32.const(0xc000_0000)), i32.and(low, i32.const(8))));
  }

  flagsLogic(width: Width, result: Value): void {
    this.setLazy(FLAGS_LOGIC, signed(result, width), i64.const(0));
  }

  flagsIncrement(width: Width, a: Value, _result: Value, down: boolean): void {
    const carry = this.f.let(this.carry());
    this.setLazy(kindOf(down ? FLAGS_DEC : FLAGS_INC, width), this.wide(a, width), i64.extend_u(carry));
  }

  protected carryOverflow(carry: Expr, overflow: Expr): Expr {
    const c = this.f.let(carry);
    return i32.or(i32.shl(c, i32.const(31)), i32.shl(i32.xor(c, overflow), i32.const(30)));
  }

  flagsResult(width: Width, result: Value, carry: Expr, overflow: Expr): void {
    this.flagsRaw(signed(result, width), this.carryOverflow(carry, overflow));
  }

  flagsCarryOverflow(carry: Expr, overflow: Expr): void {
    const bits = this.f.let(this.carryOverflow(carry, overflow));
    const old = this.auxWord();
    this.flagsRaw(this.resultWord(), i32.or(i32.and(old, i32.const(0x3fff_ffff)), bits));
  }

  setCarry(carry: Expr): void {
    const c = this.f.let(carry);
    const aux = this.f.let(this.auxWord());
    const flip = i32.xor(i32.shr_u(aux, i32.const(31)), c);
    this.flagsRaw(this.resultWord(), i32.xor(aux, i32.mul(flip, i32.const(0xc000_0000))));
  }

  setZero(zero: Expr): void {
    const z = this.f.let(zero);
    this.helper('setFlags', [i32.shl(z, i32.const(6)), i32.const(0x40)]);
  }

  /** The flags go into the vCPU's state, whatever kind they are. */
  protected toMemory(): void {
    if (this.known === FLAGS_MEMORY) return;
    const { f } = this;
    const { kind, a, b } = this.frame;
    f.call(this.frame.import('flush', ['i32', 'i32', 'i64', 'i64'], []), [this.cpu, kind, a, b]);
    f.set(kind, i32.const(FLAGS_MEMORY));
    if (f.depth > this.depth) this.afterwards = true;
    else this.known = FLAGS_MEMORY;
  }

  /** Both words, where they are: in the locals if their kind is raw, in memory else. */
  protected toWords(): void {
    if (this.known !== FLAGS_RAW && this.known !== FLAGS_LOGIC) this.toMemory();
  }

  protected auxWord(): Expr {
    this.toWords();
    if (this.known === FLAGS_LOGIC) return i32.const(0);
    return this.known === FLAGS_RAW ? i32.wrap(this.frame.b) : this.load32(O.flagAux);
  }

  protected resultWord(): Expr {
    this.toWords();
    return this.known === FLAGS_RAW || this.known === FLAGS_LOGIC ? this.frame.a : this.load64(O.flagResult);
  }

  /** The operands of the known kind at its width, and the result. */
  protected flagOperands(): { base: number; width: Width; a: Expr; b: Expr; r: Expr } | undefined {
    const { known } = this;
    if (known === undefined || known < FLAGS_ADD) return undefined;
    const base = known & ~3;
    const width = (8 << (known & 3)) as Width;
    const cut = (x: Expr): Expr => (width === 64 ? x : i32.wrap(x));
    const a = cut(this.frame.a);
    const step = base === FLAGS_INC || base === FLAGS_DEC;
    const b = step ? (width === 64 ? i64.const(1) : i32.const(1)) : cut(this.frame.b);
    const t = integer(width);
    return { base, width, a, b, r: base === FLAGS_SUB || base === FLAGS_DEC ? t.sub(a, b) : t.add(a, b) };
  }

  carry(): Expr {
    const o = this.flagOperands();
    if (this.known === FLAGS_LOGIC) return i32.const(0);
    if (!o) return i32.shr_u(this.auxWord(), i32.const(31));
    const t = integer(o.width);
    if (o.base === FLAGS_SUB) return t.lt_u(o.a, o.b);
    if (o.base === FLAGS_ADD) return t.lt_u(masked(o.r, o.width), o.a);
    return i32.wrap(this.frame.b);
  }

  condition(cc: number): Expr {
    const { f } = this;
    const positive = this.fromOperands(cc & ~1) ?? this.fromWords(cc >> 1);
    return f.let(cc & 1 ? i32.eqz(positive) : positive);
  }

  /** The condition as a comparison of operands, where the kind allows it. */
  protected fromOperands(cc: number): Expr | undefined {
    const o = this.flagOperands();
    const Z = 4, B = 2, BE = 6, S = 8, L = 12, LE = 14; // prettier-ignore
    if (this.known === FLAGS_LOGIC) {
      const { a } = this.frame;
      if (cc === Z || cc === BE) return i64.eqz(a);
      if (cc === S || cc === L) return i64.lt_s(a, i64.const(0));
      if (cc === LE) return i64.le_s(a, i64.const(0));
      if (cc === B || cc === 0) return i32.const(0);
      return undefined;
    }
    if (!o) return undefined;
    const { width, a, b, r, base } = o;
    const t = integer(width);
    /** At the top of a register, so that signs are where comparisons look for them. */
    const top = (x: Expr): Expr => (width >= 32 ? x : i32.shl(x, i32.const(32 - width)));
    const zero = width === 64 ? i64.const(0) : i32.const(0);
    if (base === FLAGS_SUB) {
      if (cc === Z) return t.eq(a, b);
      if (cc === B) return t.lt_u(a, b);
      if (cc === BE) return t.le_u(a, b);
      if (cc === L) return t.lt_s(top(a), top(b));
      if (cc === LE) return t.le_s(top(a), top(b));
    }
    if (cc === Z) return t.eqz(masked(r, width));
    if (cc === S) return t.lt_s(top(r), zero);
    if (cc === B) return this.carry();
    if (cc === BE) return i32.or(this.carry(), t.eqz(masked(r, width)));
    return undefined;
  }

  protected fromWords(group: number): Expr {
    const { f } = this;
    const aux = f.let(this.auxWord());
    const result = this.resultWord();
    const zero = (): Expr => i64.eqz(result);
    const carry = (): Expr => i32.shr_u(aux, i32.const(31));
    const overflow = (): Expr => i32.shr_u(i32.xor(aux, i32.shl(aux, i32.const(1))), i32.const(31));
    const sign = (): Expr => i32.xor(i32.wrap(i64.shr_u(result, i64.const(63))), i32.and(aux, i32.const(1)));
    switch (group) {
      case 0:
        return overflow();
      case 1:
        return carry();
      case 2:
        return zero();
      case 3:
        return i32.or(carry(), zero());
      case 4:
        return sign();
      case 5: {
        const parity = i32.and(i32.xor(i32.wrap(result), i32.shr_u(aux, i32.const(8))), i32.const(0xff));
        return i32.xor(i32.and(i32.popcnt(parity), i32.const(1)), i32.const(1));
      }
      case 6:
        return i32.xor(sign(), overflow());
      default:
        return i32.or(zero(), i32.xor(sign(), overflow()));
    }
  }
}
