/** `ringside host`: what this host can do. */
import { availableParallelism } from 'node:os';
import { hardware, hostMemory, limits } from '../host/capabilities.ts';
import { stateFolder } from '../host/library.ts';
import { parseCommand } from './options.ts';

export async function hostCommand(args: string[]): Promise<number> {
  const { values } = parseCommand(args, { json: { type: 'boolean' }, state: { type: 'string' } }, 0, 'ringside host [--json]');
  const machine = hardware();
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
    ['virtualization', `${machine.virtualization}; /dev/kvm ${machine.kvm}${machine.nested ? '; nested' : ''}`],
    ['a VM may have', `${most.memoryMax} MiB, ${plural(most.vcpusMax, 'vCPU')}`],
    ['library', stateDir],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) process.stdout.write(`${name.padEnd(width)}  ${value}\n`);
  process.stdout.write('\n');
  for (const line of machine.advice) process.stdout.write(`${line}\n`);
  return 0;
}
