/** What block devices have done since their disks were put there. */
import { nameOf, Vbd } from './state.ts';

export interface DiskCount {
  /** Requests by kind, and those that failed. */
  readonly reads: number;
  readonly writes: number;
  readonly flushes: number;
  readonly errors: number;
  /** Read and written. */
  readonly bytes: number;
  /** Events that the guest sent because there were requests, and that it was sent because there were responses. */
  readonly notifications: number;
  readonly events: number;
}

/** By the disks' names in the guest; `vbds`: addresses of `Vbd`s. */
export function diskCounts(buffer: ArrayBufferLike, vbds: readonly number[]): Record<string, DiskCount> {
  const all: Record<string, DiskCount> = {};
  vbds.forEach((address, slot) => {
    const { used, reads, writes, flushes, errors, bytes, notifications, events } = Vbd.view(buffer, address);
    if (used !== 0) all[nameOf(slot)] = { reads, writes, flushes, errors, bytes, notifications, events };
  });
  return all;
}
