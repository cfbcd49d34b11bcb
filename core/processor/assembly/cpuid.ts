/** CPUID, and what the processor asks of its own features (core/spec/cpuid.ts numbers them). */
import {
  CPU_apicBase,
  CPU_cpuidLeaves,
  CPU_cpuidTable,
  CPU_cr4,
  CPU_features,
  CPU_gpr,
  CPU_xcr0,
  FEATURE_pdpe1gb,
  FEATURE_pse36,
} from './layout';

// @ts-ignore: decorator
@inline
export function hasFeature(cpu: usize, feature: u32): bool {
  return ((load<u32>(cpu + CPU_features + ((feature >>> 5) << 2)) >>> (feature & 31)) & 1) != 0;
}

export function hasPse36(cpu: usize): bool {
  return hasFeature(cpu, FEATURE_pse36);
}

export function hasPage1Gb(cpu: usize): bool {
  return hasFeature(cpu, FEATURE_pdpe1gb);
}

const CR4_OSXSAVE: u64 = 1 << 18;
const APIC_ENABLE: u64 = 1 << 11;
const ROW: usize = 24;

/** Byte address of the table's row for a leaf, or 0. A leaf that takes no subleaf has one row, with subleaf 0. */
function find(cpu: usize, leaf: u32, subleaf: u32): usize {
  const rows = load<u32>(cpu, CPU_cpuidLeaves);
  let row = cpu + CPU_cpuidTable;
  for (let i: u32 = 0; i < rows; i++, row += ROW) if (load<u32>(row) == leaf && load<u32>(row, 4) == subleaf) return row;
  return 0;
}

/** EAX of a leaf, or 0 where the model does not have it. */
export function cpuidEax(cpu: usize, leaf: u32): u32 {
  const row = find(cpu, leaf, 0);
  return row ? load<u32>(row, 8) : 0;
}

/** Leaves that ECX selects a part of (SDM vol. 2A, CPUID). */
function takesSubleaf(leaf: u32): bool {
  return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x14 || leaf == 0x8000001d;
}

export function cpuid(cpu: usize, record: usize): void {
  let leaf = load<u32>(cpu, CPU_gpr);
  let subleaf = load<u32>(cpu, CPU_gpr + 8);
  if (!takesSubleaf(leaf)) subleaf = 0;
  let row = find(cpu, leaf, subleaf);
  if (row == 0) {
    // Above the highest basic leaf, or above the highest extended one: the data of the highest basic leaf (Intel). A leaf in range
    // that the model does not have, and any of a hypervisor that is not there, reads as zeros.
    const highest = cpuidEax(cpu, 0);
    const highestExtended = cpuidEax(cpu, 0x80000000);
    const hypervisor = leaf >= 0x40000000 && leaf < 0x50000000 && find(cpu, 0x40000000, 0) != 0;
    if (!hypervisor && leaf > (leaf >= 0x80000000 ? highestExtended : highest)) {
      leaf = highest;
      row = find(cpu, highest, takesSubleaf(highest) ? load<u32>(cpu, CPU_gpr + 8) : 0);
    }
  }
  let eax: u32 = 0;
  let ebx: u32 = 0;
  let ecx: u32 = 0;
  let edx: u32 = 0;
  if (row) {
    eax = load<u32>(row, 8);
    ebx = load<u32>(row, 12);
    ecx = load<u32>(row, 16);
    edx = load<u32>(row, 20);
    if (leaf == 1) {
      if (load<u64>(cpu, CPU_cr4) & CR4_OSXSAVE) ecx |= 1 << 27;
      if (!(load<u64>(cpu, CPU_apicBase) & APIC_ENABLE)) edx &= ~(1 << 9);
    } else if (leaf == 0xd && subleaf == 0) {
      // EBX: the size of the XSAVE area for what XCR0 has enabled now: legacy region and header; AVX would add 256.
      ebx = load<u64>(cpu, CPU_xcr0) & 4 ? 832 : 576;
    }
  }
  store<u64>(cpu, eax, CPU_gpr);
  store<u64>(cpu, ecx, CPU_gpr + 8);
  store<u64>(cpu, edx, CPU_gpr + 16);
  store<u64>(cpu, ebx, CPU_gpr + 24);
}
