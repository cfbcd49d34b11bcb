/** Makes a machine's memory: allocated, laid out, with the identity of its vCPUs; firmware then loads a system. */
import {
  CPU_STRIDE, CPUS, Control, Cpu, MAGIC, MIB, type Layout, PAGE, PARA_GUEST, Para, RAM_LOW_MAX, RAM_MAX, VERSION, layout,
} from '../state/index.ts'; // prettier-ignore
import { fullBits, type FullSwitches } from '../vmm/full/switches.ts';
import { paraCpu, paraLeaves } from '../vmm/para/cpuid.ts';
import { paraBits, type ParaSwitches } from '../vmm/para/switches.ts';
import { type CpuChoice, cpuidLeaves, featureWords } from '../spec/models.ts';

export const VCPUS_MAX = 32;
/** The TSC's rate: one tick a nanosecond, so that time and ticks convert exactly. */
export const TSC_HZ = 1e9;

export interface MachineOptions {
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly cpu: CpuChoice;
  /** The guest is fully virtualized; absent: it runs bare on the processor model. */
  readonly full?: FullSwitches;
  /** The guest knows that it is virtualized, and asks by hypercall. */
  readonly para?: ParaSwitches;
}

export interface CreatedMachine {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
}

const FOUR_GIB = 2 ** 32;
/** MiB below the frames of a paravirtualized guest. */
const PARA_GUEST_MIB = (PARA_GUEST * PAGE) / MIB;
/** All of its frames are below the PCI hole. */
export const PARA_MOST_MIB = 3000;

/** MiB that the machine-to-physical table takes: 8 bytes a frame, its own frames included. */
const paraTableMiB = (memoryMiB: number): number => Math.ceil((memoryMiB + 16) / 512);

/** Throws a RangeError for sizes that no machine has, and whatever the host throws if it has not that much memory. */
export function createMachine({ memoryMiB, vcpus, cpu, full, para }: MachineOptions): CreatedMachine {
  if (!Number.isInteger(memoryMiB) || memoryMiB < 2 || memoryMiB * MIB > RAM_MAX)
    throw new RangeError(`a machine has 2 to ${RAM_MAX / MIB} MiB of memory, not ${memoryMiB}`);
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > VCPUS_MAX)
    throw new RangeError(`a machine has 1 to ${VCPUS_MAX} vCPUs, not ${vcpus}`);
  const ramMiB = para === undefined ? memoryMiB : PARA_GUEST_MIB + memoryMiB + paraTableMiB(memoryMiB);
  if (para !== undefined && ramMiB * MIB > RAM_LOW_MAX)
    throw new RangeError(`a paravirtualized machine has at most ${PARA_MOST_MIB} MiB of memory, not ${memoryMiB}`);
  const place = layout(vcpus, ramMiB * MIB, para !== undefined);
  const memory = new WebAssembly.Memory({ initial: place.pages, maximum: place.pages, shared: true });
  const control = Control.view(memory.buffer, 0);
  control.magic = MAGIC;
  control.version = VERSION;
  control.vcpus = vcpus;
  control.cpus = CPUS;
  control.tlbs = place.tlbs;
  control.devices = place.devices;
  control.devicesEnd = place.devicesEnd;
  control.codeHash = place.codeHash;
  control.codePages = place.codePages;
  control.records = place.records;
  control.recordsEnd = place.recordsEnd;
  control.recordsNext = place.records;
  control.translations = place.translations;
  control.slots = place.slots;
  control.modules = place.modules;
  control.modulesEnd = place.modulesEnd;
  control.requests = place.requests;
  control.branchTargets = place.branchTargets;
  control.branchTargetsEnd = place.branchTargetsEnd;
  control.ram = place.ram;
  control.ramSize = place.ramSize;
  control.ramLow = place.ramLow;
  control.tscHz = TSC_HZ;
  control.full = fullBits(full);
  control.para = place.para;
  if (para !== undefined) {
    const domain = Para.view(memory.buffer, place.para);
    domain.switches = paraBits(para);
    domain.pages = place.pageInfos;
    domain.busy = place.busyFrames;
    domain.frames = place.ramSize / PAGE;
    domain.guestFrames = (memoryMiB * MIB) / PAGE;
    domain.m2p = PARA_GUEST + domain.guestFrames;
    domain.m2pFrames = (domain.frames * 8) / PAGE;
  }
  for (let i = 0; i < vcpus; i++) identify(memory.buffer, i, vcpus, cpu, para !== undefined);
  return { memory, layout: place };
}

/** What a vCPU is, which a reset does not change. */
function identify(buffer: ArrayBufferLike, index: number, vcpus: number, model: CpuChoice, para: boolean): void {
  const cpu = Cpu.view(buffer, CPUS + index * CPU_STRIDE);
  cpu.index = index;
  cpu.apicId = index;
  const choice = para ? paraCpu(model) : model;
  const native = cpuidLeaves(choice, { vcpu: index, vcpus, tscHz: TSC_HZ });
  const leaves = para ? paraLeaves(native, TSC_HZ, choice.model.physicalBits) : native;
  const rows = cpu.cpuidTable.length / 6;
  if (leaves.length > rows) throw new RangeError(`the CPU model has ${leaves.length} CPUID leaves, and there is room for ${rows}`);
  cpu.cpuidLeaves = leaves.length;
  leaves.forEach((l, row) => [l.leaf, l.subleaf, l.eax, l.ebx, l.ecx, l.edx].forEach((value, i) => cpu.cpuidTable.set(6 * row + i, value)));
  featureWords(choice.features).forEach((word, i) => cpu.features.set(i, word));
  cpu.physicalMask = 2 ** choice.model.physicalBits - 1;
}

/** The layout of an existing machine, as its memory says. Throws if it is not one. */
export function attachMachine(memory: WebAssembly.Memory): CreatedMachine {
  const control = Control.view(memory.buffer, 0);
  if (control.magic !== MAGIC || control.version !== VERSION) throw new Error('this memory is not that of a machine of this version');
  return { memory, layout: layout(control.vcpus, control.ramSize, control.para !== 0) };
}

/** Bytes of machine memory beyond the guest's RAM. */
export const overhead = (place: Layout): number => place.pages * 0x10000 - place.ramSize;

/** Whether a machine of this size can be addressed at all. */
export const fits = (memoryMiB: number, vcpus: number): boolean => layout(vcpus, memoryMiB * MIB).pages * 0x10000 <= FOUR_GIB;
