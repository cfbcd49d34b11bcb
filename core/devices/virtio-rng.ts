/** Virtio entropy device (virtio 1.2, section 5.4). */
import type { GuestMemory } from '../bus/device.ts';
import type { VirtioModel } from './virtio-pci.ts';

/** At most this much for one request: the rest of a longer buffer stays as it is. */
const LIMIT = 4096;

/** `random` fills an array from the host's source. */
export function virtioEntropy(memory: GuestMemory, random: (into: Uint8Array<ArrayBuffer>) => void): VirtioModel {
  return {
    name: 'virtio-rng',
    type: 4,
    classCode: 0x00_ff_00,
    queues: 1,
    features: 0,
    config: new Uint8Array(0),
    serve(_queue, chain) {
      let written = 0;
      for (const segment of chain.writable) {
        const data = new Uint8Array(Math.min(segment.length, LIMIT - written));
        if (data.length === 0) break;
        random(data);
        memory.write(segment.address, data);
        written += data.length;
      }
      return written;
    },
  };
}
