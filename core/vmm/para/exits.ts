/** Exits of paravirtualization: what the processor counts in machine memory (`Cpu.para`), by name. */
import { Cpu, HYPERCALLS, ParaVcpu, PARA_SIZES } from '../../state/index.ts';
import { HYPERCALL_ROWS, hypercallName } from './rows.ts';
import type { CallCount, Sizes } from './statistics.ts';

/**
 * `hypercall`: those that the guest's kernel made, entries of multicalls not counted again. The others come to the VMM too: exceptions, events and system calls on their way to
 * the guest's kernel, and its stores to page tables.
 */
export const PARA_REASONS = ['hypercall', 'bounced-exception', 'event-upcall', 'bounced-system-call', 'page-table-write'] as const;
export type ParaReason = (typeof PARA_REASONS)[number];

const MILLISECONDS = 1000;

/** What a vCPU's memory says of its calls. */
export class ParaCounts {
  readonly #words: Uint32Array;
  readonly #times: Float64Array;
  readonly #at: number;

  /** `cpu`: the address of the vCPU's state. */
  constructor(buffer: ArrayBufferLike, cpu: number) {
    this.#words = new Uint32Array(buffer);
    this.#times = new Float64Array(buffer);
    this.#at = cpu + Cpu.offsets.para;
  }

  call(number: number): CallCount {
    const { calls, batched, timed, time } = ParaVcpu.offsets;
    const count = this.#wide(calls, number);
    const measured = this.#wide(timed, number);
    const seconds = measured === 0 ? 0 : (this.#times[(this.#at + time + 8 * number) >> 3]! / measured / MILLISECONDS) * count;
    return { count, batched: this.#wide(batched, number), seconds };
  }

  /** By name, those that were made. */
  calls(): Record<string, CallCount> {
    const all: Record<string, CallCount> = {};
    for (let number = 0; number < HYPERCALLS; number++) {
      const call = this.call(number);
      if (call.count > 0) all[hypercallName(number)] = call;
    }
    return all;
  }

  /** Entries that multicalls had, and lists of mmu_update. */
  sizes(): { readonly multicalls: Sizes; readonly updates: Sizes } {
    const { multicallSizes, updateSizes } = ParaVcpu.offsets;
    const list = (offset: number): number[] => Array.from({ length: PARA_SIZES }, (_, i) => this.#wide(offset, i));
    return { multicalls: list(multicallSizes), updates: list(updateSizes) };
  }

  /** In the order of PARA_REASONS: how many, and the seconds that they took as far as they are timed. */
  exits(each: (reason: ParaReason, count: number, seconds: number) => void): void {
    const { exceptions, upcalls, systemCalls, pageTableWrites } = ParaVcpu.offsets;
    let count = 0;
    let seconds = 0;
    for (const { number } of HYPERCALL_ROWS) {
      const call = this.call(number);
      count += call.count - call.batched;
      // A multicall's time is that of its entries too.
      if (call.count > 0) seconds += call.seconds * (1 - call.batched / call.count);
    }
    each('hypercall', count, seconds);
    each('bounced-exception', this.#wide(exceptions, 0), 0);
    each('event-upcall', this.#wide(upcalls, 0), 0);
    each('bounced-system-call', this.#wide(systemCalls, 0), 0);
    each('page-table-write', this.#wide(pageTableWrites, 0), 0);
  }

  #wide(offset: number, index: number): number {
    const at = ((this.#at + offset) >> 2) + 2 * index;
    return this.#words[at]! + this.#words[at + 1]! * 0x1_0000_0000;
  }
}
