/** Split virtqueues (virtio 1.2, section 2.7). */
import { BusError, type GuestMemory } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

export const QUEUE_MAX = 256;

export const QueueState = struct('VirtQueue', {
  desc: 'u64',
  driver: 'u64',
  device: 'u64',
  size: 'u16',
  enable: 'u16',
  msixVector: 'u16',
  /** Index in the available ring up to which chains were taken, and in the used ring up to which they were given back. */
  lastAvailable: 'u16',
  usedIndex: 'u16',
  reserved: 'u16',
});

const VIRTQ_DESC_F_NEXT = 1;
const VIRTQ_DESC_F_WRITE = 2;
const VIRTQ_DESC_F_INDIRECT = 4;
const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** A request: what the device reads, then what it writes. */
export interface Chain {
  readonly head: number;
  readonly readable: Segment[];
  readonly writable: Segment[];
}

type QueueView = ReturnType<typeof QueueState.view>;

export class VirtQueue {
  readonly state: QueueView;
  readonly #memory: GuestMemory;

  constructor(state: QueueView, memory: GuestMemory) {
    this.state = state;
    this.#memory = memory;
  }

  reset(): void {
    const s = this.state;
    s.desc = s.driver = s.device = 0;
    s.size = QUEUE_MAX;
    s.msixVector = 0xffff;
    s.enable = s.lastAvailable = s.usedIndex = s.reserved = 0;
  }

  /** The next chain that the driver made available, if any. Throws a BusError if the driver's structures make no sense. */
  take(): Chain | undefined {
    const s = this.state;
    if (!s.enable) return undefined;
    const available = this.#memory.read16(s.driver + 2);
    if (available === s.lastAvailable) return undefined;
    if (((available - s.lastAvailable) & 0xffff) > s.size) throw new BusError(`the available ring's index jumped to ${available}`);
    const head = this.#memory.read16(s.driver + 4 + 2 * (s.lastAvailable % s.size));
    s.lastAvailable = (s.lastAvailable + 1) & 0xffff;
    const chain: Chain = { head, readable: [], writable: [] };
    this.#collect(chain, s.desc, s.size, head, false);
    return chain;
  }

  /** Gives a chain back, with `written` bytes in its writable part. */
  give(head: number, written: number): void {
    const s = this.state;
    const entry = s.device + 4 + 8 * (s.usedIndex % s.size);
    this.#memory.write32(entry, head);
    this.#memory.write32(entry + 4, written);
    s.usedIndex = (s.usedIndex + 1) & 0xffff;
    this.#memory.write16(s.device + 2, s.usedIndex);
  }

  /** Whether the driver wants to be told of used chains. */
  get wantsInterrupt(): boolean {
    return (this.#memory.read16(this.state.driver) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }

  #collect(chain: Chain, table: number, size: number, first: number, indirect: boolean): void {
    let index = first;
    for (let steps = 0; steps < size; steps++) {
      if (index >= size) throw new BusError(`descriptor ${index} is outside its table of ${size}`);
      const at = table + 16 * index;
      const address = this.#memory.read64(at);
      const length = this.#memory.read32(at + 8);
      const flags = this.#memory.read16(at + 12);
      if (flags & VIRTQ_DESC_F_INDIRECT) {
        if (indirect || length % 16 !== 0 || length === 0) throw new BusError('a bad indirect descriptor');
        this.#collect(chain, address, length / 16, 0, true);
      } else if (flags & VIRTQ_DESC_F_WRITE) {
        chain.writable.push({ address, length });
      } else {
        if (chain.writable.length > 0) throw new BusError('a readable descriptor after a writable one');
        chain.readable.push({ address, length });
      }
      if (!(flags & VIRTQ_DESC_F_NEXT) || flags & VIRTQ_DESC_F_INDIRECT) return;
      index = this.#memory.read16(at + 14);
    }
    throw new BusError('a descriptor chain that never ends');
  }
}
