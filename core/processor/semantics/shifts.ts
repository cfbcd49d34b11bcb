/** Shifts, rotates and double shifts (Intel SDM vol. 1, 5.1.5). A count of 0 after masking changes nothing, flags included. */
import { i32, i64, type Expr, type LocalRef } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';
import { constant, fit, integer, masked, signed, type Width } from './widths.ts';

const bit = (value: Expr, w: Width, index: Expr): Expr =>
  w === 64 ? i32.wrap(i64.and(i64.shr_u(value, index), i64.const(1))) : i32.and(i32.shr_u(value, index), i32.const(1));
const top = (value: Expr, w: Width): Expr => bit(value, w, constant(w, w - 1));

/** The count operand, masked to 5 or 6 bits, at the operand's type. */
function shiftCount(e: Emitter, i: number, w: Width): LocalRef {
  return e.f.let(fit(i32.and(fit(e.read(i), 32), i32.const(w === 64 ? 63 : 31)), w));
}

/** A count of 0: a 32-bit register is zero-extended all the same; a memory operand was checked for writing and stays as it is. */
const unchanged = (e: Emitter, w: Width, a: LocalRef): (() => void) | undefined =>
  w === 32 && !e.isMemory(0) ? () => e.write(0, a) : undefined;

type Shift = (e: Emitter, w: Width, a: LocalRef, n: LocalRef) => void;
const shift =
  (body: Shift): Family =>
  (e) => {
    const w = e.width(0);
    const a = e.modify(0);
    const n = shiftCount(e, 1, w);
    const t = integer(w);
    e.f.if(t.ne(n, constant(w, 0)), () => body(e, w, a, n), unchanged(e, w, a));
  };

const shl = shift((e, w, a, n) => {
  const t = integer(w);
  // Below 32 bits the value sits in 32: counts to 31 shift out as they should.
  const r = e.f.let(t.shl(a, n));
  e.write(0, r);
  const carry = w >= 32 ? bit(a, w, t.sub(constant(w, w), n)) : i32.and(i32.shr_u(r, i32.const(w)), i32.const(1));
  const c = e.f.let(carry);
  e.flagsResult(w, r, c, i32.xor(top(r, w), c));
});

const shr = shift((e, w, a, n) => {
  const t = integer(w);
  const r = e.f.let(t.shr_u(a, n));
  e.write(0, r);
  e.flagsResult(
    w,
    r,
    bit(a, w, t.sub(n, constant(w, 1))),
    i32.xor(top(r, w), w === 64 ? top(i64.shl(r, i64.const(1)), 64) : bit(r, w, i32.const(w - 2))),
  );
});

const sar = shift((e, w, a, n) => {
  const t = integer(w);
  const wide = w === 64 ? a : e.f.let(i32.wrap(signed(a, w)));
  const r = e.f.let(t.shr_s(wide, n));
  e.write(0, r);
  e.flagsResult(w, r, bit(t.shr_s(wide, t.sub(n, constant(w, 1))), w, constant(w, 0)), i32.const(0));
});

/** Rotates change CF and OF only; for counts that are multiples of the width the value stays but CF is set from it. */
const rotate =
  (left: boolean): Family =>
  (e) =>
    shift((e2, w, a, n) => {
      const t = integer(w);
      let r: LocalRef;
      if (w >= 32) r = e2.f.let(left ? t.rotl(a, n) : t.rotr(a, n));
      else {
        const m = e2.f.let(i32.and(n, i32.const(w - 1)));
        const other = i32.and(i32.sub(i32.const(w), m), i32.const(w - 1));
        const l = left ? m : other;
        const rgt = left ? other : m;
        r = e2.f.let(masked(i32.or(i32.shl(a, l), i32.shr_u(a, rgt)), w));
      }
      e2.write(0, r);
      if (left) {
        const c = e2.f.let(bit(r, w, constant(w, 0)));
        e2.flagsCarryOverflow(c, i32.xor(c, top(r, w)));
      } else {
        const c = e2.f.let(top(r, w));
        e2.flagsCarryOverflow(c, i32.xor(c, bit(r, w, constant(w, w - 2))));
      }
    })(e);

/** Rotates through carry, one bit at a time: rare, and counts are small. */
const rotateCarry =
  (left: boolean): Family =>
  (e) =>
    shift((e2, w, a, n) => {
      const { f } = e2;
      const t = integer(w);
      const value = f.variable(a);
      const carry = f.variable(e2.carry());
      const left32 = f.variable(fit(n, 32));
      if (w < 32) f.set(left32, i32.rem_u(left32, i32.const(w + 1)));
      f.block((done) =>
        f.loop((again) => {
          f.brIf(done, i32.eqz(left32));
          const out = f.let(left ? top(value, w) : bit(value, w, constant(w, 0)));
          if (left) f.set(value, t.or(t.shl(value, constant(w, 1)), fit(carry, w)));
          else f.set(value, t.or(t.shr_u(masked(value, w), constant(w, 1)), t.shl(fit(carry, w), constant(w, w - 1))));
          f.set(carry, out);
          f.set(left32, i32.sub(left32, i32.const(1)));
          f.br(again);
        }),
      );
      e2.write(0, value);
      e2.flagsCarryOverflow(carry, left ? i32.xor(carry, top(value, w)) : i32.xor(top(value, w), bit(value, w, constant(w, w - 2))));
    })(e);

/** SHLD, SHRD. With 16-bit operands and counts above 16 the result is undefined: as if the operands were repeated. */
const double =
  (left: boolean): Family =>
  (e) => {
    const { f } = e;
    const w = e.width(0);
    const t = integer(w);
    const a = e.modify(0);
    const b = e.read(1);
    const n = shiftCount(e, 2, w);
    f.if(
      t.ne(n, constant(w, 0)),
      () => {
        let r: LocalRef;
        let c: LocalRef;
        if (w === 16) {
          // a:b:a as 48 bits, in 64.
          const wide = (x: Expr): Expr => i64.extend_u(x);
          const n64 = i64.extend_u(n);
          if (left) {
            const all = i64.or(i64.or(i64.shl(wide(a), i64.const(32)), i64.shl(wide(b), i64.const(16))), wide(a));
            const moved = f.let(i64.shl(all, n64));
            r = f.let(i32.and(i32.wrap(i64.shr_u(moved, i64.const(32))), i32.const(0xffff)));
            c = f.let(i32.and(i32.wrap(i64.shr_u(moved, i64.const(48))), i32.const(1)));
          } else {
            const all = f.let(i64.or(i64.or(i64.shl(wide(a), i64.const(32)), i64.shl(wide(b), i64.const(16))), wide(a)));
            r = f.let(i32.and(i32.wrap(i64.shr_u(all, n64)), i32.const(0xffff)));
            c = f.let(i32.and(i32.wrap(i64.shr_u(all, i64.sub(n64, i64.const(1)))), i32.const(1)));
          }
        } else {
          const rest = t.sub(constant(w, w), n);
          r = f.let(left ? t.or(t.shl(a, n), t.shr_u(b, rest)) : t.or(t.shr_u(a, n), t.shl(b, rest)));
          c = f.let(left ? bit(a, w, rest) : bit(a, w, t.sub(n, constant(w, 1))));
        }
        e.write(0, r);
        e.flagsResult(w, r, c, i32.xor(top(r, w), top(a, w)));
      },
      unchanged(e, w, a),
    );
  };

export const shifts: Record<string, Family> = {
  shl, shr, sar, rol: rotate(true), ror: rotate(false), rcl: rotateCarry(true), rcr: rotateCarry(false), shld: double(true), shrd: double(false),
}; // prettier-ignore
