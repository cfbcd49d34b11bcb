/**
 * Every recorded vector, through the interpreter. To see one row: `npx vitest run --project unit test/conformance -t 'ADD'`. To record what is new:
 * `node test/conformance/record.ts` on an x86-64 Linux with gcc.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/modules.ts';
import { SETS, type Encoding, type Form } from './encode.ts';
import { explain } from './explain.ts';
import type { Mode } from './image.ts';
import { input } from './inputs.ts';
import { ConformanceMachine } from './machine.ts';
import { buildNative, type Native } from './native.ts';
import { tooFar } from './tolerance.ts';
import { approximate, normalize } from './undefined.ts';
import {
  PARTS,
  RAW,
  RUNS,
  allForms,
  digest,
  digestUnchanged,
  encodingsHash,
  encodingsOf,
  rawResult,
  readVectors,
  type Recorded,
} from './vectors.ts';

const vectors = readVectors();
const forms = allForms();
let modules: EngineModules;
let native: Native | undefined;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});
afterAll(() => native?.close());

/** For the message of a failure: what this CPU does, if it can be asked. */
function expected(mode: Mode, encoding: Encoding, before: Uint8Array): Uint8Array | undefined {
  try {
    native ??= buildNative();
    return native.run(mode, [{ code: encoding.bytes, images: [before] }])[0]![0];
  } catch {
    return undefined;
  }
}

/** Plays a form's vectors; the message for the first run that differs, with how many do. */
function play(machine: ConformanceMachine, form: Form, encodings: readonly Encoding[], recorded: Recorded): string | undefined {
  let wrong = 0;
  let message: string | undefined;
  const how = approximate(form);
  encodings.forEach((encoding, n) => {
    machine.load(encoding.bytes);
    for (let i = 0; i < SETS; i++) {
      const run = n * SETS + i;
      const before = input(form, n, encoding, i);
      const after = machine.run(before);
      const outcome = after.slice();
      const raw = rawResult(form, encoding, outcome);
      normalize(form, encoding, before, outcome);
      const unchanged = digestUnchanged(form, encoding, before);
      const made = digest(outcome);
      const parts: string[] = PARTS.filter((_, part) => (made[part]! ^ unchanged[part]!) !== recorded.hashes[part * RUNS + run]);
      if (how !== undefined && raw !== undefined && tooFar(how, raw, recorded.raw.subarray(run * RAW[how], (run + 1) * RAW[how])))
        parts.push('inexact result');
      if (parts.length === 0) continue;
      wrong++;
      message ??= `${form.name}, encoding ${n}, set ${i}: ${parts.join('; ')}\n${explain(form, encoding, before, after, expected(form.mode, encoding, before))}`;
    }
  });
  return message === undefined ? undefined : `${wrong} of ${RUNS} runs differ from the real CPU; the first:\n${message}`;
}

describe.each([64, 32] as const)('as the real CPU does, in %d-bit mode', (mode) => {
  let machine: ConformanceMachine;
  beforeAll(() => {
    machine = new ConformanceMachine(mode, modules);
  });

  const byMnemonic = new Map<string, Form[]>();
  for (const form of forms.filter((f) => f.mode === mode)) {
    const group = byMnemonic.get(form.row.mnemonic);
    if (group) group.push(form);
    else byMnemonic.set(form.row.mnemonic, [form]);
  }
  it.each([...byMnemonic])('%s', (_, group) => {
    const problems: string[] = [];
    for (const form of group) {
      const recorded = vectors.get(form.name);
      const encodings = encodingsOf(form);
      if (recorded === undefined) problems.push(`${form.name}: no vectors recorded`);
      else if (recorded.encodings !== encodingsHash(encodings)) problems.push(`${form.name}: its encodings changed since it was recorded`);
      else if (recorded.hashes.length > 0)
        problems.push(...[play(machine, form, encodings, recorded)].filter((problem) => problem !== undefined));
    }
    if (problems.length > 0) expect.fail(`${problems.length} of ${group.length} forms:\n${problems.slice(0, 3).join('\n\n')}`);
  });
});

describe('the recorded vectors', () => {
  it('belong to rows that exist', () => {
    const names = new Set(forms.map((form) => form.name));
    expect([...vectors.keys()].filter((name) => !names.has(name))).toEqual([]);
  });

  it('hold over 100 operand sets of each form', () => {
    expect(RUNS).toBeGreaterThanOrEqual(100);
    expect(forms.length).toBeGreaterThan(1500);
  });
});
