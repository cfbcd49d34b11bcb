/** A function whose index is known only when all imports of its module are. */
export interface Late {
  index: number | undefined;
}

/** A growing byte buffer with WebAssembly's number encodings (WebAssembly core spec, 5.2). */
export class Bytes {
  #data: Uint8Array;
  length = 0;
  /** Where the index of a function is still to come. */
  readonly #late: { readonly at: number; readonly of: Late }[] = [];

  /** Bytes that there will be, more or less. */
  constructor(capacity = 64) {
    this.#data = new Uint8Array(capacity);
  }

  #grow(bytes: number): void {
    const larger = new Uint8Array(Math.max(this.#data.length * 2, this.length + bytes));
    larger.set(this.#data);
    this.#data = larger;
  }

  u8(value: number): void {
    if (this.length === this.#data.length) this.#grow(1);
    this.#data[this.length++] = value;
  }

  bytes(data: ArrayLike<number>): void {
    if (this.length + data.length > this.#data.length) this.#grow(data.length);
    this.#data.set(data, this.length);
    this.length += data.length;
  }

  append(other: Bytes): void {
    const base = this.length;
    this.bytes(other.view());
    for (const { at, of } of other.#late) {
      if (of.index === undefined) this.#late.push({ at: base + at, of });
      else this.#putIndex(base + at, of.index);
    }
  }

  /** The index of a function: filled in when this is appended to something. */
  late(of: Late): void {
    this.#late.push({ at: this.length, of });
    this.u8(0);
    this.u8(0);
  }

  /** LEB128 of two bytes, whether it needs them or not. */
  #putIndex(at: number, index: number): void {
    if (index >= 0x4000) throw new Error(`function ${index}: too many for a module with indices that come later`);
    this.#data[at] = (index & 0x7f) | 0x80;
    this.#data[at + 1] = index >> 7;
  }

  /** Unsigned LEB128 of a number below 2^53. */
  u32(value: number): void {
    if (value < 0x80) return this.u8(value);
    while (value >= 0x80) {
      this.u8((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.u8(value);
  }

  /** Signed LEB128 of a 32-bit integer. */
  s32(value: number): void {
    let v = value | 0;
    for (;;) {
      const low = v & 0x7f;
      v >>= 7;
      if ((v === 0 && !(low & 0x40)) || (v === -1 && low & 0x40)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  /** Signed LEB128 of a 64-bit integer: a safe integer, or a bigint (taken modulo 2^64). */
  s64(value: number | bigint): void {
    if (typeof value === 'bigint') {
      const v = BigInt.asIntN(64, value);
      if (v >= Number.MIN_SAFE_INTEGER && v <= Number.MAX_SAFE_INTEGER) return this.s64(Number(v));
      let rest = v;
      for (;;) {
        const low = Number(rest & 0x7fn);
        rest >>= 7n;
        if ((rest === 0n && !(low & 0x40)) || (rest === -1n && low & 0x40)) return this.u8(low);
        this.u8(low | 0x80);
      }
    }
    let v = value;
    for (;;) {
      const high = Math.floor(v / 0x80);
      const low = v - high * 0x80;
      v = high;
      if ((v === 0 && !(low & 0x40)) || (v === -1 && low & 0x40)) return this.u8(low);
      this.u8(low | 0x80);
    }
  }

  f64(value: number): void {
    this.bytes(new Uint8Array(new Float64Array([value]).buffer));
  }

  f32(value: number): void {
    this.bytes(new Uint8Array(new Float32Array([value]).buffer));
  }

  name(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u32(utf8.length);
    this.bytes(utf8);
  }

  /** The bytes so far; valid until the next write. */
  view(): Uint8Array {
    return this.#data.subarray(0, this.length);
  }
}
