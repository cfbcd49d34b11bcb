/** The state in which a vCPU starts: power-on, and what the boot protocols ask for. Nothing runs here; only `Cpu` views are written. */
import type { GuestMemory } from '../bus/device.ts';
import {
  CODE_16,
  CODE_32,
  CODE_64,
  CPU_STRIDE,
  CPUS,
  CS,
  Control,
  Cpu,
  DS,
  ES,
  FLAT,
  FS,
  GS,
  LDTR,
  Reach,
  SHUTDOWN_NONE,
  SS,
  TLB_ENTRIES,
  TR,
  Tlb,
  TlbEntry,
  TlbList,
  TLB_EMPTY,
  TLB_MODES,
} from '../state/index.ts';

export type CpuView = ReturnType<typeof Cpu.view>;

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

const CR0_PE = 0x1;
const CR0_ET = 0x10;
const CR0_NE = 0x20;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const EFER_LME_LMA = 0x500;

/** Attributes as `Segment` stores them. */
const CODE32 = 0xc09b;
const CODE64 = 0xa09b;
const DATA32 = 0xc093;
const REAL_CODE = 0x009b;
const REAL_DATA = 0x0093;
const TSS32_BUSY = 0x008b;
const UNUSABLE = 0x1_0000;

const EVERYTHING = 0xffff_ffff_ffff_ffffn;

/** The vCPU's state by index. */
export const cpuAt = (buffer: ArrayBufferLike, index: number): CpuView => Cpu.view(buffer, CPUS + index * CPU_STRIDE);

const big = (buffer: ArrayBufferLike, cpu: CpuView, offset: number, value: bigint): void =>
  new DataView(buffer).setBigUint64(cpu.address + offset, BigInt.asUintN(64, value), true);

function setSegment(cpu: CpuView, index: number, selector: number, base: number, limit: number, attributes: number): void {
  const s = cpu.segments[index]!;
  s.selector = selector;
  s.base = base;
  s.limit = limit;
  s.attributes = attributes;
}

/** Derives what memory operands read from the segments and the mode. Only for the flat and real-mode segments that are set here. */
function deriveReach(buffer: ArrayBufferLike, cpu: CpuView, code: number): void {
  const reachAt = (i: number): number => Cpu.offsets.reach + i * Reach.size;
  const set = (i: number, base: number, end: bigint): void => {
    cpu.reach[i]!.base = base;
    big(buffer, cpu, reachAt(i) + Reach.offsets.readEnd, end);
    big(buffer, cpu, reachAt(i) + Reach.offsets.writeEnd, end);
  };
  for (const i of [ES, CS, SS, DS, FS, GS]) {
    const s = cpu.segments[i]!;
    const long = code === CODE_64;
    set(i, long && i !== FS && i !== GS ? 0 : s.base, long ? EVERYTHING : BigInt(s.limit) + 1n);
    // Code cannot be written in protected mode.
    if (i === CS && code === CODE_32) big(buffer, cpu, reachAt(i) + Reach.offsets.writeEnd, 0n);
  }
  set(FLAT, 0, EVERYTHING);
  big(buffer, cpu, Cpu.offsets.linearMask, code === CODE_64 ? EVERYTHING : 0xffff_ffffn);
  big(buffer, cpu, Cpu.offsets.stackMask, code === CODE_64 ? EVERYTHING : code === CODE_32 ? 0xffff_ffffn : 0xffffn);
  cpu.codeSize = code;
  cpu.cpl = 0;
}

/** Memory that was never used is zeros, and stays so: a TLB is large. A tag of 0 is page 0's: see `resetTlb` (processor/assembly/tlb.ts). */
function emptyTlb(buffer: ArrayBufferLike, address: number): void {
  const data = new DataView(buffer, address, Tlb.size);
  const count = (list: number): number => data.getUint32(list + TlbList.offsets.count, true);
  if (count(Tlb.offsets.locals) + count(Tlb.offsets.globals) > 0) new Uint8Array(buffer, address, Tlb.size).fill(0);
  const { readTag, writeTag, execTag } = TlbEntry.offsets;
  for (let mode = 0; mode < TLB_MODES; mode++)
    for (const entry of [0, TLB_ENTRIES - 1])
      for (const tag of [readTag, writeTag, execTag]) data.setUint32((mode * TLB_ENTRIES + entry) * TlbEntry.size + tag, TLB_EMPTY, true);
}

/**
 * Power-on state (SDM vol. 3A, table 9-1), with what firmware has set up by the time a system is started: memory types (MTRRs). Identity
 * (`index`, `apicId`, CPUID table, features, `physicalMask`) stays. All but the first vCPU wait, halted, for a startup message.
 */
export function resetState(buffer: ArrayBufferLike, index: number): void {
  const cpu = cpuAt(buffer, index);
  const control = Control.view(buffer, 0);
  const tlb = control.tlbs + index * Tlb.size;
  emptyTlb(buffer, tlb);

  cpu.gpr.fill(0);
  // EDX: the processor's signature.
  for (let i = 0; i < cpu.cpuidLeaves; i++) if (cpu.cpuidTable.get(6 * i) === 1) cpu.gpr.set(RDX, cpu.cpuidTable.get(6 * i + 2));
  cpu.zero = 0;
  cpu.rip = 0xfff0;
  cpu.ripBase = 0;
  cpu.flagResult = 1;
  cpu.flagAux = 0;
  cpu.eflags = 2;
  cpu.xmm.fill(0);
  cpu.fpr.fill(0);
  cpu.fpuControl = 0x40;
  cpu.fpuStatus = 0;
  cpu.fpuTag = 0x5555;
  cpu.fpuOpcode = cpu.fpuCs = cpu.fpuDs = cpu.fpuIp = cpu.fpuDp = 0;
  cpu.mxcsr = 0x1f80;
  cpu.tlb = tlb;
  cpu.budget = 0;
  cpu.interruptShadow = 0;
  cpu.halted = index === 0 ? 0 : 1;
  Atomics.store(new Int32Array(buffer, cpu.address + Cpu.offsets.event, 1), 0, 0);

  setSegment(cpu, CS, 0xf000, 0xffff_0000, 0xffff, REAL_CODE);
  for (const i of [ES, SS, DS, FS, GS]) setSegment(cpu, i, 0, 0, 0xffff, REAL_DATA);
  setSegment(cpu, LDTR, 0, 0, 0xffff, 0x82);
  setSegment(cpu, TR, 0, 0, 0xffff, TSS32_BUSY);
  cpu.gdtr.base = cpu.idtr.base = 0;
  cpu.gdtr.limit = cpu.idtr.limit = 0xffff;
  cpu.cr0 = 0x6000_0010; // CD, NW, ET
  cpu.cr2 = cpu.cr3 = cpu.cr4 = cpu.cr8 = cpu.efer = 0;
  cpu.xcr0 = 1;
  cpu.dr.fill(0);
  cpu.dr.set(6, 0xffff_0ff0);
  cpu.dr.set(7, 0x400);
  cpu.star = cpu.lstar = cpu.cstar = cpu.sfmask = cpu.kernelGsBase = cpu.tscAux = 0;
  cpu.sysenterCs = cpu.sysenterEsp = cpu.sysenterEip = 0;
  cpu.apicBase = 0xfee0_0800 + (index === 0 ? 0x100 : 0);
  big(buffer, cpu, Cpu.offsets.pat, 0x0007_0406_0007_0406n);
  cpu.miscEnable = 1;
  cpu.tscOffset = cpu.tscDeadline = 0;
  setMemoryTypes(buffer, cpu);

  cpu.chain = 0;
  cpu.faultPending = cpu.faultVector = cpu.faultError = cpu.faultHasError = cpu.faultIsTrap = 0;
  cpu.delivering = 0xffff_ffff;
  cpu.shutdown = SHUTDOWN_NONE;
  cpu.pdpte.fill(0);
  cpu.nmiBlocked = cpu.pendingDebug = cpu.startupVector = 0;
  deriveReach(buffer, cpu, CODE_16);
}

/** Write-back everywhere but the video memory and the PCI hole (SDM vol. 3A, 12.11). */
function setMemoryTypes(buffer: ArrayBufferLike, cpu: CpuView): void {
  const WB = 0x0606_0606_0606_0606n;
  const WP = 0x0505_0505_0505_0505n;
  for (let i = 0; i < 11; i++) big(buffer, cpu, Cpu.offsets.mtrrFixed + 8 * i, i < 2 ? WB : i === 2 ? 0n : WP);
  cpu.mtrrPhys.fill(0);
  // Variable range 0: 1 GiB at 3 GiB is uncacheable.
  const mask = new DataView(buffer).getBigUint64(cpu.address + Cpu.offsets.physicalMask, true);
  cpu.mtrrPhys.set(0, 0xc000_0000);
  big(buffer, cpu, Cpu.offsets.mtrrPhys + 8, (mask & ~0x3fff_ffffn & 0x000f_ffff_ffff_f000n) | 0x800n);
  cpu.mtrrDefType = 0xc06;
}

/** Where the descriptor table of the flat modes lies in guest RAM, and its selectors. */
export const BOOT_GDT = 0x5000;
export const BOOT_CS = 0x10;
export const BOOT_DS = 0x18;
/** A page-map level-4 table, a page-directory-pointer table and four page directories. */
export const BOOT_PAGE_TABLES = 0x8000;
export const BOOT_PAGE_TABLES_END = 0xe000;

function writeGdt(memory: GuestMemory, code: number): void {
  const descriptor = (at: number, attributes: number): void => {
    memory.write32(at, 0x0000_ffff);
    memory.write32(at + 4, (((attributes & 0xf000) << 8) | 0xf_0000 | ((attributes & 0xff) << 8)) >>> 0);
  };
  memory.write64(BOOT_GDT, 0);
  memory.write64(BOOT_GDT + 8, 0);
  descriptor(BOOT_GDT + BOOT_CS, code);
  descriptor(BOOT_GDT + BOOT_DS, DATA32);
}

function flat(buffer: ArrayBufferLike, cpu: CpuView, memory: GuestMemory, code: number): void {
  writeGdt(memory, code);
  cpu.gdtr.base = BOOT_GDT;
  cpu.gdtr.limit = 0x1f;
  cpu.idtr.base = 0;
  cpu.idtr.limit = 0;
  setSegment(cpu, CS, BOOT_CS, 0, 0xffff_ffff, code);
  for (const i of [ES, SS, DS, FS, GS]) setSegment(cpu, i, BOOT_DS, 0, 0xffff_ffff, DATA32);
  setSegment(cpu, LDTR, 0, 0, 0, UNUSABLE);
  void buffer;
}

/** 32-bit protected mode, flat segments, no paging, interrupts off. */
export function enterProtected(buffer: ArrayBufferLike, cpu: CpuView, memory: GuestMemory, entry: number): void {
  flat(buffer, cpu, memory, CODE32);
  cpu.cr0 = CR0_PE | CR0_ET;
  cpu.rip = entry;
  deriveReach(buffer, cpu, CODE_32);
}

/** 64-bit mode, flat segments, the first 4 GiB identity-mapped with 2 MiB pages, interrupts off. */
export function enterLong(buffer: ArrayBufferLike, cpu: CpuView, memory: GuestMemory, entry: number): void {
  flat(buffer, cpu, memory, CODE64);
  const PRESENT_WRITABLE = 3;
  const LARGE = 0x80;
  const pml4 = BOOT_PAGE_TABLES;
  memory.write(pml4, new Uint8Array(BOOT_PAGE_TABLES_END - BOOT_PAGE_TABLES));
  memory.write64(pml4, pml4 + 0x1000 + PRESENT_WRITABLE);
  for (let i = 0; i < 4; i++) memory.write64(pml4 + 0x1000 + 8 * i, pml4 + 0x2000 + 0x1000 * i + PRESENT_WRITABLE);
  for (let i = 0; i < 2048; i++) memory.write64(pml4 + 0x2000 + 8 * i, i * 0x20_0000 + LARGE + PRESENT_WRITABLE);
  cpu.cr3 = pml4;
  cpu.cr4 = CR4_PAE;
  cpu.efer = EFER_LME_LMA;
  cpu.cr0 = CR0_PG + (CR0_PE | CR0_ET | CR0_NE);
  cpu.rip = entry;
  deriveReach(buffer, cpu, CODE_64);
}

/** Real-address mode: DS, ES, FS, GS and SS are `data`. */
export function enterReal(buffer: ArrayBufferLike, cpu: CpuView, code: number, ip: number, data: number, sp: number): void {
  setSegment(cpu, CS, code, code << 4, 0xffff, REAL_CODE);
  for (const i of [ES, SS, DS, FS, GS]) setSegment(cpu, i, data, data << 4, 0xffff, REAL_DATA);
  cpu.idtr.base = 0;
  cpu.idtr.limit = 0x3ff;
  cpu.cr0 = CR0_ET;
  cpu.gpr.set(RSP, sp);
  cpu.rip = ip;
  deriveReach(buffer, cpu, CODE_16);
}
