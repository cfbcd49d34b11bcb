import { describe, expect, test } from 'vitest';
import { hardware, hostMemory, limits } from './capabilities.ts';
import { type Probe, thisHost } from './probe.ts';

interface Made {
  readonly vendor?: string;
  readonly flags?: string;
  /** What opening /dev/kvm comes to; absent: it is not there. */
  readonly kvm?: 'usable' | 'EACCES' | 'ENODEV';
  readonly msr?: Readonly<Record<number, number>>;
  readonly log?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly over?: Partial<Probe>;
}

/** A Linux host with two sockets of two threads each. */
function probe({ vendor = 'GenuineIntel', flags = '', kvm, msr, log, files, over }: Made): Probe {
  const cpu = (id: number, physical: number): string =>
    `processor\t: ${id}\nvendor_id\t: ${vendor}\nmodel name\t: Some CPU\nphysical id\t: ${physical}\ncore id\t\t: 0\nflags\t\t: fpu ${flags}\nvmx flags\t: vnmi\n`;
  const all: Readonly<Record<string, string>> = {
    '/proc/cpuinfo': [cpu(0, 0), cpu(1, 0), cpu(2, 1), cpu(3, 1)].join('\n'),
    '/etc/os-release': 'NAME="X"\nPRETTY_NAME="Debian GNU/Linux 12"\n',
    ...files,
  };
  return {
    platform: 'linux',
    arch: 'x64',
    release: '6.1',
    cpus: 4,
    model: 'Some CPU',
    text: (file) => all[file],
    names: (folder) => (folder === '/sys/devices/system/node' ? ['node0', 'node1', 'possible'] : []),
    open: () => (kvm === undefined ? 'ENOENT' : kvm === 'usable' ? undefined : kvm),
    kernelLog: () => log,
    msr: (index) => msr?.[index],
    run: async () => undefined,
    ...over,
  };
}

const codes = async (made: Made): Promise<string[]> => (await hardware(probe(made))).advice.map(({ code }) => code);
const evidence = async (made: Made): Promise<string> =>
  (await hardware(probe(made))).evidence.map(({ source, finding }) => `${source}: ${finding}`).join('\n');

describe('a Linux host', () => {
  test('bare, Intel: topology, VT-x, /dev/kvm', async () => {
    const made: Made = { flags: 'vmx', kvm: 'usable' };
    expect(await hardware(probe(made))).toMatchObject({
      os: 'Debian GNU/Linux 12',
      cpu: 'Some CPU',
      vendor: 'GenuineIntel',
      sockets: 2,
      cores: 2,
      threads: 4,
      numaNodes: 2,
      virtualization: 'vt-x',
      disabledByFirmware: false,
      kvm: 'usable',
      nested: false,
    });
    expect(await codes(made)).toEqual(['own', 'kvm', 'numa']);
    expect(await evidence(made)).toBe('/proc/cpuinfo: flag vmx; no flag hypervisor\n/dev/kvm: can be opened');
  });

  test('bare, AMD', async () => {
    const made: Made = { vendor: 'AuthenticAMD', flags: 'svm', kvm: 'usable' };
    expect(await hardware(probe(made))).toMatchObject({ vendor: 'AuthenticAMD', virtualization: 'amd-v', nested: false });
    expect(await codes(made)).toContain('kvm');
  });

  test('no permission', async () => {
    const made: Made = { flags: 'svm', kvm: 'EACCES' };
    expect(await hardware(probe(made))).toMatchObject({ kvm: 'no-permission', disabledByFirmware: false });
    expect(await codes(made)).toEqual(['own', 'permission', 'numa']);
  });

  test('a node that nothing is behind is none', async () => {
    expect(await hardware(probe({ flags: 'vmx', kvm: 'ENODEV' }))).toMatchObject({ kvm: 'absent' });
    expect(await evidence({ flags: 'vmx', kvm: 'ENODEV' })).toContain('/dev/kvm: cannot be opened (ENODEV)');
  });

  test.each<[string, Made, boolean | 'unknown', string]>([
    ['by the register: locked, off', { flags: 'vmx', msr: { 0x3a: 1 } }, true, 'firmware'],
    ['by the register: locked, on', { flags: 'vmx', msr: { 0x3a: 5 } }, false, 'notOffered'],
    ['by the register: left to the system', { flags: 'vmx', msr: { 0x3a: 0 } }, false, 'notOffered'],
    ['by AMD’s register: off', { vendor: 'AuthenticAMD', flags: 'svm', msr: { 0xc001_0114: 0x18 } }, true, 'firmware'],
    ['by AMD’s register: on', { vendor: 'AuthenticAMD', flags: 'svm', msr: { 0xc001_0114: 8 } }, false, 'notOffered'],
    ['by the log of KVM', { flags: 'vmx', log: '5,1,1,-;kvm: disabled by bios\n' }, true, 'firmware'],
    ['by the log, the flag cleared', { log: '4,1,1,-;x86/cpu: VMX (outside TXT) disabled by BIOS\n' }, true, 'firmware'],
    ['by the log, AMD', { vendor: 'AuthenticAMD', log: 'kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 0\n' }, true, 'firmware'],
    ['not told: module or BIOS', { flags: 'vmx', log: 'nothing\n' }, 'unknown', 'notOffered'],
    ['not told: no flag, no log', {}, 'unknown', 'none'],
  ])('off in the BIOS, %s', async (_name, made, off, code) => {
    expect((await hardware(probe(made))).disabledByFirmware).toBe(off);
    expect(await codes(made)).toContain(code);
  });

  test('says where it looked', async () => {
    expect(await evidence({ flags: 'vmx', log: '5,1,1,-;kvm: disabled by bios\n' })).toBe(
      '/proc/cpuinfo: flag vmx; no flag hypervisor\n/dev/kvm: is not there\n/dev/cpu/0/msr: cannot be read\nkernel log: kvm: disabled by bios',
    );
    expect(await evidence({ flags: 'vmx', msr: { 0x3a: 5 } })).toContain('/dev/cpu/0/msr: 3ah is 5h');
  });

  test('within a VM: the BIOS is not asked', async () => {
    expect(await hardware(probe({ flags: 'vmx hypervisor', kvm: 'usable' }))).toMatchObject({ nested: true, virtualization: 'vt-x' });
    expect(await codes({ flags: 'vmx hypervisor', kvm: 'usable' })).toEqual(['own', 'kvm', 'nested', 'numa']);
    const none: Made = { flags: 'hypervisor', msr: { 0x3a: 1 } };
    expect(await hardware(probe(none))).toMatchObject({ nested: true, virtualization: 'none', disabledByFirmware: 'unknown' });
    expect(await codes(none)).toEqual(['own', 'nestedNone', 'numa']);
    // As PVM and some clouds do it.
    expect(await hardware(probe({ flags: 'hypervisor', kvm: 'usable' }))).toMatchObject({ disabledByFirmware: 'unknown' });
    expect(await codes({ flags: 'hypervisor', kvm: 'usable' })).toEqual(['own', 'kvmWithoutFlag', 'numa']);
  });

  test('ARM: topology from sysfs, and KVM is of no use', async () => {
    const folder = '/sys/devices/system/cpu';
    const files: Record<string, string> = { '/proc/cpuinfo': 'processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n' };
    for (let i = 0; i < 4; i++) {
      files[`${folder}/cpu${i}/topology/physical_package_id`] = '0\n';
      files[`${folder}/cpu${i}/topology/core_id`] = `${i}\n`;
    }
    const names = (of: string): string[] => (of === folder ? ['cpu0', 'cpu1', 'cpu2', 'cpu3', 'cpufreq'] : []);
    const made: Made = { kvm: 'usable', files, over: { arch: 'arm64', names } };
    expect(await hardware(probe(made))).toMatchObject({ vendor: 'Arm', sockets: 1, cores: 4, numaNodes: 1, virtualization: 'unknown' });
    expect(await codes(made)).toEqual(['own', 'notX86']);
  });

  test('with one CPU VMs take turns', async () => {
    expect(await codes({ over: { cpus: 1, names: () => [] } })).toEqual(['own', 'none', 'oneCpu']);
  });
});

describe('macOS', () => {
  const mac = (arch: string, values: Readonly<Record<string, string>>): Made => ({
    over: { platform: 'darwin', arch, model: 'Apple M1', run: async (_program, _n, name) => values[name!] },
  });

  test('on an Intel Mac', async () => {
    const made = mac('x64', {
      'hw.packages': '1\n',
      'hw.physicalcpu': '2\n',
      'machdep.cpu.vendor': 'GenuineIntel\n',
      'machdep.cpu.features': 'FPU VMX SSE3\n',
      'kern.hv_support': '1\n',
      'kern.hv_vmm_present': '0\n',
    });
    expect(await hardware(probe(made))).toMatchObject({ vendor: 'GenuineIntel', cores: 2, virtualization: 'vt-x', nested: false });
    expect(await codes(made)).toEqual(['own', 'present']);
  });

  test('on Apple’s own CPU, which is not an x86', async () => {
    const made = mac('arm64', { 'kern.hv_support': '1\n' });
    expect(await hardware(probe(made))).toMatchObject({ vendor: 'Apple', cores: 4, virtualization: 'unknown' });
    expect(await codes(made)).toEqual(['own', 'notX86']);
  });

  test('where sysctl says nothing', async () => {
    expect(await codes(mac('x64', {}))).toEqual(['own', 'unknown']);
  });
});

describe('Windows', () => {
  const windows = (processor: object | undefined, hypervisor = false): Made => ({
    over: {
      platform: 'win32',
      model: 'Intel(R) Core(TM)',
      run: async () => (processor === undefined ? undefined : JSON.stringify({ cpus: [processor], hypervisor })),
    },
  });
  const intel = { Manufacturer: 'GenuineIntel', NumberOfCores: 2, VMMonitorModeExtensions: true, VirtualizationFirmwareEnabled: true };

  test.each<[string, Made, object, string]>([
    ['on', windows(intel), { virtualization: 'vt-x', disabledByFirmware: false, cores: 2 }, 'present'],
    ['AMD', windows({ ...intel, Manufacturer: 'AuthenticAMD' }), { virtualization: 'amd-v', vendor: 'AuthenticAMD' }, 'present'],
    ['off in the BIOS', windows({ ...intel, VirtualizationFirmwareEnabled: false }), { disabledByFirmware: true }, 'firmware'],
    ['none', windows({ ...intel, VMMonitorModeExtensions: false }), { virtualization: 'none', disabledByFirmware: 'unknown' }, 'none'],
    [
      'on Hyper-V, which hides it',
      windows({ ...intel, VMMonitorModeExtensions: false, VirtualizationFirmwareEnabled: false }, true),
      { virtualization: 'unknown', disabledByFirmware: 'unknown' },
      'hyperV',
    ],
    ['without an answer', windows(undefined), { virtualization: 'unknown', vendor: 'GenuineIntel', cores: 4 }, 'unknown'],
  ])('%s', async (_name, made, facts, code) => {
    expect(await hardware(probe(made))).toMatchObject(facts);
    expect(await codes(made)).toEqual(['own', code]);
  });
});

test('another system: what can be told is told', async () => {
  const made: Made = { over: { platform: 'freebsd' } };
  expect(await hardware(probe(made))).toMatchObject({ os: 'freebsd 6.1', kvm: 'unsupported-os', virtualization: 'unknown' });
  expect(await codes(made)).toEqual(['own', 'unknown']);
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

test('this host has something to say', async () => {
  const real = await hardware(thisHost);
  expect(real.threads).toBeGreaterThan(0);
  expect(real.advice.length).toBeGreaterThan(1);
});
