/** What the vCPU says that it is doing (`Cpu.activity`), where it can be seen: at the ends of budgets. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { ACTIVITY_NONE } from '../state/index.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

/** L: add eax, ecx; dec ecx; jmp L */
const LOOP = [0x01, 0xc8, 0xff, 0xc9, 0xeb, 0xfa];

function ends(bits: 32 | 64, code: readonly number[], translating: boolean): { interpreted: number; translated: number } {
  const machine = new TestMachine(
    bits,
    modules,
    translating ? { translator: (host) => new Translator(host, { after: 20, batch: 1 }) } : {},
  );
  machine.put(CODE, code);
  machine.run(() => 1000, 200_000);
  expect(machine.state.activity).toBe(ACTIVITY_NONE);
  return { interpreted: machine.state.endedInterpreted, translated: machine.state.endedTranslated };
}

it.each([32, 64] as const)('says whether a budget ended in interpreted or in translated code, in %i-bit mode', (bits) => {
  expect(ends(bits, LOOP, false)).toEqual({ interpreted: expect.toSatisfy((n: number) => n > 150), translated: 0 });
  // The first turns are the interpreter's.
  const { interpreted, translated } = ends(bits, LOOP, true);
  expect(interpreted).toBeLessThan(5);
  expect(translated).toBeGreaterThan(150);
});
