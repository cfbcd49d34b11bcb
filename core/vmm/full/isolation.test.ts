/**
 * A guest's kernel at ring 1 and its programs at ring 3 try to reach what is not theirs: by random linear addresses, by addresses at which the VMM's
 * structures are in machine memory, by page tables and segments of their own making, by the VMM's selectors. Each try ends as a model of
 * the guest's own memory says; nothing else changes, and nothing else is read.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../../build/core.ts';
import { compileModules, type EngineModules, type EngineOptions, type TranslatorHost } from '../../processor/engine.ts';
import {
  Control,
  Cpu,
  CPUS,
  DS,
  EXIT_HALT,
  FS,
  FULL_ADAPT,
  FULL_ON,
  FULL_TRANSLATE,
  layout,
  MIB,
  STATICS,
  STATICS_END,
} from '../../state/index.ts';
import { numbers } from '../../translator/testing.ts';
import { Translator } from '../../translator/translator.ts';
import { CODE, FullMachine, HANDLERS } from './testing.ts';

/** In each mode, from each ring, on each engine: 100,000 in all. */
const TRIES = 12_500;
const RAM = 2 * MIB;
/** Of what the guest says is done. */
const DONE = 0x21;
/** Where the guest maps what it likes. */
const WINDOW = 0x4000_0000n;
const WINDOW_TABLE = 0x14000;
const TABLE = 0x13000;
/** Pages below it are everybody's: code, handlers, tables. */
const COMMON = 32n;
const FILL = 0x5a;

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

interface Access {
  readonly code: readonly number[];
  readonly bytes: number;
  readonly write: boolean;
  readonly long?: true;
  /** Through FS. */
  readonly fs?: true;
  /** A load of a segment register instead, of a selector that the guest's tables do not have; or a jump. */
  readonly kind?: 'selector' | 'jump';
}

const accesses: readonly Access[] = [
  { code: [0x8a, 0x03], bytes: 1, write: false }, // mov al, [ebx]
  { code: [0x66, 0x8b, 0x03], bytes: 2, write: false },
  { code: [0x8b, 0x03], bytes: 4, write: false },
  { code: [0x48, 0x8b, 0x03], bytes: 8, write: false, long: true },
  { code: [0x0f, 0x10, 0x03], bytes: 16, write: false }, // movups xmm0, [ebx]
  { code: [0x88, 0x03], bytes: 1, write: true }, // mov [ebx], al
  { code: [0x66, 0x89, 0x03], bytes: 2, write: true },
  { code: [0x89, 0x03], bytes: 4, write: true },
  { code: [0x48, 0x89, 0x03], bytes: 8, write: true, long: true },
  { code: [0x01, 0x03], bytes: 4, write: true }, // add [ebx], eax
  { code: [0xf0, 0x87, 0x03], bytes: 4, write: true }, // xchg [ebx], eax
  { code: [0x0f, 0x11, 0x03], bytes: 16, write: true }, // movups [ebx], xmm0
  { code: [0x64, 0x8b, 0x03], bytes: 4, write: false, fs: true }, // mov eax, fs:[ebx]
  { code: [0x64, 0x89, 0x03], bytes: 4, write: true, fs: true },
  { code: [0x8e, 0xdb], bytes: 0, write: false, kind: 'selector' }, // mov ds, bx
  { code: [0x8e, 0xeb], bytes: 0, write: false, kind: 'selector' }, // mov gs, bx
  { code: [0x0f, 0x00, 0xd3], bytes: 0, write: false, kind: 'selector' }, // lldt bx
  { code: [0x0f, 0x00, 0xdb], bytes: 0, write: false, kind: 'selector' }, // ltr bx
  { code: [0xff, 0xe3], bytes: 1, write: false, kind: 'jump' }, // jmp ebx
];

type Found = { readonly ram: number } | { readonly device: true } | { readonly error: number };

class Guest {
  readonly machine: FullMachine;
  readonly #long: boolean;
  /** The window's entry. */
  entry = 0n;

  constructor(bits: 32 | 64, options: EngineOptions) {
    const full = FULL_ON | FULL_TRANSLATE | FULL_ADAPT;
    const bus = { readMmio: () => 0xffff_ffff };
    this.machine = new FullMachine(bits, full, modules, options, bus);
    this.#long = bits === 64;
    const { machine } = this;
    // INT 0x21 is for programs, too.
    const gate = 0x7000 + DONE * (this.#long ? 16 : 8) + 5;
    machine.put(gate, 0xee);
    accesses.forEach(({ code }, i) => machine.put(CODE + 32 * i, ...code, 0xcd, DONE));
    if (this.#long) {
      machine.words(0x12000, TABLE | 7, 0);
      machine.words(0x11000 + 8, 0x15007, 0);
      machine.words(0x15000, WINDOW_TABLE | 7, 0);
      for (let n = 0n; n < 512n; n++) this.#word64(TABLE + Number(n) * 8, (n * 4096n) | BigInt(this.#flags(n)));
    } else {
      machine.words(0x10000, TABLE | 7);
      machine.words(0x10000 + Number(WINDOW >> 22n) * 4, WINDOW_TABLE | 7);
      for (let n = 0n; n < 512n; n++) machine.words(TABLE + Number(n) * 4, (Number(n) * 4096) | this.#flags(n));
    }
  }

  /** P, RW and US of a page of RAM. */
  #flags(page: bigint): number {
    if (page < COMMON) return 7;
    return (page % 7n === 0n ? 0 : 1) | (page % 5n === 0n ? 0 : 2) | (page % 2n === 0n ? 0 : 4);
  }

  #word64(at: number, value: bigint): void {
    this.machine.view.setBigUint64(this.machine.ram + at, value, true);
  }

  map(entry: bigint): void {
    this.entry = entry;
    if (this.#long) this.#word64(WINDOW_TABLE, entry);
    else this.machine.words(WINDOW_TABLE, Number(entry & 0xffff_ffffn));
  }

  /** What the guest's own tables say of a byte. */
  find(linear: bigint, write: boolean, user: boolean): Found {
    const error = (write ? 2 : 0) | (user ? 4 : 0);
    const page = linear >> 12n;
    let flags: number;
    let physical: bigint;
    if (page < 512n) [flags, physical] = [this.#flags(page), page << 12n];
    else if (page === WINDOW >> 12n) {
      flags = Number(this.entry & 7n);
      physical = this.entry & (this.#long ? 0xf_ffff_ffff_f000n : 0xffff_f000n);
      // Wider than any physical address.
      if (flags & 1 && physical >> 40n) return { error: error | 9 };
    } else return { error };
    if (!(flags & 1)) return { error };
    if ((user && !(flags & 4)) || (write && !(flags & 2))) return { error: error | 1 };
    const at = physical + (linear & 0xfffn);
    if (at >= BigInt(RAM) || (at >= 0xa0000n && at < 0xc0000n)) return { device: true };
    return { ram: Number(at) };
  }
}

/** Everything in machine memory that no guest's run has to do with, as one comparable thing. */
function untouched(machine: FullMachine, translated: boolean): Buffer {
  const at = layout(1, RAM);
  const bytes = Buffer.from(machine.memory.buffer);
  const ranges = [
    [STATICS, STATICS_END], [at.devices, at.devicesEnd], [at.translations, at.modulesEnd], [at.branchTargets, at.branchTargetsEnd],
  ] as const; // prettier-ignore
  return Buffer.concat(ranges.slice(0, translated ? 2 : 4).map(([from, to]) => bytes.subarray(from, to)));
}

const isCanonical = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;

describe.each([
  { bits: 64, translated: false, engine: 'interpreted' },
  { bits: 32, translated: false, engine: 'interpreted' },
  { bits: 64, translated: true, engine: 'translated' },
  { bits: 32, translated: true, engine: 'translated' },
] as const)('$bits-bit code, $engine', ({ bits, translated }) => {
  it.each([1, 3] as const)(
    `from ring %d, in ${TRIES} tries`,
    (physicalRing) => {
      const ring = physicalRing === 1 ? 0 : 3;
      const user = ring === 3;
      let regions = 0;
      const translator = (host: TranslatorHost): Translator => new Translator(host, { after: 1, batch: 1, onRegion: () => regions++ });
      const guest = new Guest(bits, translated ? { translator } : {});
      const { machine } = guest;
      const { state, view, ram } = machine;
      const other = new FullMachine(bits, FULL_ON | FULL_TRANSLATE, modules).begin([0xf4]);
      const otherBefore = Buffer.from(new Uint8Array(other.memory.buffer));
      const before = Buffer.from(untouched(machine, translated));
      const random = numbers(bits + ring);
      const word = (): bigint => BigInt(random(0x1_0000_0000));
      const long = bits === 64;
      const mask = long ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
      const places = Object.values(layout(1, RAM)).map(BigInt);
      const bytes = Buffer.from(machine.memory.buffer);
      // Nothing but this may be read, or RAM's own few structures.
      bytes.fill(FILL, ram + 0x20000, ram + RAM);
      const ended = { done: 0, faulted: 0 };
      const tried = (): number => ended.done + ended.faulted;
      const gprAt = (n: number): number => CPUS + n * 8;

      /** An address that somebody would try. */
      const address = (): bigint => {
        const place = places[random(places.length)]! + BigInt(random(0x2000));
        switch (random(9)) {
          case 0:
            return (word() << 32n) | word();
          case 1:
            return word();
          case 2:
            return place;
          case 3:
            // What is added to a guest's address is where its RAM begins: this much less, and it would be the VMM's.
            return BigInt.asUintN(64, place - BigInt(ram));
          case 4:
            return BigInt.asUintN(32, place - BigInt(ram));
          case 5:
            return WINDOW + BigInt(random(0x1010)) - 8n;
          case 7:
            // Over the end of all addresses.
            return BigInt.asUintN(64, -BigInt(random(20)));
          case 6:
            return 0xffff_fe00_fffe_f000n + BigInt(random(0x11000));
          default:
            return COMMON * 4096n + BigInt(random(RAM));
        }
      };

      for (let n = 0; tried() < TRIES; n++) {
        const flags = BigInt(random(16) === 0 ? random(8) : 7);
        guest.map(((random(4) === 0 ? word() << 20n : random(2) ? address() : BigInt(random(RAM))) & 0xf_ffff_ffff_f000n) | flags);
        machine.begin([], ring, 0x2);
        state.cr0 = 0x8001_0011;
        const i = random(accesses.length);
        const access = accesses[i]!;
        if (access.long && !long) continue;
        const segment = access.fs ? FS : DS;
        const base = access.kind !== 'jump' && random(3) === 0 ? address() & (long ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn) : 0n;
        const limit = long || access.kind === 'jump' || random(2) ? 0xffff_ffffn : word();
        const used = access.fs || !long ? (isCanonical(base) || !long ? base : 0n) : 0n;
        Object.assign(state.segments[segment]!, { limit: Number(limit) });
        view.setBigUint64(state.segments[segment]!.address, used, true);
        machine.engine.helpers.updateReach(CPUS);
        const ea = address() & mask;
        const selector = Number(ea & 0xffffn);
        // One that the guest has is no try.
        if (access.kind === 'selector' && selector < 0x50) continue;
        view.setBigUint64(gprAt(3), ea, true);
        view.setBigUint64(gprAt(0), 0x1122_3344_5566_7788n, true);
        state.rip = CODE + 32 * i;

        // -- what must come of it
        const linear = (ea + used) & mask;
        const end = BigInt(access.bytes - 1);
        let expected: { vector: number; error?: number; address?: bigint } = { vector: DONE };
        const found: Found[] = [];
        if (access.kind === 'selector') {
          // Privileged, for a program.
          const mine = user && access.code[0] === 0x0f;
          expected = { vector: 13, error: mine ? 0 : selector & 0xfffc };
        } else if (long ? !isCanonical(linear) || !isCanonical((linear + end) & mask) : ea + end > limit && limit !== 0xffff_ffffn)
          expected = { vector: 13, error: 0 };
        else
          for (let at = 0n; at <= end && expected.vector === DONE; at++) {
            const byte = (linear + at) & mask;
            const one = guest.find(byte, access.write, user);
            if ('error' in one) expected = { vector: 14, error: one.error, address: byte };
            else found.push(one);
          }
        if (access.kind === 'jump') {
          // Where there is something, it would be executed.
          if (expected.vector !== 14) continue;
          expected = long ? { ...expected, error: expected.error! | 16 } : expected;
        }
        // Tables and code of its own are the guest's to destroy, but not in this test.
        const own = found.some((f) => 'ram' in f && f.ram < 0x20000);
        if (access.write && own && expected.vector === DONE) continue;

        // -- what comes of it
        const exit = machine.run(100);
        if (exit !== EXIT_HALT) throw new Error(`try ${n} ended with ${exit}`);
        const vector = (state.rip - 1 - HANDLERS) / 16;
        const stack = state.gpr.get(4);
        const seen = {
          vector,
          ...(expected.error !== undefined && { error: machine.word(stack) }),
          ...(expected.address !== undefined && { address: view.getBigUint64(CPUS + Cpu.offsets.cr2, true) }),
        };
        if (seen.vector !== expected.vector || seen.error !== expected.error || seen.address !== expected.address)
          expect({ n, access: i, linear: linear.toString(16), ...seen }).toEqual({
            n,
            access: i,
            linear: linear.toString(16),
            ...expected,
          });
        if (expected.vector !== DONE) {
          ended.faulted++;
          continue;
        }
        ended.done++;
        if (!access.write && access.bytes <= 8) {
          const value = view.getBigUint64(gprAt(0), true);
          found.forEach((f, k) => {
            const byte = Number((value >> BigInt(8 * k)) & 0xffn);
            const own = 'ram' in f && f.ram < 0x20000;
            if (!own) expect(byte).toBe('device' in f ? 0xff : FILL);
          });
        }
        // Put back what it wrote where it may.
        for (const f of found) if ('ram' in f && f.ram >= 0x20000) bytes[ram + f.ram] = FILL;
      }
      expect(regions > 0).toBe(translated);
      expect(ended.done).toBeGreaterThan(TRIES / 20);
      expect(ended.faulted).toBeGreaterThan(TRIES / 4);
      // Where writes were counted as put back, nothing else was written.
      expect(bytes.subarray(ram + 0x20000, ram + RAM).every((byte) => byte === FILL)).toBe(true);
      expect(untouched(machine, translated).equals(before)).toBe(true);
      expect(Buffer.from(other.memory.buffer).equals(otherBefore)).toBe(true);
      expect(Control.view(machine.memory.buffer, 0).ram).toBe(ram);
    },
    120_000,
  );
});
