/** What this host can do, as far as an ordinary user can tell, and what follows from it in plain words. */
import os from 'node:os';
import type { HostInfo } from './api.ts';
import { MEMORY_MAX } from './definition.ts';
import { macos, unknownSystem, windows } from './elsewhere.ts';
import { linux } from './linux.ts';
import { type Probe, thisHost } from './probe.ts';

export type Hardware = Omit<HostInfo, 'memory' | 'memoryFree' | 'limits' | 'version' | 'stateDir' | 'pcpus' | 'policy'>;

export async function hardware(probe: Probe = thisHost): Promise<Hardware> {
  switch (probe.platform) {
    case 'linux':
      return linux(probe);
    case 'darwin':
      return macos(probe);
    case 'win32':
      return windows(probe);
    default:
      return unknownSystem(probe);
  }
}

const MIB = 1 << 20;

/** Memory of the host in MiB: all of it, and what could be had now (also under a container's limit). */
export function hostMemory(probe: Pick<Probe, 'text'> = thisHost): { total: number; free: number } {
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
