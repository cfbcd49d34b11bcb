/** The kernel proper: an ELF file as it is, or what a Linux bzImage has packed (boot protocol 2.08 and later: payload_offset, payload_length). */
import * as zlib from 'node:zlib';
import { isElf } from '../elf.ts';
import { FirmwareError } from '../error.ts';
import { isLinux } from '../linux.ts';
import { type BootFile, mib, view } from '../target.ts';
import { DecodeError } from './error.ts';
import { LZ4_LEGACY, decodeLz4 } from './lz4.ts';
import { XZ_MAGIC, decodeXz } from './xz.ts';
import { ZSTD_MAGIC, decodeZstd } from './zstd.ts';

const SETUP_SECTS = 0x1f1;
const PROTOCOL = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
/** No kernel unpacks to more. */
const MOST = 512 << 20;

const starts = (data: Uint8Array, ...bytes: readonly number[]): boolean => bytes.every((byte, i) => data[i] === byte);

/** What can be recognized, and not unpacked. */
const OTHERS: readonly (readonly [string, ...number[]])[] = [
  ['bzip2', 0x42, 0x5a, 0x68],
  ['LZMA', 0x5d, 0, 0],
  ['LZO', 0x89, 0x4c, 0x5a],
];

/** The ELF file that is to run. Throws a FirmwareError that names the file. */
export function kernelProper(file: BootFile): BootFile {
  const { name, data } = file;
  if (isElf(data)) return file;
  if (!isLinux(data)) throw new FirmwareError(`${name} is neither a Linux bzImage nor an ELF file: nothing that can be paravirtualized`);
  const payload = payloadOf(file);
  let unpacked: Uint8Array;
  try {
    unpacked = unpack(name, payload);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new FirmwareError(`the kernel in ${name} cannot be unpacked: ${error.message}`);
  }
  if (!isElf(unpacked)) throw new FirmwareError(`what is packed in ${name} is not a kernel: it is no ELF file`);
  return { name, data: unpacked };
}

function payloadOf({ name, data }: BootFile): Uint8Array {
  const v = view(data);
  const protocol = v.getUint16(PROTOCOL, true);
  if (protocol < 0x208 || data.length < PAYLOAD_LENGTH + 4)
    throw new FirmwareError(
      `${name} speaks Linux boot protocol ${protocol >> 8}.${protocol & 0xff}, which does not say where the kernel in it is: 2.8 does`,
    );
  const start = ((v.getUint8(SETUP_SECTS) || 4) + 1) * 512 + v.getUint32(PAYLOAD_OFFSET, true);
  const length = v.getUint32(PAYLOAD_LENGTH, true);
  if (length === 0)
    throw new FirmwareError(`${name} has a bzImage's header and no kernel packed in it: nothing that can be paravirtualized`);
  if (start + length > data.length)
    throw new FirmwareError(`${name} is truncated: ${data.length} bytes, and the kernel in it ends at ${start + length}`);
  return data.subarray(start, start + length);
}

/** Throws a DecodeError or a FirmwareError. */
function unpack(name: string, payload: Uint8Array): Uint8Array {
  if (isElf(payload)) return payload;
  if (starts(payload, 0x1f, 0x8b)) return gunzip(payload);
  if (payload.length < 8) throw new DecodeError('it is truncated');
  // What is not gzip, which has it anyway, is followed by its unpacked size.
  const packed = payload.subarray(0, -4);
  const size = view(payload).getUint32(payload.length - 4, true);
  if (starts(payload, ...XZ_MAGIC)) return decodeXz(packed, MOST);
  const magic = view(payload).getUint32(0, true);
  const decode = magic === LZ4_LEGACY ? decodeLz4 : magic === ZSTD_MAGIC ? decodeZstd : undefined;
  if (decode) {
    if (size > MOST) throw new DecodeError(`it says that it unpacks to ${mib(size)}, more than any kernel`);
    return decode(packed, size);
  }
  const [other] = OTHERS.find(([, ...bytes]) => starts(payload, ...bytes)) ?? [];
  throw new FirmwareError(
    other
      ? `the kernel in ${name} is packed with ${other}; gzip, LZ4, xz and zstd can be unpacked here`
      : `the kernel in ${name} is packed in a way that is not known: neither gzip nor LZ4, xz or zstd`,
  );
}

function gunzip(payload: Uint8Array): Uint8Array {
  try {
    return zlib.gunzipSync(payload, { maxOutputLength: MOST });
  } catch (error) {
    throw new DecodeError(
      (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'it is larger than any kernel' : 'it is truncated or damaged',
    );
  }
}
