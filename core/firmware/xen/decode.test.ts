import { crc32, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { view } from '../target.ts';
import { DecodeError } from './error.ts';
import { bzImage, xenKernel } from './fixture.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeLzma2 } from './lzma.ts';
import { kernelProper } from './payload.ts';
import { lz4, sample, xzPlain, xzX86, zstd } from './samples.ts';
import { decodeXz } from './xz.ts';
import { decodeZstd, withoutZlib } from './zstd.ts';

const SIZE = 3000;
const MOST = 1 << 20;
const original = sample();

const decoders = {
  'xz with the x86 filter': [xzX86, (data: Uint8Array) => decodeXz(data, MOST)],
  'xz without, with other properties': [xzPlain, (data: Uint8Array) => decodeXz(data, MOST)],
  'legacy LZ4': [lz4, (data: Uint8Array) => decodeLz4(data, SIZE)],
  zstd: [zstd, (data: Uint8Array) => decodeZstd(data, SIZE)],
  'zstd without zlib': [zstd, (data: Uint8Array) => decodeZstd(data, SIZE, withoutZlib)],
} as const;

describe.each(Object.entries(decoders))('%s', (_, [packed, decode]) => {
  it('is decoded', () => {
    expect(Buffer.compare(decode(packed), original)).toBe(0);
  });

  it('is refused, when it is cut', () => {
    fc.assert(
      fc.property(fc.nat(packed.length - 5), (length) => {
        expect(() => decode(packed.subarray(0, length))).toThrow(DecodeError);
      }),
    );
  });

  it('is decoded or refused, and nothing else, when it is damaged', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
        const data = Uint8Array.from(packed);
        for (const [at, value] of changes) data[at] = value;
        try {
          decode(data);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('LZMA2', () => {
  const decode = (size: number, ...bytes: number[]): Uint8Array => decodeLzma2(Uint8Array.from(bytes), 0, size).data;

  it('has chunks that are not packed', () => {
    expect([...decode(5, 1, 0, 2, 7, 8, 9, 2, 0, 1, 4, 5, 0)]).toEqual([7, 8, 9, 4, 5]);
  });

  it('is refused where it does not begin with a dictionary, is longer or shorter than it says, or has chunks that do not exist', () => {
    expect(() => decode(1, 2, 0, 0, 7, 0)).toThrow(DecodeError);
    expect(() => decode(1, 0xa0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0)).toThrow(DecodeError);
    expect(() => decode(2, 1, 0, 0, 7, 0)).toThrow(DecodeError);
    expect(() => decode(1, 1, 0, 1, 7, 8, 0)).toThrow(DecodeError);
    expect(() => decode(1, 3, 0, 0, 7, 0)).toThrow(DecodeError);
  });
});

describe('an xz stream', () => {
  const broken = (change: (data: Uint8Array) => void): string => {
    const data = Uint8Array.from(xzX86);
    change(data);
    try {
      decodeXz(data, MOST);
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it was decoded');
  };

  it('is refused where a check sum says so', () => {
    expect(broken((data) => (data[8]! ^= 1))).toBe('it is damaged');
    // The last byte of the check of what was unpacked, before an index of 12 bytes and the footer.
    expect(broken((data) => (data[data.length - 25]! ^= 1))).toBe('it is damaged');
  });

  it('is refused where it says that it is too large', () => {
    expect(() => decodeXz(xzX86, SIZE - 1)).toThrow('it unpacks to 3000 bytes, more than any kernel');
  });

  it('is refused where it has another filter than that for x86', () => {
    const message = broken((data) => {
      data[14] = 0x05;
      view(data).setUint32(20, crc32(data.subarray(12, 20)), true);
    });
    expect(message).toBe('it has a filter that is not for x86 kernels');
  });
});

it('a bzImage has its kernel in any of them', () => {
  const kernel = xenKernel();
  const file = (data: Uint8Array) => kernelProper({ name: 'vmlinuz', data });
  if (zstdCompressSync) expect(file(bzImage(zstdCompressSync(kernel), kernel.length)).data.length).toBe(kernel.length);
  for (const [packed] of [decoders['xz with the x86 filter'], decoders['legacy LZ4'], decoders.zstd])
    expect(() => file(bzImage(packed, SIZE))).toThrow('what is packed in vmlinuz is not a kernel: it is no ELF file');
  for (const packed of [lz4, zstd])
    expect(() => file(bzImage(packed, 2 ** 31))).toThrow('cannot be unpacked: it says that it unpacks to 2048 MiB, more than any kernel');
});
