/** The translator's emitter, second part: arithmetic flags, as kind and operands in locals (../flags.ts). */
import type { Value } from '../../processor/semantics/emitter.ts';
import { integer, masked, signed, type Width } from '../../processor/semantics/widths.ts';
import { i32, i64, type Expr } from '../../wasm/index.ts';
import {
  either, FLAGS_ADD, FLAGS_LOGIC, FLAGS_MEMORY, FLAGS_RAW, FLAGS_SUB, FLUSH_PARAMETERS, IN_MEMORY, isStep, keepingBase, kindOf, OVER_CARRY, OVER_DEC,
  OVER_INC, OVER_NONE, OVER_OVERFLOW, overOf, overWidth, replaces, type Known,
} from '../flags.ts'; // prettier-ignore
import { O } from './frame.ts';
import { RegisterEmitter } from './registers.ts';

const top31 = (x: Expr): Expr => i32.shr_u(x, i32.const(31));
/** Bit 30 of the auxiliary word is CF xor OF, bit 31 CF. */
const overflowOf = (aux: Expr): Expr => top31(i32.xor(aux, i32.shl(aux, i32.const(1))));

/** Condition codes without their lowest bit, which inverts them (vol. 1, appendix B). */
const OVERFLOW = 0, BELOW = 1, ZERO = 2, NOT_ABOVE = 3, SIGN = 4, PARITY = 5, LESS = 6, NOT_GREATER = 7; // prettier-ignore

/** At the top of a register, so that the sign is where comparisons look for it. */
const atTop = (x: Expr, width: Width): Expr => (width >= 32 ? x : i32.shl(x, i32.const(32 - width)));

export abstract class FlagsEmitter extends RegisterEmitter {
  /** The instruction's flags are replaced before anything could look at them. */
  dead = false;
  /** What is known for those who look at them: under a condition, flags that were moved to memory there are known to be there just for them. */
  private seen: Known = IN_MEMORY;

  /** What is known after a change; of one under a condition, after the instruction. */
  private become(known: Known): void {
    if (this.f.depth > this.depth) this.afterwards = this.afterwards ? either(this.afterwards, known) : known;
    else this.known = known;
  }

  /** All flags: kind and operands. */
  protected setLazy(base: number, a: Expr, b: Expr | undefined): void {
    if (this.dead) return;
    const { f, frame } = this;
    const first = f.let(a);
    if (b) f.set(frame.b, b);
    f.set(frame.a, first);
    f.set(frame.kind, i32.const(base));
    this.become({ base, over: OVER_NONE });
  }

  /** Some flags, the others being as they were. */
  private setSome(over: number, operand: Expr): void {
    if (this.dead) return;
    const { f, frame } = this;
    const value = f.let(operand);
    let { known } = this;
    if (known.over === undefined || !replaces(over, known.over)) {
      this.toMemory();
      known = IN_MEMORY;
    }
    const { base, over: before } = known;
    f.set(frame.c, value);
    if (base !== undefined) f.set(frame.kind, i32.const(base | over));
    else f.set(frame.kind, i32.or(before === OVER_NONE ? frame.kind : keepingBase(frame.kind), i32.const(over)));
    this.become({ base, over });
  }

  protected wide(value: Expr, width: Width): Expr {
    if (width === 64) return value;
    return i64.extend_u(value.value !== undefined ? masked(value, width) : value);
  }

  flagsRaw(result: Expr, aux: Expr): void {
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
    if (this.dead) return;
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
    this.setLazy(FLAGS_LOGIC, signed(result, width), undefined);
  }

  flagsIncrement(width: Width, a: Value, _result: Value, down: boolean): void {
    this.setSome(overOf(down ? OVER_DEC : OVER_INC, width), this.wide(a, width));
  }

  protected carryOverflow(carry: Expr, overflow: Expr): Expr {
    const c = this.f.let(carry);
    return i32.or(i32.shl(c, i32.const(31)), i32.shl(i32.xor(c, overflow), i32.const(30)));
  }

  flagsResult(width: Width, result: Value, carry: Expr, overflow: Expr): void {
    if (!this.dead) this.flagsRaw(signed(result, width), this.carryOverflow(carry, overflow));
  }

  flagsCarryOverflow(carry: Expr, overflow: Expr): void {
    if (!this.dead) this.setSome(OVER_OVERFLOW, i64.extend_u(this.carryOverflow(carry, overflow)));
  }

  setCarry(carry: Expr): void {
    this.setSome(OVER_CARRY, i64.extend_u(carry));
  }

  setZero(zero: Expr): void {
    const z = this.f.let(zero);
    this.helper('setFlags', [i32.shl(z, i32.const(6)), i32.const(0x40)]);
  }

  /** The flags go into the vCPU's state, whatever kind they are. */
  protected toMemory(): void {
    if (this.known.base === FLAGS_MEMORY && this.known.over === OVER_NONE) return;
    const { f } = this;
    const { kind, a, b, c } = this.frame;
    f.call(this.frame.import('flush', FLUSH_PARAMETERS, []), [this.cpu, kind, a, b, c]);
    f.set(kind, i32.const(FLAGS_MEMORY));
    this.become(IN_MEMORY);
  }

  /** Sees to it that it is known where the flags are, for those who look at them now. */
  private settle(): void {
    const { known } = this;
    const unknown = known.base === undefined || known.over === undefined;
    if (unknown) this.toMemory();
    this.seen = unknown ? IN_MEMORY : known;
  }

  /** The operands of what set all flags, at its width, and the result. */
  private operands(): { minus: boolean; width: Width; a: Expr; b: Expr; r: Expr } | undefined {
    const { base } = this.seen;
    if (base === undefined || base < FLAGS_ADD) return undefined;
    const width = (8 << (base & 3)) as Width;
    const cut = (x: Expr): Expr => (width === 64 ? x : i32.wrap(x));
    const [a, b] = [cut(this.frame.a), cut(this.frame.b)];
    const t = integer(width);
    const minus = base >= FLAGS_SUB;
    return { minus, width, a, b, r: minus ? t.sub(a, b) : t.add(a, b) };
  }

  carry(): Expr {
    this.settle();
    const { over } = this.seen;
    if (over === OVER_CARRY) return i32.wrap(this.frame.c);
    if (over === OVER_OVERFLOW) return top31(i32.wrap(this.frame.c));
    return this.baseCarry();
  }

  private auxWord(): Expr {
    return this.seen.base === FLAGS_RAW ? i32.wrap(this.frame.b) : this.load32(O.flagAux);
  }

  private resultWord(): Expr {
    return this.seen.base === FLAGS_RAW || this.seen.base === FLAGS_LOGIC ? this.frame.a : this.load64(O.flagResult);
  }

  private baseCarry(): Expr {
    if (this.seen.base === FLAGS_LOGIC) return i32.const(0);
    const o = this.operands();
    if (!o) return top31(this.auxWord());
    const t = integer(o.width);
    return o.minus ? t.lt_u(o.a, o.b) : t.lt_u(masked(o.r, o.width), o.a);
  }

  /** i32 0 or 1: the condition holds. */
  condition(cc: number): Expr {
    const { f } = this;
    this.settle();
    const group = cc >> 1;
    const positive = this.atOnce(group) ?? this.combined(group);
    return f.let(cc & 1 ? i32.eqz(positive) : positive);
  }

  /** The condition as one comparison, where the kind allows it. */
  private atOnce(group: number): Expr | undefined {
    const { base, over } = this.seen;
    if (over !== OVER_NONE) return undefined;
    if (base === FLAGS_LOGIC) {
      const { a } = this.frame;
      if (group === LESS) return i64.lt_s(a, i64.const(0));
      if (group === NOT_GREATER) return i64.le_s(a, i64.const(0));
      return undefined;
    }
    const o = this.operands();
    if (!o?.minus) return undefined;
    const { width, a, b } = o;
    const t = integer(width);
    if (group === ZERO) return t.eq(a, b);
    if (group === BELOW) return t.lt_u(a, b);
    if (group === NOT_ABOVE) return t.le_u(a, b);
    if (group === LESS) return t.lt_s(atTop(a, width), atTop(b, width));
    if (group === NOT_GREATER) return t.le_s(atTop(a, width), atTop(b, width));
    return undefined;
  }

  private combined(group: number): Expr {
    switch (group) {
      case OVERFLOW:
        return this.overflow();
      case BELOW:
        return this.carry();
      case ZERO:
        return this.zero();
      case NOT_ABOVE:
        return i32.or(this.carry(), this.zero());
      case SIGN:
        return this.sign();
      case PARITY:
        return this.parity();
      case LESS:
        return this.less();
      default:
        return i32.or(this.zero(), this.less());
    }
  }

  /** What INC or DEC made, if that is what ZF, SF and PF come from. */
  private stepped(): { down: boolean; width: Width; a: Expr; r: Expr } | undefined {
    const over = this.seen.over!;
    if (!isStep(over)) return undefined;
    const width = overWidth(over);
    const a = width === 64 ? this.frame.c : i32.wrap(this.frame.c);
    const t = integer(width);
    const one = width === 64 ? i64.const(1) : i32.const(1);
    const down = over >= OVER_DEC;
    return { down, width, a, r: down ? t.sub(a, one) : t.add(a, one) };
  }

  /** A result that ZF and SF come from; undefined: the words are to be looked at. */
  private result(): { r: Expr; width: Width } | undefined {
    return this.stepped() ?? this.operands();
  }

  private zero(): Expr {
    const o = this.result();
    return o ? integer(o.width).eqz(masked(o.r, o.width)) : i64.eqz(this.resultWord());
  }

  private sign(): Expr {
    const o = this.result();
    if (o) return integer(o.width).lt_s(atTop(o.r, o.width), o.width === 64 ? i64.const(0) : i32.const(0));
    const negative = i32.wrap(i64.shr_u(this.resultWord(), i64.const(63)));
    return this.seen.base === FLAGS_LOGIC ? negative : i32.xor(negative, i32.and(this.auxWord(), i32.const(1)));
  }

  private parity(): Expr {
    const o = this.result();
    const low = o ? (o.width === 64 ? i32.wrap(o.r) : o.r) : i32.wrap(this.resultWord());
    const inverted = o || this.seen.base === FLAGS_LOGIC ? low : i32.xor(low, i32.shr_u(this.auxWord(), i32.const(8)));
    return i32.xor(i32.and(i32.popcnt(i32.and(inverted, i32.const(0xff))), i32.const(1)), i32.const(1));
  }

  private overflow(): Expr {
    const { over, base } = this.seen;
    if (over === OVER_OVERFLOW) return overflowOf(i32.wrap(this.frame.c));
    const step = this.stepped();
    if (step) {
      // At the one value from which the sign turns.
      const { width, a, down } = step;
      if (width === 64) return i64.eq(a, i64.const(down ? -(2n ** 63n) : 2n ** 63n - 1n));
      return i32.eq(
        masked(a, width),
        i32.const(down ? (-1 << (width - 1)) & (width === 32 ? -1 : (1 << width) - 1) : 2 ** (width - 1) - 1),
      );
    }
    if (base === FLAGS_LOGIC) return i32.const(0);
    const o = this.operands();
    if (!o) return overflowOf(this.auxWord());
    const t = integer(o.width);
    // The signs of the operands (of a difference: that of the second inverted) are the same, that of the result is not.
    const turned = t.and(t.xor(o.a, o.minus ? o.b : o.r), t.xor(o.minus ? o.a : o.b, o.r));
    return t.lt_s(atTop(turned, o.width), o.width === 64 ? i64.const(0) : i32.const(0));
  }

  /** SF is not OF. */
  private less(): Expr {
    const step = this.stepped();
    if (!step) return i32.xor(this.sign(), this.overflow());
    const { width, a, down } = step;
    const limit = down ? 1 : -1;
    return integer(width).lt_s(atTop(a, width), width === 64 ? i64.const(limit) : atTop(i32.const(limit), width));
  }
}
