/** SSE4.1 and SSE4.2: inserting, extracting, blending; strings (Intel SDM vol. 1, 5.10, 5.11). */
import { i32, i64, op, v128, type Expr, type OpName } from '../../wasm/index.ts';
import type { Emitter, Family } from './emitter.ts';

const BYTES = v128.const(Array.from({ length: 16 }, (_, i) => i));

/** Constants with element `i` being `value(i)`. */
const elements = (bytes: 1 | 2 | 4 | 8, value: (i: number) => number): Expr => {
  const out = new Uint8Array(16);
  for (let i = 0; i < 16 / bytes; i++) out[i * bytes] = value(i);
  return v128.const(out);
};
const TYPE = { 1: 'i8x16', 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' } as const;
const splat = (bytes: 1 | 2 | 4 | 8, value: Expr): Expr =>
  op(`${TYPE[bytes]}.splat` as OpName, [bytes === 8 && value.type === 'i32' ? i64.extend_u(value) : value]);

const insert =
  (bytes: 1 | 4 | 8): Family =>
  (e) => {
    const s = e.read(1);
    const at = e.f.let(i32.and(e.read(2), i32.const(16 / bytes - 1)));
    const d = e.readVector(0);
    const wanted = op(`${TYPE[bytes]}.eq` as OpName, [splat(bytes, at), elements(bytes, (i) => i)]);
    e.writeVector(0, op('v128.bitselect', [splat(bytes, s), d, wanted]));
  };

const extract =
  (bytes: 1 | 2 | 4 | 8): Family =>
  (e) => {
    const s = e.readVector(1);
    const at = i32.mul(i32.and(e.read(2), i32.const(16 / bytes - 1)), i32.const(bytes));
    const moved = op('i8x16.swizzle', [s, op('i8x16.add', [BYTES, op('i8x16.splat', [at])])]);
    e.write(0, op(`${TYPE[bytes]}.extract_lane${bytes < 4 ? '_u' : ''}` as OpName, [moved], 0));
  };

/** Imm bits 6..7: source lane of a register; 4..5: destination lane; 0..3: lanes to clear. */
const insertps: Family = (e) => {
  const s = e.readVector(1);
  const imm = e.read(2);
  const d = e.readVector(0);
  const from = e.isMemory(1) ? i32.const(0) : i32.shl(i32.shr_u(imm, i32.const(6)), i32.const(2));
  const element = op('i8x16.swizzle', [
    s,
    op('i8x16.add', [v128.const([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]), op('i8x16.splat', [from])]),
  ]);
  const to = op('i32x4.eq', [splat(4, i32.and(i32.shr_u(imm, i32.const(4)), i32.const(3))), elements(4, (i) => i)]);
  e.writeVector(0, op('v128.andnot', [op('v128.bitselect', [element, d, to]), chosenBy(4, imm)]));
};

/** A mask of the elements whose bit is set in an immediate. */
function chosenBy(bytes: 4 | 8, imm: Expr): Expr {
  const bits = elements(bytes, (i) => 1 << i);
  return op(`${TYPE[bytes]}.eq` as OpName, [op('v128.and', [splat(bytes, imm), bits]), bits]);
}

const blend =
  (bytes: 4 | 8): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, op('v128.bitselect', [b, a, chosenBy(bytes, e.read(2))]));
  };

const blendVariable =
  (bytes: 4 | 8): Family =>
  (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    const chosen = op(`${TYPE[bytes]}.shr_s` as OpName, [e.xmm(0), i32.const(bytes * 8 - 1)]);
    e.writeVector(0, op('v128.bitselect', [b, a, chosen]));
  };

/** How the lengths are given: by zeros, in EAX and EDX, in RAX and RDX. */
type Lengths = 0 | 1 | 2;
const strings =
  (lengths: Lengths, build: (e: Emitter, args: readonly Expr[]) => void): Family =>
  (e) => {
    const b = e.readVector(1, true);
    const a = e.readVector(0);
    build(e, [e.read(2), i32.const(lengths), a, b]);
  };
const index = (lengths: Lengths): Family => strings(lengths, (e, args) => e.setGpr(1, 32, e.helperValue('stringIndex', args, 'i32')));
const mask = (lengths: Lengths): Family => strings(lengths, (e, args) => e.setXmm(0, e.helperValue('stringMask', args, 'v128')));

export const sse4: Record<string, Family> = {
  pinsrb: insert(1), pinsrd: insert(4), pinsrq: insert(8),
  pextrb: extract(1), pextrw_store: extract(2), pextrd: extract(4), pextrq: extract(8), extractps: extract(4), insertps,
  blendps: blend(4), blendpd: blend(8), blendvps: blendVariable(4), blendvpd: blendVariable(8),
  pcmpistri: index(0), pcmpestri: index(1), pcmpestri64: index(2), pcmpistrm: mask(0), pcmpestrm: mask(1), pcmpestrm64: mask(2),
  mpsadbw: (e) => {
    const b = e.readVector(1);
    const a = e.readVector(0);
    e.writeVector(0, e.helperValue('multipleSums', [e.read(2), a, b], 'v128'));
  },
  phminposuw: (e) => e.writeVector(0, e.helperValue('minimumPosition', [e.readVector(1)], 'v128')),
}; // prettier-ignore
