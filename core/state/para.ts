/**
 * What the technique "para" keeps in machine memory (core/vmm/para says what it is): the domain, its vCPUs' part, a word on every frame of memory.
 * Names and values are those of Xen's public headers (xen.h, arch-x86/xen.h, arch-x86_64.h) where these have them.
 *
 * Machine memory: frame 0 to PARA_GUEST is the VMM's (shared_info, grant table), then come the guest's frames, then the VMM's again (machine-to-physical
 * table). The guest's pseudo-physical frame p begins as machine frame PARA_GUEST + p.
 */
import { struct } from './struct.ts';

/** The first machine frame of the guest's: below it are the VMM's own frames, and the hole at 0xa0000. */
export const PARA_GUEST = 0x100;
/** The frame of struct shared_info. */
export const PARA_SHARED_INFO = 1;
/** The first frame of the grant table (version 1), and how many it has at most. */
export const PARA_GRANTS = 0x10;
export const PARA_GRANT_FRAMES = 64;
/** sizeof(grant_entry_v1_t) is 8. */
export const PARA_GRANT_ENTRIES = (PARA_GRANT_FRAMES * 4096) / 8;
/** Event channels of a domain (2-level ABI, 64-bit). */
export const PARA_PORTS = 4096;
/** VIRQ_* are below this (NR_VIRQS). */
export const PARA_VIRQS = 24;
/** The guest as it is known to itself and in xenstore; backends are domain 0. */
export const PARA_DOMID = 1;
/** The ports of xenstore and of the console, as start_info says. */
export const PARA_STORE_PORT = 1;
export const PARA_CONSOLE_PORT = 2;

/** Where the machine-to-physical table is in every address space (MACH2PHYS_VIRT_START), read-only, and the VMM's range of addresses. */
export const HYPERVISOR_VIRT_START = 0xffff_8000_0000_0000n;
export const HYPERVISOR_VIRT_END = 0xffff_8800_0000_0000n;
/**
 * Where the machine-to-physical table is as well, as XENMEM_machphys_mapping says. The kernel reads it with each page-table entry, in turn with its
 * stack, and these pages share no places in the TLB with those at which Linux begins its own areas.
 */
export const MACH2PHYS_VIRT_ALIAS = 0xffff_8100_0080_0000n;

/** Selectors of flat segments that the VMM's part of the GDT has (FLAT_RING3_CS64, ..). */
export const FLAT_RING3_CS32 = 0xe023;
export const FLAT_RING3_DS32 = 0xe02b;
export const FLAT_RING3_CS64 = 0xe033;
/** Entries of the GDT from here on are the VMM's. */
export const FIRST_RESERVED_GDT_ENTRY = 14 * 512;

/** `ParaVcpu.mode`: not a para VM; the guest's kernel, its programs: both at CPL 3. */
export const PARA_NONE = 0;
export const PARA_KERNEL = 1;
export const PARA_USER = 2;

/** `Para.switches`. Multicalls and lists are done without a return to the guest after each entry. */
export const PARA_BATCHING = 1;
/** Requests in shared rings are served by another thread while the vCPU goes on. */
export const PARA_ASYNCHRONY = 2;

/** Bits of `PageInfo.type`: PGT_*. One of these types, exclusive of each other while the count is not 0. */
export const PGT_none = 0;
export const PGT_l1_page_table = 1;
export const PGT_l2_page_table = 2;
export const PGT_l3_page_table = 3;
export const PGT_l4_page_table = 4;
export const PGT_seg_desc_page = 5;
export const PGT_writable_page = 7;

/** Owners of frames. */
export const OWNER_VMM = 0;
export const OWNER_GUEST = 1;
/** Ballooned out: in the allocator's list. */
export const OWNER_FREE = 2;
/** The VMM's, but the guest may map it: shared_info, grant table frames. */
export const OWNER_SHARED = 3;

/** Of `PageInfo.place`. */
export const PLACE_KNOWN = 0x8000_0000;
export const PLACE_SEVERAL = 0xffff_ffff;

/** One for each machine frame. */
export const PageInfo = struct('PageInfo', {
  /** References in all: mappings, pins, grants. */
  count: 'u32',
  /** References by `type`. */
  typeCount: 'u32',
  /** PGT_* */
  type: 'u8',
  /** OWNER_* */
  owner: 'u8',
  /** 1: pinned by the guest as `type`. */
  pinned: 'u8',
  reserved: 'u8',
  /** `Para.flushClock` when a mapping of it was last taken away, or when one of the following came to be "several": TLBs may have it until they are flushed. */
  stamp: 'u32',
  /** TLB entries by which it may be written to, by the guest's kernel at addresses of programs, at its own, and by programs: their addresses; 0: none; 1: there are several. */
  writers: ['u32', 3],
  /**
   * Of a page table: where in the upper half of the address space it is reached. PLACE_KNOWN with bits 21..47 of the first address; PLACE_SEVERAL; 0: it never was, since
   * it has been a table.
   */
  place: 'u32',
});

/** trap_info_t */
export const TrapInfo = struct('TrapInfo', { address: 'u64', cs: 'u16', flags: 'u8', vector: 'u8', reserved: 'u32' });

/** `Para.crash`. An exception, event or system call for which the guest has no handler; one whose frame has no room on the kernel's stack. */
export const PARA_CRASH_HANDLER = 1;
export const PARA_CRASH_STACK = 2;
/** iret with a frame that cannot be read, or to programs without a page table of theirs. */
export const PARA_CRASH_IRET = 3;
/** A hypercall asked for it, or cannot be gone on with. */
export const PARA_CRASH_HYPERCALL = 4;

/** Hypercalls have numbers below this. */
export const HYPERCALLS = 64;
/** Ports that a poll may wait for (as Xen has it). */
export const PARA_POLLED = 128;
/** A histogram's places: 1, 2, 3..4, 5..8, 9..16, .. 1025 and more. */
export const PARA_SIZES = 12;

/** `Cpu.para`. */
export const ParaVcpu = struct('ParaVcpu', {
  /** PARA_* */
  mode: 'u32',
  /** Physical address of struct vcpu_info: in shared_info at first (VCPUOP_register_vcpu_info moves it). RAM offset. */
  info: 'u32',
  /** CR3 of the guest's kernel and of its programs (0: none); `Cpu.cr3` is the one in use. */
  kernelCr3: 'u64',
  userCr3: 'u64',
  /** stack_switch. */
  kernelSs: 'u64',
  kernelSp: 'u64',
  /** set_callbacks, callback_op. CALLBACKF_mask_events as bits 1 << CALLBACKTYPE_*. */
  eventCallback: 'u64',
  failsafeCallback: 'u64',
  syscallCallback: 'u64',
  syscall32Callback: 'u64',
  sysenterCallback: 'u64',
  nmiCallback: 'u64',
  callbackMasks: 'u32',
  /** set_gdt: entries, and the frames that they are in. */
  gdtEntries: 'u32',
  gdtFrames: ['u32', 14],
  /** MMUEXT_SET_LDT. */
  ldtBase: 'u64',
  ldtEntries: 'u32',
  /** PHYSDEVOP_set_iopl. */
  iopl: 'u32',
  /** Segment bases that are not in use: the program's while the kernel runs, and the other way round. */
  gsBaseUser: 'u64',
  gsBaseKernel: 'u64',
  fsBase: 'u64',
  /** The guest's CR0 as far as it may change it (TS), CR2 is vcpu_info's, CR4. */
  cr0: 'u64',
  cr4: 'u64',
  traps: [TrapInfo, 256],
  /** Arguments of the hypercall that the host is asked for, and what it returned. */
  args: ['u64', 6],
  result: 'u64',
  /** For frames and arguments that cross pages: the largest are an exception's, or set_gdt's 14 frames. */
  frame: ['u64', 16],
  /** VCPUOP_set_singleshot_timer, set_timer_op: nanoseconds of system time; 0: not set. */
  singleshot: 'f64',
  periodic: 'f64',
  /** `Para.flushClock` as its TLB was last flushed, and as it was flushed at least of the lower half of the address space. */
  flushed: 'u32',
  flushedLower: 'u32',
  /** 1 while it is in a run. Only then others wait until it has flushed its TLB, as often as they asked for. */
  running: 'u32',
  flushAsked: 'u32',
  flushServed: 'u32',
  /** Linear address of the runstate area that the guest registered; 0: none. RUNSTATE_* since when, and nanoseconds in each. */
  runstateAddress: 'u64',
  runstate: 'u32',
  runstateFlags: 'u32',
  runstateSince: 'f64',
  runstateTime: ['f64', 4],

  // -- statistics
  /** By number: calls (from a multicall too), how many of them came in one, how many were timed, how long these took (milliseconds). */
  calls: ['u64', HYPERCALLS],
  batched: ['u64', HYPERCALLS],
  timed: ['u64', HYPERCALLS],
  time: ['f64', HYPERCALLS],
  /** Entries of multicalls, and of lists in mmu_update: a histogram of sizes. */
  multicallSizes: ['u64', PARA_SIZES],
  updateSizes: ['u64', PARA_SIZES],
  /** Writes to page tables that were emulated; exceptions, events and system calls handed to the guest's kernel; returns by iret. */
  pageTableWrites: 'u64',
  exceptions: 'u64',
  upcalls: 'u64',
  systemCalls: 'u64',
});

/** `Control.para`: the domain. */
export const Para = struct('Para', {
  /** PARA_BATCHING, PARA_ASYNCHRONY. */
  switches: 'u32',
  /** `PageInfo`s, and how many machine frames there are. */
  pages: 'u32',
  frames: 'u32',
  /** The guest's frames at the start: their number. */
  guestFrames: 'u32',
  /** The first frame of the machine-to-physical table. */
  m2p: 'u32',
  m2pFrames: 'u32',
  /** Held while types, counts and owners of frames change. */
  lock: 'u32',
  /** Counts flushes of all of the TLB. */
  flushClock: 'u32',
  /** Frames that the guest owns now, and how many it may. */
  totalPages: 'u32',
  maxPages: 'u32',
  /** Where the search for a free frame goes on. */
  lastFound: 'u32',
  /** 1: TLBs may have more of the upper half of the address space than page tables do. */
  upperStale: 'u32',
  /** Why the domain was crashed by the VMM: PARA_CRASH_*, 0: it was not; and where (RIP). */
  crash: 'u32',
  crashReserved: 'u32',
  crashRip: 'u64',
  /** VMASST_TYPE_* bits. */
  assists: 'u32',
  /** Grant table frames in use. */
  grantFrames: 'u32',
  /**
   * A byte for each machine frame: how often backends use it now, which may be on another thread. Changed with atomics. Who uses a frame counts it first
   * and then looks at its type and owner; who changes these stores them first and then looks here: one of both sees the other, and takes it back.
   */
  busy: 'u32',
  busyReserved: 'u32',
  /** The guest's frames with the rings of console and xenstore. */
  consoleFrame: 'u32',
  storeFrame: 'u32',
  /** SHUTDOWN_* (sched.h) that the guest asked for, plus 1; 0: it goes on. */
  shutdown: 'u32',
  /** SCHEDOP_shutdown_code, plus 1; 0: none. */
  shutdownCode: 'u32',
  /** SCHEDOP_watchdog: nanoseconds of system time; 0: not set. */
  watchdogs: ['f64', 2],
  /** 1: a poll (SCHEDOP_poll) waits for one of `polled`, until `pollTimeout` (nanoseconds; Infinity: for ever). */
  polling: 'u32',
  polledPorts: 'u32',
  polled: ['u32', PARA_POLLED],
  pollTimeout: 'f64',
  /** VCPUOP_set_periodic_timer: nanoseconds. */
  period: 'f64',
  /** By VIRQ_*: its port, or 0. */
  virqs: ['u32', PARA_VIRQS],
  /** A bit for each port that another thread has an event for (core/vmm/para/post.ts). */
  posted: ['u32', PARA_PORTS / 32],
  /** 1: some bit of `posted` is set. */
  anyPosted: 'u32',
  /** How many requests were found in a block ring each time that it was looked at and had some: a histogram. */
  ringDepths: ['u64', PARA_SIZES],
  /** By port: what it is bound to (core/vmm/para/events.ts). */
  ports: ['u64', PARA_PORTS],
});
