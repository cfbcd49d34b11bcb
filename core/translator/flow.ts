/** From a region's blocks to structured control flow. */
import { perform } from '../processor/semantics/perform.ts';
import { i32, i64, type Expr, type Label, type LocalRef } from '../wasm/index.ts';
import { Crossings } from './crossing.ts';
import { TranslatorEmitter } from './emitter/emitter.ts';
import type { Frame } from './emitter/frame.ts';
import { covers, either, type Known } from './flags.ts';
import { AT_ENTRY, foretell } from './flagflow.ts';
import { isRouter, successors, type Instruction, type Node, type Region, type Router } from './region.ts';
import { perfectHash } from './router.ts';
import { arrange, type Loop, type Part } from './structure.ts';

/** What the emitter is given, but for the ways between blocks. */
export type Machine = Omit<Frame, 'leave' | 'edge' | 'targets' | 'jump'>;

export interface FlowLocals {
  /** i64: where the region is left to. */
  readonly rip: LocalRef;
  /** i32: the dispatcher's selector; at `aside` and `tail`, the handler. */
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
  const { f, budget, ripBase } = machine;
  const { rip, state, next } = locals;
  const { tail, aside, away } = exits;
  const nodes: readonly Node[] = [...region.blocks, ...region.routers];
  const index = new Map(nodes.map((n, i) => [n, i]));
  const crossings = new Crossings(region, nodes);
  /** Where later parts begin. */
  const labels: Label[] = [];
  /** Loops that are open, by their headers: where they begin again, and the header's number if there are several. */
  const open = new Map<number, { label: Label; number: number | undefined }>();
  /** Headers of loops with several, by which they are entered. */
  const numbers = new Map<number, number>();
  /** What is known of flags where a node begins: told beforehand where a loop begins again, elsewhere as those ways leave them that lead there. */
  const foretold = foretell(nodes);
  const entered: (Known | undefined)[] = nodes.map(() => undefined);
  entered[0] = AT_ENTRY;
  let current: Node;
  let instruction: Instruction | undefined;

  /** Within a block the budget is that with which the decoded block was begun: records have their position in that. */
  const positionOf = (node: Node): number => (isRouter(node) ? 0 : (node.instructions[0]?.position ?? 0));
  const spend = (executed: number): void => {
    const spent = executed + positionOf(current);
    if (spent > 0) f.set(budget, i32.sub(budget, i32.const(spent)));
  };
  const leaveTo = (to: Expr): void => {
    f.set(rip, to);
    f.br(away);
  };
  const leave = (executed: number, to: Expr): void => {
    spend(executed);
    leaveTo(to);
  };
  /** Goes on with a node, which comes next anyway or is branched to. For a router `rip` is set. */
  const go = (executed: number, to: Node, comesNext: boolean): void => {
    const n = index.get(to)!;
    const leaveHere = (): void => (isRouter(to) ? f.br(away) : leaveTo(e.address(to.offset)));
    spend(executed);
    const back = open.get(n);
    if (back && !covers(foretold.known[n]!, e.known)) throw new Error('flags are not as foretold where a loop begins again');
    // Every way around passes here: the budget is looked at.
    if (back) f.ifRarely(i32.lt_s(budget, i32.const(0)), leaveHere);
    crossings.emit(machine, (offset) => e.address(offset), current, to, leaveHere);
    if (back) {
      if (back.number !== undefined) f.set(state, i32.const(back.number));
      return f.br(back.label);
    }
    const before = entered[n];
    entered[n] = before ? either(before, e.known) : e.known;
    const number = numbers.get(n);
    if (number !== undefined) f.set(state, i32.const(number));
    if (!comesNext) f.br(labels[n]!);
  };
  const ways = (): readonly Node[] => (isRouter(current) ? [] : (current.branches.get(instruction!) ?? []));
  const frame: Frame = {
    ...machine,
    leave,
    edge(executed, offset) {
      const to = ways().find((n) => !isRouter(n) && n.offset === offset);
      if (to) go(executed, to, false);
      else leave(executed, e.address(offset));
    },
    targets: () => ways().flatMap((n) => (isRouter(n) ? [] : [n.offset])),
    jump(executed, to) {
      const router = ways().find(isRouter);
      if (!router) return leave(executed, to);
      f.set(rip, to);
      go(executed, router, false);
    },
  };
  const e = new TranslatorEmitter(frame, view);

  /** Goes on with the one of many blocks that `rip` is the address of. */
  const emitRouter = ({ targets }: Router): void => {
    const offsets = targets.map((t) => t.offset);
    const { factor, shift, table } = perfectHash(offsets);
    f.scope(() => {
      const distance = f.let(i64.sub(rip, ripBase));
      const hash = i32.shr_u(i32.mul(i32.wrap(distance), i32.const(factor)), i32.const(shift));
      const nest = (n: number, found: readonly Label[]): void => {
        if (n < targets.length) {
          f.block((label) => nest(n + 1, [...found, label]));
          f.brIf(away, i64.ne(distance, i64.const(offsets[n]!)));
          go(0, targets[n]!, false);
        } else {
          const list = table.map((i) => found[Math.max(i, 0)]!);
          f.brTable(list, list[0]!, hash);
        }
      };
      nest(0, []);
    });
  };

  const emitNode = (n: number, follower: number | undefined): void => {
    const node = nodes[n]!;
    current = node;
    // A way that leads here may not have been emitted: its condition was known never to hold.
    e.known = entered[n] ?? foretold.known[n]!;
    if (isRouter(node)) return emitRouter(node);
    let executed = 0;
    if (positionOf(node) > 0) f.set(budget, i32.add(budget, i32.const(positionOf(node))));
    const further = node.following && index.get(node.following);
    const last = node.instructions[node.instructions.length - 1];
    e.begin(node.instructions);
    for (const [k, i] of node.instructions.entries()) {
      instruction = i;
      e.dead = foretold.unseen[n]![k]!;
      e.closing = i === last && !(further !== undefined && further > n);
      const { row } = i;
      f.mark(i.record);
      if (!row) {
        f.set(next, i32.const(i.record));
        // By its number: the record may be this region's own entry.
        f.set(state, i32.const(i.handler));
        f.br(i.returns ? aside : tail);
        return;
      }
      e.emit(i, executed, () => perform(e));
      executed++;
    }
    if (node.following) go(executed, node.following, index.get(node.following) === follower);
    else if (node.next !== undefined) leave(executed, e.address(node.next));
  };

  const emitLoop = ({ headers, parts }: Loop): void => {
    for (const n of headers) {
      numbers.delete(n);
      // What comes around is not emitted yet.
      entered[n] = foretold.known[n]!;
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
      emitNode(part, typeof after === 'object' ? after.headers[0] : after);
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
  emitParts(arrange(nodes.map((n) => successors(n).map((to) => index.get(to)!))));
}
