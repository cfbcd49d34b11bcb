/**
 * The heart of the LZMA decoder as WebAssembly: one function that decodes a chunk, with everything that changes in locals. (The same in JavaScript takes
 * more than twice as long.) The meaning of it all is in the LZMA specification of the LZMA SDK; names are from there.
 */
import { type Expr, FunctionBuilder, type LocalRef, ModuleBuilder, i32, op } from '../../wasm/index.ts';

const STATES = 12;
const POS_STATES_MAX = 16;
const MATCH_MIN = 2;
/** Slots of distances from here on have bits of their own, and from END_POS_MODEL on direct bits. */
const START_POS_MODEL = 4;
const END_POS_MODEL = 14;
const ALIGN_BITS = 4;
const TOP = 0x100_0000;

/** Places in memory, in bytes. Probabilities have 16 bits. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + 2 * STATES * POS_STATES_MAX;
const IS_REP_G0 = IS_REP + 2 * STATES;
const IS_REP_G1 = IS_REP_G0 + 2 * STATES;
const IS_REP_G2 = IS_REP_G1 + 2 * STATES;
const IS_REP0_LONG = IS_REP_G2 + 2 * STATES;
const POS_SLOT = IS_REP0_LONG + 2 * STATES * POS_STATES_MAX;
const POS_SPECIAL = POS_SLOT + 2 * 4 * 64;
const POS_ALIGN = POS_SPECIAL + 2 * 128;
/** A length coder: two choices, low and middle trees for each position state, the high tree. */
const LENGTH = POS_ALIGN + (2 << ALIGN_BITS);
const LENGTH_LOW = 4;
const LENGTH_MID = LENGTH_LOW + 2 * POS_STATES_MAX * 8;
const LENGTH_HIGH = LENGTH_MID + 2 * POS_STATES_MAX * 8;
const REP_LENGTH = LENGTH + LENGTH_HIGH + 2 * 256;
const LITERAL = REP_LENGTH + LENGTH_HIGH + 2 * 256;
/** LZMA2 has at most four bits of literal context and position together. */
export const PROBABILITIES_END = LITERAL + 2 * (0x300 << 4);
/** `state` and `rep0` to `rep3`: what lasts from chunk to chunk. */
export const LASTING = Math.ceil(PROBABILITIES_END / 8) * 8;
export const LASTING_END = LASTING + 4 * 5;

/**
 * (at, stop, done, end, dictionary, lc, lp, pb): decodes input from `at`, which ends at `stop`, into output from `done` to `end`; `dictionary` is where
 * output began when the dictionary was last reset. All are addresses in memory. Reads up to 32 bytes beyond `stop` and writes 8 beyond `end`.
 * Returns 1; 0: the data is damaged.
 */
export type DecodeChunk = (
  at: number,
  stop: number,
  done: number,
  end: number,
  dictionary: number,
  lc: number,
  lp: number,
  pb: number,
) => number;

export function lzmaModule(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory();
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32', 'i32'], ['i32']);
  new ChunkCode(f).emit();
  module.exportFunction('decode', module.function(f));
  return module.encode();
}

const c = i32.const;
const load8 = (at: Expr, offset = 0): Expr => op('i32.load8_u', [at], offset);
const plus = (a: Expr, b: number): Expr => i32.add(a, c(b));
const times2 = (a: Expr): Expr => i32.shl(a, c(1));

class ChunkCode {
  readonly f: FunctionBuilder;
  readonly at: LocalRef;
  readonly done: LocalRef;
  readonly range: LocalRef;
  readonly code: LocalRef;
  /** A probability's address, its value, and where it splits the range. */
  readonly place: LocalRef;
  readonly chance: LocalRef;
  readonly bound: LocalRef;
  /** The symbol that is being read, with a 1 before its bits. */
  readonly symbol: LocalRef;

  constructor(f: FunctionBuilder) {
    this.f = f;
    this.at = f.param(0);
    this.done = f.param(2);
    this.range = f.local('i32');
    this.code = f.local('i32');
    this.place = f.local('i32');
    this.chance = f.local('i32');
    this.bound = f.local('i32');
    this.symbol = f.local('i32');
  }

  normalize(): void {
    const { f, range, code, at } = this;
    f.if(i32.lt_u(range, c(TOP)), () => {
      f.set(range, i32.shl(range, c(8)));
      f.set(code, i32.or(i32.shl(code, c(8)), load8(at)));
      f.set(at, plus(at, 1));
    });
  }

  /** A bit, by the probability at `place`. */
  bit(place: Expr, zero: () => void, one: () => void): void {
    const { f, range, code, chance, bound } = this;
    this.normalize();
    f.set(this.place, place);
    f.set(chance, op('i32.load16_u', [this.place]));
    f.set(bound, i32.mul(i32.shr_u(range, c(11)), chance));
    f.if(
      i32.lt_u(code, bound),
      () => {
        f.set(range, bound);
        f.do('i32.store16', [this.place, i32.add(chance, i32.shr_u(i32.sub(c(2048), chance), c(5)))]);
        zero();
      },
      () => {
        f.set(range, i32.sub(range, bound));
        f.set(code, i32.sub(code, bound));
        f.do('i32.store16', [this.place, i32.sub(chance, i32.shr_u(chance, c(5)))]);
        one();
      },
    );
  }

  /** Appends a bit to `symbol`. */
  symbolBit(place: Expr): void {
    const { f, symbol } = this;
    this.bit(
      place,
      () => f.set(symbol, times2(symbol)),
      () => f.set(symbol, plus(times2(symbol), 1)),
    );
  }

  /** So many bits into `symbol`, the highest first; `tree` is the address of their probabilities. */
  tree(tree: Expr, bits: number): void {
    const { f, symbol } = this;
    f.set(symbol, c(1));
    for (let i = 0; i < bits; i++) this.symbolBit(i32.add(tree, times2(symbol)));
    f.set(symbol, plus(symbol, -(1 << bits)));
  }

  emit(): void {
    const { f, at, done, range, code, symbol } = this;
    const [stop, end, dictionary, lc] = [f.param(1), f.param(3), f.param(4), f.param(5)];
    const lpMask = f.let(i32.sub(i32.shl(c(1), f.param(6)), c(1)));
    const pbMask = f.let(i32.sub(i32.shl(c(1), f.param(7)), c(1)));
    const lasting = (i: number): Expr => op('i32.load', [c(0)], LASTING + 4 * i);
    const state = f.variable(lasting(0));
    const rep0 = f.variable(lasting(1));
    const rep1 = f.variable(lasting(2));
    const rep2 = f.variable(lasting(3));
    const rep3 = f.variable(lasting(4));
    const posState = f.local('i32');
    const length = f.local('i32');
    const table = f.local('i32');
    const damaged = (condition: Expr): void => f.ifRarely(condition, () => f.return(c(0)));
    const byState = (table: number): Expr => plus(times2(state), table);
    const byBoth = (table: number): Expr => plus(times2(i32.add(i32.shl(state, c(4)), posState)), table);
    const match = (): Expr => i32.sub(i32.sub(done, rep0), c(1));
    const stateAfter = (short: number, long: number): void =>
      f.if(i32.lt_u(state, c(7)), () => f.set(state, c(short)), () => f.set(state, c(long))); // prettier-ignore

    // The first byte is 0; four of code follow.
    damaged(load8(at));
    f.set(range, c(-1));
    for (let i = 1; i <= 4; i++) f.set(code, i32.or(i32.shl(code, c(8)), load8(at, i)));
    f.set(at, plus(at, 5));

    f.block((finished) =>
      f.loop((next) => {
        f.brIf(finished, i32.ge_u(done, end));
        damaged(i32.gt_u(at, stop));
        f.set(posState, i32.and(i32.sub(done, dictionary), pbMask));
        this.bit(
          byBoth(IS_MATCH),
          () => {
            this.#literal(state, lc, lpMask, dictionary, match);
            f.br(next);
          },
          () => {},
        );
        f.block((known) => {
          this.bit(
            byState(IS_REP),
            () => {
              f.set(rep3, rep2);
              f.set(rep2, rep1);
              f.set(rep1, rep0);
              this.#length(LENGTH, posState, length, table);
              stateAfter(7, 10);
              this.#distance(rep0, length, table);
              f.br(known);
            },
            () => {},
          );
          f.block((long) => {
            this.bit(
              byState(IS_REP_G0),
              () => {
                this.bit(
                  byBoth(IS_REP0_LONG),
                  () => {
                    stateAfter(9, 11);
                    f.set(length, c(1));
                    f.br(known);
                  },
                  () => f.br(long),
                );
              },
              () => {},
            );
            this.bit(
              byState(IS_REP_G1),
              () => f.set(symbol, rep1),
              () => {
                this.bit(
                  byState(IS_REP_G2),
                  () => f.set(symbol, rep2),
                  () => {
                    f.set(symbol, rep3);
                    f.set(rep3, rep2);
                  },
                );
                f.set(rep2, rep1);
              },
            );
            f.set(rep1, rep0);
            f.set(rep0, symbol);
          });
          this.#length(REP_LENGTH, posState, length, table);
          stateAfter(8, 11);
        });
        damaged(i32.ge_u(rep0, i32.sub(done, dictionary)));
        damaged(i32.gt_u(length, i32.sub(end, done)));
        this.#copy(rep0, length, match);
        f.br(next);
      }),
    );
    this.normalize();
    [state, rep0, rep1, rep2, rep3].forEach((value, i) => f.do('i32.store', [c(0), value], LASTING + 4 * i));
    f.yield(i32.and(i32.eq(at, stop), i32.eqz(code)));
  }

  #literal(state: LocalRef, lc: Expr, lpMask: Expr, dictionary: Expr, match: () => Expr): void {
    const { f, done, symbol } = this;
    f.scope(() => {
      const table = f.local('i32');
      // The byte before, where there is one, chooses by its highest bits.
      f.set(table, c(0));
      f.if(i32.gt_u(done, dictionary), () => f.set(table, load8(i32.sub(done, c(1)))));
      const context = i32.add(i32.shl(i32.and(i32.sub(done, dictionary), lpMask), lc), i32.shr_u(table, i32.sub(c(8), lc)));
      f.set(table, plus(i32.mul(context, c(2 * 0x300)), LITERAL));
      f.set(symbol, c(1));
      f.if(
        i32.lt_u(state, c(7)),
        () => {
          for (let i = 0; i < 8; i++) this.symbolBit(i32.add(table, times2(symbol)));
        },
        () => {
          // After a match: as long as the bits are those of the byte that the match would go on with, these choose too.
          const byte = f.variable(load8(match()));
          const same = f.variable(c(0x100));
          const expected = f.local('i32');
          for (let i = 0; i < 8; i++) {
            f.set(byte, times2(byte));
            f.set(expected, i32.and(byte, same));
            this.bit(
              i32.add(table, times2(i32.add(i32.add(same, expected), symbol))),
              () => {
                f.set(symbol, times2(symbol));
                f.set(same, i32.xor(same, expected));
              },
              () => {
                f.set(symbol, plus(times2(symbol), 1));
                f.set(same, expected);
              },
            );
          }
        },
      );
      f.do('i32.store8', [done, symbol]);
      f.set(done, plus(done, 1));
      f.if(
        i32.lt_u(state, c(4)),
        () => f.set(state, c(0)),
        () =>
          f.if(
            i32.lt_u(state, c(10)),
            () => f.set(state, plus(state, -3)),
            () => f.set(state, plus(state, -6)),
          ),
      );
    });
  }

  #length(coder: number, posState: Expr, length: LocalRef, table: LocalRef): void {
    const { f, symbol } = this;
    const short = (first: number, least: number): void => {
      f.set(table, plus(i32.shl(posState, c(4)), coder + first));
      this.tree(table, 3);
      f.set(length, plus(symbol, least));
    };
    this.bit(
      c(coder),
      () => short(LENGTH_LOW, MATCH_MIN),
      () =>
        this.bit(
          c(coder + 2),
          () => short(LENGTH_MID, MATCH_MIN + 8),
          () => {
            this.tree(c(coder + LENGTH_HIGH), 8);
            f.set(length, plus(symbol, MATCH_MIN + 16));
          },
        ),
    );
  }

  #distance(rep0: LocalRef, length: Expr, table: LocalRef): void {
    const { f, range, code, symbol } = this;
    f.set(table, plus(length, -MATCH_MIN));
    f.if(i32.gt_u(table, c(3)), () => f.set(table, c(3)));
    f.set(table, plus(i32.shl(table, c(7)), POS_SLOT));
    this.tree(table, 6);
    f.set(rep0, symbol);
    f.if(i32.ge_u(symbol, c(START_POS_MODEL)), () =>
      f.scope(() => {
        const bits = f.variable(i32.sub(i32.shr_u(symbol, c(1)), c(1)));
        const slot = f.variable(symbol);
        f.set(rep0, i32.shl(i32.or(c(2), i32.and(slot, c(1))), bits));
        f.if(
          i32.lt_u(slot, c(END_POS_MODEL)),
          // Their tables follow each other: `rep0 - slot` is where that of this slot begins.
          () => f.set(table, plus(times2(i32.sub(rep0, slot)), POS_SPECIAL)),
          () => {
            const direct = f.variable(c(0));
            f.set(bits, plus(bits, -ALIGN_BITS));
            f.loop((again) => {
              this.normalize();
              f.set(range, i32.shr_u(range, c(1)));
              f.set(direct, times2(direct));
              f.if(i32.ge_u(code, range), () => {
                f.set(code, i32.sub(code, range));
                f.set(direct, plus(direct, 1));
              });
              f.set(bits, plus(bits, -1));
              f.brIf(again, bits);
            });
            f.set(rep0, i32.add(rep0, i32.shl(direct, c(ALIGN_BITS))));
            f.set(table, c(POS_ALIGN));
            f.set(bits, c(ALIGN_BITS));
          },
        );
        // The lowest bit first.
        const weight = f.variable(c(1));
        f.set(symbol, c(1));
        f.loop((again) => {
          this.bit(
            i32.add(table, times2(symbol)),
            () => f.set(symbol, times2(symbol)),
            () => {
              f.set(symbol, plus(times2(symbol), 1));
              f.set(rep0, i32.add(rep0, weight));
            },
          );
          f.set(weight, times2(weight));
          f.set(bits, plus(bits, -1));
          f.brIf(again, bits);
        });
      }),
    );
  }

  /** Bytes from earlier output; it may overlap what it makes. */
  #copy(rep0: Expr, length: LocalRef, match: () => Expr): void {
    const { f, done } = this;
    f.scope(() => {
      const from = f.variable(match());
      const until = f.variable(i32.add(done, length));
      const by = (step: number, copy: () => void): void =>
        f.loop((again) => {
          copy();
          f.set(from, plus(from, step));
          f.set(done, plus(done, step));
          f.brIf(again, i32.lt_u(done, until));
        });
      f.if(
        i32.ge_u(rep0, c(7)),
        () => by(8, () => f.do('i64.store', [done, op('i64.load', [from])])),
        () => by(1, () => f.do('i32.store8', [done, load8(from)])),
      );
      f.set(done, until);
    });
  }
}
