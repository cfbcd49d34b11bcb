/** `ringside host`: what this host can do. */
import { availableParallelism } from 'node:os';
import type { HostInfo } from '../host/api.ts';
import { hardware, hostMemory, limits } from '../host/capabilities.ts';
import { stateFolder } from '../host/library.ts';
import { parseCommand } from './options.ts';

const VIRTUALIZATION: Readonly<Record<HostInfo['virtualization'], string>> = {
  'vt-x': 'Intel VT-x is there',
  'amd-v': 'AMD-V is there',
  none: 'the CPU shows neither VT-x nor AMD-V',
  unknown: 'cannot be told',
};

const KVM: Readonly<Record<HostInfo['kvm'], string>> = {
  usable: 'can be opened',
  'no-permission': 'is there, but this user may not open it',
  absent: 'is not there',
  'unsupported-os': 'is only on Linux',
};

export async function hostCommand(args: string[]): Promise<number> {
  const { values } = parseCommand(args, { json: { type: 'boolean' }, state: { type: 'string' } }, 0, 'ringside host [--json]');
  const machine = await hardware();
  const { total, free } = hostMemory();
  const most = limits(total);
  const stateDir = stateFolder(values.state);
  if (values.json === true) {
    const info = { ...machine, memory: total, memoryFree: free, limits: most, stateDir, pcpus: availableParallelism() };
    process.stdout.write(`${JSON.stringify(info, null, 2)}\n`);
    return 0;
  }
  const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;
  const rows: [string, string][] = [
    ['system', `${machine.os}, ${machine.arch}`],
    ['CPU', `${machine.cpu} (${machine.vendor})`],
    [
      'topology',
      [
        plural(machine.sockets, 'socket'),
        plural(machine.cores, 'core'),
        plural(machine.threads, 'thread'),
        plural(machine.numaNodes, 'NUMA node'),
      ].join(', '),
    ],
    ['memory', `${total} MiB, ${free} MiB free`],
    ['virtualization', VIRTUALIZATION[machine.virtualization]],
    ['in the BIOS', machine.disabledByFirmware === true ? 'off' : machine.disabledByFirmware ? 'cannot be told' : 'not off'],
    ['nested', machine.nested ? 'yes: this host is itself a virtual machine' : 'no sign of it'],
    ['/dev/kvm', KVM[machine.kvm]],
    ['a VM may have', `${most.memoryMax} MiB, ${plural(most.vcpusMax, 'vCPU')}`],
    ['library', stateDir],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(width)}  ${value}\n`);
  process.stdout.write('\n');
  for (const { text } of machine.advice) process.stdout.write(`${text}\n`);
  if (machine.evidence.length > 0) process.stdout.write('\nHow it was told:\n');
  for (const { source, finding } of machine.evidence) process.stdout.write(`  ${source}: ${finding}\n`);
  return 0;
}
