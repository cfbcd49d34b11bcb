/** A vCPU's turn on a clock of the test's own: every reading takes a microsecond, and nothing else takes any time. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { elfImage } from '../firmware/fixture.ts';
import { xenKernel } from '../firmware/xen/fixture.ts';
import { Cpu, CPUS } from '../state/index.ts';
import { BLOCKED } from '../vmm/account.ts';
import { monitor } from '../vmm/bus.ts';
import type { Engine } from './api.ts';
import { engineModules } from './assets.ts';
import { PcpuBlock, VmBlock } from './block.ts';
import { SPEED_START, takeTurn, type Guest } from './executor.ts';
import { guests } from './guest.ts';
import { makeMemory } from './machine.ts';
import type { OpenRequest } from './pcpu.ts';

const time = vi.hoisted(() => ({ now: 0 }));
vi.mock('./clock.ts', () => {
  const milliseconds = (): number => (time.now += 0.001);
  return { milliseconds, monotonic: () => milliseconds() / 1000 };
});

/** Milliseconds. */
const SLICE = 1;
/** So that each turn ends with its slice. */
const pcpu = new PcpuBlock();
pcpu.pressed = true;

let folder: string;
let modules: OpenRequest['modules'];
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-executor-'));
  modules = await engineModules();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Technique = 'bare' | 'full' | 'para';

/** A guest in 64-bit mode that does nothing but `code`. */
async function open(technique: Technique, engine: Engine, code: readonly number[]) {
  let image: Uint8Array;
  if (technique === 'para') {
    image = xenKernel();
    image.set(code, Buffer.from(image).indexOf(Buffer.alloc(16, 0x90)));
  } else image = elfImage(64, 0x20_0000, [{ physical: 0x20_0000, bytes: code }]);
  const kernel = path.join(folder, 'kernel');
  writeFileSync(kernel, image);
  const spec: OpenRequest['spec'] = {
    source: { kind: 'kernel', kernel },
    memory: 16 << 20,
    vcpus: 1,
    engine,
    ...(technique !== 'bare' && { technique }),
    disks: [],
    serials: 1,
  };
  const { memory } = makeMemory(spec);
  const block = VmBlock.create(1);
  block.epoch = time.now;
  const hooks = { ended: () => {}, output: () => {}, note: () => {} };
  const regions: unknown[] = [];
  const translator = { after: 3, batch: 1, onRegion: (region: unknown) => void regions.push(region) };
  const request: OpenRequest = { spec, memory, modules, epoch: () => block.epoch, rtcStart: 0, hooks, translator };
  const machine = guests.machine(request);
  const bus = monitor(
    machine.bus,
    () => block.accounts[0]!,
    () => 0,
  );
  const guest: Guest = {
    block,
    machine,
    bus,
    engine: guests.engine(request, machine, bus),
    outcome: undefined,
    // As wrong as can be, and it stays so: every budget would last for a long time.
    get speed() {
      return Infinity;
    },
    set speed(_) {},
  };
  await guests.boot(request, machine);
  block.accounts[0]!.clear(BLOCKED, time.now / 1000);
  return { guest, cpu: Cpu.view(memory.buffer, CPUS), regions };
}

/** L: inc ebx; the clock is read; jmp L */
const loop = (...read: number[]): number[] => [0xff, 0xc3, ...read, 0xeb, -(read.length + 4) & 0xff];
const RDTSC = [0x0f, 0x31];
const RDTSCP = [0x0f, 0x01, 0xf9];
/** mov ecx, 10h; rdmsr */
const RDMSR = [0xb9, 0x10, 0, 0, 0, 0x0f, 0x32];
/** mov edx, 608h; in eax, dx: the power management timer */
const IN = [0xba, 0x08, 0x06, 0, 0, 0xed];

describe.each(['interpreter', 'translator'] as const)('a guest that only reads the clock comes out when its time is over: %s', (engine) => {
  test.each<[Technique, string, readonly number[], number]>([
    ['bare', 'RDTSC', RDTSC, 1],
    ['bare', 'RDTSCP', RDTSCP, 1],
    ['bare', 'RDMSR', RDMSR, 2],
    ['bare', 'IN', IN, 2],
    ['full', 'RDTSC', RDTSC, 1],
    ['full', 'RDMSR', RDMSR, 2],
    ['full', 'IN', IN, 2],
    ['para', 'RDTSC', RDTSC, 1],
    ['para', 'RDTSCP', RDTSCP, 1],
  ])('%s, %s', async (technique, _name, read, instructions) => {
    const { guest, cpu, regions } = await open(technique, engine, loop(...read));
    const rbx = cpu.gpr.get(3);
    for (let turn = 1; turn <= 3; turn++) {
      const before = time.now;
      expect(takeTurn(guest, 0, SLICE, pcpu)).toEqual({ why: 'slice' });
      // Besides the guest this test's thread reads the clock, some ten times.
      expect(time.now - before).toBeGreaterThanOrEqual(SLICE);
      expect(time.now - before).toBeLessThan(SLICE + 0.05);
      const { exits } = guest.block.accounts[0]!.totals(time.now / 1000);
      expect([exits.kick.count, exits.budget.count]).toEqual([turn, 0]);
      // It is right behind the instruction that read the clock, and what came before is counted exactly.
      expect(guest.engine.instructions(0)).toBe((cpu.gpr.get(3) - rbx) * (instructions + 2) - 1);
    }
    expect(regions.length > 0).toBe(engine === 'translator');
    guest.machine.close();
  });
});

test('a thread whose clock is behind lets the guest get on', async () => {
  const { guest } = await open('bare', 'translator', loop(...RDTSC));
  takeTurn(guest, 0, SLICE, pcpu);
  // What the guest was told of time last, the clock will say in half a slice.
  guest.block.epoch += SLICE / 2;
  const before = guest.engine.instructions(0);
  expect(takeTurn(guest, 0, SLICE, pcpu)).toEqual({ why: 'slice' });
  expect(guest.engine.instructions(0) - before).toBeGreaterThan((3 * SLICE) / 2 / 0.001);
  guest.machine.close();
});

/** A guest that executes `rate()` instructions a millisecond. */
function computing(rate: () => number): { guest: Guest; turns: number[] } {
  const block = VmBlock.create(1);
  block.accounts[0]!.clear(BLOCKED, time.now / 1000);
  const turns: number[] = [];
  let instructions = 0;
  const none = (): number => 0;
  const bus = monitor(
    {
      readPort: none, writePort: none, readMmio: none, writeMmio: none, acknowledgeInterrupt: none, tsc: none, taskPriority: none, readTaskPriority: none,
      apicMsr: none, note: none,
    },
    () => block.accounts[0]!,
    () => 0,
  ); // prettier-ignore
  const guest: Guest = {
    block,
    bus,
    machine: { bus, advance: none, nextDeadline: () => Infinity, runUntil: (most) => most, pressPowerButton: none, close: none },
    engine: {
      run(_cpu, budget) {
        turns.push(budget / rate());
        time.now += budget / rate();
        instructions += budget;
        return { reason: 'budget' };
      },
      instructions: () => instructions,
      userInstructions: none,
      undefinedOpcodes: () => new Map(),
    },
    outcome: undefined,
    speed: SPEED_START,
  };
  return { guest, turns };
}

test('a guest that becomes slower is late once; one that becomes faster is trusted by and by', () => {
  let rate = 1_000_000;
  const { guest, turns } = computing(() => rate);
  const run = (times: number): number[] => {
    const from = turns.length;
    for (let i = 0; i < times; i++) takeTurn(guest, 0, SLICE, pcpu);
    return turns.slice(from);
  };
  expect(run(40).at(-1)).toBeCloseTo(SLICE, 1);
  rate = 10_000;
  const [late, ...others] = run(5);
  expect(late).toBeCloseTo(100 * SLICE, 0);
  for (const took of others) expect(took).toBeCloseTo(SLICE, 1);
  rate = 10_000_000;
  const [first, second, ...further] = run(40);
  expect(first).toBeCloseTo(SLICE / 1000, 3);
  expect(second).toBeGreaterThan(2 * first!);
  for (const took of further) expect(took).toBeLessThan(1.02 * SLICE);
  expect(further.at(-1)).toBeCloseTo(SLICE, 1);
});
