/** What the guest shares with the VMM: structures of xen.h, with the offsets of the 64-bit interface. */

import { PARA_DOMID } from '../../state/index.ts';

/** struct vcpu_info, 64 bytes. */
export const VCPU_INFO = { upcallPending: 0, upcallMask: 1, pendingSel: 8, cr2: 16, time: 32, size: 64 } as const;
/** struct vcpu_time_info. */
export const TIME_INFO = { version: 0, tscTimestamp: 8, systemTime: 16, mul: 24, shift: 28, flags: 29, size: 32 } as const;
/** struct shared_info. `pending` and `mask`: a bit for each port. */
export const SHARED_INFO = {
  vcpuInfo: 0,
  pending: 0x800,
  mask: 0xa00,
  wcVersion: 0xc00,
  wcSec: 0xc04,
  wcNsec: 0xc08,
  wcSecHi: 0xc0c,
  maxPfn: 0xc10,
  size: 0xc40,
} as const;

/** vCPUs that shared_info has room for (XEN_LEGACY_MAX_VCPUS). */
export const LEGACY_MAX_VCPUS = 32;

export const DOMID_SELF = 0x7ff0;
/** The guest, and the VMM as a domain: where backends are. */
export const DOMID_GUEST = PARA_DOMID;
export const DOMID_BACKEND = 0;
