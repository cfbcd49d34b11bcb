/** The technique lab with the real guest. What exits an operation has is known; what it costs is not. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { engineModules, pcpuModule } from '../assets.ts';
import { compilerModule } from '../compiler.ts';
import { ioModule } from '../io.ts';
import { makeMemory } from '../machine.ts';
import { policyOf } from '../policies.ts';
import { Pool } from '../pool.ts';
import { Lab } from './lab.ts';
import { runLab } from './run.ts';
import {
  BENCHMARKS,
  costOf,
  exitsOf,
  NO_OPERATION,
  type Benchmark,
  type ColumnName,
  type Cost,
  type Entry,
  type LabState,
  type LabTable,
} from './table.ts';

const COLUMNS = ['bare', 'trap-and-emulate', 'traps', 'full', 'para-single', 'para-batched'] as const satisfies readonly ColumnName[];

let pool: Pool;
let table: LabTable;
const told: number[] = [];

beforeAll(async () => {
  pool = new Pool({
    pcpus: 1,
    policy: policyOf(undefined),
    worker: pcpuModule(),
    modules: await engineModules(),
    memory: makeMemory,
    compiler: compilerModule(),
    io: ioModule(),
  });
  // Long enough that what is done often is translated by then, on a busy host too.
  table = await runLab({ pool, columns: COLUMNS, least: 6, rounds: 2, progress: (_, done, all) => told.push(done / all) });
}, 240_000);
afterAll(() => pool.close());

const entry = (benchmark: Benchmark, column: ColumnName): Entry =>
  table.rows.find((row) => row.benchmark === benchmark)!.costs[COLUMNS.indexOf(column as (typeof COLUMNS)[number])]!;
const cost = (benchmark: Benchmark, column: ColumnName): Cost => costOf(entry(benchmark, column))!;

/** Per operation, as whole numbers: the timer's interrupts and the console's characters are some hundredths. */
const whole = (counts: Cost['exits'] = {}): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts)
      .map(([reason, count]) => [reason, Math.round(count)] as const)
      .filter(([, count]) => count > 0),
  );
const exits = (benchmark: Benchmark, column: ColumnName): Record<string, number> => whole(cost(benchmark, column).exits);

test('every operation is done often enough, costs something, and its progress is told', () => {
  for (const column of ['bare', 'traps', 'full'] as const)
    for (const benchmark of BENCHMARKS) {
      if (entry(benchmark, column) === NO_OPERATION) continue;
      const { operations, cycles, nanoseconds } = cost(benchmark, column);
      expect(operations).toBeGreaterThanOrEqual(1000);
      expect(cycles, `${benchmark}, ${column}`).toBeGreaterThan(0.1);
      expect(nanoseconds).toBeGreaterThanOrEqual(0);
    }
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(told.at(-1)).toBe(1);
});

test('bare, the processor model leaves the guest for devices only', () => {
  expect(exits('in', 'bare')).toEqual({ 'io-in': 1 });
  expect(exits('cr8wr', 'bare')).toEqual({ 'task-priority-write': 1 });
  for (const benchmark of ['syscall', 'callret', 'pgfault', 'divzero', 'ptemod'] as const) expect(exits(benchmark, 'bare')).toEqual({});
});

test('with trap-and-emulate alone, the guest does not come to its prompt', () => {
  expect(table.columns.find(({ name }) => name === 'trap-and-emulate')!.failure).toBe('triple-fault');
  expect(table.rows.every((row) => row.costs[COLUMNS.indexOf('trap-and-emulate')] === null)).toBe(true);
});

test('without adaptive translation, each privileged instruction traps', () => {
  expect(exits('in', 'traps')).toEqual({ 'trap-port': 1, 'io-in': 1 });
  expect(exits('cr8wr', 'traps')).toEqual({ 'trap-control': 1, 'task-priority-write': 1 });
  expect(exits('callret', 'traps')).toEqual({});
  expect(exits('divzero', 'traps')).toEqual({ 'reflected-exception': 1, 'callout-transfer': 1 });
  expect(exits('ptemod', 'traps')).toEqual({ 'trap-tlb': 1, 'shadow-fill': 1 });
  // SWAPGS twice, CLI and STI, SYSCALL and SYSRET; PUSHF is sensitive.
  expect(exits('syscall', 'traps')).toEqual({ 'trap-msr': 2, 'trap-flags': 2, 'trap-system-call': 2, 'callout-flags': 1 });
});

test('with it they are called out, or done in place', () => {
  expect(exits('in', 'full')).toEqual({ 'callout-port': 1, 'io-in': 1 });
  expect(exits('ptemod', 'full')).toEqual({ 'callout-tlb': 1, 'shadow-fill': 1 });
  expect(exitsOf(cost('syscall', 'full'))).toBeLessThan(exitsOf(cost('syscall', 'traps')));
});

test('a para guest calls its VMM, and has no devices of a PC', () => {
  for (const column of ['para-single', 'para-batched'] as const) {
    expect(entry('in', column)).toBe(NO_OPERATION);
    expect(entry('cr8wr', column)).toBe(NO_OPERATION);
    expect(exits('callret', column)).toEqual({});
    expect(exits('divzero', column)).toEqual({ 'bounced-exception': 1, iret: 1 });
    expect(exits('syscall', column)).toEqual({ 'bounced-system-call': 1, iret: 1 });
    expect(exits('ptemod', column)).toEqual({ mmu_update: 1, mmuext_op: 1 });
  }
});

test('batching makes one call of many', () => {
  const entries = { mmu_update: 64, mmuext_op: 64 };
  // A long one is done in portions of 32.
  expect(exits('ptemods', 'para-batched')).toEqual({ multicall: 4 });
  expect(whole(cost('ptemods', 'para-batched').batched)).toEqual(entries);
  // Off, the guest comes back after each entry, to go on with the next.
  expect(exits('ptemods', 'para-single')).toEqual({ multicall: 128 });
  expect(whole(cost('ptemods', 'para-single').batched)).toEqual(entries);
  expect(exitsOf(cost('fork', 'para-batched'))).toBeLessThan(exitsOf(cost('fork', 'para-single')) / 1.5);
});

test('requests in a deep ring need few calls and events', () => {
  expect(entry('blkread', 'bare')).toBe(NO_OPERATION);
  expect(entry('blkreads', 'full')).toBe(NO_OPERATION);
  expect(exits('blkread', 'para-single')).toMatchObject({ event_channel_op: 1, 'event-upcall': 1 });
  const deep = cost('blkreads', 'para-batched');
  expect(exitsOf(deep)).toBeLessThan(exitsOf(cost('blkread', 'para-batched')) / 2);
});

test('what an operation executes is the same under each', () => {
  for (const column of ['bare', 'traps', 'full'] as const) {
    const classes = (benchmark: Benchmark): number[] =>
      [cost(benchmark, column).privileged, cost(benchmark, column).sensitive].map(Math.round);
    expect(classes('syscall')).toEqual([5, 1]);
    expect(classes('in')).toEqual([1, 0]);
    expect(classes('callret')).toEqual([0, 0]);
    expect(classes('divzero')).toEqual([0, 1]);
    expect(classes('pgfault')).toEqual([3, 1]);
  }
});

test('it can be broken off', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  await expect(
    runLab({ pool, columns: ['bare'], least: 2, rounds: 1, signal: stop.signal, progress: () => stop.abort(reason) }),
  ).rejects.toBe(reason); // prettier-ignore
}, 60_000);

test('the app’s lab runs once at a time, can be stopped, and keeps what it measured', async () => {
  const states: LabState[] = [];
  const lab = new Lab(pool, (state) => states.push(state));
  expect(lab.state).toEqual({ running: false });
  lab.start();
  expect(() => lab.start()).toThrow('The lab is running already.');
  await expect.poll(() => lab.state.progress?.done, { timeout: 60_000 }).toBeGreaterThan(0);
  await lab.stop();
  expect(lab.state.running).toBe(false);
  expect(lab.state.error).toBeUndefined();
  expect(costOf(lab.state.table!.rows[0]!.costs[0]!)!.cycles).toBeGreaterThan(0);
  expect(states.at(-1)).toBe(lab.state);
  // And again.
  lab.start();
  expect(lab.state).toEqual({ running: true });
  await lab.stop();
}, 120_000);
