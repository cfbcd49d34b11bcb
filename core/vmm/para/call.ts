/** A hypercall as its service sees it. */
import { Cpu, ParaVcpu } from '../../state/index.ts';

/** Its arguments: registers of 64 bits, of which an operation takes what its type says. */
export class Arguments {
  readonly #words: Uint32Array;
  readonly #wide: BigUint64Array;

  /** `cpu`: the address of the vCPU's state. */
  constructor(buffer: ArrayBufferLike, cpu: number) {
    const at = cpu + Cpu.offsets.para + ParaVcpu.offsets.args;
    this.#words = new Uint32Array(buffer, at, 12);
    this.#wide = new BigUint64Array(buffer, at, 6);
  }

  u32(index: number): number {
    return this.#words[2 * index]!;
  }

  u64(index: number): bigint {
    return this.#wide[index]!;
  }

  /** 64 bits as a double: exact to 2^53. */
  number(index: number): number {
    return this.#words[2 * index]! + this.#words[2 * index + 1]! * 0x1_0000_0000;
  }

  /** A pointer. 0: NULL. */
  pointer(index: number): bigint {
    return this.#wide[index]!;
  }
}

/** Does a hypercall and returns what it comes to, or refuses (errno.ts). */
export type Service = (args: Arguments) => number;
