/** From runs to Markdown. */
import { markdown } from '../../core/cli/markdown.ts';
import type { Measured } from './measure.ts';
import type { Bits, Program } from './programs.ts';

export type Runs = ReadonlyMap<Program, readonly Measured[]>;

/** Of an empty list: NaN. */
export function median(of: readonly number[]): number {
  const sorted = of.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 0 ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[middle]!;
}

export const geometricMean = (of: readonly number[]): number => Math.exp(of.reduce((sum, x) => sum + Math.log(x), 0) / of.length);

/** Three significant digits, without an exponent. */
const number = (x: number): string => (Number.isFinite(x) ? String(Number(x.toPrecision(x < 1 ? 2 : 3))) : '–');

const seconds = (runs: readonly Measured[], name: string): number[] => runs.flatMap((run) => run.workloads.get(name)?.seconds ?? []);

/** Times in seconds: medians, and how they stand to those of `base`. Workloads that give no time of interest (`gaps`) are left out. */
export function timesTable(bits: Bits, runs: Runs, names: readonly string[], base: Program): string {
  const programs = [...runs.keys()];
  const timed = names.filter((name) => name !== 'gaps');
  const time = (program: Program, name: string): number => median(seconds(runs.get(program)!, name));
  const ratio = (program: Program, name: string): number => time(program, name) / time(base, name);
  const cells = (value: (program: Program) => number, to: (program: Program) => number): string[] =>
    programs.map((program) => (program === base ? number(value(program)) : `${number(value(program))} (${number(to(program))})`));
  const rows = timed.map((name) => [name, ...cells((p) => time(p, name), (p) => ratio(p, name))]); // prettier-ignore
  const means = programs.map((program) => {
    const known = timed.map((name) => ratio(program, name)).filter(Number.isFinite);
    return program === base ? '1' : number(geometricMean(known));
  });
  const boot = (program: Program): number => (program.memory === 0 ? Number.NaN : median(runs.get(program)!.map((run) => run.boot)));
  return markdown(
    [
      `${bits}-bit Linux, s (ratio to ${base.name})`,
      ...programs.map((p) => (p.part === undefined ? p.name : `${p.name}, ${p.part} % of the work`)),
    ],
    [...rows, ['geometric mean of the ratios', ...means], ['boot', ...cells(boot, (p) => boot(p) / boot(base))]],
  );
}

/**
 * `b` against `a`, where both took turns: the ratio of medians, and the least and greatest of the rounds' own ratios. A difference that is
 * less than that spread is none.
 */
export function compareTable(bits: Bits, runs: Runs, names: readonly string[], a: Program, b: Program): string {
  const [first, second] = [runs.get(a)!, runs.get(b)!];
  const row = (name: string, of: (run: Measured) => readonly number[]): { cells: string[]; ratio: number } => {
    const [x, y] = [median(first.flatMap(of)), median(second.flatMap(of))];
    const rounds = first.map((run, i) => median(of(second[i]!)) / median(of(run)));
    const spread = `${number(Math.min(...rounds))} to ${number(Math.max(...rounds))}`;
    return { cells: [name, number(x), number(y), number(y / x), spread], ratio: y / x };
  };
  const timed = names.filter((name) => name !== 'gaps').map((name) => row(name, (run) => run.workloads.get(name)?.seconds ?? []));
  const boot = row('boot', (run) => [run.boot]);
  const mean = geometricMean(timed.map(({ ratio }) => ratio).filter(Number.isFinite));
  return markdown(
    [`${bits}-bit Linux`, `${a.name}, s`, `${b.name}, s`, 'ratio', 'rounds'],
    [...timed.map(({ cells }) => cells), ['geometric mean', '', '', number(mean), ''], boot.cells],
  );
}

/** Hold-ups and memory, of the programs that tell. */
export function otherTable(bits: Bits, runs: Runs): string | undefined {
  const rows = [...runs]
    .filter(([program]) => program.memory > 0)
    .map(([program, all]) => {
      const gaps = all.map((run) => run.gaps).filter((gap) => gap !== undefined);
      const memory = all.map((run) => run.memory).filter((mib) => mib !== undefined);
      return { program, gaps, memory };
    })
    .filter(({ gaps, memory }) => gaps.length > 0 || memory.length > 0);
  if (rows.length === 0) return undefined;
  return markdown(
    [`${bits}-bit Linux`, 'longest hold-up, ms', 'above 1, 5, 20 ms', 'memory beside the guest’s, MiB'],
    rows.map(({ program, gaps, memory }) => [
      program.name,
      gaps.length > 0 ? gaps.map((gap) => number(gap.longest)).join(', ') : '–',
      gaps.length > 0 ? gaps.map((gap) => gap.above.join('/')).join(', ') : '–',
      memory.length > 0 ? String(Math.round(Math.max(...memory))) : '–',
    ]),
  );
}

/** Programs whose checksum of a workload is not the first one's, of those that did as much of the work. */
export function mistakes(runs: Runs): string[] {
  const wanted = new Map<string, string>();
  const wrong = new Set<string>();
  for (const [program, all] of runs)
    for (const run of all)
      for (const [name, { checksum }] of run.workloads) {
        const key = `${name} ${program.part ?? ''}`;
        if (!wanted.has(key)) wanted.set(key, checksum);
        if (wanted.get(key) !== checksum) wrong.add(`${program.name} computed something else in ${name}`);
      }
  return [...wrong];
}
