/** A few thousand random programs, always the same: interpreter against translator. More of them: `npm run fuzz`. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/engine.ts';
import { FULL_ADAPT, FULL_ON, FULL_TRANSLATE } from '../../core/state/index.ts';
import { Search } from './search.ts';

/** Of each mode. */
const PROGRAMS = 500;
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const FULL = FULL_ON | FULL_TRANSLATE | FULL_ADAPT;

it.each([
  { bits: 64, full: 0, how: 'bare' },
  { bits: 32, full: 0, how: 'bare' },
  { bits: 64, full: FULL, how: 'fully virtualized' },
  { bits: 32, full: FULL, how: 'fully virtualized' },
] as const)(
  'random programs come to the same, in $bits-bit mode, $how',
  ({ bits, full }) => {
    const search = new Search(modules, { bits, most: 2000, full });
    const count = full ? PROGRAMS / 2 : PROGRAMS;
    for (let seed = 1; seed <= count; seed++) {
      const failure = search.run(seed);
      if (failure !== undefined) expect.fail(failure);
    }
    const { programs, instructions, events, regions, shutdowns, exits } = search.totals;
    expect(programs).toBeGreaterThan(count * 0.99);
    // They must have come far, met what there is to meet, and been translated.
    expect(instructions / programs).toBeGreaterThan(1500);
    expect(events / programs).toBeGreaterThan(8);
    expect(regions / programs).toBeGreaterThan(3);
    expect(shutdowns / programs).toBeLessThan(0.1);
    if (full) expect(exits / programs).toBeGreaterThan(20);
    else expect(exits).toBe(0);
  },
  600_000,
);

// Of this generator: found among half a million.
it('where a data access moves the code that is being executed, engines may differ', () => {
  const search = new Search(modules, { most: 3000, full: 0 });
  expect(search.run(500_449_995)).toBeUndefined();
  expect(search.totals.allowed).toBe(1);
});
