/**
 * Series behind the transcendental x87 instructions, in 128-bit fixed point: about 50 bits more than the result has, so that it is
 * correctly rounded but for about one argument in 2^50.
 */
import { pair } from './float';
import { add128, multiply128, subtract128 } from './fixed';

/** 1/n! for n = 2..27, as fractions of 2^128, low half first. */
const INVERSE_FACTORIAL: usize = memory.data<u64>([
  0x0000000000000000, 0x8000000000000000, 0xaaaaaaaaaaaaaaab, 0x2aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab, 0x0aaaaaaaaaaaaaaa,
  0x2222222222222222, 0x0222222222222222, 0x05b05b05b05b05b0, 0x005b05b05b05b05b, 0x00d00d00d00d00d0, 0x000d00d00d00d00d,
  0xa01a01a01a01a01a, 0x0001a01a01a01a01, 0x671f5583911ca003, 0x00002e3bc74aad8e, 0xd71cbbc05b4fa99a, 0x0000049f93edde27,
  0x138e3f9d1f92e0df, 0x0000006b99159fd5, 0x6c4bdaa26d4c3d68, 0x00000008f76c77fc, 0x43684be51c198e92, 0x00000000b092309d,
  0x603e4e905d6f8a2f, 0x000000000c9cba54, 0x399dc0f88ec32b58, 0x0000000000d73f9f, 0xf399dc0f88ec32b6, 0x00000000000d73f9,
  0x3b81856a53593029, 0x000000000000ca96, 0x3c31dcbecbbdd802, 0x0000000000000b41, 0xa4da340a0ab92651, 0x0000000000000097,
  0x950ae900808941ea, 0x0000000000000007, 0x5c6e3bdb73d5c630, 0x0000000000000000, 0x04338e5b6dfe14a5, 0x0000000000000000,
  0x002ec368262c7034, 0x0000000000000000, 0x0001f2cf01972f57, 0x0000000000000000, 0x000013f3ccdd1660, 0x0000000000000000,
  0x000000c4742fe352, 0x0000000000000000, 0x0000000746ac70b7, 0x0000000000000000,
]);

/** 1/(2n + 1) for n = 1..22. */
const INVERSE_ODD: usize = memory.data<u64>([
  0x5555555555555555, 0x5555555555555555, 0x3333333333333333, 0x3333333333333333, 0x4924924924924925, 0x2492492492492492,
  0xc71c71c71c71c71c, 0x1c71c71c71c71c71, 0x745d1745d1745d17, 0x1745d1745d1745d1, 0x3b13b13b13b13b14, 0x13b13b13b13b13b1,
  0x1111111111111111, 0x1111111111111111, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f, 0xe50d79435e50d794, 0x0d79435e50d79435,
  0xc30c30c30c30c30c, 0x0c30c30c30c30c30, 0x42c8590b21642c86, 0x0b21642c8590b216, 0xa3d70a3d70a3d70a, 0x0a3d70a3d70a3d70,
  0xed097b425ed097b4, 0x097b425ed097b425, 0xd3dcb08d3dcb08d4, 0x08d3dcb08d3dcb08, 0x8421084210842108, 0x0842108421084210,
  0x7c1f07c1f07c1f08, 0x07c1f07c1f07c1f0, 0x7507507507507507, 0x0750750750750750, 0x5306eb3e45306eb4, 0x06eb3e45306eb3e4,
  0x6906906906906907, 0x0690690690690690, 0x63e7063e7063e706, 0x063e7063e7063e70, 0xf417d05f417d05f4, 0x05f417d05f417d05,
  0x5b05b05b05b05b06, 0x05b05b05b05b05b0,
]);

/** atan(i/16) for i = 1..16. */
const ARCTANGENT: usize = memory.data<u64>([
  0x6cb2792dc0e2e0d5, 0x0ffaaddb967ef4e3, 0x5912f313e7d111df, 0x1fd5ba9aac2f6dc6, 0x1ec2d3e207271d22, 0x2f72f6979cb6044d,
  0x5b71e7bd7de885f9, 0x3eb6ebf25901bac5, 0xe2d5da4c693d7994, 0x4d89dcdc1faf2f34, 0xc55190916e7f2242, 0x5bd86507937bc239,
  0x213e4af4800f389b, 0x6993bb0f308ff2db, 0xb7f222f65e1d4682, 0x76b19c1586ed3da2, 0x4b6a09cb61a515c1, 0x832bf4a6d9867e2a,
  0x5c835e1665c43748, 0x8f005d5ef7f59f9b, 0x4226f8e2204ff3bd, 0x9a2f80e671bdda20, 0x19a87f2a457dac9f, 0xa4bc7d1934f70924,
  0x14725e2f3e52070a, 0xaeac4c38b4d8c080, 0xcb2da55210a4443d, 0xb8053e2bc2319e73, 0x89dd62c46e92fa25, 0xc0ce85b8ac526640,
  0xc4c6628b80dc1cd1, 0xc90fdaa22168c234,
]);

/** ln 2, as a fraction. */
export function naturalLogarithmOf2(): v128 {
  return pair(0xc9e3b39803f2f6af, 0xb17217f7d1cf79ab);
}

/** 2 / ln 2, as a fraction of 4. */
export function twiceBase2OfE(): v128 {
  return pair(0xbe87fed0691d3e89, 0xb8aa3b295c17f0bb);
}

/** Pi, as a fraction of 4. */
export function piOver4(): v128 {
  return pair(0xc4c6628b80dc1cd1, 0xc90fdaa22168c234);
}

/** atan(i/16) for i = 1..16, as a fraction. */
export function arctangentOfSixteenth(i: u32): v128 {
  return v128.load(ARCTANGENT + ((<usize>(i - 1)) << 4));
}

/** z * (c[0] - z * (c[1] - z * (c[2] - ...))), the c being every second entry of a table. */
function alternate(z: v128, table: usize, stride: usize, count: i32): v128 {
  let at = table + <usize>(count - 1) * stride;
  let sum = v128.load(at);
  for (let i = count - 1; i > 0; i--) {
    at -= stride;
    sum = subtract128(v128.load(at), multiply128(z, sum));
  }
  return multiply128(z, sum);
}

/** z * (c[0] + z * (c[1] + ...)). */
function accumulate(z: v128, table: usize, count: i32): v128 {
  let at = table + ((<usize>(count - 1)) << 4);
  let sum = v128.load(at);
  for (let i = count - 1; i > 0; i--) {
    at -= 16;
    sum = add128(v128.load(at), multiply128(z, sum));
  }
  return multiply128(z, sum);
}

/** 1 - sin(r)/r for z = r * r, r at most pi/4. */
export function sineDeficit(z: v128): v128 {
  return alternate(z, INVERSE_FACTORIAL + 16, 32, 13);
}

/** 1 - cos(r) for z = r * r. */
export function cosineDeficit(z: v128): v128 {
  return alternate(z, INVERSE_FACTORIAL, 32, 13);
}

/** (e^t - 1)/t - 1 for t below ln 2; with `negative`, 1 - (1 - e^-t)/t. */
export function exponentialExcess(t: v128, negative: bool): v128 {
  return negative ? alternate(t, INVERSE_FACTORIAL, 16, 26) : accumulate(t, INVERSE_FACTORIAL, 26);
}

/** atanh(s)/s - 1 for z = s * s, s at most 0.18. */
export function hyperbolicExcess(z: v128): v128 {
  return accumulate(z, INVERSE_ODD, 22);
}

/** 1 - atan(t)/t for z = t * t, t at most 1/31. */
export function arctangentDeficit(z: v128): v128 {
  return alternate(z, INVERSE_ODD, 16, 13);
}
