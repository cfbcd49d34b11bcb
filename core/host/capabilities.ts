/** What this host can do, as far as an ordinary user can tell, and what follows from it in plain words. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import type { HostInfo } from './api.ts';
import { MEMORY_MAX } from './definition.ts';

export type Hardware = Pick<
  HostInfo,
  | 'os'
  | 'arch'
  | 'cpu'
  | 'vendor'
  | 'sockets'
  | 'cores'
  | 'threads'
  | 'numaNodes'
  | 'virtualization'
  | 'disabledByFirmware'
  | 'nested'
  | 'kvm'
  | 'advice'
>;

/** What is looked at: replaced in tests. */
export interface Probe {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly release: string;
  readonly cpus: number;
  readonly model: string;
  /** The text of a file, or undefined. */
  text(file: string): string | undefined;
  /** Names in a folder; none if it is not there. */
  names(folder: string): readonly string[];
  exists(file: string): boolean;
  /** May be opened for reading and writing. */
  usable(file: string): boolean;
}

export const thisHost: Probe = {
  platform: process.platform,
  arch: process.arch,
  release: os.release(),
  get cpus() {
    return os.cpus().length;
  },
  get model() {
    return os.cpus()[0]?.model.trim() ?? '';
  },
  text(file) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  },
  names(folder) {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
  exists: existsSync,
  usable(file) {
    try {
      accessSync(file, constants.R_OK | constants.W_OK);
      return true;
    } catch {
      return false;
    }
  },
};

const NOT_USED = 'Ringside does not use it yet.';

export function hardware(probe: Probe = thisHost): Hardware {
  return probe.platform === 'linux' ? linux(probe) : elsewhere(probe);
}

function linux(probe: Probe): Hardware {
  const cpuinfo = probe.text('/proc/cpuinfo') ?? '';
  const field = (name: string): string | undefined => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim();
  const flags = new Set((field('flags') ?? '').split(/\s+/));
  const ids = new Set<string>();
  const cores = new Set<string>();
  for (const part of cpuinfo.split(/\n\s*\n/)) {
    const physical = /^physical id\s*:\s*(\d+)/m.exec(part)?.[1];
    const core = /^core id\s*:\s*(\d+)/m.exec(part)?.[1];
    if (physical === undefined) continue;
    ids.add(physical);
    cores.add(`${physical}/${core ?? ''}`);
  }
  const vendor = field('vendor_id') ?? '';
  const x86 = probe.arch === 'x64' || probe.arch === 'ia32';
  const virtualization = flags.has('vmx') ? 'vt-x' : flags.has('svm') ? 'amd-v' : x86 ? 'none' : 'unknown';
  const kvm = !probe.exists('/dev/kvm') ? 'absent' : probe.usable('/dev/kvm') ? 'usable' : 'no-permission';
  const inVm = flags.has('hypervisor');
  // The kernel clears the flag when the firmware has locked the feature off, and /dev/kvm does not appear; nothing else tells.
  const disabledByFirmware = kvm !== 'absent' ? false : virtualization === 'none' || virtualization === 'unknown' ? 'unknown' : false;
  const nodes = probe.names('/sys/devices/system/node').filter((name) => /^node\d+$/.test(name)).length;
  const advice: string[] = [];
  advice.push('Ringside’s own processor runs every system here: no driver, no administrator and no BIOS setting is needed.');
  if (kvm === 'usable') advice.push(`The host’s hardware virtualization (/dev/kvm) is there. ${NOT_USED}`);
  if (kvm === 'no-permission')
    advice.push(
      `The host’s hardware virtualization is there, but this user may not open /dev/kvm; a member of the group "kvm" may. ${NOT_USED}`,
    );
  if (kvm === 'absent') {
    if (virtualization === 'vt-x' || virtualization === 'amd-v') {
      advice.push(
        `The CPU has ${name(virtualization)}, but the system does not offer it (/dev/kvm is missing): the kvm module is not loaded, or it is off in the BIOS. ${NOT_USED}`,
      );
    } else if (x86 && inVm) {
      advice.push('This host is itself a virtual machine and is given no hardware virtualization.');
    } else if (x86) {
      advice.push('The CPU shows no hardware virtualization: it has none, or it is off in the BIOS.');
    } else {
      advice.push('The host’s CPU is not an x86, so its hardware virtualization cannot run x86 systems.');
    }
  }
  const threads = Math.max(1, probe.cpus);
  if (threads === 1) advice.push('This host has one CPU: running VMs take turns on it.');
  return {
    os: /^PRETTY_NAME="?(.*?)"?$/m.exec(probe.text('/etc/os-release') ?? '')?.[1] ?? `Linux ${probe.release}`,
    arch: probe.arch,
    cpu: field('model name') ?? (probe.model || 'unknown'),
    vendor: vendor || 'unknown',
    sockets: Math.max(1, ids.size),
    cores: cores.size || threads,
    threads,
    numaNodes: Math.max(1, nodes),
    virtualization,
    disabledByFirmware,
    nested: inVm && (virtualization === 'vt-x' || virtualization === 'amd-v'),
    kvm,
    advice,
  };
}

const name = (virtualization: 'vt-x' | 'amd-v'): string => (virtualization === 'vt-x' ? 'Intel VT-x' : 'AMD-V');

function elsewhere(probe: Probe): Hardware {
  const advice = ['Ringside’s own processor runs every system here: no driver, no administrator and no BIOS setting is needed.'];
  const systems: Partial<Record<NodeJS.Platform, string>> = { darwin: 'macOS', win32: 'Windows' };
  const system = systems[probe.platform] ?? probe.platform;
  advice.push(`Whether ${system} has hardware virtualization is not looked for. ${NOT_USED}`);
  const vendor = /intel/i.test(probe.model)
    ? 'GenuineIntel'
    : /amd/i.test(probe.model)
      ? 'AuthenticAMD'
      : /apple/i.test(probe.model)
        ? 'Apple'
        : 'unknown';
  const threads = Math.max(1, probe.cpus);
  return {
    os: `${system} ${probe.release}`,
    arch: probe.arch,
    cpu: probe.model || 'unknown',
    vendor,
    sockets: 1,
    cores: threads,
    threads,
    numaNodes: 1,
    virtualization: 'unknown',
    disabledByFirmware: 'unknown',
    nested: false,
    kvm: 'unsupported-os',
    advice,
  };
}

const MIB = 1 << 20;

/** Memory of the host in MiB: all of it, and what could be had now (also under a container's limit). */
export function hostMemory(probe: Probe = thisHost): { total: number; free: number } {
  let total = os.totalmem();
  let free = os.freemem();
  const available = /^MemAvailable:\s*(\d+) kB/m.exec(probe.text('/proc/meminfo') ?? '')?.[1];
  if (available !== undefined) free = Number(available) * 1024;
  const limit = Number(probe.text('/sys/fs/cgroup/memory.max')?.trim());
  const used = Number(probe.text('/sys/fs/cgroup/memory.current')?.trim());
  if (Number.isFinite(limit) && limit > 0 && limit < total) {
    total = limit;
    if (Number.isFinite(used)) free = Math.min(free, Math.max(0, limit - used));
  }
  return { total: Math.floor(total / MIB), free: Math.floor(free / MIB) };
}

/** What one VM may have here. Memory: what a 32-bit machine memory holds, or the host has. */
export function limits(total: number): HostInfo['limits'] {
  return { memoryMax: Math.max(1, Math.min(MEMORY_MAX, total)), vcpusMax: VCPUS_MAX };
}

/** vCPUs of one VM. */
export const VCPUS_MAX = 1;
