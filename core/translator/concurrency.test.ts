/** Translation while others change what it reads, and by several threads. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { handlerCount } from '../processor/handlers.ts';
import { BlockHeader, CodePage, Control, CPUS, EXIT_HALT, HANDLER_COUNT, MODULE_ALIGN, Record, Translations } from '../state/index.ts';
import type { CompilerData, ToCompiler } from './background.ts';
import { Bell } from './bell.ts';
import { Compiler, type CompilerOptions } from './compiler.ts';
import { Requests } from './requests.ts';
import { translationStatistics } from './statistics.ts';
import { CODE, numbers, program, TestMachine } from './testing.ts';
import type { EngineData, FromEngine, ToEngine } from './testing/worker.ts';
import { Translator, type TranslatorOptions } from './translator.ts';

const AFTER = 4;
const HLT = 0xf4;
/** mov ecx, count; again: add eax, n; dec ecx; jnz again; hlt */
const loop = (count: number, n: number): number[] => [0xb9, count, 0, 0, 0, 0x83, 0xc0, n, 0xff, 0xc9, 0x75, 0xf9, HLT];
const ADD = 7;
const AGAIN = 5;

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const machine = (options: TranslatorOptions): TestMachine =>
  new TestMachine(64, modules, { translator: (host) => new Translator(host, { after: AFTER, ...options }) });
const statistics = (m: TestMachine) => translationStatistics(m.memory.buffer);

function go(m: TestMachine, at = 0): number {
  m.state.rip = CODE + at;
  m.state.halted = 0;
  m.state.gpr.set(0, 0);
  expect(m.run(() => 10_000, 100_000)).toBe(true);
  return m.state.gpr.get(0);
}

/** The first record of the block that begins at CODE + `at`. */
function record(m: TestMachine, at: number): number {
  const { buffer } = m.memory;
  const page = CodePage.view(buffer, Control.view(buffer, 0).codePages + (CODE >> 12) * CodePage.size);
  for (let header = page.blocks; header !== 0; header = BlockHeader.view(buffer, header).next) {
    const first = header + BlockHeader.size;
    if (Record.view(buffer, first).pageOffset === (CODE & 0xfff) + at) return first;
  }
  throw new Error('that block was not decoded');
}

const handler = (m: TestMachine, at: number): number => Record.view(m.memory.buffer, record(m, at)).handler;

describe('a compiler elsewhere', () => {
  /** Asked for, and not compiled yet. */
  const waiting = (options: CompilerOptions = {}): { m: TestMachine; compiler: Compiler } => {
    const m = machine({ wake: () => {} });
    m.put(CODE, loop(100, 3));
    expect(go(m)).toBe(300);
    expect(statistics(m).regions).toBe(0);
    return { m, compiler: new Compiler(m.memory, options) };
  };

  it('makes what was asked for, and the vCPU goes on with it', () => {
    const { m, compiler } = waiting();
    expect(handler(m, AGAIN)).toBe(HANDLER_COUNT);
    expect(compiler.work()).toBe(0);
    expect(compiler.work()).toBe(Infinity);
    expect(handler(m, AGAIN)).toBeGreaterThanOrEqual(handlerCount());
    expect(go(m)).toBe(300);
    expect(statistics(m)).toMatchObject({ regions: 1, live: { regions: 1, modules: 1 } });
  });

  it('lets a request wait for company so long, and no longer for being made again', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { m, compiler } = waiting({ patience: 20, batch: 3 });
      expect(compiler.work()).toBe(20);
      vi.advanceTimersByTime(15);
      new Requests(m.memory.buffer).put(m.state.address, record(m, AGAIN));
      expect(compiler.work()).toBe(5);
      vi.advanceTimersByTime(5);
      expect(compiler.work()).toBe(0);
      expect(statistics(m).regions).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('does not install what was overtaken by a write', () => {
    let m: TestMachine | undefined;
    const made = waiting({
      onRegion: () => {
        m!.put(CODE + ADD, [5]);
        m!.engine.helpers.invalidateCode(CODE >> 12, ADD, ADD);
      },
    });
    m = made.m;
    made.compiler.work();
    expect(statistics(m)).toMatchObject({ regions: 0, overtaken: 1, live: { regions: 0 } });
    expect(go(m)).toBe(500);
  });

  it('does not install what was found before all decoded code was forgotten', () => {
    let m: TestMachine | undefined;
    const made = waiting({ onRegion: () => m!.engine.helpers.forgetCode() });
    m = made.m;
    made.compiler.work();
    expect(statistics(m)).toMatchObject({ regions: 0, overtaken: 1, live: { regions: 0 } });
    // Requests from before mean nothing either.
    m.put(CODE + ADD, [7]);
    expect(go(m)).toBe(700);
    m.engine.helpers.forgetCode();
    expect(made.compiler.work()).toBe(Infinity);
    expect(go(m)).toBe(700);
  });

  it('ends translations when all decoded code is forgotten', () => {
    const { m, compiler } = waiting();
    compiler.work();
    expect(go(m)).toBe(300);
    m.put(CODE + ADD, [9]);
    m.engine.helpers.forgetCode();
    expect(statistics(m).live.regions).toBe(0);
    expect(go(m)).toBe(900);
    compiler.work();
    expect(go(m)).toBe(900);
    expect(statistics(m)).toMatchObject({ regions: 2, live: { regions: 1 } });
  });

  it('may be replaced by another: all it knew is in the memory', () => {
    const { m, compiler } = waiting();
    compiler.work();
    m.put(CODE + 0x400, loop(50, 2));
    expect(go(m, 0x400)).toBe(100);
    expect(new Compiler(m.memory).work()).toBe(0);
    expect([go(m), go(m, 0x400)]).toEqual([300, 100]);
    expect(statistics(m).live.regions).toBe(2);
  });
});

describe('a small cache', () => {
  it.each([64, 32] as const)(
    'gives way to what is new, and all comes to the same end, in %d-bit mode',
    (bits) => {
      let evicted = 0;
      for (let seed = 1; seed <= 12; seed++) {
        const random = numbers(seed ^ 0xcac4e);
        const code = program(bits, seed, 4 + random(12));
        const machines = [false, true].map((translated) => {
          const m = new TestMachine(bits, modules, {
            translator: translated
              ? (host) => {
                  const control = Control.view(host.memory.buffer, 0);
                  control.modulesEnd = control.modules + MODULE_ALIGN * (400 + random(400));
                  const translator = new Translator(host, { after: 1 + random(4), batch: 1 + random(3) });
                  Translations.view(host.memory.buffer, control.translations).slotsEnd = 8 + random(8);
                  return translator;
                }
              : undefined,
          });
          m.put(CODE, code);
          m.begin(20);
          return m;
        });
        const [expected, outcome] = machines.map((m) => ({ done: m.run(() => 50 + random(3000), 400_000), ...m.outcome() }));
        if (!expected!.done) continue;
        expect(outcome, `seed ${seed}`).toEqual(expected);
        evicted += statistics(machines[1]!).evicted;
      }
      expect(evicted).toBeGreaterThan(30);
    },
    120_000,
  );

  it('does not use a slot again while a run may be in its function', () => {
    const m = machine({ wake: () => {} });
    const compiler = new Compiler(m.memory);
    const state = Translations.view(m.memory.buffer, Control.view(m.memory.buffer, 0).translations);
    m.put(CODE, loop(100, 3));
    m.put(CODE + 0x400, loop(100, 5));
    go(m);
    state.slotsEnd = 1;
    compiler.work();
    const slot = handler(m, AGAIN);
    // As if another thread had begun a run now.
    m.state.epoch = state.epoch;
    m.engine.helpers.invalidateCode(CODE >> 12, ADD, ADD);
    const running = m.state.epoch;
    go(m, 0x400);
    m.state.epoch = running;
    compiler.work();
    expect(handler(m, 0x400 + AGAIN)).toBe(HANDLER_COUNT);
    m.state.epoch = 0;
    go(m, 0x400);
    compiler.work();
    expect(handler(m, 0x400 + AGAIN)).toBe(slot);
    expect(go(m, 0x400)).toBe(500);
  });
});

describe('a vCPU that moves between two threads', () => {
  let worker: Worker;
  let compiler: Worker;
  const bell = new Bell();
  afterAll(() => Promise.all([worker.terminate(), compiler.terminate()]));

  it('comes to the same end, with a third that compiles', async () => {
    worker = new Worker(new URL('./testing/worker.ts', import.meta.url), {
      workerData: { modules, bell: bell.buffer } satisfies EngineData,
    });
    compiler = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { bell: bell.buffer } satisfies CompilerData });
    const call = async (message: ToEngine): Promise<FromEngine> => {
      worker.postMessage(message);
      const [answer] = (await once(worker, 'message')) as [FromEngine];
      return answer;
    };
    let regions = 0;
    // The compiler's thread comes up when it can.
    for (let seed = 1; seed <= 25 || (regions <= 25 && seed < 1000); seed++) {
      const random = numbers(seed ^ 0x70ad);
      const code = program(64, seed, 4 + random(12));
      const after = 1 + random(4);
      const [interpreted, m] = [new TestMachine(64, modules), machine({ after, wake: () => bell.ring() })];
      for (const one of [interpreted, m]) {
        one.put(CODE, code);
        one.begin(200);
      }
      if (!interpreted.run(() => 10_000, 400_000)) continue;
      compiler.postMessage({ type: 'attach', key: seed, memory: m.memory } satisfies ToCompiler);
      await call({ type: 'open', memory: m.memory, after });
      let retired = 0;
      for (let done = false, here = true; !done; here = !here) {
        const budget = 200 + random(3000);
        if (here) {
          done = m.engine.run(CPUS, budget) === EXIT_HALT;
          retired += budget - m.state.budget;
        } else {
          const turn = await call({ type: 'run', cpu: CPUS, budget });
          done = turn.halted;
          retired += turn.retired;
        }
      }
      compiler.postMessage({ type: 'detach', key: seed } satisfies ToCompiler);
      expect({ ...m.outcome(), retired: String(retired) }, `seed ${seed}`).toEqual(interpreted.outcome());
      regions += statistics(m).regions;
    }
    expect(regions).toBeGreaterThan(25);
  }, 120_000);
});
