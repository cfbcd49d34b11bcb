import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageError, openRaw } from './raw.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'raw-'));
  path = join(folder, 'disk.img');
  writeFileSync(
    path,
    Uint8Array.from({ length: 4096 }, (_, i) => i >> 9),
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('raw images', () => {
  it('read and write sectors', () => {
    const disk = openRaw(path);
    expect([disk.sectors, disk.readonly]).toEqual([8, false]);
    const data = new Uint8Array(1024);
    disk.read(3, data);
    expect([data[0], data[511], data[512]]).toEqual([3, 3, 4]);
    disk.write(7, new Uint8Array(512).fill(0xaa));
    disk.flush();
    disk.close();
    disk.close();
    const file = readFileSync(path);
    expect([file.length, file[3583], file[3584], file[4095]]).toEqual([4096, 6, 0xaa, 0xaa]);
  });

  it('keep a read-only one as it is', () => {
    const disk = openRaw(path, true);
    expect(disk.readonly).toBe(true);
    expect(() => disk.write(0, new Uint8Array(512))).toThrow(/read-only/);
    disk.flush();
    disk.close();
  });

  it('refuse what is outside', () => {
    const disk = openRaw(path);
    for (const [sector, bytes] of [
      [8, 512],
      [7, 1024],
      [-1, 512],
      [0.5, 512],
      [0, 100],
    ] as const) {
      // prettier-ignore
      expect(() => disk.read(sector, new Uint8Array(bytes))).toThrow(StorageError);
      expect(() => disk.write(sector, new Uint8Array(bytes))).toThrow(StorageError);
    }
    disk.close();
    expect(() => disk.read(0, new Uint8Array(512))).toThrow(/closed/);
  });

  it('say what is wrong with a file', () => {
    expect(() => openRaw(join(folder, 'none.img'))).toThrow(`disk ${join(folder, 'none.img')} cannot be opened: there is no such file`);
    expect(() => openRaw(folder)).toThrow(/it is a directory/);
    expect(() => openRaw(folder, true)).toThrow(/it is a directory/);
    writeFileSync(path, '');
    expect(() => openRaw(path)).toThrow(/the file is empty/);
    writeFileSync(path, 'x'.repeat(513));
    expect(() => openRaw(path)).toThrow(/its size, 513 bytes, is not a multiple of 512/);
    if (process.getuid?.() !== 0) {
      chmodSync(path, 0);
      expect(() => openRaw(path)).toThrow(/permission is denied/);
    }
  });

  it('notice a file that shrank', () => {
    const disk = openRaw(path);
    truncateSync(path, 512);
    expect(() => disk.read(4, new Uint8Array(512))).toThrow(/became shorter/);
    disk.close();
  });
});
