/** A lab of pretence: invented costs, one after the other. */
import type { Benchmark, Cost, LabState, LabTable } from '../../electron/ipc.ts';

const NAMES: readonly Benchmark[] = [
  'syscall',
  'in',
  'cr8wr',
  'callret',
  'pgfault',
  'divzero',
  'ptemod',
  'ptemods',
  'fork',
  'blkread',
  'blkreads',
];

const cost = (cycles: number, exits: Cost['exits']): Cost => ({
  operations: 1000,
  cycles,
  nanoseconds: cycles,
  exits,
  privileged: 1,
  sensitive: 0,
});

export class MockLab {
  state: LabState = { running: false };
  readonly #tell: (state: LabState) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (state: LabState) => void) {
    this.#tell = tell;
  }

  start(): void {
    if (this.state.running) throw { message: 'The lab is running already.' };
    const table: LabTable = {
      began: new Date().toISOString(),
      cpu: 'Example CPU @ 2.80GHz',
      columns: [
        { name: 'bare' },
        { name: 'trap-and-emulate', failure: 'triple-fault' },
        { name: 'traps' },
        { name: 'full' },
        { name: 'para-single' },
        { name: 'para-batched' },
      ],
      rows: NAMES.map((benchmark) => ({
        benchmark,
        paper: benchmark === 'callret' ? { native: 11, software: 51, hardware: 11 } : {},
        costs: [null, null, null, null, null, null],
      })),
      ratios: [],
    };
    this.#step(table, 0);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#change({ ...this.state, running: false });
  }

  #step(table: LabTable, done: number): void {
    const ratios = [{ name: 'batching', times: 3.2, exits: [128, 4] }] as const;
    this.#change(
      done < NAMES.length
        ? { running: true, progress: { done, all: NAMES.length }, table }
        : { running: false, table: { ...table, ratios } },
    );
    if (done === NAMES.length) return;
    const devices = NAMES[done] === 'in' || NAMES[done] === 'cr8wr';
    const costs = [
      cost(200, {}),
      null,
      cost(9000, { 'trap-port': 1, 'io-in': 1 }),
      cost(300, { 'callout-port': 1 }),
      devices ? ('no-operation' as const) : cost(800, { mmu_update: 2 }),
      devices ? ('no-operation' as const) : { ...cost(500, { multicall: 1 }), batched: { mmu_update: 2 } },
    ];
    const rows = table.rows.map((row, i) => (i === done ? { ...row, costs } : row));
    this.#timer = setTimeout(() => this.#step({ ...table, rows }, done + 1), 300);
  }

  #change(state: LabState): void {
    this.state = state;
    this.#tell(state);
  }
}
