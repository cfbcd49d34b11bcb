/** One of many offsets, found by hashing. */

export interface Hash {
  /** Index of a key: (key * factor) >>> shift, in 32 bits. */
  readonly factor: number;
  readonly shift: number;
  /** By index: position of the key, or -1. */
  readonly table: readonly number[];
}

const ATTEMPTS = 64;

/** A hash without collisions of different integers; tables are as small as can be found with little effort. */
export function perfectHash(keys: readonly number[]): Hash {
  for (let bits = Math.max(1, Math.ceil(Math.log2(keys.length))); ; bits++) {
    const shift = 32 - bits;
    let factor = 0x9e3779b1 | 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const table = Array.from({ length: 1 << bits }, () => -1);
      const fits = keys.every((key, i) => {
        const index = Math.imul(key, factor) >>> shift;
        const free = table[index] === -1;
        table[index] = i;
        return free;
      });
      if (fits) return { factor, shift, table };
      factor = Math.imul(factor, 0x2545f491) | 1;
    }
    if (bits > 16) throw new Error('no hash was found');
  }
}
