/** What is translated together: instructions of one mode, cut into basic blocks, with the ways from one to the next. */
import type { NumberedRow } from '../processor/handlers.ts';
import { PAGE } from '../state/index.ts';

export interface Instruction {
  readonly record: number;
  /** Of its first byte, from the beginning of the entry's page: outside of 0..4095 in another page. */
  readonly offset: number;
  readonly length: number;
  readonly position: number;
  /** undefined: the interpreter goes on from here. */
  readonly row: NumberedRow | undefined;
  /** The interpreter does it, and comes back: its handler returns in any case. */
  readonly returns: boolean;
  /** The interpreter's. */
  readonly handler: number;
  /** VMM_*, if it is a call-out: done on the vCPU as the guest believes it to be. */
  readonly callout: number | undefined;
  readonly size: 0 | 16 | 32 | 64;
  readonly memory: boolean;
  /** Its lower 32 bits, where there is one. */
  readonly immediate: number;
  /** Offset of a direct branch's target. */
  readonly target: number | undefined;
  /** Nothing follows it. */
  readonly end: boolean;
}

/** The same instructions may be in several blocks: in a function that is repeated for each of its calls. */
export interface Block {
  readonly offset: number;
  readonly instructions: readonly Instruction[];
  /** Offset of what follows, if the last instruction goes on there. */
  readonly next: number | undefined;
  /** The same as a block, where that is part of the region. */
  readonly following: Block | undefined;
  /** Where branches go within the region: direct ones to one block; others to blocks of different offsets, if they go there, or to a router. */
  readonly branches: ReadonlyMap<Instruction, readonly (Block | Router)[]>;
}

/** Where indirect branches with many targets meet. */
export interface Router {
  readonly targets: readonly Block[];
}

export type Node = Block | Router;

export interface Region {
  readonly entry: number;
  /** CODE_32 or CODE_64. */
  readonly mode: number;
  /** RAM page of the entry. */
  readonly page: number;
  /** RAM pages that the region has code in, by their distance from the entry's page in linear addresses. */
  readonly pages: ReadonlyMap<number, number>;
  /** The entry is first; all blocks and routers are reached from it. */
  readonly blocks: readonly Block[];
  readonly routers: readonly Router[];
  readonly instructions: number;
  /** After so many entries, a power of two, a larger region is asked for; undefined: this is as large as it gets. */
  readonly revisit: number | undefined;
}

/** Distance of the page that an offset lies in from the entry's page, in pages. */
export const pageOf = (offset: number): number => Math.floor(offset / PAGE);

export const isRouter = (node: Node): node is Router => 'targets' in node;

/** Where a block goes on within the region; what should follow it closely comes last. */
export function successors(node: Node): readonly Node[] {
  if (isRouter(node)) return node.targets;
  const { branches, following } = node;
  if (branches.size === 0) return following ? [following] : [];
  const targets = [...branches.values()].flat();
  if (targets.length > 1) targets.sort((a, b) => place(b) - place(a));
  if (following) targets.push(following);
  return targets;
}

const place = (node: Node): number => (isRouter(node) ? Infinity : node.offset);
