/** What `--stats` writes. Times in seconds, sizes in bytes. */
import { monotonic } from '../host/clock.ts';
import { executionOf } from '../host/execution.ts';
import type { Run } from '../host/pool.ts';

export interface Frame {
  readonly status: number;
  /** Seconds of the common clock. */
  readonly began: number;
  readonly cpuBegan: NodeJS.CpuUsage;
  readonly engine: string;
  readonly technique: string;
}

export function statistics(run: Run, { status, began, cpuBegan, engine, technique }: Frame) {
  const now = monotonic();
  const { classes, shares, activities, translation } = executionOf(run, now);
  const cpu = process.cpuUsage(cpuBegan);
  const vcpus = run.block.accounts.map((account) => account.totals(now));
  const sum = (pick: (total: (typeof vcpus)[number]) => number): number => vcpus.reduce((all, total) => all + pick(total), 0);
  const instructions = sum((total) => total.instructions);
  const guest = sum((total) => total.guestUser + total.guestKernel);
  const exits: Record<string, { count: number; seconds: number }> = {};
  for (const total of vcpus) {
    for (const [reason, { count, seconds }] of Object.entries(total.exits)) {
      const entry = (exits[reason] ??= { count: 0, seconds: 0 });
      entry.count += count;
      entry.seconds += seconds;
    }
  }
  return {
    status,
    engine,
    technique,
    wallSeconds: now - began,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    instructions,
    /** Millions of instructions per second of guest execution. */
    mips: guest > 0 ? instructions / guest / 1e6 : 0,
    classes,
    shares,
    activities,
    translation,
    exits,
    /** Of the technique para: hypercalls by name, and how many entries lists and rings had. */
    para: run.window.para(),
    disks: run.window.disks(),
    vcpus: vcpus.map((total, index) => {
      const { guestUser, guestKernel, vmm, ready, blocked, halted, instructions: retired } = total;
      const { privileged, sensitive } = run.window.retired(index);
      return {
        guestUser,
        guestKernel,
        vmm,
        ready,
        blocked,
        halted,
        instructions: retired,
        classes: { innocuous: Math.max(0, retired - sensitive - privileged), sensitive, privileged },
        exits: total.exits,
      };
    }),
    peakMemory: process.resourceUsage().maxRSS * 1024,
    undefinedInstructions: Object.fromEntries(run.undefinedOpcodes()),
  };
}
