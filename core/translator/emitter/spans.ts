/**
 * Accesses of a basic block that lie near each other, off the same address: slots of a frame, pushes in a row, fields of a structure. The TLB is
 * asked once for the *span* of bytes that they cover. If it serves all of that, each has its place there; else each is on its own.
 */
import type { Operand, Row } from '../../spec/row.ts';
import { CODE_64, Control, FS, PAGE, Reach } from '../../state/index.ts';
import { READERS, writtenBy } from '../registers.ts';
import { pageOf, type Instruction } from '../region.ts';
import { GPR_END, O, R } from './frame.ts';

const STACK_POINTER = 4;
/** A wider span would too often cross a page, where it is of no use. */
const WIDEST = 512;

/** An address, as a constant distance from something: the sum of registers as they were at a time, the entry's page, or 0. */
export interface Anchor {
  /** The same for addresses whose distance from each other is known. */
  readonly key: string;
  readonly offset: number;
  readonly base: number | 'page' | undefined;
  readonly index: number | undefined;
  readonly scale: number;
}

/** A span that begins with some access, in bytes from where that is. */
export interface Plan {
  readonly from: number;
  readonly to: number;
  readonly write: boolean;
}

/** What an instruction's access is known by in a plan. */
export const planKey = (i: Instruction, stack: boolean): number => i.record * 2 + (stack ? 1 : 0);

/** What is known of the registers' values in a basic block: which is the same as before but for a constant. */
export class Bases {
  readonly #mode: number;
  readonly #view: DataView;
  #count = 0;
  readonly #version = Array.from({ length: 16 }, () => 0);
  /** What was added since. */
  readonly #added = Array.from({ length: 16 }, () => 0);

  constructor(mode: number, view: DataView) {
    this.#mode = mode;
    this.#view = view;
    this.forget();
  }

  forget(): void {
    for (let n = 0; n < 16; n++) this.written(n);
  }

  written(register: number): void {
    this.#version[register] = ++this.#count;
    this.#added[register] = 0;
  }

  /** What is done inside comes to no more than that `by` is added to the register. */
  adding(register: number, by: number, inside: () => void): void {
    const [version, added] = [this.#version[register]!, this.#added[register]!];
    inside();
    this.#version[register] = version;
    this.#added[register] = added + by;
  }

  added(register: number): number {
    return this.#added[register]!;
  }

  /** Whether its registers have not changed since, but by what was added. */
  isCurrent({ key, base, index, scale }: Anchor): boolean {
    return base === 'page' || key === this.#anchor(base, index, scale, 0).key;
  }

  /** Of the stack pointer plus `offset`. */
  stack(offset: number): Anchor {
    return this.#anchor(STACK_POINTER, undefined, 0, offset);
  }

  /** Of the memory operand of an instruction, if it has one in a flat segment. */
  operand(i: Instruction): Anchor | undefined {
    const [v, at] = [this.#view, i.record];
    const long = this.#mode === CODE_64;
    const segment = v.getUint16(at + R.segment, true);
    if (segment >= O.reach + FS * Reach.size) return undefined;
    if (v.getBigInt64(at + R.addressMask, true) !== (long ? -1n : 0xffff_ffffn)) return undefined;
    const displacement = v.getBigInt64(at + R.displacement, true);
    const offset = Number(long ? displacement : BigInt.asIntN(32, displacement));
    if (!Number.isSafeInteger(offset)) return undefined;
    const register = (field: number): number | undefined => {
      const slot = v.getUint16(at + field, true);
      return slot < GPR_END ? (slot - O.gpr) >> 3 : undefined;
    };
    if (v.getUint16(at + R.base, true) === O.ripBase)
      return long ? { key: 'page', offset: offset + pageOf(i.offset) * PAGE, base: 'page', index: undefined, scale: 0 } : undefined;
    return this.#anchor(register(R.base), register(R.index), v.getUint8(at + R.scale), offset);
  }

  #anchor(base: number | undefined, index: number | undefined, scale: number, offset: number): Anchor {
    const version = (r: number | undefined): number => (r === undefined ? 0 : this.#version[r]!);
    const added = (r: number | undefined): number => (r === undefined ? 0 : this.#added[r]!);
    const key = `${version(base)} ${version(index)} ${scale}`;
    return { key, offset: offset + added(base) + added(index) * 2 ** scale, base, index, scale };
  }
}

/** What an instruction does to a register, if it adds a constant to all of it. */
export function step(i: Instruction, view: DataView, mode: number): { register: number; by: number } | undefined {
  const { family } = i.row?.row ?? {};
  const sign = { add: 1, inc: 1, sub: -1, dec: -1 }[family ?? ''];
  if (!sign || i.memory || i.size !== (mode === CODE_64 ? 64 : 32)) return undefined;
  const [first, second] = i.row!.row.operands as [Operand, Operand?];
  if (first.size === 8) return undefined;
  if (second && second.kind !== 'imm' && second.kind !== 'imms') return undefined;
  const slot = view.getUint16(i.record + (first.kind === 'r' ? R.reg : R.base), true);
  const register = first.kind === 'fixed' ? first.register : (slot - O.gpr) >> 3;
  const amount = second ? view.getInt32(i.record + R.immediate, true) : 1;
  return { register, by: sign * amount };
}

const NONE: ReadonlyMap<number, Plan> = new Map();

interface Access {
  readonly at: number;
  readonly anchor: Anchor;
  readonly bytes: number;
  readonly write: boolean;
}

const PUSHES = new Set(['push', 'push_imm', 'call', 'call_rm']);
const POPS = new Set(['pop', 'ret']);

/** The operand that an instruction has in memory. */
const inMemory = (i: Instruction, row: Row): number =>
  row.operands.findIndex(({ kind: k }) => k === 'm' || k === 'moffs' || (i.memory && (k === 'rm' || k === 'xmmrm' || k === 'mmrm')));

/** Where spans begin. It is what the emitter goes by, not what it relies on. */
export function planSpans(instructions: readonly Instruction[], view: DataView, mode: number): ReadonlyMap<number, Plan> {
  const touching = instructions.filter((i) => i.row && (i.memory || PUSHES.has(i.row.row.family) || POPS.has(i.row.row.family)));
  if (touching.length < 2) return NONE;
  const word = mode === CODE_64 ? 8 : 4;
  const bases = new Bases(mode, view);
  const changed = (i: Instruction): void => {
    for (let [rest, n] = [writtenBy(i, view), 0]; rest; rest >>= 1, n++) if (rest & 1) bases.written(n);
  };
  const nothing = (): void => {};
  const accesses: Access[] = [];
  const note = (i: Instruction, stack: boolean, anchor: Anchor | undefined, bytes: number, write: boolean): void => {
    if (anchor) accesses.push({ at: planKey(i, stack), anchor, bytes, write });
  };
  for (const i of instructions) {
    if (!i.row) break;
    const { row } = i.row;
    const { family } = row;
    if (row.helper) {
      bases.forget();
      continue;
    }
    const n = family === 'lea' || family === 'nop' || family === 'pop' ? -1 : inMemory(i, row);
    if (n >= 0) {
      const size = row.operands[n]!.size;
      const bits = size === 'v' || size === 'z' ? i.size : size === 'y' ? word * 8 : size;
      if (typeof bits === 'number' && bits <= 64) note(i, false, bases.operand(i), bits / 8, n === 0 && !READERS.has(family));
    }
    const added = step(i, view, mode);
    if (added) bases.adding(added.register, added.by, nothing);
    else if (PUSHES.has(family)) {
      note(i, true, bases.stack(-word), word, true);
      bases.adding(STACK_POINTER, -word, nothing);
    } else if (POPS.has(family)) {
      note(i, true, bases.stack(0), word, false);
      bases.adding(STACK_POINTER, word, () => changed(i));
    } else changed(i);
  }
  return accesses.length < 2 ? NONE : group(accesses, view.getUint32(Control.offsets.vcpus, true) > 1);
}

/** `shared`: by several vCPUs. What was found open for writing should not stay so for long then, but for stacks, where no code is made. */
function group(accesses: readonly Access[], shared: boolean): Map<number, Plan> {
  const plans = new Map<number, Plan>();
  const done = new Set<Access>();
  for (const first of accesses) {
    if (done.has(first)) continue;
    let [from, to, count, write] = [first.anchor.offset, first.anchor.offset + first.bytes, 0, false];
    for (const a of accesses) {
      if (done.has(a) || a.anchor.key !== first.anchor.key) continue;
      if (a.write && shared && a.anchor.base !== STACK_POINTER) continue;
      const [f, t] = [Math.min(from, a.anchor.offset), Math.max(to, a.anchor.offset + a.bytes)];
      if (t - f > WIDEST) continue;
      [from, to, write] = [f, t, write || a.write];
      count++;
      done.add(a);
    }
    if (count > 1) plans.set(first.at, { from: from - first.anchor.offset, to: to - first.anchor.offset, write });
  }
  return plans;
}
