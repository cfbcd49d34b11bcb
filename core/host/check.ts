/** What only this host can tell about a draft: files, CPU models, memory, engines. The first mistake is thrown as a UserError. */
import { PARA_MOST_MIB } from '../machine/create.ts';
import { parseCpu } from '../spec/models.ts';
import { UserError, type HostInfo, type VmDraft } from './api.ts';
import { draftSchema, parse } from './definition.ts';
import { inspect } from './files.ts';

/** Shape, then what this host has. Returns the draft with its texts trimmed. */
export async function checkDraft(value: unknown, limits: HostInfo['limits']): Promise<VmDraft> {
  const draft = parse(draftSchema, value);
  checkMachine(draft, limits);
  const { source } = draft;
  if (source.kind === 'kernel') {
    const kernel = await inspect(source.kernel, 'kernel', 'source.kernel');
    if (kernel.kind !== 'linux' && kernel.kind !== 'multiboot' && kernel.kind !== 'elf') {
      throw new UserError(
        `${kernel.path} is not a kernel that can be started: it is neither a Linux bzImage nor a multiboot or ELF image.`,
        'source.kernel',
      );
    }
    if (source.initrd !== undefined) {
      const initrd = await inspect(source.initrd, 'initrd', 'source.initrd');
      if (initrd.size > draft.memory * 0x10_0000)
        throw new UserError(`${initrd.path} is larger than the VM’s memory of ${draft.memory} MiB.`, 'source.initrd');
    }
    for (const [i, module] of (source.modules ?? []).entries()) await inspect(module, 'module', `source.modules.${i}`);
  }
  for (const [i, disk] of draft.disks.entries()) await inspect(disk.path, 'disk', `disks.${i}.path`);
  return draft;
}

/** The part of it that needs no files. */
export function checkMachine(
  draft: Pick<VmDraft, 'memory' | 'vcpus' | 'cpu' | 'technique' | 'full' | 'para' | 'engine' | 'source' | 'serials'>,
  limits: HostInfo['limits'],
): void {
  if (draft.memory > limits.memoryMax) {
    throw new UserError(`A VM can have at most ${limits.memoryMax} MiB of memory on this host, not ${draft.memory}.`, 'memory');
  }
  if (draft.vcpus > limits.vcpusMax) {
    const most = limits.vcpusMax === 1 ? 'one vCPU' : `${limits.vcpusMax} vCPUs`;
    throw new UserError(`A VM has ${most} for now, not ${draft.vcpus}: several vCPUs are not there yet.`, 'vcpus');
  }
  if (draft.cpu !== undefined) checkCpu(draft.cpu);
  if (draft.engine === 'kvm') {
    throw new UserError('The engine "kvm" is not there yet: only "interpreter" and "translator" are.', 'engine');
  }
  if (draft.technique === 'hardware') {
    throw new UserError('The technique "hardware" is not there yet: there are "automatic", "full" and "para".', 'technique');
  }
  if (draft.full !== undefined && draft.technique !== 'full') {
    throw new UserError('The switches of full virtualization go with the technique "full".', 'full');
  }
  if (draft.para !== undefined && draft.technique !== 'para') {
    throw new UserError('The switches of paravirtualization go with the technique "para".', 'para');
  }
  if (draft.technique === 'para') checkPara(draft);
}

/** A paravirtualized guest is a 64-bit kernel that asks for memory and devices by hypercall. */
function checkPara({ source, memory, cpu, serials }: Pick<VmDraft, 'source' | 'memory' | 'cpu' | 'serials'>): void {
  if (source.kind === 'disk') {
    throw new UserError('A paravirtualized VM starts from a kernel: the boot loader of a disk needs a PC.', 'technique');
  }
  if (source.kind === 'kernel' && source.modules !== undefined && source.modules.length > 0) {
    throw new UserError('A paravirtualized kernel takes an initial RAM disk and no modules.', 'source.modules');
  }
  if (memory > PARA_MOST_MIB) {
    throw new UserError(`A paravirtualized VM can have at most ${PARA_MOST_MIB} MiB of memory, not ${memory}.`, 'memory');
  }
  if (serials > 1) throw new UserError('A paravirtualized VM has one console, and no other serial ports.', 'serials');
  if (!parseCpu(cpu ?? '').features.has('lm')) {
    throw new UserError('A paravirtualized VM needs a CPU model with 64-bit mode (“lm”).', 'cpu');
  }
}

function checkCpu(text: string): void {
  try {
    parseCpu(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`, 'cpu');
  }
}
