/** The memory map that firmware hands to a system, and where firmware's own things lie. */
import { FirmwareError } from './error.ts';

export const E820_RAM = 1;
export const E820_RESERVED = 2;
export const E820_ACPI = 3;
export const E820_NVS = 4;

export interface Range {
  readonly base: number;
  readonly length: number;
  readonly type: number;
}

/** The extended BIOS data area: the end of conventional memory. */
export const EBDA = 0x9fc00;
export const BIOS_ROM = 0xe0000;
export const HIGH_RAM = 0x1_0000_0000;
/** ACPI tables, at the end of low RAM; the last page of it is the FACS's. */
export const ACPI_SIZE = 0x10000;
export const RAM_MIN = 2 << 20;

export interface RamSize {
  readonly ramLow: number;
  readonly ramSize: number;
}

/** RAM below 4 GiB that a system may use ends here. */
export const usableEnd = (ram: RamSize): number => ram.ramLow - ACPI_SIZE;

export function memoryMap(ram: RamSize): Range[] {
  if (ram.ramLow < RAM_MIN) throw new FirmwareError(`the machine has ${ram.ramLow >> 20} MiB of memory; a PC needs at least 2`);
  const end = usableEnd(ram);
  const map: Range[] = [
    { base: 0, length: EBDA, type: E820_RAM },
    { base: EBDA, length: 0xa0000 - EBDA, type: E820_RESERVED },
    { base: BIOS_ROM, length: 0x100000 - BIOS_ROM, type: E820_RESERVED },
    { base: 0x100000, length: end - 0x100000, type: E820_RAM },
    { base: end, length: ACPI_SIZE - 0x1000, type: E820_ACPI },
    { base: ram.ramLow - 0x1000, length: 0x1000, type: E820_NVS },
  ];
  if (ram.ramSize > ram.ramLow) map.push({ base: HIGH_RAM, length: ram.ramSize - ram.ramLow, type: E820_RAM });
  return map;
}
