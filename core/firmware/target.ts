/** What firmware works on, and what it is asked to start. */
import type { GuestMemory } from '../bus/device.ts';
import type { RamSize } from './map.ts';
import { FirmwareError } from './error.ts';

/** The machine, before anything runs. */
export interface BootTarget extends RamSize {
  /** Machine memory: the vCPUs' states are in it. */
  readonly buffer: ArrayBufferLike;
  readonly memory: GuestMemory;
  readonly vcpus: number;
  readonly serials: number;
  /** Disks that the BIOS serves. */
  readonly disks: number;
  /** Whether the vCPUs have 64-bit mode. */
  readonly longMode: boolean;
  /** For devices that firmware leaves set up (interrupt controllers, timer). */
  writePort(port: number, value: number): void;
}

/** A file's contents; `name` is what the user called it, for messages. */
export interface BootFile {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface BootModule extends BootFile {
  readonly commandLine?: string;
}

export interface BootRequest {
  readonly kernel: BootFile;
  /** For Linux; for multiboot it becomes the first module. */
  readonly initrd?: BootFile;
  readonly modules?: readonly BootModule[];
  readonly commandLine: string;
  /** How a Linux kernel is entered; absent: in 64-bit mode if both kernel and processor can, else in 32-bit mode; in real mode if that is all it has. */
  readonly entry?: 'real' | 'protected' | 'long';
}

/** Structures for the system: below the real-mode kernel, above the BIOS's data. */
export const BOOT_DATA = 0x10000;
export const BOOT_STRINGS = 0x20000;
export const BOOT_DATA_END = 0x30000;

export const view = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** Sizes for messages: MiB, rounded up to what a user would have to give. */
export const mib = (bytes: number): string => `${Math.ceil(bytes / (1 << 20))} MiB`;

/** One byte per character; what does not fit is an error, not a silent change. */
export function commandLineBytes(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.includes(0)) throw new FirmwareError('the command line contains a NUL character');
  return bytes;
}

/** Where the last byte range that a kernel takes may end, and where the first may begin. */
export function checkPlace(target: BootTarget, file: BootFile, base: number, length: number, end: number): void {
  const stop = base + length;
  if (stop > end)
    throw new FirmwareError(`${file.name} needs memory up to ${mib(stop)}, and the machine has ${mib(target.ramLow)}: give it more memory`);
  if (base < BOOT_DATA_END || (base < 0x100000 && stop > 0x90000))
    throw new FirmwareError(`${file.name} asks to be loaded at 0x${base.toString(16)}, where the firmware's own data is`);
}
