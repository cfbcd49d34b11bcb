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
  readonly size: 0 | 16 | 32 | 64;
  readonly memory: boolean;
  /** Offset of a direct branch's target. */
  readonly target: number | undefined;
  /** Nothing follows it. */
  readonly end: boolean;
}

export interface Block {
  readonly offset: number;
  readonly instructions: readonly Instruction[];
  /** Offset of what follows, if the last instruction goes on there. */
  readonly next: number | undefined;
  /** The same as a block, where that is part of the region. */
  readonly following: Block | undefined;
  /** Where branches go within the region. */
  readonly branches: ReadonlyMap<Instruction, Block>;
}

export interface Region {
  readonly entry: number;
  /** CODE_32 or CODE_64. */
  readonly mode: number;
  /** RAM page of the entry. */
  readonly page: number;
  /** The entry is first; every block is reached from it. */
  readonly blocks: readonly Block[];
  readonly instructions: number;
}

/** Number of the page that an offset lies in: the entry's is 0. */
export const pageOf = (offset: number): number => Math.floor(offset / PAGE);

/** Where a block goes on within the region; what should follow it closely comes last. */
export function successors(block: Block): Block[] {
  const targets = [...block.branches.values()].sort((a, b) => b.offset - a.offset);
  return block.following ? [...targets, block.following] : targets;
}
