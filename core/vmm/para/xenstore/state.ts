/** Where xenstore is in machine memory, and its ring: any thread may go on with it, one at a time. */
import { struct } from '../../../state/struct.ts';
import { Mutex } from '../mutex.ts';
import { Store } from './store.ts';
import * as xs from './wire.ts';

/** Bytes for a store that is written down: what a guest may have in it is less, even if each character takes six of them. */
const ROOM = 768 << 10;

const RING_MASK = xs.XENSTORE_RING_SIZE - 1;

export const XenstoreState = struct('Xenstore', {
  lock: 'i32',
  /** Counts what was written down; 0: nothing yet. */
  written: 'u32',
  length: 'u32',
  reserved: 'u32',
  bytes: ['u8', ROOM],
});

export interface StoreHost {
  /** Machine frame of struct xenstore_domain_interface: the guest's. */
  frame(): number;
  /** The guest has something to read, or room to write. */
  event(): void;
  /** A node was changed, or removed with what is below it: a backend may want to do something, which may change more. */
  changed(store: Store, path: string, removed: boolean): void;
}

export class Xenstore {
  readonly #buffer: ArrayBufferLike;
  readonly #address: number;
  readonly #ram: number;
  readonly #domain: number;
  readonly #host: StoreHost;
  readonly #mutex: Mutex;
  /** What this thread last knew, and the `written` that it is of. */
  #store: Store;
  #known = 0;
  /** The guest is to be told: something was taken out of the ring, or put into it. */
  #moved = false;

  constructor(
    buffer: ArrayBufferLike,
    place: { readonly address: number; readonly ram: number; readonly domain: number },
    host: StoreHost,
  ) {
    this.#buffer = buffer;
    this.#address = place.address;
    this.#ram = place.ram;
    this.#domain = place.domain;
    this.#host = host;
    this.#mutex = new Mutex(buffer, place.address + XenstoreState.offsets.lock);
    this.#store = new Store(place.domain);
  }

  /** An empty store. */
  reset(): void {
    this.#mutex.hold(() => {
      this.#store = new Store(this.#domain);
      this.#save();
    });
  }

  /** Does `work` on the store, which may change it; then backends and the guest are told. */
  change<T>(work: (store: Store) => T): T {
    return this.#mutex.hold(() => {
      const store = this.#load();
      this.#moved = false;
      const result = work(store);
      this.#settle(store);
      this.#save();
      if (this.#moved) this.#host.event();
      return result;
    });
  }

  /** Answers what is in the ring. */
  serve(): void {
    this.change((store) => {
      this.#settle(store);
      // The next request is looked at when the answer to the one before is on its way: what waits is bounded.
      while (store.output === '' && this.#receive(store)) this.#settle(store);
    });
  }

  #settle(store: Store): void {
    for (let next; (next = store.changed.shift()) !== undefined;) this.#host.changed(store, ...next);
    this.#send(store);
  }

  #load(): Store {
    const view = new Uint32Array(this.#buffer, this.#address, 4);
    const written = view[1]!;
    if (written !== this.#known) {
      // TextDecoder does not read shared memory.
      const bytes = new Uint8Array(this.#buffer, this.#address + XenstoreState.offsets.bytes, view[2]!).slice();
      this.#store = new Store(this.#domain, new TextDecoder().decode(bytes));
      this.#known = written;
    }
    return this.#store;
  }

  #save(): void {
    const bytes = new TextEncoder().encode(this.#store.toString());
    if (bytes.length > ROOM) throw new Error('xenstore outgrew its place');
    new Uint8Array(this.#buffer, this.#address + XenstoreState.offsets.bytes, bytes.length).set(bytes);
    const view = new Uint32Array(this.#buffer, this.#address, 4);
    view[2] = bytes.length;
    view[1] = this.#known = (view[1]! + 1) >>> 0 || 1;
  }

  #ring(): { bytes: Uint8Array; words: Int32Array } {
    const at = this.#ram + this.#host.frame() * 4096;
    return { bytes: new Uint8Array(this.#buffer, at, 4096), words: new Int32Array(this.#buffer, at, 1024) };
  }

  /** Takes what there is of a message, and answers it once it is complete; false: there is nothing to do. */
  #receive(store: Store): boolean {
    const { bytes, words } = this.#ring();
    const consumed = Atomics.load(words, xs.XS_REQ_CONS >> 2);
    const there = (Atomics.load(words, xs.XS_REQ_PROD >> 2) - consumed) >>> 0;
    const size = xs.sizeOf(store.input) || xs.XS_HEADER;
    // Who breaks the protocol is not listened to any more.
    if (there > xs.XENSTORE_RING_SIZE) return this.#fail(words, xs.XENSTORE_ERROR_RINGIDX);
    if (size > xs.XS_HEADER + xs.XENSTORE_PAYLOAD_MAX) return this.#fail(words, xs.XENSTORE_ERROR_PROTO);
    const n = Math.min(there, size - store.input.length);
    for (let i = 0; i < n; i++) store.input += String.fromCharCode(bytes[xs.XS_REQ + ((consumed + i) & RING_MASK)]!);
    Atomics.store(words, xs.XS_REQ_CONS >> 2, consumed + n);
    if (n > 0) this.#moved = true;
    if (store.input.length !== xs.sizeOf(store.input)) return n > 0;
    const message = xs.decode(store.input);
    store.input = '';
    store.answer(message);
    return true;
  }

  #fail(words: Int32Array, error: number): false {
    Atomics.store(words, xs.XS_ERROR_FIELD >> 2, error);
    return false;
  }

  /** Puts into the ring what there is room for. */
  #send(store: Store): void {
    if (store.output === '') return;
    const { bytes, words } = this.#ring();
    const produced = Atomics.load(words, xs.XS_RSP_PROD >> 2);
    const room = xs.XENSTORE_RING_SIZE - ((produced - Atomics.load(words, xs.XS_RSP_CONS >> 2)) >>> 0);
    const n = Math.max(0, Math.min(room, store.output.length));
    for (let i = 0; i < n; i++) bytes[xs.XS_RSP + ((produced + i) & RING_MASK)] = store.output.charCodeAt(i);
    store.output = store.output.slice(n);
    Atomics.store(words, xs.XS_RSP_PROD >> 2, produced + n);
    if (n > 0) this.#moved = true;
  }
}
