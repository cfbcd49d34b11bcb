import { describe, expect, test } from 'vitest';
import type { ProcessorBus } from '../bus/processor.ts';
import { Account, ACCOUNT_SIZE, BLOCKED, HALTED, READY, RUNNING } from './account.ts';
import { exitIndex, monitor } from './bus.ts';
import { FULL_REASONS } from './full/exits.ts';
import { PARA_REASONS } from './para/exits.ts';
import { EXIT_REASONS, handleExit, type Exit } from './exit.ts';

/** A board that says what was done to it. */
function board(log: string[]): ProcessorBus {
  const say =
    (name: string, value = 0) =>
    (...args: (number | string)[]): number => {
      log.push(`${name} ${args.join(' ')}`);
      return value;
    };
  return {
    readPort: say('readPort', 0x55),
    writePort: say('writePort'),
    readMmio: say('readMmio', 0xffff_ffff),
    writeMmio: say('writeMmio'),
    acknowledgeInterrupt: say('acknowledgeInterrupt', 0x30),
    tsc: say('tsc', 99),
    taskPriority: say('taskPriority'),
    readTaskPriority: say('readTaskPriority', 3),
    apicMsr: say('apicMsr'),
    note: say('note'),
  };
}

describe('handleExit', () => {
  const cases: [Exit, ReturnType<typeof handleExit>, string?][] = [
    [{ reason: 'io-in', port: 0x3fd, size: 1 }, { next: 'resume', value: 0x55 }, 'readPort 7 1021 1'],
    [{ reason: 'io-out', port: 0x3f8, size: 1, value: 65 }, { next: 'resume', value: 0 }, 'writePort 7 1016 1 65'],
    [{ reason: 'mmio-read', low: 0xfee0_0020, high: 0, size: 4 }, { next: 'resume', value: 0xffff_ffff }, `readMmio 7 ${0xfee0_0020} 0 4`],
    [{ reason: 'mmio-write', low: 16, high: 1, size: 2, value: 9 }, { next: 'resume', value: 0 }, 'writeMmio 7 16 1 2 9'],
    [{ reason: 'interrupt' }, { next: 'resume', value: 0x30 }, 'acknowledgeInterrupt 7'],
    [{ reason: 'task-priority-read' }, { next: 'resume', value: 3 }, 'readTaskPriority 7'],
    [{ reason: 'task-priority-write', value: 8 }, { next: 'resume', value: 0 }, 'taskPriority 7 8'],
    [{ reason: 'msr-write', msr: 0x6e0, low: 1, high: 2 }, { next: 'resume', value: 0 }, 'apicMsr 7 1760 1 2'],
    [{ reason: 'halt' }, { next: 'wait' }],
    [{ reason: 'budget' }, { next: 'yield' }],
    [{ reason: 'kick' }, { next: 'yield' }],
    [{ reason: 'init' }, { next: 'reset' }],
    // Emulated by the processor, and only counted here.
    ...[...FULL_REASONS, ...PARA_REASONS].map((reason): [Exit, ReturnType<typeof handleExit>] => [
      { reason },
      { next: 'resume', value: 0 },
    ]),
    [{ reason: 'shutdown' }, { next: 'crash', status: 'triple-fault', detail: 'triple fault' }],
    [
      { reason: 'internal', detail: 'x' },
      { next: 'crash', status: 'internal', detail: 'x' },
    ],
    [
      { reason: 'domain-crash', detail: 'x' },
      { next: 'crash', status: 'domain', detail: 'x' },
    ],
  ];
  test.each(cases)('%o', (exit, verdict, done) => {
    const log: string[] = [];
    expect(handleExit(exit, 7, board(log))).toEqual(verdict);
    expect(log).toEqual(done === undefined ? [] : [done]);
  });

  test('every reason has a case here', () => {
    expect(new Set(cases.map(([exit]) => exit.reason))).toEqual(new Set(EXIT_REASONS));
  });
});

test('the monitored bus counts each exit with what it cost, and gives back what the board said', () => {
  let time = 0;
  const log: string[] = [];
  const exits: [string, number][] = [];
  const inner = board(log);
  const slow = { ...inner, readPort: (...args: [number, number, number]) => ((time += 0.25), inner.readPort(...args)) };
  const bus = monitor(
    slow,
    () => ({ exit: (reason, seconds) => exits.push([EXIT_REASONS[reason]!, seconds]) }),
    () => time,
  );
  expect(bus.readPort(7, 0x60, 1)).toBe(0x55);
  bus.writePort(7, 0x60, 1, 2);
  expect(bus.tsc(7)).toBe(99);
  expect(exits).toEqual([
    ['io-in', 0.25],
    ['io-out', 0],
  ]);
  expect(bus.spent).toBe(0.25);
});

describe('account', () => {
  const fresh = (): Account => new Account(new SharedArrayBuffer(ACCOUNT_SIZE), 0);

  test('charges each stretch of time to the state it was spent in', () => {
    const account = fresh();
    account.clear(BLOCKED, 100);
    account.enter(READY, 101);
    account.enter(RUNNING, 103);
    account.enter(RUNNING, 107, { vmm: 1, user: 0.25 });
    account.enter(HALTED, 107.5, { vmm: 0.5, user: 0 });
    account.exit(exitIndex('halt'), 0.1);
    account.instructions = 12;
    const totals = account.totals(117.5);
    expect(totals).toMatchObject({ blocked: 1, ready: 2, vmm: 1.5, guestUser: 0.75, guestKernel: 2.25, halted: 10, instructions: 12 });
    expect(totals.exits.halt).toEqual({ count: 1, seconds: 0.1 });
    const { blocked, ready, vmm, guestUser, guestKernel, halted } = totals;
    expect(blocked + ready + vmm + guestUser + guestKernel + halted).toBeCloseTo(17.5, 9);
  });

  test('another thread’s view of the same memory sees the same', () => {
    const memory = new SharedArrayBuffer(ACCOUNT_SIZE);
    const writer = new Account(memory, 0);
    writer.clear(READY, 5);
    expect(new Account(memory, 0).totals(6).ready).toBe(1);
    expect(new Account(memory, 0).state).toBe(READY);
  });

  test('a writer that died half-way does not stop the reader', () => {
    const memory = new SharedArrayBuffer(ACCOUNT_SIZE);
    const account = new Account(memory, 0);
    account.clear(HALTED, 1);
    Atomics.add(new Int32Array(memory), 0, 1);
    expect(account.totals(3).halted).toBe(2);
  });
});
