/** What macOS and Windows tell an ordinary user of their CPUs and their virtualization hardware. */
import * as v from 'valibot';
import { adviceOf } from './advice.ts';
import type { Evidence } from './api.ts';
import type { Hardware } from './capabilities.ts';
import type { Probe } from './probe.ts';

const isX86 = (arch: string): boolean => arch === 'x64' || arch === 'ia32';

function vendorOf(model: string): string {
  return /intel/i.test(model) ? 'GenuineIntel' : /amd/i.test(model) ? 'AuthenticAMD' : /apple/i.test(model) ? 'Apple' : 'unknown';
}

/** By sysctl: `kern.hv_support` is 1 where Hypervisor.framework works, `kern.hv_vmm_present` within a VM. No Mac has a switch for it. */
export async function macos(probe: Probe): Promise<Hardware> {
  const NAMES = ['hw.packages', 'hw.physicalcpu', 'machdep.cpu.vendor', 'machdep.cpu.features', 'kern.hv_support', 'kern.hv_vmm_present'];
  // One by one: a name that this Mac does not have makes the whole command fail.
  const values = await Promise.all(NAMES.map((name) => probe.run('/usr/sbin/sysctl', '-n', name)));
  const value = (name: string): string | undefined => values[NAMES.indexOf(name)]?.trim();
  const x86 = isX86(probe.arch);
  const support = value('kern.hv_support');
  const vmx = /\bVMX\b/.test(value('machdep.cpu.features') ?? '');
  const nested = value('kern.hv_vmm_present') === '1';
  const virtualization = !x86 || support === undefined ? 'unknown' : vmx || support === '1' ? 'vt-x' : 'none';
  const threads = Math.max(1, probe.cpus);
  const count = (text: string | undefined, otherwise: number): number => Number(/^[1-9]\d*$/.exec(text ?? '')?.[0] ?? otherwise);
  const evidence: Evidence[] = NAMES.slice(-2).map((name) => ({ source: `sysctl ${name}`, finding: value(name) ?? 'is not there' }));
  const disabledByFirmware = virtualization === 'vt-x' ? false : ('unknown' as const);
  return {
    os: `macOS (Darwin ${probe.release})`,
    arch: probe.arch,
    cpu: probe.model || 'unknown',
    vendor: value('machdep.cpu.vendor') || vendorOf(probe.model),
    sockets: count(value('hw.packages'), 1),
    cores: count(value('hw.physicalcpu'), threads),
    threads,
    numaNodes: 1,
    virtualization,
    disabledByFirmware,
    nested,
    kvm: 'unsupported-os',
    evidence,
    advice: adviceOf({ x86, virtualization, disabledByFirmware, nested, kvm: 'unsupported-os', numaNodes: 1, threads }),
  };
}

const QUERY =
  '@{ cpus = @(Get-CimInstance Win32_Processor | Select-Object Manufacturer, NumberOfCores, VMMonitorModeExtensions, ' +
  'VirtualizationFirmwareEnabled); hypervisor = (Get-CimInstance Win32_ComputerSystem).HypervisorPresent } | ConvertTo-Json -Depth 3';

const answerSchema = v.object({
  cpus: v.array(
    v.object({
      Manufacturer: v.nullish(v.string()),
      NumberOfCores: v.nullish(v.number()),
      VMMonitorModeExtensions: v.nullish(v.boolean()),
      VirtualizationFirmwareEnabled: v.nullish(v.boolean()),
    }),
  ),
  hypervisor: v.nullish(v.boolean()),
});

function answerOf(text: string | undefined): v.InferOutput<typeof answerSchema> | undefined {
  try {
    return v.parse(answerSchema, JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}

/**
 * By WMI (Win32_Processor, Win32_ComputerSystem). Once a hypervisor is below Windows, its own or another, it hides the CPU's extensions and
 * both values are false: which of the two it is, and what the CPU has, cannot be told then.
 */
export async function windows(probe: Probe): Promise<Hardware> {
  const answer = answerOf(await probe.run('powershell.exe', '-NoProfile', '-NonInteractive', '-Command', QUERY));
  const x86 = isX86(probe.arch);
  const [first] = answer?.cpus ?? [];
  const vendor = first?.Manufacturer ?? vendorOf(probe.model);
  const hyperV = answer?.hypervisor === true;
  const extensions = first?.VMMonitorModeExtensions ?? undefined;
  const allowed = first?.VirtualizationFirmwareEnabled ?? undefined;
  const technology = vendor === 'AuthenticAMD' ? 'amd-v' : 'vt-x';
  const virtualization = !x86 || hyperV || extensions === undefined ? 'unknown' : extensions ? technology : 'none';
  const disabledByFirmware = virtualization === 'unknown' || virtualization === 'none' || allowed === undefined ? 'unknown' : !allowed;
  const threads = Math.max(1, probe.cpus);
  const cores = (answer?.cpus ?? []).reduce((sum, cpu) => sum + (cpu.NumberOfCores ?? 0), 0);
  const shown = (value: boolean | null | undefined): string => (typeof value === 'boolean' ? String(value) : 'cannot be asked');
  const facts = { x86, virtualization, disabledByFirmware, nested: false, kvm: 'unsupported-os', hyperV, numaNodes: 1, threads } as const;
  return {
    os: `Windows ${probe.release}`,
    arch: probe.arch,
    cpu: probe.model || 'unknown',
    vendor,
    sockets: Math.max(1, answer?.cpus.length ?? 1),
    cores: cores || threads,
    threads,
    numaNodes: 1,
    virtualization,
    disabledByFirmware,
    nested: false,
    kvm: 'unsupported-os',
    evidence: [
      { source: 'Win32_Processor.VMMonitorModeExtensions', finding: shown(extensions) },
      { source: 'Win32_Processor.VirtualizationFirmwareEnabled', finding: shown(allowed) },
      { source: 'Win32_ComputerSystem.HypervisorPresent', finding: shown(answer?.hypervisor) },
    ],
    advice: adviceOf(facts),
  };
}

/** Neither Linux nor macOS nor Windows: what Node.js knows. */
export function unknownSystem(probe: Probe): Hardware {
  const threads = Math.max(1, probe.cpus);
  const virtualization = 'unknown' as const;
  const facts = {
    x86: isX86(probe.arch),
    virtualization,
    disabledByFirmware: virtualization,
    nested: false,
    kvm: 'unsupported-os',
  } as const;
  const { x86: _, ...rest } = facts;
  return {
    ...rest,
    os: `${probe.platform} ${probe.release}`,
    arch: probe.arch,
    cpu: probe.model || 'unknown',
    vendor: vendorOf(probe.model),
    sockets: 1,
    cores: threads,
    threads,
    numaNodes: 1,
    evidence: [],
    advice: adviceOf({ ...facts, numaNodes: 1, threads }),
  };
}
