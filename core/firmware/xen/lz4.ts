/**
 * LZ4's legacy frame (LZ4_Frame_format.md, "Legacy frame"), which Linux kernels are compressed with: blocks of 8 MiB, each on its own
 * (LZ4_Block_format.md).
 */
import { view } from '../target.ts';
import { DecodeError } from './error.ts';

export const LZ4_LEGACY = 0x184c_2102;
const BLOCK = 8 << 20;
const MATCH_MIN = 4;

/** Decodes what unpacks to `size` bytes. Throws a DecodeError. */
export function decodeLz4(input: Uint8Array, size: number): Uint8Array {
  const v = view(input);
  const out = new Uint8Array(size);
  let done = 0;
  for (let at = 4; done < out.length;) {
    if (at + 4 > input.length) throw new DecodeError('it is truncated');
    const packed = v.getUint32(at, true);
    at += 4;
    if (at + packed > input.length) throw new DecodeError('it is truncated');
    const end = decodeBlock(input.subarray(at, at + packed), out, done, Math.min(out.length, done + BLOCK));
    if (end === done) throw new DecodeError('it is damaged');
    done = end;
    at += packed;
  }
  return out;
}

/** Sequences of literals and a match; the last has no match. Returns where its output ends. */
function decodeBlock(input: Uint8Array, out: Uint8Array, start: number, limit: number): number {
  let done = start;
  let at = 0;
  const extended = (length: number): number => {
    if (length !== 15) return length;
    for (;;) {
      const byte = input[at++];
      if (byte === undefined) throw new DecodeError('it is damaged');
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < input.length) {
    const token = input[at++]!;
    const literals = extended(token >> 4);
    if (at + literals > input.length || done + literals > limit) throw new DecodeError('it is damaged');
    if (literals > 16) out.set(input.subarray(at, at + literals), done);
    else for (let i = 0; i < literals; i++) out[done + i] = input[at + i]!;
    at += literals;
    done += literals;
    if (at === input.length) return done;
    const distance = input[at]! | (input[at + 1]! << 8);
    at += 2;
    const length = extended(token & 15) + MATCH_MIN;
    if (at > input.length || distance === 0 || distance > done - start || done + length > limit) throw new DecodeError('it is damaged');
    if (distance >= length && length > 32) out.copyWithin(done, done - distance, done - distance + length);
    else for (let i = 0; i < length; i++) out[done + i] = out[done + i - distance]!;
    done += length;
  }
  throw new DecodeError('it is damaged');
}
