/**
 * What the vectors' inputs come to under interpreter and translator: every form, translated at its first execution. (That the interpreter does
 * as the real CPU does is conformance.test.ts's business.)
 */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/modules.ts';
import { Translator } from '../../core/translator/index.ts';
import { input } from './inputs.ts';
import { ConformanceMachine } from './machine.ts';
import { allForms, encodingsOf } from './vectors.ts';

/** Of each form: encodings, and operand sets of each. */
const ENCODINGS = 3;
const INPUTS = 6;
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

it.each([64, 32] as const)(
  'the translator does as the interpreter does, in %d-bit mode',
  (mode) => {
    let regions = 0;
    const notes: string[] = [];
    const interpreter = new ConformanceMachine(mode, modules);
    const translator = new ConformanceMachine(mode, modules, {
      translator: (host) =>
        new Translator({ ...host, note: (text) => notes.push(text) }, { after: 1, batch: 1, onRegion: () => regions++ }),
    });
    const different: string[] = [];
    for (const form of allForms().filter((f) => f.mode === mode))
      for (const [n, encoding] of encodingsOf(form).slice(0, ENCODINGS).entries()) {
        interpreter.load(encoding.bytes);
        translator.load(encoding.bytes);
        for (let i = 0; i < INPUTS; i++) {
          const before = input(form, n, encoding, i);
          if (Buffer.compare(interpreter.run(before), translator.run(before)) !== 0)
            different.push(`${form.name}, encoding ${n}, set ${i}`);
        }
      }
    expect(different).toEqual([]);
    expect(notes).toEqual([]);
    expect(regions).toBeGreaterThan(4000);
  },
  120_000,
);
