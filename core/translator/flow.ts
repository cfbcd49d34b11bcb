/** From a region's blocks to structured control flow. */
import { perform } from '../processor/semantics/perform.ts';
import { i32, type Expr, type Label, type LocalRef } from '../wasm/index.ts';
import { TranslatorEmitter } from './emitter/emitter.ts';
import type { Frame } from './emitter/frame.ts';
import { FLAGS_MEMORY } from './flags.ts';
import { findLoops } from './loops.ts';
import type { Region } from './region.ts';

/** What the emitter is given, but for the ways between blocks. */
export type Machine = Omit<Frame, 'leave' | 'edge'>;

export interface FlowLocals {
  /** i64: where the region is left to. */
  readonly rip: LocalRef;
  /** i32: the dispatcher's selector; at `aside`, the handler. */
  readonly state: LocalRef;
  /** i32: the record that the interpreter goes on with. */
  readonly next: LocalRef;
}

/** Ways out of the region. */
export interface Exits {
  /** To the record in `next`. */
  readonly tail: Label;
  /** To the record in `next`, whose handler in `state` returns. */
  readonly aside: Label;
  /** To the address in `rip`. */
  readonly away: Label;
}

/** Part of a function in which blocks follow each other; a loop is one item of the part around it. */
type Item = { readonly first: number; readonly last: number; readonly loop: boolean };

export function emitFlow(region: Region, view: DataView, machine: Machine, locals: FlowLocals, exits: Exits): void {
  const { f, budget } = machine;
  const { blocks } = region;
  const { rip, state, next } = locals;
  const { tail, aside, away } = exits;
  const index = new Map(blocks.map((b, i) => [b.offset, i]));
  const { loops, dispatched } = findLoops(blocks, index);
  const labels: (Label | undefined)[] = [];
  const loopLabels: (Label | undefined)[] = [];
  let dispatcher: Label | undefined;
  /** The kinds of flags with which a block is entered, as far as emitted. */
  const kinds: Set<number | undefined>[] = blocks.map(() => new Set());
  kinds[0]!.add(FLAGS_MEMORY);
  let current = 0;

  const spend = (executed: number): void => {
    if (executed > 0) f.set(budget, i32.sub(budget, i32.const(executed)));
  };
  const leave = (executed: number, to: Expr): void => {
    f.set(rip, to);
    spend(executed);
    f.br(away);
  };
  const edge = (executed: number, offset: number): void => {
    const to = index.get(offset);
    if (to === undefined) return leave(executed, e.address(offset));
    spend(executed);
    kinds[to]!.add(e.known);
    if (to > current) return f.br(labels[to]!);
    // Back: here the budget is looked at.
    f.if(i32.lt_s(budget, i32.const(0)), () => {
      f.set(rip, e.address(offset));
      f.br(away);
    });
    if (loopLabels[to]) return f.br(loopLabels[to]);
    f.set(state, i32.const([...dispatched].indexOf(to) + 1));
    f.br(dispatcher!);
  };
  const frame: Frame = { ...machine, leave, edge };
  const e = new TranslatorEmitter(frame, view);

  const emitBlock = (i: number, fallsTo: number | undefined): void => {
    const block = blocks[i]!;
    current = i;
    const known = kinds[i]!;
    // A header is entered from code that is not emitted yet.
    e.known = loops.has(i) || dispatched.has(i) || known.size !== 1 ? undefined : [...known][0];
    let executed = 0;
    for (const instruction of block.instructions) {
      const { row } = instruction;
      f.mark(instruction.record);
      if (!row) {
        spend(executed);
        // The handler takes the record's position from the budget, and its own.
        if (instruction.position > 0) f.set(budget, i32.add(budget, i32.const(instruction.position)));
        f.set(next, i32.const(instruction.record));
        // By its number: the record may be this region's own entry.
        if (instruction.returns) f.set(state, i32.const(instruction.handler));
        f.br(instruction.returns ? aside : tail);
        return;
      }
      e.emit(instruction, executed, () => perform(e));
      executed++;
    }
    if (block.next === undefined) return;
    const to = index.get(block.next);
    if (to !== undefined && to === fallsTo) {
      spend(executed);
      kinds[to]!.add(e.known);
    } else edge(executed, block.next);
  };

  /** Blocks first..last, of which `header` is the loop's that is being emitted, if it is one. */
  const emitRange = (first: number, last: number, header: number | undefined): void => {
    const items: Item[] = [];
    for (let i = first; i <= last;) {
      const end = i === header ? undefined : loops.get(i);
      items.push({ first: i, last: end ?? i, loop: end !== undefined });
      i = (end ?? i) + 1;
    }
    const emitItem = (item: Item, following: number | undefined): void => {
      if (!item.loop) return emitBlock(item.first, following);
      f.loop((label) => {
        loopLabels[item.first] = label;
        emitRange(item.first, item.last, item.first);
      });
      loopLabels[item.first] = undefined;
      // Falling out of the end of a loop: its last block says where to by a branch.
      f.unreachable();
    };
    const nest = (n: number): void => {
      const item = items[n]!;
      const following = item.loop ? undefined : items[n + 1]?.first;
      if (n === 0) {
        if (first === 0 && header === undefined && dispatcher) {
          f.block((own) => f.brTable([own, ...[...dispatched].map((i) => labels[i] ?? own)], own, state));
        }
        return emitItem(item, following);
      }
      f.block((label) => {
        labels[item.first] = label;
        nest(n - 1);
      });
      emitItem(item, following);
    };
    nest(items.length - 1);
  };

  if (dispatched.size > 0) {
    f.loop((label) => {
      dispatcher = label;
      emitRange(0, blocks.length - 1, undefined);
    });
    f.unreachable();
  } else emitRange(0, blocks.length - 1, undefined);
}
