/**
 * What a region's instructions do to the flags' kind, told before they are emitted: what is known where a loop begins again, and flags that nobody
 * will ever see. What is not known here is unknown; it is never wrong.
 */
import type { Width } from '../processor/semantics/widths.ts';
import { EFFECTS, X87_INTEGER } from './effects.ts';
import {
  either, FLAGS_ADD, FLAGS_LOGIC, FLAGS_RAW, FLAGS_SUB, kindOf, OVER_CARRY, OVER_DEC, OVER_INC, OVER_NONE, OVER_OVERFLOW, overOf, replaces, UNKNOWN,
  type Known,
} from './flags.ts'; // prettier-ignore
import { isRouter, type Block, type Instruction, type Node } from './region.ts';

/** Where a region is entered: as another left them, and nothing over that. */
export const AT_ENTRY: Known = { base: undefined, over: OVER_NONE };

const SETTERS: Record<string, number> = {
  add: FLAGS_ADD, xadd: FLAGS_ADD, sub: FLAGS_SUB, cmp: FLAGS_SUB, neg: FLAGS_SUB, cmpxchg: FLAGS_SUB,
  and: FLAGS_LOGIC, or: FLAGS_LOGIC, xor: FLAGS_LOGIC, test: FLAGS_LOGIC,
  adc: FLAGS_RAW, sbb: FLAGS_RAW, imul: FLAGS_RAW, imul1: FLAGS_RAW, mul: FLAGS_RAW, popcnt: FLAGS_RAW, bsf: FLAGS_RAW, bsr: FLAGS_RAW,
  shl: FLAGS_RAW, shr: FLAGS_RAW, sar: FLAGS_RAW, shld: FLAGS_RAW, shrd: FLAGS_RAW,
}; // prettier-ignore
const CHANGES: Record<string, number> = {
  inc: OVER_INC, dec: OVER_DEC, rol: OVER_OVERFLOW, ror: OVER_OVERFLOW, bt: OVER_CARRY, bts: OVER_CARRY, btr: OVER_CARRY, btc: OVER_CARRY,
  clc: OVER_CARRY, stc: OVER_CARRY,
}; // prettier-ignore
const SHIFTS = new Set(['shl', 'shr', 'sar', 'rol', 'ror', 'shld', 'shrd']);
/** They look at flags. */
const READERS = new Set(['jcc', 'setcc', 'cmovcc', 'adc', 'sbb']);
/** Nothing to do with flags, and nothing that could fault where no operand is in memory. */
const NEUTRAL = new Set(['mov', 'movzx', 'movsx', 'lea', 'not', 'xchg', 'bswap', 'nop', 'cbw', 'cwd']);
/** Nothing to do with flags either. */
const INDIFFERENT = new Set(['push', 'pop', 'push_imm', 'call', 'call_rm', 'ret', 'leave', 'jmp', 'jmp_rm', 'movbe', 'xlat', 'cld', 'std']);
const SIMD_FLAGS = /^(u?comis[sd]|ptest|pcmp[ei]str)/;

/** The count is known, and not 0, which changes nothing. */
function countKnown(i: Instruction): boolean {
  const { operands } = i.row!.row;
  const { kind } = operands[operands.length - 1]!;
  return kind === 'one' || (kind === 'imm' && (i.immediate & (i.size === 64 ? 63 : 31)) !== 0);
}

function widthOf(i: Instruction): Width | undefined {
  const size = i.row!.row.operands[0]?.size;
  if (typeof size === 'number') return size <= 64 ? (size as Width) : undefined;
  return size === 'v' && i.size !== 0 ? i.size : undefined;
}

/** What is known after an instruction. */
function after(i: Instruction, known: Known): Known {
  if (!i.row) return UNKNOWN;
  const { row } = i.row;
  const { family } = row;
  if (row.helper) {
    const kept = EFFECTS.get(row.helper)?.flags === false || (row.unit === 'x87' && !X87_INTEGER.test(row.helper));
    return kept ? known : UNKNOWN;
  }
  if (NEUTRAL.has(family) || INDIFFERENT.has(family)) return known;
  if (row.unit === 'simd' && !SIMD_FLAGS.test(family)) return known;
  if (READERS.has(family) && (known.base === undefined || known.over === undefined)) known = UNKNOWN;
  if (family === 'jcc' || family === 'setcc' || family === 'cmovcc') return known;
  if (SHIFTS.has(family) && !countKnown(i)) return UNKNOWN;
  const base = SETTERS[family];
  const width = widthOf(i);
  if (base !== undefined) {
    if (base < FLAGS_ADD) return { base, over: OVER_NONE };
    return width ? { base: kindOf(base, width), over: OVER_NONE } : UNKNOWN;
  }
  const change = CHANGES[family];
  if (change === undefined || known.over === undefined || !replaces(change, known.over)) return UNKNOWN;
  if (change < OVER_INC) return { base: known.base, over: change };
  return width ? { base: known.base, over: overOf(change, width) } : UNKNOWN;
}

/** Whether flags that instruction `n` leaves are replaced before an instruction, a fault or a way out of the block could make use of them. */
function isUnseen(block: Block, n: number): boolean {
  const { instructions } = block;
  const setter = instructions[n]!.row?.row;
  if (!setter || setter.helper || !(setter.family in SETTERS || setter.family in CHANGES)) return false;
  for (let k = n + 1; k < instructions.length; k++) {
    const i = instructions[k]!;
    const row = i.row?.row;
    if (!row || row.helper || READERS.has(row.family)) return false;
    if (row.family === 'lea' || (NEUTRAL.has(row.family) && !i.memory && !touchesMemory(i))) continue;
    if (i.memory) return false;
    if (row.family in CHANGES || (SHIFTS.has(row.family) && !countKnown(i))) continue;
    return row.family in SETTERS;
  }
  return false;
}

/** Operands that are in memory without a ModRM byte. */
const touchesMemory = (i: Instruction): boolean =>
  i.row!.row.operands.some((o) => o.kind === 'moffs' || o.kind === 'mptr' || o.kind === 'm');

export interface Foretold {
  /** What is known where each node begins. */
  readonly known: readonly Known[];
  /** By node and instruction: nobody will see the flags that it leaves. */
  readonly unseen: readonly (readonly boolean[])[];
}

export function foretell(nodes: readonly Node[]): Foretold {
  const unseen = nodes.map((node) => (isRouter(node) ? [] : node.instructions.map((_, k) => isUnseen(node, k))));
  const index = new Map(nodes.map((node, n) => [node, n]));
  const found: (Known | undefined)[] = nodes.map(() => undefined);
  const open = [0];
  found[0] = AT_ENTRY;
  const reach = (node: Node, state: Known): void => {
    const n = index.get(node)!;
    const before = found[n];
    const merged = before ? either(before, state) : state;
    if (before === merged) return;
    found[n] = merged;
    open.push(n);
  };
  for (let n = open.pop(); n !== undefined; n = open.pop()) {
    const node = nodes[n]!;
    let state = found[n]!;
    if (isRouter(node)) {
      for (const target of node.targets) reach(target, state);
      continue;
    }
    node.instructions.forEach((i, k) => {
      if (!unseen[n]![k]) state = after(i, state);
      for (const target of node.branches.get(i) ?? []) reach(target, state);
    });
    if (node.following) reach(node.following, state);
  }
  return { known: found.map((state) => state ?? UNKNOWN), unseen };
}
