/** The last bytes that a serial port put out. */

const CAPACITY = 256 * 1024;

export class Scrollback {
  /** Bytes put out in all. */
  end = 0;
  #chunks: Uint8Array[] = [];
  #held = 0;

  append(data: Uint8Array): void {
    this.end += data.length;
    this.#chunks.push(data);
    this.#held += data.length;
    // Whole chunks go while the rest is still enough; the cut to the byte is made when it is asked for.
    while (this.#held - this.#chunks[0]!.length >= CAPACITY) this.#held -= this.#chunks.shift()!.length;
    if (this.#chunks.length > 1024) {
      this.#chunks = [this.bytes()];
      this.#held = this.#chunks[0]!.length;
    }
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#held);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all.length > CAPACITY ? all.slice(all.length - CAPACITY) : all;
  }
}
