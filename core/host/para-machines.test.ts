/** Paravirtualized machines on real threads: the built-in guest, and kernels of a few instructions. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { xenKernel } from '../firmware/xen/fixture.ts';
import { places } from '../machine/places.ts';
import { Control } from '../state/index.ts';
import { roundRobin } from '../scheduler/round-robin.ts';
import type { Source } from './api.ts';
import { engineModules, pcpuModule } from './assets.ts';
import { milliseconds, monotonic } from './clock.ts';
import { compilerModule } from './compiler.ts';
import type { Outcome } from './executor.ts';
import { ioModule } from './io.ts';
import { makeMemory } from './machine.ts';
import { Pool, type Run, type Vcpu } from './pool.ts';

let folder: string;
let pool: Pool;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-para-'));
  pool = new Pool({
    pcpus: 2,
    policy: roundRobin<Vcpu>(),
    worker: pcpuModule(),
    modules: await engineModules(),
    memory: makeMemory,
    compiler: compilerModule(),
    io: ioModule(),
  });
});
afterEach(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

class Guest {
  text = '';
  notes: string[] = [];
  run!: Run;
  outcome: Outcome | undefined;

  async boot(source: Source = { kind: 'builtin', append: 'quiet' }): Promise<this> {
    this.run = await pool.boot(
      { source, memory: 32 << 20, vcpus: 1, technique: 'para', disks: [], serials: 1 },
      {
        output: (_port, data) => (this.text += Buffer.from(data).toString()),
        note: (text) => this.notes.push(text),
        ended: (outcome) => (this.outcome = outcome),
      },
    );
    this.run.go();
    return this;
  }

  async until(what: RegExp): Promise<void> {
    await expect.poll(() => this.text, { timeout: 60_000, interval: 20 }).toMatch(what);
  }

  async command(line: string, answer: RegExp): Promise<void> {
    this.text = '';
    this.run.write(0, Buffer.from(`${line}\n`));
    await this.until(answer);
  }

  async end(): Promise<Outcome> {
    await expect.poll(() => this.outcome, { timeout: 60_000, interval: 20 }).toBeDefined();
    return this.outcome!;
  }

  totals() {
    return this.run.block.accounts[0]!.totals(monotonic());
  }

  /** Nanoseconds: the latest that the guest was told. */
  clock(): number {
    const { buffer } = this.run.memory;
    const { devices, devicesEnd } = Control.view(buffer, 0);
    return new Float64Array(buffer, places({ devices, devicesEnd, vcpus: 1 }).clock, 1)[0]!;
  }
}

const PROMPT = /corner> $/;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A kernel that begins with `code`, and is NOPs after it. */
function kernel(code: readonly number[]): Source {
  const image = xenKernel();
  image.set(code, Buffer.from(image).indexOf(Buffer.alloc(16, 0x90)));
  const file = path.join(folder, 'kernel');
  writeFileSync(file, image);
  return { kind: 'kernel', kernel: file };
}

/** sched_op(SCHEDOP_shutdown, { reason }): MOV EAX, 29; MOV EDI, 2; LEA RSI, [RIP + 2]; SYSCALL; the reason. */
const shutdown = (reason: number): number[] => [...Buffer.from('b81d000000bf02000000488d35020000000f05', 'hex'), reason, 0, 0, 0];

test('three that compute share two pCPUs, move between them, and each answers at its own console', async () => {
  const guests: Guest[] = [];
  for (let i = 0; i < 3; i++) guests.push(await new Guest().boot());
  for (const guest of guests) await guest.until(PROMPT);
  for (const guest of guests) guest.run.write(0, Buffer.from('spin 60 &\n'));
  await sleep(500);
  const before = guests.map((guest) => guest.totals());
  for (const [i, guest] of guests.entries()) {
    await expect.poll(() => guest.totals().instructions, { timeout: 30_000 }).toBeGreaterThan(before[i]!.instructions);
    await expect.poll(() => guest.totals().ready, { timeout: 30_000 }).toBeGreaterThan(before[i]!.ready);
  }
  for (const [i, guest] of guests.entries()) await guest.command(`echo I am ${i}`, new RegExp(`\\nI am ${i}\\r?\\n`));
}, 120_000);

test('paused and resumed, the guest’s clock has no gap; the power button turns it off', async () => {
  const guest = await new Guest().boot();
  await guest.until(PROMPT);
  const wall = milliseconds();
  // Now, and not when a vCPU last looked at it.
  const clock = (wall - guest.run.block.epoch) * 1e6;
  await guest.run.pause();
  const still = guest.clock();
  const pausedAt = milliseconds();
  await sleep(1500);
  expect(guest.clock()).toBe(still);
  const paused = milliseconds() - pausedAt;
  guest.run.go();
  await guest.command('sleep 1', PROMPT);
  expect(guest.clock() - still).toBeGreaterThanOrEqual(1e9);
  // What passed for it is what passed here, less the pause.
  expect((guest.clock() - clock) / 1e6).toBeLessThanOrEqual(milliseconds() - wall - paused + 1);
  guest.run.powerButton();
  expect(await guest.end()).toEqual({ kind: 'power-off' });
}, 120_000);

test('idle, it costs next to nothing', async () => {
  const guest = await new Guest().boot();
  await guest.until(PROMPT);
  await sleep(500);
  const before = guest.totals();
  await sleep(2000);
  const after = guest.totals();
  expect((after.halted - before.halted) / 2).toBeGreaterThan(0.8);
}, 120_000);

test.each([
  ['a power-off', 0, { kind: 'power-off' }],
  ['a reset', 1, { kind: 'reset' }],
  ['a crash that the guest reports', 3, { kind: 'crash', status: 'domain', reason: 'The guest’s kernel reported that it crashed.' }],
  ['a reason of its own', 9, { kind: 'crash', status: 'domain', reason: 'The guest ended with shutdown reason 9.' }],
])(
  '%s',
  async (_name, reason, outcome) => {
    const guest = await new Guest().boot(kernel(shutdown(reason)));
    expect(await guest.end()).toEqual(outcome);
  },
  60_000,
);

test('a guest that cannot go on is ended, with a sentence, and nobody else', async () => {
  const bystander = await new Guest().boot();
  await bystander.until(PROMPT);
  // It writes to address 0, and has told of no handler.
  const guest = await new Guest().boot(kernel([0x31, 0xc0, 0x00, 0x00]));
  expect(await guest.end()).toMatchObject({
    kind: 'crash',
    status: 'domain',
    reason: expect.stringMatching(/^The VMM ended the guest: an exception.* has no handler \(at 0xffffffff80100002\)\.$/),
  });
  await bystander.command('echo still here', /\nstill here\r?\n/);
}, 60_000);

test('the exits of a guest, by reason', async () => {
  const guest = await new Guest().boot();
  await guest.until(PROMPT);
  await guest.command('hello', PROMPT);
  const { exits } = guest.totals();
  for (const reason of ['hypercall', 'event-upcall', 'bounced-exception', 'bounced-system-call'] as const)
    expect(exits[reason].count, reason).toBeGreaterThan(0);
  expect(exits['shadow-fill'].count).toBe(0);
}, 60_000);
