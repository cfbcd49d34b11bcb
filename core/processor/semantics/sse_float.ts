/**
 * SSE floating point. WebAssembly rounds as the guest does in the usual mode; what it cannot tell is exceptions, and which NaN comes out.
 * So the result is taken only where it raises no flag that MXCSR does not show yet, which its magnitude and the operands' prove; all else goes
 * to the helpers of assembly/sse_float.ts and sse_convert.ts, which are exact.
 */
import { Cpu } from '../../state/index.ts';
import { f32, f64, i32, i64, op, select, v128, type Expr, type LocalRef, type OpName } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';

const MXCSR = Cpu.offsets.mxcsr;
const PE = 0x20;
const PM = 0x1000;
const DAZ = 0x40;
const ROUNDING = 0x6000;
/** Rounding control, masks, FTZ, DAZ and PE as they must be for results to be taken as they come: PE may be raised without further ado. */
const USUAL_MASK = 0xffe0;
const USUAL = 0x1fa0;

type Format = 'ps' | 'pd' | 'ss' | 'sd';
const FORMATS: readonly Format[] = ['ps', 'pd', 'ss', 'sd'];
const isSingle = (format: Format): boolean => format.endsWith('s');
const isScalar = (format: Format): boolean => format.startsWith('s');

/** Numbers of the operations in the helper. */
const OPERATIONS = { add: 0, mul: 1, sub: 2, div: 3, min: 4, max: 5, sqrt: 6, addsub: 7 } as const;
type Arithmetic = 'add' | 'mul' | 'sub' | 'div' | 'sqrt';

const ZERO = v128.const(new Uint8Array(16));
const usual = (e: Emitter): Expr => i32.eq(i32.and(e.load32(MXCSR), i32.const(USUAL_MASK)), i32.const(USUAL));
const clear = (e: Emitter, bits: number): Expr => i32.eqz(i32.and(e.load32(MXCSR), i32.const(bits)));
/** PE is masked and set already. */
const inexactShown = (e: Emitter): Expr => i32.eq(i32.and(e.load32(MXCSR), i32.const(PE | PM)), i32.const(PE | PM));

// -- magnitudes of scalars

const lane = (single: boolean, v: Expr): Expr => op(single ? 'f32x4.extract_lane' : 'f64x2.extract_lane', [v], 0);
const withLane = (single: boolean, v: Expr, x: Expr): Expr => op(single ? 'f32x4.replace_lane' : 'f64x2.replace_lane', [v, x], 0);
/** The bits shifted left by one: magnitude without sign. */
const doubled = (single: boolean, x: Expr): Expr =>
  single ? i32.shl(op('i32.reinterpret_f32', [x]), i32.const(1)) : i64.shl(op('i64.reinterpret_f64', [x]), i64.const(1));
const LEAST = { single: 0x0080_0000, double: 0x0010_0000_0000_0000n };
const INFINITE = { single: 0x7f80_0000, double: 0x7ff0_0000_0000_0000n };

/** low <= |x| < high, by the bits of both. */
function between(single: boolean, x: Expr, low: number | bigint, high: number | bigint): Expr {
  const d = doubled(single, x);
  if (single) return i32.lt_u(i32.sub(d, i32.const(Number(low) * 2)), i32.const((Number(high) - Number(low)) * 2));
  return i64.lt_u(i64.sub(d, i64.const(BigInt(low) * 2n)), i64.const(BigInt.asIntN(64, (BigInt(high) - BigInt(low)) * 2n)));
}

/** Above the least normal number, which may itself be a tiny result rounded up, and finite. */
const normal = (single: boolean, x: Expr): Expr =>
  single ? between(true, x, LEAST.single + 1, INFINITE.single) : between(false, x, LEAST.double + 1n, INFINITE.double);

/** Neither denormal nor NaN. */
function ordinary(single: boolean, x: LocalRef): Expr {
  const nonzero = single ? between(true, x, LEAST.single, INFINITE.single + 1) : between(false, x, LEAST.double, INFINITE.double + 1n);
  return i32.or(nonzero, op(single ? 'f32.eq' : 'f64.eq', [x, single ? f32.const(0) : f64.const(0)]));
}

// -- magnitudes of vectors

const splat = (single: boolean, bits: { single: number; double: bigint }): Expr => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 16; i += single ? 4 : 8) {
    if (single) view.setUint32(i, bits.single, true);
    else view.setBigUint64(i, bits.double, true);
  }
  return v128.const(bytes);
};
const ABOVE_LEAST = { single: LEAST.single + 1, double: LEAST.double + 1n };
const type = (single: boolean): 'f32x4' | 'f64x2' => (single ? 'f32x4' : 'f64x2');
const integerType = (single: boolean): 'i32x4' | 'i64x2' => (single ? 'i32x4' : 'i64x2');

/** All lanes of all vectors are normal; the last is the result, into which infinities and NaNs have gone. */
function allNormal(single: boolean, vectors: readonly Expr[]): Expr {
  const t = type(single);
  const magnitudes = vectors.map((v) => op(`${t}.abs`, [v]));
  const least = magnitudes.reduce((a, b) => op(`${t}.pmin`, [a, b]));
  const large = op(`${t}.ge`, [least, splat(single, ABOVE_LEAST)]);
  const finite = op(`${t}.lt`, [op(`${t}.abs`, [vectors[vectors.length - 1]!]), splat(single, INFINITE)]);
  return op(`${integerType(single)}.all_true`, [op('v128.and', [large, finite])]);
}

/** No lane is a denormal or a NaN. */
function allOrdinary(e: Emitter, single: boolean, vectors: readonly Expr[]): Expr {
  const t = type(single);
  const checks = vectors.map((v) => {
    const m = e.f.let(op(`${t}.abs`, [v]));
    const zero = op(`${t}.eq`, [m, ZERO]);
    const inside = op('v128.and', [op(`${t}.ge`, [m, splat(single, LEAST)]), op(`${t}.le`, [m, splat(single, INFINITE)])]);
    return op('v128.or', [zero, inside]);
  });
  return op(`${integerType(single)}.all_true`, [checks.reduce((a, b) => op('v128.and', [a, b]))]);
}

/** `fast` where the condition holds, else the helper's result. */
function choose(e: Emitter, good: Expr, fast: Expr, helper: string, args: readonly Expr[]): LocalRef {
  const { f } = e;
  const result = f.local(fast.type);
  f.if(
    good,
    () => f.set(result, fast),
    () => f.set(result, e.helperValue(helper, args, fast.type as 'i32' | 'i64' | 'v128')),
  );
  return result;
}

// -- arithmetic

function operate(e: Emitter, what: Arithmetic, format: Format, a: LocalRef, b: LocalRef): LocalRef {
  const { f } = e;
  const single = isSingle(format);
  const args = [i32.const(OPERATIONS[what]), i32.const(FORMATS.indexOf(format)), a, b];
  if (isScalar(format)) {
    const t = single ? 'f32' : 'f64';
    const y = f.let(lane(single, b));
    if (what === 'sqrt') {
      const good = i32.and(usual(e), i32.and(op(`${t}.gt`, [y, single ? f32.const(0) : f64.const(0)]), normal(single, y)));
      return choose(e, good, withLane(single, a, op(`${t}.sqrt`, [y])), 'sseArithmetic', args);
    }
    const x = f.let(lane(single, a));
    const r = f.let(op(`${t}.${what}` as OpName, [x, y]));
    const good = [x, y, r].reduce<Expr>((c, v) => i32.and(c, normal(single, v)), usual(e));
    return choose(e, good, withLane(single, a, r), 'sseArithmetic', args);
  }
  const t = type(single);
  if (what === 'sqrt') {
    const large = op(`${t}.ge`, [b, splat(single, ABOVE_LEAST)]);
    const finite = op(`${t}.lt`, [b, splat(single, INFINITE)]);
    const good = i32.and(usual(e), op(`${integerType(single)}.all_true`, [op('v128.and', [large, finite])]));
    return choose(e, good, op(`${t}.sqrt`, [b]), 'sseArithmetic', args);
  }
  const r = f.let(op(`${t}.${what}` as OpName, [a, b]));
  return choose(e, i32.and(usual(e), allNormal(single, [a, b, r])), r, 'sseArithmetic', args);
}

const arithmetic =
  (what: Arithmetic, format: Format): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, operate(e, what, format, a, b));
  };

/** The second operand where they are equal, or one is a NaN; only denormals and NaNs raise flags. */
const extreme =
  (what: 'min' | 'max', format: Format): Family =>
  (e) => {
    const { f } = e;
    const single = isSingle(format);
    const b = e.readVector(1);
    const a = e.readVector(0);
    const args = [i32.const(OPERATIONS[what]), i32.const(FORMATS.indexOf(format)), a, b];
    if (isScalar(format)) {
      const t = single ? 'f32' : 'f64';
      const x = f.let(lane(single, a));
      const y = f.let(lane(single, b));
      const good = i32.and(clear(e, DAZ), i32.and(ordinary(single, x), ordinary(single, y)));
      const r = select(op(`${t}.${what === 'min' ? 'lt' : 'gt'}`, [x, y]), x, y);
      return e.writeVector(0, choose(e, good, withLane(single, a, r), 'sseArithmetic', args));
    }
    // pmin(b, a) is a < b ? a : b.
    const r = op(`${type(single)}.p${what}`, [b, a]);
    e.writeVector(0, choose(e, i32.and(clear(e, DAZ), allOrdinary(e, single, [a, b])), r, 'sseArithmetic', args));
  };

const SIGN_OF_EVEN = { ps: [0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0], pd: [0, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 0] };

/** Subtracts in the even lanes, adds in the odd ones. */
const alternate =
  (format: 'ps' | 'pd'): Family =>
  (e) => {
    const single = isSingle(format);
    const b = e.readVector(1);
    const a = e.readVector(0);
    const r = e.f.let(op(`${type(single)}.add`, [a, op('v128.xor', [b, v128.const(SIGN_OF_EVEN[format])])]));
    const args = [i32.const(OPERATIONS.addsub), i32.const(FORMATS.indexOf(format)), a, b];
    e.writeVector(0, choose(e, i32.and(usual(e), allNormal(single, [a, b, r])), r, 'sseArithmetic', args));
  };

const lanes32 = (lanes: readonly number[]): number[] => lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]);
/** Neighbours of the destination, then of the source. */
const horizontal =
  (what: 'add' | 'sub', format: 'ps' | 'pd'): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    const first = lanes32(format === 'ps' ? [0, 2, 4, 6] : [0, 1, 4, 5]);
    const second = lanes32(format === 'ps' ? [1, 3, 5, 7] : [2, 3, 6, 7]);
    const x = e.f.let(op('i8x16.shuffle', [a, b], first));
    const y = e.f.let(op('i8x16.shuffle', [a, b], second));
    e.writeVector(0, operate(e, what, format, x, y));
  };

// -- comparisons

/** Predicates 0..7: equal, less, less or equal, unordered, and their complements. */
const compare =
  (format: Format): Family =>
  (e) => {
    const { f } = e;
    const single = isSingle(format);
    const b = e.readVector(1);
    const a = e.readVector(0);
    const predicate = f.let(i32.and(e.read(2), i32.const(7)));
    const args = [predicate, i32.const(FORMATS.indexOf(format)), a, b];
    const t = type(single);
    const p = (i: number): Expr => i32.eq(i32.and(predicate, i32.const(3)), i32.const(i));
    // Without NaNs nothing is unordered.
    const holds = select(p(0), op(`${t}.eq`, [a, b]), select(p(1), op(`${t}.lt`, [a, b]), select(p(2), op(`${t}.le`, [a, b]), ZERO)));
    const inverted = op('i32x4.splat', [i32.sub(i32.const(0), i32.shr_u(predicate, i32.const(2)))]);
    const r = op('v128.xor', [holds, inverted]);
    if (!isScalar(format))
      return e.writeVector(0, choose(e, i32.and(clear(e, DAZ), allOrdinary(e, single, [a, b])), r, 'sseCompare', args));
    const x = f.let(lane(single, a));
    const y = f.let(lane(single, b));
    const good = i32.and(clear(e, DAZ), i32.and(ordinary(single, x), ordinary(single, y)));
    e.writeVector(0, choose(e, good, withLane(single, a, lane(single, r)), 'sseCompare', args));
  };

/** COMISS and its kin: CF less, ZF equal, all of ZF, PF and CF unordered. */
const order =
  (single: boolean, quiet: boolean): Family =>
  (e) => {
    const { f } = e;
    const b = e.readVector(1);
    const a = e.readVector(0);
    const t = single ? 'f32' : 'f64';
    const x = f.let(lane(single, a));
    const y = f.let(lane(single, b));
    const good = i32.and(clear(e, DAZ), i32.and(ordinary(single, x), ordinary(single, y)));
    f.if(
      good,
      () => {
        const equal = f.let(op(`${t}.eq`, [x, y]));
        const less = op(`${t}.lt`, [x, y]);
        // The result is 0 or 1; P (bits 8..15) keeps PF clear in both cases.
        e.flagsRaw(i64.extend_u(i32.eqz(equal)), i32.or(i32.mul(less, i32.const(0xc000_0000)), i32.shl(equal, i32.const(8))));
      },
      () => {
        const flags = e.helperValue('sseOrder', [i32.const(Number(single)), i32.const(Number(quiet)), a, b], 'i32');
        e.helper('setArithmeticFlags', [flags]);
      },
    );
  };

// -- conversions

/** CVTSI2SS, CVTSI2SD: exact up to the significand's width; beyond it PE may be raised. */
const fromInteger =
  (single: boolean): Family =>
  (e) => {
    const { f } = e;
    const v = e.read(1);
    const a = e.readVector(0);
    const wide = v.type === 'i64';
    const convert = op(`${single ? 'f32' : 'f64'}.convert_${v.type}_s` as OpName, [v]);
    if (!single && !wide) return e.writeVector(0, withLane(false, a, convert));
    const digits = single ? 24 : 53;
    const exact = wide
      ? i64.le_u(i64.add(v, i64.const(2n ** BigInt(digits))), i64.const(2n ** BigInt(digits + 1)))
      : i32.le_u(i32.add(v, i32.const(2 ** digits)), i32.const(2 ** (digits + 1)));
    const result = f.local('v128');
    f.if(
      i32.or(exact, usual(e)),
      () => f.set(result, withLane(single, a, convert)),
      () => {
        const bits = e.helperValue('sseFromInteger', [i32.const(Number(single)), wide ? v : i64.extend_s(v)], 'i64');
        f.set(result, single ? op('i32x4.replace_lane', [a, i32.wrap(bits)], 0) : op('i64x2.replace_lane', [a, bits], 0));
      },
    );
    e.writeVector(0, result);
  };

/** CVTSS2SI and its kin: the most negative result means, mostly, that it did not fit. */
const toInteger =
  (single: boolean, truncate: boolean): Family =>
  (e) => {
    const { f } = e;
    const wide = e.width(0) === 64;
    const b = e.readVector(1);
    const raw = lane(single, b);
    const x = f.let(single ? op('f64.promote_f32', [raw]) : raw);
    const rounded = f.let(truncate ? op('f64.trunc', [x]) : op('f64.nearest', [x]));
    const t = wide ? 'i64' : 'i32';
    const r = f.let(op(`${t}.trunc_sat_f64_s`, [rounded]));
    const fits = wide
      ? op('f64.lt', [op('f64.abs', [rounded]), f64.const(2 ** 63)])
      : op('f64.lt', [op('f64.abs', [rounded]), f64.const(2 ** 31)]);
    const silent = i32.or(op('f64.eq', [rounded, x]), inexactShown(e));
    const good = i32.and(i32.and(fits, silent), clear(e, truncate ? DAZ : DAZ | ROUNDING));
    const args = [i32.const(Number(single)), i32.const(wide ? 64 : 32), i32.const(Number(truncate)), b];
    const result = f.local(t);
    f.if(
      good,
      () => f.set(result, r),
      () => {
        const v = e.helperValue('sseToInteger', args, 'i64');
        f.set(result, wide ? v : i32.wrap(v));
      },
    );
    e.write(0, result);
  };

const singleToDouble: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  const x = e.f.let(lane(true, b));
  const good = i32.and(clear(e, DAZ), ordinary(true, x));
  e.writeVector(0, choose(e, good, withLane(false, a, op('f64.promote_f32', [x])), 'changeScalarFormat', [i32.const(1), a, b]));
};

const doubleToSingle: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  const r = e.f.let(op('f32.demote_f64', [lane(false, b)]));
  const good = i32.and(usual(e), normal(true, r));
  e.writeVector(0, choose(e, good, withLane(true, a, r), 'changeScalarFormat', [i32.const(0), a, b]));
};

const singlesToDoubles: Family = (e) => {
  const b = e.readVector(1);
  // The upper lanes of a register do not count.
  const pair = e.f.let(op('i64x2.replace_lane', [b, i64.const(0)], 1));
  const good = i32.and(clear(e, DAZ), allOrdinary(e, true, [pair]));
  e.writeVector(0, choose(e, good, op('f64x2.promote_low_f32x4', [b]), 'changePackedFormat', [i32.const(1), b]));
};

const doublesToSingles: Family = (e) => {
  const b = e.readVector(1);
  const r = e.f.let(op('f32x4.demote_f64x2_zero', [b]));
  const doubled = op('i64x2.splat', [op('i64x2.extract_lane', [r], 0)]);
  const good = i32.and(usual(e), allNormal(true, [doubled]));
  e.writeVector(0, choose(e, good, r, 'changePackedFormat', [i32.const(0), b]));
};

const integersToDoubles: Family = (e) => e.writeVector(0, op('f64x2.convert_low_i32x4_s', [e.readVector(1)]));

const integersToSingles: Family = (e) => {
  const b = e.readVector(1);
  const args = [i32.const(4), ZERO, b];
  e.writeVector(0, choose(e, usual(e), op('f32x4.convert_i32x4_s', [b]), 'integersToSingles', args));
};

const singlesToIntegers =
  (truncate: boolean): Family =>
  (e) => {
    const b = e.readVector(1);
    const rounded = e.f.let(op(truncate ? 'f32x4.trunc' : 'f32x4.nearest', [b]));
    const limit = splat(true, { single: 0x4f00_0000, double: 0n });
    const fits = op('i32x4.all_true', [op('f32x4.lt', [op('f32x4.abs', [rounded]), limit])]);
    const good = i32.and(i32.and(fits, inexactShown(e)), clear(e, truncate ? DAZ : DAZ | ROUNDING));
    const args = [i32.const(Number(truncate)), i32.const(4), b];
    e.writeVector(0, choose(e, good, op('i32x4.trunc_sat_f32x4_s', [rounded]), 'singlesToIntegers', args));
  };

const doublesToIntegers =
  (truncate: boolean): Family =>
  (e) =>
    e.writeVector(0, e.helperValue('doublesToIntegers', [i32.const(Number(truncate)), e.readVector(1)], 'v128'));

// -- rare ones

const rounding =
  (format: Format): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, e.helperValue('sseRound', [e.read(2), i32.const(FORMATS.indexOf(format)), a, b], 'v128'));
  };

const dotProduct =
  (double: boolean): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, e.helperValue('sseDotProduct', [e.read(2), i32.const(Number(double)), a, b], 'v128'));
  };

const approximate =
  (root: boolean, format: 'ps' | 'ss'): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, e.helperValue('sseApproximate', [i32.const(Number(root)), i32.const(FORMATS.indexOf(format)), a, b], 'v128'));
  };

const inFormats = (name: string, make: (format: Format) => Family): Record<string, Family> =>
  Object.fromEntries(FORMATS.map((format) => [name + format, make(format)]));

export const sseFloat: Record<string, Family> = {
  ...inFormats('add', (f) => arithmetic('add', f)),
  ...inFormats('sub', (f) => arithmetic('sub', f)),
  ...inFormats('mul', (f) => arithmetic('mul', f)),
  ...inFormats('div', (f) => arithmetic('div', f)),
  ...inFormats('sqrt', (f) => arithmetic('sqrt', f)),
  ...inFormats('min', (f) => extreme('min', f)),
  ...inFormats('max', (f) => extreme('max', f)),
  ...inFormats('cmp_', compare),
  ...inFormats('round', rounding),
  addsubps: alternate('ps'), addsubpd: alternate('pd'),
  haddps: horizontal('add', 'ps'), haddpd: horizontal('add', 'pd'), hsubps: horizontal('sub', 'ps'), hsubpd: horizontal('sub', 'pd'),
  comiss: order(true, false), ucomiss: order(true, true), comisd: order(false, false), ucomisd: order(false, true),
  cvtsi2ss: fromInteger(true), cvtsi2sd: fromInteger(false),
  cvtss2si: toInteger(true, false), cvttss2si: toInteger(true, true), cvtsd2si: toInteger(false, false), cvttsd2si: toInteger(false, true),
  cvtss2sd: singleToDouble, cvtsd2ss: doubleToSingle, cvtps2pd: singlesToDoubles, cvtpd2ps: doublesToSingles,
  cvtdq2pd: integersToDoubles, cvtdq2ps: integersToSingles,
  cvtps2dq: singlesToIntegers(false), cvttps2dq: singlesToIntegers(true), cvtpd2dq: doublesToIntegers(false), cvttpd2dq: doublesToIntegers(true),
  dpps: dotProduct(false), dppd: dotProduct(true),
  rcpps: approximate(false, 'ps'), rcpss: approximate(false, 'ss'), rsqrtps: approximate(true, 'ps'), rsqrtss: approximate(true, 'ss'),
}; // prettier-ignore
