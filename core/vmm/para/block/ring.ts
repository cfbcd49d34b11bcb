/** Serves the ring of a block device (io/blkif.h, io/ring.h): takes requests, moves data between disk and granted frames, answers. */
import { SECTOR, type BlockBackend } from '../../../bus/block.ts';
import { PAGE } from '../../../state/index.ts';
import type { Claim, Grants } from '../grants.ts';

export const BLKIF_OP_READ = 0;
export const BLKIF_OP_WRITE = 1;
export const BLKIF_OP_FLUSH_DISKCACHE = 3;
export const BLKIF_OP_INDIRECT = 6;
export const BLKIF_RSP_EOPNOTSUPP = -2;
export const BLKIF_RSP_ERROR = -1;
export const BLKIF_RSP_OKAY = 0;

const BLKIF_MAX_SEGMENTS_PER_REQUEST = 11;
const BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST = 8;
/** As this backend offers it. */
export const MAX_INDIRECT_SEGMENTS = 256;
const SEGMENT = 8;
const SEGMENTS_PER_PAGE = PAGE / SEGMENT;
const SECTORS_PER_PAGE = PAGE / SECTOR;

/** sizeof(struct blkif_request), entries of a ring of one page, and where they begin. */
export const REQUEST = 112;
export const RING_ENTRIES = 32;
export const RING_START = 64;
/** Words of struct blkif_sring. */
export const REQ_PROD = 0;
export const REQ_EVENT = 1;
export const RSP_PROD = 2;
export const RSP_EVENT = 3;

/** Gives frames of grants: claimed for one request, or for as long as the ring is connected. */
export interface Frames {
  claim(ref: number, write: boolean): Claim | number;
  release(claim: Claim): void;
}

export interface Served {
  reads: number;
  writes: number;
  flushes: number;
  errors: number;
  bytes: number;
}

export interface Medium {
  readonly ram: Uint8Array;
  readonly disk: BlockBackend;
  readonly frames: Frames;
  /** Bytes of a frame were written: RAM page index, first and last byte. */
  invalidate(page: number, first: number, last: number): void;
  note(text: string): void;
}

interface Segment {
  readonly ref: number;
  readonly first: number;
  readonly last: number;
}

/** What a request does: that of an indirect one is said apart. Responses repeat it. */
export const operationOf = (request: DataView): number =>
  request.getUint8(0) === BLKIF_OP_INDIRECT ? request.getUint8(1) : request.getUint8(0);

/** One request, copied out of the ring: its bytes cannot change any more. Returns BLKIF_RSP_*. */
export function execute(request: DataView, medium: Medium, served: Served): number {
  try {
    return new Request(request, medium, served).execute();
  } catch (error) {
    // The host's disk failed: the guest sees an I/O error, as from a real disk.
    medium.note(`block device: ${(error as Error).message}`);
    served.errors++;
    return BLKIF_RSP_ERROR;
  }
}

class Request {
  readonly #request: DataView;
  readonly #medium: Medium;
  readonly #served: Served;
  readonly #claims: Claim[] = [];

  constructor(request: DataView, medium: Medium, served: Served) {
    this.#request = request;
    this.#medium = medium;
    this.#served = served;
  }

  execute(): number {
    const request = this.#request;
    const operation = request.getUint8(0);
    switch (operation) {
      case BLKIF_OP_READ:
      case BLKIF_OP_WRITE: {
        const count = request.getUint8(1);
        if (count > BLKIF_MAX_SEGMENTS_PER_REQUEST) return this.#error();
        return this.#transfer(operation, segmentsOf(request, 24, count));
      }
      case BLKIF_OP_INDIRECT:
        return this.#indirect();
      case BLKIF_OP_FLUSH_DISKCACHE:
        this.#medium.disk.flush();
        this.#served.flushes++;
        return BLKIF_RSP_OKAY;
      default:
        return BLKIF_RSP_EOPNOTSUPP;
    }
  }

  #error(): number {
    this.#served.errors++;
    return BLKIF_RSP_ERROR;
  }

  /** The segments are in granted frames of their own. */
  #indirect(): number {
    const request = this.#request;
    const operation = request.getUint8(1);
    const count = request.getUint16(2, true);
    if ((operation !== BLKIF_OP_READ && operation !== BLKIF_OP_WRITE) || count > MAX_INDIRECT_SEGMENTS) return this.#error();
    const pages = Math.ceil(count / SEGMENTS_PER_PAGE);
    if (pages > BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST) return this.#error();
    const { ram, frames } = this.#medium;
    const segments: Segment[] = [];
    for (let page = 0; page < pages; page++) {
      const claim = frames.claim(request.getUint32(28 + 4 * page, true), false);
      if (typeof claim === 'number') return this.#error();
      const list = new DataView(ram.slice(claim.frame * PAGE, (claim.frame + 1) * PAGE).buffer);
      frames.release(claim);
      segments.push(...segmentsOf(list, 0, Math.min(SEGMENTS_PER_PAGE, count - segments.length)));
    }
    return this.#transfer(operation, segments);
  }

  #transfer(operation: number, segments: readonly Segment[]): number {
    const { disk } = this.#medium;
    const sector = this.#request.getUint32(16, true) + this.#request.getUint32(20, true) * 2 ** 32;
    let sectors = 0;
    for (const { first, last } of segments) {
      if (first > last || last >= SECTORS_PER_PAGE) return this.#error();
      sectors += last - first + 1;
    }
    const write = operation === BLKIF_OP_WRITE;
    if (sectors === 0 || sector + sectors > disk.sectors || (write && disk.readonly)) return this.#error();
    try {
      if (!this.#claim(segments, !write)) return this.#error();
      this.#move(sector, segments, write);
    } finally {
      for (const claim of this.#claims) this.#medium.frames.release(claim);
    }
    this.#served[write ? 'writes' : 'reads']++;
    this.#served.bytes += sectors * SECTOR;
    return BLKIF_RSP_OKAY;
  }

  #claim(segments: readonly Segment[], write: boolean): boolean {
    for (const { ref } of segments) {
      const claim = this.#medium.frames.claim(ref, write);
      if (typeof claim === 'number') return false;
      this.#claims.push(claim);
    }
    return true;
  }

  /** Segments that lie one after another in memory go together. */
  #move(sector: number, segments: readonly Segment[], write: boolean): void {
    const { ram, disk } = this.#medium;
    let start = 0;
    let end = 0;
    const flush = (): void => {
      if (end === start) return;
      const part = ram.subarray(start, end);
      if (write) disk.write(sector, part);
      else {
        disk.read(sector, part);
        for (let at = start; at < end;) {
          const stop = Math.min(end, at - (at % PAGE) + PAGE);
          this.#medium.invalidate(Math.floor(at / PAGE), at % PAGE, (stop - 1) % PAGE);
          at = stop;
        }
      }
      sector += part.length / SECTOR;
    };
    segments.forEach(({ first, last }, i) => {
      const at = this.#claims[i]!.frame * PAGE + first * SECTOR;
      if (at !== end) {
        flush();
        start = at;
      }
      end = at - first * SECTOR + (last + 1) * SECTOR;
    });
    flush();
  }
}

function segmentsOf(list: DataView, at: number, count: number): Segment[] {
  return Array.from({ length: count }, (_, i) => ({
    ref: list.getUint32(at + SEGMENT * i, true),
    first: list.getUint8(at + SEGMENT * i + 4),
    last: list.getUint8(at + SEGMENT * i + 5),
  }));
}

export const framesOf = (grants: Grants): Frames => ({
  claim: (ref, write) => grants.claim(ref, write),
  release: (claim) => grants.release(claim),
});
