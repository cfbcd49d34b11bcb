/** Starts a system: recognizes what kind of kernel a file is, and leaves the machine as that kind's boot protocol says. */
import { writeAcpiTables } from './acpi/tables.ts';
import { installBios } from './bios.ts';
import { bootElf, isElf } from './elf.ts';
import { FirmwareError } from './error.ts';
import { bootLinux, isLinux } from './linux.ts';
import { memoryMap } from './map.ts';
import { bootMultiboot, findMultiboot } from './multiboot.ts';
import { resetState } from './state.ts';
import type { BootRequest, BootTarget } from './target.ts';

/**
 * Resets the vCPUs, puts the firmware's tables into RAM, loads the kernel and sets the first vCPU's registers. The board must have been reset.
 * Throws a FirmwareError if what the user gave cannot be booted.
 */
export function boot(target: BootTarget, request: BootRequest): void {
  const { kernel } = request;
  if (kernel.data.length === 0) throw new FirmwareError(`${kernel.name} is empty`);
  memoryMap(target); // too little memory is said first
  for (let i = 0; i < target.vcpus; i++) resetState(target.buffer, i);
  installBios(target, request.entry === 'real');
  writeAcpiTables(target.memory, target);

  if (isLinux(kernel.data)) return bootLinux(target, request);
  if (request.entry) throw new FirmwareError(`${kernel.name} is not a Linux kernel: only that can be entered in a chosen mode`);
  const multiboot = findMultiboot(kernel.data);
  if (multiboot >= 0) return bootMultiboot(target, request, multiboot);
  if (isElf(kernel.data)) return bootElf(target, request);
  throw new FirmwareError(`${kernel.name} is not a kernel: neither a Linux bzImage, nor multiboot, nor ELF`);
}
