/** Tiny guests: a few bytes of 32-bit code in a multiboot ELF file (Multiboot Specification 0.6.96, 3.1). */
import { writeFileSync } from 'node:fs';

const BASE = 0x100000;

/** An ELF32 executable that the loader puts at 1 MiB and enters, at CPL 0, in flat protected mode without paging. */
export function multiboot(code: readonly number[]): Uint8Array {
  const FILE_OFFSET = 0x1000;
  const bytes = new Uint8Array(FILE_OFFSET + 32 + code.length);
  const v = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  v.setUint16(16, 2, true); // ET_EXEC
  v.setUint16(18, 3, true); // EM_386
  v.setUint32(20, 1, true);
  v.setUint32(24, BASE + 32, true); // e_entry
  v.setUint32(28, 52, true); // e_phoff
  v.setUint16(40, 52, true);
  v.setUint16(42, 32, true);
  v.setUint16(44, 1, true);
  const segment = [1, FILE_OFFSET, BASE, BASE, 32 + code.length, 0x2000, 7, 0x1000];
  segment.forEach((word, i) => v.setUint32(52 + i * 4, word, true));
  v.setUint32(FILE_OFFSET, 0x1badb002, true);
  v.setUint32(FILE_OFFSET + 4, 0, true);
  v.setUint32(FILE_OFFSET + 8, -0x1badb002, true);
  bytes.set(code, FILE_OFFSET + 32);
  return bytes;
}

export function writeGuest(file: string, code: readonly number[]): string {
  writeFileSync(file, multiboot(code));
  return file;
}

/** mov al, value; out 0xf4, al; then a loop. */
export const exitWith = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, 0xeb, 0xfe];
/** lidt of an empty table, then an exception. */
export const tripleFault = [0x6a, 0x00, 0x6a, 0x00, 0x0f, 0x01, 0x1c, 0x24, 0x0f, 0x0b];
/** jmp to itself */
export const forever = [0xeb, 0xfe];
/** cli; hlt; jmp back */
export const halted = [0xfa, 0xf4, 0xeb, 0xfd];
/** Writes a text to COM1, then goes on with `then`. */
export const say = (text: string, then: readonly number[]): number[] => [
  // mov dx, 0x3f8
  0x66, 0xba, 0xf8, 0x03,
  ...[...text].flatMap((c) => [0xb0, c.charCodeAt(0), 0xee]),
  ...then,
]; // prettier-ignore
