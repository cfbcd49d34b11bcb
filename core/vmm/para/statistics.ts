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
  /** Entries that multicalls had, and lists of mmu_update. */
  readonly multicalls: Sizes;
  readonly updates: Sizes;
  /** Requests that were found in a block ring each time that it was looked at and had some. */
  readonly rings: Sizes;
}
