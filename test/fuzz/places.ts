/** Where things are in the fuzzed machine: a page's linear address is its physical one unless said otherwise. */

export const PAGE = 4096;
/** What is copied, reset and compared: all that is mapped lies below. */
export const USED = 0x34000;

export const IDT = 0x1000;
export const GDT = 0x2000;
export const TSS = 0x2800;
/** One stub for each vector, 16 bytes apart; they go on at COMMON. */
export const STUBS = 0x3000;
export const COMMON = 0x4000;
/** The kernel's variables. */
export const KERNEL = 0x5000;
/** Frames of the last 16 events, 256 bytes each. */
export const LOG = 0x6000;
/** The program's variables: where to go on after a fault, counters, tables of addresses. Users may write it. */
export const CONTROL = 0x7000;
export const TABLES = 0x8000;
export const CODE = 0x10000;
export const CODE_PAGES = 12;
export const KERNEL_STACK = 0x1d000;
/** CONTROL again, for the kernel only: SMAP does not stand in its way. */
export const CONTROL_ALIAS = 0x1e000;
export const DATA = 0x20000;
/** Four pages that anybody may use, then these. */
export const FIXED_WRITE = DATA + 0x4000;
export const FIXED_ABSENT = DATA + 0x5000;
export const SUPERVISOR = DATA + 0x6000;
export const READ_ONLY = DATA + 0x7000;
export const ABSENT = DATA + 0x8000;
export const PLAIN_LAST = DATA + 0x9000;
export const STACK = 0x30000;
export const STACK_TOP = STACK + 0x1f00;

/** Linear only: CODE's pages again (written through), DATA's, CODE's to be executed there. */
export const CODE_ALIAS = 0x50000;
export const DATA_ALIAS = 0x60000;
export const EXECUTE_ALIAS = 0x70000;
/** Linear: a page of MMIO. */
export const MMIO = 0x7f000;
/** In 64-bit mode everything is there once more. */
export const HIGH = 0xffff_8000_0000_0000n;

/** In CONTROL: where the handler goes on; single steps left. */
export const RECOVER = 0;
export const STEPS = 0x10;
/** Loops' counters, doublewords. */
export const COUNTERS = 0x40;
/** Addresses for indirect jumps, 8 bytes each. */
export const JUMPS = 0x800;

/** In KERNEL. */
export const LOG_NEXT = KERNEL;
export const EVENTS = KERNEL + 8;
export const CR0_DEFAULT = KERNEL + 0x10;
export const CR4_DEFAULT = KERNEL + 0x18;
export const MXCSR_DEFAULT = KERNEL + 0x20;
export const SYSCALLS = KERNEL + 0x28;
export const SCRATCH = KERNEL + 0x40;
/** For each page what a fault on it adds to its entry; 0: the fault stays one. */
export const FIX = KERNEL + 0x100;
/** Pairs of page number and entry, ended by 0: what service UNFIX puts back. */
export const UNFIX = KERNEL + 0x400;

/** Events a program may have before it is stopped. */
export const EVENTS_MOST = 60;

export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE32 = 0x1b;
export const USER_DATA = 0x23;
/** In 32-bit mode another 32-bit segment. */
export const USER_CODE64 = 0x2b;
/** 16-bit code with base CODE. */
export const USER_CODE16 = 0x3b;
export const KERNEL_CODE16 = 0x40;
export const SMALL_DATA = 0x4b;
export const DOWN_DATA = 0x53;
export const BASED_DATA = 0x5b;
export const STACK16 = 0x63;
export const READ_DATA = 0x6b;
export const KERNEL_CODE32 = 0x70;
export const TASK = 0x80;

/** Software interrupts. */
export const SERVICE_KERNEL = 0x80;
export const SERVICE_USER = 0x81;
export const SERVICE_UNFIX = 0x82;
export const SERVICE_SWAP = 0x83;
export const SERVICE_EXECUTE = 0x84;
export const SERVICE_SPACE = 0x85;
/** External interrupts have vectors from here. */
export const INTERRUPTS = 0x30;

/** Ports. */
export const PORT_INTERRUPT = 0x10;
export const PORT_NMI = 0x11;
export const PORT_PATCH = 0x12;
export const PORT_DATA = 0x13;
export const PORT_KICK = 0x14;
