/**
 * Joins a port's kept output and its live output without a byte lost or shown twice. Both carry where the stream stood after them
 * (`end`: bytes the port has put out in all, over all runs of the VM), so it does not matter which comes first.
 */
export interface Piece {
  readonly data: Uint8Array;
  readonly end: number;
}

export class ConsoleStream {
  readonly #show: (data: Uint8Array) => void;
  #waiting: Piece[] | undefined = [];
  /** Where what has been shown ends. */
  #end = 0;

  constructor(show: (data: Uint8Array) => void) {
    this.#show = show;
  }

  /** Live output; kept back until the scrollback is there. */
  live(piece: Piece): void {
    if (this.#waiting) this.#waiting.push(piece);
    else this.#append(piece);
  }

  /** The kept output; then what came meanwhile. */
  begin(kept: Piece): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    this.#end = kept.end;
    if (kept.data.length > 0) this.#show(kept.data);
    for (const piece of waiting) this.#append(piece);
  }

  #append({ data, end }: Piece): void {
    const skip = Math.max(0, this.#end - (end - data.length));
    this.#end = Math.max(end, this.#end);
    if (skip < data.length) this.#show(skip === 0 ? data : data.subarray(skip));
  }
}
