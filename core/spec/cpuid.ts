/**
 * CPUID features: names as libvirt and QEMU know them, and where CPUID shows them (SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E).
 *
 * A feature is a number: word * 32 + bit, the words being those of `Cpu.features`. The decoder gates `needs=NAME` by them, the
 * AssemblyScript helpers see them as FEATURE_NAME.
 */

/** Which CPUID register a word of `Cpu.features` is. */
export const FEATURE_WORDS = [
  { leaf: 1, subleaf: 0, register: 'edx' },
  { leaf: 1, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'ebx' },
  { leaf: 7, subleaf: 0, register: 'ecx' },
  { leaf: 7, subleaf: 0, register: 'edx' },
  { leaf: 0x8000_0001, subleaf: 0, register: 'edx' },
  { leaf: 0x8000_0001, subleaf: 0, register: 'ecx' },
  { leaf: 0xd, subleaf: 1, register: 'eax' },
] as const;

const at = (word: number, bit: number): number => word * 32 + bit;

/** Every feature that the processor implements; what is not here cannot be asked for. */
export const FEATURES = {
  // leaf 1, EDX
  fpu: at(0, 0),
  de: at(0, 2),
  pse: at(0, 3),
  tsc: at(0, 4),
  msr: at(0, 5),
  pae: at(0, 6),
  mce: at(0, 7),
  cx8: at(0, 8),
  apic: at(0, 9),
  sep: at(0, 11),
  mtrr: at(0, 12),
  pge: at(0, 13),
  mca: at(0, 14),
  cmov: at(0, 15),
  pat: at(0, 16),
  pse36: at(0, 17),
  clflush: at(0, 19),
  mmx: at(0, 23),
  fxsr: at(0, 24),
  sse: at(0, 25),
  sse2: at(0, 26),
  // leaf 1, ECX
  sse3: at(1, 0),
  ssse3: at(1, 9),
  cx16: at(1, 13),
  pcid: at(1, 17),
  sse4_1: at(1, 19),
  sse4_2: at(1, 20),
  movbe: at(1, 22),
  popcnt: at(1, 23),
  tsc_deadline: at(1, 24),
  xsave: at(1, 26),
  hypervisor: at(1, 31),
  // leaf 7, EBX
  fsgsbase: at(2, 0),
  tsc_adjust: at(2, 1),
  smep: at(2, 7),
  erms: at(2, 9),
  invpcid: at(2, 10),
  smap: at(2, 20),
  clflushopt: at(2, 23),
  // leaf 7, ECX
  umip: at(3, 2),
  // leaf 7, EDX
  fsrm: at(4, 4),
  // leaf 0x80000001, EDX
  syscall: at(5, 11),
  nx: at(5, 20),
  pdpe1gb: at(5, 26),
  rdtscp: at(5, 27),
  lm: at(5, 29),
  // leaf 0x80000001, ECX
  lahf_lm: at(6, 0),
} as const;

export type Feature = keyof typeof FEATURES;

/** Other spellings that people type. */
export const FEATURE_ALIASES: Readonly<Record<string, Feature>> = {
  'sse4.1': 'sse4_1',
  'sse4.2': 'sse4_2',
  'sse4-1': 'sse4_1',
  'sse4-2': 'sse4_2',
  sep_sysenter: 'sep',
  clfsh: 'clflush',
  cx8_cmpxchg8b: 'cx8',
  pni: 'sse3',
  xd: 'nx',
  'lahf-lm': 'lahf_lm',
  'tsc-deadline': 'tsc_deadline',
};

/** What a feature cannot do without. */
export const FEATURE_NEEDS: Readonly<Partial<Record<Feature, readonly Feature[]>>> = {
  mmx: ['fpu'],
  fxsr: ['fpu'],
  sse: ['fxsr', 'mmx'],
  sse2: ['sse'],
  sse3: ['sse2'],
  ssse3: ['sse3'],
  sse4_1: ['ssse3'],
  sse4_2: ['sse4_1', 'popcnt'],
  xsave: ['sse'],
  cx16: ['cx8', 'lm'],
  nx: ['pae'],
  lm: ['pae', 'sse2', 'syscall', 'nx', 'msr', 'tsc', 'cx8', 'pge'],
  pdpe1gb: ['lm'],
  lahf_lm: ['lm'],
  fsgsbase: ['lm'],
  pcid: ['lm'],
  invpcid: ['pcid'],
  syscall: ['msr'],
  sep: ['msr'],
  rdtscp: ['tsc'],
  tsc_deadline: ['apic', 'tsc'],
  tsc_adjust: ['tsc', 'msr'],
  mtrr: ['msr'],
  pat: ['mtrr'],
  apic: ['msr'],
  pse36: ['pse'],
  mca: ['mce'],
};

/** Whether the eight words of `Cpu.features` have a feature. */
export const hasFeature = (words: ArrayLike<number>, feature: Feature): boolean =>
  ((words[FEATURES[feature] >>> 5]! >>> (FEATURES[feature] & 31)) & 1) !== 0;
