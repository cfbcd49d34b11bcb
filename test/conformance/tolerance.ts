/** How far an inexact result may be from what the recording CPU made. */

/** Units in the last place of an 80-bit result: the manual promises one, and two makers may err to different sides. */
const ULPS_X87 = 4n;
/** RCPPS and RSQRTPS promise 1.5 * 2^-12 relative error; two of them may be twice that apart. */
const RELATIVE = 3 * 2 ** -12;

/** An 80-bit number as an integer that grows with it, over the whole range: neighbours differ by one. */
function ordinal(bytes: DataView, at: number): bigint {
  const top = bytes.getUint16(at + 8, true);
  const magnitude = (BigInt(top & 0x7fff) << 63n) + (bytes.getBigUint64(at, true) & 0x7fff_ffff_ffff_ffffn);
  return top & 0x8000 ? -magnitude : magnitude;
}

/** True if a result is not what was recorded, give or take. */
export function tooFar(how: 'x87' | 'xmm', is: Uint8Array, should: Uint8Array): boolean {
  const a = new DataView(is.buffer, is.byteOffset);
  const b = new DataView(should.buffer, should.byteOffset);
  if (how === 'x87') {
    return [0, 10].some((at) => {
      const distance = ordinal(a, at) - ordinal(b, at);
      return distance > ULPS_X87 || distance < -ULPS_X87;
    });
  }
  return [0, 4, 8, 12].some((at) => {
    if (a.getUint32(at, true) === b.getUint32(at, true)) return false;
    const [x, y] = [a.getFloat32(at, true), b.getFloat32(at, true)];
    return !(Math.abs(x - y) <= RELATIVE * Math.abs(y));
  });
}
