/** Starts a system: recognizes what kind of kernel a file is, and leaves the machine as that kind's boot protocol says. */
import { type BlockBackend, SECTOR } from '../bus/block.ts';
import { writeAcpiTables } from './acpi/tables.ts';
import { BOOTABLE, BOOT_SECTOR, SEGMENT } from './bios/layout.ts';
import { BOOT_ENTRY, installBios } from './bios/rom.ts';
import { bootElf, isElf } from './elf.ts';
import { FirmwareError } from './error.ts';
import { bootLinux, isLinux, isRealModeOnly } from './linux.ts';
import { memoryMap } from './map.ts';
import { bootMultiboot, findMultiboot } from './multiboot.ts';
import { cpuAt, enterReal, resetState } from './state.ts';
import { type BootRequest, type BootTarget, view } from './target.ts';

/**
 * Resets the vCPUs, puts the firmware's tables into RAM, loads the kernel and sets the first vCPU's registers. The board must have been reset.
 * Throws a FirmwareError if what the user gave cannot be booted.
 */
export function boot(target: BootTarget, request: BootRequest): void {
  const { kernel } = request;
  if (kernel.data.length === 0) throw new FirmwareError(`${kernel.name} is empty`);
  const linux = isLinux(kernel.data);
  const entry = request.entry ?? (linux && isRealModeOnly(kernel.data) ? 'real' : undefined);
  prepare(target, entry === 'real');

  if (linux) return bootLinux(target, entry ? { ...request, entry } : request);
  if (request.entry) throw new FirmwareError(`${kernel.name} is not a Linux kernel: only that can be entered in a chosen mode`);
  const multiboot = findMultiboot(kernel.data);
  if (multiboot >= 0) return bootMultiboot(target, request, multiboot);
  if (isElf(kernel.data)) return bootElf(target, request);
  throw new FirmwareError(`${kernel.name} is not a kernel: neither a Linux bzImage, nor multiboot, nor ELF`);
}

/**
 * Resets the vCPUs and leaves the first one at the BIOS's bootstrap (INT 19h), which starts the first disk's boot sector. The board must have been
 * reset. `name` is what the user called the disk. Throws a FirmwareError if there is no boot sector.
 */
export function bootDisk(target: BootTarget, disk: BlockBackend, name: string): void {
  const first = new Uint8Array(SECTOR);
  disk.read(0, first);
  if (view(first).getUint16(SECTOR - 2, true) !== BOOTABLE)
    throw new FirmwareError(`disk ${name} cannot be started: its first sector does not end with the boot signature 55 AA`);
  prepare(target, true);
  enterReal(target.buffer, cpuAt(target.buffer, 0), SEGMENT, BOOT_ENTRY, 0, BOOT_SECTOR);
}

function prepare(target: BootTarget, real: boolean): void {
  memoryMap(target); // too little memory is said first
  for (let i = 0; i < target.vcpus; i++) resetState(target.buffer, i);
  installBios(target, real);
  writeAcpiTables(target.memory, target);
}
