/** Operand values: the corners of each kind of number, and random ones between them. All are written little-endian into an image. */
import type { Rng } from './rng.ts';

const CORNERS8 = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const CORNERS16 = [0, 1, 0x7fff, 0x8000, 0xffff, 0xff, 0x100, 0x8001];
const CORNERS32 = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xffff, 0x10000, 0x80000001, 0xff, 0x8000];
/** [high, low] */
const CORNERS64: readonly (readonly [number, number])[] = [
  [0, 0],
  [0, 1],
  [0xffffffff, 0xffffffff],
  [0x7fffffff, 0xffffffff],
  [0x80000000, 0],
  [0x80000000, 1],
  [0, 0xffffffff],
  [1, 0],
  [0, 0x80000000],
  [0xffffffff, 0x80000000],
  [0xffffffff, 0x7fffffff],
  [0, 0x7fffffff],
  [0, 0xff],
  [0, 0x80],
  [0xffffffff, 0xffffff80],
];

/** Single precision. */
const CORNERS_F32 = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001, 0xffa00000, 0x00000001, 0x80000001,
  0x007fffff, 0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000, 0x3fc00000,
  0x40200000, 0xbf000000, 0x4b000001, 0x34000000, 0x7f000000, 0x00ffffff,
];

/** Double precision: [high, low]. */
const CORNERS_F64: readonly (readonly [number, number])[] = [
  [0, 0],
  [0x80000000, 0],
  [0x3ff00000, 0],
  [0xbff00000, 0],
  [0x7ff00000, 0],
  [0xfff00000, 0],
  [0x7ff80000, 0],
  [0xfff81234, 0x56789abc],
  [0x7ff00000, 1],
  [0xfff40000, 0],
  [0, 1],
  [0x80000000, 1],
  [0x000fffff, 0xffffffff],
  [0x00100000, 0],
  [0x7fefffff, 0xffffffff],
  [0xffefffff, 0xffffffff],
  [0x41dfffff, 0xffc00000],
  [0x41e00000, 0],
  [0xc1e00000, 0],
  [0xc1e00000, 0x00200000],
  [0x43e00000, 0],
  [0xc3e00000, 0],
  [0x3fe00000, 0],
  [0x3ff80000, 0],
  [0x40040000, 0],
  [0xbfe00000, 0],
  [0x43300000, 1],
  [0x47efffff, 0xe0000000],
  [0x47efffff, 0xf0000000],
  [0x36a00000, 0],
  [0x380fffff, 0xe0000000],
  [0x3cb00000, 0],
];

/** Extended precision: [sign and exponent, significand high, low]. */
const CORNERS_F80: readonly (readonly [number, number, number])[] = [
  [0, 0, 0],
  [0x8000, 0, 0],
  [0x3fff, 0x80000000, 0],
  [0xbfff, 0x80000000, 0],
  [0x7fff, 0x80000000, 0],
  [0xffff, 0x80000000, 0],
  [0x7fff, 0xc0000000, 0],
  [0xffff, 0xc0000000, 0],
  [0x7fff, 0xd2345678, 0x9abcdef0],
  [0x7fff, 0xa0000000, 1],
  [0, 0, 1],
  [0, 0x7fffffff, 0xffffffff],
  [0x0001, 0x80000000, 0],
  [0x7ffe, 0xffffffff, 0xffffffff],
  [0xfffe, 0xffffffff, 0xffffffff],
  [0x4000, 0xc90fdaa2, 0x2168c235],
  [0x3ffe, 0x80000000, 0],
  [0x3fff, 0xc0000000, 0],
  [0xbffe, 0x80000000, 0],
  [0x401d, 0xffffffff, 0],
  [0x401e, 0x80000000, 0],
  [0xc01e, 0x80000000, 0],
  [0x403e, 0x80000000, 0],
  [0xc03e, 0x80000000, 0],
  [0x403d, 0xffffffff, 0xffffffff],
  [0x407f, 0x80000000, 0],
  [0x43ff, 0x80000000, 0],
  [0x3f80, 0xffffff80, 0],
  [0x3c00, 0xffffffff, 0xfffffc00],
  [0x3fff, 0x80000000, 1],
  [0x3fbe, 0x80000000, 0],
  [0x400e, 0xffff0000, 0],
];

/** Any integer of `bytes` (1, 2, 4, 8) at `at`. */
export function integer(v: DataView, at: number, bytes: number, rng: Rng): void {
  if (bytes === 8) {
    const [high, low] = rng.pick(CORNERS64);
    const kind = rng.below(5);
    if (kind < 2) {
      v.setUint32(at, low, true);
      v.setUint32(at + 4, high, true);
      return;
    }
    // random, of random width: shorter numbers give quotients and carries that full ones never do
    const width = kind === 2 ? 64 : rng.below(64);
    const a = rng.u32();
    const b = rng.u32();
    v.setUint32(at, width >= 32 ? a : width === 0 ? 0 : a >>> (32 - width), true);
    v.setUint32(at + 4, width <= 32 ? 0 : b >>> (64 - width), true);
    return;
  }
  const corner = rng.one(2);
  if (bytes === 4) v.setUint32(at, corner ? rng.pick(CORNERS32) : rng.u32(), true);
  else if (bytes === 2) v.setUint16(at, corner ? rng.pick(CORNERS16) : rng.u32() & 0xffff, true);
  else v.setUint8(at, corner ? rng.pick(CORNERS8) : rng.u32() & 0xff);
}

export function float32(v: DataView, at: number, rng: Rng): void {
  const kind = rng.below(6);
  if (kind < 2) v.setUint32(at, rng.pick(CORNERS_F32), true);
  else if (kind < 3) v.setUint32(at, rng.u32(), true);
  // exponents near each other, so that sums and quotients round
  else if (kind < 5) v.setUint32(at, ((rng.u32() & 0x80ffffff) | ((110 + rng.below(40)) << 23)) >>> 0, true);
  else v.setFloat32(at, rng.below(2000) - 1000, true);
}

export function float64(v: DataView, at: number, rng: Rng): void {
  const kind = rng.below(6);
  let high: number;
  let low = rng.u32();
  if (kind < 2) [high, low] = rng.pick(CORNERS_F64);
  else if (kind < 3) high = rng.u32();
  else if (kind < 5) high = ((rng.u32() & 0x800fffff) | ((1000 + rng.below(60)) << 20)) >>> 0;
  else {
    v.setFloat64(at, (rng.below(4_000_000) - 2_000_000) / 8, true);
    return;
  }
  v.setUint32(at, low, true);
  v.setUint32(at + 4, high, true);
}

export function float80(v: DataView, at: number, rng: Rng): void {
  const kind = rng.below(8);
  let [top, high, low] = rng.pick(CORNERS_F80);
  if (kind >= 3) {
    high = (rng.u32() | 0x80000000) >>> 0;
    low = rng.one(4) ? 0 : rng.u32();
    top = (rng.one(2) ? 0x8000 : 0) | (kind === 3 ? rng.below(0x8000) : kind === 4 ? 0x3f60 + rng.below(0x140) : 0x3ff0 + rng.below(0x20));
    if (kind === 7) [high, low] = [(rng.u32() & 0xffff0000) | 0x80000000, 0].map((x) => x >>> 0) as [number, number];
    // Now and then what no arithmetic makes: pseudo-denormals, unnormals.
    if (rng.one(16)) high = (high & 0x7fffffff) >>> 0;
  }
  v.setUint32(at, low, true);
  v.setUint32(at + 4, high, true);
  v.setUint16(at + 8, top, true);
}

/** Eighteen packed decimal digits and a sign. */
export function decimal(v: DataView, at: number, rng: Rng): void {
  for (let i = 0; i < 9; i++) v.setUint8(at + i, rng.one(12) ? rng.below(256) : rng.below(10) | (rng.below(10) << 4));
  v.setUint8(at + 9, rng.one(2) ? 0x80 : 0);
}

/** Fills 16 bytes with lanes of one kind. */
export function lanes(v: DataView, at: number, kind: 'integer' | 'f32' | 'f64', rng: Rng): void {
  if (kind === 'f32') for (let i = 0; i < 16; i += 4) float32(v, at + i, rng);
  else if (kind === 'f64') for (let i = 0; i < 16; i += 8) float64(v, at + i, rng);
  else {
    const bytes = rng.pick([1, 2, 4, 8]);
    for (let i = 0; i < 16; i += bytes) integer(v, at + i, bytes, rng);
  }
}
