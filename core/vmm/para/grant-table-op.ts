/** GNTTABOP_*: what the guest asks of its grant table (grant_table.h). It grants to backends; nobody grants it anything but itself. */
import { Control, OWNER_SHARED, PAGE, PARA_BATCHING, PARA_GRANT_FRAMES, PARA_GRANTS, PageInfo, Para } from '../../state/index.ts';
import { EINVAL, ENOSYS, EPERM, refuse } from './errno.ts';
import {
  type Grants, GNTST_bad_copy_arg, GNTST_bad_domain, GNTST_bad_gntref, GNTST_bad_handle, GNTST_general_error, GNTST_okay,
  GNTST_permission_denied,
} from './grants.ts'; // prettier-ignore
import type { GuestMemory } from './guest-memory.ts';
import { DOMID_BACKEND, DOMID_GUEST, DOMID_SELF } from './shared.ts';

const GNTCOPY_source_gref = 1;
const GNTCOPY_dest_gref = 2;

/** Entries that are done before the vCPU is looked after: the rest is asked for again. */
const PORTION = 256;

export interface GrantTableHost {
  readonly buffer: ArrayBufferLike;
  readonly memory: GuestMemory;
  readonly grants: Grants;
  /** Bytes of a frame were written: RAM page index, first and last byte. */
  invalidate(page: number, first: number, last: number): void;
}

/** What is left of a list: where it goes on, and how many there are. */
export interface Remainder {
  readonly pointer: bigint;
  readonly count: number;
}

interface Operation {
  /** Bytes of an entry of the list. */
  readonly size: number;
  /** Of the entry's `status`; absent: it has none. */
  readonly status?: number;
  /** Does one; returns its status. May change the entry, which is written back. */
  do(entry: DataView): number;
}

export class GrantTable {
  readonly #host: GrantTableHost;
  readonly #ram: number;
  readonly #para;
  readonly #operations: Readonly<Record<number, Operation>>;

  constructor(host: GrantTableHost) {
    this.#host = host;
    const control = Control.view(host.buffer, 0);
    this.#ram = control.ram;
    this.#para = Para.view(host.buffer, control.para);
    this.#operations = {
      0: { size: 32, status: 18, do: (entry) => this.#map(entry) },
      1: { size: 24, status: 20, do: () => GNTST_bad_handle },
      2: { size: 24, status: 8, do: (entry) => this.#setup(entry) },
      3: { size: 4, status: 2, do: () => GNTST_permission_denied },
      4: { size: 24, status: 16, do: () => GNTST_bad_domain },
      5: { size: 40, status: 36, do: (entry) => this.#copy(entry) },
      6: { size: 16, status: 12, do: (entry) => this.#querySize(entry) },
      7: { size: 24, status: 20, do: () => GNTST_bad_handle },
      8: { size: 4, do: (entry) => this.#setVersion(entry) },
      // There is no status table in version 1.
      9: { size: 16, status: 6, do: () => GNTST_general_error },
      10: { size: 8, do: (entry) => this.#getVersion(entry) },
      11: { size: 12, status: 8, do: (entry) => this.#swap(entry) },
    };
  }

  /** Nothing is granted. */
  reset(): void {
    this.#para.grantFrames = 0;
    new Uint8Array(this.#host.buffer, this.#ram + PARA_GRANTS * PAGE, PARA_GRANT_FRAMES * PAGE).fill(0);
  }

  /** The hypercall: 0, or what is left to be done. Refuses what is no operation, or has no list. */
  operate(command: number, pointer: bigint, count: number): 0 | Remainder {
    if (count > 0x7fff_ffff) refuse(EINVAL);
    const operation = this.#operations[command];
    if (!operation) refuse(ENOSYS);
    const { memory } = this.#host;
    if (operation.status === undefined || command === 2 || command === 6) {
      if (count !== 1) refuse(EINVAL);
    }
    const now = Math.min(count, (this.#para.switches & PARA_BATCHING) !== 0 ? PORTION : 1);
    for (let i = 0; i < now; i++) {
      const at = pointer + BigInt(i * operation.size);
      const entry = memory.read(at, operation.size);
      const status = operation.do(entry);
      if (operation.status !== undefined) entry.setInt16(operation.status, status, true);
      memory.write(at, entry);
    }
    return now === count ? 0 : { pointer: pointer + BigInt(now * operation.size), count: count - now };
  }

  #isSelf(domain: number): boolean {
    return domain === DOMID_SELF || domain === DOMID_GUEST;
  }

  /** Backends grant nothing, and what the guest grants itself it has mapped already. */
  #map(entry: DataView): number {
    const domain = entry.getUint16(16, true);
    if (domain === DOMID_BACKEND) return GNTST_bad_gntref;
    return domain === DOMID_GUEST ? GNTST_general_error : GNTST_bad_domain;
  }

  #setup(entry: DataView): number {
    const frames = entry.getUint32(4, true);
    if (!this.#isSelf(entry.getUint16(0, true)))
      return entry.getUint16(0, true) === DOMID_BACKEND ? GNTST_permission_denied : GNTST_bad_domain;
    if (frames > PARA_GRANT_FRAMES) return GNTST_general_error;
    const { buffer, memory } = this.#host;
    for (let i = this.#para.grantFrames; i < frames; i++)
      PageInfo.view(buffer, this.#para.pages + (PARA_GRANTS + i) * PageInfo.size).owner = OWNER_SHARED;
    this.#para.grantFrames = Math.max(this.#para.grantFrames, frames);
    const list = entry.getBigUint64(16, true);
    for (let i = 0; i < frames; i++) memory.writeU64(list + BigInt(8 * i), BigInt(PARA_GRANTS + i));
    return GNTST_okay;
  }

  #querySize(entry: DataView): number {
    const domain = entry.getUint16(0, true);
    if (!this.#isSelf(domain)) return domain === DOMID_BACKEND ? GNTST_permission_denied : GNTST_bad_domain;
    entry.setUint32(4, this.#para.grantFrames, true);
    entry.setUint32(8, PARA_GRANT_FRAMES, true);
    return GNTST_okay;
  }

  #setVersion(entry: DataView): number {
    const version = entry.getUint32(0, true);
    if (version === 2) refuse(ENOSYS);
    if (version !== 1) refuse(EINVAL);
    return GNTST_okay;
  }

  #getVersion(entry: DataView): number {
    if (!this.#isSelf(entry.getUint16(0, true))) refuse(EPERM);
    entry.setUint32(4, 1, true);
    return GNTST_okay;
  }

  #swap(entry: DataView): number {
    return this.#host.grants.swap(entry.getUint32(0, true), entry.getUint32(4, true));
  }

  #copy(entry: DataView): number {
    const length = entry.getUint16(32, true);
    const flags = entry.getUint16(34, true);
    const from = entry.getUint16(10, true);
    const to = entry.getUint16(26, true);
    if (from + length > PAGE || to + length > PAGE) return GNTST_bad_copy_arg;
    return this.#with(entry, 0, (flags & GNTCOPY_source_gref) !== 0, false, (source) =>
      this.#with(entry, 16, (flags & GNTCOPY_dest_gref) !== 0, true, (target) => {
        const bytes = new Uint8Array(this.#host.buffer, this.#ram);
        const start = source * PAGE + from;
        bytes.copyWithin(target * PAGE + to, start, start + length);
        if (length > 0) this.#host.invalidate(target, to, to + length - 1);
        return GNTST_okay;
      }),
    );
  }

  /** `use` with the frame that a struct gnttab_copy_ptr at `at` names, while it stays what it is. */
  #with(entry: DataView, at: number, granted: boolean, write: boolean, use: (frame: number) => number): number {
    const { grants } = this.#host;
    const domain = entry.getUint16(at + 8, true);
    if (granted) {
      if (!this.#isSelf(domain)) return domain === DOMID_BACKEND ? GNTST_bad_gntref : GNTST_bad_domain;
      const claim = grants.claim(entry.getUint32(at, true), write, DOMID_GUEST);
      if (typeof claim === 'number') return claim;
      const status = use(claim.frame);
      grants.release(claim);
      return status;
    }
    if (domain !== DOMID_SELF) return GNTST_permission_denied;
    const frame = Number(entry.getBigUint64(at, true));
    const held = grants.hold(frame);
    if (held !== GNTST_okay) return held;
    const status = use(frame);
    grants.drop(frame);
    return status;
  }
}
