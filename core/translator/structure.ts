/**
 * Structured control flow: from blocks and the ways between them to the blocks, loops and branches that WebAssembly has. Any graph can be had; what
 * has no single entry becomes a loop that is entered by number.
 */

/** A block by number, or a loop; parts that follow each other are left only to later ones, or to the headers of loops around them. */
export type Part = number | Loop;

export interface Loop {
  /** Blocks by which it is entered, and to which it goes back; if there are several, their position in this list says which one is meant. */
  readonly headers: readonly number[];
  /** With a single header, that comes first. */
  readonly parts: readonly Part[];
}

/**
 * `successors`: of each block, those that should follow it closely last. All blocks are reached from block 0. If block 0 heads a loop with several
 * headers, it is the first of them.
 */
export function arrange(successors: readonly (readonly number[])[]): Part[] {
  const predecessors: number[][] = successors.map(() => []);
  successors.forEach((to, from) => to.forEach((n) => predecessors[n]!.push(from)));

  /** Blocks `members`, of which `entries` are entered from elsewhere; branches to `headers` do not count. */
  const level = (members: ReadonlySet<number>, entries: readonly number[], headers: ReadonlySet<number>): Part[] =>
    components(successors, members, entries, headers).map((component) => {
      const [only] = component;
      const self = successors[only!]!.includes(only!) && !headers.has(only!);
      if (component.length === 1 && !self) return only!;
      const inside = new Set(component);
      const entered = component.filter((n) => n === 0 || predecessors[n]!.some((p) => !inside.has(p))).sort((a, b) => a - b);
      return { headers: entered, parts: level(inside, entered, new Set(entered)) };
    });
  return level(new Set(successors.keys()), [0], new Set());
}

/** Strongly connected components in topological order (Tarjan's algorithm). */
function components(
  successors: readonly (readonly number[])[],
  members: ReadonlySet<number>,
  entries: readonly number[],
  ignored: ReadonlySet<number>,
): number[][] {
  const order = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const waiting = new Set<number>();
  const found: number[][] = [];
  const visit = (n: number): void => {
    const own = order.size;
    order.set(n, own);
    low.set(n, own);
    stack.push(n);
    waiting.add(n);
    for (const s of successors[n]!) {
      if (!members.has(s) || ignored.has(s)) continue;
      if (!order.has(s)) {
        visit(s);
        low.set(n, Math.min(low.get(n)!, low.get(s)!));
      } else if (waiting.has(s)) low.set(n, Math.min(low.get(n)!, order.get(s)!));
    }
    if (low.get(n) !== own) return;
    const component: number[] = [];
    for (let m = -1; m !== n;) {
      m = stack.pop()!;
      waiting.delete(m);
      component.push(m);
    }
    found.push(component);
  };
  for (const n of entries) if (!order.has(n)) visit(n);
  return found.reverse();
}
