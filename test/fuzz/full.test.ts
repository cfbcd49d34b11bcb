/** Random programs at ring 1 under trap-and-emulate alone: they go wrong, but never to ring 0, and the VMM does not fail. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/engine.ts';
import { CPUS, CS, EXIT_HALT, EXIT_SHUTDOWN, FULL_ADAPT, FULL_ON, SHUTDOWN_INTERNAL, SS } from '../../core/state/index.ts';
import { Translator } from '../../core/translator/translator.ts';
import { assemble } from './assembler.ts';
import { generate } from './generate.ts';
import { FuzzMachine } from './machine.ts';
import * as P from './places.ts';

const PROGRAMS = 150;
const TURNS = 60;
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

it.each([64, 32] as const)('random programs without translation stay where they are put, in %d-bit mode', (bits) => {
  const machine = new FuzzMachine(modules, { translator: (host) => new Translator(host, { after: 2, batch: 1 }) }, 0, FULL_ON | FULL_ADAPT);
  const { state, engine } = machine;
  let rings = 0;
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const program = generate(seed, { bits, most: 2000 });
    const code = assemble(program.steps);
    if (!code) continue;
    machine.begin(program, code);
    for (let turn = 0; turn < TURNS; turn++) {
      const exit = engine.run(CPUS, 40);
      if (turn % 7 === 0) machine.interrupt(P.INTERRUPTS + (turn & 7));
      expect(state.shutdown).not.toBe(SHUTDOWN_INTERNAL);
      if (state.compressed) {
        // In virtual-8086 mode selectors have no RPL.
        if (!(state.eflags & 0x2_0000)) expect(state.segments[CS]!.selector & 3).toBe(state.cpl);
        if (!(state.eflags & 0x2_0000)) expect(state.segments[SS]!.selector & 3).toBe(state.cpl);
        expect(state.cpl).toBeGreaterThan(0);
        expect(state.eflags & 0x3200).toBe(0x200);
        rings |= 1 << state.cpl;
      }
      if (exit === EXIT_SHUTDOWN || (exit === EXIT_HALT && !state.event)) break;
    }
    engine.helpers.uncompress(CPUS);
  }
  expect(rings & 0b1010).toBe(0b1010);
});
