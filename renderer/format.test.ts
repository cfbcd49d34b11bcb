import { expect, it } from 'vitest';
import { fileName, formatBytes, formatCount, formatDuration, formatMiB, formatPercent, formatSeconds, formatShare } from './format.ts';

it('writes sizes with binary units', () => {
  expect(formatBytes(0, 'en')).toBe('0 B');
  expect(formatBytes(1023, 'en')).toBe('1,023 B');
  expect(formatBytes(1536, 'en')).toBe('1.5 KiB');
  expect(formatMiB(512, 'en')).toBe('512 MiB');
  expect(formatMiB(3584, 'en')).toBe('3.5 GiB');
});

it('writes rates with a suffix', () => {
  expect(formatCount(0, 'en')).toBe('0');
  expect(formatCount(2.25, 'en')).toBe('2.3');
  expect(formatCount(999, 'en')).toBe('999');
  expect(formatCount(182_345_678, 'en')).toBe('182 M');
  expect(formatCount(1.5e9, 'en')).toBe('1.5 G');
});

it('writes short times with their unit', () => {
  expect(formatSeconds(8.5e-7, 'en')).toBe('850 ns');
  expect(formatSeconds(2.1349e-6, 'en')).toBe('2.13 µs');
  expect(formatSeconds(0.014, 'en')).toBe('14 ms');
  expect(formatSeconds(3, 'en')).toBe('3 s');
});

it('shows small fractions with a decimal', () => {
  expect(formatPercent(0, 'en')).toBe('0%');
  expect(formatPercent(0.012, 'en')).toBe('1.2%');
  expect(formatPercent(0.42, 'en')).toBe('42%');
});

it('shows very small parts with two digits', () => {
  expect(formatShare(0, 'en')).toBe('0%');
  expect(formatShare(0.000_048, 'en')).toBe('0.0048%');
  expect(formatShare(0.000_000_01, 'en')).toBe('<0.001%');
  expect(formatShare(0.0123, 'en')).toBe('1.2%');
  expect(formatShare(0.996, 'en')).toBe('100%');
});

it('writes durations', () => {
  expect(formatDuration(-1)).toBe('0:00');
  expect(formatDuration(61.9)).toBe('1:01');
  expect(formatDuration(3661)).toBe('1:01:01');
});

it('makes file names that every file system takes', () => {
  expect(fileName('a/b: c?')).toBe('a_b_ c_');
  expect(fileName('..')).toBe('vm');
  expect(fileName('虚拟机')).toBe('虚拟机');
});
