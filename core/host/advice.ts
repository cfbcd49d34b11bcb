/** What a host's capabilities mean for the user: which sentences hold, and the sentences. The app has its own words for the same codes. */
import type { HostInfo } from './api.ts';

const NOT_USED = 'Ringside does not use it yet.';

export const ADVICE = {
  own: 'Ringside’s own processor runs every system here: no driver, no administrator and no BIOS setting is needed.',
  kvm: `The host’s hardware virtualization may be used (/dev/kvm can be opened): nothing has to be done. ${NOT_USED}`,
  kvmWithoutFlag: `/dev/kvm can be opened, although the CPU shows neither VT-x nor AMD-V: what serves it, and how fast it is, cannot be told. ${NOT_USED}`,
  permission: `The host’s hardware virtualization is there, but this user may not open /dev/kvm; a member of the group “kvm” may. ${NOT_USED}`,
  firmware: `The CPU can virtualize in hardware, but that is off in the BIOS: its setup calls it “Virtualization Technology”, “VT-x” or “SVM”. ${NOT_USED}`,
  notOffered: `The CPU has hardware virtualization, but the system does not offer it (/dev/kvm is missing): the kvm module is not loaded, or it is off in the BIOS. ${NOT_USED}`,
  present: `The CPU has hardware virtualization, and it is on. ${NOT_USED}`,
  none: 'The CPU shows no hardware virtualization: it has none, or it is off in the BIOS. Ringside does not need any.',
  nested: 'This host is itself a virtual machine: hardware virtualization within it is nested, and each of its exits costs several times as much.',
  nestedNone: 'This host is itself a virtual machine and is given no hardware virtualization; whoever runs it can change that. Ringside does not need any.',
  hyperV: 'Windows runs on its own hypervisor (Hyper-V) and hides what the CPU has. Ringside does not need any of it.',
  notX86: 'The host’s CPU is not an x86: its hardware virtualization cannot run x86 systems. Ringside does not need any.',
  unknown: 'Whether there is hardware virtualization cannot be told here. Ringside does not need any.',
  numa: 'The host has several NUMA nodes: a VM is slower where its memory is on another node than the CPU that runs it. Ringside does not place VMs by node yet.',
  oneCpu: 'This host has one CPU: running VMs take turns on it.',
} as const; // prettier-ignore

export type Advice = keyof typeof ADVICE;

export interface Facts {
  readonly x86: boolean;
  readonly virtualization: 'vt-x' | 'amd-v' | 'none' | 'unknown';
  readonly disabledByFirmware: boolean | 'unknown';
  readonly nested: boolean;
  readonly kvm: 'usable' | 'no-permission' | 'absent' | 'unsupported-os';
  /** Windows' own hypervisor is below this system. */
  readonly hyperV?: boolean;
  readonly numaNodes: number;
  readonly threads: number;
}

export function adviceOf(facts: Facts): HostInfo['advice'] {
  const all: Advice[] = ['own', hardwareAdvice(facts)];
  const has = facts.virtualization === 'vt-x' || facts.virtualization === 'amd-v';
  if (facts.nested && has) all.push('nested');
  if (facts.numaNodes > 1) all.push('numa');
  if (facts.threads === 1) all.push('oneCpu');
  return all.map((code) => ({ code, text: ADVICE[code] }));
}

function hardwareAdvice({ x86, virtualization, disabledByFirmware, nested, kvm, hyperV }: Facts): Advice {
  if (!x86) return 'notX86';
  const has = virtualization === 'vt-x' || virtualization === 'amd-v';
  if (kvm === 'usable') return has ? 'kvm' : 'kvmWithoutFlag';
  if (disabledByFirmware === true) return 'firmware';
  if (kvm === 'no-permission') return 'permission';
  if (hyperV === true) return 'hyperV';
  if (has) return kvm === 'unsupported-os' ? 'present' : 'notOffered';
  if (virtualization === 'unknown') return 'unknown';
  return nested ? 'nestedNone' : 'none';
}
