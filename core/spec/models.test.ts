import { describe, expect, test } from 'vitest';
import { FEATURES, FEATURE_NEEDS, hasFeature } from './cpuid.ts';
import type { Feature } from './cpuid.ts';
import { MODELS, cpuidLeaves, featureWords, parseCpu } from './models.ts';
import type { CpuidLeaf } from './models.ts';

const OPTIONS = { vcpu: 2, vcpus: 4, tscHz: 2.5e9 };
const find = (leaves: readonly CpuidLeaf[], leaf: number, subleaf = 0): CpuidLeaf => {
  const row = leaves.find((l) => l.leaf === leaf && l.subleaf === subleaf);
  if (!row) throw new Error(`no leaf ${leaf.toString(16)}`);
  return row;
};

describe('parseCpu', () => {
  test('an empty text is the default model; names are found in any case', () => {
    expect(parseCpu('').name).toBe('default');
    expect(parseCpu('nehalem').name).toBe('Nehalem');
  });

  test('a flag brings what it needs, and takes away what needs it', () => {
    expect(parseCpu('default,+invpcid').features.has('pcid')).toBe(true);
    const less = parseCpu('default,-sse2').features;
    for (const gone of ['sse2', 'sse3', 'sse4_2', 'lm', 'cx16'] as const) expect(less.has(gone)).toBe(false);
    expect(less.has('sse')).toBe(true);
  });

  test('the last of two flags that contradict each other wins', () => {
    expect(parseCpu('default,+smap,-smap').features.has('smap')).toBe(false);
    expect(parseCpu('default,-popcnt,+sse4.2').features.has('popcnt')).toBe(true);
  });

  test.each([
    ['i9', 'unknown CPU model "i9"; known models: default, qemu32, qemu64, Nehalem, pentium3'],
    ['default,+avx512', 'unknown CPU flag "avx512"'],
    ['default,sse', 'CPU flag "sse" must begin with + or -'],
    ['default,', 'CPU flag "" must begin with + or -'],
    ['default,+toString', 'unknown CPU flag "toString"'],
  ])('%s: one sentence that says what is known', (text, message) => expect(() => parseCpu(text)).toThrow(message));
});

describe.each(MODELS.map((m) => [m.name, m] as const))('%s', (name, model) => {
  const choice = parseCpu(name);
  const leaves = cpuidLeaves(choice, OPTIONS);

  test('has what its features need', () => {
    for (const feature of model.features)
      for (const needed of FEATURE_NEEDS[feature] ?? [])
        expect([feature, needed, model.features.has(needed)]).toEqual([feature, needed, true]);
  });

  test('fits the table of the vCPU, no leaf twice, all words unsigned', () => {
    expect(leaves.length).toBeLessThanOrEqual(48);
    expect(new Set(leaves.map((l) => `${l.leaf}.${l.subleaf}`)).size).toBe(leaves.length);
    for (const l of leaves) for (const v of [l.eax, l.ebx, l.ecx, l.edx]) expect(v).toBe(v >>> 0);
  });

  test('shows in CPUID what the feature words say', () => {
    const words = featureWords(choice.features);
    for (const feature of Object.keys(FEATURES) as Feature[]) expect(hasFeature(words, feature)).toBe(choice.features.has(feature));
    expect(find(leaves, 1).ecx).toBe(words[1]);
    expect(find(leaves, 1).edx).toBe(words[0]);
    expect(find(leaves, 1).ebx >>> 24).toBe(2);
  });

  test('signature: family, model and stepping, with their extensions', () => {
    const { eax } = find(leaves, 1);
    const family = ((eax >>> 8) & 15) + (((eax >>> 8) & 15) === 15 ? (eax >>> 20) & 0xff : 0);
    expect([family, ((eax >>> 4) & 15) | ((eax >>> 12) & 0xf0), eax & 15]).toEqual([model.family, model.model, model.stepping]);
  });
});

test('leaf 0x15 gives the TSC frequency exactly from the APIC timer clock, in 32-bit arithmetic', () => {
  for (const [tscHz, apicHz] of [
    [1e9, 1e9],
    [2.5e9, 1e9],
    [3.333e9, 1e8],
  ] as const) {
    // prettier-ignore
    const leaves = cpuidLeaves(parseCpu('default'), { ...OPTIONS, tscHz, apicHz });
    const { eax, ebx, ecx } = find(leaves, 0x15);
    const product = (ecx / 1000) * ebx;
    expect(product).toBeLessThan(2 ** 32);
    expect(product / eax).toBe(tscHz / 1000);
    expect(find(leaves, 0x16).eax).toBe(tscHz / 1e6);
  }
});

test('the TSC frequency is where systems that run in a VM look for it', () => {
  const leaves = cpuidLeaves(parseCpu('default'), OPTIONS);
  expect(find(leaves, 0x4000_0000).eax).toBe(0x4000_0010);
  expect(find(leaves, 0x4000_0010).eax).toBe(2_500_000);
  expect(cpuidLeaves(parseCpu('default,-hypervisor'), OPTIONS).some((l) => l.leaf >>> 28 === 4)).toBe(false);
});
