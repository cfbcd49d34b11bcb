/** Raw disk images: a file whose bytes are the disk's. */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { type BlockBackend, SECTOR } from '../bus/block.ts';

/** A disk image cannot be used: one sentence that says which, and why. */
export class StorageError extends Error {}

export interface RawImage extends BlockBackend {
  close(): void;
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
  EMFILE: 'too many files are open',
};

const reason = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && WHY[code]) ?? message;
};

/** Opens an image. Its size must be a multiple of 512 bytes. Throws a StorageError. */
export function openRaw(path: string, readonly = false): RawImage {
  let fd: number;
  try {
    fd = openSync(path, readonly ? 'r' : 'r+');
  } catch (error) {
    throw new StorageError(`disk ${path} cannot be opened: ${reason(error)}`);
  }
  try {
    return rawImage(fd, path, readonly);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function rawImage(fd: number, path: string, readonly: boolean): RawImage {
  const stat = fstatSync(fd);
  if (!stat.isFile())
    throw new StorageError(`disk ${path} cannot be used: it is ${stat.isDirectory() ? 'a directory' : 'not a regular file'}`);
  if (stat.size === 0) throw new StorageError(`disk ${path} cannot be used: the file is empty`);
  if (stat.size % SECTOR !== 0)
    throw new StorageError(`disk ${path} cannot be used: its size, ${stat.size} bytes, is not a multiple of ${SECTOR}`);
  const sectors = stat.size / SECTOR;
  let open = true;

  const check = (sector: number, bytes: number): void => {
    if (!open) throw new StorageError(`disk ${path} is closed`);
    if (bytes % SECTOR !== 0 || !Number.isInteger(sector) || sector < 0 || sector + bytes / SECTOR > sectors)
      throw new StorageError(`disk ${path}: ${bytes} bytes at sector ${sector} are outside its ${sectors} sectors`);
  };

  return {
    sectors,
    readonly,
    read(sector, into) {
      check(sector, into.length);
      for (let done = 0; done < into.length;) {
        let n: number;
        try {
          n = readSync(fd, into, done, into.length - done, sector * SECTOR + done);
        } catch (error) {
          throw new StorageError(`disk ${path} cannot be read at sector ${sector}: ${reason(error)}`);
        }
        if (n === 0) throw new StorageError(`disk ${path} became shorter while it was in use`);
        done += n;
      }
    },
    write(sector, data) {
      check(sector, data.length);
      if (readonly) throw new StorageError(`disk ${path} is read-only`);
      for (let done = 0; done < data.length;) {
        try {
          done += writeSync(fd, data, done, data.length - done, sector * SECTOR + done);
        } catch (error) {
          throw new StorageError(`disk ${path} cannot be written at sector ${sector}: ${reason(error)}`);
        }
      }
    },
    flush() {
      if (readonly) return;
      try {
        fsyncSync(fd);
      } catch (error) {
        throw new StorageError(`disk ${path} cannot be flushed: ${reason(error)}`);
      }
    },
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}
