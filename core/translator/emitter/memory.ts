/** The translator's emitter, fourth part: memory operands and the stack. */
import type { Value } from '../../processor/semantics/emitter.ts';
import type { Width } from '../../processor/semantics/widths.ts';
import { FS, Reach, SITE_STACK, SS } from '../../state/index.ts';
import { callLate, i32, i64, op, type Expr, type LocalRef } from '../../wasm/index.ts';
import { bytesOf, typeOf, type Item } from '../access.ts';
import { GPR_END, loadOp, O, R, storeOp } from './frame.ts';
import { HelperEmitter } from './helpers.ts';

/** A segment: that of pushes and pops. */
const STACK = O.reach + SS * Reach.size;

export abstract class MemoryEmitter extends HelperEmitter {
  read(i: number): LocalRef {
    return this.operand(i, false);
  }

  modify(i: number): LocalRef {
    return this.operand(i, true);
  }

  protected operand(i: number, forWrite: boolean): LocalRef {
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
      if (!forWrite) return f.let(this.readMemory(width, this.segment(), this.effectiveAddress()));
      const host = this.place(width, this.segment(), this.effectiveAddress());
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
      if (host) this.f.do(storeOp(width), [host, value]);
      else this.writeMemory(width, this.segment(), this.effectiveAddress(), value);
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

  /** The linear address of an access, i64 in 64-bit mode, else i32. The interpreter sees to what a segment's limit forbids. */
  protected linear(segment: number, ea: Expr, bytes: number, end: number): Expr {
    const { f, cpu, long } = this;
    if (!this.based(segment)) return long ? ea : i32.wrap(ea);
    if (long) return i64.add(ea, op('i64.load', [cpu], segment + Reach.offsets.base));
    const at = f.let(ea);
    const beyond = i64.ge_u(i64.add(at, i64.const(bytes - 1)), op('i64.load', [cpu], segment + end));
    f.ifRarely(beyond, () => f.call(this.frame.import('interpret', ['i32'], []), [this.record]));
    return i32.add(i32.wrap(at), op('i32.load', [cpu], segment + Reach.offsets.base));
  }

  protected readMemory(item: Item, segment: number, ea: Expr): Expr {
    const access = this.frame.access('read', item, this.long);
    const linear = this.linear(segment, ea, bytesOf(item), Reach.offsets.readEnd);
    return callLate(access, typeOf(item), [linear, this.frame.tlb, this.site(segment)]);
  }

  protected writeMemory(item: Item, segment: number, ea: Expr, value: Expr): void {
    const access = this.frame.access('write', item, this.long);
    const linear = this.linear(segment, ea, bytesOf(item), Reach.offsets.writeEnd);
    this.f.callLate(access, [linear, value, this.frame.tlb, this.site(segment)]);
  }

  /** The host address of what is going to be read and written. */
  protected place(item: Item, segment: number, ea: Expr): LocalRef {
    const access = this.frame.access('modify', item, this.long);
    const linear = this.linear(segment, ea, bytesOf(item), Reach.offsets.writeEnd);
    return this.f.let(callLate(access, 'i32', [linear, this.frame.tlb, this.site(segment)]));
  }

  protected site(segment: number): Expr {
    return segment === STACK ? i32.const(this.instruction.record + SITE_STACK) : this.record;
  }

  loadAt(ea: Expr, width: Width): LocalRef {
    return this.f.let(this.readMemory(width, this.segment(), ea));
  }

  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void } {
    const host = this.place(width, this.segment(), ea);
    return {
      value: this.f.let(op(loadOp(width), [host])),
      store: (value) => this.f.do(storeOp(width), [host, value]),
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
    this.writeMemory(width, STACK, ea, v);
    this.setGpr(4, 64, ea);
  }

  peek(offset: number | Expr, width: Width): LocalRef {
    const ea = this.stackAddress(typeof offset === 'number' ? i64.const(offset) : offset);
    return this.f.let(this.readMemory(width, STACK, ea));
  }

  adjustStack(bytes: Expr): void {
    this.setGpr(4, 64, i64.add(this.gpr(4, 64), bytes));
  }
}
