/** Files that the user names: are they there, and what does their header say they are. */
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from './api.ts';
import { causeOf } from './cause.ts';

export type FileKind = 'linux' | 'multiboot' | 'elf' | 'gzip' | 'cpio' | 'qcow2' | 'unknown';

export interface FileInfo {
  /** Absolute. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly kind: FileKind;
}

/** What the user calls it, in sentences: "The kernel /x does not exist." */
export type Purpose = 'kernel' | 'initrd' | 'module' | 'disk';
const WORDS: Readonly<Record<Purpose, string>> = { kernel: 'kernel', initrd: 'initial RAM disk', module: 'module', disk: 'disk' };

/** Looks at a file. Throws a UserError that names it and says what is wrong; `field` is the form's. */
export async function inspect(file: string, purpose: Purpose, field?: string): Promise<FileInfo> {
  const absolute = path.resolve(file);
  const what = `The ${WORDS[purpose]} ${absolute}`;
  let size: number;
  try {
    const status = await stat(absolute);
    if (status.isDirectory()) throw new UserError(`${what} is a folder, not a file.`, field);
    if (!status.isFile() && !status.isBlockDevice()) throw new UserError(`${what} is not a regular file.`, field);
    size = status.size;
    if (size === 0 && status.isFile()) throw new UserError(`${what} is empty.`, field);
  } catch (error) {
    if (error instanceof UserError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UserError(`${what} does not exist.`, field);
    throw new UserError(`${what} cannot be read: ${causeOf(error)}.`, field);
  }
  const head = new Uint8Array(8192);
  let length: number;
  try {
    const handle = await open(absolute, 'r');
    try {
      length = (await handle.read(head, 0, head.length, 0)).bytesRead;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new UserError(`${what} cannot be read: ${causeOf(error)}.`, field);
  }
  return { path: absolute, size, kind: identify(head.subarray(0, length)) };
}

/** What the first 8 KiB of a file show it to be. */
export function identify(head: Uint8Array): FileKind {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const at = (offset: number, ...bytes: number[]): boolean => bytes.every((byte, i) => head[offset + i] === byte);
  // Linux/x86 boot protocol: boot_flag at 0x1fe, "HdrS" at 0x202.
  if (at(0x1fe, 0x55, 0xaa) && at(0x202, 0x48, 0x64, 0x72, 0x53)) return 'linux';
  // Multiboot 1, section 3.1: the magic number is 4-byte aligned within the first 8192 bytes, and its checksum makes the sum 0.
  for (let i = 0; i + 12 <= head.length; i += 4) {
    if (view.getUint32(i, true) !== 0x1bad_b002) continue;
    if (((view.getUint32(i, true) + view.getUint32(i + 4, true) + view.getUint32(i + 8, true)) & 0xffff_ffff) === 0) return 'multiboot';
  }
  if (at(0, 0x7f, 0x45, 0x4c, 0x46)) return 'elf';
  if (at(0, 0x1f, 0x8b)) return 'gzip';
  if (at(0, 0x30, 0x37, 0x30, 0x37, 0x30, 0x31)) return 'cpio';
  if (at(0, 0x51, 0x46, 0x49, 0xfb)) return 'qcow2';
  return 'unknown';
}
