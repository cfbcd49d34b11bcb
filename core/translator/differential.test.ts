/** Random programs under interpreter and translator: registers, flags, all of memory and the number of instructions must be the same. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/modules.ts';
import { REGION_PAGES } from '../state/index.ts';
import { CODE, numbers, program, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

/** More of them: RINGSIDE_PROGRAMS=100000. */
const PROGRAMS = Number(process.env['RINGSIDE_PROGRAMS'] ?? 150);
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

describe.each([64, 32] as const)('in %d-bit mode', (bits) => {
  it('random programs come to the same end', () => {
    let translated = 0;
    let faults = 0;
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const random = numbers(seed ^ 0x5eed);
      const code = program(bits, seed, 2 + random(12));
      const repeats = 5 + random(60);
      const after = 1 + random(6);
      const limits = {
        instructions: 30 + random(400),
        pages: 1 + random(REGION_PAGES),
        repeated: random(30),
        depth: random(4),
        returns: random(4),
        apart: random(2) === 0,
      };
      const options = { after, batch: 1 + random(3), small: limits, revisit: 1 << random(6) };
      const machines = [
        new TestMachine(bits, modules),
        new TestMachine(bits, modules, {
          translator: (host) =>
            new Translator({ ...host, note: (text) => expect.fail(`seed ${seed}: ${text}`) }, { ...options, onRegion: () => translated++ }),
        }),
      ];
      const outcomes = machines.map((machine) => {
        machine.put(CODE, code);
        machine.begin(repeats);
        const done = machine.run(() => 50 + random(5000), 400_000);
        return { done, ...machine.outcome() };
      });
      // A program that patched itself into an endless loop stops anywhere.
      if (!outcomes[0]!.done) continue;
      expect(outcomes[1], `seed ${seed}`).toEqual(outcomes[0]);
      faults += Number(outcomes[0]!.faults);
    }
    expect(translated).toBeGreaterThan(PROGRAMS);
    expect(faults).toBeGreaterThan(PROGRAMS);
  }, 600_000);
});
