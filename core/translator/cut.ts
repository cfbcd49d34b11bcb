/** From instructions to basic blocks. */
import { successors, type Block, type Instruction } from './region.ts';

type Draft = { -readonly [K in keyof Block]: Block[K] } & { instructions: Instruction[]; branches: Map<Instruction, Block> };

/** Cuts the instructions `at` offsets into blocks: those that are reached from `entry`, which is the first. */
export function cut(at: ReadonlyMap<number, Instruction>, leaders: ReadonlySet<number>, entry: number): Block[] {
  const drafts = new Map<number, Draft>();
  // Where two streams run together in the midst of a block, that is a leader too.
  const reached = new Set<number>();
  const all = new Set(leaders);
  for (const i of at.values()) {
    if (i.end) continue;
    const next = i.offset + i.length;
    if (reached.has(next)) all.add(next);
    reached.add(next);
  }
  for (const offset of all) if (at.has(offset)) drafts.set(offset, straight(at, all, offset));
  for (const draft of drafts.values()) {
    if (draft.next !== undefined) draft.following = drafts.get(draft.next);
    for (const i of draft.instructions) {
      const to = i.target === undefined ? undefined : drafts.get(i.target);
      if (to) draft.branches.set(i, to);
    }
  }
  const blocks = new Set<Block>([drafts.get(entry)!]);
  for (const block of blocks) for (const next of successors(block)) blocks.add(next);
  return [...blocks];
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
