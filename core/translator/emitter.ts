/**
 * The emitter of the translator: builds a region's instructions one after the other into one function. Operands are known from the decoded record;
 * general registers and flags are in locals.
 */
import type { Emitter, Value } from '../processor/semantics/emitter.ts';
import { integer, masked, signed, type Width } from '../processor/semantics/widths.ts';
import type { Operand, Row } from '../spec/row.ts';
import { CODE_64, Control, Cpu, CS, FS, Reach, Record, Segment, SS, TlbEntry } from '../state/index.ts';
import { call, i32, i64, op, v128, type Expr, type FunctionBuilder, type LocalRef, type OpName, type Type } from '../wasm/index.ts';
import { FLAGS_ADD, FLAGS_DEC, FLAGS_INC, FLAGS_LOGIC, FLAGS_MEMORY, FLAGS_RAW, FLAGS_SUB, kindOf } from './flags.ts';
import type { Instruction } from './region.ts';

/** Finds the index of an imported helper. */
export type Import = (name: string, params: readonly Type[], results: readonly Type[]) => number;

const O = Cpu.offsets;
const R = Record.offsets;
const PAGE_MASK = i64.const(-4096);
const REGISTER_FORM = 0xffff;
const GPR_END = O.gpr + 16 * 8;

const loadOp = (width: Width): OpName => ({ 8: 'i32.load8_u', 16: 'i32.load16_u', 32: 'i32.load', 64: 'i64.load' })[width] as OpName;
const storeOp = (width: Width): OpName => ({ 8: 'i32.store8', 16: 'i32.store16', 32: 'i32.store', 64: 'i64.store' })[width] as OpName;

/** Helpers that neither read nor write general registers or flags: all they may do to them is to raise a fault. */
const PURE =
  /^(multiplyHigh(Signed)?|crc32|sse[A-Z]\w*|change(Scalar|Packed)Format|(integers|singles|doubles)To\w+|multipleSums|minimumPosition|pendingException|generalProtection|faultNoError|fi?(add|mul|comp?|subr?|divr?)_m\d\d|fi?ld_m\d\d)$/;
/** x87 instructions that have to do with registers or flags of the integer unit. */
export const X87_INTEGER = /^(fn?stsw_ax|fcmov|fu?comi)/;
/** Helpers that read or write flags, and no general registers. */
const FLAGS_ONLY = /^(setFlags|getFlags|setArithmeticFlags)$/;
/** Families that change flags only under a condition that is not known beforehand. */
const CONDITIONAL = new Set(['comiss', 'ucomiss', 'comisd', 'ucomisd']);
const SHIFTS = new Set(['shl', 'shr', 'sar', 'rol', 'ror', 'rcl', 'rcr', 'shld', 'shrd']);

/** What the emitter needs of the function around it. */
export interface Frame {
  readonly f: FunctionBuilder;
  readonly mode: number;
  readonly import: Import;
  readonly cpu: LocalRef;
  /** i64 in 64-bit mode, else i32; of the registers that the region touches. */
  readonly gpr: readonly (LocalRef | undefined)[];
  /** Which of them it may change. */
  readonly written: ReadonlySet<number>;
  readonly ripBase: LocalRef;
  readonly budget: LocalRef;
  readonly tlb: LocalRef;
  readonly kind: LocalRef;
  readonly a: LocalRef;
  readonly b: LocalRef;
  /** 1 after a store that made code stale. */
  readonly stale: LocalRef;
  /** Leaves for an address, `executed` instructions of the block being done. */
  leave(executed: number, rip: Expr): void;
  /** Goes on at an offset of the page: within the region where it is part of it. */
  edge(executed: number, offset: number): void;
}

export class TranslatorEmitter implements Emitter {
  readonly f: FunctionBuilder;
  readonly cpu: LocalRef;
  readonly #frame: Frame;
  readonly #long: boolean;
  row!: Row;
  size: Width = 32;
  record!: Expr;
  #instruction!: Instruction;
  /** Instructions of the basic block before this one. */
  #executed = 0;
  #memory = false;
  #ea: LocalRef | undefined;
  #host: (LocalRef | undefined)[] = [];
  #stored = false;
  #depth = 0;
  /** The kind of the flags, where it is known here. */
  known: number | undefined;
  #afterwards = false;
  readonly #view: DataView;

  constructor(frame: Frame, view: DataView) {
    this.#frame = frame;
    this.f = frame.f;
    this.cpu = frame.cpu;
    this.#long = frame.mode === CODE_64;
    this.#view = view;
  }

  /** Emits one instruction: what `meaning` does with this emitter. */
  emit(i: Instruction, executed: number, meaning: () => void): void {
    const { row } = i.row!;
    this.row = row;
    const first = row.operands[0]?.size;
    this.size = i.size || (typeof first === 'number' && first <= 64 ? (first as Width) : 32);
    this.record = i32.const(i.record);
    this.#instruction = i;
    this.#executed = executed;
    this.#memory = i.memory;
    this.#ea = undefined;
    this.#host = [];
    this.#stored = false;
    this.#afterwards = false;
    this.#depth = this.f.depth;
    this.f.scope(() => {
      if (!row.helper && this.#isConditional()) this.#toMemory();
      meaning();
      if (this.#afterwards) this.known = undefined;
      if (this.#stored && !i.end) this.#checkStale(() => this.#frame.leave(executed + 1, this.nextRip()));
    });
  }

  #isConditional(): boolean {
    const { family } = this.row;
    if (CONDITIONAL.has(family)) return true;
    if (!SHIFTS.has(family)) return false;
    const count = this.row.operands[this.row.operands.length - 1]!;
    return count.kind !== 'imm' && count.kind !== 'one';
  }

  #u16(field: number): number {
    return this.#view.getUint16(this.#instruction.record + field, true);
  }

  #u64(field: number): number | bigint {
    const v = this.#view.getBigInt64(this.#instruction.record + field, true);
    return v >= Number.MIN_SAFE_INTEGER && v <= Number.MAX_SAFE_INTEGER ? Number(v) : v;
  }

  // -- operands

  isMemory(i: number): boolean {
    const k = this.row.operands[i]!.kind;
    return k === 'm' || k === 'moffs' || k === 'mptr' || ((k === 'rm' || k === 'xmmrm' || k === 'mmrm') && this.#memory);
  }

  width(i: number): Width {
    const s = this.row.operands[i]!.size;
    if (s === 'v') return this.size;
    if (s === 'z') return this.size === 16 ? 16 : 32;
    if (s === 'y') return this.size === 64 ? 64 : 32;
    return (typeof s === 'number' && s <= 64 ? s : 64) as Width;
  }

  /** Byte offset of a register operand's slot from the vCPU. */
  #slot(o: Operand): number {
    if (o.kind === 'fixed') return O.gpr + (o.size === 8 && o.register >= 4 ? (o.register - 4) * 8 + 1 : o.register * 8);
    return this.#u16(o.kind === 'rm' || o.kind === 'rr' || o.kind === 'xmmrm' || o.kind === 'mmrm' ? R.base : R.reg);
  }

  read(i: number): LocalRef {
    return this.#read(i, false);
  }

  modify(i: number): LocalRef {
    return this.#read(i, true);
  }

  #read(i: number, forWrite: boolean): LocalRef {
    const o = this.row.operands[i]!;
    const width = this.width(i);
    const { f } = this;
    if (o.kind === 'one') return f.let(i32.const(1));
    if (o.kind === 'imm' || o.kind === 'imms') {
      const w = o.size === 'z' || o.kind === 'imms' ? this.size : width;
      return f.let(
        w === 64 ? i64.const(this.#u64(R.immediate)) : i32.const(this.#view.getInt32(this.#instruction.record + R.immediate, true)),
      );
    }
    if (this.isMemory(i)) {
      const host = this.#access(forWrite ? 'modify' : 'read', this.#segment(), this.effectiveAddress(), width / 8);
      this.#host[i] = host;
      return f.let(op(loadOp(width), [host]));
    }
    return f.let(this.#readSlot(this.#slot(o), width));
  }

  write(i: number, value: Value): void {
    const o = this.row.operands[i]!;
    const width = this.width(i);
    if (this.isMemory(i)) {
      const host = this.#host[i];
      if (host) {
        this.f.do(storeOp(width), [host, value]);
        this.#commit(host);
        return;
      }
      const v = this.f.let(value);
      this.#store(this.#segment(), this.effectiveAddress(), width / 8, (at) => this.f.do(storeOp(width), [at, v]));
      return;
    }
    this.#writeSlot(this.#slot(o), width, value);
  }

  #register(number: number): LocalRef {
    const l = this.#frame.gpr[number];
    if (!l) throw new Error(`${this.row.text}: register ${number} was not foreseen`);
    return l;
  }

  #readSlot(slot: number, width: Width): Expr {
    if (slot >= GPR_END) throw new Error(`${this.row.text}: not a general register`);
    const l = this.#register((slot - O.gpr) >> 3);
    const high = (slot & 7) === 1;
    if (!this.#long) {
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

  #writeSlot(slot: number, width: Width, value: Expr): void {
    if (slot >= GPR_END) throw new Error(`${this.row.text}: not a general register`);
    const number = (slot - O.gpr) >> 3;
    const l = this.#register(number);
    if (!this.#frame.written.has(number)) throw new Error(`${this.row.text}: that register ${number} is written was not foreseen`);
    const { f } = this;
    if (width >= 32) {
      if (this.#long) return f.set(l, width === 64 ? value : i64.extend_u(value));
      return f.set(l, width === 64 ? i32.wrap(value) : value);
    }
    const by = (slot & 7) === 1 ? 8 : 0;
    const mask = (width === 8 ? 0xff : 0xffff) << by;
    const part = i32.and(by ? i32.shl(value, i32.const(by)) : value, i32.const(mask));
    if (this.#long) f.set(l, i64.or(i64.and(l, i64.const(~mask)), i64.extend_u(part)));
    else f.set(l, i32.or(i32.and(l, i32.const(~mask)), part));
  }

  gpr(register: number, width: Width): Expr {
    return this.#readSlot(O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8), width);
  }

  setGpr(register: number, width: Width, value: Value): void {
    this.#writeSlot(O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8), width, value);
  }

  load32(offset: number): Expr {
    return op('i32.load', [this.cpu], offset);
  }
  load64(offset: number): Expr {
    if (offset === O.stackMask) return i64.const(this.#long ? -1 : 0xffff_ffff);
    if (offset === O.linearMask) return i64.const(this.#long ? -1 : 0xffff_ffff);
    if (offset === O.ripBase) return this.#frame.ripBase;
    return op('i64.load', [this.cpu], offset);
  }
  store32(offset: number, value: Expr): void {
    this.f.do('i32.store', [this.cpu, value], offset);
  }
  store64(offset: number, value: Expr): void {
    this.f.do('i64.store', [this.cpu, value], offset);
  }

  // -- memory

  effectiveAddress(): LocalRef {
    return (this.#ea ??= this.f.variable(this.#address()));
  }

  #address(): Expr {
    const [base, index] = [this.#u16(R.base), this.#u16(R.index)];
    const scale = this.#view.getUint8(this.#instruction.record + R.scale);
    const displacement = this.#u64(R.displacement);
    const mask = this.#u64(R.addressMask);
    if (!this.#long && mask === 0xffff_ffff && base < GPR_END + 8) {
      let sum: Expr = i32.const(Number(BigInt.asIntN(32, BigInt(displacement))));
      if (index < GPR_END) sum = i32.add(i32.shl(this.#readSlot(index, 32), i32.const(scale)), sum);
      if (base < GPR_END) sum = i32.add(this.#readSlot(base, 32), sum);
      return i64.extend_u(sum);
    }
    let sum: Expr = i64.const(displacement);
    if (index < GPR_END) sum = i64.add(i64.shl(this.#readSlot(index, 64), i64.const(scale)), sum);
    if (base < GPR_END) sum = i64.add(this.#readSlot(base, 64), sum);
    else if (base === O.ripBase) sum = i64.add(this.#frame.ripBase, sum);
    if (mask === 0xffff_ffff) return i64.extend_u(i32.wrap(sum));
    return mask === -1 ? sum : i64.and(sum, i64.const(mask));
  }

  addressMask(): Expr {
    return i64.const(this.#u64(R.addressMask));
  }

  #segment(): number {
    return this.#u16(R.segment);
  }

  /** FS and GS have a base; all others were seen to be flat when the region was entered. */
  #based(segment: number): boolean {
    return segment >= O.reach + FS * Reach.size;
  }

  /** The linear address; branches to `slow` where a segment's limit is not kept. */
  #linear(segment: number, ea: LocalRef, bytes: number, end: number, slow: Parameters<FunctionBuilder['br']>[0]): LocalRef {
    if (!this.#based(segment)) return ea;
    const { f, cpu } = this;
    if (!this.#long) f.brIf(slow, i64.ge_u(i64.add(ea, i64.const(bytes - 1)), op('i64.load', [cpu], segment + end)));
    const sum = i64.add(ea, op('i64.load', [cpu], segment + Reach.offsets.base));
    return f.variable(this.#long ? sum : i64.and(sum, i64.const(0xffff_ffff)));
  }

  /** What a helper that raises a fault must find: the record, and the budget from which `caught` takes the record's position. */
  #precise(): void {
    this.store32(O.current, this.record);
    const more = this.#instruction.position - this.#executed;
    this.store32(O.budget, i32.add(this.#frame.budget, i32.const(more)));
  }

  #fast(kind: 'read' | 'write', segment: number, ea: LocalRef, bytes: number, slow: Parameters<FunctionBuilder['br']>[0]): Expr {
    const { f } = this;
    const end = kind === 'read' ? Reach.offsets.readEnd : Reach.offsets.writeEnd;
    const tag = kind === 'read' ? TlbEntry.offsets.readTag : TlbEntry.offsets.writeTag;
    const linear = this.#linear(segment, ea, bytes, end, slow);
    const low = i32.wrap(linear);
    const entry = f.let(i32.add(this.#frame.tlb, i32.and(i32.shr_u(low, i32.const(7)), i32.const(0x7fe0))));
    const last = bytes === 1 ? linear : i64.add(linear, i64.const(bytes - 1));
    f.brIf(slow, i64.ne(i64.and(last, PAGE_MASK), op('i64.load', [entry], tag)));
    return i32.add(low, op('i32.load', [entry], TlbEntry.offsets.addend));
  }

  #slowAddress(kind: 'read' | 'write' | 'modify', segment: number, ea: LocalRef, bytes: number): Expr {
    this.#precise();
    const name = { read: 'readAddress', write: 'storeAddress', modify: 'writeAddress' }[kind];
    return call(this.#frame.import(name, ['i32', 'i32', 'i64', 'i32'], ['i32']), 'i32', [
      this.cpu,
      i32.const(segment),
      ea,
      i32.const(bytes),
    ]);
  }

  /** The host address of `bytes` bytes at an effective address: inline where the TLB has the page, else by the slow path. */
  #access(kind: 'read' | 'modify', segment: number, ea: LocalRef, bytes: number): LocalRef {
    const { f } = this;
    const host = f.local('i32');
    f.block((done) => {
      f.block((slow) => {
        f.set(host, this.#fast(kind === 'read' ? 'read' : 'write', segment, ea, bytes, slow));
        f.br(done);
      });
      f.set(host, this.#slowAddress(kind, segment, ea, bytes));
    });
    return host;
  }

  #clearStale(): void {
    if (!this.#stored) this.f.set(this.#frame.stale, i32.const(0));
    this.#stored = true;
  }

  /** A store of `bytes` bytes, by `put`. */
  #store(segment: number, ea: LocalRef, bytes: number, put: (host: Expr) => void): void {
    const { f } = this;
    this.#clearStale();
    f.block((done) => {
      f.block((slow) => {
        put(f.let(this.#fast('write', segment, ea, bytes, slow)));
        f.br(done);
      });
      const host = f.let(this.#slowAddress('write', segment, ea, bytes));
      put(host);
      this.#commit(host);
    });
  }

  /** After a store through `host`: what went to the bounce buffer is written out, and code may be stale. */
  #commit(host: Expr): void {
    const { f } = this;
    this.#clearStale();
    f.if(i32.eq(host, i32.add(this.cpu, i32.const(O.bounce))), () =>
      this.#watch(() => {
        this.#precise();
        f.call(this.#frame.import('commitWrite', ['i32'], []), [this.cpu]);
      }),
    );
  }

  /** Notes if code became stale by what is done inside. */
  #watch(inside: () => void): void {
    const { f } = this;
    const count = (): Expr => op('i32.load', [i32.const(0)], Control.offsets.invalidations);
    this.#clearStale();
    const before = f.let(count());
    inside();
    f.set(this.#frame.stale, i32.or(this.#frame.stale, i32.ne(count(), before)));
  }

  #checkStale(leave: () => void): void {
    this.f.if(this.#frame.stale, leave);
  }

  loadAt(ea: Expr, width: Width): LocalRef {
    const at = this.f.variable(ea);
    return this.f.let(op(loadOp(width), [this.#access('read', this.#segment(), at, width / 8)]));
  }

  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void } {
    const at = this.f.variable(ea);
    const host = this.#access('modify', this.#segment(), at, width / 8);
    return {
      value: this.f.let(op(loadOp(width), [host])),
      store: (value) => {
        this.f.do(storeOp(width), [host, value]);
        this.#commit(host);
      },
    };
  }

  readVector(i: number, unaligned = false): LocalRef {
    const o = this.row.operands[i]!;
    const { f, cpu } = this;
    if (!this.isMemory(i)) {
      const slot = o.kind === 'xmm0' ? O.xmm : this.#slot(o);
      return f.let(op(o.kind === 'mm' || o.kind === 'mmrm' ? 'v128.load64_zero' : 'v128.load', [cpu], slot));
    }
    const bits = typeof o.size === 'number' ? o.size : 64;
    if (bits === 128 && !unaligned) this.#aligned();
    const host = this.#access('read', this.#segment(), this.effectiveAddress(), bits / 8);
    if (bits === 128) return f.let(op('v128.load', [host]));
    if (bits === 64) return f.let(op('v128.load64_zero', [host]));
    if (bits === 32) return f.let(op('v128.load32_zero', [host]));
    return f.let(op('i32x4.replace_lane', [v128.const(new Uint8Array(16)), op(loadOp(bits as Width), [host])], 0));
  }

  writeVector(i: number, value: Expr, unaligned = false): void {
    const o = this.row.operands[i]!;
    const { f, cpu } = this;
    if (!this.isMemory(i)) {
      const slot = this.#slot(o);
      if (o.kind === 'mm' || o.kind === 'mmrm') {
        f.do('i64.store', [cpu, op('i64x2.extract_lane', [value], 0)], slot);
        // As an x87 register, a written MMX register is a NaN (vol. 1, 9.2.3).
        f.do('i64.store', [cpu, i64.const(0xffff)], slot + 8);
      } else f.do('v128.store', [cpu, value], slot);
      return;
    }
    const bits = typeof o.size === 'number' ? o.size : 64;
    const v = f.let(value);
    if (bits === 128 && !unaligned) this.#aligned();
    this.#store(this.#segment(), this.effectiveAddress(), bits / 8, (host) => {
      if (bits === 128) f.do('v128.store', [host, v]);
      else if (bits === 64) f.do('i64.store', [host, op('i64x2.extract_lane', [v], 0)]);
      else f.do(storeOp(bits as Width), [host, op('i32x4.extract_lane', [v], 0)]);
    });
  }

  xmm(register: number): Expr {
    return op('v128.load', [this.cpu], O.xmm + 16 * register);
  }

  setXmm(register: number, value: Expr): void {
    this.f.do('v128.store', [this.cpu, value], O.xmm + 16 * register);
  }

  /** A 16-byte operand that is not aligned raises #GP(0) (vol. 1, 10.4.1.1). */
  #aligned(): void {
    const segment = this.#segment();
    let low = i32.wrap(this.effectiveAddress());
    if (this.#based(segment)) low = i32.add(low, op('i32.load', [this.cpu], segment + Reach.offsets.base));
    this.f.if(i32.and(low, i32.const(15)), () => this.helper('generalProtection', [i32.const(0)]));
  }

  // -- stack: as wide as the mode, or else wrapped by hand

  #stackAddress(delta: Expr): LocalRef {
    if (this.#long) return this.f.variable(i64.add(this.#register(4), delta));
    return this.f.variable(i64.extend_u(i32.add(this.#register(4), i32.wrap(delta))));
  }

  push(value: Value, width: Width): void {
    const { f } = this;
    const v = f.let(value);
    const ea = this.#stackAddress(i64.const(-width / 8));
    this.#store(O.reach + SS * Reach.size, ea, width / 8, (host) => f.do(storeOp(width), [host, v]));
    this.setGpr(4, 64, ea);
  }

  peek(offset: number | Expr, width: Width): LocalRef {
    const ea = this.#stackAddress(typeof offset === 'number' ? i64.const(offset) : offset);
    return this.f.let(op(loadOp(width), [this.#access('read', O.reach + SS * Reach.size, ea, width / 8)]));
  }

  adjustStack(bytes: Expr): void {
    this.setGpr(4, 64, i64.add(this.gpr(4, 64), bytes));
  }

  // -- flags

  /** Sets the kind and operands. Under a condition only memory will do. */
  #setFlags(kind: number, a: Expr, b: Expr): void {
    const { f } = this;
    const { kind: k, a: la, b: lb } = this.#frame;
    if (f.depth > this.#depth) {
      if (this.known !== FLAGS_MEMORY) throw new Error(`${this.row.text}: that it sets flags under a condition was not foreseen`);
      f.call(this.#frame.import('flush', ['i32', 'i32', 'i64', 'i64'], []), [this.cpu, i32.const(kind), a, b]);
      return;
    }
    const first = f.let(a);
    f.set(lb, b);
    f.set(la, first);
    f.set(k, i32.const(kind));
    this.known = kind;
  }

  #wide(value: Expr, width: Width): Expr {
    if (width === 64) return value;
    return i64.extend_u(value.value !== undefined ? masked(value, width) : value);
  }

  flagsRaw(result: Expr, aux: Expr): void {
    if (this.f.depth > this.#depth && this.known === FLAGS_MEMORY) {
      this.store64(O.flagResult, result);
      this.store32(O.flagAux, aux);
      return;
    }
    this.#setFlags(FLAGS_RAW, result, i64.extend_u(aux));
  }

  flagsAdd(width: Width, a: Value, b: Value, result: Value): void {
    if (this.row.family === 'adc') return this.#withCarry(width, a, b, result, false);
    this.#setFlags(kindOf(FLAGS_ADD, width), this.#wide(a, width), this.#wide(b, width));
  }

  flagsSub(width: Width, a: Value, b: Value, result: Value): void {
    if (this.row.family === 'sbb') return this.#withCarry(width, a, b, result, true);
    this.#setFlags(kindOf(FLAGS_SUB, width), this.#wide(a, width), this.#wide(b, width));
  }

  /** ADC, SBB: the carry that went in is in the result. */
  #withCarry(width: Width, a: Value, b: Value, result: Value, down: boolean): void {
    const t = integer(width);
    const ones = width === 64 ? i64.const(-1) : i32.const(-1);
    const na = t.xor(a, ones);
    const carries = this.f.let(
      down ? t.or(t.and(na, b), t.and(t.or(na, b), result)) : t.or(t.and(a, b), t.and(t.or(a, b), t.xor(result, ones))),
    );
    const low = width === 64 ? i32.wrap(carries) : carries;
    const top = width === 64 ? i32.wrap(i64.shr_u(carries, i64.const(32))) : i32.shl(carries, i32.const(32 - width));
    this.flagsRaw(signed(result, width), i32.or(i32.and(top, i32.const(0xc000_0000)), i32.and(low, i32.const(8))));
  }

  flagsLogic(width: Width, result: Value): void {
    this.#setFlags(FLAGS_LOGIC, signed(result, width), i64.const(0));
  }

  flagsIncrement(width: Width, a: Value, _result: Value, down: boolean): void {
    const carry = this.f.let(this.carry());
    this.#setFlags(kindOf(down ? FLAGS_DEC : FLAGS_INC, width), this.#wide(a, width), i64.extend_u(carry));
  }

  #carryOverflow(carry: Expr, overflow: Expr): Expr {
    const c = this.f.let(carry);
    return i32.or(i32.shl(c, i32.const(31)), i32.shl(i32.xor(c, overflow), i32.const(30)));
  }

  flagsResult(width: Width, result: Value, carry: Expr, overflow: Expr): void {
    this.flagsRaw(signed(result, width), this.#carryOverflow(carry, overflow));
  }

  flagsCarryOverflow(carry: Expr, overflow: Expr): void {
    const bits = this.f.let(this.#carryOverflow(carry, overflow));
    const old = this.#aux();
    this.flagsRaw(this.#result(), i32.or(i32.and(old, i32.const(0x3fff_ffff)), bits));
  }

  setCarry(carry: Expr): void {
    const c = this.f.let(carry);
    const aux = this.f.let(this.#aux());
    const flip = i32.xor(i32.shr_u(aux, i32.const(31)), c);
    this.flagsRaw(this.#result(), i32.xor(aux, i32.mul(flip, i32.const(0xc000_0000))));
  }

  setZero(zero: Expr): void {
    const z = this.f.let(zero);
    this.helper('setFlags', [i32.shl(z, i32.const(6)), i32.const(0x40)]);
  }

  /** The flags go into the vCPU's state, whatever kind they are. */
  #toMemory(): void {
    if (this.known === FLAGS_MEMORY) return;
    const { f } = this;
    const { kind, a, b } = this.#frame;
    f.call(this.#frame.import('flush', ['i32', 'i32', 'i64', 'i64'], []), [this.cpu, kind, a, b]);
    f.set(kind, i32.const(FLAGS_MEMORY));
    if (f.depth > this.#depth) this.#afterwards = true;
    else this.known = FLAGS_MEMORY;
  }

  /** Both words, where they are: in the locals if their kind is raw, in memory else. */
  #toWords(): void {
    if (this.known !== FLAGS_RAW && this.known !== FLAGS_LOGIC) this.#toMemory();
  }

  #aux(): Expr {
    this.#toWords();
    if (this.known === FLAGS_LOGIC) return i32.const(0);
    return this.known === FLAGS_RAW ? i32.wrap(this.#frame.b) : this.load32(O.flagAux);
  }

  #result(): Expr {
    this.#toWords();
    return this.known === FLAGS_RAW || this.known === FLAGS_LOGIC ? this.#frame.a : this.load64(O.flagResult);
  }

  /** The operands of the known kind at its width, and the result. */
  #operands(): { base: number; width: Width; a: Expr; b: Expr; r: Expr } | undefined {
    const { known } = this;
    if (known === undefined || known < FLAGS_ADD) return undefined;
    const base = known & ~3;
    const width = (8 << (known & 3)) as Width;
    const cut = (x: Expr): Expr => (width === 64 ? x : i32.wrap(x));
    const a = cut(this.#frame.a);
    const step = base === FLAGS_INC || base === FLAGS_DEC;
    const b = step ? (width === 64 ? i64.const(1) : i32.const(1)) : cut(this.#frame.b);
    const t = integer(width);
    return { base, width, a, b, r: base === FLAGS_SUB || base === FLAGS_DEC ? t.sub(a, b) : t.add(a, b) };
  }

  carry(): Expr {
    const o = this.#operands();
    if (this.known === FLAGS_LOGIC) return i32.const(0);
    if (!o) return i32.shr_u(this.#aux(), i32.const(31));
    const t = integer(o.width);
    if (o.base === FLAGS_SUB) return t.lt_u(o.a, o.b);
    if (o.base === FLAGS_ADD) return t.lt_u(masked(o.r, o.width), o.a);
    return i32.wrap(this.#frame.b);
  }

  condition(cc: number): Expr {
    const { f } = this;
    const positive = this.#compare(cc & ~1) ?? this.#general(cc >> 1);
    return f.let(cc & 1 ? i32.eqz(positive) : positive);
  }

  /** The condition as a comparison of operands, where the kind allows it. */
  #compare(cc: number): Expr | undefined {
    const o = this.#operands();
    const Z = 4, B = 2, BE = 6, S = 8, L = 12, LE = 14; // prettier-ignore
    if (this.known === FLAGS_LOGIC) {
      const { a } = this.#frame;
      if (cc === Z || cc === BE) return i64.eqz(a);
      if (cc === S || cc === L) return i64.lt_s(a, i64.const(0));
      if (cc === LE) return i64.le_s(a, i64.const(0));
      if (cc === B || cc === 0) return i32.const(0);
      return undefined;
    }
    if (!o) return undefined;
    const { width, a, b, r, base } = o;
    const t = integer(width);
    /** At the top of a register, so that signs are where comparisons look for them. */
    const top = (x: Expr): Expr => (width >= 32 ? x : i32.shl(x, i32.const(32 - width)));
    const zero = width === 64 ? i64.const(0) : i32.const(0);
    if (base === FLAGS_SUB) {
      if (cc === Z) return t.eq(a, b);
      if (cc === B) return t.lt_u(a, b);
      if (cc === BE) return t.le_u(a, b);
      if (cc === L) return t.lt_s(top(a), top(b));
      if (cc === LE) return t.le_s(top(a), top(b));
    }
    if (cc === Z) return t.eqz(masked(r, width));
    if (cc === S) return t.lt_s(top(r), zero);
    if (cc === B) return this.carry();
    if (cc === BE) return i32.or(this.carry(), t.eqz(masked(r, width)));
    return undefined;
  }

  #general(group: number): Expr {
    const { f } = this;
    const aux = f.let(this.#aux());
    const result = this.#result();
    const zero = (): Expr => i64.eqz(result);
    const carry = (): Expr => i32.shr_u(aux, i32.const(31));
    const overflow = (): Expr => i32.shr_u(i32.xor(aux, i32.shl(aux, i32.const(1))), i32.const(31));
    const sign = (): Expr => i32.xor(i32.wrap(i64.shr_u(result, i64.const(63))), i32.and(aux, i32.const(1)));
    switch (group) {
      case 0:
        return overflow();
      case 1:
        return carry();
      case 2:
        return zero();
      case 3:
        return i32.or(carry(), zero());
      case 4:
        return sign();
      case 5: {
        const parity = i32.and(i32.xor(i32.wrap(result), i32.shr_u(aux, i32.const(8))), i32.const(0xff));
        return i32.xor(i32.and(i32.popcnt(parity), i32.const(1)), i32.const(1));
      }
      case 6:
        return i32.xor(sign(), overflow());
      default:
        return i32.or(zero(), i32.xor(sign(), overflow()));
    }
  }

  // -- control

  /** The address of a byte of the page. */
  address(offset: number): Expr {
    const sum = i64.add(this.#frame.ripBase, i64.const(offset));
    return this.#long ? sum : i64.and(sum, i64.const(0xffff_ffff));
  }

  nextRip(): Expr {
    return this.address(this.#instruction.offset + this.#instruction.length);
  }

  jumpRelative(_i: number): void {
    const target = this.#instruction.target!;
    if (this.#stored) this.#checkStale(() => this.#frame.leave(this.#executed + 1, this.address(target)));
    this.#frame.edge(this.#executed + 1, target);
  }

  jump(target: Expr): void {
    this.jumpAfter(target, () => {});
  }

  jumpAfter(target: Expr, commit: () => void): void {
    const { f } = this;
    const to = f.let(target);
    if (this.#long)
      f.if(i64.ne(i64.shr_s(i64.shl(to, i64.const(16)), i64.const(16)), to), () => this.helper('generalProtection', [i32.const(0)]));
    else {
      const limit = op('i64.load32_u', [this.cpu], O.segments + CS * Segment.size + Segment.offsets.limit);
      f.if(i64.gt_u(to, limit), () => this.helper('generalProtection', [i32.const(0)]));
    }
    commit();
    this.#frame.leave(this.#executed + 1, to);
  }

  // -- helpers

  #writeBack(registers: Iterable<number>): void {
    for (const n of registers) {
      const l = this.#frame.gpr[n]!;
      this.f.do('i64.store', [this.cpu, this.#long ? l : i64.extend_u(l)], O.gpr + n * 8);
    }
  }

  /** Everything into the vCPU's state, and back. */
  #exposed(inside: () => void): void {
    const { f } = this;
    this.#toMemory();
    this.#writeBack(this.#frame.written);
    this.#watch(inside);
    for (const n of this.#frame.written) f.set(this.#frame.gpr[n]!, op(this.#long ? 'i64.load' : 'i32.load', [this.cpu], O.gpr + n * 8));
    f.set(this.#frame.tlb, this.load32(O.tlb));
  }

  helper(name: string, args: readonly Expr[]): void {
    const index = this.#frame.import(name, ['i32', ...args.map((a) => a.type)], []);
    const run = (): void => {
      this.#precise();
      this.f.call(index, [this.cpu, ...args]);
    };
    if (PURE.test(name)) return run();
    if (this.row.unit === 'x87' && !X87_INTEGER.test(name)) {
      // The registers serve for the operand's address at most.
      if (this.#u16(R.segment) === REGISTER_FORM) return run();
      const slots = [this.#u16(R.base), this.#u16(R.index)].filter((slot) => slot < GPR_END).map((slot) => (slot - O.gpr) >> 3);
      this.#writeBack(slots.filter((n) => this.#frame.written.has(n)));
      return this.#watch(run);
    }
    if (FLAGS_ONLY.test(name)) {
      this.#toMemory();
      return run();
    }
    this.#exposed(run);
  }

  helperValue(name: string, args: readonly Expr[], result: 'i32' | 'i64' | 'f64' | 'v128'): LocalRef {
    const { f } = this;
    const index = this.#frame.import(name, ['i32', ...args.map((a) => a.type)], [result]);
    const value = f.local(result);
    const run = (): void => {
      this.#precise();
      f.set(value, call(index, result, [this.cpu, ...args]));
    };
    if (PURE.test(name)) run();
    else if (FLAGS_ONLY.test(name)) {
      this.#toMemory();
      run();
    } else this.#exposed(run);
    return value;
  }

  fault(vector: number): void {
    this.helper('faultNoError', [i32.const(vector)]);
  }
}
