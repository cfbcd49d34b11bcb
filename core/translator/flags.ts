/**
 * Arithmetic flags in a region: what made them, in four locals. `kind` is that of the last instruction that set them all (its operands or result in
 * `a` and `b`), plus that of one which changed some of them since (OVER_*, its operand in `c`): INC leaves CF as it was, a rotate all but CF and
 * OF. They become `flagResult` and `flagAux` of the vCPU only where someone looks: `buildFlush` is the function that does it, from the kind at run
 * time.
 */
import type { Width } from '../processor/semantics/widths.ts';
import { Cpu } from '../state/index.ts';
import { FunctionBuilder, i32, i64, op, select, type Expr, type LocalRef, type ModuleBuilder } from '../wasm/index.ts';

const O = Cpu.offsets;

/** In the vCPU's state: in `flagResult` and `flagAux`, or as another region left them (`Cpu.flagKind`). */
export const FLAGS_MEMORY = 0;
/** `a` is the result, `b` the auxiliary word. */
export const FLAGS_RAW = 1;
/** `a` is the result; CF, OF and AF are 0. */
export const FLAGS_LOGIC = 2;
/** `a` and `b` are the operands. The kind is this plus log2(width / 8), like the next. */
export const FLAGS_ADD = 4;
export const FLAGS_SUB = 8;
const BASE = 15;

const OVER_SHIFT = 4;
export const OVER_NONE = 0;
/** CF is bit 0 of `c`. */
export const OVER_CARRY = 1 << OVER_SHIFT;
/** CF and OF are as in bits 31 and 30 of `c`, which stand as in `flagAux`. */
export const OVER_OVERFLOW = 2 << OVER_SHIFT;
/** `c` is the operand, CF stays. The kind is this plus log2(width / 8) << 4, like the next. */
export const OVER_INC = 4 << OVER_SHIFT;
export const OVER_DEC = 8 << OVER_SHIFT;

export const kindOf = (base: number, width: Width): number => base + Math.log2(width / 8);
export const overOf = (base: number, width: Width): number => base + (Math.log2(width / 8) << OVER_SHIFT);
/** Of INC and DEC. */
export const overWidth = (over: number): Width => (8 << ((over >> OVER_SHIFT) & 3)) as Width;
export const isStep = (over: number): boolean => over >= OVER_INC;

/** What is known of `kind` at a place: its two parts; undefined: any. */
export interface Known {
  readonly base: number | undefined;
  readonly over: number | undefined;
}
export const UNKNOWN: Known = { base: undefined, over: undefined };
export const IN_MEMORY: Known = { base: FLAGS_MEMORY, over: OVER_NONE };

/** What is known where either of two holds: `one` itself if it covers the other. */
export function either(one: Known, other: Known): Known {
  if (covers(one, other)) return one;
  return { base: one.base === other.base ? one.base : undefined, over: one.over === other.over ? one.over : undefined };
}

/** Whether what is known of a place holds for a state. */
export const covers = (place: Known, state: Known): boolean =>
  (place.base === undefined || place.base === state.base) && (place.over === undefined || place.over === state.over);

/** Whether a change makes one that was there before of no account. */
export function replaces(over: number, before: number): boolean {
  if (before === OVER_NONE) return true;
  if (isStep(over)) return isStep(before);
  return before === OVER_CARRY || (before === OVER_OVERFLOW && over === OVER_OVERFLOW);
}

export const keepingBase = (kind: Expr): Expr => i32.and(kind, i32.const(BASE));

/** The flags' locals. */
export interface FlagLocals {
  readonly kind: LocalRef;
  readonly a: LocalRef;
  readonly b: LocalRef;
  readonly c: LocalRef;
}

export const FLUSH_PARAMETERS = ['i32', 'i32', 'i64', 'i64', 'i64'] as const;

/** Makes the words from what a region left, if it did. */
export const flushLeft = (f: FunctionBuilder, cpu: LocalRef, flush: number): void =>
  f.call(flush, [cpu, i32.const(FLAGS_MEMORY), i64.const(0), i64.const(0), i64.const(0)]);

/** Leaves flags to the next region as they are: it will hardly look at them. */
export function leaveFlags(f: FunctionBuilder, cpu: LocalRef, { kind, a, b, c }: FlagLocals, flush: number): void {
  f.if(kind, () =>
    f.if(
      keepingBase(kind),
      () => {
        f.do('i32.store', [cpu, kind], O.flagKind);
        f.do('i64.store', [cpu, a], O.flagA);
        f.do('i64.store', [cpu, b], O.flagB);
        f.do('i64.store', [cpu, c], O.flagC);
      },
      () => f.call(flush, [cpu, kind, a, b, c]),
    ),
  );
}

/** Carries out of every bit of x + y (or x - y) = r. */
const carriesOf = (minus: boolean, x: Expr, y: Expr, r: Expr): Expr => {
  const ones = i64.const(-1);
  if (!minus) return i64.or(i64.and(x, y), i64.and(i64.or(x, y), i64.xor(r, ones)));
  const nx = i64.xor(x, ones);
  return i64.or(i64.and(nx, y), i64.and(i64.or(nx, y), r));
};

/** x - y or x + y, with its carries. */
function combine(f: FunctionBuilder, minus: Expr, x: LocalRef, y: LocalRef): { readonly r: LocalRef; readonly carries: LocalRef } {
  const [r, carries] = [f.local('i64'), f.local('i64')];
  const compute = (down: boolean): void => {
    f.set(r, down ? i64.sub(x, y) : i64.add(x, y));
    f.set(carries, carriesOf(down, x, y, r));
  };
  f.if(
    minus,
    () => compute(true),
    () => compute(false),
  );
  return { r, carries };
}

/** Bits by which operands of a kind's width have to be shifted to stand at the top. */
const shiftOf = (width: Expr): Expr => i64.extend_u(i32.sub(i32.const(64), i32.shl(i32.const(8), i32.and(width, i32.const(3)))));
const topBits = (carries: Expr): Expr => i32.and(i32.wrap(i64.shr_u(carries, i64.const(32))), i32.const(0xc000_0000));

/** base(cpu, kind, a, b): `flagResult` and `flagAux` as the last instruction made them that set all flags. */
function buildBase(): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i64', 'i64'], []);
  const [cpu, kind, a, b] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  f.if(i32.lt_u(kind, i32.const(FLAGS_ADD)), () => {
    f.do('i64.store', [cpu, a], O.flagResult);
    f.do('i32.store', [cpu, select(i32.eq(kind, i32.const(FLAGS_RAW)), i32.wrap(b), i32.const(0))], O.flagAux);
    f.return();
  });
  // All widths as 64 bits.
  const shift = f.let(shiftOf(kind));
  const x = f.let(i64.shl(a, shift));
  const y = f.let(i64.shl(b, shift));
  const { r, carries } = combine(f, i32.ge_u(kind, i32.const(FLAGS_SUB)), x, y);
  f.do('i64.store', [cpu, i64.shr_s(r, shift)], O.flagResult);
  f.do('i32.store', [cpu, i32.or(topBits(carries), i32.and(i32.wrap(i64.shr_u(carries, shift)), i32.const(8)))], O.flagAux);
  return f;
}

/** over(cpu, kind, c): changes them as the instruction did that left some of them as they were. */
function buildOver(): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i64'], []);
  const [cpu, kind, c] = [f.param(0), f.param(1), f.param(2)];
  const aux = f.let(op('i32.load', [cpu], O.flagAux));
  const put = (value: Expr): void => f.do('i32.store', [cpu, value], O.flagAux);
  f.if(i32.eq(kind, i32.const(OVER_CARRY)), () => {
    // Bit 30 is CF xor OF.
    const flip = i32.xor(i32.shr_u(aux, i32.const(31)), i32.wrap(c));
    put(i32.xor(aux, i32.mul(flip, i32.const(0xc000_0000))));
    f.return();
  });
  f.if(i32.eq(kind, i32.const(OVER_OVERFLOW)), () => {
    put(i32.or(i32.and(aux, i32.const(0x3fff_ffff)), i32.wrap(c)));
    f.return();
  });
  const shift = f.let(shiftOf(i32.shr_u(kind, i32.const(OVER_SHIFT))));
  const x = f.let(i64.shl(c, shift));
  const y = f.let(i64.shl(i64.const(1), shift));
  const { r, carries } = combine(f, i32.ge_u(kind, i32.const(OVER_DEC)), x, y);
  const top = f.let(topBits(carries));
  const overflow = i32.and(i32.xor(top, i32.shl(top, i32.const(1))), i32.const(0x8000_0000));
  const carry = f.let(i32.and(aux, i32.const(0x8000_0000)));
  f.do('i64.store', [cpu, i64.shr_s(r, shift)], O.flagResult);
  put(i32.or(i32.or(i32.and(i32.wrap(i64.shr_u(carries, shift)), i32.const(8)), carry), i32.shr_u(i32.xor(carry, overflow), i32.const(1))));
  return f;
}

/**
 * flush(cpu, kind, a, b, c): makes `flagResult` and `flagAux` from a kind and operands, which below 64 bits are zero-extended (their upper bits do
 * not count). A kind without its first part: from those that a region left, if any.
 */
export function addFlush(module: ModuleBuilder): number {
  const base = module.function(buildBase());
  const over = module.function(buildOver());
  const f = new FunctionBuilder([...FLUSH_PARAMETERS], []);
  const [cpu, kind, a, b, c] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4)];
  const change = (k: Expr, operand: Expr): void => {
    const part = f.let(i32.and(k, i32.const(~BASE)));
    f.if(part, () => f.call(over, [cpu, part, operand]));
  };
  const left = f.let(op('i32.load', [cpu], O.flagKind));
  f.do('i32.store', [cpu, i32.const(0)], O.flagKind);
  f.if(
    keepingBase(kind),
    () => f.call(base, [cpu, keepingBase(kind), a, b]),
    () =>
      f.if(left, () => {
        f.call(base, [cpu, keepingBase(left), op('i64.load', [cpu], O.flagA), op('i64.load', [cpu], O.flagB)]);
        change(left, op('i64.load', [cpu], O.flagC));
      }),
  );
  change(kind, c);
  return module.function(f);
}
