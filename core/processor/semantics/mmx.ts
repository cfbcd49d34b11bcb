/**
 * MMX: the same arithmetic as on XMM registers, on the lower halves, but for what crosses the middle. Every instruction makes the x87 stack
 * look full and TOP 0 (Intel SDM vol. 1, 9.5.1), which is done last: nothing faults after it.
 */
import { Cpu } from '../../state/index.ts';
import { i32, op, select, v128, type Expr, type LocalRef, type OpName } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';
import { sseInteger } from './sse_integer.ts';

const O = Cpu.offsets;
const ES = 0x80;
const TOP = 0x3800;

const mmx =
  (inner: Family): Family =>
  (e) => {
    const { f } = e;
    const status = f.let(op('i32.load16_u', [e.cpu], O.fpuStatus));
    f.if(i32.and(status, i32.const(ES)), () => e.helper('pendingException', []));
    inner(e);
    f.do('i32.store16', [e.cpu, i32.and(op('i32.load16_u', [e.cpu], O.fpuStatus), i32.const(~TOP))], O.fpuStatus);
    f.do('i32.store16', [e.cpu, i32.const(0)], O.fpuTag);
  };

type Combine = (a: LocalRef, b: LocalRef, e: Emitter) => Expr;
const two =
  (build: Combine): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, build(a, b, e));
  };

const BYTES = v128.const(Array.from({ length: 16 }, (_, i) => i));
const shuffle = (a: Expr, b: Expr, lanes: readonly number[]): Expr =>
  op('i8x16.shuffle', [a, b], [...lanes, ...Array.from({ length: 16 - lanes.length }, () => 0)]);
const lanes = (bytes: number, elements: readonly number[]): number[] =>
  elements.flatMap((x) => Array.from({ length: bytes }, (_, i) => x * bytes + i));
/** Destination below, source above. */
const join = (a: Expr, b: Expr): Expr => op('i8x16.shuffle', [a, b], lanes(8, [0, 2]));

const pack = (name: OpName): Family =>
  two((a, b, e) => {
    const both = e.f.let(join(a, b));
    return op(name, [both, both]);
  });

/** The upper halves of the 64 bits, interleaved. */
const interleaveHigh = (bytes: number): Family => {
  const half = 4 / bytes;
  return two((a, b) => shuffle(a, b, lanes(bytes, Array.from({ length: half }, (_, i) => [half + i, 16 / bytes + half + i]).flat())));
}; // prettier-ignore

const horizontal = (bytes: 2 | 4, name: OpName): Family =>
  two((a, b, e) => {
    const both = e.f.let(join(a, b));
    const evens = Array.from({ length: 8 / bytes }, (_, i) => 2 * i);
    return op(name, [shuffle(both, both, lanes(bytes, evens)), shuffle(both, both, lanes(bytes, evens.map((x) => x + 1)))]);
  }); // prettier-ignore

/** Bit 7 of an index clears; the low three bits count. */
const pshufb = two((a, b) => op('i8x16.swizzle', [a, op('v128.and', [b, v128.const(new Uint8Array(16).fill(0x87))])]));

const palignr: Family = (e) => {
  const s = e.readVector(1);
  const d = e.readVector(0);
  const n = e.f.let(e.read(2));
  const count = op('i8x16.splat', [select(i32.gt_u(n, i32.const(16)), i32.const(16), n)]);
  e.writeVector(0, op('i8x16.swizzle', [join(s, d), op('i8x16.add', [BYTES, count])]));
};

const pshufw: Family = (e) => {
  const s = e.readVector(1);
  const imm = e.read(2);
  const indices = [0, 1, 2, 3].reduce<Expr>((v, i) => {
    const word = i32.and(i32.shr_u(imm, i32.const(2 * i)), i32.const(3));
    return op('i16x8.replace_lane', [v, i32.add(i32.mul(word, i32.const(0x0202)), i32.const(0x0100))], i);
  }, BYTES);
  e.writeVector(0, op('i8x16.swizzle', [s, indices]));
};

const pinsrw: Family = (e) => {
  const s = e.read(1);
  const at = e.f.let(i32.and(e.read(2), i32.const(3)));
  const d = e.readVector(0);
  const wanted = op('i16x8.eq', [op('i16x8.splat', [at]), v128.const([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0])]);
  e.writeVector(0, op('v128.bitselect', [op('i16x8.splat', [s]), d, wanted]));
};

const pextrw: Family = (e) => {
  const s = e.readVector(1);
  const at = e.f.let(i32.and(e.read(2), i32.const(3)));
  const moved = op('i8x16.swizzle', [s, op('i8x16.add', [BYTES, op('i8x16.splat', [i32.shl(at, i32.const(1))])])]);
  e.write(0, op('i16x8.extract_lane_u', [moved], 0));
};

const pmovmskb: Family = (e) => e.write(0, i32.and(op('i8x16.bitmask', [e.readVector(1)]), i32.const(0xff)));

/** To and from XMM registers. */
const toXmm: Family = (e) => e.writeVector(0, op('i8x16.shuffle', [e.readVector(1), v128.const(new Uint8Array(16))], lanes(8, [0, 2])));
const move: Family = (e) => e.writeVector(0, e.readVector(1));

const singlesToIntegers = (truncate: boolean): Family => (e) =>
  e.writeVector(0, e.helperValue('singlesToIntegers', [i32.const(Number(truncate)), i32.const(2), e.readVector(1)], 'v128')); // prettier-ignore
const doublesToIntegers = (truncate: boolean): Family => (e) =>
  e.writeVector(0, e.helperValue('doublesToIntegers', [i32.const(Number(truncate)), e.readVector(1)], 'v128')); // prettier-ignore
const integersToSingles: Family = (e) => {
  const b = e.readVector(1);
  const a = e.readVector(0);
  e.writeVector(0, e.helperValue('integersToSingles', [i32.const(2), a, b], 'v128'));
};
const integersToDoubles: Family = (e) => e.writeVector(0, op('f64x2.convert_low_i32x4_s', [e.readVector(1)]));

/** Only an MMX operand makes it an MMX instruction. */
const unlessMemory =
  (family: Family): Family =>
  (e) =>
    (e.isMemory(1) ? family : mmx(family))(e);

/** What is the same on the lower half. */
const SHARED = [
  'pand', 'pandn', 'por', 'pxor', 'paddb', 'paddw', 'paddd', 'paddq', 'psubb', 'psubw', 'psubd', 'psubq',
  'paddsb', 'paddsw', 'paddusb', 'paddusw', 'psubsb', 'psubsw', 'psubusb', 'psubusw', 'pavgb', 'pavgw',
  'pminub', 'pmaxub', 'pminsw', 'pmaxsw', 'pcmpeqb', 'pcmpeqw', 'pcmpeqd', 'pcmpgtb', 'pcmpgtw', 'pcmpgtd',
  'pmullw', 'pmulhw', 'pmulhuw', 'pmuludq', 'pmaddwd', 'psadbw', 'punpcklbw', 'punpcklwd', 'punpckldq',
  'psllw', 'pslld', 'psllq', 'psrlw', 'psrld', 'psrlq', 'psraw', 'psrad',
  'pabsb', 'pabsw', 'pabsd', 'psignb', 'psignw', 'psignd', 'pmaddubsw', 'pmulhrsw', 'mov_from_gpr', 'mov_to_gpr',
]; // prettier-ignore

const OWN: Record<string, Family> = {
  movq: move,
  packsswb: pack('i8x16.narrow_i16x8_s'), packssdw: pack('i16x8.narrow_i32x4_s'), packuswb: pack('i8x16.narrow_i16x8_u'),
  punpckhbw: interleaveHigh(1), punpckhwd: interleaveHigh(2), punpckhdq: interleaveHigh(4),
  phaddw: horizontal(2, 'i16x8.add'), phaddd: horizontal(4, 'i32x4.add'), phaddsw: horizontal(2, 'i16x8.add_sat_s'),
  phsubw: horizontal(2, 'i16x8.sub'), phsubd: horizontal(4, 'i32x4.sub'), phsubsw: horizontal(2, 'i16x8.sub_sat_s'),
  pshufb, palignr, pshufw, pinsrw, pextrw, pmovmskb, movq2dq: toXmm, movdq2q: move,
  maskmovq: (e) => e.helper('maskmovq', [e.record]),
  cvtps2pi: singlesToIntegers(false), cvttps2pi: singlesToIntegers(true), cvtpd2pi: doublesToIntegers(false), cvttpd2pi: doublesToIntegers(true),
}; // prettier-ignore

/** Named `mmx_` and the mnemonic, since most have a namesake on XMM registers. */
export const mmxFamilies: Record<string, Family> = {
  ...Object.fromEntries(SHARED.map((name) => [`mmx_${name}`, mmx(sseInteger[name]!)])),
  ...Object.fromEntries(Object.entries(OWN).map(([name, family]) => [`mmx_${name}`, mmx(family)])),
  mmx_cvtpi2ps: unlessMemory(integersToSingles),
  mmx_cvtpi2pd: unlessMemory(integersToDoubles),
};
