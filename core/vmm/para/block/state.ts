/** A block device's backend in machine memory (io/blkif.h, io/xenbus.h), so that any thread may serve it, one at a time. */
import { struct } from '../../../state/struct.ts';

/** As many as there are xvda, xvdb, .. with numbers of the form 202 << 8 | n << 4. */
export const VBDS = 16;
const XVDA = 202 << 8;
export const deviceOf = (slot: number): number => XVDA + 16 * slot;
export const nameOf = (slot: number): string => `xvd${String.fromCharCode(97 + slot)}`;

export const XENBUS_INITIALISING = 1;
export const XENBUS_INIT_WAIT = 2;
export const XENBUS_INITIALISED = 3;
export const XENBUS_CONNECTED = 4;
export const XENBUS_CLOSING = 5;
export const XENBUS_CLOSED = 6;

/** Bytes of a path in UTF-8. */
export const PATH_ROOM = 4096;
/** Grants that stay claimed while the ring is connected: as many as a ring of 32 requests with 32 segments needs, and lists of segments. */
export const PERSISTENT_MAX = 1536;
export const Vbd = struct('Vbd', {
  /** Held while requests are served, and while the ring is connected or disconnected. */
  lock: 'i32',
  /** 1: there is a disk. */
  used: 'u32',
  /** Counts disks that were put here: an open file belongs to one of them. */
  serial: 'u32',
  readonly: 'u32',
  /** The guest is to let go of it, and then it goes. */
  unplugged: 'u32',
  /** XENBUS_* of the backend. */
  state: 'u32',
  /** 1: `port` and the ring are right. */
  connected: 'u32',
  port: 'u32',
  ringRef: 'u32',
  ringFrame: 'u32',
  /** Private indices of the ring: requests taken, responses given. */
  requests: 'u32',
  responses: 'u32',
  /** The `rsp_event` that the guest was last sent an event for. */
  told: 'u32',
  /** The front end uses the same grants again and again. */
  persistent: 'u32',
  persistentCount: 'u32',
  pathLength: 'u32',
  sectors: 'f64',
  // -- statistics since the disk was put here
  reads: 'u64',
  writes: 'u64',
  flushes: 'u64',
  errors: 'u64',
  bytes: 'u64',
  /** Events that the guest sent, and that it was sent. */
  notifications: 'u64',
  events: 'u64',
  path: ['u8', PATH_ROOM],
  persistentRefs: ['u32', PERSISTENT_MAX],
  persistentFrames: ['u32', PERSISTENT_MAX],
});
