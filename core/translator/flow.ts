/** From a region's blocks to structured control flow. */
import { perform } from '../processor/semantics/perform.ts';
import { i32, type Expr, type Label, type LocalRef } from '../wasm/index.ts';
import { TranslatorEmitter } from './emitter/emitter.ts';
import type { Frame } from './emitter/frame.ts';
import { successors, type Block, type Instruction, type Region } from './region.ts';
import { arrange, type Loop, type Part } from './structure.ts';

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

/** Emits the blocks of a region, with branches between them where they know of each other. */
export function emitFlow(region: Region, view: DataView, machine: Machine, locals: FlowLocals, exits: Exits): void {
  const { f, budget } = machine;
  const { blocks } = region;
  const { rip, state, next } = locals;
  const { tail, aside, away } = exits;
  const index = new Map(blocks.map((b, i) => [b, i]));
  /** Where later parts begin. */
  const labels: Label[] = [];
  /** Loops that are open, by their headers: where they begin again, and the header's number if there are several. */
  const open = new Map<number, { label: Label; number: number | undefined }>();
  /** Headers of loops with several, by which they are entered. */
  const numbers = new Map<number, number>();
  /** The kinds of flags with which a block is entered, as far as emitted; undefined in it: any. */
  const kinds: Set<number | undefined>[] = blocks.map(() => new Set());
  // Where the region is entered they are in the vCPU's state, but perhaps as another region left them.
  kinds[0]!.add(undefined);
  let block: Block;
  let instruction: Instruction;

  const spend = (executed: number): void => {
    if (executed > 0) f.set(budget, i32.sub(budget, i32.const(executed)));
  };
  const leave = (executed: number, to: Expr): void => {
    f.set(rip, to);
    spend(executed);
    f.br(away);
  };
  /** Goes on with a block, which comes `next` anyway or is branched to. */
  const go = (executed: number, to: Block, comesNext: boolean): void => {
    const n = index.get(to)!;
    spend(executed);
    const back = open.get(n);
    if (back) {
      // Every way around passes here: the budget is looked at.
      f.ifRarely(i32.lt_s(budget, i32.const(0)), () => {
        f.set(rip, e.address(to.offset));
        f.br(away);
      });
      if (back.number !== undefined) f.set(state, i32.const(back.number));
      return f.br(back.label);
    }
    kinds[n]!.add(e.known);
    const number = numbers.get(n);
    if (number !== undefined) f.set(state, i32.const(number));
    if (!comesNext) f.br(labels[n]!);
  };
  const edge = (executed: number, offset: number): void => {
    const to = block.branches.get(instruction);
    if (to) go(executed, to, false);
    else leave(executed, e.address(offset));
  };
  const frame: Frame = { ...machine, leave, edge };
  const e = new TranslatorEmitter(frame, view);

  const emitBlock = (n: number, follower: number | undefined): void => {
    block = blocks[n]!;
    const known = kinds[n]!;
    e.known = known.size === 1 ? [...known][0] : undefined;
    let executed = 0;
    for (instruction of block.instructions) {
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
    if (block.following) go(executed, block.following, index.get(block.following) === follower);
    else if (block.next !== undefined) leave(executed, e.address(block.next));
  };

  const emitLoop = ({ headers, parts }: Loop): void => {
    for (const n of headers) {
      numbers.delete(n);
      // What comes around is not emitted yet.
      kinds[n]!.add(undefined);
    }
    f.loop((label) => {
      const several = headers.length > 1;
      headers.forEach((n, i) => open.set(n, { label, number: several ? i : undefined }));
      emitParts(parts, several ? headers : undefined);
      for (const n of headers) open.delete(n);
    });
    // Nothing falls out of the end of a loop.
    f.unreachable();
  };

  /** `headers`: of the loop that has these parts, if one of several is to be chosen by `state`. */
  const emitParts = (parts: readonly Part[], headers?: readonly number[]): void => {
    const emitPart = (n: number): void => {
      const part = parts[n]!;
      const after = parts[n + 1];
      if (typeof part !== 'number') return emitLoop(part);
      emitBlock(part, typeof after === 'object' ? after.headers[0] : after);
    };
    const nest = (n: number): void => {
      if (n < 0) {
        const targets = headers!.map((h) => labels[h]!);
        return f.brTable(targets, targets[0]!, state);
      }
      if (n === 0 && !headers) return emitPart(0);
      const part = parts[n]!;
      f.block((label) => {
        if (typeof part === 'number') labels[part] = label;
        else
          part.headers.forEach((h, i) => {
            labels[h] = label;
            if (part.headers.length > 1) numbers.set(h, i);
          });
        nest(n - 1);
      });
      emitPart(n);
    };
    nest(parts.length - 1);
  };
  emitParts(arrange(blocks.map((b) => successors(b).map((to) => index.get(to)!))));
}
