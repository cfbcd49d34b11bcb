import { expect, it } from 'vitest';
import { sizeRows } from './sizes.ts';

it('names the sizes between the smallest and the largest', () => {
  expect(sizeRows([0, 1, 0, 3, 0, 0])).toEqual([
    { from: 2, to: 2, share: 0.25 },
    { from: 3, to: 4, share: 0 },
    { from: 5, to: 8, share: 0.75 },
  ]);
  expect(sizeRows([2, 0, 0, 2])).toEqual([
    { from: 1, to: 1, share: 0.5 },
    { from: 2, to: 2, share: 0 },
    { from: 3, to: 4, share: 0 },
    { from: 5, share: 0.5 },
  ]);
});

it('is empty where nothing was counted', () => {
  expect(sizeRows([0, 0, 0])).toEqual([]);
  expect(sizeRows([])).toEqual([]);
});
