/** Turns the running totals of a VM's vCPUs into samples, one for each interval. */
import type { Account, AccountTotals } from '../vmm/account.ts';
import { statisticsSince, type ParaStatistics } from '../vmm/para/statistics.ts';
import { activitiesOf, RecentLooks } from './activity.ts';
import type { LoadSample, VcpuLoad } from './api.ts';
import type { Retired, Run } from './pool.ts';

/** One hour of samples, one a second. */
const KEPT = 3600;

export class Sampler {
  readonly history: LoadSample[] = [];
  readonly #id: string;
  #accounts: readonly Account[] = [];
  #last: AccountTotals[] = [];
  #retired: Retired[] = [];
  #recent: RecentLooks[] = [];
  #para: ParaStatistics | undefined;
  #run: Run | undefined;
  #at = 0;

  constructor(id: string) {
    this.#id = id;
  }

  /** The VM starts: its accounts are read from now on. */
  begin(run: Run): void {
    this.#run = run;
    this.#accounts = run.block.accounts;
    this.#last = [];
    this.#retired = [];
    this.#para = undefined;
    this.#recent = run.looks.map(() => new RecentLooks());
  }

  /** The VM is off. */
  end(): void {
    this.#run = undefined;
    this.#accounts = [];
  }

  /** What happened since the last sample. `now`: seconds of the accounts' clock; `time`: milliseconds since the epoch. */
  sample(now: number, time: number): LoadSample | undefined {
    const run = this.#run;
    if (run === undefined) return undefined;
    const totals = this.#accounts.map((account) => account.totals(now));
    const retired = totals.map((_, vcpu) => run.window.retired(vcpu));
    const looks = run.looks.map((all, vcpu) => this.#recent[vcpu]!.since(all));
    const last = this.#last;
    const lastRetired = this.#retired;
    this.#retired = retired;
    const para = run.window.para();
    const paraBefore = this.#para;
    this.#para = para;
    const interval = now - this.#at;
    this.#last = totals;
    this.#at = now;
    if (last.length !== totals.length || totals.length === 0 || interval <= 0) return undefined;
    const exits: Record<string, number> = {};
    const exitSeconds: Record<string, number> = {};
    const vcpus = totals.map((total, vcpu): VcpuLoad => {
      const before = last[vcpu]!;
      for (const [reason, { count, seconds }] of Object.entries(total.exits)) {
        const last = before.exits[reason as keyof typeof before.exits];
        if (count <= last.count) continue;
        exits[reason] = (exits[reason] ?? 0) + count - last.count;
        // Not always more than before: what is timed by samples is an estimate. Sums over several intervals stay right.
        if (seconds !== 0) exitSeconds[reason] = (exitSeconds[reason] ?? 0) + seconds - last.seconds;
      }
      const classes = lastRetired[vcpu]!;
      const part = (key: 'guestUser' | 'guestKernel' | 'vmm' | 'ready' | 'blocked' | 'halted'): number =>
        Math.max(0, total[key] - before[key]);
      return {
        vcpu,
        guestUser: part('guestUser'),
        guestKernel: part('guestKernel'),
        vmm: part('vmm'),
        ready: part('ready'),
        blocked: part('blocked'),
        halted: part('halted'),
        instructions: Math.max(0, total.instructions - before.instructions),
        privileged: Math.max(0, retired[vcpu]!.privileged - classes.privileged),
        sensitive: Math.max(0, retired[vcpu]!.sensitive - classes.sensitive),
        activities: activitiesOf(looks[vcpu]!, part('guestUser') + part('guestKernel'), part('vmm')),
      };
    });
    const sample: LoadSample = {
      id: this.#id,
      time,
      interval,
      technique: run.spec.technique ?? 'automatic',
      vcpus,
      exits,
      exitSeconds,
      ...(para && paraBefore && { para: statisticsSince(para, paraBefore) }),
    };
    this.history.push(sample);
    if (this.history.length > KEPT) this.history.shift();
    return sample;
  }
}
