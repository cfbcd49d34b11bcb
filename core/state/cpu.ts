/**
 * The state of one vCPU in machine memory. Everything that executes guest code gets the byte address of this structure as its first
 * parameter (`cpu`) and keeps nothing of its own. Sections are of the Intel SDM unless said otherwise.
 */
import { Record } from './code.ts';
import { ParaVcpu } from './para.ts';
import { struct } from './struct.ts';
import { VMM_EXITS } from './vmm.ts';

/** A segment register with its hidden part (vol. 3A, 3.4.3). `attributes` are the descriptor's bits 40..47 and 52..55 in bits 0..7 and
 *  12..15, as VT-x stores them (vol. 3C, table 24-2); bit 16 set: unusable (null). */
export const Segment = struct('Segment', { base: 'u64', limit: 'u32', attributes: 'u32', selector: 'u32', reserved: 'u32' });

/**
 * What a memory operand of a segment adds and may reach: derived from `Segment` and the mode whenever either changes.
 * An access of `size` bytes at effective address `ea` is inside if `ea + (size - 1) <u readEnd` (or `writeEnd`).
 * 0: the fast path never passes (null, not readable, expand-down, ...) and the slow path decides.
 * In 64-bit mode both ends are 2^64 - 1, and the base is 0 except for FS and GS.
 */
export const Reach = struct('Reach', { base: 'u64', readEnd: 'u64', writeEnd: 'u64' });

export const DescriptorTable = struct('DescriptorTable', { base: 'u64', limit: 'u32', reserved: 'u32' });

/** Indices into `segments` and `reach`, in encoding order. `reach[FLAT]` is base 0 with no limit. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;
export const FLAT = 6;

/** `stamp`: `Cpu.jumpStamp` when the entry was made. `record`: the block's first. */
export const Jump = struct('Jump', { rip: 'u64', stamp: 'u32', record: 'u32' });
/** Direct-mapped by a hash of RIP (core/processor/jumps.ts). */
export const JUMPS = 8192;

/**
 * Arithmetic flags are lazy, in two words that need no knowledge of the instruction that made them:
 *   flagResult  the result, sign-extended from its operand size to 64 bits. ZF = (flagResult == 0).
 *   flagAux     bit 31 CF · bit 30 CF xor OF · bit 3 AF · bits 8..15 P: PF = even parity of (flagResult ^ P) & 0xff · bit 0: SF = sign ^ bit 0
 * `eflags` holds the rest (TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID; bit 1 is 1); its arithmetic bits are always 0.
 */
export const Cpu = struct('Cpu', {
  // -- registers: offsets of these are what decoded records carry; keep them below 64 KiB and gpr first
  gpr: ['u64', 16],
  /** Always 0: the base or index of an address that has none. */
  zero: 'u64',
  rip: 'u64',
  flagResult: 'u64',
  flagAux: 'u32',
  eflags: 'u32',
  xmm: ['v128', 16],
  /** x87 registers in physical order, 16 bytes each: significand u64 at 0, sign and exponent u16 at 8. MMX registers are the significands. */
  fpr: ['v128', 8],
  fpuControl: 'u16',
  fpuStatus: 'u16',
  /** The tag word with two bits a register, as FSTENV stores it. TOP is in fpuStatus bits 11..13. */
  fpuTag: 'u16',
  fpuOpcode: 'u16',
  mxcsr: 'u32',
  fpuCs: 'u16',
  fpuDs: 'u16',
  fpuIp: 'u64',
  fpuDp: 'u64',

  // -- what the fast paths read
  reach: [Reach, 7],
  /** Linear addresses are ANDed with this: 0xffffffff outside 64-bit mode, all ones in it. */
  linearMask: 'u64',
  /** The stack pointer's mask by SS.B or 64-bit mode: 0xffff, 0xffffffff, all ones. */
  stackMask: 'u64',
  /**
   * RIP of the instruction being executed is `ripBase + record.pageOffset` (masked to the code size): it is set when a block is entered.
   * `rip` itself is only right between blocks; an instruction that ends a block stores it.
   */
  ripBase: 'u64',
  /** The record of a branch whose target is to be found next, or 0: see `Record.target`. CHAIN_* is added for one that is not direct. */
  chain: 'u32',
  /** The record being executed, stored before anything that may raise a fault; 0 between blocks. */
  current: 'u32',
  /** Byte address of the data TLB in use: by CPL and SMAP (see tlb.ts). */
  tlb: 'u32',
  /** Instructions left before `run` looks at events and may return; signed. Blocks subtract their length. */
  budget: 'i32',
  /** Bits of EVENT_*: `run` looks at them between blocks. Written with atomics from other threads. */
  event: 'u32',
  cpl: 'u32',
  /** CODE_16, CODE_32 or CODE_64: what the decoder is to assume; derived from CS and EFER. */
  codeSize: 'u32',
  /** 1 after STI, MOV SS, POP SS: no interrupt is taken before the next instruction is done. 2 while that instruction is executed. */
  interruptShadow: 'u32',
  /** 1 while an instruction is executed that began with TF set: #DB follows it. */
  stepping: 'u32',
  /** The budget after the instruction that began the shadow: the block may have gone on since. */
  shadowBudget: 'i32',
  /** 1 while in HLT. */
  halted: 'u32',

  // -- system registers
  segments: [Segment, 8],
  gdtr: DescriptorTable,
  idtr: DescriptorTable,
  cr0: 'u64',
  cr2: 'u64',
  cr3: 'u64',
  cr4: 'u64',
  cr8: 'u64',
  xcr0: 'u64',
  efer: 'u64',
  dr: ['u64', 8],
  star: 'u64',
  lstar: 'u64',
  cstar: 'u64',
  sfmask: 'u64',
  kernelGsBase: 'u64',
  tscAux: 'u64',
  sysenterCs: 'u64',
  sysenterEsp: 'u64',
  sysenterEip: 'u64',
  apicBase: 'u64',
  pat: 'u64',
  miscEnable: 'u64',
  mtrrDefType: 'u64',
  mtrrFixed: ['u64', 11],
  mtrrPhys: ['u64', 16],
  /** Added to the machine's TSC. */
  tscOffset: 'u64',
  tscDeadline: 'u64',

  // -- a fault on its way to delivery: set by whoever throws
  /** 1 from the throw until it is delivered. */
  faultPending: 'u32',
  faultVector: 'u32',
  faultError: 'u32',
  faultHasError: 'u32',
  /** 1 if the trap comes after the instruction (single-step, data breakpoint): RIP is already the next one's. */
  faultIsTrap: 'u32',
  /** The vector being delivered, or 0xffffffff: for double and triple faults. */
  delivering: 'u32',
  /** SHUTDOWN_*: why the processor shut down. */
  shutdown: 'u32',

  // -- the slow path's bounce buffer: an access that crosses pages, is MMIO or is otherwise not plain memory goes through it
  bounce: ['u8', 32],
  bounceAddress: 'u64',
  bouncePhysical: ['u64', 2],
  bounceSize: 'u32',
  bounceKind: 'u32',

  // -- identity and accounting
  index: 'u32',
  apicId: 'u32',
  /** Instructions retired before the current `run`. */
  instructions: 'u64',
  /** The model that CPUID and the decoder obey (see core/spec/cpuid.ts): leaves as 6 u32 each: leaf, subleaf, eax, ebx, ecx, edx. */
  cpuidLeaves: 'u32',
  cpuidTable: ['u32', 6 * 48],
  /** FEATURE_* words, from the model. */
  features: ['u32', 8],

  // -- paging
  /** The page-directory-pointer-table entries as MOV CR3 loaded them (PAE paging, vol. 3A, 4.4.1). */
  pdpte: ['u64', 4],
  /** Bits that a physical address may have: 2^MAXPHYADDR - 1, from CPUID leaf 0x80000008. */
  physicalMask: 'u64',
  /** What the last page walk found: the guest-physical address of the 4 KiB page, and WALK_* (assembly/paging.ts). */
  walkPhysical: 'u64',
  walkFlags: 'u32',

  // -- events
  /** 1 from the delivery of an NMI to the next IRET: no other NMI is taken. */
  nmiBlocked: 'u32',
  /** DR6 bits of data breakpoints that the instruction being executed has met: #DB comes after it. */
  pendingDebug: 'u32',
  /** The vector of the last startup message (EVENT_STARTUP): the vCPU begins at `startupVector << 12` in real-address mode. */
  startupVector: 'u32',
  /** Instructions retired at CPL 3, up to the last change of CPL: since then it is `budgetMark - budget` more, if CPL is 3. */
  userInstructions: 'u64',
  /** The budget at the last change of CPL, or at the start of `run`. */
  budgetMark: 'i32',
  /** ACTIVITY_*: what the thread that runs this vCPU is doing, for who samples it. Set where it costs nothing: see docs/statistics.md. */
  activity: 'u32',
  /** Privileged and sensitive instructions retired (core/spec/row.ts); what remains of `instructions` is innocuous. */
  privileged: 'u64',
  sensitive: 'u64',
  /** How often a budget was used up in interpreted and in translated code: samples of where instructions are executed. */
  endedInterpreted: 'u32',
  endedTranslated: 'u32',

  // -- what passes between pieces of translated code
  /** FACT_*: derived whenever what they are about changes (`updateReach`, `updateFacts`). */
  facts: 'u32',
  /**
   * Flags that a region left for the next to make use of or to replace: their kind and operands, and of a change to some of them (core/translator/flags.ts), instead of
   * `flagResult` and `flagAux`. The kind is 0 whenever anything but translated code is executed.
   */
  flagKind: 'u32',
  /** What an entry of `jumps` must have for stamp: the generation of code of this privilege, the TLB array in use and `codeSize`. Never 0. */
  jumpStamp: 'u32',
  /** Of supervisor and of user code: how often a flush of the TLB, or of a page, had to do with code that may have been jumped to. */
  jumpGenerations: ['u32', 2],
  flagA: 'u64',
  flagB: 'u64',
  flagC: 'u64',
  /**
   * `Jump`s, where translated code begins, by RIP: it goes from one region to the next by these, without a look at TLB and code hash. An entry holds under
   * its stamp only; outside 64-bit mode they are for code of a flat CS.
   */
  jumps: ['v128', JUMPS],
  /** While it runs, `Translations.epoch` as the run began; else 0. */
  epoch: 'u32',

  // -- full virtualization (core/vmm/full): what is physical and what the guest believes, where the two are not the same
  /**
   * 1: compressed. `cpl`, CS, SS and `eflags` are physical: what the guest takes for ring 0 is ring 1, IF is set, IOPL is 0. In a vCPU that is not
   * compressed everything is as the guest believes, and `lowered`, `masked` and `virtualIopl` are 0.
   */
  compressed: 'u32',
  /** 1: ring 1 is what the guest believes to be ring 0; 0: the guest's own ring 1. */
  lowered: 'u32',
  /** EFLAGS.IF, where the guest believes that it is clear. */
  masked: 'u32',
  /** EFLAGS.IOPL as the guest believes it is. */
  virtualIopl: 'u32',
  /** The record of an instruction that raised #GP and is to be emulated; then, until that begins, 1; else 0. */
  trapped: 'u32',
  /** VMM_* of the exit that is being timed. */
  exitReason: 'u32',
  /** The host's clock (milliseconds) at its beginning; 0: none is timed. */
  exitBegan: 'f64',
  /** By VMM_*: exits; how many of them were timed; how long these took in all, in milliseconds. */
  exits: ['u64', VMM_EXITS],
  exitsTimed: ['u64', VMM_EXITS],
  exitsTime: ['f64', VMM_EXITS],
  /** The instruction that is emulated, and the end of a block after it. */
  emulated: [Record, 2],

  // -- paravirtualization (core/vmm/para)
  para: ParaVcpu,
});

/** CR0.EM and CR0.TS are clear: x87 instructions do not raise #NM. */
export const FACT_X87 = 1;
/** And CR4.OSFXSR is set: nor do SSE instructions, or #UD. */
export const FACT_SIMD = 2;
/** 32-bit code in a CS with base 0 and limit 4 GiB, with a 32-bit stack. */
export const FACT_FLAT = 4;
/** The vCPU is compressed, whenever it executes guest code. */
export const FACT_COMPRESSED = 8;
/** FACT_SEGMENT << ES, CS, SS or DS: base 0, limit 4 GiB, may be read and written. */
export const FACT_SEGMENT = 16;

/** A near return or an indirect call; an indirect jump. */
export const CHAIN_RETURN = 1;
export const CHAIN_JUMP = 2;

export const CODE_16 = 0;
export const CODE_32 = 1;
export const CODE_64 = 2;

/** An interrupt is asked for by the local APIC or the PIC (level: stays until acknowledged or withdrawn). */
export const EVENT_INTERRUPT = 1;
export const EVENT_NMI = 2;
/** INIT or reset. */
export const EVENT_INIT = 4;
export const EVENT_STARTUP = 8;
/** Another thread wants this vCPU to leave `run`. */
export const EVENT_KICK = 16;
/** TF is set, or a debug trap is pending. */
export const EVENT_TRAP = 32;

/** The TLB is to be flushed before anything more is executed (para VMs). */
export const EVENT_FLUSH = 64;

/** What `run` returns. The budget is used up. */
export const EXIT_BUDGET = 1;
/** The vCPU is in HLT and nothing is there to wake it. */
export const EXIT_HALT = 2;
/** EVENT_KICK was set (and is cleared). */
export const EXIT_KICK = 3;
/** The processor shut down: `Cpu.shutdown` says why. */
export const EXIT_SHUTDOWN = 4;
/** INIT was signalled (EVENT_INIT is cleared): the host resets the vCPU. */
export const EXIT_INIT = 5;

/** `Cpu.activity`. Not in the engine: the VMM, or another vCPU. */
export const ACTIVITY_NONE = 0;
export const ACTIVITY_INTERPRETED = 1;
export const ACTIVITY_TRANSLATED = 2;
/** A page walk, until the access goes on or its fault was delivered. */
export const ACTIVITY_MMU = 3;
export const ACTIVITY_DECODING = 4;
/** Finding, building and instantiating regions, as far as this thread does it. */
export const ACTIVITY_COMPILING = 5;
/** In a device, for an access of the guest. */
export const ACTIVITY_DEVICE = 6;
export const ACTIVITIES = 7;

export const SHUTDOWN_NONE = 0;
export const SHUTDOWN_TRIPLE_FAULT = 1;
/** The core itself is wrong: a case that must not happen. */
export const SHUTDOWN_INTERNAL = 2;
/** The VMM ended a paravirtualized domain: `Para.crash` says why. */
export const SHUTDOWN_PARA = 3;
