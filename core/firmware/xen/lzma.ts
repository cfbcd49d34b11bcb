/**
 * LZMA2 (the .xz file format, version 1.1.0, 5.3.1, and the LZMA specification of the LZMA SDK): one decoder for whole streams. What was decoded is the
 * dictionary, so nothing is copied twice; a distance is checked against what there is and not against the dictionary's declared size.
 */
import { DecodeError } from './error.ts';

const STATES = 12;
const POS_STATES_MAX = 16;
const LOW_CODERS = 8;
const HIGH_BITS = 8;
const MATCH_MIN = 2;
/** Slots of distances from here on have bits of their own, and from END_SLOT on direct bits. */
const START_SLOT = 4;
const END_SLOT = 14;
const ALIGN_BITS = 4;

// Places of probabilities in one array.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POS_STATES_MAX;
const IS_REP_G0 = IS_REP + STATES;
const IS_REP_G1 = IS_REP_G0 + STATES;
const IS_REP_G2 = IS_REP_G1 + STATES;
const IS_REP0_LONG = IS_REP_G2 + STATES;
const SLOT = IS_REP0_LONG + STATES * POS_STATES_MAX;
const SPECIAL = SLOT + 4 * 64;
const ALIGN = SPECIAL + 128 - END_SLOT;
const LENGTH = ALIGN + (1 << ALIGN_BITS);
/** A length coder: two choices, low and middle trees for each position state, the high tree. */
const LEN_LOW = 2;
const LEN_MID = LEN_LOW + POS_STATES_MAX * LOW_CODERS;
const LEN_HIGH = LEN_MID + POS_STATES_MAX * LOW_CODERS;
const LENGTH_SIZE = LEN_HIGH + (1 << HIGH_BITS);
const REP_LENGTH = LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
/** LZMA2 allows at most four bits of literal context and position together. */
const PROBABILITIES = LITERAL + (0x300 << 4);
const HALF = 1024;
const TOP = 0x100_0000;

/** Decodes LZMA2 chunks from `at` into `out`, which they must fill exactly. Returns where they end. Throws a DecodeError. */
export function decodeLzma2(input: Uint8Array, at: number, out: Uint8Array): number {
  const decoder = new Decoder(input, at, out);
  return decoder.run();
}

class Decoder {
  readonly #input: Uint8Array;
  readonly #out: Uint8Array;
  readonly #probabilities = new Uint16Array(PROBABILITIES);
  #at: number;
  #done = 0;
  #dictionary = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #lc = 0;
  #lp = 0;
  #pb = 0;

  constructor(input: Uint8Array, at: number, out: Uint8Array) {
    this.#input = input;
    this.#at = at;
    this.#out = out;
  }

  run(): number {
    // What a chunk must bring: 2 a dictionary reset, 1 properties.
    let needs = 3;
    for (;;) {
      const control = this.#byte();
      if (control === 0) break;
      if (control >= 0xe0 || control === 1) {
        this.#dictionary = this.#done;
        needs &= ~2;
      }
      if ((needs & 2) !== 0) throw new DecodeError('it is damaged');
      if (control < 0x80) {
        if (control > 2) throw new DecodeError('it is damaged');
        this.#copy(1 + this.#byte() * 256 + this.#byte());
        continue;
      }
      const size = 1 + (control & 0x1f) * 0x10000 + this.#byte() * 256 + this.#byte();
      const packed = 1 + this.#byte() * 256 + this.#byte();
      if (control >= 0xc0) {
        this.#properties(this.#byte());
        needs = 0;
      } else if ((needs & 1) !== 0) throw new DecodeError('it is damaged');
      if (control >= 0xa0) this.#reset();
      if (this.#done + size > this.#out.length) throw new DecodeError('it is damaged');
      if (this.#at + packed > this.#input.length || packed < 5) throw new DecodeError('it is truncated');
      this.#decode(this.#done + size, this.#at + packed);
    }
    if (this.#done !== this.#out.length) throw new DecodeError('it is damaged');
    return this.#at;
  }

  #byte(): number {
    if (this.#at >= this.#input.length) throw new DecodeError('it is truncated');
    return this.#input[this.#at++]!;
  }

  #copy(size: number): void {
    if (this.#at + size > this.#input.length) throw new DecodeError('it is truncated');
    if (this.#done + size > this.#out.length) throw new DecodeError('it is damaged');
    this.#out.set(this.#input.subarray(this.#at, this.#at + size), this.#done);
    this.#at += size;
    this.#done += size;
  }

  #properties(byte: number): void {
    if (byte > (4 * 5 + 4) * 9 + 8) throw new DecodeError('it is damaged');
    this.#lc = byte % 9;
    this.#lp = Math.floor(byte / 9) % 5;
    this.#pb = Math.floor(byte / 45);
    if (this.#lc + this.#lp > 4) throw new DecodeError('it is damaged');
  }

  #reset(): void {
    this.#probabilities.fill(HALF);
    this.#state = this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** One LZMA chunk: up to `end` of the output, from input that ends at `stop`. All that changes is in locals: this is where the time goes. */
  #decode(end: number, stop: number): void {
    const input = this.#input;
    const out = this.#out;
    const p = this.#probabilities;
    const dictionary = this.#dictionary;
    const lc = this.#lc;
    const lpMask = (1 << this.#lp) - 1;
    const pbMask = (1 << this.#pb) - 1;
    let state = this.#state;
    let rep0 = this.#rep0;
    let rep1 = this.#rep1;
    let rep2 = this.#rep2;
    let rep3 = this.#rep3;
    let done = this.#done;
    let at = this.#at;
    if (input[at++] !== 0) throw new DecodeError('it is damaged');
    let code = (input[at]! << 24) | (input[at + 1]! << 16) | (input[at + 2]! << 8) | input[at + 3]!;
    at += 4;
    let range = -1;
    let symbol = 0;

    /** The next bit by the probability at `place`. (Reading past the end gives zeros; the end is checked after each symbol.) */
    const bit = (place: number): number => {
      const chance = p[place]!;
      const bound = Math.imul(range >>> 11, chance);
      let result: number;
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        p[place] = chance + ((2048 - chance) >>> 5);
        result = 0;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        p[place] = chance - (chance >>> 5);
        result = 1;
      }
      if (range >>> 0 < TOP) {
        range <<= 8;
        code = (code << 8) | input[at++]!;
      }
      return result;
    };
    const tree = (place: number, bits: number): number => {
      let m = 1;
      for (let i = 0; i < bits; i++) m = (m << 1) | bit(place + m);
      return m - (1 << bits);
    };
    const reverse = (place: number, bits: number): number => {
      let m = 1;
      let value = 0;
      for (let i = 0; i < bits; i++) {
        const b = bit(place + m);
        m = (m << 1) | b;
        value |= b << i;
      }
      return value;
    };
    const lengthOf = (place: number, posState: number): number => {
      if (bit(place) === 0) return MATCH_MIN + tree(place + LEN_LOW + posState * LOW_CODERS, 3);
      if (bit(place + 1) === 0) return MATCH_MIN + 8 + tree(place + LEN_MID + posState * LOW_CODERS, 3);
      return MATCH_MIN + 16 + tree(place + LEN_HIGH, HIGH_BITS);
    };

    while (done < end) {
      const posState = (done - dictionary) & pbMask;
      if (bit(IS_MATCH + state * POS_STATES_MAX + posState) === 0) {
        const before = done > dictionary ? out[done - 1]! : 0;
        const place = LITERAL + 0x300 * ((((done - dictionary) & lpMask) << lc) + (before >> (8 - lc)));
        symbol = 1;
        if (state >= 7) {
          let match = out[done - rep0 - 1]!;
          while (symbol < 0x100) {
            const matchBit = (match >> 7) & 1;
            match <<= 1;
            const b = bit(place + ((1 + matchBit) << 8) + symbol);
            symbol = (symbol << 1) | b;
            if (matchBit !== b) break;
          }
        }
        while (symbol < 0x100) symbol = (symbol << 1) | bit(place + symbol);
        out[done++] = symbol;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }
      let length: number;
      if (bit(IS_REP + state) === 0) {
        rep3 = rep2;
        rep2 = rep1;
        rep1 = rep0;
        length = lengthOf(LENGTH, posState);
        state = state < 7 ? 7 : 10;
        const slot = tree(SLOT + 64 * Math.min(length - MATCH_MIN, 3), 6);
        if (slot < START_SLOT) rep0 = slot;
        else {
          const bits = (slot >> 1) - 1;
          rep0 = (2 | (slot & 1)) << bits;
          if (slot < END_SLOT) rep0 += reverse(SPECIAL + rep0 - slot - 1, bits);
          else {
            let direct = 0;
            for (let i = bits - ALIGN_BITS; i > 0; i--) {
              range >>>= 1;
              code = (code - range) | 0;
              const sign = code >> 31;
              code = (code + (range & sign)) | 0;
              direct = (direct << 1) + (sign + 1);
              if (range >>> 0 < TOP) {
                range <<= 8;
                code = (code << 8) | input[at++]!;
              }
            }
            rep0 = (rep0 + (direct << ALIGN_BITS) + reverse(ALIGN, ALIGN_BITS)) >>> 0;
          }
        }
      } else {
        if (bit(IS_REP_G0 + state) === 0) {
          if (bit(IS_REP0_LONG + state * POS_STATES_MAX + posState) === 0) {
            state = state < 7 ? 9 : 11;
            if (rep0 >= done - dictionary) throw new DecodeError('it is damaged');
            out[done] = out[done - rep0 - 1]!;
            done++;
            continue;
          }
        } else {
          let distance: number;
          if (bit(IS_REP_G1 + state) === 0) distance = rep1;
          else {
            if (bit(IS_REP_G2 + state) === 0) distance = rep2;
            else {
              distance = rep3;
              rep3 = rep2;
            }
            rep2 = rep1;
          }
          rep1 = rep0;
          rep0 = distance;
        }
        length = lengthOf(REP_LENGTH, posState);
        state = state < 7 ? 8 : 11;
      }
      if (rep0 >= done - dictionary || done + length > end) throw new DecodeError('it is damaged');
      if (length <= rep0 + 1 && length >= 32) {
        out.copyWithin(done, done - rep0 - 1, done - rep0 - 1 + length);
        done += length;
      } else for (const stopAt = done + length; done < stopAt; done++) out[done] = out[done - rep0 - 1]!;
    }
    if (at !== stop || code !== 0) throw new DecodeError('it is damaged');
    this.#state = state;
    this.#rep0 = rep0;
    this.#rep1 = rep1;
    this.#rep2 = rep2;
    this.#rep3 = rep3;
    this.#done = done;
    this.#at = at;
  }
}
