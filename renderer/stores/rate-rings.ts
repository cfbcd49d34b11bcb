/** Rates of things that have names which come up as they happen: a ring of samples for each. */
export class RateRings implements Iterable<[string, Float32Array]> {
  readonly #capacity: number;
  readonly #rings = new Map<string, Float32Array>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** What happened in an interval (seconds) goes to `slot` as a rate; what has a ring and did not happen is 0. */
  push(slot: number, values: Readonly<Record<string, number>>, interval: number): void {
    for (const name of Object.keys(values)) if (!this.#rings.has(name)) this.#rings.set(name, new Float32Array(this.#capacity));
    for (const [name, ring] of this.#rings) ring[slot] = (values[name] ?? 0) / interval;
  }

  [Symbol.iterator](): MapIterator<[string, Float32Array]> {
    return this.#rings.entries();
  }
}
