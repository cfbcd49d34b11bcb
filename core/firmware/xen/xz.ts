/** The .xz container (the .xz file format, version 1.1.0): one stream of LZMA2 blocks, with or without the x86 filter, as Linux kernels are packed. */
import { crc32 } from 'node:zlib';
import { view } from '../target.ts';
import { DecodeError } from './error.ts';
import { decodeLzma2 } from './lzma.ts';
import { undoX86Filter } from './x86-filter.ts';

export const XZ_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const HEADER = 12;
const FOOTER = 12;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
/** Stream flags: CRC32. Other checks are skipped: what was decoded is looked at anyway. */
const CHECK_CRC32 = 1;
/** 2.1.1.2: bytes that a check takes, by its type. */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

/** Reads a number of 1.2 ("multibyte integer") in 32 bits or so. */
class Reader {
  readonly data: Uint8Array;
  at: number;
  constructor(data: Uint8Array, at: number) {
    this.data = data;
    this.at = at;
  }
  byte(): number {
    const byte = this.data[this.at++];
    if (byte === undefined) throw new DecodeError('it is truncated');
    return byte;
  }
  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new DecodeError('it is damaged');
  }
}

/** Checks a CRC32 that stands after `length` bytes at `from`. */
function sealed(data: Uint8Array, from: number, length: number): void {
  if (from < 0 || from + length + 4 > data.length) throw new DecodeError('it is truncated');
  if (crc32(data.subarray(from, from + length)) !== view(data).getUint32(from + length, true)) throw new DecodeError('it is damaged');
}

/** Decodes a stream. It may unpack to `most` bytes. Throws a DecodeError. */
export function decodeXz(data: Uint8Array, most: number): Uint8Array {
  const footer = data.length - FOOTER;
  if (footer < HEADER || data[footer + 10] !== 0x59 || data[footer + 11] !== 0x5a) throw new DecodeError('it is truncated');
  sealed(data, 6, 2);
  const check = data[7]!;
  if (data[6] !== 0 || check > 15) throw new DecodeError('it is of a later version');
  const indexSize = (view(data).getUint32(footer + 4, true) + 1) * 4;
  const index = readIndex(data, footer - indexSize, indexSize);
  const size = index.reduce((n, block) => n + block.size, 0);
  if (size > most) throw new DecodeError(`it unpacks to ${size} bytes, more than any kernel`);

  let at = HEADER;
  const blocks = index.map((block) => {
    const start = at;
    at += Math.ceil(block.packed / 4) * 4;
    return decodeBlock(data.subarray(start, at), check, block.size);
  });
  if (at !== footer - indexSize) throw new DecodeError('it is damaged');
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
}

interface Block {
  /** Bytes in the file, header and check among them, without the padding before the check. */
  readonly packed: number;
  readonly size: number;
}

/** Chapter 4. */
function readIndex(data: Uint8Array, at: number, size: number): Block[] {
  sealed(data, at, size - 4);
  const reader = new Reader(data, at);
  if (reader.byte() !== 0) throw new DecodeError('it is damaged');
  const count = reader.number();
  if (count > size) throw new DecodeError('it is damaged');
  return Array.from({ length: count }, () => ({ packed: reader.number(), size: reader.number() }));
}

/** Chapter 3. `data` is the block, from its header to its check. */
function decodeBlock(data: Uint8Array, check: number, size: number): Uint8Array {
  const reader = new Reader(data, 0);
  const headerSize = (reader.byte() + 1) * 4;
  sealed(data, 0, headerSize - 4);
  const flags = reader.byte();
  if (flags & 0x40) reader.number();
  if (flags & 0x80) reader.number();
  const filters = Array.from({ length: (flags & 3) + 1 }, () => {
    const id = reader.number();
    const length = reader.number();
    // The x86 filter's property, where it has one, is where it starts to count.
    const start = id === FILTER_X86 && length === 4 ? view(data).getUint32(reader.at, true) : 0;
    reader.at += length;
    return start === 0 ? id : -1;
  });
  const branches = filters.length === 2 && filters[0] === FILTER_X86;
  if (filters.at(-1) !== FILTER_LZMA2 || (filters.length > 1 && !branches))
    throw new DecodeError('it has a filter that is not for x86 kernels');

  const { data: out, end } = decodeLzma2(data, headerSize, size);
  if (branches) undoX86Filter(out);
  const sum = data.length - CHECK_SIZES[check]!;
  if (Math.ceil(end / 4) * 4 !== sum) throw new DecodeError('it is damaged');
  if (check === CHECK_CRC32 && crc32(out) !== view(data).getUint32(sum, true)) throw new DecodeError('it is damaged');
  return out;
}
