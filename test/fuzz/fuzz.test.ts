/** A few thousand random programs, always the same: interpreter against translator. More of them: `npm run fuzz`. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/engine.ts';
import { Search } from './search.ts';

/** Of each mode. */
const PROGRAMS = 500;
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

it.each([64, 32] as const)(
  'random programs come to the same, in %d-bit mode',
  (bits) => {
    const search = new Search(modules, { bits, most: 2000 });
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const failure = search.run(seed);
      if (failure !== undefined) expect.fail(failure);
    }
    const { programs, instructions, events, regions, shutdowns } = search.totals;
    expect(programs).toBeGreaterThan(PROGRAMS * 0.99);
    // They must have come far, met what there is to meet, and been translated.
    expect(instructions / programs).toBeGreaterThan(1500);
    expect(events / programs).toBeGreaterThan(8);
    expect(regions / programs).toBeGreaterThan(6);
    expect(shutdowns / programs).toBeLessThan(0.1);
  },
  600_000,
);
