/**
 * Exits: a vCPU leaves guest execution for the VMM, with a reason (Intel SDM vol. 3C, appendix C names the same events for VT-x). Some are
 * taken inside a call from the engine and resume where they were (port and memory I/O, the interrupt that is acknowledged); some end `run`.
 */
import type { ProcessorBus } from '../bus/processor.ts';
import { FULL_REASONS, type FullReason } from './full/exits.ts';
import { PARA_REASONS, type ParaReason } from './para/exits.ts';

export type Exit =
  | { readonly reason: 'io-in'; readonly port: number; readonly size: number }
  | { readonly reason: 'io-out'; readonly port: number; readonly size: number; readonly value: number }
  | { readonly reason: 'mmio-read'; readonly low: number; readonly high: number; readonly size: number }
  | { readonly reason: 'mmio-write'; readonly low: number; readonly high: number; readonly size: number; readonly value: number }
  /** An interrupt is about to be delivered: its vector is asked for. */
  | { readonly reason: 'interrupt' }
  /** The task priority (CR8) was read or written: interrupts may have become deliverable. */
  | { readonly reason: 'task-priority-read' }
  | { readonly reason: 'task-priority-write'; readonly value: number }
  /** IA32_APIC_BASE or IA32_TSC_DEADLINE was written. */
  | { readonly reason: 'msr-write'; readonly msr: number; readonly low: number; readonly high: number }
  /** HLT with nothing to wake it. */
  | { readonly reason: 'halt' }
  /** The instructions that it was given are used up. */
  | { readonly reason: 'budget' }
  /** Another thread wants attention (EVENT_KICK). */
  | { readonly reason: 'kick' }
  /** INIT was signalled. */
  | { readonly reason: 'init' }
  /** Full virtualization's, emulated where they arise (core/processor/assembly/monitor.ts), and paravirtualization's likewise: counted. */
  | { readonly reason: FullReason | ParaReason }
  /** The VMM ended the domain. */
  | { readonly reason: 'domain-crash'; readonly detail: string }
  /** Triple fault. */
  | { readonly reason: 'shutdown' }
  /** The core itself is wrong: a case that must not happen. */
  | { readonly reason: 'internal'; readonly detail: string };

export type ExitReason = Exit['reason'];

/** Those that are of no technique. */
const GENERAL = [
  'io-in',
  'io-out',
  'mmio-read',
  'mmio-write',
  'interrupt',
  'task-priority-read',
  'task-priority-write',
  'msr-write',
  'halt',
  'budget',
  'kick',
  'init',
  'shutdown',
  'internal',
  'domain-crash',
] as const satisfies readonly ExitReason[];

// Every reason has its counter: this fails to compile when one is missing.
true satisfies Exclude<ExitReason, FullReason | ParaReason> extends (typeof GENERAL)[number] ? true : never;

/** The order of the counters in shared memory. */
export const EXIT_REASONS: readonly ExitReason[] = [...GENERAL, ...FULL_REASONS, ...PARA_REASONS];

/** What comes after an exit. */
export type Verdict =
  /** Goes on; `value` is what was read (0 where nothing was). */
  | { readonly next: 'resume'; readonly value: number }
  /** Waits until an interrupt or a device's deadline. */
  | { readonly next: 'wait' }
  /** The scheduler decides who runs now. */
  | { readonly next: 'yield' }
  /** The machine starts anew. */
  | { readonly next: 'reset' }
  /** Never runs again: the VM crashed. */
  | { readonly next: 'crash'; readonly status: 'triple-fault' | 'internal' | 'domain'; readonly detail: string };

const WAIT: Verdict = { next: 'wait' };
const YIELD: Verdict = { next: 'yield' };
const DONE: Verdict = { next: 'resume', value: 0 };

/** Handles one exit of vCPU `cpu` (the address of its state) against the machine. Throws what a device throws. */
export function handleExit(exit: Exit, cpu: number, bus: ProcessorBus): Verdict {
  switch (exit.reason) {
    case 'io-in':
      return { next: 'resume', value: bus.readPort(cpu, exit.port, exit.size) };
    case 'io-out':
      bus.writePort(cpu, exit.port, exit.size, exit.value);
      return DONE;
    case 'mmio-read':
      return { next: 'resume', value: bus.readMmio(cpu, exit.low, exit.high, exit.size) };
    case 'mmio-write':
      bus.writeMmio(cpu, exit.low, exit.high, exit.size, exit.value);
      return DONE;
    case 'interrupt':
      return { next: 'resume', value: bus.acknowledgeInterrupt(cpu) };
    case 'task-priority-read':
      return { next: 'resume', value: bus.readTaskPriority(cpu) };
    case 'task-priority-write':
      bus.taskPriority(cpu, exit.value);
      return DONE;
    case 'msr-write':
      bus.apicMsr(cpu, exit.msr, exit.low, exit.high);
      return DONE;
    case 'halt':
      return WAIT;
    case 'budget':
    case 'kick':
      return YIELD;
    case 'init':
      // There is one vCPU, and it is the one that boots: INIT is a reset.
      return { next: 'reset' };
    case 'shutdown':
      return { next: 'crash', status: 'triple-fault', detail: 'triple fault' };
    case 'internal':
      return { next: 'crash', status: 'internal', detail: exit.detail };
    case 'domain-crash':
      return { next: 'crash', status: 'domain', detail: exit.detail };
    default:
      // Emulated already; a reason of any other kind that has no case above fails to compile.
      exit.reason satisfies FullReason | ParaReason;
      return DONE;
  }
}
