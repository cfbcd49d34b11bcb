/** Structured control flow: whatever the graph, walking the parts as WebAssembly would goes where the graph goes. */
import { describe, expect, it } from 'vitest';
import { arrange, type Loop, type Part } from './structure.ts';
import { numbers } from './testing.ts';

/** Checks that every way of a graph is one that WebAssembly can branch: to a later part around it, or back to a header of a loop around it. */
function check(graph: readonly (readonly number[])[]): { loops: number; largest: number } {
  const parts = arrange(graph);
  const seen = new Set<number>();
  let loops = 0;
  let largest = 0;
  const visit = (list: readonly Part[], ahead: ReadonlySet<number>, back: ReadonlySet<number>): void => {
    list.forEach((part, i) => {
      const later = new Set(ahead);
      for (const p of list.slice(i + 1)) for (const n of typeof p === 'number' ? [p] : p.headers) later.add(n);
      if (typeof part === 'number') {
        expect(seen.has(part)).toBe(false);
        seen.add(part);
        for (const to of graph[part]!) expect(later.has(to) || back.has(to), `${part} -> ${to} of ${JSON.stringify(graph)}`).toBe(true);
        return;
      }
      const { headers } = part satisfies Loop;
      loops++;
      largest = Math.max(largest, headers.length);
      if (headers.length === 1) expect(part.parts[0]).toBe(headers[0]);
      // By number, each header is chosen among the parts.
      for (const h of headers) expect(part.parts.includes(h)).toBe(true);
      if (headers.includes(0)) expect(headers[0]).toBe(0);
      visit(part.parts, later, new Set([...back, ...headers]));
    });
  };
  visit(parts, new Set(), new Set());
  expect(seen.size).toBe(graph.length);
  return { loops, largest };
}

describe('arrange', () => {
  it('leaves a line of blocks as it is', () => {
    expect(arrange([[1], [2], []])).toEqual([0, 1, 2]);
  });

  it('makes a loop of a cycle with one entry, and loops within loops', () => {
    expect(arrange([[1], [2], [1, 3], []])).toEqual([0, { headers: [1], parts: [1, 2] }, 3]);
    expect(arrange([[1], [2], [2, 3], [1, 4], []])).toEqual([0, { headers: [1], parts: [1, { headers: [2], parts: [2] }, 3] }, 4]);
  });

  it('makes a loop with several headers of a cycle that is entered in the middle', () => {
    expect(check([[1, 2], [2], [1]])).toEqual({ loops: 1, largest: 2 });
    expect(check([[1], [0, 2], [1]])).toEqual({ loops: 2, largest: 1 });
  });

  it('keeps apart what only stands between: a way past a loop is no entry into it', () => {
    expect(check([[1, 3], [2], [1, 3], [4], []])).toEqual({ loops: 1, largest: 1 });
  });

  it('has a place for every way of random graphs', () => {
    const random = numbers(7);
    for (let round = 0; round < 2000; round++) {
      const n = 1 + random(14);
      const graph = Array.from({ length: n }, (_, i) => {
        const to = new Set(Array.from({ length: random(4) }, () => random(n)));
        // All are reached from the first.
        if (i + 1 < n) to.add(i + 1);
        return [...to];
      });
      check(graph);
    }
  });
});
