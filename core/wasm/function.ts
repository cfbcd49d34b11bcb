/** Builds the body of one function: statements in order, expressions as trees, structured control by closures. */
import { Bytes, type Late } from './bytes.ts';
import { instruction } from './instructions.ts';
import type { OpName } from './ops.ts';
import { emitInstruction, local, TYPE_CODE, type Expr, type LocalRef, type Type } from './expr.ts';

export interface Label {
  /** Depth of nesting at which the construct begins. */
  readonly depth: number;
}

export class FunctionBuilder {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
  readonly #locals: Type[] = [];
  readonly #free: Partial<Record<Type, LocalRef[]>> = {};
  #body = new Bytes(1024);
  #depth = 0;
  readonly #keepConstants: boolean;
  /** For listings: places in the body (bytes) with what was said of them, and names of locals. */
  readonly #marks: { readonly offset: number; readonly value: number }[] = [];
  readonly names = new Map<number, string>();
  #scope: LocalRef[] | undefined;
  /** Places in the body of branches that are seldom taken. */
  readonly #rare: number[] = [];
  #bodyOffset = 0;

  /** `keepConstants`: `let` gives constants back as they are, so that what is made of them folds. */
  constructor(params: readonly Type[], results: readonly Type[], keepConstants = false) {
    this.params = params;
    this.results = results;
    this.#keepConstants = keepConstants;
  }

  /** What `mark` was told, by places in the encoded body. */
  get marks(): { readonly offset: number; readonly value: number }[] {
    return this.#marks;
  }

  /** How many constructs are open. */
  get depth(): number {
    return this.#depth;
  }

  /** Says of what follows what it belongs to: for listings, not part of the code. */
  mark(value: number): void {
    this.#marks.push({ offset: this.#body.length, value });
  }

  param(index: number): LocalRef {
    return local(this.params[index]!, index);
  }

  /** A new local, zero at first. Named for listings only. */
  local(type: Type, name?: string): LocalRef {
    let l = this.#free[type]?.pop();
    if (!l) {
      this.#locals.push(type);
      l = local(type, this.params.length + this.#locals.length - 1);
    }
    this.#scope?.push(l);
    if (name !== undefined) this.names.set(l.index, name);
    return l;
  }

  /** Locals made inside are free for others afterwards. */
  scope(inside: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    inside();
    for (const l of this.#scope) this.release(l);
    this.#scope = outer;
  }

  /** Gives a local back for reuse. */
  release(l: LocalRef): void {
    (this.#free[l.type] ??= []).push(l);
  }

  /** Evaluates now, once. What it returns is not assigned to: see `variable`. */
  let(value: Expr): LocalRef {
    // A constant is as good as a local that nobody assigns to.
    if (this.#keepConstants && value.value !== undefined) return value as LocalRef;
    return this.variable(value);
  }

  /** A new local with a value. */
  variable(value: Expr): LocalRef {
    const l = this.local(value.type);
    this.set(l, value);
    return l;
  }

  set(l: LocalRef, value: Expr): void {
    value.emit(this.#body);
    this.#body.u8(0x21);
    this.#body.u32(l.index);
  }

  /** A store or another instruction without a result. */
  do(name: OpName, args: readonly Expr[], immediate = 0): void {
    const of = instruction(name);
    if (of.result) throw new Error(`${name} has a result`);
    for (const a of args) a.emit(this.#body);
    emitInstruction(this.#body, of, immediate);
  }

  drop(value: Expr): void {
    value.emit(this.#body);
    this.#body.u8(0x1a);
  }

  /** A call without a result. */
  call(index: number, args: readonly Expr[]): void {
    for (const a of args) a.emit(this.#body);
    this.#body.u8(0x10);
    this.#body.u32(index);
  }

  /** A call of a function whose index is not known yet, without a result. */
  callLate(of: Late, args: readonly Expr[]): void {
    for (const a of args) a.emit(this.#body);
    this.#body.u8(0x10);
    this.#body.late(of);
  }

  return(value?: Expr): void {
    value?.emit(this.#body);
    this.#body.u8(0x0f);
  }

  /** Leaves a value on the stack: the function's result, as the last statement. */
  yield(value: Expr): void {
    value.emit(this.#body);
  }

  /** A tail call through the table (WebAssembly tail calls): nothing of this frame remains. */
  returnCallIndirect(typeIndex: number, args: readonly Expr[], slot: Expr): void {
    for (const a of args) a.emit(this.#body);
    slot.emit(this.#body);
    this.#body.u8(0x13);
    this.#body.u32(typeIndex);
    this.#body.u8(0);
  }

  /** A tail call of function `index`. */
  returnCall(index: number, args: readonly Expr[]): void {
    for (const a of args) a.emit(this.#body);
    this.#body.u8(0x12);
    this.#body.u32(index);
  }

  unreachable(): void {
    this.#body.u8(0x00);
  }

  #construct(opcode: number, inside: (label: Label) => void): void {
    this.#body.u8(opcode);
    this.#body.u8(0x40);
    this.#depth++;
    inside({ depth: this.#depth });
    this.#depth--;
    this.#body.u8(0x0b);
  }

  /** Branching to the label leaves the block. */
  block(inside: (label: Label) => void): void {
    this.#construct(0x02, inside);
  }

  /** Branching to the label repeats. */
  loop(inside: (label: Label) => void): void {
    this.#construct(0x03, inside);
  }

  /** `if`, for what is seldom the case. */
  ifRarely(condition: Expr, then: () => void): void {
    if (condition.value !== undefined) return this.if(condition, then);
    condition.emit(this.#body);
    this.#rare.push(this.#body.length);
    this.#construct(0x04, then);
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    if (typeof condition.value === 'number') {
      if (condition.value) then();
      else otherwise?.();
      return;
    }
    condition.emit(this.#body);
    this.#construct(0x04, () => {
      then();
      if (otherwise) {
        this.#body.u8(0x05);
        otherwise();
      }
    });
  }

  /** Legacy exception handling: `tag`'s parameters are none. */
  try(inside: () => void, tag: number, handler: () => void): void {
    this.#body.u8(0x06);
    this.#body.u8(0x40);
    this.#depth++;
    inside();
    this.#body.u8(0x07);
    this.#body.u32(tag);
    handler();
    this.#depth--;
    this.#body.u8(0x0b);
  }

  throw(tag: number): void {
    this.#body.u8(0x08);
    this.#body.u32(tag);
  }

  br(label: Label): void {
    this.#body.u8(0x0c);
    this.#body.u32(this.#depth - label.depth);
  }

  /** `brIf`, for what is seldom the case. */
  brIfRarely(label: Label, condition: Expr): void {
    condition.emit(this.#body);
    this.#rare.push(this.#body.length);
    this.#body.u8(0x0d);
    this.#body.u32(this.#depth - label.depth);
  }

  brIf(label: Label, condition: Expr): void {
    condition.emit(this.#body);
    this.#body.u8(0x0d);
    this.#body.u32(this.#depth - label.depth);
  }

  brTable(labels: readonly Label[], otherwise: Label, selector: Expr): void {
    selector.emit(this.#body);
    this.#body.u8(0x0e);
    this.#body.u32(labels.length);
    for (const l of labels) this.#body.u32(this.#depth - l.depth);
    this.#body.u32(this.#depth - otherwise.depth);
  }

  /** After `encode`: places in the code entry of branches that are seldom taken. */
  get rareBranches(): number[] {
    return this.#rare.map((at) => at + this.#bodyOffset);
  }

  /** The function's code entry (core spec, 5.5.13), without its size. */
  encode(): Bytes {
    const out = new Bytes(this.#body.length + 64);
    const runs: [number, Type][] = [];
    for (const t of this.#locals) {
      const last = runs[runs.length - 1];
      if (last && last[1] === t) last[0]++;
      else runs.push([1, t]);
    }
    out.u32(runs.length);
    for (const [n, t] of runs) {
      out.u32(n);
      out.u8(TYPE_CODE[t]);
    }
    this.#bodyOffset = out.length;
    out.append(this.#body);
    out.u8(0x0b);
    return out;
  }
}
