import { afterEach, expect, test } from 'vitest';
import { roundRobin } from '../scheduler/round-robin.ts';
import { UserError } from './api.ts';
import { monotonic } from './clock.ts';
import type { Outcome } from './executor.ts';
import { Pool, type Run, type Vcpu } from './pool.ts';
import type { MachineSpec } from './protocol.ts';
import { FakeWindow } from './testing/memory.ts';

const pools: Pool[] = [];

function pool(pcpus: number, policy = roundRobin<Vcpu>()): Pool {
  const made = new Pool({
    pcpus,
    policy,
    worker: new URL('./testing/worker.ts', import.meta.url),
    modules: {},
    memory() {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      return { memory, window: new FakeWindow(memory) };
    },
  });
  pools.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map((made) => made.close()));
});

const spec = (append: string): MachineSpec => ({ source: { kind: 'builtin', append }, memory: 1 << 20, vcpus: 1, disks: [], serials: 1 });

interface Watched {
  run: Run;
  output(): string;
  ended: Promise<Outcome>;
}

async function boot(on: Pool, what: string): Promise<Watched> {
  let text = '';
  let tell: (outcome: Outcome) => void = () => {};
  const ended = new Promise<Outcome>((resolve) => (tell = resolve));
  const run = await on.boot(spec(what), {
    output: (_port, data) => (text += Buffer.from(data).toString()),
    note: () => {},
    ended: (outcome) => tell(outcome),
  });
  return { run, output: () => text, ended };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const totals = ({ run }: Watched) => run.block.accounts[0]!.totals(monotonic());

test('a VM alone on its pCPU runs without a turn ending, and its time adds up', async () => {
  const on = pool(1);
  const vm = await boot(on, 'spin');
  vm.run.go();
  await sleep(100);
  const first = totals(vm);
  const from = monotonic();
  await sleep(400);
  const second = totals(vm);
  const wall = monotonic() - from;
  const sum = (t: typeof first): number => t.guestUser + t.guestKernel + t.vmm + t.ready + t.blocked + t.halted;
  expect(sum(second) - sum(first)).toBeCloseTo(wall, 2);
  const guest = second.guestUser + second.guestKernel - first.guestUser - first.guestKernel;
  expect(guest).toBeGreaterThan(wall * 0.7);
  expect(second.guestUser / (second.guestUser + second.guestKernel)).toBeCloseTo(0.25, 1);
  expect(second.instructions).toBeGreaterThan(first.instructions);
  expect(second.exits.budget.count).toBeGreaterThan(20);
  expect(Math.abs(second.exits['io-in'].count - second.exits.budget.count)).toBeLessThanOrEqual(1);
});

test('a halted VM costs next to nothing, and wakes for its timer and for input', async () => {
  const on = pool(1);
  const vm = await boot(on, 'halt');
  vm.run.go();
  await sleep(100);
  const before = totals(vm);
  const from = monotonic();
  await sleep(500);
  const after = totals(vm);
  const wall = monotonic() - from;
  expect(after.halted - before.halted).toBeGreaterThan(wall * 0.9);
  const wakes = after.exits.halt.count - before.exits.halt.count;
  expect(wakes).toBeGreaterThan(10);
  expect(wakes).toBeLessThan(60);
  vm.run.write(0, Buffer.from('hello'));
  await expect.poll(vm.output).toBe('hello');
});

test('input reaches a VM that sleeps for ever, on a pCPU and waiting for one', async () => {
  const on = pool(1);
  const sleeper = await boot(on, 'echo');
  sleeper.run.go();
  sleeper.run.write(0, Buffer.from('a'));
  await expect.poll(sleeper.output).toBe('a');
  const busy = await boot(on, 'spin');
  busy.run.go();
  await sleep(50);
  sleeper.run.write(0, Buffer.from('b'));
  await expect.poll(sleeper.output).toBe('ab');
});

test('input that comes after a vCPU halted and before that is known here wakes it', async () => {
  const policy = roundRobin<Vcpu>();
  let dispatched: (vcpu: Vcpu) => void = () => {};
  const on = pool(1, {
    ...policy,
    next(pcpu, now) {
      const decision = policy.next(pcpu, now);
      if (decision !== undefined) dispatched(decision.entity);
      return decision;
    },
    get waiting() {
      return policy.waiting;
    },
  });
  const busy = await boot(on, 'spin');
  busy.run.go();
  await sleep(30);
  // It will find nothing to do, and give its pCPU back at once, for `busy` waits.
  const sleeper = await boot(on, 'echo');
  let given = false;
  dispatched = ({ run }) => {
    if (run !== sleeper.run || given) return;
    given = true;
    // As soon as it was sent off: no message of its pCPU is read before this is over.
    queueMicrotask(() => {
      const until = performance.now() + 50;
      while (performance.now() < until);
      sleeper.run.write(0, Buffer.from('x'));
    });
  };
  sleeper.run.go();
  await expect.poll(sleeper.output, { timeout: 5000 }).toBe('x');
});

// A host that does other things may hold one of them up: not three times.
test('two that spin share one pCPU evenly; what one waits is called ready', { retry: 2 }, async () => {
  const on = pool(1);
  const a = await boot(on, 'spin');
  a.run.go();
  const b = await boot(on, 'spin');
  b.run.go();
  await sleep(100);
  const [a0, b0] = [totals(a), totals(b)];
  await sleep(600);
  const [a1, b1] = [totals(a), totals(b)];
  const ran = (x: typeof a0, y: typeof a0): number => y.guestUser + y.guestKernel + y.vmm - x.guestUser - x.guestKernel - x.vmm;
  expect(ran(a0, a1) / ran(b0, b1)).toBeGreaterThan(0.7);
  expect(ran(a0, a1) / ran(b0, b1)).toBeLessThan(1.4);
  expect(a1.ready - a0.ready).toBeGreaterThan(0.15);
});

test('paused, it stands still; resumed, it goes on and its time has no gap', async () => {
  const on = pool(1);
  const vm = await boot(on, 'spin');
  vm.run.go();
  await sleep(50);
  await vm.run.pause();
  const epoch = vm.run.block.epoch;
  const still = totals(vm).instructions;
  await sleep(200);
  expect(totals(vm).instructions).toBe(still);
  expect(totals(vm).blocked).toBeGreaterThan(0.19);
  vm.run.go();
  expect(vm.run.block.epoch - epoch).toBeGreaterThan(190);
  await expect.poll(() => totals(vm).instructions).toBeGreaterThan(still);
});

test('the power button ends it; switching off ends it without a word', async () => {
  const on = pool(1);
  const a = await boot(on, 'sleep');
  a.run.go();
  a.run.powerButton();
  expect(await a.ended).toEqual({ kind: 'power-off' });
  a.run.release();
  const b = await boot(on, 'spin');
  b.run.go();
  await b.run.end();
  const still = totals(b).instructions;
  await sleep(50);
  expect(totals(b).instructions).toBe(still);
});

test('a triple fault, a device that throws, a killed thread and a full heap each crash only their VM', async () => {
  const on = pool(2);
  const bystander = await boot(on, 'halt');
  bystander.run.go();
  for (const [what, reason] of [
    ['triple', /triple fault/],
    ['throw', /the device is broken/],
    ['oom', /memory/],
  ] as const) {
    const vm = await boot(on, what);
    vm.run.go();
    const outcome = await vm.ended;
    expect(outcome).toMatchObject({ kind: 'crash', reason: expect.stringMatching(reason) });
    vm.run.release();
  }
  const victim = await boot(on, 'spin');
  victim.run.go();
  await sleep(50);
  // The bystander may wait on either; kill the one that the victim runs on.
  const where = on.pcpuOf(victim.run);
  expect(where).toBeDefined();
  await on.kill(where!);
  expect(await victim.ended).toMatchObject({ kind: 'crash', status: 'host' });
  const before = totals(bystander).exits.halt.count;
  await expect.poll(() => totals(bystander).exits.halt.count).toBeGreaterThan(before);
  // Both pCPUs are there again.
  const next = await boot(on, 'spin');
  next.run.go();
  await expect.poll(() => totals(next).instructions).toBeGreaterThan(0);
}, 30_000);

test('what cannot be loaded says so, and leaves the pCPUs as they were', async () => {
  const on = pool(1);
  await expect(boot(on, 'bad')).rejects.toThrow(new UserError('It is not a kernel.', 'source.kernel'));
  await expect(boot(on, 'broken')).rejects.toThrow(/undefined is not a function/);
  // Also beside a VM that keeps the only pCPU busy.
  const busy = await boot(on, 'spin');
  busy.run.go();
  await sleep(30);
  await expect(boot(on, 'bad')).rejects.toThrow('It is not a kernel.');
});

test('a thread that does not give its VM back is replaced', async () => {
  const on = pool(1);
  const vm = await boot(on, 'hang');
  vm.run.go();
  await sleep(50);
  await vm.run.end();
  const next = await boot(on, 'echo');
  next.run.go();
  next.run.write(0, Buffer.from('x'));
  await expect.poll(next.output).toBe('x');
}, 20_000);
