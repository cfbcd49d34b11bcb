/** The nine kinds of virtualization (of CPU, memory and I/O; full, para, hardware-assisted) and what of them a VM has, as it is built today. */
import type { HostInfo, Technique, VmDefinition } from '../../electron/ipc.ts';
import { hardwareHere, paraServes } from '../forms/techniques.ts';

export const PARTS = ['cpu', 'memory', 'io'] as const;
export type Part = (typeof PARTS)[number];
export const WAYS = ['full', 'para', 'hardware'] as const satisfies readonly Technique[];
export type Way = (typeof WAYS)[number];

export interface Kind {
  readonly part: Part;
  readonly way: Way;
  /** Serves this VM now; could, if something were chosen; or is not in this version. */
  readonly status: 'serves' | 'could' | 'not';
  /** What serves it, or what it would need: keys under `kinds.by`, or under `technique.reason` what this computer and the source mean for it. */
  readonly by: readonly string[];
}

type Definition = Pick<VmDefinition, 'full' | 'para' | 'source' | 'disks' | 'serials'>;

/** All nine, by part, then by way. `technique`: of the run, or of the next one while the VM is off. */
export function kindsOf(
  definition: Definition,
  technique: VmDefinition['technique'],
  host: Pick<HostInfo, 'kvm' | 'disabledByFirmware'> | undefined,
): Kind[] {
  const { source, disks } = definition;
  const full = technique === 'full';
  const para = technique === 'para';
  const hardware = hardwareHere(host) ?? [];
  const { translateSensitive = true, adaptive = true } = definition.full ?? {};
  const { batching = true, asynchrony = true } = definition.para ?? {};
  const kind = (part: Part, way: Way, status: Kind['status'], ...by: string[]): Kind => ({ part, way, status, by });
  const some = <T>(condition: boolean, value: T): T[] => (condition ? [value] : []);
  const toPara = [...some(paraServes(source.kind), 'choosePara'), `source-${source.kind}`];
  const virtio = [...some(disks.length > 0, 'virtioBlock'), 'virtioEntropy'];
  return [
    full
      ? kind('cpu', 'full', 'serves', translateSensitive ? 'ringsTranslated' : 'ringsTrapOnly', ...some(!adaptive, 'notAdaptive'))
      : kind('cpu', 'full', 'could', para ? 'notHidden' : 'bareCpu', 'chooseFull'),
    para ? kind('cpu', 'para', 'serves', 'hypercalls', ...some(!batching, 'notBatched')) : kind('cpu', 'para', 'could', ...toPara),
    kind('cpu', 'hardware', 'not', ...['entries'].concat(hardware)),
    full ? kind('memory', 'full', 'serves', 'shadow') : kind('memory', 'full', 'could', para ? 'notShadowed' : 'bareMemory', 'chooseFull'),
    para ? kind('memory', 'para', 'serves', 'directPaging') : kind('memory', 'para', 'could', ...toPara),
    kind('memory', 'hardware', 'not', ...['nestedPaging'].concat(hardware)),
    para
      ? kind('io', 'full', 'could', 'noPc', 'chooseFull')
      : kind('io', 'full', 'serves', 'devices', ...some(source.kind === 'disk', 'bios')),
    para
      ? kind('io', 'para', 'serves', 'paraConsole', ...some(disks.length > 0, 'paraBlock'), ...some(!asynchrony, 'notAsynchronous'))
      : // The devices are there in every PC; the built-in guest has no drivers for them.
        source.kind === 'builtin'
        ? kind('io', 'para', 'could', ...virtio, 'noDrivers')
        : kind('io', 'para', 'serves', ...virtio, 'drivers'),
    kind('io', 'hardware', 'not', 'passthrough'),
  ];
}
