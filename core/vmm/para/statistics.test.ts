import { expect, it } from 'vitest';
import { statisticsSince, type ParaStatistics } from './statistics.ts';

const before: ParaStatistics = {
  calls: { iret: { count: 5, batched: 0, seconds: 5e-6 }, mmu_update: { count: 2, batched: 1, seconds: 1e-6 } },
  multicalls: [1, 2],
  updates: [0, 4],
  rings: [0, 0],
};

it('tells what came since', () => {
  const now: ParaStatistics = {
    calls: {
      ...before.calls,
      mmu_update: { count: 6, batched: 4, seconds: 4e-6 },
      sched_op: { count: 1, batched: 0, seconds: 0 },
    },
    multicalls: [1, 7],
    updates: [3, 4],
    rings: [0, 1],
  };
  const since = statisticsSince(now, before);
  expect(Object.keys(since.calls)).toEqual(['mmu_update', 'sched_op']);
  expect(since.calls['mmu_update']).toEqual({ count: 4, batched: 3, seconds: expect.closeTo(3e-6, 12) });
  expect(since.calls['sched_op']).toEqual({ count: 1, batched: 0, seconds: 0 });
  expect([since.multicalls, since.updates, since.rings]).toEqual([[0, 5], [3, 0], [0, 1]]); // prettier-ignore
});
