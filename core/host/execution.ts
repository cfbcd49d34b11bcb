/** What the engine of a run has done, put together from its accounts, its machine's memory and the looks at its vCPUs. */
import { activitiesOf } from './activity.ts';
import type { Activities, Execution } from './api.ts';
import type { Run } from './pool.ts';

/** Since the start. `now`: seconds of the accounts' clock. */
export function executionOf(run: Run, now: number): Execution {
  const retired = run.vcpus.map(({ index }) => run.window.retired(index));
  const totals = run.block.accounts.map((account) => account.totals(now));
  const sum = <T>(of: readonly T[], pick: (one: T) => number): number => of.reduce((all, one) => all + pick(one), 0);
  const privileged = sum(retired, (r) => r.privileged);
  const sensitive = sum(retired, (r) => r.sensitive);
  const instructions = sum(totals, (t) => t.instructions);
  const [interpreted, translated] = [sum(retired, (r) => r.endedInterpreted), sum(retired, (r) => r.endedTranslated)];
  const activities: Record<keyof Activities, number> = { interpreted: 0, translated: 0, mmu: 0, decoding: 0, compiling: 0, devices: 0 };
  for (const [i, total] of totals.entries()) {
    const of = activitiesOf(run.looks[i]!, total.guestUser + total.guestKernel, total.vmm);
    for (const name of Object.keys(of) as (keyof Activities)[]) activities[name] += of[name];
  }
  const para = run.window.para();
  const ends = interpreted + translated;
  return {
    engine: run.spec.engine ?? 'translator',
    // Classes are counted at once, instructions when a vCPU's turn is looked at: a little later.
    classes: { innocuous: Math.max(0, instructions - sensitive - privileged), sensitive, privileged },
    ...(ends > 0 && { shares: { interpreted: interpreted / ends, translated: translated / ends } }),
    activities,
    translation: run.window.translation(),
    ...(para && { para }),
  };
}
