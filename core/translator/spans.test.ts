/** Accesses near each other are looked up in the TLB together: each must come to its own place nevertheless, and fault for itself. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { CODE_32, CODE_64, PAGE } from '../state/index.ts';
import { planSpans } from './emitter/spans.ts';
import type { Region } from './region.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const DATA = 0x90000;
const OTHER = 0x94000;
/** Where the machine's page-table entries are. */
const ENTRIES = { 32: 0x11000, 64: 0x13000 };
const [EAX, ECX, EDX, EBX, ESP, , ESI] = [0, 1, 2, 3, 4, 5, 6];

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
const memory = (register: number, base: number, at: number): number[] => [
  0x80 | (register << 3) | base,
  ...(base === ESP ? [0x24] : []),
  ...le(at),
];
const load = (to: number, base: number, at: number): number[] => [0x8b, ...memory(to, base, at)];
const store = (from: number, base: number, at: number): number[] => [0x89, ...memory(from, base, at)];
/** add [base + at], from */
const addTo = (from: number, base: number, at: number): number[] => [0x01, ...memory(from, base, at)];
const add = (to: number, base: number, at: number): number[] => [0x03, ...memory(to, base, at)];
const set = (register: number, value: number): number[] => [0xb8 + register, ...le(value)];
const push = (register: number): number[] => [0x50 + register];
const pop = (register: number): number[] => [0x58 + register];

describe.each([64, 32] as const)('spans in %d-bit mode', (bits) => {
  const wide = bits === 64 ? [0x48] : [];
  /** add or sub register, n: all of it */
  const step = (register: number, n: number): number[] => [...wide, 0x83, (n < 0 ? 0xe8 : 0xc0) | register, Math.abs(n)];

  /** Does `body` 500 times. Returns how many spans its regions have. */
  function run(body: readonly number[], prepare: (m: TestMachine) => void = () => {}): number {
    const code = [...set(EBX, DATA), ...set(ESI, OTHER), ...set(EDX, 500), ...body.slice(0)];
    // dec edx; jnz; hlt. The body keeps EDX.
    code.push(0xff, 0xca, 0x0f, 0x85, ...le(-(body.length + 8)), 0xf4);
    let spans = 0;
    const count = (m: TestMachine, r: Region): void => {
      const view = new DataView(m.memory.buffer);
      for (const b of r.blocks) spans += planSpans(b.instructions, view, bits === 64 ? CODE_64 : CODE_32).size;
    };
    const outcomes = [false, true].map((translated) => {
      const made: TestMachine = new TestMachine(
        bits,
        modules,
        translated
          ? {
              translator: (host) =>
                new Translator(
                  { ...host, note: (text) => expect.fail(text) },
                  {
                    after: 16,
                    batch: 1,
                    onRegion: (r) => count(made, r),
                    small: { instructions: 400, pages: 1, repeated: 16, depth: 3, returns: 2, apart: true },
                  },
                ),
            }
          : {},
      );
      made.put(CODE, code);
      prepare(made);
      expect(made.run(() => 700, 1_000_000)).toBe(true);
      return made.outcome();
    });
    expect(outcomes[1]).toEqual(outcomes[0]);
    return spans;
  }

  it('are apart for different registers', () => {
    const body = [load(EAX, EBX, 4), add(EAX, ESI, 8), addTo(EDX, EBX, 4), store(EAX, EBX, 8), addTo(EAX, ESI, 8), store(EDX, ESI, 12)];
    expect(run(body.flat())).toBeGreaterThan(1);
  });

  it('hold pushes, pops and slots of a frame, wherever the stack pointer is moved by constants', () => {
    const body = [
      push(EDX),
      push(EAX),
      step(ESP, -32),
      store(EDX, ESP, 8),
      addTo(EDX, ESP, 32),
      load(EAX, ESP, 8),
      step(ESP, 32),
      pop(ECX),
      addTo(ECX, ESP, 0),
      pop(EAX),
    ];
    expect(run(body.flat())).toBeGreaterThan(0);
  });

  it('follow a pointer that is moved', () => {
    const body = [load(EAX, EBX, 0), step(EBX, 4), addTo(EDX, EBX, 0), step(EBX, 4), add(EAX, EBX, -4), store(EAX, EBX, 4)];
    expect(run(body.flat())).toBeGreaterThan(0);
  });

  it('end where a pointer is loaded', () => {
    const link = (m: TestMachine): void => {
      m.put(DATA, [...le(OTHER), 0, 0, 0, 0, 1]);
      m.put(OTHER, [...le(DATA), 0, 0, 0, 0, 2]);
    };
    run([addTo(EDX, EBX, 8), load(EBX, EBX, 0), addTo(EDX, EBX, 8), load(EAX, EBX, 12), store(EAX, EBX, 16)].flat(), link);
  });

  it('are of no use across pages that are apart in RAM', () => {
    const apart = (m: TestMachine): void => {
      const size = bits / 8;
      m.put(ENTRIES[bits] + (DATA / PAGE + 1) * size, le((OTHER + PAGE) | 0x67));
    };
    const at = PAGE - 8;
    const body = [
      store(EDX, EBX, at),
      addTo(EDX, EBX, at + 4),
      store(EDX, EBX, at + 6),
      addTo(EDX, EBX, at + 8),
      load(EAX, EBX, at + 12),
      store(EAX, ESI, 0),
    ];
    expect(run(body.flat(), apart)).toBeGreaterThan(0);
  });
});
