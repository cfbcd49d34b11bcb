/** Regions over several pages, with calls and returns within: what they assume must be looked at each time. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { Control, MIB, PAGE, REGION_PAGES } from '../state/index.ts';
import type { Region } from './region.ts';
import { translationStatistics } from './statistics.ts';
import { CODE, TestMachine } from './testing.ts';
import { Translator, type TranslatorOptions } from './translator.ts';

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const AFTER = 16;
const LIMITS = { instructions: 400, pages: REGION_PAGES, repeated: 16, depth: 3, returns: 2, apart: false };
/** Pages of code, apart from each other in linear addresses as in memory. */
const SECOND = CODE + PAGE;
const THIRD = CODE + 5 * PAGE;
const FOURTH = CODE + 6 * PAGE;
/** The test machine's page-table entries. */
const ENTRIES = { 32: 0x11000, 64: 0x13000 };

/** Machine code with places: a string names what follows, `{ to, ... }` is a 32-bit distance (`from` bytes follow it) or an address. */
type Piece = number | string | { readonly to: string; readonly absolute?: boolean };

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >> 24) & 255];
const rel = (to: string): Piece => ({ to });
const abs = (to: string): Piece => ({ to, absolute: true });
const jmp = (to: string): Piece[] => [0xe9, rel(to)];
const call = (to: string): Piece[] => [0xe8, rel(to)];
const jnz = (to: string): Piece[] => [0x0f, 0x85, rel(to)];
const RET = 0xc3;
const HLT = 0xf4;
/** add eax, n; dec ecx; mov ecx, n */
const add = (n: number): number[] => [0x05, ...le(n)];
const DEC_ECX = [0xff, 0xc9];
const count = (n: number): number[] => [0xb9, ...le(n)];
/** imul eax, eax, n */
const times = (n: number): number[] => [0x69, 0xc0, ...le(n)];
const NOPS = (n: number): number[] => Array.from({ length: n }, () => 0x90);

class Program {
  readonly code: { at: number; bytes: number[] }[] = [];
  constructor(sections: readonly (readonly [at: number, pieces: readonly Piece[]])[]) {
    const places = new Map<string, number>();
    const size = (p: Piece): number => (typeof p === 'number' ? 1 : typeof p === 'string' ? 0 : 4);
    for (const [at, pieces] of sections) {
      let here = at;
      for (const p of pieces) {
        if (typeof p === 'string') places.set(p, here);
        here += size(p);
      }
    }
    for (const [at, pieces] of sections) {
      const bytes: number[] = [];
      for (const p of pieces) {
        if (typeof p === 'number') bytes.push(p);
        else if (typeof p === 'object') bytes.push(...le(places.get(p.to)! - (p.absolute ? 0 : at + bytes.length + 4)));
      }
      this.code.push({ at, bytes });
    }
  }
}

/** Where a region's blocks begin: pages are mapped to themselves. */
const addresses = (r: Region): number[] => r.blocks.map((b) => r.page * PAGE + b.offset);
/** Guest RAM, in doublewords. */
const ram = (m: TestMachine): Uint32Array => new Uint32Array(m.memory.buffer, Control.view(m.memory.buffer, 0).ram, (2 * MIB) / 4);

function run(
  bits: 32 | 64,
  program: Program,
  prepare: (m: TestMachine) => void = () => {},
  options: TranslatorOptions = { small: LIMITS },
) {
  const regions: Region[] = [];
  const machines = [false, true].map((translated) => {
    const m = new TestMachine(
      bits,
      modules,
      translated
        ? {
            translator: (host) =>
              new Translator(
                { ...host, note: (text) => expect.fail(text) },
                { after: AFTER, batch: 1, onRegion: (r) => regions.push(r), ...options },
              ),
          }
        : {},
    );
    for (const { at, bytes } of program.code) m.put(at, bytes);
    prepare(m);
    expect(m.run(() => 3000, 1_000_000)).toBe(true);
    return m;
  });
  const [reference, m] = machines.map((machine) => machine.outcome());
  expect(m).toEqual(reference);
  return { machine: machines[1]!, regions, pages: Math.max(...regions.map((r) => r.pages.size)), eax: machines[1]!.state.gpr.get(0) };
}

/** mov dword [at], value. With a SIB byte, which 64-bit mode needs, in both modes. */
const store = (at: number, value: number): number[] => [0xc7, 0x04, 0x25, ...le(at), ...le(value)];
const invlpg = (at: number): number[] => [0x0f, 0x01, 0x3c, 0x25, ...le(at)];

describe.each([64, 32] as const)('regions in %d-bit mode', (bits) => {
  it('have loops that cross pages', () => {
    const program = new Program([
      [CODE, [...count(500), 'top', ...add(3), ...jmp('second')]],
      [SECOND + 0x123, ['second', ...times(5), ...jmp('third')]],
      [THIRD, ['third', ...add(7), ...DEC_ECX, ...jnz('top'), HLT]],
    ]);
    const { pages, regions } = run(bits, program);
    expect(pages).toBe(3);
    expect(regions.some((r) => [...r.pages.values()].includes(THIRD >> 12))).toBe(true);
  });

  it('have code in so many pages and no more, though branches to others are found before those are full', () => {
    const others = [SECOND, THIRD, FOURTH, FOURTH + PAGE, FOURTH + 2 * PAGE];
    const program = new Program([
      // test eax, 1 << i; jnz to another page
      [
        CODE,
        [
          ...count(500),
          'top',
          ...others.flatMap((_, i) => [0xa9, ...le(1 << i), 0x0f, 0x85, rel(`to${i}`), `back${i}`]),
          ...add(1),
          ...DEC_ECX,
          ...jnz('top'),
          HLT,
        ],
      ],
      ...others.map((at, i) => [at, [`to${i}`, ...add(1 << i), ...jmp(`back${i}`)]] as const),
    ]);
    expect(run(bits, program).pages).toBe(REGION_PAGES);
  });

  it('fall through from one page to the next', () => {
    const program = new Program([
      [CODE + PAGE - 16, ['top', ...add(3), ...times(3), ...NOPS(5), ...add(9), ...DEC_ECX, ...jnz('top'), HLT]],
      [CODE, [...count(500), ...jmp('top')]],
    ]);
    expect(run(bits, program).pages).toBe(2);
  });

  it('have calls across pages, of small functions and of large ones', () => {
    const large = Array.from({ length: 30 }, (_, i) => add(i)).flat();
    const program = new Program([
      [
        CODE,
        [...count(300), 'top', ...call('small'), ...call('large'), ...call('small'), ...call('large'), ...DEC_ECX, ...jnz('top'), HLT],
      ],
      [SECOND, ['small', ...times(3), ...call('leaf'), RET]],
      [THIRD, ['large', ...large, ...call('leaf'), RET]],
      [FOURTH, ['leaf', ...add(11), RET]],
    ]);
    const { regions, pages } = run(bits, program);
    expect(pages).toBe(4);
    // The small ones are there for each call.
    expect(regions.some((r) => addresses(r).filter((at) => at === SECOND).length >= 2)).toBe(true);
  });

  it('have functions that are called from many places', () => {
    const large = Array.from({ length: 20 }, (_, i) => [...add(i), ...times(i * 2 + 1)]).flat();
    const calls = Array.from({ length: 9 }, (_, i) => [...call('large'), ...add(i)]).flat();
    const program = new Program([
      [CODE, [...count(200), 'top', ...calls, ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['large', ...large, RET]],
    ]);
    expect(run(bits, program).regions.some((r) => r.routers.length > 0)).toBe(true);
  });

  it('have recursion', () => {
    // f(edx): if edx is 0 return; eax = eax * 3 + edx; push; f(edx - 1), f(edx - 1); pop
    const program = new Program([
      [CODE, [...count(20), 'top', 0xba, ...le(5), ...call('f'), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['f', 0x85, 0xd2, ...jnz('some'), RET]],
      [THIRD, ['some', ...times(3), 0x01, 0xd0, 0x52, 0xff, 0xca, ...call('f'), ...call('f'), 0x5a, RET]],
    ]);
    run(bits, program);
  });

  it('return where the stack says, not where the call was', () => {
    // Every fourth time, the function returns past the next instruction.
    const skip = bits === 64 ? [0x48, 0x83, 0x04, 0x24, 5] : [0x83, 0x04, 0x24, 5];
    const program = new Program([
      [CODE, [...count(400), 'top', ...call('f'), ...add(1000), ...add(1), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['f', 0xf6, 0xc1, 3, ...jnz('out'), ...skip, 'out', RET]],
    ]);
    const { eax, pages } = run(bits, program);
    expect(pages).toBe(2);
    expect(eax).toBe(400 + 300 * 1000);
  });

  it('go on elsewhere when another page is mapped, and the translation is forgotten', () => {
    const body = (n: number): number[] => [...add(n), RET];
    const other = THIRD;
    const program = new Program([
      [
        CODE,
        [...count(600), 'top', ...call('f'), 0x81, 0xf9, ...le(300), ...jnz('on'), ...call('remap'), 'on', ...DEC_ECX, ...jnz('top'), HLT],
      ],
      [SECOND, ['f', ...body(1)]],
      [other, body(10_000)],
      [FOURTH, ['remap', ...store(ENTRIES[bits] + (SECOND >> 12) * (bits / 8), other | 0x63), ...invlpg(SECOND), RET]],
    ]);
    const { eax, pages } = run(bits, program);
    expect(pages).toBeGreaterThan(1);
    expect(eax).toBe(301 + 299 * 10_000);
  });

  it('tell address spaces apart that share the first page', () => {
    // Two sets of page tables: the second page is another in the other. They take turns.
    const tables = bits === 64 ? { from: 0x10000, to: 0x30000, bytes: 0x4000 } : { from: 0x10000, to: 0x30000, bytes: 0x2000 };
    const cr3 = [0x0f, 0x22, 0xda];
    const program = new Program([
      [
        CODE,
        [
          ...count(40), 'outer', 0xbe, ...le(50), 0xba, ...le(tables.from), 0xf6, 0xc1, 1, ...jnz('switch'), 0xba, ...le(tables.to), 'switch', ...cr3,
          'top', ...call('f'), 0xff, 0xce, ...jnz('top'), ...DEC_ECX, ...jnz('outer'), HLT,
        ],
      ],
      [SECOND, ['f', ...add(1), RET]],
      [THIRD, [...add(10_000), RET]],
    ]); // prettier-ignore
    const { eax, pages } = run(bits, program, (m) => {
      const words = ram(m);
      words.copyWithin(tables.to / 4, tables.from / 4, (tables.from + tables.bytes) / 4);
      const last = tables.to + tables.bytes - PAGE;
      for (let at = tables.to; at < last; at += PAGE) words[at / 4] = (at + PAGE) | 0x27;
      words[(last + (SECOND >> 12) * (bits / 8)) / 4] = THIRD | 0x63;
    });
    expect(pages).toBeGreaterThan(1);
    expect(eax).toBe(20 * 50 * 10_001);
  });

  it('end when their second page is written, by themselves or from outside', () => {
    const program = new Program([
      [CODE, [...count(400), 'top', ...call('f'), ...DEC_ECX, ...jnz('top'), HLT]],
      // The immediate of the first instruction becomes the count: it changes the instruction behind itself.
      [SECOND, ['f', 0x89, 0x0c, 0x25, abs('immediate'), 0x05, 'immediate', ...le(0), RET]],
    ]);
    const { eax } = run(bits, program);
    expect(eax).toBe((400 * 401) / 2);

    const plain = new Program([
      [CODE, [...count(400), 'top', ...call('f'), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['f', ...add(1), RET]],
    ]);
    const { machine } = run(bits, plain);
    machine.put(SECOND + 1, [7]);
    machine.engine.helpers.invalidateCode(SECOND >> 12, 1, 1);
    machine.state.rip = CODE;
    machine.state.halted = 0;
    machine.state.gpr.set(0, 0);
    expect(machine.run(() => 3000, 100_000)).toBe(true);
    expect(machine.state.gpr.get(0)).toBe(400 * 7);
  });

  it('fault where the instruction is, in whatever page', () => {
    // div by ecx & 7: where that is 0 the handler finds the address on its stack, adds it up and goes on behind.
    const wide = bits === 64 ? [0x48] : [];
    const handler: Piece[] = [...wide, 0x03, 0x3c, 0x24, ...wide, 0x83, 0x04, 0x24, 2, ...wide, 0xcf];
    const program = new Program([
      [CODE, [...count(300), 'top', ...call('f'), ...call('g'), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND + 0x20, ['f', 0x31, 0xd2, 0x89, 0xce, 0x83, 0xe6, 7, 0xf7, 0xf6, RET]],
      [THIRD + 0x40, ['g', 0x31, 0xd2, ...add(77), 0xf7, 0xf6, RET]],
      [FOURTH, ['handler', ...handler]],
    ]);
    const { machine, pages } = run(bits, program, (m) => {
      const gate = 0x5000;
      ram(m)[gate / 4] = ((bits === 64 ? 8 : 0x18) << 16) | (FOURTH & 0xffff);
      ram(m)[gate / 4 + 1] = (FOURTH & 0xffff0000) | 0x8e00;
    });
    expect(pages).toBe(3);
    const times = Math.floor(300 / 8);
    expect(machine.state.gpr.get(7)).toBe(times * (SECOND + 0x20 + 7 + THIRD + 0x40 + 7));
  });

  it('have jumps through tables, to many places and to new ones', () => {
    // The table has 12 places, of which not all are used at first: some are new to the region.
    const cases = Array.from({ length: 12 }, (_, n) => [`case${n}`, ...times(n + 3), ...add(n), ...jmp('next')] as Piece[]);
    const jump: Piece[] = bits === 64 ? [0xff, 0x24, 0xd5, abs('table')] : [0xff, 0x24, 0x95, abs('table')];
    const table = cases.flatMap((_, n): Piece[] => [abs(`case${n}`), ...(bits === 64 ? le(0) : [])]);
    const program = new Program([
      // mov edx, ecx; shr edx, 7; mov esi, ecx; and esi, 7; add edx, esi: at first 4..11
      [CODE, [...count(575), 'top', 0x89, 0xca, 0xc1, 0xea, 7, 0x89, 0xce, 0x83, 0xe6, 7, 0x01, 0xf2, ...jump]],
      [SECOND, [...cases.slice(0, 7).flat(), 'next', ...DEC_ECX, ...jnz('top'), HLT]],
      [THIRD, cases.slice(7).flat()],
      [FOURTH, ['table', ...table]],
    ]);
    const { regions } = run(bits, program);
    const routed = Math.max(...regions.flatMap((r) => r.routers.map((router) => router.targets.length)));
    expect(routed).toBeGreaterThan(4);
    expect(routed).toBeLessThan(12);
  });

  it('have calls by address, and returns that are jumps', () => {
    // f or g by turns: esi = ecx odd ? f : g; call esi; then by a thunk that puts the address where it returns to
    const choose: Piece[] = [0xbe, abs('f'), 0xf6, 0xc1, 1, ...jnz('chosen'), 0xbe, abs('g'), 'chosen'];
    const put = bits === 64 ? [0x48, 0x89, 0x34, 0x24] : [0x89, 0x34, 0x24];
    const program = new Program([
      [CODE, [...count(400), 'top', ...choose, 0xff, 0xd6, ...call('thunk'), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['thunk', ...call('over'), 0xf3, 0x90, 'over', ...put, RET]],
      [THIRD, ['f', ...add(3), RET]],
      [FOURTH, ['g', ...times(3), RET]],
    ]);
    const { regions, pages } = run(bits, program);
    expect(pages).toBe(4);
    expect(
      regions.some((r) => [CODE, SECOND, THIRD, FOURTH].every((page) => addresses(r).some((at) => at >= page && at < page + PAGE))),
    ).toBe(true);
  });

  it('are found anew over several pages when they are entered very often', () => {
    const program = new Program([
      [CODE, [...count(500), 'top', ...call('f'), ...DEC_ECX, ...jnz('top'), HLT]],
      [SECOND, ['f', ...add(1), RET]],
    ]);
    const small = { instructions: 400, pages: 1, repeated: 0, depth: 0, returns: 0, apart: true };
    const { regions, machine } = run(bits, program, undefined, { small, large: LIMITS, revisit: 64 });
    const first = regions.findIndex((r) => r.pages.size > 1);
    expect(first).toBeGreaterThan(0);
    expect(regions[first]!.revisit).toBe(undefined);
    // It is in the place of one that there was for the same block.
    expect(regions.slice(0, first).some((r) => r.entry === regions[first]!.entry && r.revisit === 64)).toBe(true);
    // And is not asked for again.
    expect(regions.filter((r) => r.entry === regions[first]!.entry).length).toBe(2);
    const { live } = translationStatistics(machine.memory.buffer);
    expect(live.regions).toBe(new Set(regions.map((r) => r.entry)).size);
  });

  it.each([true, false])('keep apart from what others begin with: %s', (apart) => {
    const loop = (label: string, callee: string): Piece[] => [...count(100), label, ...call(callee), ...DEC_ECX, ...jnz(label)];
    const f: Piece[] = ['f', ...add(1), ...add(2), RET];
    const g: Piece[] = ['g', ...add(3), ...jmp('f')];
    const program = new Program([[CODE, [...loop('first', 'f'), ...loop('second', 'g'), HLT, ...f, ...g]]]);
    const { regions } = run(bits, program, undefined, { small: { ...LIMITS, repeated: 0, returns: 0, apart } });
    expect(regions.some((r) => r.instructions === 2)).toBe(apart);
  });

  it('are one for the blocks of a loop that become hot together', () => {
    const loop: Piece[] = ['first', ...add(1), ...jmp('second'), 'second', ...times(3), ...DEC_ECX, ...jnz('first')];
    const { regions } = run(bits, new Program([[CODE, [...count(100), ...loop, HLT]]]), undefined, { small: LIMITS, batch: 2 });
    expect(regions.length).toBe(1);
  });
});
