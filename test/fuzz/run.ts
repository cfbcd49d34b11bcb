/**
 * Runs a program on two engines and compares them. The tested one stops where it likes; the reference, whose blocks have one instruction each,
 * then goes exactly as far. Interrupts from outside come at these stops, to both.
 */
import type { EngineModules, TranslatorHost } from '../../core/processor/engine.ts';
import { EXIT_BUDGET, EXIT_HALT, EXIT_SHUTDOWN, VMM_EXITS } from '../../core/state/index.ts';
import { numbers } from '../../core/translator/testing.ts';
import { Compiler } from '../../core/translator/compiler.ts';
import { LARGE, SMALL, type Limits } from '../../core/translator/finder.ts';
import type { Region } from '../../core/translator/region.ts';
import { Translator } from '../../core/translator/translator.ts';
import { assemble, type Layout } from './assembler.ts';
import { differences } from './compare.ts';
import { FuzzMachine } from './machine.ts';
import * as P from './places.ts';
import type { Program } from './program.ts';

export interface Outcome {
  /** Nothing, or how the two differ. */
  readonly differences: readonly string[];
  readonly retired: number;
  /** Events that the kernel saw. */
  readonly events: number;
  readonly stops: number;
  /** To the VMM of full virtualization. */
  readonly exits: number;
  /** How it ended. */
  readonly exit: number;
  /** The two differ where the architecture lets a processor choose. */
  readonly allowed: boolean;
}

const LIMITS = { tiny: { ...SMALL, instructions: 24 }, small: SMALL, large: LARGE };
/** Stops at which what was asked for is compiled. */
const COMPILED_EVERY = 3;
/** A kernel whose handlers fault again and again never comes to an end: so often it may be looked whether one is left. */
const EVENTS_MOST = 1000;
/** Stops at which all of memory is compared: one in so many, and the last. */
const MEMORY_EVERY = 4;

export class Pair {
  readonly reference: FuzzMachine;
  readonly tested: FuzzMachine;
  /** Regions translated so far. */
  regions = 0;
  /** Told of each. */
  onRegion: ((region: Region) => void) | undefined;
  readonly notes: string[] = [];
  /** The reference goes by single instructions, and it is looked how they come by their code. */
  #watched = false;
  #moved = false;
  #compiler: Compiler | undefined;
  #atOnce = false;
  /** What CompilerOptions say: changed from program to program. */
  readonly #options: { batch: number; revisit: number; small: Limits; onRegion: (region: Region) => void; note: (text: string) => void };

  /** `full`: FULL_*, of the tested machine: its guest is fully virtualized. */
  constructor(modules: EngineModules, full = 0) {
    this.#options = {
      batch: 1,
      revisit: 1 << 15,
      small: SMALL,
      onRegion: (region) => {
        this.regions++;
        this.onRegion?.(region);
      },
      note: (text) => void this.notes.push(text),
    };
    this.reference = new FuzzMachine(modules, {}, 1);
    const translator = (host: TranslatorHost): Translator => {
      this.#compiler = new Compiler(host.memory, this.#options);
      return new Translator({ ...host, note: this.#options.note }, { after: 1, wake: () => this.#atOnce && this.#compile() });
    };
    this.tested = new FuzzMachine(modules, { translator }, 0, full);
  }

  #compile(): void {
    while (this.#compiler!.work() === 0);
  }

  /** undefined: the program cannot be laid out. */
  run(program: Program, code: Layout | undefined = assemble(program.steps)): Outcome | undefined {
    if (!code) return undefined;
    const outcome = this.#run(program, code);
    // What the translator notes is never right.
    if (outcome.differences.length === 0 || this.notes.length > 0) return outcome;
    // Where the code under an instruction moves, each engine may be right; that is rare enough to be looked for afterwards.
    this.#watched = true;
    this.#moved = false;
    const again = this.#run(program, code);
    this.#watched = false;
    return this.#moved ? { ...again, differences: [], allowed: true } : outcome;
  }

  #run(program: Program, code: Layout): Outcome {
    const { pace } = program;
    const { reference, tested } = this;
    this.notes.length = 0;
    this.#atOnce = pace.compile === 'at once';
    this.#options.batch = pace.batch;
    this.#options.revisit = pace.revisit;
    this.#options.small = LIMITS[pace.regions];
    tested.translateAfter(pace.after);
    if (pace.compile === 'before') {
      // A run to see what there is; what it comes to does not matter.
      tested.begin(program, code);
      tested.run(pace.most);
      this.#compile();
    }
    const random = numbers(pace.seed);
    reference.begin(program, code);
    tested.begin(program, code);
    let stops = 0;
    const outcome = (found: readonly string[]): Outcome => ({
      differences: found,
      retired: tested.retired,
      // The program may have written over the kernel's count.
      events: Math.min(tested.view.getUint32(tested.ram + P.EVENTS, true), tested.retired),
      stops,
      exits: Array.from({ length: VMM_EXITS }, (_, reason) => tested.state.exits.get(reason)).reduce((sum, n) => sum + n, 0),
      exit: tested.exit,
      allowed: false,
    });
    for (;;) {
      tested.run(random(pace.turn));
      // An event was delivered, perhaps for an instruction that does not count: the reference would stop before it.
      for (let events = 0; tested.exit < EXIT_HALT && inStubs(tested); events++) {
        if (events === EVENTS_MOST) return outcome([]);
        tested.run(0);
      }
      stops++;
      if (pace.compile === 'at stops' && stops % COMPILED_EVERY === 0) this.#compile();
      const lost = this.#follow();
      if (lost) return outcome([lost, ...differences(reference, tested, true)]);
      const over = tested.exit === EXIT_SHUTDOWN || tested.retired >= pace.most || stops > 400;
      const found = differences(reference, tested, over || tested.exit === EXIT_HALT || stops % MEMORY_EVERY === 0);
      if (found.length > 0) return outcome(found);
      if (this.notes.length > 0) return outcome(this.notes);
      if (over || (tested.exit === EXIT_HALT && random(4) === 0)) return outcome([]);
      this.#disturb(program, random);
    }
  }

  /** The reference goes as far as the tested engine has; says what is wrong if it cannot. */
  #follow(): string | undefined {
    const { reference, tested } = this;
    for (let turns = 0; ; turns++) {
      const left = tested.retired - reference.retired;
      const last = tested.exit !== EXIT_BUDGET;
      // One that halts, shuts down or is kicked out does so after its last instruction.
      if (left === 0 && (!last || reference.exit === tested.exit)) return undefined;
      if (turns > 100 || left < 0) return `the reference is at ${reference.retired} instructions`;
      const exit = this.#watched ? this.#step(left - (last ? 0 : 1)) : reference.run(left - (last ? 0 : 1));
      if (exit === EXIT_HALT || exit === EXIT_SHUTDOWN)
        return exit === tested.exit && reference.retired === tested.retired
          ? undefined
          : `the reference ends (${exit}) after ${reference.retired} instructions, the other (${tested.exit}) after ${tested.retired}`;
    }
  }

  /**
   * `reference.run(budget)` by single instructions. Where a program has changed a page-table entry without INVLPG and executes that page by what the
   * TLB has kept, an access to data of the page may walk the tables and find another frame. The next instruction may then come from either
   * (SDM vol. 3A, 4.10.2.3): from the new one where each has a block of its own, from the old one in the middle of a block.
   */
  #step(budget: number): number {
    const { reference } = this;
    const until = reference.retired + budget;
    do {
      const { next } = reference;
      const from = reference.fetchedFrom(next);
      reference.run(0);
      const now = reference.fetchedFrom(next);
      if (from !== undefined && now !== undefined && now !== from) this.#moved = true;
    } while (reference.exit === EXIT_BUDGET && reference.retired <= until);
    return reference.exit;
  }

  #disturb(program: Program, random: (below: number) => number): void {
    const { interrupts, patches } = program.pace;
    const both = (what: (m: FuzzMachine) => void): void => {
      what(this.reference);
      what(this.tested);
    };
    if (interrupts > 0 && random(interrupts) === 0) {
      const vector = P.INTERRUPTS + random(8);
      if (random(8) === 0) both((m) => m.nmi());
      else both((m) => m.interrupt(vector));
    }
    if (patches > 0 && random(patches) === 0) {
      const value = random(0x1_0000_0000);
      both((m) => m.patch(value));
    }
  }
}

function inStubs({ state }: FuzzMachine): boolean {
  return state.rip >= P.STUBS && state.rip < P.STUBS + 0x1000;
}
