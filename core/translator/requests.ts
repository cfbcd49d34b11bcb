/** Blocks whose translation is asked for: put in by vCPUs' threads, taken out by who compiles. */
import { Control, Cpu, TRANSLATION_REQUESTS, TranslationRequest, Translations } from '../state/index.ts';
import { whileLocked } from './codelock.ts';

const Q = TranslationRequest.offsets;

/** So many make a good module, in the background: each takes some 20 KiB beside its code, and helpers of its own. */
export const COMPANY = 24;

export interface Request {
  readonly record: number;
  /** Control.generation: what was asked for before all decoded code was forgotten means nothing. */
  readonly generation: number;
  /** Byte address of the TLB in use. */
  readonly tlb: number;
  /** Linear address of offset 0 of the block's page: its lower and upper half. */
  readonly low: number;
  readonly high: number;
}

export class Requests {
  readonly #words: Int32Array;
  readonly #control;
  readonly #state;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer);
    this.#control = Control.view(buffer, 0);
    this.#state = Translations.view(buffer, this.#control.translations);
  }

  /** Those that nobody has taken. */
  get waiting(): number {
    return this.#state.asked - this.#state.taken;
  }

  /** Asks for the translation of the block that vCPU `cpu` is about to enter. Returns how many wait now; 0: there is no room. */
  put(cpu: number, record: number): number {
    return whileLocked(this.#words, () => {
      const state = this.#state;
      if (this.waiting >= TRANSLATION_REQUESTS) return 0;
      const at = this.#at(state.asked);
      this.#words[(at + Q.record) >> 2] = record;
      this.#words[(at + Q.generation) >> 2] = this.#control.generation;
      this.#words[(at + Q.tlb) >> 2] = this.#words[(cpu + Cpu.offsets.tlb) >> 2]!;
      for (const half of [0, 4]) this.#words[(at + Q.base + half) >> 2] = this.#words[(cpu + Cpu.offsets.ripBase + half) >> 2]!;
      state.asked++;
      return this.waiting;
    });
  }

  /** All that there are. */
  take(): Request[] {
    const state = this.#state;
    if (this.waiting === 0) return [];
    return whileLocked(this.#words, () => {
      const all: Request[] = [];
      for (; state.taken !== state.asked; state.taken++) {
        const at = this.#at(state.taken);
        const word = (offset: number): number => this.#words[(at + offset) >> 2]! >>> 0;
        const [record, generation, tlb] = [word(Q.record), word(Q.generation), word(Q.tlb)];
        all.push({ record, generation, tlb, low: word(Q.base), high: word(Q.base + 4) });
      }
      return all;
    });
  }

  #at(number: number): number {
    return this.#control.requests + (number % TRANSLATION_REQUESTS) * TranslationRequest.size;
  }
}
