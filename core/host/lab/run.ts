/** The technique lab: one guest, the same operations, one way to run it after the other. */
import os from 'node:os';
import { FULL_SWITCHES } from '../../vmm/full/switches.ts';
import { PARA_SWITCHES } from '../../vmm/para/switches.ts';
import type { Pool } from '../pool.ts';
import { GuestFailure, LabGuest, type Counters, type LabTechnique } from './guest.ts';
import {
  BENCHMARKS, COLUMNS, emptyTable, NO_OPERATION, ratiosOf, type Benchmark, type Column, type ColumnName, type Cost, type Entry, type LabTable, type Row,
} from './table.ts'; // prettier-ignore

export interface LabOptions {
  readonly pool: Pool;
  /** Default: all. */
  readonly columns?: readonly ColumnName[];
  /** Milliseconds that a measurement takes at least; default: 20. Short ones have a chance to be left alone by whatever else the host does. */
  readonly least?: number;
  /** Measurements of which the quickest counts; default: 10. */
  readonly rounds?: number;
  readonly signal?: AbortSignal;
  /** Told after each measurement. */
  readonly progress?: (table: LabTable, done: number, all: number) => void;
}

/** How the guest is run in each column. */
const TECHNIQUES: Readonly<Record<ColumnName, LabTechnique>> = {
  bare: {},
  'trap-and-emulate': { technique: 'full', full: { translateSensitive: false, adaptive: false } },
  traps: { technique: 'full', full: { translateSensitive: true, adaptive: false } },
  full: { technique: 'full', full: FULL_SWITCHES },
  'para-single': { technique: 'para', para: { batching: false, asynchrony: false } },
  'para-batched': { technique: 'para', para: PARA_SWITCHES },
};

const FIRST = 1000;
const MOST = 100_000_000;
/** Times the least duration: until then what is hot has been translated, by us and by the engine beneath. */
const WARM_UP = 15;
/** Exits by the timer and such, which come now and then, are none of the operation's: what comes less than once in so many is left out. */
const SELDOM = 20;

/** Throws what the signal was aborted with, and mistakes of ours; a guest that fails leaves its column empty. */
export async function runLab({ pool, columns = COLUMNS, least = 20, rounds = 10, signal, progress }: LabOptions): Promise<LabTable> {
  let table = emptyTable(os.cpus()[0]?.model.trim() ?? '', columns);
  let done = 0;
  const all = columns.length * BENCHMARKS.length;
  for (const [at, name] of columns.entries()) {
    const guest = new LabGuest();
    try {
      await guest.boot(pool, TECHNIQUES[name], signal);
      for (const benchmark of BENCHMARKS) {
        table = withCost(table, benchmark, at, await measure(guest, benchmark, least, rounds, signal));
        progress?.(table, ++done, all);
      }
    } catch (error) {
      if (!(error instanceof GuestFailure)) throw error;
      done = (at + 1) * BENCHMARKS.length;
      const columns = table.columns.map((column, i): Column => (i === at ? { ...column, failure: error.failure } : column));
      table = { ...table, columns };
      progress?.(table, done, all);
    } finally {
      await guest.end();
    }
  }
  return table;
}

function withCost(table: LabTable, benchmark: Benchmark, column: number, cost: Entry): LabTable {
  const rows = table.rows.map((row): Row =>
    row.benchmark === benchmark ? { ...row, costs: row.costs.map((old, i) => (i === column ? cost : old)) } : row,
  );
  return { ...table, rows, ratios: ratiosOf({ ...table, rows }) };
}

interface Sample {
  readonly operations: number;
  readonly cycles: number;
  readonly before: Counters;
  readonly after: Counters;
}

/** The guest's own word for it that it has no such operation. */
const isNoOperation = (said: string, benchmark: Benchmark): boolean => said.includes(`${benchmark}: not an operation of a `);

async function sample(guest: LabGuest, benchmark: Benchmark, operations: number, signal?: AbortSignal): Promise<Sample> {
  const before = guest.counters();
  const { said, counters: after } = await guest.command(`bench ${benchmark} ${operations}`, signal);
  const match = /^(\w+): (\d+) operations, (\d+) cycles\r?$/m.exec(said);
  if (match?.[1] !== benchmark || Number(match[2]) !== operations)
    throw new GuestFailure('silent', `The guest did not say what ${benchmark} cost; it said: ${said}`);
  return { operations, cycles: Number(match[3]), before, after };
}

/** As many operations as take `least` milliseconds, `rounds` times; what a single one costs is taken off, for that is the command's own. */
async function measure(guest: LabGuest, benchmark: Benchmark, least: number, rounds: number, signal?: AbortSignal): Promise<Entry> {
  if (isNoOperation((await guest.command(`bench ${benchmark} 1`, signal)).said, benchmark)) return NO_OPERATION;
  let operations = FIRST;
  let [enough, warm] = [0, 0];
  // More than once: one that was held up by something else seems to take long enough.
  while ((enough < 2 || warm < WARM_UP * least) && operations < MOST) {
    const took = time(await sample(guest, benchmark, operations, signal)) * 1000;
    const part = took / least;
    warm += took;
    enough = part >= 1 ? enough + 1 : 0;
    if (part < 1) operations = Math.min(MOST, Math.round(operations * Math.min(8, Math.max(1.5, 1.2 / part))));
  }
  const [many, single]: [Sample[], Sample[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    single.push(await sample(guest, benchmark, 1, signal));
    many.push(await sample(guest, benchmark, operations, signal));
  }
  const quickest = (of: readonly Sample[], cost: (one: Sample) => number): Sample => of.reduce((a, b) => (cost(b) < cost(a) ? b : a));
  const best = quickest(many, time);
  return {
    ...countsOf(best, quickest(single, time)),
    operations,
    cycles: quickest(many, ({ cycles }) => cycles).cycles / operations,
    nanoseconds: Math.max(0, ((time(best) - time(quickest(single, time))) / (operations - 1)) * 1e9),
  };
}

const time = ({ before, after }: Sample): number => after.running - before.running;

function countsOf(many: Sample, single: Sample): Pick<Cost, 'exits' | 'batched' | 'privileged' | 'sensitive'> {
  const each = (of: (counters: Counters) => number): number => {
    const more = of(many.after) - of(many.before) - (of(single.after) - of(single.before));
    return Math.max(0, more / (many.operations - single.operations));
  };
  const often = (of: (counters: Counters) => Readonly<Record<string, number>>): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const reason of Object.keys(of(many.after))) {
      const count = each((counters) => of(counters)[reason] ?? 0);
      if (count * SELDOM >= 1) counts[reason] = count;
    }
    return counts;
  };
  const batched = often((counters) => counters.batched);
  return {
    exits: often((counters) => counters.exits),
    ...(Object.keys(batched).length > 0 && { batched }),
    privileged: each(({ privileged }) => privileged),
    sensitive: each(({ sensitive }) => sensitive),
  };
}
