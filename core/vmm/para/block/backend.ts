/** One block device's backend: connects to the front end's ring, serves it, lets go of it. Any thread may call any of it. */
import type { RawImage } from '../../../storage/raw.ts';
import { Control, PAGE, PARA_SIZES, Para } from '../../../state/index.ts';
import { GNTST_no_space, type Claim, type Grants } from '../grants.ts';
import { Mutex } from '../mutex.ts';
import {
  BLKIF_RSP_ERROR, execute, type Frames, framesOf, operationOf, REQ_EVENT, REQ_PROD, REQUEST, RING_ENTRIES, RING_START, RSP_EVENT, RSP_PROD, type Served,
} from './ring.ts'; // prettier-ignore
import { PATH_ROOM, PERSISTENT_MAX, Vbd } from './state.ts';

export interface BackendHost {
  readonly buffer: ArrayBufferLike;
  /** Address of the guest's RAM in machine memory. */
  readonly ram: number;
  readonly grants: Grants;
  /** Opens a disk image; throws a StorageError. */
  open(path: string, readonly: boolean): RawImage;
  /** An event for the guest. */
  event(port: number): void;
  invalidate(page: number, first: number, last: number): void;
  note(text: string): void;
}

/** Notes about one disk: who breaks it again and again fills no log. */
const NOTES_MAX = 20;

export class VbdBackend {
  readonly state;
  readonly #host: BackendHost;
  readonly #mutex: Mutex;
  readonly #ram: Uint8Array;
  readonly #para;
  readonly #refs: Uint32Array;
  readonly #frames: Uint32Array;
  /** The file that this thread has open, and the `serial` that it is of. */
  #image: RawImage | undefined;
  #serial = 0;
  /** What this thread knows of persistent grants: frames by reference. */
  readonly #persistent = new Map<number, Claim>();
  #notes = 0;

  constructor(host: BackendHost, address: number) {
    this.#host = host;
    this.state = Vbd.view(host.buffer, address);
    this.#para = Para.view(host.buffer, Control.view(host.buffer, 0).para);
    this.#mutex = new Mutex(host.buffer, address + Vbd.offsets.lock);
    this.#ram = new Uint8Array(host.buffer, host.ram);
    this.#refs = new Uint32Array(host.buffer, address + Vbd.offsets.persistentRefs, PERSISTENT_MAX);
    this.#frames = new Uint32Array(host.buffer, address + Vbd.offsets.persistentFrames, PERSISTENT_MAX);
  }

  /** Puts a disk here. Throws a StorageError if it cannot be opened. */
  insert(path: string, readonly: boolean): void {
    const bytes = new TextEncoder().encode(path);
    if (bytes.length > PATH_ROOM) throw new RangeError(`the path of a disk has at most ${PATH_ROOM} bytes`);
    const image = this.#host.open(path, readonly);
    this.#mutex.hold(() => {
      const { state } = this;
      const serial = state.serial + 1;
      new Uint8Array(this.#host.buffer, state.address + 8, Vbd.offsets.path - 8).fill(0);
      new Uint8Array(this.#host.buffer, state.address + Vbd.offsets.path, bytes.length).set(bytes);
      state.pathLength = bytes.length;
      state.readonly = readonly ? 1 : 0;
      state.sectors = image.sectors;
      state.serial = serial;
      state.used = 1;
      this.#keep(image);
    });
  }

  /** Takes it out. */
  eject(): void {
    this.#mutex.hold(() => {
      this.state.used = 0;
      this.close();
    });
  }

  get path(): string {
    const { address, pathLength } = this.state;
    return new TextDecoder().decode(new Uint8Array(this.#host.buffer, address + Vbd.offsets.path, pathLength).slice());
  }

  /** Connects to a ring of one page; false, nothing having changed: the guest's page cannot be it. */
  connect(ringRef: number, port: number, persistent: boolean): boolean {
    return this.#mutex.hold(() => {
      const claim = this.#host.grants.claim(ringRef, true);
      if (typeof claim === 'number') return false;
      const { state } = this;
      state.ringRef = ringRef;
      state.ringFrame = claim.frame;
      state.port = port;
      state.persistent = persistent ? 1 : 0;
      state.persistentCount = 0;
      const produced = Atomics.load(this.#ring(), RSP_PROD);
      state.requests = state.responses = produced >>> 0;
      state.told = produced >>> 0;
      state.connected = 1;
      return true;
    });
  }

  /** Nothing of the guest's memory is used any more. */
  disconnect(): void {
    this.#mutex.hold(() => {
      const { state } = this;
      if (state.connected === 0) return;
      state.connected = 0;
      const { grants } = this.#host;
      grants.release({ ref: state.ringRef, frame: state.ringFrame, write: true });
      for (let i = 0; i < state.persistentCount; i++) grants.release({ ref: this.#refs[i]!, frame: this.#frames[i]!, write: true });
      state.persistentCount = 0;
      this.#persistent.clear();
    });
  }

  /**
   * Serves what is in the ring, at most `most` requests; returns how many. To be called again a little later if there were any: a guest's
   * barriers are none for other threads, so that each side may miss once what the other has just done.
   */
  serve(most = Infinity): number {
    if (this.state.connected === 0) return 0;
    return this.#mutex.hold(() => {
      if (this.state.connected === 0) return 0;
      try {
        return this.#serve(most);
      } catch (error) {
        this.#note(`it is given up: ${(error as Error).message}`);
        this.state.connected = 0;
        return 0;
      }
    });
  }

  /** Closes what this thread has open. */
  close(): void {
    this.#image?.close();
    this.#image = undefined;
    this.#serial = 0;
    this.#persistent.clear();
  }

  #serve(most: number): number {
    const { state } = this;
    const ring = this.#ring();
    let done = 0;
    let begun = false;
    while (done < most) {
      const waiting = (Atomics.load(ring, REQ_PROD) - state.requests) >>> 0;
      if (waiting > RING_ENTRIES) throw new Error(`its ring says that there are ${waiting} requests`);
      if (waiting === 0) {
        // From here on the guest is to say if there are more; there may be by now.
        const event = (state.requests + 1) | 0;
        if (Atomics.load(ring, REQ_EVENT) === event) break;
        Atomics.store(ring, REQ_EVENT, event);
        continue;
      }
      if (!begun) {
        this.#count(waiting);
        begun = true;
      }
      this.#answer(ring, state.requests);
      done++;
      this.#tell(ring);
    }
    this.#tell(ring);
    return done;
  }

  /** So many requests were found, in the histogram of all rings. */
  #count(waiting: number): void {
    const { ringDepths } = this.#para;
    const place = Math.min(PARA_SIZES - 1, Math.ceil(Math.log2(waiting)));
    ringDepths.set(place, ringDepths.get(place) + 1);
  }

  /** Does the request at `index`, and puts the response where the next one belongs. */
  #answer(ring: Int32Array, index: number): void {
    const { state } = this;
    const at = ring.byteOffset + RING_START + (index & (RING_ENTRIES - 1)) * REQUEST;
    const request = new DataView(new Uint8Array(this.#host.buffer, at, REQUEST).slice().buffer);
    state.requests = (index + 1) >>> 0;
    const status = this.#execute(request);
    const { responses } = state;
    const to = new DataView(this.#host.buffer, ring.byteOffset + RING_START + (responses & (RING_ENTRIES - 1)) * REQUEST, 16);
    to.setBigUint64(0, request.getBigUint64(8, true), true);
    to.setUint8(8, operationOf(request));
    to.setInt16(10, status, true);
    state.responses = (responses + 1) >>> 0;
    Atomics.store(ring, RSP_PROD, state.responses | 0);
  }

  #execute(request: DataView): number {
    const { state } = this;
    const served: Served = { reads: 0, writes: 0, flushes: 0, errors: 0, bytes: 0 };
    let disk: RawImage;
    try {
      disk = this.#open();
    } catch (error) {
      this.#note((error as Error).message);
      state.errors++;
      return BLKIF_RSP_ERROR;
    }
    const frames = state.persistent === 0 ? framesOf(this.#host.grants) : this.#persistentFrames();
    const { invalidate } = this.#host;
    const status = execute(request, { ram: this.#ram, disk, frames, invalidate, note: (text) => this.#note(text) }, served);
    for (const key of ['reads', 'writes', 'flushes', 'errors', 'bytes'] as const) if (served[key] !== 0) state[key] += served[key];
    return status;
  }

  /** An event, if the guest waits for what there is now and was not told yet. */
  #tell(ring: Int32Array): void {
    const { state } = this;
    const wanted = Atomics.load(ring, RSP_EVENT) >>> 0;
    if (((state.responses - wanted) | 0) < 0 || wanted === state.told) return;
    state.told = wanted;
    state.events++;
    this.#host.event(state.port);
  }

  #open(): RawImage {
    const { serial, readonly } = this.state;
    if (this.#image !== undefined && this.#serial === serial) return this.#image;
    return this.#keep(this.#host.open(this.path, readonly !== 0));
  }

  #keep(image: RawImage): RawImage {
    this.#image?.close();
    this.#image = image;
    this.#serial = this.state.serial;
    this.#persistent.clear();
    return image;
  }

  /** Grants stay claimed, to be written as well: that is what a front end with persistent grants agrees to. */
  #persistentFrames(): Frames {
    const { grants } = this.#host;
    const { state } = this;
    // Another thread may have claimed some.
    for (let i = this.#persistent.size; i < state.persistentCount; i++)
      this.#persistent.set(this.#refs[i]!, { ref: this.#refs[i]!, frame: this.#frames[i]!, write: true });
    return {
      claim: (ref, write) => {
        const known = this.#persistent.get(ref);
        if (known) return known;
        const claim = state.persistentCount < PERSISTENT_MAX ? grants.claim(ref, true) : GNTST_no_space;
        if (typeof claim === 'number') return grants.claim(ref, write);
        this.#refs[state.persistentCount] = ref;
        this.#frames[state.persistentCount] = claim.frame;
        state.persistentCount++;
        this.#persistent.set(ref, claim);
        return claim;
      },
      release: (claim) => {
        if (this.#persistent.get(claim.ref) !== claim) grants.release(claim);
      },
    };
  }

  #ring(): Int32Array {
    return new Int32Array(this.#host.buffer, this.#host.ram + this.state.ringFrame * PAGE, PAGE / 4);
  }

  #note(text: string): void {
    if (this.#notes++ < NOTES_MAX) this.#host.note(`disk ${this.path}: ${text}`);
  }
}
