/** CPU models: a vendor, a name and a set of features, which CPUID and the decoder both obey. Named as libvirt and QEMU name them. */
import { FEATURES, FEATURE_ALIASES, FEATURE_NEEDS, FEATURE_WORDS } from './cpuid.ts';
import type { Feature } from './cpuid.ts';

export interface CpuModel {
  readonly name: string;
  /** Twelve characters, as CPUID leaf 0 shows them. */
  readonly vendor: 'GenuineIntel' | 'AuthenticAMD';
  /** At most 47 characters (leaves 0x80000002..4). */
  readonly brand: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  /** MAXPHYADDR. */
  readonly physicalBits: number;
  /** Leaves 0x15 and 0x16 say how fast the TSC and the local APIC's timer run, which saves systems the time to measure it. */
  readonly frequencies?: boolean;
  readonly features: ReadonlySet<Feature>;
}

const PENTIUM3: readonly Feature[] = 'fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 mmx fxsr sse'.split(
  ' ',
) as Feature[];
const QEMU32: readonly Feature[] =
  'fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 sse3'.split(' ') as Feature[];
const QEMU64: readonly Feature[] = [...QEMU32, 'cx16', 'hypervisor', 'syscall', 'nx', 'lm', 'lahf_lm'];
/** x86-64-v2. */
const V2: readonly Feature[] = [...QEMU32, 'cx16', 'syscall', 'nx', 'lm', 'lahf_lm', 'ssse3', 'sse4_1', 'sse4_2', 'popcnt'];

const model = (name: string, rest: Omit<CpuModel, 'name' | 'features'>, features: readonly Feature[]): CpuModel => ({
  name,
  ...rest,
  features: new Set(features),
});

export const MODELS: readonly CpuModel[] = [
  // Chosen for speed: what a distribution's libraries can use, and nothing that only makes a kernel work harder (SMAP's STAC/CLAC
  // around every copy, PCID on a TLB without tags, XSAVE at every switch). Family and model are those of an in-order processor
  // (Saltwell): systems know it not to speculate, and leave out page-table isolation, retpolines and buffer clearing, which are not for a
  // processor whose branches are not the host's.
  model(
    'default',
    { vendor: 'GenuineIntel', brand: 'Ringside virtual CPU', family: 6, model: 54, stepping: 1, physicalBits: 40, frequencies: true },
    [...V2, 'rdtscp', 'pdpe1gb', 'movbe', 'erms', 'tsc_adjust', 'hypervisor'],
  ),
  model('qemu32', { vendor: 'GenuineIntel', brand: 'Ringside virtual CPU (qemu32)', family: 6, model: 6, stepping: 3, physicalBits: 36 }, [
    ...QEMU32,
    'hypervisor',
  ]),
  model(
    'qemu64',
    { vendor: 'AuthenticAMD', brand: 'Ringside virtual CPU (qemu64)', family: 15, model: 107, stepping: 1, physicalBits: 40 },
    QEMU64,
  ),
  model(
    'Nehalem',
    { vendor: 'GenuineIntel', brand: 'Intel Core i7 9xx (Nehalem Class Core i7)', family: 6, model: 26, stepping: 3, physicalBits: 40 },
    [...V2, 'hypervisor'],
  ),
  model(
    'pentium3',
    { vendor: 'GenuineIntel', brand: 'Pentium III (Katmai)', family: 6, model: 8, stepping: 3, physicalBits: 36 },
    PENTIUM3,
  ),
];

/** What `--cpu` asked for. */
export interface CpuChoice {
  readonly model: CpuModel;
  readonly name: string;
  readonly features: ReadonlySet<Feature>;
}

const featureNamed = (text: string): Feature | undefined => {
  const name = text.toLowerCase();
  if (Object.hasOwn(FEATURES, name)) return name as Feature;
  return Object.hasOwn(FEATURE_ALIASES, name) ? FEATURE_ALIASES[name] : undefined;
};

/**
 * Reads `MODEL[,+flag,-flag]`; an empty string is the default model. `+flag` brings what the flag needs, `-flag` takes away what needs it.
 * Throws an Error whose message is one sentence for the user.
 */
export function parseCpu(text: string): CpuChoice {
  const [first = '', ...flags] = text.split(',').map((part) => part.trim());
  const wanted = first === '' ? 'default' : first;
  const found = MODELS.find((m) => m.name.toLowerCase() === wanted.toLowerCase());
  if (!found) throw new Error(`unknown CPU model "${first}"; known models: ${MODELS.map((m) => m.name).join(', ')}`);
  const features = new Set(found.features);
  for (const flag of flags) {
    const sign = flag[0];
    const feature = sign === '+' || sign === '-' ? featureNamed(flag.slice(1)) : undefined;
    if (sign !== '+' && sign !== '-') throw new Error(`CPU flag "${flag}" must begin with + or -, as in "${found.name},+smap,-sse4_2"`);
    if (!feature) throw new Error(`unknown CPU flag "${flag.slice(1)}"; known flags: ${Object.keys(FEATURES).join(', ')}`);
    if (sign === '+') add(features, feature);
    else remove(features, feature);
  }
  return { model: found, name: found.name, features };
}

function add(features: Set<Feature>, feature: Feature): void {
  if (features.has(feature)) return;
  features.add(feature);
  for (const needed of FEATURE_NEEDS[feature] ?? []) add(features, needed);
}

function remove(features: Set<Feature>, feature: Feature): void {
  if (!features.delete(feature)) return;
  for (const [other, needs] of Object.entries(FEATURE_NEEDS) as [Feature, readonly Feature[]][])
    if (needs.includes(feature)) remove(features, other);
}

/** The eight words of `Cpu.features`. */
export function featureWords(features: ReadonlySet<Feature>): Uint32Array {
  const words = new Uint32Array(FEATURE_WORDS.length);
  for (const feature of features) words[FEATURES[feature] >>> 5]! |= 1 << (FEATURES[feature] & 31);
  return words;
}

/** One row of `Cpu.cpuidTable`. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly subleaf: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export interface CpuidOptions {
  /** The vCPU's index, which is also its initial APIC id. */
  readonly vcpu: number;
  readonly vcpus: number;
  /** TSC ticks per second. */
  readonly tscHz: number;
  /** The local APIC timer's input clock, which leaf 0x15 takes for the core crystal's; 1 GHz if not given. */
  readonly apicHz?: number;
}

const ascii = (text: string, offset: number): number =>
  [0, 1, 2, 3].reduce((word, i) => word | ((text.charCodeAt(offset + i) || 0) << (8 * i)), 0) >>> 0;

/** CPUID leaf 1, EAX. */
function signature({ family, model: m, stepping }: CpuModel): number {
  const extended = family >= 15 ? family - 15 : 0;
  return ((extended << 20) | ((m >>> 4) << 16) | (Math.min(family, 15) << 8) | ((m & 15) << 4) | stepping) >>> 0;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

const LINE = 64;

/** Leaf 4: deterministic cache parameters. */
const cacheLeaf = (subleaf: number, type: number, level: number, ways: number, sets: number, sharedBy: number): CpuidLeaf => ({
  leaf: 4,
  subleaf,
  eax: (type | (level << 5) | (1 << 8) | ((sharedBy - 1) << 14)) >>> 0,
  ebx: ((LINE - 1) | ((ways - 1) << 22)) >>> 0,
  ecx: sets - 1,
  edx: 0,
});

/**
 * The table that CPUID answers from, written to `Cpu.cpuidTable`. What changes while the guest runs (OSXSAVE, the APIC's presence, the
 * size in leaf 0xd) is put in by the CPUID instruction itself.
 */
export function cpuidLeaves(choice: CpuChoice, { vcpu, tscHz, apicHz = 1e9 }: CpuidOptions): CpuidLeaf[] {
  const { model: m, features } = choice;
  const words = featureWords(features);
  const word = (leaf: number, subleaf: number, register: string): number => {
    const index = FEATURE_WORDS.findIndex((w) => w.leaf === leaf && w.subleaf === subleaf && w.register === register);
    return index < 0 ? 0 : words[index]!;
  };
  const intel = m.vendor === 'GenuineIntel';
  const long = features.has('lm');
  const seven = word(7, 0, 'ebx') !== 0 || word(7, 0, 'ecx') !== 0 || word(7, 0, 'edx') !== 0;
  // A leaf that is not needed is not shown: old systems take a small maximum to mean an old processor, and know what to do with that.
  const highest = m.frequencies ? 0x16 : features.has('xsave') ? 0xd : seven ? 7 : intel && features.has('sse2') ? 4 : intel ? 2 : 1;
  const leaves: CpuidLeaf[] = [];
  const leaf = (number: number, subleaf: number, eax: number, ebx: number, ecx: number, edx: number): void => {
    leaves.push({ leaf: number, subleaf, eax: eax >>> 0, ebx: ebx >>> 0, ecx: ecx >>> 0, edx: edx >>> 0 });
  };

  leaf(0, 0, highest, ascii(m.vendor, 0), ascii(m.vendor, 8), ascii(m.vendor, 4));
  // EDX bit 28 (HTT) says that EBX's count of logical processors is valid; each vCPU is a package of its own.
  leaf(1, 0, signature(m), ((vcpu << 24) | (1 << 16) | ((LINE / 8) << 8)) >>> 0, word(1, 0, 'ecx'), word(1, 0, 'edx'));
  // 32 KiB L1s, 2 MiB L2, no descriptors of TLBs (bytes: SDM vol. 2A, table 3-12).
  if (highest >= 2) leaf(2, 0, 0x00000001, 0, 0, 0x002c307d);
  if (highest >= 4) {
    leaves.push(cacheLeaf(0, 1, 1, 8, 64, 1), cacheLeaf(1, 2, 1, 8, 64, 1), cacheLeaf(2, 3, 2, 16, 2048, 1));
  }
  if (highest >= 7) leaf(7, 0, 0, word(7, 0, 'ebx'), word(7, 0, 'ecx'), word(7, 0, 'edx'));
  if (features.has('xsave')) {
    leaf(0xd, 0, 3, 576, 576, 0);
    leaf(0xd, 1, word(0xd, 1, 'eax'), 0, 0, 0);
  }

  if (m.frequencies) {
    const [tsc, crystal] = [Math.round(tscHz / 1e6), Math.round(apicHz / 1e6)];
    const divisor = gcd(tsc, crystal);
    leaf(0x15, 0, crystal / divisor, tsc / divisor, crystal * 1e6, 0);
    // In MHz: base, maximum, bus.
    leaf(0x16, 0, tsc, tsc, 100, 0);
  }

  if (features.has('hypervisor')) {
    // The leaves say where the timing is and promise nothing else: no signature that a guest would take for an interface of KVM, Xen,
    // VMware or Hyper-V.
    leaf(0x4000_0000, 0, 0x4000_0010, ascii('RingsideVMM', 0), ascii('RingsideVMM', 4), ascii('RingsideVMM', 8));
    // TSC and local APIC timer frequency in kHz, as VMware defined the leaf and others took it over.
    leaf(0x4000_0010, 0, Math.round(tscHz / 1000), 0, 0, 0);
  }

  const extended = long || m.physicalBits !== 36 || features.has('nx') || features.has('syscall') ? 0x8000_0008 : 0x8000_0004;
  leaf(
    0x8000_0000,
    0,
    extended,
    ...(intel ? ([0, 0, 0] as const) : ([ascii(m.vendor, 0), ascii(m.vendor, 8), ascii(m.vendor, 4)] as const)),
  );
  // AMD repeats most of leaf 1's EDX here.
  const repeated = intel ? 0 : words[0]! & 0x0183f3ff;
  leaf(0x8000_0001, 0, intel ? 0 : signature(m), 0, word(0x8000_0001, 0, 'ecx'), (word(0x8000_0001, 0, 'edx') | repeated) >>> 0);
  for (let i = 0; i < 3; i++) {
    const at = i * 16;
    leaf(0x8000_0002 + i, 0, ascii(m.brand, at), ascii(m.brand, at + 4), ascii(m.brand, at + 8), ascii(m.brand, at + 12));
  }
  if (extended >= 0x8000_0008) {
    if (!intel) leaf(0x8000_0005, 0, 0, 0, 0x20080140, 0x20080140);
    leaf(0x8000_0006, 0, 0, 0, 0x08006040, 0);
    // Bit 8: the TSC runs at one rate in every state of the processor.
    leaf(0x8000_0007, 0, 0, 0, 0, 1 << 8);
    leaf(0x8000_0008, 0, m.physicalBits | ((long ? 48 : 32) << 8), 0, 0, 0);
  }
  return leaves;
}
