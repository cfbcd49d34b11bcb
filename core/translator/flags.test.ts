/** Flags of one instruction, some of them changed by others: each condition and PUSHF, under interpreter and translator. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/modules.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

/** Of EAX and EBX. */
const SETTERS = {
  add: [0x01, 0xd8], 'add 8': [0x00, 0xd8], sub: [0x29, 0xd8], 'sub 16': [0x66, 0x29, 0xd8], and: [0x21, 0xd8], sbb: [0x19, 0xd8],
  imul: [0x0f, 0xaf, 0xc3], shl: [0xc1, 0xe0, 3], sahf: [0x9e],
}; // prettier-ignore
const CHANGES = {
  nothing: [], inc: [0xff, 0xc0], dec: [0xff, 0xc8], 'dec 16': [0x66, 0xff, 0xc8], 'inc 8': [0xfe, 0xc0], rol: [0xc1, 0xc0, 5], ror: [0xd1, 0xc8],
  'rol cl': [0xd3, 0xc0], 'shr cl': [0xd3, 0xe8], 'rcl cl': [0xd2, 0xd0], adc: [0x11, 0xd8], bt: [0x0f, 0xa3, 0xd8], cmc: [0xf5], stc: [0xf9], 'a load': [0x8b, 0x16],
}; // prettier-ignore
const VALUES = [0, 1, 0x7f, 0x80, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const RESULTS = 0x80000;
const ADDRESSES = 0x7ff00;
let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];

/** Does all instructions on all values; what each condition is goes to memory bit by bit, the flags behind them. */
function code(instructions: readonly number[]): number[] {
  const out = [0xbf, ...le(RESULTS), 0xbe, ...le(ADDRESSES)]; // mov edi, RESULTS; mov esi, ADDRESSES
  for (const a of VALUES)
    for (const b of [a, 1, 0x80000000]) {
      out.push(0xbd, ...le(1), 0xb8, ...le(a), 0xbb, ...le(b), 0xb9, ...le(b), ...instructions); // ebp = 1, eax, ebx, ecx
      for (let cc = 0; cc < 16; cc++) out.push(0xba, 0, 0, 0, 0, 0x0f, 0x90 + cc, 0xc2, 0x8d, 0x6c, 0x6d, 0, 0x8d, 0x6c, 0x15, 0); // edx = 0; setcc dl; ebp = 3 ebp; ebp += edx
      out.push(0x9c, 0x5a, 0x89, 0x2f, 0x89, 0x57, 4, 0x89, 0x47, 8, 0x8d, 0x7f, 12); // pushf; pop edx; mov [edi], ebp; [edi + 4], edx; [edi + 8], eax; edi += 12
    }
  return [...out, 0xf4];
}

it.each(Object.keys(SETTERS))('%s, and changes', (setter) => {
  const reference = new TestMachine(64, modules);
  let regions = 0;
  const tested = new TestMachine(64, modules, {
    translator: (host) =>
      new Translator({ ...host, note: (text) => expect.fail(text) }, { after: 1, batch: 1, onRegion: () => void regions++ }),
  });
  for (const [first, one] of Object.entries(CHANGES))
    for (const [second, other] of Object.entries(CHANGES)) {
      const program = code([...SETTERS[setter as keyof typeof SETTERS], ...one, ...other]);
      const outcomes = [reference, tested].map((machine) => {
        machine.put(CODE, program);
        machine.engine.helpers.invalidateCode(CODE >>> 12, 0, 4095);
        for (let page = 1; page * 4096 < program.length; page++) machine.engine.helpers.invalidateCode((CODE >>> 12) + page, 0, 4095);
        // Translated at the second time.
        for (let time = 1; time <= 8; time++) {
          machine.state.rip = CODE;
          machine.state.halted = 0;
          machine.run(() => 100_000, 1_000_000);
        }
        return machine.outcome();
      });
      expect(outcomes[1], `${setter}, ${first}, ${second}`).toEqual(outcomes[0]);
    }
  expect(regions).toBeGreaterThan(169);
});
