/** Instructions by class are counted as they are executed, alike by both engines. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/modules.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const LOOPS = 300;
/** Goes on after each fault: where handlers go on is a word at 0x7000 (testing.ts). */
const RECOVER = 0x7000;

/** mov ecx, LOOPS; L: body; dec ecx; jnz L; hlt */
const looped = (body: readonly number[]): number[] => {
  const back = -(body.length + 8);
  return [0xb9, LOOPS & 255, LOOPS >> 8, 0, 0, ...body, 0xff, 0xc9, 0x0f, 0x85, back & 255, 0xff, 0xff, 0xff, 0xf4];
};

const CASES: readonly { name: string; body: readonly number[]; instructions: number; privileged: number; sensitive: number }[] = [
  { name: 'innocuous ones', body: [0x90, 0xff, 0xc0, 0x50, 0x58], instructions: 4, privileged: 0, sensitive: 0 },
  // cli; mov eax, cr0; clts; in al, 0x10
  { name: 'privileged ones', body: [0xfa, 0x0f, 0x20, 0xc0, 0x0f, 0x06, 0xe4, 0x10], instructions: 4, privileged: 4, sensitive: 0 },
  // pushf; pop rax; push rax; popf; sgdt [rbx]; str eax; mov eax, ds
  {
    name: 'sensitive ones',
    body: [0x9c, 0x58, 0x50, 0x9d, 0x0f, 0x01, 0x03, 0x0f, 0x00, 0xc8, 0x8c, 0xd8],
    instructions: 7,
    privileged: 0,
    sensitive: 5,
  },
  // mov eax, cr0; sti; cli; mov cr0, eax: each may leave a region
  {
    name: 'those that a region looks after',
    body: [0x0f, 0x20, 0xc0, 0xfb, 0xfa, 0x0f, 0x22, 0xc0],
    instructions: 4,
    privileged: 4,
    sensitive: 0,
  },
  // push rcx; mov ecx, 7; mov edx, 0x80; mov esi, 0x80000; rep outsb; rep outsb (nothing left); pop rcx
  {
    name: 'each iteration of one that is repeated',
    body: [0x51, 0xb9, 7, 0, 0, 0, 0xba, 0x80, 0, 0, 0, 0xbe, 0, 0, 8, 0, 0xf3, 0x6e, 0xf3, 0x6e, 0x59],
    instructions: 5 + 7 + 1,
    privileged: 8,
    sensitive: 0,
  },
];

for (const bits of [64, 32] as const)
  for (const { name, body, instructions, privileged, sensitive } of CASES)
    for (const translating of [false, true])
      it(`counts ${name}, in ${bits}-bit mode, ${translating ? 'translated' : 'interpreted'}`, () => {
        let regions = 0;
        const machine = new TestMachine(
          bits,
          modules,
          translating ? { translator: (host) => new Translator(host, { after: 2, batch: 1, onRegion: () => regions++ }) } : {},
        );
        machine.put(CODE, looped(body));
        machine.state.gpr.set(3, 0x80000);
        expect(machine.run(() => 100, 1_000_000)).toBe(true);
        expect(machine.retired).toBe(LOOPS * (instructions + 2) + 2);
        // HLT is one.
        expect(machine.state.privileged).toBe(LOOPS * privileged + 1);
        expect(machine.state.sensitive).toBe(LOOPS * sensitive);
        expect(regions > 0).toBe(translating);
      });

it.each([false, true])('does not count what faults (translated: %s)', (translating) => {
  const machine = new TestMachine(32, modules, translating ? { translator: (host) => new Translator(host, { after: 2, batch: 1 }) } : {});
  // mov [RECOVER], next; mov eax, 0x7777; mov ds, eax -> #GP; next: sldt eax
  const next = CODE + 5 + 10 + 5 + 2;
  const body = [
    0xc7,
    0x05,
    0,
    RECOVER >> 8,
    0,
    0,
    next & 255,
    (next >> 8) & 255,
    next >> 16,
    0,
    0xb8,
    0x77,
    0x77,
    0,
    0,
    0x8e,
    0xd8,
    0x0f,
    0,
    0xc0,
  ];
  machine.put(CODE, looped(body));
  expect(machine.run(() => 1000, 1_000_000)).toBe(true);
  expect(machine.outcome().faults).toBe(String(LOOPS));
  expect(machine.state.sensitive).toBe(LOOPS);
});
