/** What a pretended paravirtualized guest asks of its VMM in a second. */
import type { CallCount, ParaStatistics } from '../../electron/ipc.ts';

/** By name: calls per second when it is busy, the part of them in multicalls, seconds that one takes. */
const CALLS: readonly (readonly [string, number, number, number])[] = [
  ['iret', 41_000, 0, 1.8e-7],
  ['set_segment_base', 9200, 0.97, 9e-8],
  ['stack_switch', 4100, 1, 6e-8],
  ['fpu_taskswitch', 4100, 1, 5e-8],
  ['multicall', 4600, 0, 1.3e-6],
  ['mmu_update', 3900, 0.41, 2.4e-6],
  ['update_va_mapping', 2700, 0.66, 4.1e-7],
  ['mmuext_op', 1900, 0.18, 3.2e-6],
  ['vcpu_op', 380, 0, 2.2e-6],
  ['sched_op', 120, 0, 1.1e-6],
  ['event_channel_op', 60, 0, 2.9e-6],
];
const BUSY_SIZES = [0, 0, 2100, 2300, 160, 30, 12, 0, 0, 0, 0, 0];
const UPDATE_SIZES = [2200, 900, 400, 190, 90, 60, 40, 15, 5, 0, 0, 0];
const RING_SIZES = [30, 11, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0];

export function paraStatistics(busy: number): { statistics: ParaStatistics; exits: Record<string, number> } {
  const scale = (n: number): number => Math.round(n * (0.01 + busy));
  const calls = CALLS.map(([name, rate, part, cost]): [string, CallCount] => {
    const count = scale(rate);
    return [name, { count, batched: Math.round(count * part), seconds: count * cost }];
  });
  return {
    statistics: {
      calls: Object.fromEntries(calls),
      multicalls: BUSY_SIZES.map(scale),
      updates: UPDATE_SIZES.map(scale),
      rings: RING_SIZES.map(scale),
    },
    exits: {
      hypercall: calls.reduce((sum, [, { count, batched }]) => sum + count - batched, 0),
      'bounced-system-call': scale(21_000),
      'bounced-exception': scale(6100),
      'event-upcall': scale(260),
      'page-table-write': scale(1400),
    },
  };
}
