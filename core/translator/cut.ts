/** From instructions to basic blocks, and from these to a graph. */
import type { Context, Place } from './finder.ts';
import { isRouter, successors, type Block, type Instruction, type Node, type Router } from './region.ts';

type Draft = { -readonly [K in keyof Block]: Block[K] } & { instructions: Instruction[]; branches: Map<Instruction, readonly Node[]> };
type Drafts = Map<number, Draft>;

/** Indirect branches with more targets than this go by a router. */
export const COMPARED = 4;

const NOWHERE: readonly Place[] = [];

/**
 * Cuts the instructions of contexts into blocks: those that are reached from the first's entry, which comes first. `returns`: for functions of the
 * first context, where they may return to.
 */
export function link(
  contexts: readonly Context[],
  returns: ReadonlyMap<number, readonly Place[]>,
): { readonly blocks: readonly Block[]; readonly routers: readonly Router[] } {
  const top = contexts[0]!;
  const all = new Map<Context, Drafts>(contexts.map((context) => [context, cut(context)]));
  const at = (place: Place): Draft | undefined => all.get(place.context)?.get(place.offset);
  const returning = returnsOf(all.get(top)!, top, returns);
  const routers = new Map<string, Router>();
  const numbers = new Map<Draft, number>();
  const number = (d: Draft): number => numbers.get(d) ?? (numbers.set(d, numbers.size), numbers.get(d)!);

  /** Where an instruction branches to. */
  const ways = (context: Context, i: Instruction): Draft[] => {
    const known = context.ways.get(i) ?? NOWHERE;
    const returns = i.row?.row.family === 'ret';
    const more = !returns ? NOWHERE : context.parent ? [{ context: context.parent, offset: context.after }] : (returning.get(i) ?? NOWHERE);
    if (known.length + more.length === 0) return [];
    const drafts = [...known, ...more].map(at).filter((d) => d !== undefined);
    // The same address with another context is the same to a comparison.
    return drafts.filter((d, n) => drafts.findIndex((other) => other.offset === d.offset) === n);
  };
  for (const [context, drafts] of all)
    for (const draft of drafts.values()) {
      if (draft.next !== undefined) draft.following = drafts.get(draft.next);
      for (const i of draft.instructions) {
        const to = ways(context, i);
        if (to.length === 0) continue;
        if (to.length <= COMPARED) {
          draft.branches.set(i, to);
          continue;
        }
        const key = to.map(number).sort((a, b) => a - b).join(); // prettier-ignore
        const router = routers.get(key) ?? { targets: to };
        routers.set(key, router);
        draft.branches.set(i, [router]);
      }
    }
  const reached = new Set<Node>([all.get(top)!.get(top.entry)!]);
  for (const node of reached) for (const next of successors(node)) reached.add(next);
  return { blocks: [...reached].filter((n) => !isRouter(n)) as Block[], routers: [...reached].filter(isRouter) };
}

function cut({ at, leaders }: Context): Drafts {
  const drafts: Drafts = new Map();
  // Where two streams run together in the midst of a block, that is a leader too; as is where one decoded block ends and another begins.
  const reached = new Set<number>();
  const all = new Set(leaders);
  for (const i of at.values()) {
    if (i.end) continue;
    const next = i.offset + i.length;
    if (reached.has(next) || at.get(next)?.position !== i.position + 1) all.add(next);
    reached.add(next);
  }
  for (const offset of all) if (at.has(offset)) drafts.set(offset, straight(at, all, offset));
  return drafts;
}

/** The block that begins at an offset and ends before the next leader, at the latest. */
function straight(at: ReadonlyMap<number, Instruction>, leaders: ReadonlySet<number>, offset: number): Draft {
  const block: Draft = { offset, instructions: [], next: undefined, following: undefined, branches: new Map() };
  for (let o = offset; ;) {
    const i = at.get(o);
    if (i) block.instructions.push(i);
    if (i?.end) return block;
    o += i?.length ?? 0;
    if (!i || leaders.has(o)) {
      block.next = o;
      return block;
    }
  }
}

/** Where the returns of the first context may go: to where the functions were called from that they are reached in. */
function returnsOf(drafts: Drafts, top: Context, returns: ReadonlyMap<number, readonly Place[]>): Map<Instruction, Place[]> {
  const found = new Map<Instruction, Place[]>();
  for (const [entry, places] of returns) {
    const seen = new Set<number>([entry]);
    for (const offset of seen) {
      const draft = drafts.get(offset);
      if (!draft) continue;
      if (draft.next !== undefined) seen.add(draft.next);
      for (const i of draft.instructions) {
        const family = i.row?.row.family;
        if (family === 'ret') found.set(i, [...(found.get(i) ?? []), ...places]);
        else if (family === 'call' || family === 'call_rm') seen.add(i.offset + i.length);
        else for (const way of top.ways.get(i) ?? []) seen.add(way.offset);
      }
    }
  }
  return found;
}
