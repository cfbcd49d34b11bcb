/** What a kernel says of itself to Xen: ELF notes of the owner "Xen" (Xen's public header elfnote.h). */
import { FirmwareError } from '../error.ts';
import { type ElfFile } from '../elf.ts';
import { view } from '../target.ts';

const XEN_ELFNOTE_ENTRY = 1;
const XEN_ELFNOTE_HYPERCALL_PAGE = 2;
const XEN_ELFNOTE_VIRT_BASE = 3;
const XEN_ELFNOTE_PADDR_OFFSET = 4;
const XEN_ELFNOTE_XEN_VERSION = 5;
const XEN_ELFNOTE_FEATURES = 10;
const XEN_ELFNOTE_INIT_P2M = 15;
const XEN_ELFNOTE_MOD_START_PFN = 16;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** Features that a kernel may require of us: XENFEAT_* by the names that notes use (features.h). All of them are what a PV guest is to bring along. */
const FEATURES = new Set(['writable_page_tables', 'pae_pgdir_above_4gb']);

/** Addresses are virtual. */
export interface XenNotes {
  readonly entry: bigint;
  /** A page that is to be filled with the code of hypercalls; absent: the kernel has its own. */
  readonly hypercallPage: bigint | undefined;
  /** Where pseudo-physical address 0 is mapped at the start. */
  readonly virtualBase: bigint;
  /** What the ELF's physical addresses are too large by. */
  readonly physicalOffset: bigint;
  /** Where the list of machine frames is wanted; absent: after the kernel. */
  readonly p2m: bigint | undefined;
  /** The initrd need not be mapped at the start. */
  readonly moduleByFrame: boolean;
}

/** By type: the last of each. Malformed ones end the list. */
function readNotes(notes: readonly Uint8Array[]): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (const data of notes) {
    const v = view(data);
    for (let at = 0; at + 12 <= data.length;) {
      const nameSize = v.getUint32(at, true);
      const size = v.getUint32(at + 4, true);
      const start = at + 12 + Math.ceil(nameSize / 4) * 4;
      if (start + size > data.length) break;
      const owner = String.fromCharCode(...data.subarray(at + 12, at + 12 + Math.min(nameSize, 4)));
      if (nameSize === 4 && owner === 'Xen\0') found.set(v.getUint32(at + 8, true), data.subarray(start, start + size));
      at = start + Math.ceil(size / 4) * 4;
    }
  }
  return found;
}

/** Reads them; `name` is the kernel's, for messages. Throws a FirmwareError if it is not a kernel for this interface. */
export function xenNotes(name: string, elf: ElfFile): XenNotes {
  const notes = readNotes(elf.notes);
  if (notes.size === 0) throw new FirmwareError(`${name} has no support for paravirtualization: it has no notes for Xen (CONFIG_XEN_PV)`);

  const number = (type: number): bigint | undefined => {
    const data = notes.get(type);
    if (data?.length === 4) return BigInt(view(data).getUint32(0, true));
    return data?.length === 8 ? view(data).getBigUint64(0, true) : undefined;
  };
  const text = (type: number): string | undefined => {
    const data = notes.get(type);
    return data && new TextDecoder('latin1').decode(data).replace(/\0.*$/s, '');
  };
  const entry = number(XEN_ELFNOTE_ENTRY);
  if (entry === undefined) {
    throw new FirmwareError(
      notes.has(XEN_ELFNOTE_PHYS32_ENTRY)
        ? `${name} can be paravirtualized by Xen's PVH interface only; what is here is PV (CONFIG_XEN_PV)`
        : `${name} does not say where Xen is to enter it`,
    );
  }
  const version = text(XEN_ELFNOTE_XEN_VERSION) ?? '';
  if (version !== 'xen-3.0') throw new FirmwareError(`${name} is for another interface of Xen than xen-3.0: "${version}"`);
  for (const feature of (text(XEN_ELFNOTE_FEATURES) ?? '').split('|'))
    if (feature.startsWith('!') && !FEATURES.has(feature.slice(1)))
      throw new FirmwareError(`${name} requires of Xen what is not here: ${feature.slice(1)}`);

  return {
    entry,
    hypercallPage: number(XEN_ELFNOTE_HYPERCALL_PAGE),
    virtualBase: number(XEN_ELFNOTE_VIRT_BASE) ?? 0n,
    physicalOffset: number(XEN_ELFNOTE_PADDR_OFFSET) ?? 0n,
    p2m: number(XEN_ELFNOTE_INIT_P2M),
    moduleByFrame: (number(XEN_ELFNOTE_MOD_START_PFN) ?? 0n) !== 0n,
  };
}
