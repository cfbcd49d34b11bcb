/** Turns the running totals of a VM's vCPUs into samples, one for each interval. */
import type { Account, AccountTotals } from '../vmm/account.ts';
import type { LoadSample, VcpuLoad } from './api.ts';

/** One hour of samples, one a second. */
const KEPT = 3600;

export class Sampler {
  readonly history: LoadSample[] = [];
  readonly #id: string;
  #accounts: readonly Account[] = [];
  #last: AccountTotals[] = [];
  #at = 0;

  constructor(id: string) {
    this.#id = id;
  }

  /** The VM starts: these are its accounts from now on. */
  begin(accounts: readonly Account[]): void {
    this.#accounts = accounts;
    this.#last = [];
  }

  /** What happened since the last sample. `now`: seconds of the accounts' clock; `time`: milliseconds since the epoch. */
  sample(now: number, time: number): LoadSample | undefined {
    const totals = this.#accounts.map((account) => account.totals(now));
    const last = this.#last;
    const interval = now - this.#at;
    this.#last = totals;
    this.#at = now;
    if (last.length !== totals.length || totals.length === 0 || interval <= 0) return undefined;
    const exits: Record<string, number> = {};
    const vcpus = totals.map((total, vcpu): VcpuLoad => {
      const before = last[vcpu]!;
      for (const [reason, { count }] of Object.entries(total.exits)) {
        const more = count - before.exits[reason as keyof typeof before.exits].count;
        if (more > 0) exits[reason] = (exits[reason] ?? 0) + more;
      }
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
      };
    });
    const sample: LoadSample = { id: this.#id, time, interval, vcpus, exits };
    this.history.push(sample);
    if (this.history.length > KEPT) this.history.shift();
    return sample;
  }
}
