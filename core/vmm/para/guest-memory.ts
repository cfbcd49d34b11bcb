/** The guest kernel's memory by linear address, as its page table and rights have it: what hypercalls are given pointers to. */
import { PAGE } from '../../state/index.ts';
import { EFAULT, refuse } from './errno.ts';

/** What of the processor is needed for it (exports of core/processor/assembly). */
export interface Walker {
  /**
   * Address in machine memory of a byte of the guest's kernel, whose linear address is given in halves; 0: not accessible. To be written: code on
   * its page is made stale.
   */
  guestAddress(cpu: number, low: number, high: number, write: number): number;
}

const MASK = 0xffff_ffff_ffff_ffffn;

export class GuestMemory {
  readonly #bytes: Uint8Array;
  readonly #data: DataView;
  readonly #cpu: number;
  /** Set when there is a processor. */
  walker: Walker | undefined;

  /** `cpu`: the address of the vCPU's state. */
  constructor(buffer: ArrayBufferLike, cpu: number) {
    this.#bytes = new Uint8Array(buffer);
    this.#data = new DataView(buffer);
    this.#cpu = cpu;
  }

  /** A copy of `length` bytes. Refuses with -EFAULT. */
  read(address: bigint, length: number): DataView {
    const copy = new Uint8Array(length);
    this.#each(address, length, false, (at, done, part) => copy.set(this.#bytes.subarray(at, at + part), done));
    return new DataView(copy.buffer);
  }

  readU32(address: bigint): number {
    const at = this.#within(address, 4, false);
    return at === 0 ? this.read(address, 4).getUint32(0, true) : this.#data.getUint32(at, true);
  }

  readU64(address: bigint): bigint {
    const at = this.#within(address, 8, false);
    return at === 0 ? this.read(address, 8).getBigUint64(0, true) : this.#data.getBigUint64(at, true);
  }

  /** Refuses with -EFAULT; then some of it may be written. */
  write(address: bigint, data: Uint8Array | DataView): void {
    const bytes = data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#each(address, bytes.length, true, (at, done, part) => this.#bytes.set(bytes.subarray(done, done + part), at));
  }

  /** Whether all of it may be read, or written. */
  accessible(address: bigint, length: number, write: boolean): boolean {
    for (let done = 0; done < length;) {
      const at = (address + BigInt(done)) & MASK;
      if (this.#find(at, write) === 0) return false;
      done += PAGE - Number(at & 0xfffn);
    }
    return true;
  }

  writeU32(address: bigint, value: number): void {
    const at = this.#within(address, 4, true);
    if (at !== 0) return this.#data.setUint32(at, value, true);
    const data = new DataView(new ArrayBuffer(4));
    data.setUint32(0, value, true);
    return this.write(address, data);
  }

  writeU64(address: bigint, value: bigint): void {
    const at = this.#within(address, 8, true);
    if (at !== 0) return this.#data.setBigUint64(at, value & MASK, true);
    const data = new DataView(new ArrayBuffer(8));
    data.setBigUint64(0, value & MASK, true);
    return this.write(address, data);
  }

  #find(address: bigint, write: boolean): number {
    const low = Number(address & 0xffff_ffffn);
    return (this.walker?.guestAddress(this.#cpu, low, Number(address >> 32n), write ? 1 : 0) ?? 0) >>> 0;
  }

  /** Where `length` bytes are; 0: not in one page, or not accessible. */
  #within(address: bigint, length: number, write: boolean): number {
    return Number(address & 0xfffn) + length <= PAGE ? this.#find(address, write) : 0;
  }

  #each(address: bigint, length: number, write: boolean, use: (at: number, done: number, part: number) => void): void {
    for (let done = 0; done < length;) {
      const linear = (address + BigInt(done)) & MASK;
      const at = this.#find(linear, write);
      if (at === 0) refuse(EFAULT);
      const part = Math.min(length - done, PAGE - Number(linear & 0xfffn));
      use(at, done, part);
      done += part;
    }
  }
}
