/** SSE without floating-point arithmetic, on WebAssembly SIMD (Intel SDM vol. 2). Where the two differ, a comment says how. */
import { i32, i64, op, select, v128, type Expr, type LocalRef, type OpName } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';

const ZERO = v128.const(new Uint8Array(16));
const binary = (name: OpName): Combine => (a, b) => op(name, [a, b]); // prettier-ignore
type Combine = (a: LocalRef, b: LocalRef, e: Emitter) => Expr;

/** destination = f(destination, source). */
const two =
  (f: Combine): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, f(a, b, e));
  };
/** destination = f(source). */
const one =
  (f: (a: LocalRef, e: Emitter) => Expr): Family =>
  (e) => {
    const a = e.readVector(1);
    e.writeVector(0, f(a, e));
  };

const shuffle = (a: Expr, b: Expr, lanes: readonly number[]): Expr => op('i8x16.shuffle', [a, b], lanes);
/** Byte lanes of elements of `bytes` bytes. */
const lanes = (bytes: number, elements: readonly number[]): number[] =>
  elements.flatMap((e) => Array.from({ length: bytes }, (_, i) => e * bytes + i));
const interleave =
  (bytes: number, high: boolean): Combine =>
  (a, b) => {
    const n = 16 / bytes;
    const first = high ? n / 2 : 0;
    return shuffle(a, b, lanes(bytes, Array.from({ length: n / 2 }, (_, i) => [first + i, n + first + i]).flat()));
  };

// -- moves

const moveAligned: Family = (e) => e.writeVector(0, e.readVector(1));
const moveUnaligned: Family = (e) => e.writeVector(0, e.readVector(1, true), true);

const scalarLane = (e: Emitter, operand: number): { extract: OpName; replace: OpName } =>
  e.row.operands[operand]!.size === 32
    ? { extract: 'i32x4.extract_lane', replace: 'i32x4.replace_lane' }
    : { extract: 'i64x2.extract_lane', replace: 'i64x2.replace_lane' };

/** From memory the upper part is cleared, from a register kept. */
const scalarLoad: Family = (e) => {
  const s = e.readVector(1);
  if (e.isMemory(1)) return e.writeVector(0, s);
  const { extract, replace } = scalarLane(e, 1);
  e.writeVector(0, op(replace, [e.readVector(0), op(extract, [s], 0)], 0));
};
const scalarStore: Family = (e) => {
  const s = e.readVector(1);
  if (e.isMemory(0)) return e.writeVector(0, s);
  const { extract, replace } = scalarLane(e, 0);
  e.writeVector(0, op(replace, [e.readVector(0), op(extract, [s], 0)], 0));
};

const quad = (v: Expr, lane: number): Expr => op('i64x2.extract_lane', [v], lane);
const withQuad = (v: Expr, lane: number, q: Expr): Expr => op('i64x2.replace_lane', [v, q], lane);

const lowLoad: Family = (e) => {
  const s = e.readVector(1);
  e.writeVector(0, withQuad(e.readVector(0), 0, quad(s, 0)));
};
const highLoad: Family = (e) => {
  const s = e.readVector(1);
  e.writeVector(0, withQuad(e.readVector(0), 1, quad(s, 0)));
};
const lowStore: Family = (e) => e.writeVector(0, e.readVector(1));
const highStore: Family = (e) => e.writeVector(0, shuffle(e.readVector(1), ZERO, lanes(8, [1, 2])));

/** MOVQ clears the upper half. */
const quadLoad: Family = (e) => e.writeVector(0, withQuad(e.readVector(1), 1, i64.const(0)));
const quadStore: Family = (e) => {
  const s = e.readVector(1);
  e.writeVector(0, e.isMemory(0) ? s : withQuad(s, 1, i64.const(0)));
};

const fromGpr: Family = (e) => {
  const s = e.read(1);
  e.writeVector(0, op(s.type === 'i64' ? 'i64x2.replace_lane' : 'i32x4.replace_lane', [ZERO, s], 0));
};
const toGpr: Family = (e) => {
  const s = e.readVector(1);
  e.write(0, e.width(0) === 64 ? quad(s, 0) : op('i32x4.extract_lane', [s], 0));
};

const mask =
  (name: OpName): Family =>
  (e) =>
    e.write(0, op(name, [e.readVector(1)]));

// -- shifts: a count of the width or more clears, or fills with the sign; WebAssembly takes counts modulo the width

type Shift = { readonly name: OpName; readonly bits: number; readonly arithmetic?: boolean };
const shift =
  ({ name, bits, arithmetic }: Shift): Family =>
  (e) => {
    const immediate = e.row.operands[1]!.kind === 'imm';
    const { f } = e;
    const count = immediate ? f.let(i64.extend_u(e.read(1))) : f.let(quad(e.readVector(1), 0));
    const a = e.readVector(0);
    const over = i64.ge_u(count, i64.const(bits));
    if (arithmetic) return e.writeVector(0, op(name, [a, i32.wrap(select(over, i64.const(bits - 1), count))]));
    e.writeVector(0, select(over, ZERO, op(name, [a, i32.wrap(count)])));
  };

const BYTES = v128.const(Array.from({ length: 16 }, (_, i) => i));
/** Byte shifts of the whole register: swizzle gives 0 for an index above 15. */
const byteShift =
  (left: boolean): Family =>
  (e) => {
    const n = e.f.let(e.read(1));
    const count = op('i8x16.splat', [select(i32.gt_u(n, i32.const(16)), i32.const(16), n)]);
    e.writeVector(0, op('i8x16.swizzle', [e.readVector(0), op(left ? 'i8x16.sub' : 'i8x16.add', [BYTES, count])]));
  };

// -- shuffles by an immediate

const field = (imm: Expr, i: number): Expr => i32.and(i32.shr_u(imm, i32.const(2 * i)), i32.const(3));
/** Swizzle indices that pick 32-bit elements. */
const pick32 = (selectors: readonly Expr[]): Expr =>
  selectors.reduce((v, s, i) => op('i32x4.replace_lane', [v, i32.add(i32.mul(s, i32.const(0x04040404)), i32.const(0x03020100))], i), ZERO);

const pshufd: Family = (e) => {
  const s = e.readVector(1);
  const imm = e.read(2);
  e.writeVector(0, op('i8x16.swizzle', [s, pick32([0, 1, 2, 3].map((i) => field(imm, i)))]));
};

const shuffleWords =
  (high: boolean): Family =>
  (e) => {
    const s = e.readVector(1);
    const imm = e.read(2);
    const first = high ? 4 : 0;
    const indices = [0, 1, 2, 3].reduce(
      (v, i) =>
        op(
          'i16x8.replace_lane',
          [v, i32.add(i32.mul(i32.add(field(imm, i), i32.const(first)), i32.const(0x0202)), i32.const(0x0100))],
          first + i,
        ),
      BYTES,
    );
    e.writeVector(0, op('i8x16.swizzle', [s, indices]));
  };

const shufps: Family = (e) => {
  const s = e.readVector(1);
  const d = e.readVector(0);
  const imm = e.read(2);
  const low = e.f.let(op('i8x16.swizzle', [d, pick32([field(imm, 0), field(imm, 1), field(imm, 0), field(imm, 1)])]));
  const high = op('i8x16.swizzle', [s, pick32([field(imm, 2), field(imm, 3), field(imm, 2), field(imm, 3)])]);
  e.writeVector(0, shuffle(low, high, lanes(8, [0, 3])));
};

const shufpd: Family = (e) => {
  const s = e.readVector(1);
  const d = e.readVector(0);
  const imm = e.read(2);
  const low = select(i32.and(imm, i32.const(1)), quad(d, 1), quad(d, 0));
  const high = select(i32.and(imm, i32.const(2)), quad(s, 1), quad(s, 0));
  e.writeVector(0, withQuad(op('i64x2.splat', [low]), 1, high));
};

/** Bytes n.. of source (low) and destination (high) put together. */
const palignr: Family = (e) => {
  const s = e.readVector(1);
  const d = e.readVector(0);
  const n = e.f.let(e.read(2));
  const at = e.f.let(op('i8x16.add', [BYTES, op('i8x16.splat', [select(i32.gt_u(n, i32.const(32)), i32.const(32), n)])]));
  const fromHigh = op('i8x16.swizzle', [d, op('i8x16.sub', [at, op('i8x16.splat', [i32.const(16)])])]);
  e.writeVector(0, op('v128.or', [op('i8x16.swizzle', [s, at]), fromHigh]));
};

/** PSHUFB: bit 7 of an index clears; the low four bits count. */
const pshufb = two((a, b) => op('i8x16.swizzle', [a, op('v128.and', [b, v128.const(new Uint8Array(16).fill(0x8f))])]));

const pinsrw: Family = (e) => {
  const s = e.read(1);
  const at = e.f.let(i32.and(e.read(2), i32.const(7)));
  const d = e.readVector(0);
  const wanted = op('i16x8.eq', [op('i16x8.splat', [at]), v128.const([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0])]);
  e.writeVector(0, op('v128.bitselect', [op('i16x8.splat', [s]), d, wanted]));
};

const pextrw: Family = (e) => {
  const s = e.readVector(1);
  const at = e.f.let(i32.and(e.read(2), i32.const(7)));
  const moved = op('i8x16.swizzle', [s, op('i8x16.add', [BYTES, op('i8x16.splat', [i32.shl(at, i32.const(1))])])]);
  e.write(0, op('i16x8.extract_lane_u', [moved], 0));
};

// -- arithmetic that has no single counterpart

const even = (a: Expr, bytes: number): Expr =>
  shuffle(
    a,
    a,
    lanes(
      bytes,
      Array.from({ length: 16 / bytes }, (_, i) => i & ~1),
    ),
  );

/** Products of the even 32-bit elements. */
const multiplyEven = (signed: boolean): Combine => (a, b) => {
  const pack = (x: Expr): Expr => shuffle(x, x, lanes(4, [0, 2, 0, 2]));
  return op(signed ? 'i64x2.extmul_low_i32x4_s' : 'i64x2.extmul_low_i32x4_u', [pack(a), pack(b)]);
}; // prettier-ignore

const multiplyHigh = (sign: 's' | 'u'): Combine => (a, b) => {
  const low = op(`i32x4.extmul_low_i16x8_${sign}`, [a, b]);
  const high = op(`i32x4.extmul_high_i16x8_${sign}`, [a, b]);
  return shuffle(low, high, lanes(2, [1, 3, 5, 7, 9, 11, 13, 15]));
}; // prettier-ignore

/** Sums of absolute differences of bytes, in each half. */
const psadbw: Combine = (a, b, e) => {
  const d = e.f.let(op('i8x16.sub', [op('i8x16.max_u', [a, b]), op('i8x16.min_u', [a, b])]));
  const words = op('i16x8.extadd_pairwise_i8x16_u', [d]);
  const doubles = e.f.let(op('i32x4.extadd_pairwise_i16x8_u', [words]));
  const sums = op('i64x2.add', [
    op('v128.and', [doubles, v128.const([255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0])]),
    op('i64x2.shr_u', [doubles, i32.const(32)]),
  ]);
  return sums;
};

const pmaddubsw: Combine = (a, b) => {
  // Unsigned bytes of the destination by signed bytes of the source; the sums saturate.
  const product = (half: 'low' | 'high'): Expr =>
    op('i16x8.mul', [op(`i16x8.extend_${half}_i8x16_u`, [a]), op(`i16x8.extend_${half}_i8x16_s`, [b])]);
  const sums = (half: 'low' | 'high'): Expr => op('i32x4.extadd_pairwise_i16x8_s', [product(half)]);
  return op('i16x8.narrow_i32x4_s', [sums('low'), sums('high')]);
};

/** (a * b + 0x4000) >> 15; -32768 * -32768 wraps, where q15mulr saturates. */
const pmulhrsw: Combine = (a, b, e) => {
  const r = e.f.let(op('i16x8.q15mulr_sat_s', [a, b]));
  const least = op('i16x8.splat', [i32.const(-32768)]);
  const both = op('v128.and', [op('i16x8.eq', [a, least]), op('i16x8.eq', [b, least])]);
  return op('v128.xor', [r, both]);
};

const horizontal = (bytes: 2 | 4, name: OpName): Combine => (a, b) => {
  const n = 16 / bytes;
  const evens = Array.from({ length: n }, (_, i) => 2 * i);
  return op(name, [shuffle(a, b, lanes(bytes, evens)), shuffle(a, b, lanes(bytes, evens.map((x) => x + 1)))]);
}; // prettier-ignore

const sign = (type: 'i8x16' | 'i16x8' | 'i32x4'): Combine => (a, b) => {
  const negative = op(`${type}.lt_s`, [b, ZERO]);
  const value = op('v128.bitselect', [op(`${type}.neg`, [a]), a, negative]);
  return op('v128.andnot', [value, op(`${type}.eq`, [b, ZERO])]);
}; // prettier-ignore

const ptest: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  const zero = i32.eqz(op('v128.any_true', [op('v128.and', [a, b])]));
  const carry = e.f.let(i32.eqz(op('v128.any_true', [op('v128.andnot', [b, a])])));
  e.flagsRaw(select(zero, i64.const(0), i64.const(256)), i32.or(i32.const(1 << 8), i32.mul(carry, i32.const(0xc000_0000))));
};

const pblendvb: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  const m = op('i8x16.shr_s', [e.xmm(0), i32.const(7)]);
  e.writeVector(0, op('v128.bitselect', [b, a, m]));
};

const pblendw: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  const bit = v128.const([1, 0, 2, 0, 4, 0, 8, 0, 16, 0, 32, 0, 64, 0, 128, 0]);
  const chosen = op('i16x8.eq', [op('v128.and', [op('i16x8.splat', [e.read(2)]), bit]), bit]);
  e.writeVector(0, op('v128.bitselect', [b, a, chosen]));
};

const BINARY: Record<string, OpName> = {
  pand: 'v128.and', por: 'v128.or', pxor: 'v128.xor',
  paddb: 'i8x16.add', paddw: 'i16x8.add', paddd: 'i32x4.add', paddq: 'i64x2.add',
  psubb: 'i8x16.sub', psubw: 'i16x8.sub', psubd: 'i32x4.sub', psubq: 'i64x2.sub',
  paddsb: 'i8x16.add_sat_s', paddsw: 'i16x8.add_sat_s', paddusb: 'i8x16.add_sat_u', paddusw: 'i16x8.add_sat_u',
  psubsb: 'i8x16.sub_sat_s', psubsw: 'i16x8.sub_sat_s', psubusb: 'i8x16.sub_sat_u', psubusw: 'i16x8.sub_sat_u',
  pavgb: 'i8x16.avgr_u', pavgw: 'i16x8.avgr_u',
  pminub: 'i8x16.min_u', pmaxub: 'i8x16.max_u', pminsw: 'i16x8.min_s', pmaxsw: 'i16x8.max_s',
  pminsb: 'i8x16.min_s', pmaxsb: 'i8x16.max_s', pminuw: 'i16x8.min_u', pmaxuw: 'i16x8.max_u',
  pminsd: 'i32x4.min_s', pmaxsd: 'i32x4.max_s', pminud: 'i32x4.min_u', pmaxud: 'i32x4.max_u',
  pcmpeqb: 'i8x16.eq', pcmpeqw: 'i16x8.eq', pcmpeqd: 'i32x4.eq', pcmpeqq: 'i64x2.eq',
  pcmpgtb: 'i8x16.gt_s', pcmpgtw: 'i16x8.gt_s', pcmpgtd: 'i32x4.gt_s', pcmpgtq: 'i64x2.gt_s',
  pmullw: 'i16x8.mul', pmulld: 'i32x4.mul', pmaddwd: 'i32x4.dot_i16x8_s',
  packsswb: 'i8x16.narrow_i16x8_s', packssdw: 'i16x8.narrow_i32x4_s', packuswb: 'i8x16.narrow_i16x8_u', packusdw: 'i16x8.narrow_i32x4_u',
}; // prettier-ignore

const UNARY: Record<string, OpName[]> = {
  pabsb: ['i8x16.abs'], pabsw: ['i16x8.abs'], pabsd: ['i32x4.abs'],
  pmovsxbw: ['i16x8.extend_low_i8x16_s'], pmovzxbw: ['i16x8.extend_low_i8x16_u'],
  pmovsxbd: ['i16x8.extend_low_i8x16_s', 'i32x4.extend_low_i16x8_s'], pmovzxbd: ['i16x8.extend_low_i8x16_u', 'i32x4.extend_low_i16x8_u'],
  pmovsxbq: ['i16x8.extend_low_i8x16_s', 'i32x4.extend_low_i16x8_s', 'i64x2.extend_low_i32x4_s'],
  pmovzxbq: ['i16x8.extend_low_i8x16_u', 'i32x4.extend_low_i16x8_u', 'i64x2.extend_low_i32x4_u'],
  pmovsxwd: ['i32x4.extend_low_i16x8_s'], pmovzxwd: ['i32x4.extend_low_i16x8_u'],
  pmovsxwq: ['i32x4.extend_low_i16x8_s', 'i64x2.extend_low_i32x4_s'], pmovzxwq: ['i32x4.extend_low_i16x8_u', 'i64x2.extend_low_i32x4_u'],
  pmovsxdq: ['i64x2.extend_low_i32x4_s'], pmovzxdq: ['i64x2.extend_low_i32x4_u'],
}; // prettier-ignore

const SHIFTS: Record<string, Shift> = {
  psllw: { name: 'i16x8.shl', bits: 16 }, pslld: { name: 'i32x4.shl', bits: 32 }, psllq: { name: 'i64x2.shl', bits: 64 },
  psrlw: { name: 'i16x8.shr_u', bits: 16 }, psrld: { name: 'i32x4.shr_u', bits: 32 }, psrlq: { name: 'i64x2.shr_u', bits: 64 },
  psraw: { name: 'i16x8.shr_s', bits: 16, arithmetic: true }, psrad: { name: 'i32x4.shr_s', bits: 32, arithmetic: true },
}; // prettier-ignore

const map = <T>(table: Record<string, T>, make: (value: T) => Family): Record<string, Family> =>
  Object.fromEntries(Object.entries(table).map(([name, value]) => [name, make(value)]));

export const sseInteger: Record<string, Family> = {
  ...map(BINARY, (name) => two(binary(name))),
  ...map(UNARY, (names) => one((a) => names.reduce<Expr>((v, name) => op(name, [v]), a))),
  ...map(SHIFTS, shift),
  mov_aligned: moveAligned, mov_unaligned: moveUnaligned, mov_scalar_load: scalarLoad, mov_scalar_store: scalarStore,
  mov_low_load: lowLoad, mov_high_load: highLoad, mov_low_store: lowStore, mov_high_store: highStore,
  mov_quad_load: quadLoad, mov_quad_store: quadStore, mov_from_gpr: fromGpr, mov_to_gpr: toGpr,
  movhlps: two((a, b) => shuffle(a, b, lanes(8, [3, 1]))), movlhps: two((a, b) => shuffle(a, b, lanes(8, [0, 2]))),
  movddup: one((a) => op('i64x2.splat', [quad(a, 0)])), movsldup: one((a) => even(a, 4)),
  movshdup: one((a) => shuffle(a, a, lanes(4, [1, 1, 3, 3]))),
  movmskps: mask('i32x4.bitmask'), movmskpd: mask('i64x2.bitmask'), pmovmskb: mask('i8x16.bitmask'),
  // The complement is of the destination.
  pandn: two((a, b) => op('v128.andnot', [b, a])),
  punpcklbw: two(interleave(1, false)), punpcklwd: two(interleave(2, false)), punpckldq: two(interleave(4, false)), punpcklqdq: two(interleave(8, false)),
  punpckhbw: two(interleave(1, true)), punpckhwd: two(interleave(2, true)), punpckhdq: two(interleave(4, true)), punpckhqdq: two(interleave(8, true)),
  pslldq: byteShift(true), psrldq: byteShift(false),
  pshufd, pshufhw: shuffleWords(true), pshuflw: shuffleWords(false), shufps, shufpd, palignr, pshufb, pinsrw, pextrw,
  pmuludq: two(multiplyEven(false)), pmuldq: two(multiplyEven(true)), pmulhw: two(multiplyHigh('s')), pmulhuw: two(multiplyHigh('u')),
  psadbw: two(psadbw), pmaddubsw: two(pmaddubsw), pmulhrsw: two(pmulhrsw),
  phaddw: two(horizontal(2, 'i16x8.add')), phaddd: two(horizontal(4, 'i32x4.add')), phaddsw: two(horizontal(2, 'i16x8.add_sat_s')),
  phsubw: two(horizontal(2, 'i16x8.sub')), phsubd: two(horizontal(4, 'i32x4.sub')), phsubsw: two(horizontal(2, 'i16x8.sub_sat_s')),
  psignb: two(sign('i8x16')), psignw: two(sign('i16x8')), psignd: two(sign('i32x4')),
  ptest, pblendvb, pblendw,
}; // prettier-ignore
