/**
 * Random and hostile hypercalls: all numbers, all sub-operations, arguments that are right, nearly right, or nothing of the kind: pointers into the VMM's range, beyond the
 * end of the address space, to the end of a page; frames that are page tables, the VMM's, beyond memory; counts without end.
 */
import { DIRECT, P, RW, US } from '../../../core/machine/para-fixture.ts';
import { PARA_GUEST, PARA_SHARED_INFO } from '../../../core/state/index.ts';
import { numbers } from '../../../core/translator/testing.ts';
import { HYPERCALL_ROWS, hypercallName, hypercallRow } from '../../../core/vmm/para/rows.ts';
import { FuzzGuest } from './guest.ts';

/** Numbers of hypercalls that are tried; those that change memory more often. */
const NUMBERS = [
  ...HYPERCALL_ROWS.map(({ number }) => number),
  1,
  1,
  1,
  1,
  14,
  14,
  26,
  26,
  26,
  26,
  13,
  12,
  12,
  20,
  20,
  32,
  32,
  24,
  2,
  10,
  11,
  43,
  49,
  55,
  63,
  64,
];
const IRET = 23;
const MULTICALL = 13;
const VCPU_OP = 24;
const SELF = 0x7ff0n;
const NASTY = [
  0n, 1n, 2n, 7n, 8n, 0x7ff0n, 0x7ff1n, 0x7ff2n, 0x7fffn, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 1n << 32n, (1n << 52n) - 1n, 1n << 63n, (1n << 64n) - 1n,
  (1n << 64n) - 8n, (1n << 63n) - 1n, 0x1000n, 0xfffn, 0x7fff_ffff_fff8n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_82d0_8000_0000n, 0xffff_87ff_ffff_fff8n,
  0x4141_4141_4141_4141n,
]; // prettier-ignore
/** Frames at whose bytes pointers point. */
const SCRATCH = 3;

export interface CallTotals {
  calls: number;
  guests: number;
  /** Results by hypercall: how many were errors, and not; and did not come back. */
  readonly results: Map<number, [number, number, number]>;
  readonly ends: Map<string, number>;
}

export class Calls {
  readonly totals: CallTotals = { calls: 0, guests: 1, results: new Map(), ends: new Map() };
  readonly guest = new FuzzGuest();
  /** What was last done, in words. */
  readonly last: string[] = [];
  readonly #random: (below: number) => number;

  constructor(seed: number) {
    this.#random = numbers(seed);
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#random(of.length)]!;
  }
  #one(inThese: number): boolean {
    return this.#random(inThese) === 0;
  }

  #frame(): number {
    const { m, scratch, code } = this.guest;
    switch (this.#random(10)) {
      case 0:
        return this.#pick([0, PARA_SHARED_INFO, 2, 0x10, 0xff, m.end, m.para.frames - 1, m.para.frames, 0xffff_ffff]);
      case 1:
        return PARA_GUEST + this.#random(m.para.guestFrames);
      case 2:
        return scratch + this.#random(SCRATCH);
      case 3:
        return this.#one(40) ? code + this.#random(2) : m.para.storeFrame + this.#random(2);
      default:
        return PARA_GUEST + this.#random(m.free - PARA_GUEST + 24);
    }
  }
  #pointer(): bigint {
    const { guest } = this;
    switch (this.#random(16)) {
      case 0:
        return this.#pick(NASTY);
      case 1:
        return guest.m.at(this.#frame(), this.#random(4096));
      case 2:
        // About the end of a page, and of what is mapped.
        return guest.m.at(this.#pick([guest.scratch, guest.scratch + SCRATCH, guest.m.end]), -this.#random(64));
      case 3:
        return DIRECT + (BigInt(this.#random(512)) << BigInt(this.#pick([12, 21, 30])));
      case 4:
        return guest.at(this.#random(64));
      default:
        return guest.at(8 * this.#random(64));
    }
  }
  #flags(): bigint {
    return this.#pick([P | RW | US, P | RW | US, P | US, P, 0n, P | RW, 0x80n | P | RW, 0x67n, 0x65n]);
  }
  /** 64 bits, of any kind. */
  #value(): bigint {
    switch (this.#random(12)) {
      case 0:
        return this.#pick(NASTY);
      case 1:
        return this.#pointer();
      case 2:
      case 3:
        return BigInt(this.#frame());
      case 4:
        return (BigInt(this.#frame()) << 12n) | this.#flags();
      case 5:
        return BigInt(this.#frame() * 4096 + this.#pick([0, 1, 2, 255, 256, 271, 272, 511]) * 8 + this.#random(4));
      case 6:
        return SELF;
      case 7:
        return (BigInt(this.#random(2 ** 32)) << 32n) | BigInt(this.#random(2 ** 32));
      default:
        return BigInt(this.#random(this.#pick([2, 4, 8, 16, 40])));
    }
  }

  /** What pointers point to: words, as if it were any structure of the interface. */
  #fill(): void {
    const { guest } = this;
    const words = this.#random(48);
    const base = this.#one(4) ? this.#random(SCRATCH * 512 - 48) : 0;
    for (let i = 0; i < words; i++) {
      const value = this.#one(3) ? (this.#value() & 0xffff_ffffn) | (this.#value() << 32n) : this.#value();
      guest.word(guest.scratch, 8 * (base + i), value);
    }
  }

  /** struct mmu_update and struct mmuext_op, as a kernel would have them, or nearly. */
  #updates(): void {
    const { guest } = this;
    for (let i = 0; i < 6; i++) {
      const pointer = BigInt(this.#frame() * 4096 + this.#pick([0, 1, 2, 3, 100, 271, 272, 511]) * 8 + this.#pick([0, 0, 0, 1, 2, 3, 4]));
      guest.word(guest.scratch, 16 * i, pointer);
      guest.word(guest.scratch, 16 * i + 8, (BigInt(this.#frame()) << 12n) | this.#flags());
    }
  }
  #extended(): void {
    const { guest } = this;
    for (let i = 0; i < 4; i++) {
      guest.word(guest.scratch, 24 * i, BigInt(this.#random(22)));
      guest.word(guest.scratch, 24 * i + 8, this.#one(4) ? this.#value() : BigInt(this.#frame()));
      guest.word(guest.scratch, 24 * i + 16, this.#value());
    }
  }

  /** Pins can succeed: a frame is mapped for reading only, and is cleared sometimes. */
  #protect(): void {
    const { guest } = this;
    const frame = this.#pick([guest.m.free + this.#random(24), guest.scratch + 2]);
    if (this.#one(2)) for (let i = 0; i < 512; i++) guest.word(frame, 8 * i, 0n);
    this.totals.calls++;
    guest.call(14, [guest.m.at(frame), guest.m.to(frame, P), 0n]);
    guest.word(guest.scratch, 0, BigInt(this.#pick([0, 1, 2, 3])));
    guest.word(guest.scratch, 8, BigInt(frame));
  }

  #arguments(number: number): bigint[] {
    const types = hypercallRow(number)?.args ?? [];
    return Array.from({ length: 6 }, (_, i) => {
      if (this.#one(12)) return this.#value();
      switch (types[i]) {
        case 'pointer':
          return this.#pointer();
        case 'u32':
          return this.#one(6) ? this.#value() : BigInt(this.#random(number === MULTICALL ? 5 : 34));
        case 'domid':
          return this.#one(6) ? this.#value() : SELF;
        case 'frame':
          return BigInt(this.#frame());
        case 'address':
          return this.#one(3) ? this.#value() : this.guest.m.at(this.#frame());
        default:
          return this.#value();
      }
    });
  }

  /** Does `count` hypercalls; what is wrong then. */
  run(count: number): string[] {
    const { totals } = this;
    this.last.length = 0;
    try {
      for (let i = 0; i < count; i++) {
        let number = this.#pick(NUMBERS);
        if (number === IRET && !this.#one(5)) number = 26;
        const args = this.#arguments(number);
        this.#fill();
        if (number === 1 && !this.#one(4)) this.#updates();
        if (number === 26 && !this.#one(4)) this.#extended();
        if ((number === 1 || number === 26) && !this.#one(3)) [args[0], args[1]] = [this.guest.at(0), BigInt(1 + this.#random(5))];
        if (number === VCPU_OP && !this.#one(6)) args[1] = 0n;
        if (number === 26 && this.#one(2)) this.#protect();
        if (number === 14 && this.#one(2)) args[1] = (BigInt(this.#frame()) << 12n) | this.#flags();
        this.last.push(`${hypercallName(number)}(${args.map((value) => `0x${value.toString(16)}`).join(', ')})`);
        const result = this.guest.call(number, args);
        this.last[this.last.length - 1] += ` = ${result}`;
        totals.calls++;
        const results = totals.results.get(number) ?? [0, 0, 0];
        results[result === undefined ? 2 : result < 0n ? 0 : 1]!++;
        totals.results.set(number, results);
        if (this.guest.ended !== undefined || result === undefined) {
          const findings = this.guest.check();
          if (findings.length > 0) return findings;
          // One that did not come back may be in any state: where it has been tried is enough.
          if (this.guest.ended !== undefined || this.#one(20)) this.#renew();
        }
      }
      return this.guest.check();
    } catch (error) {
      return [`the VMM threw ${error instanceof Error ? error.stack : String(error)}`];
    }
  }

  #renew(): void {
    const why = this.guest.ended ?? 'did not come back';
    this.totals.ends.set(why, (this.totals.ends.get(why) ?? 0) + 1);
    this.totals.guests++;
    this.guest.again();
  }
}
