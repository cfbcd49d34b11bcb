/**
 * The grant table, version 1 (grant_table.h): which frames the guest lets backends use. A backend claims a granted frame and releases it; meanwhile
 * the frame keeps its owner, and its type stays none or writable (`Para.busy`). Any thread may.
 */
import {
  Control, OWNER_GUEST, PAGE, PARA_GRANT_ENTRIES, PARA_GRANTS, PGT_none, PGT_writable_page, PageInfo, Para,
} from '../../state/index.ts'; // prettier-ignore
import { struct } from '../../state/struct.ts';
import { Mutex } from './mutex.ts';
import { DOMID_BACKEND } from './shared.ts';

export const GTF_permit_access = 1;
export const GTF_type_mask = 3;
export const GTF_readonly = 4;
export const GTF_reading = 8;
export const GTF_writing = 16;
const GTF_unsupported = 0x1e0;

export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

/** Claims of an entry or a frame at the same time: more are refused. */
const CLAIMS_MAX = 200;

export const GrantState = struct('Grants', {
  lock: 'i32',
  reserved: 'u32',
  /** By grant: claims to read, and to write. */
  readers: ['u8', PARA_GRANT_ENTRIES],
  writers: ['u8', PARA_GRANT_ENTRIES],
});

/** A frame in use. */
export interface Claim {
  readonly ref: number;
  readonly frame: number;
  readonly write: boolean;
}

export class Grants {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mutex: Mutex;
  readonly #readers: Uint8Array;
  readonly #writers: Uint8Array;
  readonly #para: number;
  readonly #pages: number;
  readonly #frames: number;
  readonly #busy: number;
  readonly #entries: number;

  /** `address` of a GrantState. */
  constructor(buffer: ArrayBufferLike, address: number) {
    const control = Control.view(buffer, 0);
    const para = Para.view(buffer, control.para);
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#mutex = new Mutex(buffer, address + GrantState.offsets.lock);
    this.#readers = new Uint8Array(buffer, address + GrantState.offsets.readers, PARA_GRANT_ENTRIES);
    this.#writers = new Uint8Array(buffer, address + GrantState.offsets.writers, PARA_GRANT_ENTRIES);
    this.#para = control.para;
    this.#pages = para.pages;
    this.#frames = para.frames;
    this.#busy = para.busy;
    this.#entries = control.ram + PARA_GRANTS * PAGE;
  }

  /** Entries that the guest has set up. */
  get entries(): number {
    return (this.#words[(this.#para + Para.offsets.grantFrames) >> 2]! * PAGE) / 8;
  }

  /** A frame that `by` may use until it releases it, or a (negative) GNTST_*. */
  claim(ref: number, write: boolean, by = DOMID_BACKEND): Claim | number {
    if (ref >= this.entries) return GNTST_bad_gntref;
    return this.#mutex.hold(() => {
      const at = (this.#entries + 8 * ref) >> 2;
      const head = Atomics.load(this.#words, at);
      const frame = this.#words[at + 1]! >>> 0;
      if ((head & GTF_type_mask) !== GTF_permit_access || (head & GTF_unsupported) !== 0) return GNTST_bad_gntref;
      if (head >>> 16 !== by) return GNTST_bad_gntref;
      if (write && (head & GTF_readonly) !== 0) return GNTST_general_error;
      if (this.#readers[ref]! + this.#writers[ref]! >= CLAIMS_MAX) return GNTST_no_space;
      const held = this.hold(frame);
      if (held !== GNTST_okay) return held;
      const use = GTF_reading | (write ? GTF_writing : 0);
      // The guest may have taken it back this moment.
      if (Atomics.compareExchange(this.#words, at, head, head | use) !== head) {
        this.drop(frame);
        return GNTST_bad_gntref;
      }
      const users = write ? this.#writers : this.#readers;
      users[ref]!++;
      return { ref, frame, write };
    });
  }

  release({ ref, frame, write }: Claim): void {
    this.#mutex.hold(() => {
      const users = write ? this.#writers : this.#readers;
      users[ref]!--;
      const over = (this.#writers[ref] === 0 ? GTF_writing : 0) | (this.#readers[ref] === 0 && this.#writers[ref] === 0 ? GTF_reading : 0);
      Atomics.and(this.#words, (this.#entries + 8 * ref) >> 2, ~over);
      this.drop(frame);
    });
  }

  /** Exchanges two entries that nobody uses; GNTST_*. */
  swap(a: number, b: number): number {
    if (a >= this.entries || b >= this.entries) return GNTST_bad_gntref;
    return this.#mutex.hold(() => {
      for (const ref of [a, b]) if (this.#readers[ref]! + this.#writers[ref]! !== 0) return GNTST_eagain;
      for (let i = 0; i < 2; i++) {
        const [one, other] = [(this.#entries + 8 * a) / 4 + i, (this.#entries + 8 * b) / 4 + i];
        const word = this.#words[one]!;
        this.#words[one] = this.#words[other]!;
        this.#words[other] = word;
      }
      return GNTST_okay;
    });
  }

  /** Counts a use of a frame of the guest's, whose type and owner then stay: GNTST_okay, or why not. */
  hold(frame: number): number {
    if (!(frame >= 0 && frame < this.#frames)) return GNTST_bad_page;
    // Counted first, then looked at: see `Para.busy`.
    if (Atomics.add(this.#bytes, this.#busy + frame, 1) >= CLAIMS_MAX) {
      this.drop(frame);
      return GNTST_no_space;
    }
    const page = this.#pages + frame * PageInfo.size;
    const type = Atomics.load(this.#bytes, page + PageInfo.offsets.type);
    const own = Atomics.load(this.#bytes, page + PageInfo.offsets.owner) === OWNER_GUEST;
    if (own && (type === PGT_none || type === PGT_writable_page)) return GNTST_okay;
    this.drop(frame);
    return GNTST_bad_page;
  }

  drop(frame: number): void {
    Atomics.sub(this.#bytes, this.#busy + frame, 1);
  }
}
