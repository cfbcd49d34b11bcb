/** For tests of firmware: a small machine, and kernels made by hand. */
import { MachineRam } from '../bus/memory.ts';
import { CPUS, Control, Cpu, layout } from '../state/index.ts';
import type { BootTarget } from './target.ts';

export interface TestTarget extends BootTarget {
  readonly ports: [number, number][];
}

/** 64 MiB unless said otherwise. Memory that is not touched costs nothing. */
export function testTarget({ memoryMiB = 64, vcpus = 2, longMode = true } = {}): TestTarget {
  const place = layout(vcpus, memoryMiB << 20);
  const buffer = new SharedArrayBuffer(place.pages * 0x10000);
  const control = Control.view(buffer, 0);
  control.tlbs = place.tlbs;
  control.vcpus = vcpus;
  Cpu.view(buffer, CPUS).physicalMask = 2 ** 40 - 1;
  const ports: [number, number][] = [];
  return {
    buffer,
    memory: new MachineRam(buffer, place, () => {}),
    ramLow: place.ramLow,
    ramSize: place.ramSize,
    vcpus,
    serials: 2,
    disks: 0,
    longMode,
    ports,
    writePort: (port, value) => ports.push([port, value]),
  };
}

export interface LinuxOptions {
  readonly protocol?: number;
  readonly setupSectors?: number;
  readonly payload?: number;
  readonly xloadflags?: number;
  readonly loadflags?: number;
  readonly cmdlineSize?: number;
  readonly code32Start?: number;
  readonly initSize?: number;
  readonly preferred?: number;
  readonly initrdMax?: number;
}

/** A bzImage with nothing in it but its header and a payload of 0xcc. */
export function linuxImage(o: LinuxOptions = {}): Uint8Array {
  const sectors = o.setupSectors ?? 4;
  const payload = o.payload ?? 0x1000;
  const data = new Uint8Array((sectors + 1) * 512 + payload).fill(0xcc, (sectors + 1) * 512);
  const v = new DataView(data.buffer);
  v.setUint8(0x1f1, sectors);
  v.setUint32(0x1f4, payload / 16, true);
  v.setUint16(0x1fe, 0xaa55, true);
  v.setUint16(0x200, 0x66eb, true);
  v.setUint32(0x202, 0x5372_6448, true);
  v.setUint16(0x206, o.protocol ?? 0x20f, true);
  v.setUint8(0x211, o.loadflags ?? 1);
  v.setUint32(0x214, o.code32Start ?? 0x100000, true);
  v.setUint32(0x22c, o.initrdMax ?? 0x7fff_ffff, true);
  v.setUint16(0x236, o.xloadflags ?? 1, true);
  v.setUint32(0x238, o.cmdlineSize ?? 2047, true);
  v.setUint32(0x258, o.preferred ?? 0x100_0000, true);
  v.setUint32(0x260, o.initSize ?? 0x10_0000, true);
  return data;
}

export interface ElfSegment {
  readonly physical: number;
  readonly virtual?: number;
  readonly bytes: readonly number[];
  readonly memorySize?: number;
}

export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly data: readonly number[];
}

const padded = (bytes: readonly number[]): number[] => [...bytes, ...Array.from({ length: -bytes.length & 3 }, () => 0)];
const noteBytes = ({ owner, type, data }: ElfNote): number[] => {
  const name = [...new TextEncoder().encode(owner), 0];
  return [...words(name.length, data.length, type), ...padded(name), ...padded(data)];
};

/** An executable; `prefix` comes right after the program headers (a multiboot header, say). `notes`, if there are any, are a segment of their own. */
export function elfImage(
  bits: 32 | 64,
  entry: number,
  loaded: readonly ElfSegment[],
  prefix: readonly number[] = [],
  notes: readonly ElfNote[] = [],
): Uint8Array {
  const segments = notes.length > 0 ? [...loaded, { physical: 0, bytes: notes.flatMap(noteBytes) }] : loaded;
  const wide = bits === 64;
  const header = wide ? 64 : 52;
  const entrySize = wide ? 56 : 32;
  const start = Math.ceil((header + entrySize * segments.length) / 4) * 4;
  let at = start + prefix.length;
  const data = new Uint8Array(at + segments.reduce((n, s) => n + s.bytes.length, 0));
  const v = new DataView(data.buffer);
  v.setUint32(0, 0x7f45_4c46);
  data[4] = wide ? 2 : 1;
  data[5] = data[6] = 1;
  v.setUint16(16, 2, true);
  v.setUint16(18, wide ? 62 : 3, true);
  const word = (offset: number, value: number): void =>
    wide ? v.setBigUint64(offset, BigInt(value), true) : v.setUint32(offset, value, true);
  word(24, entry);
  word(wide ? 32 : 28, header);
  v.setUint16(wide ? 54 : 42, entrySize, true);
  v.setUint16(wide ? 56 : 44, segments.length, true);
  data.set(prefix, start);
  segments.forEach((s, i) => {
    const p = header + i * entrySize;
    v.setUint32(p, i < loaded.length ? 1 : 4, true);
    const fields = [at, s.virtual ?? s.physical, s.physical, s.bytes.length, s.memorySize ?? s.bytes.length];
    fields.forEach((value, n) => word(p + (wide ? 8 + 8 * n : 4 + 4 * n), value));
    data.set(s.bytes, at);
    at += s.bytes.length;
  });
  return data;
}

export const words = (...values: number[]): number[] =>
  values.flatMap((v) => [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, (v >>> 24) & 0xff]);
