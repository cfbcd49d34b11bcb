/** What surrounds the instructions of a region, and names that all parts of the emitter use. */
import type { Width } from '../../processor/semantics/widths.ts';
import { Cpu, Record } from '../../state/index.ts';
import { type Expr, type FunctionBuilder, type LocalRef, type OpName, type Type } from '../../wasm/index.ts';
import type { Access, AccessKind, Item } from '../access.ts';
import type { FlagLocals } from '../flags.ts';

/** Finds the index of an imported helper. */
export type Import = (name: string, params: readonly Type[], results: readonly Type[]) => number;

export const O = Cpu.offsets;
export const R = Record.offsets;
export const REGISTER_FORM = 0xffff;
export const GPR_END = O.gpr + 16 * 8;

export const loadOp = (width: Width): OpName => ({ 8: 'i32.load8_u', 16: 'i32.load16_u', 32: 'i32.load', 64: 'i64.load' })[width] as OpName;
export const storeOp = (width: Width): OpName =>
  ({ 8: 'i32.store8', 16: 'i32.store16', 32: 'i32.store', 64: 'i64.store' })[width] as OpName;

/** What the emitter needs of the function around it. */
export interface Frame extends FlagLocals {
  readonly f: FunctionBuilder;
  readonly mode: number;
  readonly import: Import;
  /** An access function of the module (../access.ts). */
  access(kind: AccessKind, item: Item, long: boolean): Access;
  readonly cpu: LocalRef;
  /** i64 in 64-bit mode, else i32; of the registers that the region touches. */
  readonly gpr: readonly (LocalRef | undefined)[];
  /** Which of them it may change. */
  readonly written: ReadonlySet<number>;
  readonly ripBase: LocalRef;
  readonly budget: LocalRef;
  readonly tlb: LocalRef;
  /** 1 after a store that made code stale. */
  readonly stale: LocalRef;
  /** 1 while a string instruction is executed: those registers are in the vCPU's state then. */
  readonly repeating: LocalRef;
  /** FACT_*: what the region takes for granted. */
  readonly facts: number;
  /** The budget when the region was entered. */
  readonly began: LocalRef;
  /** What is changed in memory may be a page table (core/vmm/para): it is in `Cpu.bounce` then, and to be committed. */
  readonly bounces: boolean;
  /** The region's first record. */
  readonly entry: number;
  /** Leaves for an address, `executed` instructions of the block being done. */
  leave(executed: number, rip: Expr): void;
  /** Goes on at an offset from the entry's page: within the region where the instruction's branch is known to go there. */
  edge(executed: number, offset: number): void;
  /** Offsets that the instruction, an indirect branch, is expected to go to. */
  targets(): readonly number[];
  /** Goes on at an address that is none of these. */
  jump(executed: number, rip: Expr): void;
}
