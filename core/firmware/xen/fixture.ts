/** For tests: a machine for paravirtualized guests, and kernels made by hand. */
import { MachineRam } from '../../bus/memory.ts';
import { CPUS, CPU_STRIDE, Control, Cpu, PAGE, PARA_GUEST, Para, layout } from '../../state/index.ts';
import { type ElfNote, elfImage, linuxImage, words } from '../fixture.ts';
import { view } from '../target.ts';
import type { XenTarget } from './boot.ts';

export interface XenTestTarget extends XenTarget {
  readonly resets: number[];
}

/** 16 MiB of the guest's memory unless said otherwise. */
export function xenTarget({ memoryMiB = 16, vcpus = 2 } = {}): XenTestTarget {
  const place = layout(vcpus, (memoryMiB + 2) << 20, true);
  const buffer = new SharedArrayBuffer(place.pages * 0x10000);
  Control.view(buffer, 0).para = place.para;
  const domain = Para.view(buffer, place.para);
  domain.pages = place.pageInfos;
  domain.frames = place.ramSize / PAGE;
  domain.guestFrames = (memoryMiB << 20) / PAGE;
  domain.m2p = PARA_GUEST + domain.guestFrames;
  const resets: number[] = [];
  const reset = (index: number): void => {
    resets.push(index);
    Cpu.view(buffer, CPUS + index * CPU_STRIDE).gpr.fill(0);
  };
  return { buffer, memory: new MachineRam(buffer, place, () => {}), vcpus, resets, reset };
}

const string = (text: string): number[] => [...new TextEncoder().encode(text), 0];
const number = (value: bigint): number[] => words(Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));

export const BASE = 0xffff_ffff_8000_0000n;
export const P2M = 0x80_0000_0000n;

/** Notes by type, as Linux has them; `undefined` leaves one out. */
export interface KernelOptions {
  readonly bits?: 32 | 64;
  readonly notes?: Readonly<Record<number, readonly number[] | undefined>>;
  /** Pseudo-physical address: 1 MiB at first. */
  readonly physical?: number;
  readonly memorySize?: number;
}

export const NOTES = { string, number };

/** 12 KiB of 0x90 at 1 MiB, 4 KiB of zeros after it; its entry is at its beginning, its hypercall page the second. */
export function xenKernel({ bits = 64, notes = {}, physical = 0x10_0000, memorySize = 0x4000 }: KernelOptions = {}): Uint8Array {
  const all: Record<number, readonly number[] | undefined> = {
    1: number(BASE + 0x10_0000n),
    2: number(BASE + 0x10_1000n),
    3: number(BASE),
    5: string('xen-3.0'),
    6: string('linux'),
    10: string('!writable_page_tables|pae_pgdir_above_4gb'),
    15: number(P2M),
    16: words(1),
    18: number(0x10_0000n),
    ...notes,
  };
  const list: ElfNote[] = Object.entries(all).flatMap(([type, data]) => (data ? [{ owner: 'Xen', type: Number(type), data }] : []));
  const bytes = Array.from({ length: 0x3000 }, () => 0x90);
  return elfImage(bits, 0x10_0000, [{ physical, bytes, memorySize }], [], [{ owner: 'GNU', type: 3, data: [1, 2, 3] }, ...list]);
}

/** A bzImage with `payload` in it, as the build of Linux makes it: `size`, if given, follows as four bytes. */
export function bzImage(payload: Uint8Array, size?: number, protocol = 0x20f): Uint8Array {
  const packed = size === undefined ? payload : Uint8Array.from([...payload, ...words(size)]);
  const start = 0x40;
  const data = linuxImage({ protocol, payload: Math.ceil((start + packed.length) / 16) * 16 });
  view(data).setUint32(0x248, start, true);
  view(data).setUint32(0x24c, packed.length, true);
  data.set(packed, 5 * 512 + start);
  return data;
}
