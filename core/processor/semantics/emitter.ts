/**
 * What the meaning of an instruction is written against. The interpreter's emitter takes operands from the decoded record at run time; the
 * translator's knows them. Values of 8, 16 and 32 bits are i32 (zero-extended when read; only the low bits count when written), 64 bits i64.
 */
import type { Row } from '../../spec/row.ts';
import type { Expr, FunctionBuilder, LocalRef } from '../../wasm/index.ts';
import type { Width } from './widths.ts';

export type Value = Expr;

export interface Emitter {
  readonly f: FunctionBuilder;
  readonly row: Row;
  /** The instruction's operand size: of its variant, or of its first operand where it has none. */
  readonly size: Width;
  /** Operand i is in memory. */
  isMemory(i: number): boolean;
  /** Bits of operand i. */
  width(i: number): Width;

  /** The value of operand i, evaluated now. Immediates come extended as the row says. */
  read(i: number): LocalRef;
  /** The value of operand i, checked for writing too: `write(i, ...)` must follow. */
  modify(i: number): LocalRef;
  /** Writes operand i. 32-bit registers are zero-extended to 64 bits. May fault unless `modify(i)` came before: state before this must be as it was. */
  write(i: number, value: Value): void;

  gpr(register: number, width: Width): Expr;
  setGpr(register: number, width: Width, value: Value): void;
  /** A field of the vCPU's state by byte offset. */
  load32(offset: number): Expr;
  load64(offset: number): Expr;
  store32(offset: number, value: Expr): void;
  store64(offset: number, value: Expr): void;
  /** The vCPU's address, and the record's where there is one: what helpers take. */
  readonly cpu: Expr;
  readonly record: Expr;

  /** The effective address of the memory operand (i64), before the segment's base. */
  effectiveAddress(): LocalRef;
  /** Memory at an effective address in the operand's segment, for accesses beside the operand itself (bit strings, XLAT, BOUND). */
  loadAt(ea: Expr, width: Width): LocalRef;
  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void };
  /** Address masks by the instruction's address size. */
  addressMask(): Expr;

  /** XMM and MMX operands. A 128-bit memory operand must be aligned unless `unaligned`. */
  readVector(i: number, unaligned?: boolean): LocalRef;
  writeVector(i: number, value: Expr, unaligned?: boolean): void;
  /** An XMM register by number. */
  xmm(register: number): Expr;
  setXmm(register: number, value: Expr): void;

  /** Stack: RSP changes only with `commit`, after everything that can fault. Width 16, 32 or 64. */
  push(value: Value, width: Width): void;
  /** Reads `width` bits at stack offset `offset` (bytes above RSP). */
  peek(offset: number | Expr, width: Width): LocalRef;
  /** RSP += bytes, within the stack's mask. */
  adjustStack(bytes: Expr): void;

  /** Lazy flags: see Cpu. `result` and operands at `width`. */
  flagsAdd(width: Width, a: Value, b: Value, result: Value): void;
  flagsSub(width: Width, a: Value, b: Value, result: Value): void;
  flagsLogic(width: Width, result: Value): void;
  /** INC and DEC: CF stays. */
  flagsIncrement(width: Width, a: Value, result: Value, down: boolean): void;
  /** ZF, SF, PF from the result; CF and OF given (i32, 0 or 1); AF 0. */
  flagsResult(width: Width, result: Value, carry: Expr, overflow: Expr): void;
  /** Both words as they are (see Cpu): for combinations no arithmetic gives. */
  flagsRaw(result: Expr, aux: Expr): void;
  /** Only CF and OF change (rotates). */
  flagsCarryOverflow(carry: Expr, overflow: Expr): void;
  /** Only CF changes. */
  setCarry(carry: Expr): void;
  /** Only ZF changes. `others` as before. */
  setZero(zero: Expr): void;
  carry(): Expr;
  /** i32 0 or 1: condition code cc (vol. 1, appendix B) holds. */
  condition(cc: number): Expr;

  /** The address of the next instruction (i64). */
  nextRip(): Expr;
  /** Ends the instruction by a jump. `relative`: to operand i (rel); else to a computed address, checked against the limit. */
  jumpRelative(i: number): void;
  jump(target: Expr): void;
  /** `jump`, with a change of state between the checks of the target and the jump itself. */
  jumpAfter(target: Expr, commit: () => void): void;

  /** Calls an AssemblyScript helper: `params` after the vCPU's address. Without `result` it is a statement. */
  helper(name: string, args: readonly Expr[]): void;
  helperValue(name: string, args: readonly Expr[], result: 'i32' | 'i64' | 'f64' | 'v128'): LocalRef;
  /** Raises a fault without error code; nothing after it is executed. */
  fault(vector: number): void;
}

export type Family = (e: Emitter) => void;
