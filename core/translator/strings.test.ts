/** Repeated string instructions under both engines: each iteration is an instruction, wherever pages end and budgets run out. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { CODE, numbers, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

const DATA = 0x80000;
/** Of testing.ts: a page that is not there, and one that is read-only. */
const ABSENT = 0x83000;
const READ_ONLY = 0x86000;
const RECOVER = 0x7000;
const COUNT = 0x7020;

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
const engines = (bits: 32 | 64): TestMachine[] => [
  new TestMachine(bits, modules),
  new TestMachine(bits, modules, { translator: (host) => new Translator(host, { after: 2, batch: 1 }) }),
];

describe.each([64, 32] as const)('in %d-bit mode', (bits) => {
  /** Chunks that each set up and execute a few string instructions; a fault goes on with the next chunk. */
  function program(seed: number): number[] {
    const random = numbers(seed);
    const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
    const out: number[] = [];
    const pointer = (): number =>
      pick([DATA + random(0x2800), DATA + random(64), DATA + 0xff0 + random(32), ABSENT - random(300), READ_ONLY - random(300)]);
    for (let chunk = 0; chunk < 6; chunk++) {
      out.push(0xc7, 0x04, 0x25, ...le(RECOVER), 0, 0, 0, 0);
      const at = out.length - 4;
      for (let n = 1 + random(3); n > 0; n--) {
        out.push(
          0xbe,
          ...le(pointer()),
          0xbf,
          ...le(random(2) ? pointer() : DATA + random(200)),
          0xb9,
          ...le(random(4) ? random(90) : random(3000)),
        );
        out.push(0xb8, ...le(pick([0, 0x01010101, random(0x7fffffff)])), pick([0xfc, 0xfc, 0xfd]));
        const rep = pick([0xf3, 0xf3, 0xf2, undefined]);
        if (rep) out.push(rep);
        if (random(4) === 0) out.push(0x66);
        else if (bits === 64 && random(3) === 0) out.push(0x48);
        out.push(pick([0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf]));
        // Flags and pointers, where they will be compared.
        out.push(0x0f, 0x94, 0xc3, 0x01, 0xcb, 0x01, 0xf3);
      }
      le(CODE + out.length).forEach((b, i) => (out[at + i] = b));
      out.push(0xfc);
    }
    out.push(0xff, 0x0c, 0x25, ...le(COUNT));
    out.push(0x0f, 0x85, ...le(-out.length - 6), 0xf4);
    return out;
  }

  it('they come to the same end after the same number of instructions, whatever the budgets', () => {
    let faults = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const random = numbers(seed);
      const code = program(seed);
      const bytes = Array.from({ length: 0x7000 }, () => random(4));
      const outcomes = [[10_000_000], [1 + random(40)], [100 + random(2000)]].flatMap(([slice]) =>
        engines(bits).map((m) => {
          m.put(CODE, code);
          m.put(DATA, bytes);
          m.begin(3 + (seed % 5));
          const done = m.run(() => slice!, 10_000_000);
          return { done, ...m.outcome() };
        }),
      );
      expect(outcomes[0]!.done).toBe(true);
      for (const o of outcomes) expect(o, `seed ${seed}`).toEqual(outcomes[0]);
      faults += Number(outcomes[0]!.faults);
    }
    expect(faults).toBeGreaterThan(10);
  });

  it('the number of instructions is that of the iterations', () => {
    // mov edi, DATA; mov ecx, 5000; mov al, 7; rep stosb; mov ecx, 0; rep stosb; hlt
    const code = [0xbf, ...le(DATA - 0x100), 0xb9, ...le(0x2345), 0xb0, 7, 0xf3, 0xaa, 0xb9, 0, 0, 0, 0, 0xf3, 0xaa, 0xf4];
    for (const slice of [1_000_000, 1000, 1])
      for (const m of engines(bits)) {
        m.put(CODE, code);
        expect(m.run(() => slice, 1_000_000)).toBe(true);
        expect(m.retired).toBe(3 + 0x2345 + 1 + 1 + 1);
      }
  });

  it('one that overwrites itself after its source was in another page is fetched again', () => {
    // mov esi, DATA + 0xff0; mov edi, rep - 32; mov ecx, 10; ... rep movsd: four, which are near it, then five, of which the last is over it
    const rep = CODE + 40;
    const start = [0xbe, ...le(DATA + 0xff0), 0xbf, ...le(rep - 32), 0xb9, ...le(10)];
    for (const slice of [1_000_000, 20, 1])
      for (const m of engines(bits)) {
        m.put(
          CODE,
          Array.from({ length: 0x100 }, () => 0x90),
        );
        m.put(CODE, start);
        m.put(rep, [0xf3, 0xa5]);
        // What it copies: HLT.
        m.put(
          DATA + 0xff0,
          Array.from({ length: 40 }, () => 0xf4),
        );
        expect(m.run(() => slice, 1_000_000)).toBe(true);
        expect([m.state.gpr.get(1), m.retired]).toEqual([1, 3 + 25 + 9 + 1]);
      }
  });

  it.each([
    ['within a page', CODE + 0x40],
    ['across pages', CODE + 0xfff],
  ])('one that overwrites itself %s is fetched again', (_, rep) => {
    // mov edi, rep - 16; mov ecx, 100; mov al, 0x90; ... rep stosb, in a field of NOPs; hlt
    const start = [0xbf, ...le(rep - 16), 0xb9, ...le(100), 0xb0, 0x90];
    for (const slice of [1_000_000, 10, 1])
      for (const m of engines(bits)) {
        m.put(
          CODE,
          Array.from({ length: 0x1100 }, () => 0x90),
        );
        m.put(CODE, start);
        m.put(rep, [0xf3, 0xaa]);
        m.put(CODE + 0x1100, [0xf4]);
        expect(m.run(() => slice, 1_000_000)).toBe(true);
        // 17 iterations, the last of which makes a NOP of REP; then STOSB, once, which makes one of itself.
        expect([m.state.gpr.get(1), m.state.gpr.get(7)]).toEqual([100 - 17, rep + 2]);
        expect(m.retired).toBe(3 + (rep - CODE - start.length) + 17 + 1 + 1 + (CODE + 0x1100 - rep - 2) + 1);
      }
  });
});
