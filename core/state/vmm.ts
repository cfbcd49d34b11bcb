/**
 * What the technique "full" keeps in machine memory (core/vmm/full says what it is): its switches, and the reasons for which a vCPU comes to the
 * VMM. A reason is VMM_TRAP or VMM_CALLOUT plus a group of instructions, or one of those after them.
 */

/** `Control.full`: the guest's kernel is run at ring 1. */
export const FULL_ON = 1;
/** Sensitive instructions are call-outs. */
export const FULL_TRANSLATE = 2;
/** Privileged ones that keep trapping become call-outs. */
export const FULL_ADAPT = 4;
/** So often one traps before it does. */
export const FULL_PATIENCE = 4;

/** CLI, STI, PUSHF, POPF. */
export const GROUP_FLAGS = 0;
/** Segment registers read and loaded; LAR, LSL, VERR, VERW. */
export const GROUP_SEGMENT = 1;
/** GDTR, IDTR, LDTR, TR. */
export const GROUP_TABLE = 2;
/** Far CALL, JMP and RET, IRET, INT. */
export const GROUP_TRANSFER = 3;
/** SYSCALL, SYSRET, SYSENTER, SYSEXIT. */
export const GROUP_SYSTEM_CALL = 4;
/** Control and debug registers. */
export const GROUP_CONTROL = 5;
/** MSRs, and SWAPGS. */
export const GROUP_MSR = 6;
/** INVLPG and its like; caches. */
export const GROUP_TLB = 7;
export const GROUP_PORT = 8;
export const GROUP_HALT = 9;
/** Time stamps and performance counters, where CR4 forbids them. */
export const GROUP_TIME = 10;
export const GROUPS = 11;

/** An instruction at ring 1 or 3 raised #GP and was emulated; SYSCALL and SYSENTER, which lead into the VMM. */
export const VMM_TRAP = 0;
/** Translated code called the VMM for an instruction. */
export const VMM_CALLOUT = GROUPS;
/** An exception of the guest's own was handed on to it. */
export const VMM_REFLECTED = 2 * GROUPS;
/** The TLB was filled from the guest's page tables. */
export const VMM_SHADOW = 2 * GROUPS + 1;
export const VMM_EXITS = 2 * GROUPS + 2;
/** One exit in so many, a power of two, is timed; of rare ones more. */
export const VMM_SAMPLE = 64;
