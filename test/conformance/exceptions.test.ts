/** Floating-point exceptions as the real CPU has them, through the interpreter: see exceptions.ts. */
import { describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules } from '../../core/processor/modules.ts';
import { SETS } from './encode.ts';
import { exceptionForms, exceptionInput, outcome, readExceptions } from './exceptions.ts';
import { explain } from './explain.ts';
import { ConformanceMachine } from './machine.ts';
import { encodingsOf } from './vectors.ts';

const recorded = readExceptions();
const forms = exceptionForms();

describe('unmasked floating-point exceptions', () => {
  it('are recorded for every form', () => {
    expect([...recorded.keys()].sort()).toEqual(forms.map((form) => form.name).sort());
    expect(forms.length).toBeGreaterThan(200);
  });

  it('come, and leave things, as the real CPU does', { timeout: 120_000 }, async () => {
    await buildCore();
    const machine = new ConformanceMachine(64, await compileModules(async (name) => readModule(name)));
    const problems: string[] = [];
    for (const form of forms) {
      let wrong = 0;
      encodingsOf(form).forEach((encoding, n) => {
        machine.load(encoding.bytes);
        for (let i = 0; i < SETS; i++) {
          const before = exceptionInput(form, n, encoding, i);
          const after = machine.run(before);
          if (outcome(form, encoding, before, after) === recorded.get(form.name)?.[n * SETS + i]) continue;
          if (wrong++ === 0) problems.push(`${form.name}, encoding ${n}, set ${i}:\n${explain(form, encoding, before, after, undefined)}`);
        }
      });
    }
    if (problems.length > 0) expect.fail(`${problems.length} forms differ:\n${problems.slice(0, 3).join('\n\n')}`);
  });
});
