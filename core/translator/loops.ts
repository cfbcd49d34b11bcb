/** Which loops of a region's control flow WebAssembly can have as loops. */
import { successors, type Block } from './region.ts';

/** Where the loops are that WebAssembly can have as loops: by header, the last block. Others go through the dispatcher. */
export function findLoops(
  blocks: readonly Block[],
  index: ReadonlyMap<number, number>,
): { loops: Map<number, number>; dispatched: Set<number> } {
  const edges: [number, number][] = [];
  blocks.forEach((block, from) => {
    for (const offset of successors(block)) {
      const to = index.get(offset);
      if (to !== undefined) edges.push([from, to]);
    }
  });
  const loops = new Map<number, number>();
  for (const [from, to] of edges) if (to <= from) loops.set(to, Math.max(from, loops.get(to) ?? 0));
  // Loops lie within each other or apart.
  for (let changed = true; changed;) {
    changed = false;
    for (const [a, lastA] of loops)
      for (const [b, lastB] of loops)
        if (a < b && b <= lastA && lastB > lastA) {
          loops.set(a, lastB);
          changed = true;
        }
  }
  const dispatched = new Set<number>();
  for (let changed = true; changed;) {
    changed = false;
    const entries = [...edges, ...[...dispatched].map((to) => [-1, to] as [number, number])];
    for (const [header, last] of loops)
      if (entries.some(([from, to]) => to > header && to <= last && (from < header || from > last))) {
        loops.delete(header);
        dispatched.add(header);
        changed = true;
      }
  }
  return { loops, dispatched };
}
