/**
 * Arithmetic flags in a region: what made them (a kind) and its operands, in three locals. They become `flagResult` and `flagAux` of the vCPU only
 * where someone looks: `buildFlush` is the function that does it, from the kind at run time.
 */
import type { Width } from '../processor/semantics/widths.ts';
import { Cpu } from '../state/index.ts';
import { FunctionBuilder, i32, i64, op, type LocalRef } from '../wasm/index.ts';

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
/** `a` is the operand, `b` the carry that stays. */
export const FLAGS_INC = 12;
export const FLAGS_DEC = 16;

export const kindOf = (base: number, width: Width): number => base + Math.log2(width / 8);

/** Leaves flags to the next region as they are: it will hardly look at them. */
export function leaveFlags(f: FunctionBuilder, cpu: LocalRef, kind: LocalRef, a: LocalRef, b: LocalRef): void {
  f.if(kind, () => {
    f.do('i32.store', [cpu, kind], O.flagKind);
    f.do('i64.store', [cpu, a], O.flagA);
    f.do('i64.store', [cpu, b], O.flagB);
  });
}

/**
 * flush(cpu, kind, a, b): makes `flagResult` and `flagAux` from a kind and operands, which below 64 bits are zero-extended (their upper bits do not
 * count). Kind 0: from those that a region left, if any.
 */
export function buildFlush(): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32', 'i64', 'i64'], []);
  const [cpu, kind, a, b] = [f.param(0), f.param(1), f.param(2), f.param(3)];
  f.if(i32.eqz(kind), () => {
    f.set(kind, op('i32.load', [cpu], O.flagKind));
    f.if(i32.eqz(kind), () => f.return());
    f.set(a, op('i64.load', [cpu], O.flagA));
    f.set(b, op('i64.load', [cpu], O.flagB));
  });
  f.do('i32.store', [cpu, i32.const(0)], O.flagKind);
  f.if(i32.lt_u(kind, i32.const(FLAGS_ADD)), () => {
    f.do('i64.store', [cpu, a], O.flagResult);
    f.if(
      i32.eq(kind, i32.const(FLAGS_RAW)),
      () => f.do('i32.store', [cpu, i32.wrap(b)], O.flagAux),
      () => f.do('i32.store', [cpu, i32.const(0)], O.flagAux),
    );
    f.return();
  });
  // All widths as 64 bits: the operands stand at the top.
  const shift = f.let(i64.extend_u(i32.sub(i32.const(64), i32.shl(i32.const(8), i32.and(kind, i32.const(3))))));
  const step = i32.ge_u(kind, i32.const(FLAGS_INC));
  const carry = f.let(i32.wrap(b));
  const x = f.let(i64.shl(a, shift));
  const y = f.variable(i64.shl(b, shift));
  f.if(step, () => f.set(y, i64.shl(i64.const(1), shift)));
  const minus = f.let(
    i32.or(i32.eq(i32.and(kind, i32.const(~3)), i32.const(FLAGS_SUB)), i32.eq(i32.and(kind, i32.const(~3)), i32.const(FLAGS_DEC))),
  );
  const r = f.local('i64');
  const carries = f.local('i64');
  const ones = i64.const(-1);
  f.if(
    minus,
    () => {
      f.set(r, i64.sub(x, y));
      const nx = i64.xor(x, ones);
      f.set(carries, i64.or(i64.and(nx, y), i64.and(i64.or(nx, y), r)));
    },
    () => {
      f.set(r, i64.add(x, y));
      f.set(carries, i64.or(i64.and(x, y), i64.and(i64.or(x, y), i64.xor(r, ones))));
    },
  );
  const top = i32.and(i32.wrap(i64.shr_u(carries, i64.const(32))), i32.const(0xc000_0000));
  const aux = f.variable(i32.or(top, i32.and(i32.wrap(i64.shr_u(carries, shift)), i32.const(8))));
  f.if(step, () => {
    const overflow = f.let(i32.and(i32.xor(aux, i32.shl(aux, i32.const(1))), i32.const(0x8000_0000)));
    const old = f.let(i32.shl(carry, i32.const(31)));
    f.set(aux, i32.or(i32.or(i32.and(aux, i32.const(8)), old), i32.shr_u(i32.xor(old, overflow), i32.const(1))));
  });
  f.do('i64.store', [cpu, i64.shr_s(r, shift)], O.flagResult);
  f.do('i32.store', [cpu, aux], O.flagAux);
  return f;
}
