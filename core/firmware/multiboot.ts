/** Multiboot specification, version 0.6.96 ("multiboot 1"). */
import { loadElf, isElf } from './elf.ts';
import { FirmwareError } from './error.ts';
import { EBDA, memoryMap, usableEnd } from './map.ts';
import { RAX, RBX, cpuAt, enterProtected } from './state.ts';
import {
  BOOT_DATA,
  BOOT_DATA_END,
  BOOT_STRINGS,
  type BootModule,
  type BootRequest,
  type BootTarget,
  checkPlace,
  commandLineBytes,
  mib,
  view,
} from './target.ts';

const HEADER_MAGIC = 0x1bad_b002;
const LOADER_MAGIC = 0x2bad_b002;
const SEARCH = 8192;
const FLAG_ADDRESSES = 1 << 16;
/** Page-aligned modules, memory information, video mode: the last is ignored, as nothing must be done about it. */
const FLAGS_KNOWN = 0b111;

const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_MMAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;

/** Offset of the header, or -1. */
export function findMultiboot(data: Uint8Array): number {
  const v = view(data);
  for (let at = 0; at + 12 <= Math.min(data.length, SEARCH); at += 4) {
    if (v.getUint32(at, true) !== HEADER_MAGIC) continue;
    if (((HEADER_MAGIC + v.getUint32(at + 4, true) + v.getUint32(at + 8, true)) & 0xffff_ffff) === 0) return at;
  }
  return -1;
}

/** Loads by the address fields of the header (3.1.3). */
function loadByAddresses(target: BootTarget, request: BootRequest, header: number): { entry: number; end: number } {
  const { kernel } = request;
  const { data, name } = kernel;
  if (header + 32 > data.length) throw new FirmwareError(`${name} is truncated: its multiboot header is not complete`);
  const v = view(data);
  const [headerAddress, load, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((o) => v.getUint32(header + o, true)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const offset = header - (headerAddress - load);
  if (load > headerAddress || offset < 0)
    throw new FirmwareError(`${name} is damaged: its multiboot header's addresses contradict each other`);
  const size = loadEnd === 0 ? data.length - offset : loadEnd - load;
  if (size <= 0) throw new FirmwareError(`${name} is damaged: its multiboot header's addresses contradict each other`);
  if (offset + size > data.length) throw new FirmwareError(`${name} is truncated: ${data.length} bytes of ${offset + size}`);
  const end = Math.max(load + size, bssEnd);
  checkPlace(target, kernel, load, end - load, usableEnd(target));
  target.memory.write(load, data.subarray(offset, offset + size));
  target.memory.write(load + size, new Uint8Array(end - load - size));
  return { entry, end };
}

export function bootMultiboot(target: BootTarget, request: BootRequest, header: number): void {
  const { kernel } = request;
  const { memory } = target;
  const flags = view(kernel.data).getUint32(header + 4, true);
  if (flags & 0xffff & ~FLAGS_KNOWN)
    throw new FirmwareError(`${kernel.name} asks for multiboot features that do not exist (flags 0x${flags.toString(16)})`);
  if (!(flags & FLAG_ADDRESSES) && !isElf(kernel.data))
    throw new FirmwareError(
      `${kernel.name} has a multiboot header without addresses and is not an ELF file: there is no telling where to load it`,
    );
  const { entry, end } = flags & FLAG_ADDRESSES ? loadByAddresses(target, request, header) : loadElf(target, kernel);

  // Strings grow from BOOT_STRINGS; the structures are at BOOT_DATA.
  let strings = BOOT_STRINGS;
  const string = (value: string): number => {
    const bytes = commandLineBytes(value);
    if (strings + bytes.length + 1 > BOOT_DATA_END) throw new FirmwareError('the command lines are too long together');
    const at = strings;
    memory.write(at, Uint8Array.from([...bytes, 0]));
    strings += bytes.length + 1;
    return at;
  };

  const modules: BootModule[] = [...(request.initrd ? [request.initrd] : []), ...(request.modules ?? [])];
  const info = BOOT_DATA;
  const modulesAt = info + 0x80;
  const mapAt = modulesAt + 16 * modules.length;
  let next = Math.max(end, 0x100000);
  modules.forEach((module, i) => {
    if (module.data.length === 0) throw new FirmwareError(`${module.name} is empty`);
    const at = Math.ceil(next / 4096) * 4096;
    next = at + module.data.length;
    if (next > usableEnd(target))
      throw new FirmwareError(
        `${module.name} (${mib(module.data.length)}) does not fit beside the kernel: ${mib(next)} of memory are needed, and the machine has ${mib(target.ramLow)}`,
      );
    memory.write(at, module.data);
    memory.write32(modulesAt + 16 * i, at);
    memory.write32(modulesAt + 16 * i + 4, next);
    memory.write32(modulesAt + 16 * i + 8, string(module.commandLine ?? module.name));
    memory.write32(modulesAt + 16 * i + 12, 0);
  });

  const map = memoryMap(target);
  map.forEach(({ base, length, type }, i) => {
    const at = mapAt + 24 * i;
    memory.write32(at, 20); // the size of what follows
    memory.write64(at + 4, base);
    memory.write64(at + 12, length);
    memory.write32(at + 20, type);
  });

  memory.write(info, new Uint8Array(0x80));
  memory.write32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER_NAME);
  memory.write32(info + 4, EBDA >> 10);
  memory.write32(info + 8, (usableEnd(target) - 0x100000) >>> 10);
  memory.write32(info + 16, string(request.commandLine));
  memory.write32(info + 20, modules.length);
  memory.write32(info + 24, modulesAt);
  memory.write32(info + 44, 24 * map.length);
  memory.write32(info + 48, mapAt);
  memory.write32(info + 64, string('Ringside'));

  const cpu = cpuAt(target.buffer, 0);
  enterProtected(target.buffer, cpu, memory, entry);
  cpu.gpr.set(RAX, LOADER_MAGIC);
  cpu.gpr.set(RBX, info);
}
