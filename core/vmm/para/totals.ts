/** What a paravirtualized VM did since it was switched on, of all its vCPUs. */
import { Control, CPU_STRIDE, CPUS, Para, PARA_SIZES } from '../../state/index.ts';
import { ParaCounts } from './exits.ts';
import type { CallCount, ParaStatistics, Sizes } from './statistics.ts';

const sum = (a: Sizes, b: Sizes): Sizes => a.map((n, i) => n + b[i]!);

function addCalls(all: Record<string, CallCount>, more: Readonly<Record<string, CallCount>>): void {
  for (const [name, { count, batched, seconds }] of Object.entries(more)) {
    const sofar = all[name] ?? { count: 0, batched: 0, seconds: 0 };
    all[name] = { count: sofar.count + count, batched: sofar.batched + batched, seconds: sofar.seconds + seconds };
  }
}

/** Undefined: the VM is of another technique. */
export function paraStatistics(buffer: ArrayBufferLike, vcpus: number): ParaStatistics | undefined {
  const { para } = Control.view(buffer, 0);
  if (para === 0) return undefined;
  const calls: Record<string, CallCount> = {};
  const none: Sizes = Array.from({ length: PARA_SIZES }, () => 0);
  let [multicalls, updates] = [none, none];
  for (let index = 0; index < vcpus; index++) {
    const counts = new ParaCounts(buffer, CPUS + index * CPU_STRIDE);
    addCalls(calls, counts.calls());
    const sizes = counts.sizes();
    multicalls = sum(multicalls, sizes.multicalls);
    updates = sum(updates, sizes.updates);
  }
  const { ringDepths } = Para.view(buffer, para);
  return { calls, multicalls, updates, rings: none.map((_, i) => ringDepths.get(i)) };
}
