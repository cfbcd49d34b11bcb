/**
 * The state around one instruction: 832 bytes, the same before and after, natively (native/runner.c) and in the player.
 *
 *     0    gpr[16]   u64 each, in encoding order
 *     128  RFLAGS    u64
 *     136  exit      u32: EXIT_*
 *     140  vector    u32: NO_VECTOR or the exception
 *     160  window    128 bytes at guest address WINDOW: the memory operand is in it
 *     288  stack     128 bytes at STACK; RSP starts in the middle
 *     416  fx        the first 416 bytes of an FXSAVE image (SDM vol. 1, table 10-2): x87 and XMM
 */
export const GPR = 0;
export const FLAGS = 128;
export const EXIT = 136;
export const VECTOR = 140;
export const WINDOW_BYTES = 160;
export const STACK_BYTES = 288;
export const AREA = 128;
export const FX = 416;
export const IMAGE = 832;

export const FX_FCW = FX;
export const FX_FSW = FX + 2;
/** Abridged: one bit a physical register, set where it is not empty. */
export const FX_FTW = FX + 4;
export const FX_MXCSR = FX + 24;
/** ST(0)..ST(7), 16 bytes each. */
export const FX_ST = FX + 32;
export const FX_XMM = FX + 160;

/** Linear addresses, all below 2 MiB: identity-mapped in the player, mapped at the same place natively. */
export const CODE = 0x100200;
export const WINDOW = 0x110800;
export const STACK = 0x120800;
export const STACK_MIDDLE = STACK + AREA / 2;
/** Where the memory operand is, unless a form says otherwise: 16-byte aligned. */
export const OPERAND = 32;

export const EXIT_NEXT = 0;
/** The branch's target was CODE + BRANCH, or CODE - BRANCH. */
export const EXIT_FORWARD = 1;
export const EXIT_BACKWARD = 2;
export const BRANCH = 0x40;
export const NO_VECTOR = 0xffffffff;

export type Mode = 32 | 64;

export const CF = 1;
export const PF = 4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const IF = 0x200;
export const DF = 0x400;
export const OF = 0x800;
export const ARITHMETIC = CF | PF | AF | ZF | SF | OF;
