/**
 * x87 instructions with a memory operand: the operand is read or written here, by the fast path that all memory operands have. The
 * common case of loading and storing doubles is here as a whole; the rest of x87 is in the helpers (assembly/fpu*.ts).
 */
import { Cpu, Record } from '../../state/index.ts';
import { i32, i64, op, type Expr, type LocalRef } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';

const O = Cpu.offsets;
const R = Record.offsets;
const ES = 0x80;
const C1 = 0x200;
const PE = 0x20;
const TOP = 0x3800;
const ONE_TOP = 0x800;
/** Rounding control, and the mask of PE. */
const NEAREST_MASK = 0xc20;
const NEAREST = 0x20;

const load16 = (e: Emitter, offset: number): Expr => op('i32.load16_u', [e.cpu], offset);
const store16 = (e: Emitter, offset: number, value: Expr): void => e.f.do('i32.store16', [e.cpu, value], offset);

/** Waits for pending exceptions and notes where the instruction and its operand are. Returns the status word. */
function enter(e: Emitter): LocalRef {
  const status = e.f.let(load16(e, O.fpuStatus));
  e.f.if(i32.and(status, i32.const(ES)), () => e.helper('pendingException', []));
  e.store64(O.fpuIp, i64.add(e.load64(O.ripBase), op('i64.load16_u', [e.record], R.pageOffset)));
  e.store64(O.fpuDp, e.effectiveAddress());
  return status;
}

/** The helper takes the operand's value. */
const withValue =
  (helper: string): Family =>
  (e) => {
    enter(e);
    e.helper(helper, [e.read(0)]);
  };

/** Byte offset of ST(0)'s slot (less `Cpu.fpr`), given the status word. */
const slotOffset = (status: Expr): Expr => i32.and(i32.shr_u(status, i32.const(7)), i32.const(0x70));
const tagShift = (offset: Expr): Expr => i32.shr_u(offset, i32.const(3));

/** Normal doubles onto a free register; what else there is, the helper knows. */
const loadDouble: Family = (e) => {
  const { f } = e;
  const status = enter(e);
  const bits = e.read(0);
  const pushed = f.let(i32.and(i32.sub(status, i32.const(ONE_TOP)), i32.const(TOP)));
  const offset = f.let(slotOffset(pushed));
  const tags = f.let(load16(e, O.fpuTag));
  const shift = f.let(tagShift(offset));
  const free = i32.eq(i32.and(i32.shr_u(tags, shift), i32.const(3)), i32.const(3));
  const exponent = f.let(i32.and(i32.wrap(i64.shr_u(bits, i64.const(52))), i32.const(0x7ff)));
  const normal = i32.lt_u(i32.sub(exponent, i32.const(1)), i32.const(0x7fe));
  f.if(
    i32.and(free, normal),
    () => {
      store16(e, O.fpuTag, i32.xor(tags, i32.shl(i32.const(3), shift)));
      store16(e, O.fpuStatus, i32.or(i32.and(status, i32.const(~(TOP | C1))), pushed));
      const at = f.let(i32.add(e.cpu, offset));
      f.do('i64.store', [at, i64.or(i64.shl(bits, i64.const(11)), i64.const(-(2n ** 63n)))], O.fpr);
      const sign = i32.and(i32.wrap(i64.shr_u(bits, i64.const(48))), i32.const(0x8000));
      f.do('i64.store', [at, i64.extend_u(i32.or(sign, i32.add(exponent, i32.const(15360))))], O.fpr + 8);
    },
    () => e.helper('fld_m64', [bits]),
  );
};

/** Normal in both formats, rounded to nearest. */
const storeDouble =
  (pop: boolean): Family =>
  (e) => {
    const { f } = e;
    const status = enter(e);
    const offset = f.let(slotOffset(status));
    const at = f.let(i32.add(e.cpu, offset));
    const shift = f.let(tagShift(offset));
    const tags = f.let(load16(e, O.fpuTag));
    const s = f.let(op('i64.load', [at], O.fpr));
    const se = f.let(op('i32.load16_u', [at], O.fpr + 8));
    const exponent = f.let(i32.sub(i32.and(se, i32.const(0x7fff)), i32.const(15360)));
    const present = i32.ne(i32.and(i32.shr_u(tags, shift), i32.const(3)), i32.const(3));
    // Below the greatest exponent, so that a carry does not reach infinity.
    const normal = i32.and(i64.lt_s(s, i64.const(0)), i32.lt_u(i32.sub(exponent, i32.const(1)), i32.const(0x7fd)));
    const nearest = i32.eq(i32.and(load16(e, O.fpuControl), i32.const(NEAREST_MASK)), i32.const(NEAREST));
    f.if(
      i32.and(i32.and(present, normal), nearest),
      () => {
        const kept = i64.and(i64.shr_u(s, i64.const(11)), i64.const(0xf_ffff_ffff_ffff));
        const sign = i64.shl(i64.extend_u(i32.and(se, i32.const(0x8000))), i64.const(48));
        const bits = f.let(i64.or(i64.or(sign, i64.shl(i64.extend_u(exponent), i64.const(52))), kept));
        const dropped = f.let(i32.and(i32.wrap(s), i32.const(0x7ff)));
        const tie = i32.and(i32.eq(dropped, i32.const(0x400)), i32.wrap(bits));
        const up = f.let(i32.or(i32.gt_u(dropped, i32.const(0x400)), i32.and(tie, i32.const(1))));
        e.write(0, i64.add(bits, i64.extend_u(up)));
        const inexact = i32.shl(i32.ne(dropped, i32.const(0)), i32.const(Math.log2(PE)));
        const flags = i32.or(inexact, i32.shl(up, i32.const(Math.log2(C1))));
        if (pop) {
          store16(e, O.fpuTag, i32.or(tags, i32.shl(i32.const(3), shift)));
          const popped = i32.and(i32.add(status, i32.const(ONE_TOP)), i32.const(TOP));
          store16(e, O.fpuStatus, i32.or(i32.or(i32.and(status, i32.const(~(TOP | C1))), popped), flags));
        } else store16(e, O.fpuStatus, i32.or(i32.and(status, i32.const(~C1)), flags));
      },
      () => e.helper(pop ? 'fstp_m64' : 'fst_m64', [e.record]),
    );
  };

const ARITHMETIC = ['add', 'mul', 'com', 'comp', 'sub', 'subr', 'div', 'divr'];
const VALUES = [
  ...ARITHMETIC.flatMap((name) => [`f${name}_m32`, `f${name}_m64`, `fi${name}_m16`, `fi${name}_m32`]),
  'fld_m32', 'fild_m16', 'fild_m32', 'fild_m64',
]; // prettier-ignore

export const x87: Record<string, Family> = {
  ...Object.fromEntries(VALUES.map((name) => [name, withValue(name)])),
  fld_m64: loadDouble,
  fst_m64: storeDouble(false),
  fstp_m64: storeDouble(true),
};
