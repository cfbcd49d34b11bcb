/** What the technique lab measures: rows are operations, columns are ways to run the guest. Plain data, for the command and the app. */

/** As the guest's `bench` calls them (core/guest/src/bench.c). */
export const BENCHMARKS = [
  'syscall', 'in', 'cr8wr', 'callret', 'pgfault', 'divzero', 'ptemod', 'ptemods', 'fork', 'blkread', 'blkreads',
] as const; // prettier-ignore
export type Benchmark = (typeof BENCHMARKS)[number];

/** `traps`: full virtualization without adaptive translation. `para-single`: paravirtualization without batching and asynchrony. */
export const COLUMNS = ['bare', 'trap-and-emulate', 'traps', 'full', 'para-single', 'para-batched'] as const;
export type ColumnName = (typeof COLUMNS)[number];

/** Of one operation. */
export interface Cost {
  /** How many were done in the measurement that counts. */
  readonly operations: number;
  /** Of the guest's TSC. */
  readonly cycles: number;
  /** Of this host's clock, while the vCPU had a pCPU. */
  readonly nanoseconds: number;
  /** By reason; of a para guest hypercalls by their names. What is there without the operation (timer, console) is taken off. */
  readonly exits: Readonly<Record<string, number>>;
  /** Hypercalls that came as entries of a multicall, by name: no exits of their own. Absent: none. */
  readonly batched?: Readonly<Record<string, number>>;
  /** Instructions of these classes. */
  readonly privileged: number;
  readonly sensitive: number;
}

/** The technique's guest has no such operation. */
export const NO_OPERATION = 'no-operation';
/** null: not measured, or not yet. */
export type Entry = Cost | typeof NO_OPERATION | null;

export const costOf = (entry: Entry): Cost | null => (entry === NO_OPERATION ? null : entry);

/** Why a column is empty: the guest's processor shut down, the VM crashed, or the guest did not answer in time. */
export type Failure = 'triple-fault' | 'crash' | 'silent';

export interface Column {
  readonly name: ColumnName;
  readonly failure?: Failure;
}

/** Cycles on the paper's 3.8 GHz Pentium 4 672; absent: not known for certain. */
export interface Paper {
  readonly native?: number;
  /** VMware's VMM with binary translation. */
  readonly software?: number;
  /** Its VMM on VT-x. */
  readonly hardware?: number;
}

export interface Row {
  readonly benchmark: Benchmark;
  readonly paper: Paper;
  /** One for each column. */
  readonly costs: readonly Entry[];
}

export interface LabTable {
  /** ISO 8601: when it was begun. */
  readonly began: string;
  /** The host's processor. */
  readonly cpu: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  /** What batching and asynchrony bring, as far as both sides are measured. */
  readonly ratios: readonly Ratio[];
}

/**
 * `batching`: page-table work by single calls against multicalls (ptemods). `ring`: block reads one at a time against many in a shared ring (blkread,
 * blkreads).
 */
export interface Ratio {
  readonly name: 'batching' | 'ring';
  /** Cycles of the first for one of the second. */
  readonly times: number;
  /** Exits per operation of each. */
  readonly exits: readonly [number, number];
}

/** What the app shows. */
export interface LabState {
  readonly running: boolean;
  /** Measurements done, and how many there are; while it runs. */
  readonly progress?: { readonly done: number; readonly all: number };
  /** As far as it is filled in; absent: never run. */
  readonly table?: LabTable;
  /** Why the last run broke off: one sentence. */
  readonly error?: string;
}

/**
 * K. Adams, O. Agesen: A comparison of software and hardware techniques for x86 virtualization, ASPLOS 2006, section 6.3, as its text states
 * them. What the text gives as a factor or a difference only is left out: a system call costs the software VMM about 2,000 cycles more than
 * native and the hardware VMM nothing, IN in the software VMM a fifteenth of native, a native CR8 write about four times the software VMM's.
 */
export const PAPER: Readonly<Record<Benchmark, Paper>> = {
  syscall: {},
  in: { native: 3209, hardware: 15_826 },
  cr8wr: { software: 35 },
  callret: { native: 11, software: 51, hardware: 11 },
  pgfault: { native: 1093, software: 3927, hardware: 11_242 },
  divzero: { native: 889, software: 3223, hardware: 1014 },
  ptemod: { native: 1, software: 391, hardware: 12_733 },
  ptemods: {},
  fork: {},
  blkread: {},
  blkreads: {},
};

export const emptyTable = (cpu: string, columns: readonly ColumnName[] = COLUMNS): LabTable => ({
  began: new Date().toISOString(),
  cpu,
  columns: columns.map((name) => ({ name })),
  rows: BENCHMARKS.map((benchmark) => ({ benchmark, paper: PAPER[benchmark], costs: columns.map(() => null) })),
  ratios: [],
});

const COMPARED: readonly (readonly [Ratio['name'], ...(readonly [Benchmark, ColumnName])[]])[] = [
  ['batching', ['ptemods', 'para-single'], ['ptemods', 'para-batched']],
  ['ring', ['blkread', 'para-batched'], ['blkreads', 'para-batched']],
];

export function ratiosOf({ columns, rows }: Pick<LabTable, 'columns' | 'rows'>): Ratio[] {
  return COMPARED.flatMap(([name, ...sides]) => {
    const [first, second] = sides.map(([benchmark, column]) => {
      const at = columns.findIndex((one) => one.name === column);
      return costOf(rows.find((row) => row.benchmark === benchmark)?.costs[at] ?? null);
    });
    if (!first || !second || second.cycles === 0) return [];
    return [{ name, times: first.cycles / second.cycles, exits: [exitsOf(first), exitsOf(second)] }];
  });
}

/** All exits of an operation. */
export const exitsOf = (cost: Cost): number => Object.values(cost.exits).reduce((all, n) => all + n, 0);
