/** Disks that are given to VMs and taken from them after they were made: in the definition, and in the VM itself while it runs. */
import path from 'node:path';
import { UserError, type Disk, type VmDefinition, type VmDraft } from './api.ts';

export function draftOf({ id: _id, created: _created, ...draft }: VmDefinition): VmDraft {
  return draft;
}

/** Throws a UserError if the VM has it already. */
export function withDisk(definition: VmDefinition, disk: Disk): VmDraft {
  const absolute = path.resolve(disk.path);
  if (definition.disks.some((other) => path.resolve(other.path) === absolute))
    throw new UserError(`“${definition.name}” has the disk ${absolute} already.`, 'disk');
  return { ...draftOf(definition), disks: [...definition.disks, { ...disk, path: absolute }] };
}

/** `disk`: its path, or its name in a paravirtualized guest ("xvdb"). Undefined: there is none such. */
export function diskOf(definition: VmDefinition, disk: string): Disk | undefined {
  const named = /^xvd([a-p])$/.exec(disk);
  if (named) return definition.disks[named[1]!.codePointAt(0)! - 97];
  const absolute = path.resolve(disk);
  return definition.disks.find((other) => path.resolve(other.path) === absolute);
}

export function withoutDisk(definition: VmDefinition, disk: Disk): VmDraft {
  return { ...draftOf(definition), disks: definition.disks.filter((other) => other !== disk) };
}
