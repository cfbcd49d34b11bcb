/** The Linux/x86 boot protocol (Documentation/arch/x86/boot.rst of the kernel), versions 2.02 and later. */
import { FirmwareError } from './error.ts';
import { memoryMap, usableEnd } from './map.ts';
import { RSDP } from './acpi/tables.ts';
import { RSI, cpuAt, enterLong, enterProtected, enterReal } from './state.ts';
import { BOOT_DATA, BOOT_STRINGS, type BootRequest, type BootTarget, commandLineBytes, mib, view } from './target.ts';

// Offsets in the setup header, the same in the file's first sectors and in the zero page.
const SETUP_SECTS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const JUMP_OFFSET = 0x201;
const HEADER_MAGIC = 0x202;
const PROTOCOL = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const HEAP_END_PTR = 0x224;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
// Offsets in the zero page only.
const ACPI_RSDP_ADDR = 0x070;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;

const LOADED_HIGH = 0x01;
const CAN_USE_HEAP = 0x80;
const XLF_KERNEL_64 = 0x01;
const UNDEFINED_LOADER = 0xff;
const KERNEL = 0x100000;
const REAL_MODE = 0x90000;
/** The real-mode code's stack and heap end here; its command line follows. */
const REAL_HEAP_END = 0x9800;
const REAL_LIMIT = 0xfc00;

export function isLinux(data: Uint8Array): boolean {
  if (data.length < 0x206) return false;
  const v = view(data);
  return v.getUint16(BOOT_FLAG, true) === 0xaa55 && v.getUint32(HEADER_MAGIC, true) === 0x5372_6448; // "HdrS"
}

/** Some programs that are no kernels have a kernel's header for their real-mode code alone (iPXE: no 32-bit entry is named). */
export const isRealModeOnly = (data: Uint8Array): boolean =>
  data.length >= CODE32_START + 4 && view(data).getUint32(CODE32_START, true) === 0;

export function bootLinux(target: BootTarget, request: BootRequest): void {
  const { kernel, initrd, modules } = request;
  const { data } = kernel;
  const { memory } = target;
  if (data.length < 0x268) throw new FirmwareError(`${kernel.name} is truncated: its setup header is not complete`);
  const v = view(data);
  const protocol = v.getUint16(PROTOCOL, true);
  if (protocol < 0x202)
    throw new FirmwareError(`${kernel.name} speaks Linux boot protocol ${protocol >> 8}.${protocol & 0xff}; 2.2 is the oldest that works`);
  if (!((v.getUint8(LOADFLAGS) & LOADED_HIGH) !== 0))
    throw new FirmwareError(`${kernel.name} is a zImage, to be loaded below 1 MiB; only bzImages can be booted`);
  if (modules?.length) throw new FirmwareError(`${kernel.name} is a Linux kernel, which takes an initrd and no modules`);

  const setupBytes = ((v.getUint8(SETUP_SECTS) || 4) + 1) * 512;
  // The size is in paragraphs and leaves the last partial one of older kernels out.
  const declared = v.getUint32(0x1f4, true) * 16;
  const size = data.length - setupBytes;
  if (size <= 0 || size + 15 < declared)
    throw new FirmwareError(`${kernel.name} is truncated: ${data.length} bytes of ${setupBytes + declared}`);

  const end = usableEnd(target);
  const modern = protocol >= 0x20a;
  const preferred = modern ? Number(v.getBigUint64(PREF_ADDRESS, true)) : KERNEL;
  const initSize = modern ? v.getUint32(INIT_SIZE, true) : size;
  // Where it decompresses to (never below its preferred address), and where it was loaded, with the space it wants there.
  const kernelEnd = Math.max(KERNEL + size, preferred + initSize);
  if (kernelEnd > end)
    throw new FirmwareError(
      `${kernel.name} needs ${mib(kernelEnd)} of memory, and the machine has ${mib(target.ramLow)}: give it more memory`,
    );

  const line = commandLineBytes(request.commandLine);
  const lineMax = protocol >= 0x206 ? v.getUint32(CMDLINE_SIZE, true) : 255;
  if (line.length > lineMax) throw new FirmwareError(`the command line has ${line.length} bytes; ${kernel.name} takes at most ${lineMax}`);

  const initrdAt = initrd
    ? placeInitrd(target, request, kernelEnd, protocol >= 0x203 ? v.getUint32(INITRD_ADDR_MAX, true) : 0x37ff_ffff)
    : 0;

  const has64 = protocol >= 0x20c && (v.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0;
  const entry = request.entry ?? (has64 && target.longMode ? 'long' : 'protected');
  if (entry === 'long' && !has64) throw new FirmwareError(`${kernel.name} has no 64-bit entry`);
  if (entry === 'long' && !target.longMode)
    throw new FirmwareError(`${kernel.name} cannot be entered in 64-bit mode: the CPU model has none`);

  memory.write(KERNEL, data.subarray(setupBytes));
  const cpu = cpuAt(target.buffer, 0);

  if (entry === 'real') {
    if (setupBytes > REAL_HEAP_END - 0x200)
      throw new FirmwareError(`${kernel.name} has ${setupBytes} bytes of real-mode code, more than fit`);
    memory.write(REAL_MODE, data.subarray(0, setupBytes));
    fillHeader(target, request, REAL_MODE, initrdAt, protocol);
    if (REAL_HEAP_END + line.length + 1 > REAL_LIMIT)
      throw new FirmwareError(`the command line has ${line.length} bytes; the 16-bit entry takes fewer`);
    memory.write(REAL_MODE + REAL_HEAP_END, Uint8Array.from([...line, 0]));
    memory.write32(REAL_MODE + CMD_LINE_PTR, REAL_MODE + REAL_HEAP_END);
    memory.write8(REAL_MODE + LOADFLAGS, v.getUint8(LOADFLAGS) | CAN_USE_HEAP);
    memory.write16(REAL_MODE + HEAP_END_PTR, REAL_HEAP_END - 0x200);
    enterReal(target.buffer, cpu, (REAL_MODE >> 4) + 0x20, 0, REAL_MODE >> 4, REAL_HEAP_END);
    return;
  }

  memory.write(BOOT_DATA, new Uint8Array(0x1000));
  // The header ends where the jump at its beginning leads to.
  const headerEnd = Math.min(0x202 + v.getUint8(JUMP_OFFSET), E820_TABLE - 0x40, data.length);
  memory.write(BOOT_DATA + SETUP_SECTS, data.subarray(SETUP_SECTS, headerEnd));
  fillHeader(target, request, BOOT_DATA, initrdAt, protocol);
  memory.write(BOOT_STRINGS, Uint8Array.from([...line, 0]));
  memory.write32(BOOT_DATA + CMD_LINE_PTR, BOOT_STRINGS);
  memory.write64(BOOT_DATA + ACPI_RSDP_ADDR, RSDP);
  const map = memoryMap(target);
  memory.write8(BOOT_DATA + E820_ENTRIES, map.length);
  map.forEach(({ base, length, type }, i) => {
    const at = BOOT_DATA + E820_TABLE + 20 * i;
    memory.write64(at, base);
    memory.write64(at + 8, length);
    memory.write32(at + 16, type);
  });
  cpu.gpr.set(RSI, BOOT_DATA);
  if (entry === 'long') enterLong(target.buffer, cpu, memory, KERNEL + 0x200);
  else enterProtected(target.buffer, cpu, memory, KERNEL);
}

/** What the loader writes into the header. */
function fillHeader(target: BootTarget, request: BootRequest, at: number, initrdAt: number, protocol: number): void {
  const { memory } = target;
  memory.write8(at + TYPE_OF_LOADER, UNDEFINED_LOADER);
  if (protocol >= 0x200 && request.initrd) {
    memory.write32(at + RAMDISK_IMAGE, initrdAt);
    memory.write32(at + RAMDISK_SIZE, request.initrd.data.length);
  }
}

/** As high as kernel and memory allow, so that the kernel has room to unpack itself. */
function placeInitrd(target: BootTarget, request: BootRequest, kernelEnd: number, highest: number): number {
  const { name, data } = request.initrd!;
  if (data.length === 0) throw new FirmwareError(`${name} is empty`);
  const end = Math.min(usableEnd(target), highest + 1);
  const at = Math.floor((end - data.length) / 4096) * 4096;
  if (at < kernelEnd) {
    const needed = kernelEnd + data.length;
    throw new FirmwareError(
      `${name} (${mib(data.length)}) does not fit beside the kernel: ${mib(needed)} of memory are needed, and the machine has ${mib(target.ramLow)}`,
    );
  }
  target.memory.write(at, data);
  return at;
}
