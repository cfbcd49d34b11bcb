/** What a write to translated code ends, and what it leaves. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/modules.ts';
import { CODE, TestMachine } from './testing.ts';
import { translationStatistics } from './statistics.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const AFTER = 4;
const HLT = 0xf4;
const machine = (): TestMachine => new TestMachine(64, modules, { translator: (host) => new Translator(host, { after: AFTER, batch: 1 }) });
/** mov ecx, count; again: add eax, n; dec ecx; jnz again; hlt */
const loop = (count: number, n: number): number[] => [0xb9, count, 0, 0, 0, 0x83, 0xc0, n, 0xff, 0xc9, 0x75, 0xf9, HLT];
const ADD = 7;
const OTHER = 0x400;

function go(m: TestMachine, at: number): number {
  m.state.rip = CODE + at;
  m.state.halted = 0;
  m.state.gpr.set(0, 0);
  expect(m.run(() => 10_000, 100_000)).toBe(true);
  return m.state.gpr.get(0);
}
const patch = (m: TestMachine, at: number, byte: number): void => {
  m.put(CODE + at, [byte]);
  m.engine.helpers.invalidateCode((CODE + at) >> 12, at & 0xfff, at & 0xfff);
};
const statistics = (m: TestMachine) => translationStatistics(m.memory.buffer);

describe('a write to a page with translations', () => {
  it('ends those that it changes, and no others', () => {
    const m = machine();
    m.put(CODE, loop(100, 3));
    m.put(CODE + OTHER, loop(100, 5));
    expect([go(m, 0), go(m, OTHER)]).toEqual([300, 500]);
    const before = statistics(m);
    expect(before.invalidated).toBe(0);
    patch(m, ADD, 7);
    expect(statistics(m).invalidated).toBeGreaterThan(0);
    expect(go(m, OTHER)).toBe(500);
    // Nothing of it had to be translated again.
    expect(statistics(m).regions).toBe(before.regions);
    expect([go(m, 0), go(m, OTHER)]).toEqual([700, 500]);
    expect(statistics(m).regions).toBeGreaterThan(before.regions);
  });

  it('leaves all as it is if there is no code where it goes', () => {
    const m = machine();
    m.put(CODE, loop(100, 3));
    expect(go(m, 0)).toBe(300);
    // HLT is left to the interpreter each time.
    const { fallbacks: _, ...before } = statistics(m);
    patch(m, 0x800, 1);
    expect(go(m, 0)).toBe(300);
    expect(statistics(m)).toMatchObject(before);
  });

  it('makes the next translation come later each time', () => {
    const m = machine();
    m.put(CODE, loop(20, 3));
    for (let n = 1; n <= 100; n++) {
      patch(m, ADD, n);
      expect(go(m, 0)).toBe(20 * n);
    }
    const { regions } = statistics(m);
    // Had it come each time at the fourth entry, there would be one for each change.
    expect(regions).toBeLessThan(40);
    expect(regions).toBeGreaterThan(1);
  });
});
