/** How block devices come and go in xenstore (io/xenbus.h, io/blkif.h): the toolstack's part and the backend's. */
import { DOMID_BACKEND, DOMID_GUEST } from '../shared.ts';
import type { Store } from '../xenstore/store.ts';
import type { VbdBackend } from './backend.ts';
import { MAX_INDIRECT_SEGMENTS } from './ring.ts';
import {
  deviceOf, nameOf, XENBUS_CLOSED, XENBUS_CLOSING, XENBUS_CONNECTED, XENBUS_INIT_WAIT, XENBUS_INITIALISED, XENBUS_INITIALISING,
} from './state.ts'; // prettier-ignore

const FRONTENDS = `/local/domain/${DOMID_GUEST}/device`;
const BACKENDS = `/local/domain/${DOMID_BACKEND}/backend`;
const frontOf = (slot: number): string => `${FRONTENDS}/vbd/${deviceOf(slot)}`;
const backOf = (slot: number): string => `${BACKENDS}/vbd/${DOMID_GUEST}/${deviceOf(slot)}`;

const VDISK_READONLY = 4;
const SECTOR = 512;

export interface XenbusHost {
  /** The backend's end of a port that the guest offers: false if it does not. */
  bind(port: number): boolean;
  unbind(port: number): void;
  /** A backend's state has changed: there may be something to serve, or to end. */
  moved(): void;
  note(text: string): void;
}

/** Values of several nodes in a directory, which is made first: what is in it has its permissions. */
function publish(store: Store, directory: string, perms: readonly string[], values: Readonly<Record<string, string | number>>): void {
  store.write({ [directory]: '' }, perms);
  store.write(Object.fromEntries(Object.entries(values).map(([name, value]) => [`${directory}/${name}`, String(value)])));
}

export class BlockDevices {
  readonly #backends: readonly VbdBackend[];
  readonly #host: XenbusHost;

  constructor(backends: readonly VbdBackend[], host: XenbusHost) {
    this.#backends = backends;
    this.#host = host;
  }

  /** A disk was put into a slot: the guest is offered it. */
  announce(store: Store, slot: number): void {
    const { state, path } = this.#backends[slot]!;
    const access = state.readonly !== 0 ? 'r' : 'w';
    publish(store, backOf(slot), [`n${DOMID_BACKEND}`, `r${DOMID_GUEST}`], {
      frontend: frontOf(slot),
      'frontend-id': DOMID_GUEST,
      online: 1,
      removable: 0,
      dev: nameOf(slot),
      type: 'file',
      params: path.replaceAll(/[^\x20-\x7e]/g, '?'),
      mode: access,
      'device-type': 'disk',
      'feature-flush-cache': 1,
      'feature-persistent': 1,
      'feature-max-indirect-segments': MAX_INDIRECT_SEGMENTS,
      'max-ring-page-order': 0,
      state: XENBUS_INIT_WAIT,
    });
    state.state = XENBUS_INIT_WAIT;
    publish(store, frontOf(slot), [`n${DOMID_GUEST}`, `r${DOMID_BACKEND}`], {
      backend: backOf(slot),
      'backend-id': DOMID_BACKEND,
      'virtual-device': deviceOf(slot),
      'device-type': 'disk',
      state: XENBUS_INITIALISING,
    });
  }

  /** Asks the guest to let go of a disk; true: it is gone already, for no driver had it. */
  withdraw(store: Store, slot: number): boolean {
    const { state } = this.#backends[slot]!;
    state.unplugged = 1;
    store.write({ [`${backOf(slot)}/online`]: '0' });
    const front = this.#frontState(store, slot);
    if (front === undefined || front === XENBUS_INITIALISING || front === XENBUS_CLOSED) {
      this.#remove(store, slot);
      return true;
    }
    this.#enter(store, slot, XENBUS_CLOSING);
    return false;
  }

  /** A node was changed: it may be a front end's state. */
  changed(store: Store, path: string, removed: boolean): void {
    const match = new RegExp(`^${FRONTENDS}/vbd/(\\d+)/state$`).exec(path);
    if (match === null && !(removed && (path === '/' || `${FRONTENDS}/`.startsWith(`${path}/`) || path.startsWith(FRONTENDS)))) return;
    this.#backends.forEach(({ state }, slot) => {
      if (state.used !== 0 && (match === null || Number(match[1]) === deviceOf(slot))) this.#follow(store, slot);
    });
  }

  #frontState(store: Store, slot: number): number | undefined {
    const text = store.read(`${frontOf(slot)}/state`);
    return text === undefined ? undefined : Number(text);
  }

  /** Does what the front end's state asks for. */
  #follow(store: Store, slot: number): void {
    const backend = this.#backends[slot]!;
    const { state } = backend;
    switch (this.#frontState(store, slot)) {
      case XENBUS_INITIALISING:
        // A driver is loaded again.
        if (state.state === XENBUS_CLOSED && state.unplugged === 0) this.#enter(store, slot, XENBUS_INIT_WAIT);
        return;
      case XENBUS_INITIALISED:
      case XENBUS_CONNECTED:
        if (state.state === XENBUS_INIT_WAIT) this.#connect(store, slot);
        return;
      case XENBUS_CLOSING:
        this.#disconnect(slot);
        if (state.state < XENBUS_CLOSING) this.#enter(store, slot, XENBUS_CLOSING);
        return;
      case XENBUS_CLOSED:
      case undefined:
        this.#disconnect(slot);
        if (state.state !== XENBUS_CLOSED) this.#enter(store, slot, XENBUS_CLOSED);
        if (state.unplugged !== 0) this.#remove(store, slot);
        return;
      default:
        return;
    }
  }

  #connect(store: Store, slot: number): void {
    const backend = this.#backends[slot]!;
    const front = frontOf(slot);
    const number = (name: string): number => Number(store.read(`${front}/${name}`) ?? NaN);
    const ref = number('ring-ref');
    const port = number('event-channel');
    const protocol = store.read(`${front}/protocol`) ?? 'x86_64-abi';
    if (protocol !== 'x86_64-abi') return this.#fail(store, slot, `its front end speaks ${protocol}`);
    if (!Number.isInteger(ref) || !Number.isInteger(port))
      return this.#fail(store, slot, 'its front end names no ring or no event channel');
    if (!backend.connect(ref, port, store.read(`${front}/feature-persistent`) === '1'))
      return this.#fail(store, slot, `grant ${ref} is none for a ring`);
    if (!this.#host.bind(port)) {
      backend.disconnect();
      return this.#fail(store, slot, `event channel ${port} is not offered to domain 0`);
    }
    publish(store, backOf(slot), [`n${DOMID_BACKEND}`, `r${DOMID_GUEST}`], {
      sectors: backend.state.sectors,
      info: backend.state.readonly !== 0 ? VDISK_READONLY : 0,
      'sector-size': SECTOR,
      'physical-sector-size': SECTOR,
    });
    this.#enter(store, slot, XENBUS_CONNECTED);
  }

  #disconnect(slot: number): void {
    const backend = this.#backends[slot]!;
    const { connected, port } = backend.state;
    if (connected === 0) return;
    backend.disconnect();
    this.#host.unbind(port);
  }

  #fail(store: Store, slot: number, why: string): void {
    this.#host.note(`${nameOf(slot)} cannot be connected: ${why}`);
    this.#enter(store, slot, XENBUS_CLOSING);
  }

  /** Both directories go; the slot is free. */
  #remove(store: Store, slot: number): void {
    this.#disconnect(slot);
    this.#backends[slot]!.eject();
    store.remove(frontOf(slot));
    store.remove(backOf(slot));
    this.#host.moved();
  }

  #enter(store: Store, slot: number, state: number): void {
    this.#backends[slot]!.state.state = state;
    store.write({ [`${backOf(slot)}/state`]: String(state) });
    this.#host.moved();
  }
}
