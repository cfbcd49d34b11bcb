import { expect, it } from 'vitest';
import { cpuidLeaves, parseCpu } from '../../spec/models.ts';
import { paraCpu, paraLeaves } from './cpuid.ts';

it('hides what a paravirtualized kernel could not use: large pages, memory types, machine checks, what protects ring 0', () => {
  const choice = paraCpu(parseCpu('default,+smap,+smep,+pcid'));
  const leaves = paraLeaves(cpuidLeaves(choice, { vcpu: 0, vcpus: 1, tscHz: 1e9 }), 1e9, 40);
  const row = (leaf: number) => leaves.find((l) => l.leaf === leaf)!;
  // PSE, MCE, MTRR, PGE, MCA, PSE36; PCID; SMEP, SMAP; 1 GiB pages.
  expect(row(1).edx & 0x2_7088).toBe(0);
  expect(row(1).ecx & (1 << 17)).toBe(0);
  expect(row(7).ebx & ((1 << 7) | (1 << 20))).toBe(0);
  expect(row(0x8000_0001).edx & (1 << 26)).toBe(0);
});

it('shows Xen, and how fast the TSC is', () => {
  const leaves = paraLeaves([], 2.5e9, 40);
  const [first] = leaves;
  expect(new TextDecoder().decode(Uint32Array.of(first!.ebx, first!.ecx, first!.edx))).toBe('XenVMMXenVMM');
  expect(leaves.find((l) => l.leaf === 0x4000_0003)!.ecx).toBe(2_500_000);
});
