/** Between the engine and the board: every access that leaves the guest becomes an exit, is counted with its cost, and is handled. */
import type { ProcessorBus } from '../bus/processor.ts';
import { EXIT_REASONS, handleExit, type Exit, type ExitReason } from './exit.ts';

/** Where exits are counted: `reason` is an index into EXIT_REASONS, `seconds` what the VMM took for it. */
export interface ExitSink {
  exit(reason: number, seconds: number): void;
}

const INDEX = Object.fromEntries(EXIT_REASONS.map((reason, i) => [reason, i])) as Record<ExitReason, number>;

export interface MonitoredBus extends ProcessorBus {
  /** Seconds in exits since this was last set to 0. */
  spent: number;
}

/** The index in EXIT_REASONS. */
export const exitIndex = (reason: ExitReason): number => INDEX[reason];

/** `now` in seconds; `sink` by the address of a vCPU's state. */
export function monitor(board: ProcessorBus, sink: (cpu: number) => ExitSink, now: () => number): MonitoredBus {
  const take = (cpu: number, exit: Exit): number => {
    const start = now();
    const verdict = handleExit(exit, cpu, board);
    const seconds = now() - start;
    bus.spent += seconds;
    sink(cpu).exit(INDEX[exit.reason], seconds);
    return verdict.next === 'resume' ? verdict.value : 0;
  };
  const bus: MonitoredBus = {
    spent: 0,
    readPort: (cpu, port, size) => take(cpu, { reason: 'io-in', port, size }),
    writePort: (cpu, port, size, value) => void take(cpu, { reason: 'io-out', port, size, value }),
    readMmio: (cpu, low, high, size) => take(cpu, { reason: 'mmio-read', low, high, size }),
    writeMmio: (cpu, low, high, size, value) => void take(cpu, { reason: 'mmio-write', low, high, size, value }),
    acknowledgeInterrupt: (cpu) => take(cpu, { reason: 'interrupt' }),
    taskPriority: (cpu, value) => void take(cpu, { reason: 'task-priority-write', value }),
    readTaskPriority: (cpu) => take(cpu, { reason: 'task-priority-read' }),
    apicMsr: (cpu, msr, low, high) => void take(cpu, { reason: 'msr-write', msr, low, high }),
    // Counted by the processor, with those that it does itself.
    ...(board.hypercall && { hypercall: (cpu: number, number: number) => board.hypercall!(cpu, number) }),
    // Not exits: RDTSC runs in the guest on hardware, and a note is the VMM's own.
    tsc: (cpu) => board.tsc(cpu),
    note: (cpu, text) => board.note(cpu, text),
  };
  return bus;
}
