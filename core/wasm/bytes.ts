/** A function whose index is known only when all imports of its module are. */
export interface Late {
  index: number | undefined;
}

/** A growing byte buffer with WebAssembly's number encodings (WebAssembly core spec, 5.2). */
export class Bytes {
  #data = new Uint8Array(256);
  length = 0;
  /** Where the index of a function is still to come. */
  readonly #late: { readonly at: number; readonly of: Late }[] = [];

  #room(bytes: number): void {
    if (this.length + bytes <= this.#data.length) return;
    const larger = new Uint8Array(Math.max(this.#data.length * 2, this.length + bytes));
    larger.set(this.#data);
    this.#data = larger;
  }

  u8(value: number): void {
    this.#room(1);
    this.#data[this.length++] = value;
  }

  bytes(data: ArrayLike<number>): void {
    this.#room(data.length);
    this.#data.set(data, this.length);
    this.length += data.length;
  }

  append(other: Bytes): void {
    let from = 0;
    for (const { at, of } of other.#late) {
      this.bytes(other.#data.subarray(from, at));
      if (of.index === undefined) this.late(of);
      else this.u32(of.index);
      from = at;
    }
    this.bytes(other.#data.subarray(from, other.length));
  }

  /** Where the byte at a place comes to lie when this is appended to nothing, all indices being known. */
  resolved(place: number): number {
    let at = place;
    for (const late of this.#late) if (late.at <= place) at += late.of.index! < 0x80 ? 1 : late.of.index! < 0x4000 ? 2 : 3;
    return at;
  }

  /** The index of a function, as unsigned LEB128: written when this is appended to something. */
  late(of: Late): void {
    this.#late.push({ at: this.length, of });
  }

  /** Unsigned LEB128 of a number below 2^53. */
  u32(value: number): void {
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
