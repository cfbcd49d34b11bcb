/** The layout of a machine's memory: where everything of a VM lives (docs/architecture.md draws it). */
import { BRANCH_TARGETS, BranchTarget, CODE_HASH_ENTRIES, CodeHash, CodePage, Record } from './code.ts';
import { Cpu } from './cpu.ts';
import { PageInfo, Para } from './para.ts';
import { struct } from './struct.ts';
import { Tlb } from './tlb.ts';
import { Slot, TRANSLATION_REQUESTS, TranslationRequest, TRANSLATIONS, Translations } from './translation.ts';

export const PAGE = 4096;
export const MIB = 1 << 20;

/** At address 0. Addresses are bytes from the start of machine memory. */
export const Control = struct('Control', {
  magic: 'u32',
  version: 'u32',
  vcpus: 'u32',
  cpus: 'u32',
  tlbs: 'u32',
  devices: 'u32',
  devicesEnd: 'u32',
  codeHash: 'u32',
  codePages: 'u32',
  records: 'u32',
  recordsEnd: 'u32',
  /** Next free record: reset when the array is full (everything decoded is then forgotten). */
  recordsNext: 'u32',
  ram: 'u32',
  /** Bytes of RAM in all; `ramLow` of them from guest-physical 0, the rest from 4 GiB. */
  ramSize: 'u32',
  ramLow: 'u32',
  /** What the decoder assumes beyond the mode; a change forgets all decoded code. */
  codeEpoch: 'u32',
  /** TSC ticks per second, and the machine's time: nanoseconds at which it was last stopped. */
  tscHz: 'f64',
  /** Times a row or an opcode raised #UD for want of an implementation, and code invalidations, for --stats. */
  invalidations: 'u64',
  decodedInstructions: 'u64',
  codeFlushes: 'u64',
  /** Which 16 KiB windows of 0xc0000..0xfffff the guest may write (bit 0: 0xc0000); flush every TLB when it changes. */
  romWritable: 'u32',
  /** Held while decoded code is linked or unlinked (assembly/codepages.ts). */
  codeLock: 'u32',
  /** Times that a block is entered before its translation is asked for; 0: never. */
  translateAfter: 'u32',
  /** A `Translations` structure, and TRANSLATIONS times `Slot`. */
  translations: 'u32',
  slots: 'u32',
  /** The ring of translations' modules. */
  modules: 'u32',
  modulesEnd: 'u32',
  /** The ring of `TranslationRequest`. */
  requests: 'u32',
  /** The handler that is the first slot of translated code. */
  firstSlot: 'u32',
  /** Room for `BranchTarget`s, and the next that is free: they go when all decoded code is forgotten. */
  branchTargets: 'u32',
  branchTargetsEnd: 'u32',
  branchTargetsNext: 'u32',
  /** Counts how often all decoded code was forgotten. */
  generation: 'u32',
  /** Instructions a decoded block has at most; 0: as many as fit. With 1, a run ends after exactly as many instructions as it is told. */
  blockMost: 'u32',
  /** FULL_*: the switches of full virtualization; 0: the guest runs bare. Set before anything is decoded. */
  full: 'u32',
  /** A `Para` structure; 0: the VM's technique is not "para". */
  para: 'u32',
});

export const MAGIC = 0x52494e47;
export const VERSION = 1;

/** AssemblyScript's constants: a fixed place, the same in every machine (asc --memoryBase). */
export const STATICS = 0x1000;
export const STATICS_END = 0x10000;
export const CPUS = 0x10000;
/** Bytes a vCPU's state takes, page-aligned. */
export const CPU_STRIDE = Math.ceil(Cpu.size / PAGE) * PAGE;

/** The PCI hole begins here: RAM beyond it continues at 4 GiB. */
export const RAM_LOW_MAX = 0xc000_0000;
export const RAM_MAX = 3584 * MIB;

export interface Layout {
  readonly vcpus: number;
  readonly ramSize: number;
  readonly ramLow: number;
  readonly tlbs: number;
  readonly devices: number;
  readonly devicesEnd: number;
  readonly codeHash: number;
  readonly codePages: number;
  readonly records: number;
  readonly recordsEnd: number;
  readonly translations: number;
  readonly slots: number;
  readonly modules: number;
  readonly modulesEnd: number;
  readonly requests: number;
  readonly branchTargets: number;
  readonly branchTargetsEnd: number;
  /** `Para`, its `PageInfo`s and its bytes of `busy`; 0 where there are none. */
  readonly para: number;
  readonly pageInfos: number;
  readonly busyFrames: number;
  readonly ram: number;
  /** WebAssembly pages (64 KiB). */
  readonly pages: number;
}

/** Room for decoded code: 512 Ki records, of which the interpreter by itself uses no more than 160 Ki. */
const RECORDS = 512 * 1024 * Record.size;
export const RECORDS_INTERPRETED = 160 * 1024;
/** Room for the bytes of translations' modules: what V8 makes of them is several times that. */
const MODULES = 12 * MIB;
/** Room for the state of all devices, consoles' rings included. */
const DEVICES = 2 * MIB;

/** Lays out a machine. `ramSize` in bytes, a multiple of 1 MiB and at most RAM_MAX. `para`: with what paravirtualization needs. */
export function layout(vcpus: number, ramSize: number, para = false): Layout {
  let at = CPUS + vcpus * CPU_STRIDE;
  const take = (bytes: number): number => {
    const start = at;
    at = Math.ceil((at + bytes) / PAGE) * PAGE;
    return start;
  };
  const tlbs = take(vcpus * Tlb.size);
  const devices = take(DEVICES);
  const devicesEnd = at;
  const codeHash = take(CODE_HASH_ENTRIES * CodeHash.size);
  const codePages = take((ramSize / PAGE) * CodePage.size);
  const records = take(RECORDS);
  const recordsEnd = records + RECORDS;
  const translations = take(Translations.size);
  const slots = take(TRANSLATIONS * Slot.size);
  const modules = take(MODULES);
  const requests = take(TRANSLATION_REQUESTS * TranslationRequest.size);
  const branchTargets = take(BRANCH_TARGETS * BranchTarget.size);
  const paraAt = para ? take(Para.size) : 0;
  const pageInfos = para ? take((ramSize / PAGE) * PageInfo.size) : 0;
  const busyFrames = para ? take(ramSize / PAGE) : 0;
  at = Math.ceil(at / 0x10000) * 0x10000;
  const ram = take(ramSize);
  return {
    vcpus,
    ramSize,
    ramLow: Math.min(ramSize, RAM_LOW_MAX),
    tlbs,
    devices,
    devicesEnd,
    codeHash,
    codePages,
    records,
    recordsEnd,
    translations,
    slots,
    modules,
    modulesEnd: modules + MODULES,
    requests,
    branchTargets,
    branchTargetsEnd: branchTargets + BRANCH_TARGETS * BranchTarget.size,
    para: paraAt,
    pageInfos,
    busyFrames,
    ram,
    pages: Math.ceil(at / 0x10000),
  };
}
