/** Paravirtualization: which segment descriptors a guest may have. */
import { frameAddress } from './para_pages';

const P: u64 = 1 << 47;
const S: u64 = 1 << 44;
const DPL: u64 = 3 << 45;
const TYPE: u64 = 15 << 40;

/** A descriptor that is refused. */
export const NO_DESCRIPTOR: u64 = -1;

/**
 * The descriptor as the guest may have it: nothing that is present is for a privilege level below 3, where the guest's kernel is too; gates, task state segments and
 * LDTs are the VMM's (SDM vol. 3A, 3.4.5 and 3.5).
 */
export function permittedDescriptor(descriptor: u64): u64 {
  if (!(descriptor & P)) return descriptor;
  if (descriptor & S) return descriptor | DPL;
  // The upper half of a system descriptor.
  return descriptor & TYPE ? NO_DESCRIPTOR : descriptor;
}

/** Looks at all descriptors of a frame that becomes a descriptor page. */
export function validateDescriptors(frame: u32): bool {
  const end = frameAddress(frame) + 4096;
  for (let at = frameAddress(frame); at < end; at += 8) {
    const before = load<u64>(at);
    const after = permittedDescriptor(before);
    if (after == NO_DESCRIPTOR) return false;
    if (after != before) store<u64>(at, after);
  }
  return true;
}
