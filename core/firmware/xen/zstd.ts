/** Zstandard (RFC 8878): by the host's zlib where it can (Node 22.15 and later, Electron), else, ten times slower, by fzstd. */
import * as zlib from 'node:zlib';
import { decompress } from 'fzstd';
import { DecodeError } from './error.ts';

export const ZSTD_MAGIC = 0xfd2f_b528;

const byZlib = zlib.zstdDecompressSync as typeof zlib.zstdDecompressSync | undefined;
const native = byZlib && ((input: Uint8Array, size: number): Uint8Array => byZlib(input, { maxOutputLength: size }));
export const withoutZlib = (input: Uint8Array, size: number): Uint8Array => decompress(input, new Uint8Array(size));

/** Decodes what unpacks to `size` bytes. Throws a DecodeError. */
export function decodeZstd(input: Uint8Array, size: number, decode = native ?? withoutZlib): Uint8Array {
  let data: Uint8Array;
  try {
    data = decode(input, size);
  } catch {
    throw new DecodeError('it is truncated or damaged');
  }
  if (data.length !== size) throw new DecodeError('it is damaged');
  return data;
}
