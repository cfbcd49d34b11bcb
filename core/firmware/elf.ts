/** ELF executables (System V ABI), 32- and 64-bit, little-endian: as much as loading a kernel takes. */
import { FirmwareError } from './error.ts';
import { usableEnd } from './map.ts';
import { cpuAt, enterLong, enterProtected } from './state.ts';
import { type BootFile, type BootRequest, type BootTarget, checkPlace, view } from './target.ts';

const PT_LOAD = 1;
const PT_NOTE = 4;
const EM_386 = 3;
const EM_X86_64 = 62;

export interface LoadedElf {
  readonly bits: 32 | 64;
  /** Physical. */
  readonly entry: number;
  /** End of the highest segment. */
  readonly end: number;
}

export const isElf = (data: Uint8Array): boolean => data.length >= 4 && view(data).getUint32(0, false) === 0x7f45_4c46;

export interface Segment {
  readonly virtual: number;
  readonly physical: number;
  readonly memorySize: number;
  /** What is in the file; zeros follow. */
  readonly bytes: Uint8Array;
}

export interface ElfFile {
  /** Of the processor that it is for. */
  readonly bits: 32 | 64;
  /** Virtual. */
  readonly entry: number;
  /** PT_LOAD, as far as they take memory. At least one. */
  readonly segments: readonly Segment[];
  /** PT_NOTE. */
  readonly notes: readonly Uint8Array[];
}

/** Reads header and program headers. Addresses are doubles: where a 64-bit one is rounded, it is not physical. */
export function readElf(file: BootFile): ElfFile {
  const { data, name } = file;
  const v = view(data);
  const wide = data.length > 4 && data[4] === 2;
  if (data.length < (wide ? 64 : 52)) throw new FirmwareError(`${name} is truncated: its ELF header is not complete`);
  if (data[5] !== 1) throw new FirmwareError(`${name} is a big-endian ELF file, not an x86 kernel`);
  const machine = v.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64)
    throw new FirmwareError(`${name} is an ELF file for another processor (machine ${machine})`);
  // Values above 2^53 are nonsense anyway and fail the checks below.
  const u64 = (at: number): number => v.getUint32(at, true) + v.getUint32(at + 4, true) * 2 ** 32;
  const u32 = (at: number): number => v.getUint32(at, true);
  const table = wide ? u64(32) : u32(28);
  const entrySize = v.getUint16(wide ? 54 : 42, true);
  const count = v.getUint16(wide ? 56 : 44, true);
  if (count === 0) throw new FirmwareError(`${name} has no program headers: it is not an executable`);
  if (entrySize < (wide ? 56 : 32) || table + count * entrySize > data.length)
    throw new FirmwareError(`${name} is truncated: its program headers are not in the file`);

  const segments: Segment[] = [];
  const notes: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const at = table + i * entrySize;
    const type = u32(at);
    if (type !== PT_LOAD && type !== PT_NOTE) continue;
    const [offset, virtual, physical, fileSize, memorySize] = wide
      ? [u64(at + 8), u64(at + 16), u64(at + 24), u64(at + 32), u64(at + 40)]
      : [u32(at + 4), u32(at + 8), u32(at + 12), u32(at + 16), u32(at + 20)];
    if (type === PT_LOAD && memorySize === 0) continue;
    if (type === PT_LOAD && fileSize > memorySize)
      throw new FirmwareError(`${name} is damaged: a segment is larger in the file than in memory`);
    if (offset + fileSize > data.length) throw new FirmwareError(`${name} is truncated: a segment ends beyond the file`);
    const bytes = data.subarray(offset, offset + fileSize);
    if (type === PT_NOTE) notes.push(bytes);
    else segments.push({ virtual, physical, memorySize, bytes });
  }
  if (segments.length === 0) throw new FirmwareError(`${name} has nothing to load`);
  return { bits: machine === EM_X86_64 ? 64 : 32, entry: wide ? u64(24) : u32(24), segments, notes };
}

/** Copies the segments to their physical addresses. */
export function loadElf(target: BootTarget, file: BootFile): LoadedElf {
  const { bits, entry, segments } = readElf(file);
  for (const { physical, memorySize } of segments) checkPlace(target, file, physical, memorySize, usableEnd(target));
  for (const { physical, memorySize, bytes } of segments) {
    target.memory.write(physical, bytes);
    target.memory.write(physical + bytes.length, new Uint8Array(memorySize - bytes.length));
  }
  // The entry is a virtual address; it is entered without paging.
  const home = segments.find((s) => entry >= s.virtual && entry < s.virtual + s.memorySize);
  return {
    bits,
    entry: home ? entry - home.virtual + home.physical : entry,
    end: Math.max(...segments.map((s) => s.physical + s.memorySize)),
  };
}

/** A bare ELF kernel: entered at its entry point in the mode of its class, with nothing passed. */
export function bootElf(target: BootTarget, request: BootRequest): void {
  const { kernel } = request;
  if (request.initrd || request.modules?.length)
    throw new FirmwareError(`${kernel.name} is a plain ELF file without a boot protocol that could take an initrd or modules`);
  const { bits, entry } = loadElf(target, kernel);
  const cpu = cpuAt(target.buffer, 0);
  if (bits === 32) enterProtected(target.buffer, cpu, target.memory, entry);
  else if (target.longMode) enterLong(target.buffer, cpu, target.memory, entry);
  else throw new FirmwareError(`${kernel.name} is 64-bit code, and the CPU model has no 64-bit mode`);
}
