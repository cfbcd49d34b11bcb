/** Instructions that take a region apart are counted by name. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { translationStatistics } from './statistics.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

it.each([32, 64] as const)('counts what is left to the interpreter, in %i-bit mode', (bits) => {
  const machine = new TestMachine(bits, modules, { translator: (host) => new Translator(host, { after: 10, batch: 1 }) });
  // mov ecx, 500; L: add eax, ecx; invlpg [0x80000]; dec ecx; jnz L; hlt
  const loop = [0x01, 0xc8, 0x0f, 0x01, 0x3c, 0x25, 0, 0, 8, 0, 0xff, 0xc9, 0x75, 0xf2];
  machine.put(CODE, [0xb9, 0xf4, 1, 0, 0, ...loop, 0xf4]);
  expect(machine.run(() => 10_000, 100_000)).toBe(true);
  const { fallbacks } = translationStatistics(machine.memory.buffer);
  // All but the first turns, which were interpreted.
  expect(fallbacks['INVLPG m']).toBeGreaterThan(450);
  expect(fallbacks['INVLPG m']).toBeLessThanOrEqual(500);
  expect(Object.keys(fallbacks).filter((name) => name !== 'HLT')).toEqual(['INVLPG m']);
});
