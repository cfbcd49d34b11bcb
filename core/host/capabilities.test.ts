import { describe, expect, test } from 'vitest';
import { hardware, hostMemory, limits, thisHost, type Probe } from './capabilities.ts';

const cpu = (id: number, physical: number, core: number, flags: string): string =>
  `processor\t: ${id}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nphysical id\t: ${physical}\ncore id\t\t: ${core}\nflags\t\t: fpu ${flags}\n`;

function probe(change: { flags?: string; kvm?: 'usable' | 'denied'; files?: Record<string, string>; over?: Partial<Probe> }): Probe {
  const files: Record<string, string> = {
    '/proc/cpuinfo': [cpu(0, 0, 0, change.flags ?? ''), cpu(1, 0, 0, ''), cpu(2, 1, 0, ''), cpu(3, 1, 0, '')].join('\n'),
    '/etc/os-release': 'NAME="X"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
    ...change.files,
  };
  return {
    platform: 'linux',
    arch: 'x64',
    release: '6.1',
    cpus: 4,
    model: 'Intel(R) Xeon(R)',
    text: (file) => files[file],
    names: (folder) => (folder === '/sys/devices/system/node' ? ['node0', 'node1', 'possible'] : []),
    exists: (file) => file === '/dev/kvm' && change.kvm !== undefined,
    usable: () => change.kvm === 'usable',
    ...change.over,
  };
}

describe('hardware', () => {
  test('reads the topology of a Linux host', () => {
    expect(hardware(probe({ flags: 'vmx', kvm: 'usable' }))).toMatchObject({
      os: 'Debian GNU/Linux 12',
      cpu: 'Intel(R) Xeon(R)',
      vendor: 'GenuineIntel',
      sockets: 2,
      cores: 2,
      threads: 4,
      numaNodes: 2,
      virtualization: 'vt-x',
      kvm: 'usable',
      nested: false,
    });
  });

  test.each([
    ['usable', { flags: 'vmx', kvm: 'usable' as const }, /\/dev\/kvm\) is there\. Ringside does not use it yet\./],
    ['no permission', { flags: 'svm', kvm: 'denied' as const }, /may not open \/dev\/kvm.*does not use it yet/],
    ['not offered', { flags: 'vmx' }, /VT-x.*missing.*does not use it yet/],
    ['inside a VM', { flags: 'hypervisor' }, /itself a virtual machine/],
    ['no sign of it', {}, /none, or it is off in the BIOS/],
    ['not an x86', { over: { arch: 'arm64' } }, /not an x86/],
    ['macOS', { over: { platform: 'darwin' as const } }, /macOS.*does not use it yet/],
  ])('advice: %s', (_name, change, words) => {
    expect(hardware(probe(change)).advice.join(' ')).toMatch(words);
  });

  test('a container’s limit counts as the host’s memory', () => {
    const small = probe({
      files: {
        '/sys/fs/cgroup/memory.max': `${512 << 20}\n`,
        '/sys/fs/cgroup/memory.current': `${100 << 20}\n`,
        '/proc/meminfo': 'MemAvailable: 99999999 kB\n',
      },
    });
    expect(hostMemory(small)).toEqual({ total: 512, free: 412 });
    expect(limits(512).memoryMax).toBe(512);
    expect(limits(99_999).memoryMax).toBe(3584);
  });

  test('this host has something to say', () => {
    const real = hardware(thisHost);
    expect(real.threads).toBeGreaterThan(0);
    expect(real.advice.length).toBeGreaterThan(0);
  });
});
