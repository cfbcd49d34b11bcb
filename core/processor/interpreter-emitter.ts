/** The emitter of the interpreter: builds one handler, `(cpu, record) -> next record or 0`. Operands come from the record at run time. */
import type { Operand, Row } from '../spec/row.ts';
import { CHAIN_JUMP, CHAIN_RETURN, Cpu, CS, Reach, Record, Segment, SS, TlbEntry } from '../state/index.ts';
import { call, FunctionBuilder, i32, i64, op, v128, type Expr, type LocalRef, type OpName, type Type } from '../wasm/index.ts';
import { activityOf } from './jumps.ts';
import type { Emitter, Value } from './semantics/emitter.ts';
import { integer, signed, type Width } from './semantics/widths.ts';
import { tlbEntry } from './tlb-entry.ts';

/** Finds the index of an imported helper. */
export type Import = (name: string, params: readonly Type[], results: readonly Type[]) => number;

const O = Cpu.offsets;
const R = Record.offsets;
const PAGE_MASK = i64.const(-4096);

const loadOp = (width: Width): OpName => ({ 8: 'i32.load8_u', 16: 'i32.load16_u', 32: 'i32.load', 64: 'i64.load' })[width] as OpName;
const storeOp = (width: Width): OpName => ({ 8: 'i32.store8', 16: 'i32.store16', 32: 'i32.store', 64: 'i64.store' })[width] as OpName;

export class InterpreterEmitter implements Emitter {
  readonly f: FunctionBuilder;
  readonly row: Row;
  readonly size: Width;
  readonly cpu: LocalRef;
  readonly record: LocalRef;
  readonly #memory: boolean;
  readonly #callout: number | undefined;
  readonly #handlerType: number;
  readonly #import: Import;
  readonly #onward: number;
  #ea: LocalRef | undefined;
  /** Host address of an operand that is being modified. */
  readonly #host: (LocalRef | undefined)[] = [];

  /** `onward`: the function that goes on at `rip` (interpreter.ts). `callout`: VMM_*; the row's helper works on the vCPU as the guest believes it to be. */
  constructor(
    row: Row,
    variant: 0 | 16 | 32 | 64,
    memory: boolean,
    handlerType: number,
    onward: number,
    imports: Import,
    callout?: number,
  ) {
    this.#callout = callout;
    this.#handlerType = handlerType;
    this.f = new FunctionBuilder(['i32', 'i32'], ['i32']);
    this.cpu = this.f.param(0);
    this.record = this.f.param(1);
    this.row = row;
    this.#memory = memory;
    this.#import = imports;
    this.#onward = onward;
    const first = row.operands[0]?.size;
    this.size = variant || (typeof first === 'number' && first <= 64 ? (first as Width) : 32);
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

  /** Byte address of a register operand's slot. */
  #slot(o: Operand): { base: Expr; offset: number } {
    if (o.kind === 'fixed')
      return { base: this.cpu, offset: O.gpr + (o.size === 8 && o.register >= 4 ? (o.register - 4) * 8 + 1 : o.register * 8) };
    const field = o.kind === 'rm' || o.kind === 'rr' || o.kind === 'xmmrm' || o.kind === 'mmrm' ? R.base : R.reg;
    return { base: i32.add(this.cpu, op('i32.load16_u', [this.record], field)), offset: 0 };
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
      // Extended by the decoder to 64 bits; an immediate goes with the operand size of what it meets.
      const w = o.size === 'z' || o.kind === 'imms' ? this.size : width;
      return f.let(op(w === 64 ? 'i64.load' : 'i32.load', [this.record], R.immediate));
    }
    if (this.isMemory(i)) {
      const host = this.#access(forWrite ? 'modify' : 'read', this.#segment(), this.effectiveAddress(), width / 8);
      this.#host[i] = host;
      return f.let(op(loadOp(width), [host]));
    }
    const slot = this.#slot(o);
    return f.let(op(loadOp(width), [slot.base], slot.offset));
  }

  write(i: number, value: Value): void {
    const o = this.row.operands[i]!;
    const width = this.width(i);
    if (this.isMemory(i)) {
      const { f } = this;
      let host = this.#host[i];
      if (!host) {
        const v = f.let(value);
        value = v;
        host = this.#access('write', this.#segment(), this.effectiveAddress(), width / 8);
      }
      f.do(storeOp(width), [host, value]);
      this.#commit(host);
      return;
    }
    const slot = this.#slot(o);
    this.#storeRegister(slot.base, slot.offset, width, value);
  }

  #storeRegister(base: Expr, offset: number, width: Width, value: Expr): void {
    if (width === 32) this.f.do('i64.store', [base, i64.extend_u(value)], offset);
    else this.f.do(storeOp(width), [base, value], offset);
  }

  gpr(register: number, width: Width): Expr {
    return op(loadOp(width), [this.cpu], O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8));
  }

  setGpr(register: number, width: Width, value: Value): void {
    this.#storeRegister(this.cpu, O.gpr + (width === 8 && register >= 4 ? (register - 4) * 8 + 1 : register * 8), width, value);
  }

  load32(offset: number): Expr {
    return op('i32.load', [this.cpu], offset);
  }
  load64(offset: number): Expr {
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
    if (this.#ea) return this.#ea;
    const field = (name: 'base' | 'index'): Expr => op('i64.load', [i32.add(this.cpu, op('i32.load16_u', [this.record], R[name]))]);
    const scaled = i64.shl(field('index'), op('i64.load8_u', [this.record], R.scale));
    const sum = i64.add(i64.add(field('base'), scaled), op('i64.load', [this.record], R.displacement));
    return (this.#ea = this.f.let(i64.and(sum, this.addressMask())));
  }

  addressMask(): Expr {
    return op('i64.load', [this.record], R.addressMask);
  }

  #segment(): Expr {
    return op('i32.load16_u', [this.record], R.segment);
  }

  /** The host address of `bytes` bytes at an effective address: inline where the TLB has the page, else by the slow path. */
  #access(kind: 'read' | 'write' | 'modify', segment: Expr, ea: Expr, bytes: number): LocalRef {
    const { f, cpu } = this;
    const host = f.local('i32');
    const end = kind === 'read' ? Reach.offsets.readEnd : Reach.offsets.writeEnd;
    const tag = kind === 'read' ? TlbEntry.offsets.readTag : TlbEntry.offsets.writeTag;
    const seg = f.let(segment);
    f.block((done) => {
      f.block((slow) => {
        const reach = f.let(i32.add(cpu, seg));
        f.brIfRarely(slow, i64.ge_u(i64.add(ea, i64.const(bytes - 1)), op('i64.load', [reach], end)));
        const linear = f.let(i64.and(i64.add(ea, op('i64.load', [reach], Reach.offsets.base)), this.load64(O.linearMask)));
        const entry = f.let(tlbEntry(this.load32(O.tlb), i32.wrap(linear)));
        f.brIfRarely(slow, i64.ne(i64.and(i64.add(linear, i64.const(bytes - 1)), PAGE_MASK), op('i64.load', [entry], tag)));
        f.set(host, i32.add(i32.wrap(linear), op('i32.load', [entry], TlbEntry.offsets.addend)));
        f.br(done);
      });
      this.store32(O.current, this.record);
      const helper = this.#import(
        { read: 'readAddress', write: 'storeAddress', modify: 'writeAddress' }[kind],
        ['i32', 'i32', 'i64', 'i32'],
        ['i32'],
      );
      f.set(host, call(helper, 'i32', [cpu, seg, ea, i32.const(bytes)]));
    });
    return host;
  }

  /** After a store through `host`: what went to the bounce buffer is written out. */
  #commit(host: Expr): void {
    this.f.ifRarely(i32.eq(host, i32.add(this.cpu, i32.const(O.bounce))), () => this.helper('commitWrite', []));
  }

  loadAt(ea: Expr, width: Width): LocalRef {
    const at = this.f.let(ea);
    return this.f.let(op(loadOp(width), [this.#access('read', this.#segment(), at, width / 8)]));
  }

  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void } {
    const at = this.f.let(ea);
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
    const { f } = this;
    if (!this.isMemory(i)) {
      const slot = o.kind === 'xmm0' ? { base: this.cpu, offset: O.xmm } : this.#slot(o);
      return f.let(
        o.kind === 'mm' || o.kind === 'mmrm' ? op('v128.load64_zero', [slot.base], slot.offset) : op('v128.load', [slot.base], slot.offset),
      );
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
    const { f } = this;
    if (!this.isMemory(i)) {
      const slot = this.#slot(o);
      if (o.kind === 'mm' || o.kind === 'mmrm') {
        f.do('i64.store', [slot.base, op('i64x2.extract_lane', [value], 0)], slot.offset);
        // As an x87 register, a written MMX register is a NaN (vol. 1, 9.2.3).
        f.do('i64.store', [slot.base, i64.const(0xffff)], slot.offset + 8);
      } else f.do('v128.store', [slot.base, value], slot.offset);
      return;
    }
    const bits = typeof o.size === 'number' ? o.size : 64;
    const v = f.let(value);
    if (bits === 128 && !unaligned) this.#aligned();
    const host = this.#access('write', this.#segment(), this.effectiveAddress(), bits / 8);
    if (bits === 128) f.do('v128.store', [host, v]);
    else if (bits === 64) f.do('i64.store', [host, op('i64x2.extract_lane', [v], 0)]);
    else f.do(storeOp(bits as Width), [host, op('i32x4.extract_lane', [v], 0)]);
    this.#commit(host);
  }

  xmm(register: number): Expr {
    return op('v128.load', [this.cpu], O.xmm + 16 * register);
  }

  setXmm(register: number, value: Expr): void {
    this.f.do('v128.store', [this.cpu, value], O.xmm + 16 * register);
  }

  /** A 16-byte operand that is not aligned raises #GP(0) (vol. 1, 10.4.1.1). */
  #aligned(): void {
    const base = op('i32.load', [i32.add(this.cpu, this.#segment())], Reach.offsets.base);
    this.f.if(i32.and(i32.add(i32.wrap(this.effectiveAddress()), base), i32.const(15)), () =>
      this.helper('generalProtection', [i32.const(0)]),
    );
  }

  // -- stack

  push(value: Value, width: Width): void {
    const { f } = this;
    const bytes = width / 8;
    const v = f.let(value);
    const mask = f.let(this.load64(O.stackMask));
    const rsp = f.let(this.gpr(4, 64));
    const ea = f.let(i64.and(i64.sub(rsp, i64.const(bytes)), mask));
    const host = this.#access('write', i32.const(O.reach + SS * Reach.size), ea, bytes);
    f.do(storeOp(width), [host, v]);
    this.#commit(host);
    this.setGpr(4, 64, i64.or(i64.and(rsp, i64.xor(mask, i64.const(-1))), ea));
  }

  peek(offset: number | Expr, width: Width): LocalRef {
    const by = typeof offset === 'number' ? i64.const(offset) : offset;
    const ea = this.f.let(i64.and(i64.add(this.gpr(4, 64), by), this.load64(O.stackMask)));
    return this.f.let(op(loadOp(width), [this.#access('read', i32.const(O.reach + SS * Reach.size), ea, width / 8)]));
  }

  adjustStack(bytes: Expr): void {
    const mask = this.f.let(this.load64(O.stackMask));
    const rsp = this.f.let(this.gpr(4, 64));
    this.setGpr(4, 64, i64.or(i64.and(rsp, i64.xor(mask, i64.const(-1))), i64.and(i64.add(rsp, bytes), mask)));
  }

  // -- flags

  #carries(width: Width, carries: Expr): Expr {
    if (width === 64) {
      const high = i32.wrap(i64.shr_u(carries, i64.const(32)));
      return i32.or(i32.and(high, i32.const(0xc000_0000)), i32.and(i32.wrap(carries), i32.const(8)));
    }
    if (width === 32) return i32.and(carries, i32.const(0xc000_0008));
    return i32.or(i32.and(i32.shl(carries, i32.const(32 - width)), i32.const(0xc000_0000)), i32.and(carries, i32.const(8)));
  }

  flagsRaw(result: Expr, aux: Expr): void {
    this.store64(O.flagResult, result);
    this.store32(O.flagAux, aux);
  }

  flagsAdd(width: Width, a: Value, b: Value, result: Value): void {
    const t = integer(width);
    const ones = width === 64 ? i64.const(-1) : i32.const(-1);
    const carries = this.f.let(t.or(t.and(a, b), t.and(t.or(a, b), t.xor(result, ones))));
    this.flagsRaw(signed(result, width), this.#carries(width, carries));
  }

  flagsSub(width: Width, a: Value, b: Value, result: Value): void {
    const t = integer(width);
    const ones = width === 64 ? i64.const(-1) : i32.const(-1);
    const na = t.xor(a, ones);
    const borrows = this.f.let(t.or(t.and(na, b), t.and(t.or(na, b), result)));
    this.flagsRaw(signed(result, width), this.#carries(width, borrows));
  }

  flagsLogic(width: Width, result: Value): void {
    this.flagsRaw(signed(result, width), i32.const(0));
  }

  flagsIncrement(width: Width, a: Value, result: Value, down: boolean): void {
    const { f } = this;
    const t = integer(width);
    const one = width === 64 ? i64.const(1) : i32.const(1);
    const ones = width === 64 ? i64.const(-1) : i32.const(-1);
    const na = t.xor(a, ones);
    const carries = f.let(
      down ? t.or(t.and(na, one), t.and(t.or(na, one), result)) : t.or(t.and(a, one), t.and(t.or(a, one), t.xor(result, ones))),
    );
    const c = f.let(this.#carries(width, carries));
    const overflow = i32.and(i32.xor(c, i32.shl(c, i32.const(1))), i32.const(0x8000_0000));
    const old = f.let(i32.and(this.load32(O.flagAux), i32.const(0x8000_0000)));
    const aux = i32.or(i32.or(i32.and(c, i32.const(8)), old), i32.shr_u(i32.xor(old, overflow), i32.const(1)));
    this.flagsRaw(signed(result, width), aux);
  }

  #carryOverflow(carry: Expr, overflow: Expr): Expr {
    const c = this.f.let(carry);
    return i32.or(i32.shl(c, i32.const(31)), i32.shl(i32.xor(c, overflow), i32.const(30)));
  }

  flagsResult(width: Width, result: Value, carry: Expr, overflow: Expr): void {
    this.flagsRaw(signed(result, width), this.#carryOverflow(carry, overflow));
  }

  flagsCarryOverflow(carry: Expr, overflow: Expr): void {
    const bits = this.#carryOverflow(carry, overflow);
    this.store32(O.flagAux, i32.or(i32.and(this.load32(O.flagAux), i32.const(0x3fff_ffff)), bits));
  }

  setCarry(carry: Expr): void {
    // OF is bit 31 xor bit 30 and must stay: both change together.
    const aux = this.f.let(this.load32(O.flagAux));
    const flip = i32.xor(i32.shr_u(aux, i32.const(31)), carry);
    this.store32(O.flagAux, i32.xor(aux, i32.mul(flip, i32.const(0xc000_0000))));
  }

  setZero(zero: Expr): void {
    this.helper('setFlags', [i32.shl(zero, i32.const(6)), i32.const(1 << 6)]);
  }

  carry(): Expr {
    return i32.shr_u(this.load32(O.flagAux), i32.const(31));
  }

  condition(cc: number): Expr {
    const { f } = this;
    const aux = (): Expr => this.load32(O.flagAux);
    const zero = (): Expr => i64.eqz(this.load64(O.flagResult));
    const overflow = (): Expr => {
      const a = f.let(aux());
      return i32.shr_u(i32.xor(a, i32.shl(a, i32.const(1))), i32.const(31));
    };
    const sign = (): Expr => i32.xor(i32.wrap(i64.shr_u(this.load64(O.flagResult), i64.const(63))), i32.and(aux(), i32.const(1)));
    const base = ((): Expr => {
      switch (cc >> 1) {
        case 0:
          return overflow();
        case 1:
          return this.carry();
        case 2:
          return zero();
        case 3:
          return i32.or(this.carry(), zero());
        case 4:
          return sign();
        case 5: {
          const parity = i32.xor(op('i32.load8_u', [this.cpu], O.flagResult), op('i32.load8_u', [this.cpu], O.flagAux + 1));
          return i32.xor(i32.and(i32.popcnt(parity), i32.const(1)), i32.const(1));
        }
        case 6:
          return i32.xor(sign(), overflow());
        default:
          return i32.or(zero(), i32.xor(sign(), overflow()));
      }
    })();
    return f.let(cc & 1 ? i32.eqz(base) : base);
  }

  // -- control

  nextRip(): Expr {
    const offset = i64.add(op('i64.load16_u', [this.record], R.pageOffset), op('i64.load8_u', [this.record], R.length));
    return i64.and(i64.add(this.load64(O.ripBase), offset), this.load64(O.linearMask));
  }

  #retire(): void {
    const executed = i32.add(op('i32.load8_u', [this.record], R.position), i32.const(1));
    this.store32(O.budget, i32.sub(this.load32(O.budget), executed));
  }

  /** Leaves the block, `rip` being right, to whoever called the handler. */
  leave(): void {
    this.#retire();
    this.f.return(i32.const(0));
  }

  jumpRelative(_i: number): void {
    const { f } = this;
    const sum = i64.add(this.nextRip(), op('i64.load', [this.record], R.immediate));
    const target = f.let(this.size === 16 ? i64.and(sum, i64.const(0xffff)) : i64.and(sum, this.load64(O.linearMask)));
    if (this.size !== 64) this.#checkLimit(target);
    this.store64(O.rip, target);
    this.#retire();
    const known = f.let(op('i32.load', [this.record], R.target));
    // A record that became stale (its handler is 0) is looked for again, like one that was never known.
    f.if(known, () => {
      const slot = f.let(op('i32.load', [known], R.handler));
      f.if(slot, () => {
        f.if(i32.ge_s(this.load32(O.budget), i32.const(0)), () => {
          this.store32(O.activity, activityOf(slot));
          f.returnCallIndirect(this.#handlerType, [this.cpu, known], slot);
        });
        f.return(i32.const(0));
      });
    });
    f.if(i64.lt_u(i64.sub(target, this.load64(O.ripBase)), i64.const(4096)), () => this.store32(O.chain, this.record));
    f.returnCall(this.#onward, [this.cpu]);
  }

  jump(target: Expr): void {
    this.jumpAfter(target, () => {});
  }

  jumpAfter(target: Expr, commit: () => void): void {
    const to = this.f.let(this.size === 16 ? i64.and(target, i64.const(0xffff)) : target);
    if (this.size === 64)
      // Not canonical: #GP(0) at the branch (vol. 2, "JMP").
      this.f.ifRarely(i64.ne(i64.shr_s(i64.shl(to, i64.const(16)), i64.const(16)), to), () =>
        this.helper('generalProtection', [i32.const(0)]),
      );
    else this.#checkLimit(to);
    commit();
    this.store64(O.rip, to);
    if (this.size !== 16) this.store32(O.chain, i32.add(this.record, i32.const(this.row.family === 'jmp_rm' ? CHAIN_JUMP : CHAIN_RETURN)));
    this.#retire();
    this.f.returnCall(this.#onward, [this.cpu]);
  }

  #checkLimit(target: Expr): void {
    const limit = op('i64.load32_u', [this.cpu], O.segments + CS * Segment.size + Segment.offsets.limit);
    this.f.ifRarely(i64.gt_u(target, limit), () => this.helper('generalProtection', [i32.const(0)]));
  }

  // -- helpers

  helper(name: string, args: readonly Expr[]): void {
    this.store32(O.current, this.record);
    const call = (helper: string, ...given: readonly Expr[]): void =>
      this.f.call(this.#import(helper, ['i32', ...given.map((a) => a.type)], []), [this.cpu, ...given]);
    const callout = name === this.row.helper ? this.#callout : undefined;
    if (callout !== undefined) call('enterVmm', i32.const(callout));
    call(name, ...args);
    if (callout !== undefined) call('leaveVmm');
  }

  helperValue(name: string, args: readonly Expr[], result: 'i32' | 'i64' | 'f64' | 'v128'): LocalRef {
    this.store32(O.current, this.record);
    return this.f.let(call(this.#import(name, ['i32', ...args.map((a) => a.type)], [result]), result, [this.cpu, ...args]));
  }

  fault(vector: number): void {
    this.helper('faultNoError', [i32.const(vector)]);
  }

  /** Goes on with another record's handler, in this one's place. */
  #continue(record: Expr): void {
    this.f.returnCallIndirect(this.#handlerType, [this.cpu, record], op('i32.load', [record], R.handler));
  }

  /** The end of a straight-line instruction. */
  next(): void {
    this.#continue(this.f.let(i32.add(this.record, i32.const(Record.size))));
  }
}
