/** Runs one vCPU on this thread until its turn is over: the innermost loop of a pCPU. Knows no threads and no messages. */
import type { ProcessorBus } from '../bus/processor.ts';
import type { Stop } from '../scheduler/dispatcher.ts';
import { BLOCKED, HALTED, READY, RUNNING, type Split, type VcpuState } from '../vmm/account.ts';
import { exitIndex, type MonitoredBus } from '../vmm/bus.ts';
import { handleExit, type Exit } from '../vmm/exit.ts';
import { REQUEST_PAUSE, REQUEST_POWER_BUTTON, type PcpuBlock, type VmBlock } from './block.ts';
import { milliseconds } from './clock.ts';

/** How a VM ended. */
export type Outcome =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  | { readonly kind: 'crash'; readonly status: 'triple-fault' | 'internal' | 'device' | 'domain' | 'host'; readonly reason: string };

/** A machine's devices, as the loop needs them. Times are nanoseconds of the guest's clock. */
export interface GuestMachine {
  readonly bus: ProcessorBus;
  /** Lets devices act whose time has come, and takes in what the host gave (console input). */
  advance(now: number): void;
  /** When `advance` must next be called; Infinity: never. */
  nextDeadline(): number;
  /**
   * A vCPU is about to run until `most`, or until `advance` must be called, which is returned. It leaves the guest (EVENT_KICK) when it reads the clock
   * from then on, or arms a timer for earlier.
   */
  runUntil(most: number): number;
  pressPowerButton(): void;
  close(): void;
}

/** The processor of one machine on this thread. */
export interface GuestEngine {
  /** Runs vCPU `cpu` (index) for about `budget` instructions and says why it came back. */
  run(cpu: number, budget: number): Exit;
  /** Instructions retired since the machine was made. */
  instructions(cpu: number): number;
  /** Of those, how many in user mode (CPL 3). */
  userInstructions(cpu: number): number;
  /** Exits that the processor handled itself since the machine was made, by index in EXIT_REASONS; returns the seconds that they took in all. */
  ownExits?(cpu: number, each: (reason: number, count: number, seconds: number) => void): number;
  /** Opcodes that were decoded and are not implemented, by name. */
  undefinedOpcodes(): ReadonlyMap<string, number>;
}

/** Everything of one VM on this thread. */
export interface Guest {
  readonly block: VmBlock;
  readonly machine: GuestMachine;
  readonly engine: GuestEngine;
  readonly bus: MonitoredBus;
  /** Set by a device: the VM is over. */
  outcome: Outcome | undefined;
  /** Instructions per millisecond, as measured: budgets are made from it. */
  speed: number;
}

/** `breath`: the turn goes on, after the thread has been at its event loop. */
export type Turn = Stop | { readonly why: 'ended'; readonly outcome: Outcome } | { readonly why: 'breath' };

/** Milliseconds. What runs alone still looks up this often, for requests and devices. */
const QUANTUM = 5;
/** Milliseconds. A halted vCPU looks up this often even if nothing rings. */
const WAIT_MAX = 1000;
const WAIT_SLACK = 0.05;
/** Milliseconds. So often a thread that could go on for ever returns to its event loop: V8 gives memory back only there. */
const BREATH = 1000;
/** Milliseconds. What took less says only that the guest is at least so fast. */
const MEASURABLE = 0.05;
const BUDGET_MIN = 1000;
const BUDGET_MAX = 100_000_000;
/** Instructions per millisecond until measured. */
export const SPEED_START = 20_000;

/**
 * Runs vCPU `index` of `guest` until it must be given back. `slice` in milliseconds: when it is over (at `end`) and `pcpu` is pressed, the turn is.
 * Throws what a device or the engine throws: the VM has crashed then.
 */
export function takeTurn(guest: Guest, index: number, slice: number, pcpu: PcpuBlock, end = milliseconds() + slice): Turn {
  const { block, machine, engine, bus } = guest;
  const account = block.accounts[index]!;
  const split: Split = { vmm: 0, user: 0 };
  let now = milliseconds();
  /** Up to when time has been charged. */
  let charged = now;
  const breath = now + BREATH;
  account.enter(RUNNING, now / 1000);
  const note = (reason: number, count: number, seconds: number): void => account.setExits(reason, count, seconds);
  let own = engine.ownExits?.(index, note) ?? 0;

  const charge = (state: VcpuState, inGuest: number): void => {
    // What was not spent in the guest is the VMM's: exits, devices, this loop.
    split.vmm = (now - charged - inGuest) / 1000;
    account.enter(state, now / 1000, split);
    charged = now;
  };
  const leave = (state: VcpuState, turn: Turn): Turn => {
    now = milliseconds();
    charge(state, 0);
    return turn;
  };

  for (;;) {
    // Read before looking for requests: a ring that comes after them ends the wait below at once.
    const bell = pcpu.bell;
    machine.advance((now - block.epoch) * 1e6);
    if (block.take(REQUEST_POWER_BUTTON)) machine.pressPowerButton();
    if (guest.outcome !== undefined) return leave(BLOCKED, { why: 'ended', outcome: guest.outcome });
    if (block.has(REQUEST_PAUSE)) return leave(BLOCKED, { why: 'blocked' });
    if (pcpu.takeSummons()) return leave(READY, { why: 'slice' });

    const until = block.epoch + machine.runUntil((now - block.epoch + Math.min(QUANTUM, slice)) * 1e6) / 1e6;
    const budget = Math.max(BUDGET_MIN, Math.min(BUDGET_MAX, Math.round((until - now) * guest.speed)));
    const before = engine.instructions(index);
    const userBefore = engine.userInstructions(index);
    bus.spent = 0;
    const entered = milliseconds();
    const exit = engine.run(index, budget);
    now = milliseconds();
    const ownBefore = own;
    own = engine.ownExits?.(index, note) ?? 0;
    // They are timed by samples: what has been learnt of earlier ones may make the sum less.
    const inVmm = bus.spent + Math.max(0, own - ownBefore);
    const inGuest = Math.max(0, now - entered - inVmm * 1000);

    const total = engine.instructions(index);
    const retired = total - before;
    const measured = retired / Math.max(inGuest, MEASURABLE);
    // A guest that became much slower is late once, and not until the guess has come down by and by.
    const late = now - entered > 2 * (until - entered);
    if (retired >= BUDGET_MIN && (inGuest >= MEASURABLE || measured > guest.speed))
      guest.speed += (measured - guest.speed) / (late ? 1 : 4);
    split.user = retired > 0 ? (engine.userInstructions(index) - userBefore) / retired : 0;
    account.instructions = total;
    charge(RUNNING, inGuest);

    const verdict = handleExit(exit, index, bus);
    if (guest.outcome !== undefined) return leave(BLOCKED, { why: 'ended', outcome: guest.outcome });
    account.exit(exitIndex(exit.reason), milliseconds() / 1000 - now / 1000);
    if (verdict.next === 'crash') {
      return leave(BLOCKED, { why: 'ended', outcome: { kind: 'crash', status: verdict.status, reason: verdict.detail } });
    }
    if (verdict.next === 'reset') return leave(BLOCKED, { why: 'ended', outcome: { kind: 'reset' } });
    if (verdict.next === 'wait') {
      const deadline = block.epoch + machine.nextDeadline() / 1e6;
      if (deadline <= now) continue;
      if (pcpu.pressed) return leave(HALTED, { why: 'halted', deadline: deadline / 1000 });
      now = milliseconds();
      charge(HALTED, 0);
      // A wait that ends a little early would be a second one.
      pcpu.wait(bell, Math.min(WAIT_MAX, Math.max(0, deadline - now) + WAIT_SLACK));
      now = milliseconds();
      account.enter(RUNNING, now / 1000);
      charged = now;
    } else if (now >= end && pcpu.pressed) {
      return leave(READY, { why: 'slice' });
    }
    if (now >= breath) return leave(RUNNING, { why: 'breath' });
  }
}
