/** Runs programs by their seeds until one fails, then finds out how little of it (and of what was run before) it takes. */
import type { EngineModules } from '../../core/processor/engine.ts';
import { assemble } from './assembler.ts';
import { generate, type Options } from './generate.ts';
import type { Program } from './program.ts';
import { report } from './report.ts';
import { Pair, type Outcome } from './run.ts';
import { shrink } from './shrink.ts';

export interface Totals {
  programs: number;
  instructions: number;
  events: number;
  regions: number;
  /** To the VMM of full virtualization. */
  exits: number;
  /** Programs that ended by HLT, and by a triple fault. */
  halted: number;
  shutdowns: number;
  /** That differed as they may. */
  allowed: number;
}

export const none = (): Totals => ({ programs: 0, instructions: 0, events: 0, regions: 0, exits: 0, halted: 0, shutdowns: 0, allowed: 0 });

/** After so many programs a new pair of machines is made: what failed may have come from any before it. */
const PROGRAMS_A_PAIR = 4000;

export class Search {
  readonly totals = none();
  readonly #modules: EngineModules;
  readonly #options: Options;
  #pair: Pair;
  #history: number[] = [];

  constructor(modules: EngineModules, options: Options = {}) {
    this.#modules = modules;
    this.#options = options;
    this.#pair = new Pair(modules, options.full);
  }

  /** Runs one program; undefined if all is well, else the whole story. */
  run(seed: number): string | undefined {
    if (this.#history.length >= PROGRAMS_A_PAIR) {
      this.#pair = new Pair(this.#modules, this.#options.full);
      this.#history = [];
    }
    const program = generate(seed, this.#options);
    const before = this.#pair.regions;
    const outcome = this.#pair.run(program);
    if (!outcome) return undefined;
    const { totals } = this;
    totals.programs++;
    totals.instructions += outcome.retired;
    totals.events += outcome.events;
    totals.exits += outcome.exits;
    totals.regions += this.#pair.regions - before;
    if (outcome.exit === 2) totals.halted++;
    if (outcome.exit === 4) totals.shutdowns++;
    if (outcome.allowed) totals.allowed++;
    if (outcome.differences.length > 0) return `seed ${seed}: ${this.#explain(seed, program, outcome)}`;
    this.#history.push(seed);
    return undefined;
  }

  /** A pair that has just run the last `count` programs before. */
  #after(count: number): Pair {
    const pair = new Pair(this.#modules, this.#options.full);
    for (const seed of count > 0 ? this.#history.slice(-count) : []) pair.run(generate(seed, this.#options));
    return pair;
  }

  #shrink(program: Program, kind: (o: Outcome) => string, wanted: string, needed: number): Program {
    let pair = this.#after(needed);
    const attempt =
      (fresh: boolean) =>
      (p: Program): boolean => {
        if (!assemble(p.steps)) return false;
        if (fresh) pair = this.#after(needed);
        const o = pair.run(p);
        return o !== undefined && o.differences.length > 0 && (kind(o) === wanted || fresh);
      };
    if (needed === 0) {
      // Quick: with what earlier attempts have left behind, which mostly does not matter.
      const small = shrink(program, attempt(false));
      if (attempt(true)(small)) return small;
    }
    return shrink(program, attempt(true));
  }

  #explain(seed: number, program: Program, first: Outcome): string {
    const kind = (o: Outcome): string => o.differences[0]!.replace(/:.*/, '').replace(/\d+/g, '');
    let needed = 0;
    const fails = (pair: Pair, p: Program): boolean => {
      const o = pair.run(p);
      return o !== undefined && o.differences.length > 0;
    };
    while (!fails(this.#after(needed), program)) {
      if (needed >= this.#history.length) return `${first.differences.slice(0, 8).join('; ')}, and not again`;
      needed = Math.min(this.#history.length, Math.max(1, needed * 2));
    }
    const small = this.#shrink(program, kind, kind(first), needed);
    const last = this.#after(needed);
    const outcome = last.run(small)!;
    const head = needed > 0 ? `after the ${needed} programs before it (from ${this.#history[this.#history.length - needed]}), ` : '';
    const shown =
      outcome.differences.length > 0
        ? report(small, outcome, last.tested)
        : report(program, this.#after(needed).run(program)!, last.tested);
    return `${head}as small as it gets:\n${shown}\nat first (seed ${seed}): ${first.differences.slice(0, 6).join('; ')}`;
  }
}
