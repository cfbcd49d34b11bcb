/** The translator's emitter, fourth part: memory operands and the stack. */
import type { Value } from '../../processor/semantics/emitter.ts';
import type { Width } from '../../processor/semantics/widths.ts';
import { FS, Reach, SITE_COPIES, SITE_STACK, SS } from '../../state/index.ts';
import { callLate, i32, i64, op, type Expr, type LocalRef } from '../../wasm/index.ts';
import { bytesOf, loadOf, lookUp, storeOf, typeOf, type Item } from '../access.ts';
import type { Instruction } from '../region.ts';
import { GPR_END, loadOp, O, R, storeOp } from './frame.ts';
import { HelperEmitter } from './helpers.ts';
import { planKey, planSpans, type Anchor, type Plan } from './spans.ts';

/** A segment: that of pushes and pops. */
const STACK = O.reach + SS * Reach.size;
/** Of these, the forms with an operand in memory read and write at two places of it. */
const COPYING = new Set(['push', 'pop', 'call_rm']);

/** Bytes that the TLB was asked for together (./spans.ts). */
interface Span {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly write: boolean;
  /** Host address of the first byte; 0 if the TLB does not serve all of it. */
  readonly host: LocalRef;
}

/** An operand in memory: its address is computed where it is needed. */
interface Place {
  readonly segment: number;
  readonly ea: () => Expr;
  readonly anchor?: Anchor | undefined;
}

export abstract class MemoryEmitter extends HelperEmitter {
  /** Of the basic block. */
  private plans: ReadonlyMap<number, Plan> = new Map();
  private spans: Span[] = [];
  private spare: LocalRef[] = [];
  private reserved: LocalRef[] = [];
  /** Of the instruction's memory operand, as its registers were when that was computed. */
  protected anchor: Anchor | undefined;

  /** What follows is a basic block. */
  begin(instructions: readonly Instruction[]): void {
    this.bases.forget();
    this.forgetSpans();
    this.plans = planSpans(instructions, this.view, this.frame.mode);
    while (this.reserved.length < this.plans.size) this.reserved.push(this.f.local('i32'));
    this.spare = [...this.reserved];
  }

  /** What the TLB says may be otherwise from here on. */
  protected override forgetSpans(): void {
    this.spans = [];
  }

  /** The span that an access belongs to. */
  private span(anchor: Anchor | undefined, bytes: number, write: boolean, stack: boolean): Span | undefined {
    if (!anchor) return undefined;
    const { key, offset } = anchor;
    const known = this.spans.find((s) => s.key === key && s.from <= offset && offset + bytes <= s.to && (s.write || !write));
    if (known) return known;
    const plan = this.plans.get(planKey(this.instruction, stack));
    if (!plan || plan.from > 0 || plan.to < bytes || (write && !plan.write)) return undefined;
    // Under a condition it would not be asked for always; and the registers must be what they were.
    const host = this.f.depth === this.depth && this.bases.isCurrent(anchor) ? this.spare.pop() : undefined;
    if (!host) return undefined;
    const { f } = this;
    const address = f.let(this.anchored(anchor, plan.from));
    const found = lookUp(f, plan.write, address, plan.to - plan.from, false, this.frame.tlb);
    f.set(host, i32.const(0));
    f.block((missed) => {
      f.brIfRarely(missed, found.missed);
      f.set(host, found.host);
    });
    const span = { key, from: offset + plan.from, to: offset + plan.to, write: plan.write, host };
    this.spans.push(span);
    return span;
  }

  /** The linear address `by` bytes after an anchor. */
  private anchored({ base, index, scale, offset }: Anchor, by: number): Expr {
    const { long } = this;
    const t = long ? i64 : i32;
    const added = (n: number): number => this.bases.added(n);
    let at = offset + by;
    if (base === 'page') return this.address(at);
    if (base !== undefined) at -= added(base);
    if (index !== undefined) at -= added(index) * 2 ** scale;
    let sum: Expr = t.const(long ? at : at | 0);
    if (index !== undefined) sum = t.add(t.shl(this.registerLocal(index), t.const(scale)), sum);
    return base === undefined ? sum : t.add(this.registerLocal(base), sum);
  }

  /** The memory operand. */
  protected memoryPlace(): Place {
    const segment = this.segment();
    const anchor = (this.anchor ??= this.bases.operand(this.instruction));
    if (this.ea || !anchor) {
      const ea = this.effectiveAddress();
      return { segment, ea: () => ea, anchor };
    }
    const ea = (): Expr => {
      if (!this.bases.isCurrent(anchor)) throw new Error(`${this.row.text}: that a register of its operand changes was not foreseen`);
      return this.computeAddress();
    };
    return { segment, ea, anchor };
  }

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
      if (!forWrite) return this.readMemory(width, this.memoryPlace());
      const host = this.place(width, this.memoryPlace());
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
      if (host) this.store(width, host, value);
      else this.writeMemory(width, this.memoryPlace(), value);
      return;
    }
    this.writeSlot(this.slot(o), width, value);
  }

  /** What `place` was asked for. */
  private store(width: Width, host: LocalRef, value: Value): void {
    const { f, cpu, frame } = this;
    f.do(storeOp(width), [host, value]);
    if (!frame.bounces) return;
    f.ifRarely(i32.eq(host, i32.add(cpu, i32.const(O.bounce))), () => f.call(frame.import('commitWrite', ['i32'], []), [cpu]));
  }

  effectiveAddress(): LocalRef {
    this.anchor ??= this.bases.operand(this.instruction);
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

  protected readMemory(item: Item, at: Place): LocalRef {
    const { f, frame } = this;
    const type = typeOf(item);
    const value = f.local(type);
    const rest = [frame.tlb, this.site(at.segment, this.copies)];
    this.reach(
      item,
      at,
      false,
      (host, offset) => f.set(value, op(loadOf(item), [host], offset)),
      (linear) => f.set(value, callLate(frame.access('read', item, this.long), type, [linear, ...rest])),
    );
    return value;
  }

  protected writeMemory(item: Item, at: Place, value: Expr): void {
    const { f, frame } = this;
    const v = f.let(value);
    const rest = [v, frame.tlb, this.site(at.segment)];
    this.reach(
      item,
      at,
      true,
      (host, offset) => f.do(storeOf(item), [host, v], offset),
      (linear) => f.callLate(frame.access('write', item, this.long), [linear, ...rest]),
    );
  }

  /** The host address of what is going to be read and written. */
  protected place(item: Item, at: Place): LocalRef {
    const { f, frame } = this;
    const host = f.local('i32');
    const rest = [frame.tlb, this.site(at.segment)];
    this.reach(
      item,
      at,
      true,
      (found, offset) => f.set(host, i32.add(found, i32.const(offset))),
      (linear) => f.set(host, callLate(frame.access('modify', item, this.long), 'i32', [linear, ...rest])),
    );
    return host;
  }

  /** Does an access: as `hit` where its place in the host is known, or else as `miss`. */
  private reach(item: Item, at: Place, write: boolean, hit: (host: Expr, offset: number) => void, miss: (linear: Expr) => void): void {
    const { f } = this;
    const { segment, anchor } = at;
    const bytes = bytesOf(item);
    const aligned = item === 'aligned128';
    const linear = (): Expr => this.linear(segment, at.ea(), bytes, write ? Reach.offsets.writeEnd : Reach.offsets.readEnd);
    const span = aligned ? undefined : this.span(anchor, bytes, write, segment === STACK);
    if (span) {
      const within = (): void => hit(span.host, anchor!.offset - span.from);
      return this.unlessRarely(i32.eqz(span.host), within, () => miss(linear()));
    }
    const address = f.let(linear());
    const found = lookUp(f, write, address, bytes, aligned, this.frame.tlb);
    const alone = (): void => hit(found.host, 0);
    this.unlessRarely(found.missed, alone, () => miss(address));
  }

  private unlessRarely(condition: Expr, then: () => void, otherwise: () => void): void {
    const { f } = this;
    f.block((done) => {
      f.block((label) => {
        f.brIfRarely(label, condition);
        then();
        f.br(done);
      });
      otherwise();
    });
  }

  /** Of an access; `copies`: what it reads is then written elsewhere in memory. */
  protected site(segment: number, copies = false): Expr {
    return i32.const(this.instruction.record + (segment === STACK ? SITE_STACK : 0) + (copies ? SITE_COPIES : 0));
  }

  /** From memory to the stack or from there. */
  private get copies(): boolean {
    return this.instruction.memory && COPYING.has(this.row.family);
  }

  loadAt(ea: Expr, width: Width): LocalRef {
    return this.readMemory(width, { segment: this.segment(), ea: () => ea });
  }

  modifyAt(ea: Expr, width: Width): { value: LocalRef; store(value: Value): void } {
    const host = this.place(width, { segment: this.segment(), ea: () => ea });
    return {
      value: this.f.let(op(loadOp(width), [host])),
      store: (value) => this.store(width, host, value),
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
    this.writeMemory(width, { segment: STACK, ea: () => ea, anchor: this.bases.stack(-width / 8) }, v);
    this.moveStack(-width / 8, ea);
  }

  peek(offset: number | Expr, width: Width): LocalRef {
    if (typeof offset === 'number') {
      const ea = (): Expr => this.stackAddress(i64.const(offset));
      return this.readMemory(width, { segment: STACK, ea, anchor: this.bases.stack(offset) });
    }
    const ea = this.stackAddress(offset);
    return this.readMemory(width, { segment: STACK, ea: () => ea });
  }

  adjustStack(bytes: Expr): void {
    const value = i64.add(this.gpr(4, 64), bytes);
    if (typeof bytes.value === 'number') this.moveStack(bytes.value, value);
    else this.setGpr(4, 64, value);
  }

  private moveStack(by: number, value: Expr): void {
    const set = (): void => this.setGpr(4, 64, value);
    if (this.f.depth === this.depth) this.bases.adding(4, by, set);
    else set();
  }
}
