/** The translator's emitter, first part: the instruction, its operands in registers, and fields of the vCPU. */
import type { Value } from '../../processor/semantics/emitter.ts';
import type { Width } from '../../processor/semantics/widths.ts';
import type { Operand, Row } from '../../spec/row.ts';
import { CODE_64, PAGE } from '../../state/index.ts';
import { i32, i64, op, type Expr, type FunctionBuilder, type LocalRef } from '../../wasm/index.ts';
import { UNKNOWN, type Known } from '../flags.ts';
import { pageOf, type Instruction } from '../region.ts';
import { GPR_END, O, R, type Frame } from './frame.ts';
import { Bases } from './spans.ts';

export abstract class RegisterEmitter {
  readonly f: FunctionBuilder;
  readonly cpu: LocalRef;
  protected readonly frame: Frame;
  protected readonly long: boolean;
  row!: Row;
  size: Width = 32;
  record!: Expr;
  protected instruction!: Instruction;
  /** Instructions of the basic block before this one. */
  protected executed = 0;
  /** What follows this instruction is not, or not always, in the region. */
  closing = false;
  protected inMemory = false;
  protected ea: LocalRef | undefined;
  protected hosts: (LocalRef | undefined)[] = [];
  protected stored = false;
  protected depth = 0;
  /** What is known of the flags' kind here. */
  known: Known = UNKNOWN;
  /** The same where flags were changed under a condition. */
  protected afterwards: Known | undefined;
  protected readonly view: DataView;
  protected readonly bases: Bases;

  constructor(frame: Frame, view: DataView) {
    this.frame = frame;
    this.f = frame.f;
    this.cpu = frame.cpu;
    this.long = frame.mode === CODE_64;
    this.view = view;
    this.bases = new Bases(frame.mode, view);
  }

  abstract address(offset: number): Expr;
  abstract helper(name: string, args: readonly Expr[]): void;

  protected u16(field: number): number {
    return this.view.getUint16(this.instruction.record + field, true);
  }

  protected u64(field: number): number | bigint {
    const v = this.view.getBigInt64(this.instruction.record + field, true);
    return v >= Number.MIN_SAFE_INTEGER && v <= Number.MAX_SAFE_INTEGER ? Number(v) : v;
  }

  /** RIP at the beginning of the instruction's page: the vCPU's `ripBase`. */
  protected pageAddress(): Expr {
    return this.address(pageOf(this.instruction.offset) * PAGE);
  }

  // -- operands

  isMemory(i: number): boolean {
    const k = this.row.operands[i]!.kind;
    return k === 'm' || k === 'moffs' || k === 'mptr' || ((k === 'rm' || k === 'xmmrm' || k === 'mmrm') && this.inMemory);
  }

  width(i: number): Width {
    const s = this.row.operands[i]!.size;
    if (s === 'v') return this.size;
    if (s === 'z') return this.size === 16 ? 16 : 32;
    if (s === 'y') return this.size === 64 ? 64 : 32;
    return (typeof s === 'number' && s <= 64 ? s : 64) as Width;
  }

  /** Byte offset of a register operand's slot from the vCPU. */
  protected slot(o: Operand): number {
    if (o.kind === 'fixed') return O.gpr + (o.size === 8 && o.register >= 4 ? (o.register - 4) * 8 + 1 : o.register * 8);
    return this.u16(o.kind === 'rm' || o.kind === 'rr' || o.kind === 'xmmrm' || o.kind === 'mmrm' ? R.base : R.reg);
  }
  protected registerLocal(number: number): LocalRef {
    const l = this.frame.gpr[number];
    if (!l) throw new Error(`${this.row.text}: register ${number} was not foreseen`);
    return l;
  }

  protected readSlot(slot: number, width: Width): Expr {
    if (slot >= GPR_END) throw new Error(`${this.row.text}: not a general register`);
    const l = this.registerLocal((slot - O.gpr) >> 3);
    const high = (slot & 7) === 1;
    if (!this.long) {
      if (width === 64) return i64.extend_u(l);
      if (width === 32) return l;
      if (width === 16) return i32.and(l, i32.const(0xffff));
      return i32.and(high ? i32.shr_u(l, i32.const(8)) : l, i32.const(0xff));
    }
    if (width === 64) return l;
    const low = i32.wrap(l);
    if (width === 32) return low;
    if (width === 16) return i32.and(low, i32.const(0xffff));
    return i32.and(high ? i32.shr_u(low, i32.const(8)) : low, i32.const(0xff));
  }

  protected writeSlot(slot: number, width: Width, value: Expr): void {
    if (slot >= GPR_END) throw new Error(`${this.row.text}: not a general register`);
    const number = (slot - O.gpr) >> 3;
    const l = this.registerLocal(number);
    if (!this.frame.written.has(number)) throw new Error(`${this.row.text}: that register ${number} is written was not foreseen`);
    const { f } = this;
    this.bases.written(number);
    if (width >= 32) {
      if (this.long) return f.set(l, width === 64 ? value : i64.extend_u(value));
      return f.set(l, width === 64 ? i32.wrap(value) : value);
    }
    const by = (slot & 7) === 1 ? 8 : 0;
    const mask = (width === 8 ? 0xff : 0xffff) << by;
    const part = i32.and(by ? i32.shl(value, i32.const(by)) : value, i32.const(mask));
    if (this.long) f.set(l, i64.or(i64.and(l, i64.const(~mask)), i64.extend_u(part)));
    else f.set(l, i32.or(i32.and(l, i32.const(~mask)), part));
  }

  gpr(register: number, width: Width): Expr {
    return this.readSlot(O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8), width);
  }

  setGpr(register: number, width: Width, value: Value): void {
    this.writeSlot(O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8), width, value);
  }

  load32(offset: number): Expr {
    return op('i32.load', [this.cpu], offset);
  }
  load64(offset: number): Expr {
    if (offset === O.stackMask) return i64.const(this.long ? -1 : 0xffff_ffff);
    if (offset === O.linearMask) return i64.const(this.long ? -1 : 0xffff_ffff);
    if (offset === O.ripBase) return this.pageAddress();
    return op('i64.load', [this.cpu], offset);
  }
  store32(offset: number, value: Expr): void {
    this.f.do('i32.store', [this.cpu, value], offset);
  }
  store64(offset: number, value: Expr): void {
    this.f.do('i64.store', [this.cpu, value], offset);
  }
  /** What a helper that raises a fault must find. (The budget is stored again by who catches it.) */
  protected precise(): void {
    this.store32(O.current, this.record);
    this.store32(O.budget, this.frame.budget);
  }
}
