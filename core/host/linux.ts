/** What a Linux host says of its CPUs and their virtualization hardware. */
import { adviceOf } from './advice.ts';
import type { Evidence } from './api.ts';
import type { Hardware } from './capabilities.ts';
import type { Probe } from './probe.ts';

/** IA32_FEATURE_CONTROL (SDM vol. 4): bit 0 locked, bit 2 VMX outside SMX allowed. */
const FEATURE_CONTROL = 0x3a;
/** VM_CR (APM vol. 2, 15.30.1): bit 4 SVM disabled. */
const VM_CR = 0xc001_0114;
/** What kernels say when the BIOS has locked it off: KVM's module, before 5.6; the CPU's set-up, since. */
const DISABLED = /^.*((?:VMX|SVM).*disabled \(?by BIOS|kvm.*: disabled by bios).*$/im;

export function linux(probe: Probe): Hardware {
  const cpuinfo = probe.text('/proc/cpuinfo') ?? '';
  const field = (name: string): string | undefined => new RegExp(`^${name}[ \\t]*:[ \\t]*(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim();
  const flags = new Set((field('flags') ?? '').split(/\s+/));
  const x86 = probe.arch === 'x64' || probe.arch === 'ia32';
  const virtualization = !x86 ? 'unknown' : flags.has('vmx') ? 'vt-x' : flags.has('svm') ? 'amd-v' : 'none';
  const nested = flags.has('hypervisor');
  const evidence: Evidence[] = [];
  const tell = (source: string, finding: string): void => void evidence.push({ source, finding });
  if (x86) {
    const flag = virtualization === 'vt-x' ? 'flag vmx' : virtualization === 'amd-v' ? 'flag svm' : 'neither flag vmx nor flag svm';
    tell('/proc/cpuinfo', `${flag}; ${nested ? 'flag hypervisor' : 'no flag hypervisor'}`);
  }
  const refused = probe.open('/dev/kvm');
  const kvm = refused === undefined ? 'usable' : refused === 'EACCES' || refused === 'EPERM' ? 'no-permission' : 'absent';
  tell('/dev/kvm', refused === undefined ? 'can be opened' : refused === 'ENOENT' ? 'is not there' : `cannot be opened (${refused})`);
  const has = virtualization === 'vt-x' || virtualization === 'amd-v';
  // A VM's firmware does not decide: whoever runs the VM does.
  const disabledByFirmware =
    has && kvm !== 'absent' ? false : !x86 || nested || kvm !== 'absent' ? 'unknown' : firmware(probe, field('vendor_id'), tell);
  const { sockets, cores } = topology(probe, cpuinfo);
  const numaNodes = Math.max(1, probe.names('/sys/devices/system/node').filter((name) => /^node\d+$/.test(name)).length);
  const threads = Math.max(1, probe.cpus);
  return {
    os: /^PRETTY_NAME="?(.*?)"?$/m.exec(probe.text('/etc/os-release') ?? '')?.[1] ?? `Linux ${probe.release}`,
    arch: probe.arch,
    cpu: field('model name') ?? (probe.model || 'unknown'),
    vendor: field('vendor_id') ?? implementer(field('CPU implementer')),
    sockets,
    cores: cores || threads,
    threads,
    numaNodes,
    virtualization,
    disabledByFirmware,
    nested,
    kvm,
    evidence,
    advice: adviceOf({ x86, virtualization, disabledByFirmware, nested, kvm, numaNodes, threads }),
  };
}

/** Nothing but the CPU's own register is sure; the kernel's word is as good while its log still has it. */
function firmware(probe: Probe, vendor: string | undefined, tell: (source: string, finding: string) => void): boolean | 'unknown' {
  const amd = vendor === 'AuthenticAMD' || vendor === 'HygonGenuine';
  const index = amd ? VM_CR : FEATURE_CONTROL;
  const value = probe.msr(index);
  if (value === undefined) {
    tell('/dev/cpu/0/msr', 'cannot be read');
  } else {
    tell('/dev/cpu/0/msr', `${index.toString(16)}h is ${value.toString(16)}h`);
    return amd ? (value & 0x10) !== 0 : (value & 5) === 1;
  }
  const log = probe.kernelLog();
  const line = DISABLED.exec(log ?? '')?.[1];
  tell('kernel log', log === undefined ? 'cannot be read' : (line ?? 'says nothing of it'));
  return line === undefined ? 'unknown' : true;
}

/** Of /proc/cpuinfo, or, where that has none (ARM, some VMs), of sysfs. */
function topology(probe: Probe, cpuinfo: string): { sockets: number; cores: number } {
  const sockets = new Set<string>();
  const cores = new Set<string>();
  const add = (socket: string | undefined, core: string | undefined): void => {
    if (socket === undefined) return;
    sockets.add(socket);
    cores.add(`${socket}/${core ?? ''}`);
  };
  for (const part of cpuinfo.split(/\n\s*\n/)) add(/^physical id\s*:\s*(\d+)/m.exec(part)?.[1], /^core id\s*:\s*(\d+)/m.exec(part)?.[1]);
  if (sockets.size === 0) {
    const folder = '/sys/devices/system/cpu';
    for (const name of probe.names(folder).filter((name) => /^cpu\d+$/.test(name))) {
      const of = (file: string): string | undefined => /^\d+/.exec(probe.text(`${folder}/${name}/topology/${file}`) ?? '')?.[0];
      add(of('physical_package_id'), of('core_id'));
    }
  }
  return { sockets: Math.max(1, sockets.size), cores: cores.size };
}

/** Arm's Main ID Register, bits 31 to 24, as the kernel prints them. */
function implementer(code: string | undefined): string {
  const names: Readonly<Record<string, string>> = {
    '0x41': 'Arm',
    '0x42': 'Broadcom',
    '0x51': 'Qualcomm',
    '0x61': 'Apple',
    '0xc0': 'Ampere',
  };
  return names[code ?? ''] ?? 'unknown';
}
