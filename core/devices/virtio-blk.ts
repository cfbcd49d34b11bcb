/** Virtio block device (virtio 1.2, section 5.2). Requests are served at once, on the thread that rang the bell. */
import type { BlockBackend } from '../bus/block.ts';
import { SECTOR } from '../bus/block.ts';
import { BusError, type GuestMemory } from '../bus/device.ts';
import type { VirtioModel } from './virtio-pci.ts';
import type { Chain, Segment } from './virtqueue.ts';

const VIRTIO_BLK_F_SEG_MAX = 1 << 2;
const VIRTIO_BLK_F_RO = 1 << 5;
const VIRTIO_BLK_F_BLK_SIZE = 1 << 6;
const VIRTIO_BLK_F_FLUSH = 1 << 9;
const VIRTIO_BLK_T_IN = 0;
const VIRTIO_BLK_T_OUT = 1;
const VIRTIO_BLK_T_FLUSH = 4;
const VIRTIO_BLK_T_GET_ID = 8;
const VIRTIO_BLK_S_OK = 0;
const VIRTIO_BLK_S_IOERR = 1;
const VIRTIO_BLK_S_UNSUPP = 2;
const HEADER = 16;
const SEG_MAX = 126;

const total = (segments: readonly Segment[]): number => segments.reduce((sum, s) => sum + s.length, 0);

/** `serial` is what the guest reads as the disk's identity, at most 20 ASCII characters. */
export function virtioBlock(memory: GuestMemory, disk: BlockBackend, serial: string, note: (text: string) => void): VirtioModel {
  const config = new Uint8Array(0x3c);
  const view = new DataView(config.buffer);
  view.setBigUint64(0, BigInt(disk.sectors), true);
  view.setUint32(12, SEG_MAX, true);
  view.setUint32(20, SECTOR, true);

  /** Skips the first bytes of a list of segments, and leaves the last `drop` out. */
  const part = (segments: readonly Segment[], skip: number, drop: number): Segment[] => {
    let left = total(segments) - skip - drop;
    const result: Segment[] = [];
    for (const s of segments) {
      const start = Math.min(skip, s.length);
      skip -= start;
      const length = Math.min(s.length - start, left);
      if (length > 0) result.push({ address: s.address + start, length });
      left -= length;
    }
    return result;
  };

  const gather = (segments: readonly Segment[], length: number): Uint8Array => {
    const data = new Uint8Array(length);
    let at = 0;
    for (const s of segments) {
      if (at === length) break;
      const n = Math.min(s.length, length - at);
      data.set(memory.bytes(s.address, n), at);
      at += n;
    }
    return data;
  };

  /** Returns the status and how many bytes of data were written to the guest. */
  const execute = (type: number, sector: number, out: Segment[], into: Segment[]): [number, number] => {
    const transfer = type === VIRTIO_BLK_T_IN ? into : out;
    const bytes = total(transfer);
    if (type === VIRTIO_BLK_T_IN || type === VIRTIO_BLK_T_OUT) {
      if (bytes % SECTOR !== 0 || sector + bytes / SECTOR > disk.sectors) return [VIRTIO_BLK_S_IOERR, 0];
    }
    switch (type) {
      case VIRTIO_BLK_T_IN: {
        const data = new Uint8Array(bytes);
        disk.read(sector, data);
        let at = 0;
        for (const s of into) {
          memory.write(s.address, data.subarray(at, at + s.length));
          at += s.length;
        }
        return [VIRTIO_BLK_S_OK, bytes];
      }
      case VIRTIO_BLK_T_OUT:
        if (disk.readonly) return [VIRTIO_BLK_S_IOERR, 0];
        disk.write(sector, gather(out, bytes));
        return [VIRTIO_BLK_S_OK, 0];
      case VIRTIO_BLK_T_FLUSH:
        disk.flush();
        return [VIRTIO_BLK_S_OK, 0];
      case VIRTIO_BLK_T_GET_ID: {
        const id = new Uint8Array(20);
        id.set(new TextEncoder().encode(serial).subarray(0, 20));
        const [first] = into;
        if (!first) return [VIRTIO_BLK_S_IOERR, 0];
        const n = Math.min(20, first.length);
        memory.write(first.address, id.subarray(0, n));
        return [VIRTIO_BLK_S_OK, n];
      }
      default:
        return [VIRTIO_BLK_S_UNSUPP, 0];
    }
  };

  return {
    name: 'virtio-blk',
    type: 2,
    classCode: 0x01_00_00,
    queues: 1,
    features: VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | (disk.readonly ? VIRTIO_BLK_F_RO : 0),
    config,
    serve(_queue: number, chain: Chain): number {
      const last = chain.writable.at(-1);
      if (!last || last.length === 0 || total(chain.readable) < HEADER) throw new BusError('a block request without header or status');
      const header = new DataView(gather(chain.readable, HEADER).buffer);
      const sector = header.getUint32(8, true) + header.getUint32(12, true) * 2 ** 32;
      let result: [number, number];
      try {
        result = execute(header.getUint32(0, true), sector, part(chain.readable, HEADER, 0), part(chain.writable, 0, 1));
      } catch (error) {
        if (error instanceof BusError) throw error;
        // The host's disk failed: the guest sees an I/O error, as from a real disk.
        note(`virtio-blk: ${(error as Error).message}`);
        result = [VIRTIO_BLK_S_IOERR, 0];
      }
      memory.write8(last.address + last.length - 1, result[0]);
      return result[1] + 1;
    },
  };
}
