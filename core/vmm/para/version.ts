/** xen_version (version.h): what the VMM says that it is. */
import { HYPERVISOR_VIRT_START, PAGE } from '../../state/index.ts';
import type { Service } from './call.ts';
import { EINVAL, ENODATA, ENOSYS, refuse } from './errno.ts';
import type { GuestMemory } from './guest-memory.ts';

const VERSION = 0;
const EXTRAVERSION = 1;
const COMPILE_INFO = 2;
const CAPABILITIES = 3;
const CHANGESET = 4;
const PLATFORM_PARAMETERS = 5;
const GET_FEATURES = 6;
const PAGESIZE = 7;
const GUEST_HANDLE = 8;
const COMMANDLINE = 9;
const BUILD_ID = 10;

/** The interface's, not Ringside's. */
export const XEN_MAJOR = 4;
export const XEN_MINOR = 17;

/** features.h: accessed and dirty bits survive MMU_PT_UPDATE_PRESERVE_AD. */
const XENFEAT_mmu_pt_update_preserve_ad = 5;
const XENFEAT_gnttab_map_avail_bits = 7;
// Linux does without neither.
const FEATURES = (1 << XENFEAT_mmu_pt_update_preserve_ad) | (1 << XENFEAT_gnttab_map_avail_bits);

const EXTRAVERSION_LENGTH = 16;
const CHANGESET_LENGTH = 64;
const LONG_TEXT = 1024;
/** struct xen_compile_info: compiler, by, domain, date. */
const COMPILE_INFO_LENGTHS = [64, 16, 32, 32];
const HANDLE_LENGTH = 16;

/** Texts of fixed lengths, ended by zeros. */
function texts(lengths: readonly number[], values: readonly string[]): Uint8Array {
  const data = new Uint8Array(lengths.reduce((a, b) => a + b));
  let at = 0;
  lengths.forEach((length, i) => {
    data.set(new TextEncoder().encode(values[i] ?? '').subarray(0, length - 1), at);
    at += length;
  });
  return data;
}

export function versionCalls(memory: GuestMemory): Service {
  const put = (at: bigint, data: Uint8Array | DataView): number => {
    memory.write(at, data);
    return 0;
  };
  return (args) => {
    const at = args.pointer(1);
    switch (args.u32(0)) {
      case VERSION:
        return (XEN_MAJOR << 16) | XEN_MINOR;
      case EXTRAVERSION:
        return put(at, texts([EXTRAVERSION_LENGTH], ['.0-ringside']));
      case COMPILE_INFO:
        return put(at, texts(COMPILE_INFO_LENGTHS, ['', '', '', '']));
      case CAPABILITIES:
        return put(at, texts([LONG_TEXT], ['xen-3.0-x86_64']));
      case CHANGESET:
        return put(at, texts([CHANGESET_LENGTH], ['']));
      case PLATFORM_PARAMETERS:
        memory.writeU64(at, HYPERVISOR_VIRT_START);
        return 0;
      case GET_FEATURES:
        if (memory.read(at, 8).getUint32(0, true) !== 0) refuse(EINVAL);
        memory.writeU32(at + 4n, FEATURES);
        return 0;
      case PAGESIZE:
        return PAGE;
      case GUEST_HANDLE:
        return put(at, new Uint8Array(HANDLE_LENGTH));
      case COMMANDLINE:
        return put(at, texts([LONG_TEXT], ['']));
      case BUILD_ID:
        return refuse(ENODATA);
      default:
        return refuse(ENOSYS);
    }
  };
}
