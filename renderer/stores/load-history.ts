/**
 * The last hour of one VM's load, in typed arrays used as rings: a sample costs a few stores and no garbage.
 * Fractions are of the sampling interval; rates are per second.
 */
import type { Activities, CallCount, LoadSample, ParaStatistics, Technique, VcpuLoad } from '../../electron/ipc.ts';
import { RateRings } from './rate-rings.ts';

/** From the axis upwards, as they are stacked. */
export const LOAD_STATES = ['guestUser', 'guestKernel', 'vmm', 'ready', 'blocked', 'halted'] as const satisfies readonly (keyof VcpuLoad)[];
export type LoadState = (typeof LOAD_STATES)[number];
/** What was done while the vCPU executed, stacked likewise. */
export const ACTIVITIES = [
  'translated',
  'interpreted',
  'decoding',
  'compiling',
  'mmu',
  'devices',
] as const satisfies readonly (keyof Activities)[];
export type Activity = (typeof ACTIVITIES)[number];
export const CLASSES = ['innocuous', 'sensitive', 'privileged'] as const;
export type InstructionClass = (typeof CLASSES)[number];

/** Samples kept: an hour at one a second. */
export const HISTORY_SAMPLES = 3600;
/** A hole wider than this many seconds is drawn as one. */
export const GAP_SECONDS = 3;
const FRACTIONS = LOAD_STATES.length + ACTIVITIES.length;

/** A stretch of the history, ready to draw: `times` in seconds since the epoch; null where nothing is known. */
export interface Stretch {
  readonly times: number[];
  /** One array per entry of LOAD_STATES: fraction of the interval. */
  readonly states: (number | null)[][];
  /** One array per entry of ACTIVITIES: likewise. */
  readonly activities: (number | null)[][];
  readonly instructions: (number | null)[];
}

/** Rates of one kind of event, per second. */
export interface RateRow<K extends string = string> {
  readonly name: K;
  /** In the newest sample. */
  readonly now: number;
  /** Over the stretch. */
  readonly average: number;
}

export interface ExitRow extends RateRow {
  /** Seconds that one took, over the stretch; undefined: not timed. */
  readonly cost: number | undefined;
}

export interface CallRow extends ExitRow {
  /** How much of them came in a multicall, over the stretch: 0 to 1. */
  readonly part: number;
}

export const SIZES = ['multicalls', 'updates', 'rings'] as const satisfies readonly (keyof ParaStatistics)[];
/** Histograms as ParaStatistics has them, per second. */
export type SizeRates = Readonly<Record<(typeof SIZES)[number], readonly number[]>>;

export class LoadHistory {
  readonly capacity: number;
  /** Milliseconds since the epoch, by slot; the newest is `(next - 1) % capacity`. */
  readonly #times: Float64Array;
  /** Seconds. */
  readonly #intervals: Float32Array;
  /** [vcpu][state, then activity] */
  readonly #fractions: Float32Array[][] = [];
  /** [vcpu], and of the VM, by class */
  readonly #instructions: Float64Array[] = [];
  readonly #classes: readonly Float64Array[];
  readonly #exits: RateRings;
  /** Seconds per second, by reason; none for reasons that are not timed. */
  readonly #exitSeconds: RateRings;
  /** Of a paravirtualized guest's hypercalls, by name; and by place of each histogram. */
  readonly #calls: Readonly<Record<keyof CallCount, RateRings>>;
  readonly #sizes: Readonly<Record<(typeof SIZES)[number], RateRings>>;
  #technique: Technique | 'automatic' | undefined;
  #next = 0;
  #length = 0;

  constructor(capacity = HISTORY_SAMPLES) {
    this.capacity = capacity;
    this.#times = new Float64Array(capacity);
    this.#intervals = new Float32Array(capacity);
    this.#classes = CLASSES.map(() => new Float64Array(capacity));
    const rings = (): RateRings => new RateRings(capacity);
    [this.#exits, this.#exitSeconds] = [rings(), rings()];
    this.#calls = { count: rings(), batched: rings(), seconds: rings() };
    this.#sizes = { multicalls: rings(), updates: rings(), rings: rings() };
  }

  get length(): number {
    return this.#length;
  }

  /** Of the newest sample's run; undefined: there is none. */
  get technique(): Technique | 'automatic' | undefined {
    return this.#technique;
  }

  get vcpus(): number {
    return this.#fractions.length;
  }

  /** Milliseconds since the epoch of the newest sample; 0 if there is none. */
  get newest(): number {
    return this.#length === 0 ? 0 : this.#times[this.#slot(0)]!;
  }

  /** Older samples than the newest (a history that arrives after live ones) are dropped. */
  push(sample: LoadSample): void {
    if (sample.interval <= 0 || sample.time <= this.newest) return;
    const slot = this.#next;
    this.#next = (slot + 1) % this.capacity;
    this.#length = Math.min(this.#length + 1, this.capacity);
    this.#times[slot] = sample.time;
    this.#intervals[slot] = sample.interval;
    for (const [vcpu] of sample.vcpus.entries()) this.#rows(vcpu);
    for (let vcpu = 0; vcpu < this.vcpus; vcpu++) {
      const load = sample.vcpus[vcpu];
      const rows = this.#fractions[vcpu]!;
      for (const [i, state] of LOAD_STATES.entries()) rows[i]![slot] = load ? clamp(load[state] / sample.interval) : 0;
      for (const [i, activity] of ACTIVITIES.entries())
        rows[LOAD_STATES.length + i]![slot] = load ? clamp(load.activities[activity] / sample.interval) : 0;
      this.#instructions[vcpu]![slot] = load ? load.instructions / sample.interval : 0;
    }
    const rate = (pick: (load: VcpuLoad) => number): number => sample.vcpus.reduce((sum, load) => sum + pick(load), 0) / sample.interval;
    const [innocuous, sensitive, privileged] = this.#classes;
    sensitive![slot] = rate((load) => load.sensitive);
    privileged![slot] = rate((load) => load.privileged);
    innocuous![slot] = rate((load) => Math.max(0, load.instructions - load.sensitive - load.privileged));
    this.#technique = sample.technique;
    this.#exits.push(slot, sample.exits, sample.interval);
    this.#exitSeconds.push(slot, sample.exitSeconds, sample.interval);
    const calls = Object.entries(sample.para?.calls ?? {});
    for (const key of ['count', 'batched', 'seconds'] as const)
      this.#calls[key].push(slot, Object.fromEntries(calls.map(([name, call]) => [name, call[key]])), sample.interval);
    for (const key of SIZES) this.#sizes[key].push(slot, Object.fromEntries(sample.para?.[key].entries() ?? []), sample.interval);
  }

  /** The stretch of the last `seconds` up to `end` (ms), at most `points` points: more samples are averaged. `vcpu` undefined: all, averaged. */
  stretch(seconds: number, end: number, points: number, vcpu?: number): Stretch {
    const first = this.#first(end - seconds * 1000);
    const last = this.#last(end);
    const per = Math.max(1, Math.ceil(seconds / points));
    const out: Stretch = { times: [], states: LOAD_STATES.map(() => []), activities: ACTIVITIES.map(() => []), instructions: [] };
    const chosen = vcpu === undefined ? [...this.#fractions.keys()] : [vcpu];
    let previous = 0;
    for (let age = first; age >= last;) {
      // Buckets lie on whole multiples of their length, so that points do not jitter as time passes.
      const bucket = Math.floor(this.#times[this.#slot(age)]! / (per * 1000));
      const sums = new Float64Array(FRACTIONS);
      let instructions = 0;
      let count = 0;
      let time = 0;
      do {
        const slot = this.#slot(age);
        time = this.#times[slot]! / 1000;
        for (const v of chosen) {
          const rows = this.#fractions[v];
          if (!rows) continue;
          for (let s = 0; s < rows.length; s++) sums[s]! += rows[s]![slot]! / chosen.length;
          instructions += this.#instructions[v]![slot]!;
        }
        count++;
        age--;
      } while (per > 1 && age >= last && Math.floor(this.#times[this.#slot(age)]! / (per * 1000)) === bucket);
      if (previous > 0 && time - previous > GAP_SECONDS + per) append(out, previous + 1, null, null);
      append(
        out,
        time,
        Array.from(sums, (sum) => sum / count),
        instructions / count,
      );
      previous = time;
    }
    return out;
  }

  /** The newest sample's fractions, in the order of LOAD_STATES; undefined if there is none. `vcpu` undefined: all, averaged. */
  latest(vcpu?: number): number[] | undefined {
    if (this.#length === 0) return undefined;
    const slot = this.#slot(0);
    const chosen = vcpu === undefined ? this.#fractions : [this.#fractions[vcpu]];
    return LOAD_STATES.map((_, s) => chosen.reduce((sum, rows) => sum + (rows?.[s]?.[slot] ?? 0), 0) / Math.max(1, chosen.length));
  }

  /** Instructions per second of all vCPUs in the newest sample. */
  latestInstructions(): number {
    if (this.#length === 0) return 0;
    const slot = this.#slot(0);
    return this.#instructions.reduce((sum, ring) => sum + ring[slot]!, 0);
  }

  /** Exits of the last `seconds` up to `end` (ms), most frequent first. */
  exits(seconds: number, end: number): ExitRow[] {
    return this.#costs(this.#exits, this.#exitSeconds, seconds, end);
  }

  /** Hypercalls of the last `seconds` up to `end` (ms), most frequent first; those of multicalls are among them. */
  calls(seconds: number, end: number): CallRow[] {
    const batched = this.#averages(this.#calls.batched, seconds, end);
    return this.#costs(this.#calls.count, this.#calls.seconds, seconds, end)
      .filter(({ average }) => average > 0)
      .map((row) => ({ ...row, part: (batched.get(row.name) ?? 0) / row.average }));
  }

  /** Histograms of the last `seconds` up to `end` (ms), averaged. */
  sizes(seconds: number, end: number): SizeRates {
    const row = (rings: RateRings): number[] => [...this.#averages(rings, seconds, end).values()];
    return { multicalls: row(this.#sizes.multicalls), updates: row(this.#sizes.updates), rings: row(this.#sizes.rings) };
  }

  /** Instructions by class, in the order of CLASSES. */
  classes(seconds: number, end: number): RateRow<InstructionClass>[] {
    const named = CLASSES.map((name, i) => [name, this.#classes[i]!] as const);
    return this.#rates(named, seconds, end);
  }

  /** Rates with what one costs, most frequent first. */
  #costs(counts: RateRings, spent: RateRings, seconds: number, end: number): ExitRow[] {
    const times = this.#averages(spent, seconds, end);
    return this.#rates([...counts], seconds, end)
      .map((row) => {
        const cost = row.average > 0 ? (times.get(row.name) ?? 0) / row.average : 0;
        return { ...row, cost: cost > 0 ? cost : undefined };
      })
      .sort((a, b) => b.average - a.average || a.name.localeCompare(b.name));
  }

  #averages(rings: RateRings, seconds: number, end: number): Map<string, number> {
    return new Map(this.#rates([...rings], seconds, end).map(({ name, average }) => [name, average]));
  }

  #rates<K extends string>(rings: readonly (readonly [K, ArrayLike<number>])[], seconds: number, end: number): RateRow<K>[] {
    const first = this.#first(end - seconds * 1000);
    const last = this.#last(end);
    if (first < last) return [];
    let time = 0;
    for (let age = first; age >= last; age--) time += this.#intervals[this.#slot(age)]!;
    return rings.map(([name, ring]) => {
      let sum = 0;
      for (let age = first; age >= last; age--) sum += ring[this.#slot(age)]! * this.#intervals[this.#slot(age)]!;
      return { name, now: ring[this.#slot(last)]!, average: sum / time };
    });
  }

  /** Busy fraction (all but idle and blocked), averaged over the vCPUs, for each of the last `count` seconds up to `end` (ms); NaN: unknown. */
  sparkline(count: number, end: number): Float32Array {
    const out = new Float32Array(count).fill(Number.NaN);
    const last = Math.floor(end / 1000);
    for (let age = 0; age < this.#length; age++) {
      const slot = this.#slot(age);
      const back = last - Math.floor(this.#times[slot]! / 1000);
      if (back >= count) break;
      if (back < 0) continue;
      let busy = 0;
      for (const rows of this.#fractions) busy += rows[0]![slot]! + rows[1]![slot]! + rows[2]![slot]!;
      const value = busy / Math.max(1, this.vcpus);
      out[count - 1 - back] = value;
      // A sample stands for its whole interval: seconds do not begin when samples do, and some second would go without.
      const covers = Math.floor((this.#times[slot]! - this.#intervals[slot]! * 1000) / 1000) + 1;
      for (let second = last - back - 1; second >= covers && last - second < count; second--) out[count - 1 - (last - second)] = value;
    }
    return out;
  }

  /** The slot of the sample that is `age` samples old. */
  #slot(age: number): number {
    return (this.#next - 1 - age + 2 * this.capacity) % this.capacity;
  }

  /** The age of the oldest sample later than `since` (ms). */
  #first(since: number): number {
    let age = this.#length - 1;
    // Samples come about once a second: start near the place, then walk.
    while (age >= 0 && this.#times[this.#slot(age)]! <= since) age--;
    return age;
  }

  /** The age of the newest sample not later than `end` (ms). */
  #last(end: number): number {
    let age = 0;
    while (age < this.#length && this.#times[this.#slot(age)]! > end) age++;
    return age;
  }

  #rows(vcpu: number): void {
    while (this.#fractions.length <= vcpu) {
      this.#fractions.push(Array.from({ length: FRACTIONS }, () => new Float32Array(this.capacity)));
      this.#instructions.push(new Float64Array(this.capacity));
    }
  }
}

/** Time stamps of a vCPU that was just being switched can put a hair more than the interval into a state. */
const clamp = (fraction: number): number => (fraction > 1 ? 1 : fraction > 0 ? fraction : 0);

function append(out: Stretch, time: number, fractions: number[] | null, instructions: number | null): void {
  out.times.push(time);
  for (const [i, row] of [...out.states, ...out.activities].entries()) row.push(fractions ? fractions[i]! : null);
  out.instructions.push(instructions);
}

/** Running sums for a stacked chart: row i of the result is the top edge of state i. */
export function stack(states: readonly (readonly (number | null)[])[]): (number | null)[][] {
  const tops: (number | null)[][] = [];
  for (const row of states) {
    const below = tops.at(-1);
    tops.push(row.map((value, i) => (value === null ? null : Math.min(1, value + (below?.[i] ?? 0)))));
  }
  return tops;
}
