/** Interrupt wiring: a line that several devices share is asserted while any of them asserts it. */
import { struct } from '../state/struct.ts';
import type { InterruptLine } from './device.ts';

export const LINES = 32;
/** A bit per source of each line. */
export const Lines = struct('Lines', { sources: ['u32', LINES] });

/** Told whenever the level of a line changes. */
export type LineSink = (line: number, level: boolean) => void;

/** All interrupt lines of a machine. The order in which `source` is called must be the same wherever the machine is attached. */
export class LineBank {
  readonly #sources: Uint32Array;
  readonly #taken = new Uint8Array(LINES);
  readonly #sink: LineSink;

  constructor(buffer: ArrayBufferLike, address: number, sink: LineSink) {
    this.#sources = new Uint32Array(buffer, address + Lines.offsets.sources, LINES);
    this.#sink = sink;
  }

  reset(): void {
    this.#sources.fill(0);
  }

  level(line: number): boolean {
    return this.#sources[line] !== 0;
  }

  /** One more device on the line: at most 32. */
  source(line: number): InterruptLine {
    const position = this.#taken[line]!;
    if (position >= 32) throw new Error(`interrupt line ${line} has 32 sources already`);
    this.#taken[line] = position + 1;
    const bit = 2 ** position;
    const sources = this.#sources;
    return {
      set: (level) => {
        const before = sources[line]!;
        const after = (level ? before | bit : before & ~bit) >>> 0;
        if (after === before) return;
        sources[line] = after;
        if ((before === 0) !== (after === 0)) this.#sink(line, after !== 0);
      },
    };
  }
}
