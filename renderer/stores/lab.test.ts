import { createPinia, setActivePinia } from 'pinia';
import { beforeEach, expect, it, vi } from 'vitest';
import { setApi } from '../api.ts';
import { mockApi } from '../mock/api.ts';
import { useLabStore } from './lab.ts';

beforeEach(() => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  setApi(mockApi({}));
});

it('follows a run to its end, and says why a second one does not begin', async () => {
  const lab = useLabStore();
  await lab.follow();
  expect(lab.state).toEqual({ running: false });
  await lab.start();
  expect(lab.state.progress!.done).toBe(0);
  await lab.start();
  expect(lab.error).toBe('The lab is running already.');
  await vi.advanceTimersByTimeAsync(5000);
  expect(lab.state.running).toBe(false);
  expect(lab.state.table!.rows.every((row) => row.costs[0] !== null)).toBe(true);
});

it('keeps what was measured when it is stopped', async () => {
  const lab = useLabStore();
  await lab.follow();
  await lab.start();
  await vi.advanceTimersByTimeAsync(700);
  await lab.stop();
  await vi.advanceTimersByTimeAsync(5000);
  expect(lab.state.running).toBe(false);
  expect(lab.state.table!.rows.map((row) => row.costs[0] !== null)).toEqual([true, true, ...Array.from({ length: 9 }, () => false)]);
});
