/** The nine kinds of virtualization (of CPU, memory and I/O; full, para, hardware-assisted) and what of them a VM has, as it is built today. */
import type { HostInfo, Technique, VmDefinition } from '../../electron/ipc.ts';
import { hardwareHere } from '../forms/techniques.ts';

export const PARTS = ['cpu', 'memory', 'io'] as const;
export type Part = (typeof PARTS)[number];
export const WAYS = ['full', 'para', 'hardware'] as const satisfies readonly Technique[];
export type Way = (typeof WAYS)[number];

export interface Kind {
  readonly part: Part;
  readonly way: Way;
  /** Serves this VM now; could, if something were chosen; or is not in this version. */
  readonly status: 'serves' | 'could' | 'not';
  /** What serves it, or what it would need: keys under `kinds.by`. */
  readonly by: readonly string[];
}

type Definition = Pick<VmDefinition, 'full' | 'source' | 'disks' | 'serials'>;

/** All nine, by part, then by way. `technique`: of the run, or of the next one while the VM is off. */
export function kindsOf(
  definition: Definition,
  technique: VmDefinition['technique'],
  host: Pick<HostInfo, 'kvm' | 'disabledByFirmware'> | undefined,
): Kind[] {
  const full = technique === 'full';
  const hardware = hardwareHere(host) ?? [];
  const { translateSensitive = true, adaptive = true } = definition.full ?? {};
  const cpu = [translateSensitive ? 'ringsTranslated' : 'ringsTrapOnly', ...(adaptive ? [] : ['notAdaptive'])];
  const virtio = [...(definition.disks.length > 0 ? ['virtioBlock'] : []), 'virtioEntropy'];
  return [
    { part: 'cpu', way: 'full', ...(full ? { status: 'serves', by: cpu } : { status: 'could', by: ['bareCpu', 'chooseFull'] }) },
    { part: 'cpu', way: 'para', status: 'not', by: ['hypercalls'] },
    { part: 'cpu', way: 'hardware', status: 'not', by: ['entries'].concat(hardware) },
    {
      part: 'memory',
      way: 'full',
      ...(full ? { status: 'serves', by: ['shadow'] } : { status: 'could', by: ['bareMemory', 'chooseFull'] }),
    },
    { part: 'memory', way: 'para', status: 'not', by: ['directPaging'] },
    { part: 'memory', way: 'hardware', status: 'not', by: ['nestedPaging'].concat(hardware) },
    { part: 'io', way: 'full', status: 'serves', by: ['devices', ...(definition.source.kind === 'disk' ? ['bios'] : [])] },
    // The devices are there in every VM; the built-in guest has no drivers for them.
    definition.source.kind === 'builtin'
      ? { part: 'io', way: 'para', status: 'could', by: [...virtio, 'noDrivers'] }
      : { part: 'io', way: 'para', status: 'serves', by: [...virtio, 'drivers'] },
    { part: 'io', way: 'hardware', status: 'not', by: ['passthrough'] },
  ];
}
