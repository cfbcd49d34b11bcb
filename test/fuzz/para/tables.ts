/**
 * Random sequences of what a paravirtualized guest can do to its page tables: hypercalls, stores to tables and to pages that become tables, through whatever its TLB
 * still has. Few frames take part, so that they meet in every role.
 */
import { A, D, DIRECT, P, ParaMemory, RW, US, XD } from '../../../core/machine/para-fixture.ts';
import { PARA_GUEST, PARA_SHARED_INFO, PGT_l1_page_table, PGT_seg_desc_page, PGT_writable_page } from '../../../core/state/index.ts';
import { numbers } from '../../../core/translator/testing.ts';
import { checkFlushed } from '../../../core/vmm/para/checker.ts';

const SELF = 0x7ff0;
const TLB_FLUSH_LOCAL = 6;
/** Frames that take part, beside the first tables. */
const POOL = 16;
/** Entries that take part: at both ends, and about those of the VMM. */
const INDICES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 255, 256, 271, 272, 273, 510, 511];
const FLAGS = [P | RW | US, P | RW, P | US, P, 0n, P | RW | US | A | D, P | RW | A | D, P | RW | US | XD];
const ODD = [0x80n, 0x10n, 8n, 0x100n, 1n << 52n, 1n << 59n, 0xe00n];

export class Tables {
  m!: ParaMemory;
  /** By operation: how often it was done, and how often with success. */
  readonly counts = new Map<string, [number, number]>();
  worlds = 0;
  #held: { frame: number; type: number }[] = [];
  readonly #random: (below: number) => number;

  constructor(seed: number) {
    this.#random = numbers(seed);
    this.#begin();
  }

  #begin(): void {
    this.worlds++;
    this.#held = [];
    this.m = new ParaMemory(2);
    if (this.m.call('paraStart') !== 0) throw new Error('the first page tables are refused');
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#random(of.length)]!;
  }
  #one(inThese: number): boolean {
    return this.#random(inThese) === 0;
  }

  get #list(): number {
    return this.m.free + POOL;
  }

  /** A frame: mostly one of the pool, sometimes what no guest has. */
  #frame(): number {
    if (this.#one(40))
      return this.#pick([0, PARA_SHARED_INFO, 0xff, this.m.end, this.m.para.frames - 1, this.m.para.frames, 0xffff_ffff, 2 ** 40 - 1]);
    return PARA_GUEST + this.#random(this.m.free - PARA_GUEST + POOL);
  }
  #own(): number {
    return PARA_GUEST + this.#random(this.m.free - PARA_GUEST + POOL);
  }
  #value(): bigint {
    const value = this.m.to(this.#frame(), this.#pick(FLAGS));
    return this.#one(12) ? value ^ this.#pick(ODD) : value;
  }
  #address(): bigint {
    if (this.#one(30)) return this.#pick([0n, (1n << 64n) - 8n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0x7fff_ffff_fff8n]);
    if (this.#one(3)) return DIRECT + (BigInt(this.#pick(INDICES)) << 21n) + (BigInt(this.#pick(INDICES)) << 12n);
    return this.m.at(this.#own());
  }

  #hypercall(name: string, first: bigint, count: number): number {
    const done = this.#one(4) ? this.#address() : 0n;
    return Number(this.m.call(name, first, count, done, SELF));
  }

  /** The guest's kernel stores 8 bytes at a linear address, as far as its TLB or its tables let it. */
  #store(at: bigint, value: bigint): boolean {
    const { m } = this;
    const host = Number(m.call('guestAddress', Number(at & 0xffff_ffffn), Number(at >> 32n), 1));
    if (host === 0) return false;
    new DataView(m.buffer).setBigUint64(host, value, true);
    return true;
  }

  readonly #operations: Record<string, () => boolean> = {
    mmu_update: () => {
      const { m } = this;
      const count = 1 + this.#random(4);
      for (let i = 0; i < count; i++) {
        const command = this.#one(8) ? this.#random(8) : this.#pick([0, 2]);
        const pointer = (BigInt(this.#frame()) << 12n) + BigInt(this.#pick(INDICES) * 8 + command);
        if (!this.#store(m.at(this.#list, 16 * i), pointer) || !this.#store(m.at(this.#list, 16 * i + 8), this.#value())) return false;
      }
      return this.#hypercall('mmuUpdate', m.at(this.#list), count) === 0;
    },
    update_va_mapping: () => Number(this.m.call('updateVaMapping', this.#address(), this.#value(), BigInt(this.#random(8)))) === 0,
    /** What a kernel does before it makes a table of a page. */
    protect: () => {
      const frame = this.#own();
      return Number(this.m.call('updateVaMapping', this.m.at(frame), this.m.to(frame, P), BigInt(this.#random(3)))) === 0;
    },
    unprotect: () => {
      const frame = this.#own();
      return Number(this.m.call('updateVaMapping', this.m.at(frame), this.m.to(frame), 0n)) === 0;
    },
    mmuext_op: () => {
      const { m } = this;
      const command = this.#one(20) ? this.#random(24) : this.#pick([0, 0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7, 10, 15, 16, 17]);
      const words = [BigInt(command), BigInt(this.#frame()), BigInt(this.#frame())];
      if (command === 7) words[1] = this.#address();
      if (!words.every((word, i) => this.#store(m.at(this.#list, 8 * i), word))) return false;
      return this.#hypercall('mmuextOp', m.at(this.#list), 1) === 0;
    },
    /** Another kernel's table like the one in use. */
    clone: () => {
      const { m } = this;
      const [from, to] = [m.cpu.para.kernelCr3 / 4096, this.#own()];
      return [272, 273, 0, 1, 511].every((i) => this.#store(m.at(to, 8 * i), m.entry(from, i)));
    },
    store: () => this.#store(this.#address() + BigInt(this.#pick(INDICES) * 8), this.#value()),
    clear: () => {
      const frame = this.#own();
      let all = true;
      for (let i = 0; i < 512; i++) all = this.#store(this.m.at(frame, 8 * i), 0n) && all;
      return all;
    },
    load: () => {
      const at = this.#address();
      return Number(this.m.call('guestAddress', Number(at & 0xffff_ffffn), Number(at >> 32n), 0)) !== 0;
    },
    'page-table write': () => {
      const { m } = this;
      const size = this.#pick([8, 8, 8, 4, 2, 1]);
      const bounce = m.cpu.address + m.bounce;
      new DataView(m.buffer).setBigUint64(bounce, this.#value(), true);
      const frame = this.#own();
      // The processor asks for it where a page table is mapped; whether it is one when it comes to that is another matter.
      const offset = this.#pick(INDICES) * 8 + (size < 8 ? this.#random(8) : 0);
      try {
        m.call('pageTableWrite', frame * 4096 + offset, bounce, size, m.at(frame, offset));
        return true;
      } catch (e) {
        if (!(e instanceof WebAssembly.Exception)) throw e;
        m.cpu.faultPending = 0;
        return false;
      }
    },
    reference: () => {
      const [frame, type] = [this.#own(), this.#pick([PGT_writable_page, PGT_seg_desc_page, PGT_l1_page_table, 2, 3, 4])];
      if (this.#held.length > 8 || this.m.call('getPageType', frame, type) !== 1) return false;
      this.#held.push({ frame, type });
      return true;
    },
    give: () => {
      const one = this.#held.splice(this.#random(this.#held.length || 1), 1)[0];
      if (one) this.m.call('putPageType', one.frame);
      return one !== undefined;
    },
    release: () => {
      const frame = this.#frame();
      return frame < 2 ** 32 && this.m.call('releaseFrame', frame) === 0;
    },
    allocate: () => this.m.call('allocateFrame') !== 0,
    busy: () => {
      const { m } = this;
      const busy = new Uint8Array(m.buffer, m.para.busy, m.para.frames);
      // As a backend does: only where the frame may be written.
      const frame = this.#own();
      const { owner, type } = m.info(frame);
      busy[frame] = busy[frame] || owner !== 1 || (type !== 0 && type !== PGT_writable_page) ? 0 : 1;
      return busy[frame] === 1;
    },
  };

  readonly #names = Object.entries({
    mmu_update: 12, update_va_mapping: 8, protect: 10, unprotect: 4, mmuext_op: 14, clone: 2, store: 12, clear: 2, load: 6, 'page-table write': 6, reference: 1,
    give: 2, release: 1, allocate: 1, busy: 1,
  }).flatMap(([name, weight]) => Array.from({ length: weight }, () => name)); // prettier-ignore

  /** Does `count` operations; what the checker says then. */
  run(count: number): string[] {
    // Its lists cannot be reached any more: nothing much can happen here.
    const at = this.m.at(this.#list);
    if (Number(this.m.call('guestAddress', Number(at & 0xffff_ffffn), Number(at >> 32n), 1)) === 0) this.#begin();
    for (let i = 0; i < count; i++) {
      const name = this.#pick(this.#names);
      const done = this.#operations[name]!();
      const [times, successes] = this.counts.get(name) ?? [0, 0];
      this.counts.set(name, [times + 1, successes + Number(done)]);
    }
    const findings = this.m.check(this.#held);
    // A flush leaves nothing that page tables do not have.
    this.#store(this.m.at(this.#list), BigInt(TLB_FLUSH_LOCAL));
    if (this.#hypercall('mmuextOp', this.m.at(this.#list), 1) === 0) findings.push(...checkFlushed(this.m.buffer));
    return findings;
  }
}
