/** What a paravirtualized guest has in place of devices: its grant table, xenstore and block devices, on a machine's memory. */
import type { Struct } from '../../state/struct.ts';
import { Control, PARA_ASYNCHRONY, PARA_STORE_PORT, Para } from '../../state/index.ts';
import type { RawImage } from '../../storage/raw.ts';
import { VbdBackend } from './block/backend.ts';
import { nameOf, Vbd, VBDS } from './block/state.ts';
import { BlockDevices } from './block/xenbus.ts';
import { GrantState, Grants } from './grants.ts';
import { DOMID_GUEST } from './shared.ts';
import { Xenstore, XenstoreState } from './xenstore/state.ts';

/** Addresses in machine memory. */
export interface ParaPlaces {
  readonly xenstore: number;
  readonly grants: number;
  readonly vbds: readonly number[];
}

/** Takes room for it all. */
export const paraPlaces = (take: (structure: Pick<Struct, 'size'>) => number): ParaPlaces => ({
  xenstore: take(XenstoreState),
  grants: take(GrantState),
  vbds: Array.from({ length: VBDS }, () => take(Vbd)),
});

export interface ParaDevicesHost {
  readonly buffer: ArrayBufferLike;
  readonly places: ParaPlaces;
  /** The VMM's end of event channels. `bind` and `unbind` are asked for on the vCPU's own thread only. */
  readonly events: { send(port: number): void; bind(port: number): boolean; unbind(port: number): void };
  /** Opens a disk image. Throws a StorageError. */
  open(path: string, readonly: boolean): RawImage;
  /** Bytes of RAM were written: page index, first and last byte. */
  invalidate(page: number, first: number, last: number): void;
  note(text: string): void;
  /** Wakes the thread that serves rings (`serve`); absent: there is none, and requests are served at once. */
  readonly ring?: (() => void) | undefined;
}

export interface ParaDisk {
  readonly path: string;
  readonly readonly?: boolean | undefined;
}

/** What xenstore tells a domain of itself. */
export interface ParaFacts {
  readonly name: string;
  readonly memoryKiB: number;
  readonly disks: readonly ParaDisk[];
}

export class ParaDevices {
  readonly grants: Grants;
  readonly #host: ParaDevicesHost;
  readonly #store: Xenstore;
  readonly #backends: readonly VbdBackend[];
  readonly #block: BlockDevices;
  /** Rings are another thread's. */
  readonly #elsewhere: boolean;

  constructor(host: ParaDevicesHost) {
    const { buffer, places, events } = host;
    const control = Control.view(buffer, 0);
    const para = Para.view(buffer, control.para);
    this.#host = host;
    this.#elsewhere = host.ring !== undefined && (para.switches & PARA_ASYNCHRONY) !== 0;
    this.grants = new Grants(buffer, places.grants);
    this.#backends = places.vbds.map(
      (address) =>
        new VbdBackend(
          {
            buffer,
            ram: control.ram,
            grants: this.grants,
            open: (path, readonly) => host.open(path, readonly),
            event: (port) => events.send(port),
            invalidate: (page, first, last) => host.invalidate(page, first, last),
            note: (text) => host.note(text),
          },
          address,
        ),
    );
    this.#block = new BlockDevices(this.#backends, {
      bind: (port) => events.bind(port),
      unbind: (port) => events.unbind(port),
      moved: () => host.ring?.(),
      note: (text) => host.note(text),
    });
    this.#store = new Xenstore(
      buffer,
      { address: places.xenstore, ram: control.ram, domain: DOMID_GUEST },
      {
        frame: () => para.storeFrame,
        event: () => events.send(PARA_STORE_PORT),
        changed: (store, path, removed) => this.#block.changed(store, path, removed),
      },
    );
  }

  /** A domain begins, with nothing connected. Throws a StorageError if a disk cannot be opened. */
  reset({ name, memoryKiB, disks }: ParaFacts): void {
    this.#store.reset();
    const home = `/local/domain/${DOMID_GUEST}`;
    this.#store.change((store) => {
      store.write({ '/tool': '', '/local/domain': '' });
      store.write({ [home]: '' }, ['n0', `r${DOMID_GUEST}`]);
      store.write({
        [`${home}/name`]: name.replaceAll(/[^\x20-\x7e]/g, '?'),
        [`${home}/domid`]: String(DOMID_GUEST),
        [`${home}/memory/target`]: String(memoryKiB),
        [`${home}/memory/static-max`]: String(memoryKiB),
        [`${home}/store/port`]: String(PARA_STORE_PORT),
        [`${home}/cpu/0/availability`]: 'online',
        [`${home}/device`]: '',
      });
      // What a guest writes itself.
      for (const own of ['control', 'data', 'drivers', 'feature', 'attr', 'error', 'device/vbd'])
        store.write({ [`${home}/${own}`]: '' }, [`n${DOMID_GUEST}`]);
      store.write({ [`${home}/control/shutdown`]: '', [`${home}/control/sysrq`]: '' }, [`n${DOMID_GUEST}`]);
    });
    disks.forEach((disk, slot) => this.#insert(slot, disk));
  }

  /** The guest has sent an event to a backend's port. */
  notify(port: number): void {
    if (port === PARA_STORE_PORT) return this.#store.serve();
    const backend = this.#backends.find(({ state }) => state.connected !== 0 && state.port === port);
    if (backend === undefined) return;
    backend.state.notifications++;
    if (this.#elsewhere) this.#host.ring!();
    else backend.serve();
  }

  /** Serves all rings, each for a while; true: there was something, and there may be more. */
  serve(): boolean {
    let any = false;
    for (const backend of this.#backends) any = backend.serve(PORTION) > 0 || any;
    return any;
  }

  /** Rings are to be served by `serve`, and not where events are sent. */
  get elsewhere(): boolean {
    return this.#elsewhere;
  }

  /** Gives the guest a disk while it runs; returns its name there. Throws a StorageError, a RangeError if there is no place for it. */
  attach(disk: ParaDisk): string {
    const slot = this.#backends.findIndex(({ state }) => state.used === 0);
    if (slot < 0) throw new RangeError(`a guest has at most ${VBDS} disks`);
    this.#insert(slot, disk);
    return nameOf(slot);
  }

  /** Asks the guest to let go of a disk, which is gone when `find` does not find it any more. */
  detach(slot: number): void {
    this.#store.change((store) => this.#block.withdraw(store, slot));
  }

  /** The slot of a disk, by its name in the guest ("xvdb") or its path; -1: there is none. */
  find(disk: string): number {
    return this.#backends.findIndex(({ state, path }, slot) => state.used !== 0 && (nameOf(slot) === disk || path === disk));
  }

  /** The disk in a slot: its number among all that have been there, and its path. */
  disk(slot: number): { readonly serial: number; readonly path: string } {
    const { state, path } = this.#backends[slot]!;
    return { serial: state.serial, path };
  }

  /** The disk that had this `serial` is still there. */
  holds(slot: number, serial: number): boolean {
    const { state } = this.#backends[slot]!;
    return state.used !== 0 && state.serial === serial;
  }

  /** The kernel is asked to shut down (control/shutdown). */
  shutdown(how: 'poweroff' | 'reboot'): void {
    this.#store.change((store) => store.write({ [`/local/domain/${DOMID_GUEST}/control/shutdown`]: how }));
  }

  /** Closes what this thread has open. */
  close(): void {
    for (const backend of this.#backends) backend.close();
  }

  #insert(slot: number, { path, readonly }: ParaDisk): void {
    this.#backends[slot]!.insert(path, readonly === true);
    this.#store.change((store) => this.#block.announce(store, slot));
  }
}

/** Requests of one disk before the next one's turn. */
const PORTION = 32;
