/**
 * What CPUID shows to a para guest, with the prefix (XEN_EMULATE_PREFIX) or without: the VM's CPU model without what Xen keeps from PV guests, and Xen's own leaves
 * (arch-x86/cpuid.h).
 */
import type { Feature } from '../../spec/cpuid.ts';
import type { CpuChoice, CpuidLeaf } from '../../spec/models.ts';

/**
 * Paging is the VMM's: no large pages, no global ones, no protection keys or process contexts. So are memory types, the TSC's adjustment and the local APIC's timer
 * (cpufeatureset.h: not "A"). Machine checks are the host's: there are no MSRs for them.
 */
const HIDDEN: readonly Feature[] = [
  'pse',
  'pse36',
  'pge',
  'pdpe1gb',
  'pcid',
  'invpcid',
  'smep',
  'smap',
  'umip',
  'mtrr',
  'mce',
  'mca',
  'tsc_adjust',
  'tsc_deadline',
];

/** The model as the guest has it. */
export function paraCpu(choice: CpuChoice): CpuChoice {
  const features = new Set<Feature>([...choice.features, 'hypervisor']);
  for (const feature of HIDDEN) features.delete(feature);
  return { ...choice, features };
}

const HYPERVISOR = 0x4000_0000;
/** Xen 4.17, as xen_version says. */
const VERSION = (4 << 16) | 17;
/** XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD */
const PRESERVE_AD = 1;
const NEVER_EMULATED = 2;

/** The leaves of a model with Xen's in the place of those that a VMM of no interface has. */
export function paraLeaves(leaves: readonly CpuidLeaf[], tscHz: number, physicalBits: number): CpuidLeaf[] {
  const row = (number: number, eax: number, ebx: number, ecx: number, edx: number): CpuidLeaf => ({
    leaf: HYPERVISOR + number,
    subleaf: 0,
    eax,
    ebx,
    ecx,
    edx,
  });
  return [
    ...leaves.filter(({ leaf }) => leaf >>> 28 !== 4),
    // "XenVMMXenVMM"
    row(0, HYPERVISOR + 5, 0x566e_6558, 0x65584d4d, 0x4d4d_566e),
    row(1, VERSION, 0, 0, 0),
    // One page of hypercalls, which an MSR of this number would give a guest that runs on a processor of its own.
    row(2, 1, HYPERVISOR, PRESERVE_AD, 0),
    row(3, 0, NEVER_EMULATED, Math.round(tscHz / 1000), 0),
    row(5, 0, physicalBits, 0, 0),
  ];
}
