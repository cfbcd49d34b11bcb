/** The memory of the scripted guests: a counter and one console ring each way. */
import { ACTIVITY_INTERPRETED } from '../../state/index.ts';
import type { TranslationStatistics } from '../api.ts';
import type { MachineWindow, Retired } from '../pool.ts';

export const INSTRUCTIONS = 0;
const KICKS = 1;
const IN = 2;
const OUT = 3;
const DATA = 64;

const NOTHING_TRANSLATED: TranslationStatistics = {
  regions: 0,
  modules: 0,
  instructions: 0,
  guestBytes: 0,
  bytes: 0,
  finding: 0,
  building: 0,
  compiling: 0,
  materializing: 0,
  failures: 0,
  invalidated: 0,
  evicted: 0,
  overtaken: 0,
  longestHold: 0,
  live: { regions: 0, modules: 0, bytes: 0 },
  waiting: 0,
  fallbacks: {},
};

export class FakeWindow implements MachineWindow {
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  #drained = 0;

  constructor(memory: WebAssembly.Memory) {
    this.words = new Int32Array(memory.buffer, 0, 16);
    this.#bytes = new Uint8Array(memory.buffer, DATA, 4096);
  }

  /** Guest: takes all input and puts it out again. */
  echo(): boolean {
    const given = Atomics.load(this.words, IN);
    return Atomics.exchange(this.words, OUT, given) !== given;
  }

  drain(port: number): Uint8Array | undefined {
    const out = Atomics.load(this.words, OUT);
    if (port !== 0 || out === this.#drained) return undefined;
    const data = this.#bytes.slice(this.#drained, out);
    this.#drained = out;
    return data;
  }

  disks() {
    return undefined;
  }

  posted(): boolean {
    return false;
  }

  write(_port: number, data: Uint8Array): number {
    const at = Atomics.load(this.words, IN);
    this.#bytes.set(data, at);
    Atomics.store(this.words, IN, at + data.length);
    return data.length;
  }

  activity(): number {
    return ACTIVITY_INTERPRETED;
  }

  retired(): Retired {
    const instructions = Atomics.load(this.words, INSTRUCTIONS);
    return { privileged: instructions >> 3, sensitive: instructions >> 4, endedInterpreted: 3, endedTranslated: 1 };
  }

  translation(): TranslationStatistics {
    return NOTHING_TRANSLATED;
  }

  para(): undefined {
    return undefined;
  }

  kick(): void {
    Atomics.add(this.words, KICKS, 1);
  }
}
