/** The translator's emitter, fourth part: memory operands and the stack. */
import type { Value } from '../../processor/semantics/emitter.ts';
import type { Width } from '../../processor/semantics/widths.ts';
import { tlbEntry } from '../../processor/tlb-entry.ts';
import { FS, Reach, SS, TlbEntry } from '../../state/index.ts';
import { call, i32, i64, op, type Expr, type FunctionBuilder, type LocalRef } from '../../wasm/index.ts';
import { GPR_END, loadOp, O, R, storeOp } from './frame.ts';
import { HelperEmitter } from './helpers.ts';

const PAGE_MASK = i64.const(-4096);

export abstract class MemoryEmitter extends HelperEmitter {
  read(i: number): LocalRef {
    return this.readOperand(i, false);
  }

  modify(i: number): LocalRef {
    return this.readOperand(i, true);
  }

  protected readOperand(i: number, forWrite: boolean): LocalRef {
    const o = this.row.operands[i]!;
    const width = this.width(i);
    const { f } = this;
    if (o.kind === 'one') return f.let(i32.const(1));
    if (o.kind === 'imm' || o.kind === 'imms') {
      const w = o.size === 'z' || o.kind === 'imms' ? this.size : width;
      return f.let(
        w === 64 ? i64.const(this.u64(R.immediate)) : i32.const(this.view.getInt32(this.instruction.record + R.immediate, true)),
      );
    }
    if (this.isMemory(i)) {
      const host = this.access(forWrite ? 'modify' : 'read', this.segment(), this.effectiveAddress(), width / 8);
      this.hosts[i] = host;
      return f.let(op(loadOp(width), [host]));
    }
    return f.let(this.readSlot(this.slot(o), width));
  }

  write(i: number, value: Value): void {
    const o = this.row.operands[i]!;
    const width = this.width(i);
    if (this.isMemory(i)) {
      const host = this.hosts[i];
      if (host) {
        this.f.do(storeOp(width), [host, value]);
        this.commit(host);
        return;
      }
      const v = this.f.let(value);
      this.storeAt(this.segment(), this.effectiveAddress(), width / 8, (at) => this.f.do(storeOp(width), [at, v]));
      return;
    }
    this.writeSlot(this.slot(o), width, value);
  }
  effectiveAddress(): LocalRef {
    return (this.ea ??= this.f.variable(this.computeAddress()));
  }

  protected computeAddress(): Expr {
    const [base, index] = [this.u16(R.base), this.u16(R.index)];
    const scale = this.view.getUint8(this.instruction.record + R.scale);
    const displacement = this.u64(R.displacement);
    const mask = this.u64(R.addressMask);
    if (!this.long && mask === 0xffff_ffff && base < GPR_END + 8) {
      let sum: Expr = i32.const(Number(BigInt.asIntN(32, BigInt(displacement))));
      if (index < GPR_END) sum = i32.add(i32.shl(this.readSlot(index, 32), i32.const(scale)), sum);
      if (base < GPR_END) sum = i32.add(this.readSlot(base, 32), sum);
      return i64.extend_u(sum);
    }
    let sum: Expr = i64.const(displacement);
    if (index < GPR_END) sum = i64.add(i64.shl(this.readSlot(index, 64), i64.const(scale)), sum);
    if (base < GPR_END) sum = i64.add(this.readSlot(base, 64), sum);
    else if (base === O.ripBase) sum = i64.add(this.pageAddress(), sum);
    if (mask === 0xffff_ffff) return i64.extend_u(i32.wrap(sum));
    return mask === -1 ? sum : i64.and(sum, i64.const(mask));
  }

  addressMask(): Expr {
    return i64.const(this.u64(R.addressMask));
  }

  protected segment(): number {
    return this.u16(R.segment);
  }

  /** FS and GS have a base; all others were seen to be flat when the region was entered. */
  protected based(segment: number): boolean {
    return segment >= O.reach + FS * Reach.size;
  }

  /** The linear address; branches to `slow` where a segment's limit is not kept. */
  protected linear(segment: number, ea: LocalRef, bytes: number, end: number, slow: Parameters<FunctionBuilder['br']>[0]): LocalRef {
    if (!this.based(segment)) return ea;
    const { f, cpu } = this;
    if (!this.long) f.brIfRarely(slow, i64.ge_u(i64.add(ea, i64.const(bytes - 1)), op('i64.load', [cpu], segment + end)));
    const sum = i64.add(ea, op('i64.load', [cpu], segment + Reach.offsets.base));
    return f.variable(this.long ? sum : i64.and(sum, i64.const(0xffff_ffff)));
  }

  protected fast(kind: 'read' | 'write', segment: number, ea: LocalRef, bytes: number, slow: Parameters<FunctionBuilder['br']>[0]): Expr {
    const { f } = this;
    const end = kind === 'read' ? Reach.offsets.readEnd : Reach.offsets.writeEnd;
    const tag = kind === 'read' ? TlbEntry.offsets.readTag : TlbEntry.offsets.writeTag;
    const linear = this.linear(segment, ea, bytes, end, slow);
    const low = i32.wrap(linear);
    const entry = f.let(tlbEntry(this.frame.tlb, low));
    const last = bytes === 1 ? linear : i64.add(linear, i64.const(bytes - 1));
    f.brIfRarely(slow, i64.ne(i64.and(last, PAGE_MASK), op('i64.load', [entry], tag)));
    return i32.add(low, op('i32.load', [entry], TlbEntry.offsets.addend));
  }

  protected slowAddress(kind: 'read' | 'write' | 'modify', segment: number, ea: LocalRef, bytes: number): Expr {
    this.precise();
    const name = { read: 'readAddress', write: 'storeAddress', modify: 'writeAddress' }[kind];
    return call(this.frame.import(name, ['i32', 'i32', 'i64', 'i32'], ['i32']), 'i32', [
      this.cpu,
      i32.const(segment),
      ea,
      i32.const(bytes),
    ]);
  }

  /** The host address of `bytes` bytes at an effective address: inline where the TLB has the page, else by the slow path. */
  protected access(kind: 'read' | 'modify', segment: number, ea: LocalRef, bytes: number): LocalRef {
    const { f } = this;
    const host = f.local('i32');
    f.block((done) => {
      f.block((slow) => {
        f.set(host, this.fast(kind === 'read' ? 'read' : 'write', segment, ea, bytes, slow));
        f.br(done);
      });
      f.set(host, this.slowAddress(kind, segment, ea, bytes));
    });
    return host;
  }

  /** A store of `bytes` bytes, by `put`. */
  protected storeAt(segment: number, ea: LocalRef, bytes: number, put: (host: Expr) => void): void {
    const { f } = this;
    this.clearStale();
    f.block((done) => {
      f.block((slow) => {
        put(f.let(this.fast('write', segment, ea, bytes, slow)));
        f.br(done);
      });
      const host = f.let(this.slowAddress('write', segment, ea, bytes));
      put(host);
      this.commit(host);
    });
  }

  /** After a store through `host`: what went to the bounce buffer is written out, and code may be stale. */
  protected commit(host: Expr): void {
    const { f } = this;
    this.clearStale();
    f.ifRarely(i32.eq(host, i32.add(this.cpu, i32.const(O.bounce))), () =>
      this.watch(() => {
        this.precise();
        f.call(this.frame.import('commitWrite', ['i32'], []), [this.cpu]);
      }),
    );
  }

  loadAt(ea: Expr, width: Width): LocalRef {
    const at = this.f.variable(ea);
    return this.f.let(op(loadOp(width), [this.access('read', this.segment(), at, width / 8)]));
  }

  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void } {
    const at = this.f.variable(ea);
    const host = this.access('modify', this.segment(), at, width / 8);
    return {
      value: this.f.let(op(loadOp(width), [host])),
      store: (value) => {
        this.f.do(storeOp(width), [host, value]);
        this.commit(host);
      },
    };
  }
  // -- stack: as wide as the mode, or else wrapped by hand

  protected stackAddress(delta: Expr): LocalRef {
    if (this.long) return this.f.variable(i64.add(this.registerLocal(4), delta));
    return this.f.variable(i64.extend_u(i32.add(this.registerLocal(4), i32.wrap(delta))));
  }

  push(value: Value, width: Width): void {
    const { f } = this;
    const v = f.let(value);
    const ea = this.stackAddress(i64.const(-width / 8));
    this.storeAt(O.reach + SS * Reach.size, ea, width / 8, (host) => f.do(storeOp(width), [host, v]));
    this.setGpr(4, 64, ea);
  }

  peek(offset: number | Expr, width: Width): LocalRef {
    const ea = this.stackAddress(typeof offset === 'number' ? i64.const(offset) : offset);
    return this.f.let(op(loadOp(width), [this.access('read', O.reach + SS * Reach.size, ea, width / 8)]));
  }

  adjustStack(bytes: Expr): void {
    this.setGpr(4, 64, i64.add(this.gpr(4, 64), bytes));
  }
}
