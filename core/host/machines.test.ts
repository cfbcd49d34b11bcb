/** Real machines on real threads: the built-in guest, several at once, moved between pCPUs. */
import { compilerModule } from './compiler.ts';
import { places } from '../machine/places.ts';
import { Control } from '../state/index.ts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { roundRobin } from '../scheduler/round-robin.ts';
import { engineModules, pcpuModule } from './assets.ts';
import { monotonic } from './clock.ts';
import type { Outcome } from './executor.ts';
import { makeMemory } from './machine.ts';
import { Pool, type Run, type Vcpu } from './pool.ts';

let pool: Pool;

beforeEach(async () => {
  pool = new Pool({
    pcpus: 2,
    policy: roundRobin<Vcpu>(),
    worker: pcpuModule(),
    modules: await engineModules(),
    memory: makeMemory,
    compiler: compilerModule(),
  });
});
afterEach(() => pool.close());

class Guest {
  text = '';
  run!: Run;
  outcome: Outcome | undefined;

  async boot(): Promise<this> {
    this.run = await pool.boot(
      { source: { kind: 'builtin' }, memory: 32 << 20, vcpus: 1, disks: [], serials: 1, testDevices: true },
      {
        output: (_port, data) => (this.text += Buffer.from(data).toString()),
        note: () => {},
        ended: (outcome) => (this.outcome = outcome),
      },
    );
    this.run.go();
    await this.until(/corner> $/);
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

  totals() {
    return this.run.block.accounts[0]!.totals(monotonic());
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('three that compute share two pCPUs, move between them, and each answers at its own console', async () => {
  const guests = [await new Guest().boot(), await new Guest().boot(), await new Guest().boot()];
  for (const guest of guests) guest.run.write(0, Buffer.from('spin 60 &\n'));
  await sleep(500);
  // That the shares are equal is the dispatcher's business, and tested there on a clock of its own; here each gets on, and each has to wait.
  const before = guests.map((guest) => guest.totals());
  for (const [i, guest] of guests.entries()) {
    await expect.poll(() => guest.totals().instructions, { timeout: 30_000 }).toBeGreaterThan(before[i]!.instructions);
    await expect.poll(() => guest.totals().ready, { timeout: 30_000 }).toBeGreaterThan(before[i]!.ready);
  }
  for (const [i, guest] of guests.entries()) await guest.command(`echo I am ${i}`, new RegExp(`\\nI am ${i}\\r?\\n`));
}, 120_000);

test('a triple fault, isa-debug-exit and a killed thread end only their own VM', async () => {
  const bystander = await new Guest().boot();
  const exits = await new Guest().boot();
  exits.run.write(0, Buffer.from('exit 5\n'));
  await expect.poll(() => exits.outcome, { timeout: 30_000 }).toEqual({ kind: 'debug-exit', value: 11 });
  exits.run.release();
  const victim = await new Guest().boot();
  victim.run.write(0, Buffer.from('spin 60\n'));
  await sleep(300);
  const where = pool.pcpuOf(victim.run)!;
  // The idle one may sit on the other pCPU, or on none; never on this one.
  await pool.kill(where);
  expect(victim.outcome).toMatchObject({ kind: 'crash', status: 'host' });
  await bystander.command('echo still here', /\nstill here\r?\n/);
}, 120_000);

test('paused and resumed, the guest’s clock has no gap; the power button turns it off', async () => {
  const guest = await new Guest().boot();
  await guest.run.pause();
  const still = guest.totals().instructions;
  await sleep(1500);
  expect(guest.totals().instructions).toBe(still);
  guest.run.go();
  await guest.command('echo back', /\nback\r?\n/);
  guest.run.powerButton();
  await expect.poll(() => guest.outcome, { timeout: 30_000 }).toEqual({ kind: 'power-off' });
}, 120_000);

test('idle, it costs next to nothing', async () => {
  const guest = await new Guest().boot();
  await sleep(500);
  const before = guest.totals();
  await sleep(2000);
  const after = guest.totals();
  const busy = after.guestUser + after.guestKernel + after.vmm - before.guestUser - before.guestKernel - before.vmm;
  expect((after.halted - before.halted) / 2).toBeGreaterThan(0.8);
  expect(busy / 2).toBeLessThan(0.15);
}, 120_000);

test('guest time is 0 until the guest runs: loading takes as long as it likes', async () => {
  const run = await pool.boot(
    { source: { kind: 'builtin' }, memory: 32 << 20, vcpus: 1, disks: [], serials: 1 },
    { output: () => {}, note: () => {}, ended: () => {} },
  );
  const { buffer } = run.memory;
  const { devices, devicesEnd } = Control.view(buffer, 0);
  const clock = new Float64Array(buffer, places({ devices, devicesEnd, vcpus: 1 }).clock, 1);
  expect(clock[0]).toBe(0);
  run.go();
  await expect.poll(() => clock[0], { timeout: 30_000 }).toBeGreaterThan(0);
  await run.end();
}, 60_000);
