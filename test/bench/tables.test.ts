import { expect, test } from 'vitest';
import type { Measured } from './measure.ts';
import type { Program } from './programs.ts';
import { compareTable, geometricMean, median, mistakes, timesTable } from './tables.ts';

const program = (name: string): Program => ({ name, memory: 256, command: () => ['', []], lacks: () => undefined });
const run = (boot: number, seconds: Record<string, number[]>, checksum = 'abc'): Measured => ({
  boot,
  workloads: new Map(Object.entries(seconds).map(([name, of]) => [name, { name, seconds: of, checksum }])),
});

test('medians and geometric means', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
  expect(geometricMean([1, 4])).toBe(2);
});

test('times are medians over rounds and repetitions, ratios are to the base, what is missing is a dash', () => {
  const [a, b] = [program('A'), program('B')];
  const runs = new Map([
    [a, [run(2, { x: [1, 1.5], y: [3] }), run(4, { x: [2, 1.5], y: [3] })]],
    [b, [run(6, { x: [3, 3] }), run(6, { x: [3] })]],
  ]);
  expect(timesTable(64, runs, ['x', 'y', 'gaps'], a).split('\n')).toEqual([
    '| 64-bit Linux, s (ratio to A) | A | B |',
    '| --- | ---: | ---: |',
    '| x | 1.5 | 3 (2) |',
    '| y | 3 | – (–) |',
    '| geometric mean of the ratios | 1 | 2 |',
    '| boot | 3 | 6 (2) |',
  ]);
});

test('a comparison shows how far rounds differ', () => {
  const [a, b] = [program('A'), program('B')];
  const runs = new Map([
    [a, [run(1, { x: [2] }), run(1, { x: [4] })]],
    [b, [run(2, { x: [1] }), run(3, { x: [5] })]],
  ]);
  const lines = compareTable(32, runs, ['x'], a, b).split('\n');
  expect(lines[2]).toBe('| x | 3 | 3 | 1 | 0.5 to 1.25 |');
  expect(lines[4]).toBe('| boot | 1 | 2.5 | 2.5 | 2 to 3 |');
});

test('a program that computes something else is named; one that does less of the work is not compared', () => {
  const [a, b, c] = [program('A'), program('B'), { ...program('C'), part: 10 }];
  expect(mistakes(new Map([[a, [run(1, { x: [1] })]], [b, [run(1, { x: [1] }, 'xyz')]], [c, [run(1, { x: [1] }, 'less')]]]))).toEqual([
    'B computed something else in x',
  ]); // prettier-ignore
});
