/** What is told of a paravirtualized guest's hypercalls and rings (docs/paravirtualization.md): plain data. */

/** Calls of one hypercall. */
export interface CallCount {
  readonly count: number;
  /** How many of them came in a multicall. */
  readonly batched: number;
  /** Seconds that they took: those that were timed stand for all. */
  readonly seconds: number;
}

/** A histogram with PARA_SIZES places: 1, 2, 3 to 4, 5 to 8, .., the last: more. */
export type Sizes = readonly number[];

/** Of all vCPUs together. */
export interface ParaStatistics {
  /** By name; hypercalls that were not made are absent. */
  readonly calls: Readonly<Record<string, CallCount>>;
  /** Entries that multicalls had, and lists of mmu_update and mmuext_op. */
  readonly multicalls: Sizes;
  readonly updates: Sizes;
  /** Requests that were found in a block ring each time that it was looked at and had some. */
  readonly rings: Sizes;
}

const less = (now: Sizes, before: Sizes): Sizes => now.map((count, i) => count - before[i]!);

/** What came since `before`. Seconds are estimates and may be less than they were: sums over several intervals stay right. */
export function statisticsSince(now: ParaStatistics, before: ParaStatistics): ParaStatistics {
  const calls: Record<string, CallCount> = {};
  for (const [name, { count, batched, seconds }] of Object.entries(now.calls)) {
    const last = before.calls[name] ?? { count: 0, batched: 0, seconds: 0 };
    if (count > last.count) calls[name] = { count: count - last.count, batched: batched - last.batched, seconds: seconds - last.seconds };
  }
  return {
    calls,
    multicalls: less(now.multicalls, before.multicalls),
    updates: less(now.updates, before.updates),
    rings: less(now.rings, before.rings),
  };
}
