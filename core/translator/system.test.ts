/** What may happen between two instructions of a region, or between two regions, happens as the interpreter has it. */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../processor/engine.ts';
import { CPUS, EVENT_INTERRUPT } from '../state/index.ts';
import { CODE, STACK, TestMachine } from './testing.ts';
import { Translator } from './translator.ts';

let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

const le = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];
const ROUNDS = 200;
/** Where handlers of exceptions go on (testing.ts): they count and take the stack back. */
const RECOVER = 0x7000;
const IDT = 0x5000;
/** Of interrupts: vector 0x40. */
const SERVICE = 0x9000;
const LOG = 0x90000;
/** Page tables of testing.ts: entries of 8 or 4 bytes. */
const entryOf = (bits: 32 | 64, linear: number): number => (bits === 64 ? 0x13000 + (linear >> 12) * 8 : 0x11000 + (linear >> 12) * 4);

/** mov dword [at], value */
const set = (at: number, value: number): number[] => [0xc7, 0x04, 0x25, ...le(at), ...le(value)];
/** The same outside of 64-bit mode is the same: modrm 04, SIB 25. */
const call = (from: number, to: number): number[] => [0xe8, ...le(to - from - 5)];

/** mov ebp, ROUNDS; L: body; dec ebp; jnz L; hlt */
const looped = (body: readonly number[]): number[] => [
  0xbd, ...le(ROUNDS), ...body, 0xff, 0xcd, 0x0f, 0x85, ...le(-(body.length + 8)), 0xf4,
]; // prettier-ignore

interface Outcome {
  readonly [key: string]: string;
}

/** Runs a program under both engines, which must come to the same, and returns that with words of memory. */
function both(
  bits: 32 | 64,
  prepare: (machine: TestMachine) => void,
  words: readonly number[] = [],
  slice = 300,
): { outcome: Outcome; words: number[]; regions: number } {
  let regions = 0;
  const outcomes = [false, true].map((translating) => {
    const state: { machine?: TestMachine } = {};
    const interrupt = (): void => {
      const { machine } = state;
      machine!.state.event = machine!.state.event | EVENT_INTERRUPT;
    };
    const device: string[] = [];
    const machine = new TestMachine(
      bits,
      modules,
      translating ? { translator: (host) => new Translator(host, { after: 3, batch: 1, onRegion: () => regions++ }) } : {},
      {
        // A device that asks for an interrupt when it is written to, at a port or in memory.
        writePort: interrupt,
        writeMmio: (_cpu, low, _high, size, value) => {
          device.push(`write ${low} ${size} ${value}`);
          interrupt();
        },
        readMmio: (_cpu, low, _high, size) => device.push(`read ${low} ${size}`),
        acknowledgeInterrupt: (cpu) => {
          expect(cpu).toBe(CPUS);
          machine.state.event = machine.state.event & ~EVENT_INTERRUPT;
          return 0x40;
        },
      },
    );
    state.machine = machine;
    // The gate of vector 0x40.
    const at = IDT + 0x40 * (bits === 64 ? 16 : 8);
    machine.put(at, [SERVICE & 255, SERVICE >> 8, bits === 64 ? 8 : 0x18, 0, 0, 0x8e, 0, 0]);
    machine.state.gpr.set(3, LOG);
    prepare(machine);
    expect(machine.run(() => slice, 2_000_000)).toBe(true);
    return { ...machine.outcome(), device: device.join('\n'), words: words.map((w) => machine.read32(w)) };
  });
  expect(outcomes[1]).toEqual(outcomes[0]);
  const { words: found, ...outcome } = outcomes[0]!;
  return { outcome: outcome as Outcome, words: found, regions };
}

/** The service routine of the interrupt: mov [rbx], eax; mov [rbx+4], edi; inc dword [rbx+8]; iret */
const service = (bits: 32 | 64): number[] => [0x89, 0x03, 0x89, 0x7b, 0x04, 0xff, 0x43, 0x08, ...(bits === 64 ? [0x48] : []), 0xcf];

describe.each([64, 32] as const)('in %d-bit mode', (bits) => {
  it.each([300, 0, 1, 2, 5])('an interrupt that waits is taken after the instruction that follows STI, with a budget of %d', (slice) => {
    // cli; xor eax, eax; xor edi, edi; out 0x10, al; sti; inc eax; inc edi
    const body = [0xfa, 0x31, 0xc0, 0x31, 0xff, 0xe6, 0x10, 0xfb, 0xff, 0xc0, 0xff, 0xc7];
    const { words, regions } = both(
      bits,
      (machine) => {
        machine.put(CODE, looped(body));
        machine.put(SERVICE, service(bits));
      },
      [LOG, LOG + 4, LOG + 8],
      slice,
    );
    expect(words).toEqual([1, 0, ROUNDS]);
    expect(regions).toBeGreaterThan(0);
  });

  it('STI, when interrupts are enabled already, holds nothing up', () => {
    // sti; xor eax, eax; out 0x10, al; inc eax
    const body = [0xfb, 0x31, 0xc0, 0xe6, 0x10, 0xff, 0xc0];
    const { words } = both(
      bits,
      (machine) => {
        machine.put(CODE, looped(body));
        machine.put(SERVICE, service(bits));
      },
      [LOG, LOG + 8],
    );
    expect(words).toEqual([0, ROUNDS]);
  });

  it('a device is read once by what then writes to a device, or to code', () => {
    const absolute = (opcode: number, digit: number, at: number): number[] =>
      bits === 64 ? [opcode, (digit << 3) | 4, 0x25, ...le(at)] : [opcode, (digit << 3) | 5, ...le(at)];
    // mov esp, 0xa0800; push [0xa0000]; pop [0xa0010]; mov esp, CODE + 0x80; push [0xa0000]
    const onto = (stack: number): number[] => [0xbc, ...le(stack)];
    const push = absolute(0xff, 6, 0xa0000);
    const body = [...onto(0xa0800), ...push, ...absolute(0x8f, 0, 0xa0010), ...onto(CODE + 0x80), ...push];
    const { outcome, regions } = both(bits, (machine) => machine.put(CODE, looped(body)));
    expect(outcome['device']!.split('\n').length).toBe(ROUNDS * (bits === 64 ? 10 : 5));
    expect(regions).toBeGreaterThan(0);
  });

  it('an interrupt that a store asks for is taken before CLI', () => {
    // sti; nop; xor eax, eax; mov [0xa0000], al; inc eax; cli; inc eax
    const store = bits === 64 ? [0x88, 0x04, 0x25, ...le(0xa0000)] : [0x88, 0x05, ...le(0xa0000)];
    const body = [0xfb, 0x90, 0x31, 0xc0, ...store, 0xff, 0xc0, 0xfa, 0xff, 0xc0];
    const { words } = both(
      bits,
      (machine) => {
        machine.put(CODE, looped(body));
        machine.put(SERVICE, service(bits));
      },
      [LOG, LOG + 8],
    );
    expect(words[0]).toBeLessThan(2);
    expect(words[1]).toBe(ROUNDS);
  });

  it.each([300, 0, 1, 3])('POPF that sets TF is followed by one instruction and a trap, with a budget of %d', (slice) => {
    // xor eax, eax; pushf; or dword [rsp], 0x100; popf; inc eax; inc eax; and, by the trap: add [rbx], eax
    const body = [
      ...set(RECOVER, CODE + 5 + 11 + 15),
      0x31,
      0xc0,
      0x9c,
      0x81,
      0x0c,
      0x24,
      0,
      1,
      0,
      0,
      0x9d,
      0xff,
      0xc0,
      0xff,
      0xc0,
      0x01,
      0x03,
    ];
    const { outcome, words } = both(bits, (machine) => machine.put(CODE, looped(body)), [LOG], slice);
    expect(Number(outcome['faults'])).toBe(ROUNDS);
    expect(words).toEqual([ROUNDS]);
    expect(Number(outcome['retired'])).toBe(ROUNDS * 12 + 2);
  });

  it('a repeated string instruction that faults has done what its registers say', () => {
    // mov esi, 0x80000; mov edi, 0x82f00; mov ecx, 0x1000; rep movsb: the page at 0x83000 is absent
    const recover = CODE + 5 + 11 + 17;
    const body = [
      ...set(RECOVER, recover), 0xbe, ...le(0x80000), 0xbf, ...le(0x82f00), 0xb9, ...le(0x1000), 0xf3, 0xa4, 0x01, 0x0b, 0x01, 0x7b, 4,
    ]; // prettier-ignore
    const { outcome, words } = both(bits, (machine) => machine.put(CODE, looped(body)), [LOG, LOG + 4]);
    expect(Number(outcome['faults'])).toBe(ROUNDS);
    expect(words).toEqual([(ROUNDS * 0xf00) | 0, (ROUNDS * 0x83000) | 0]);
  });

  describe('code in a page that was mapped anew is what is there now', () => {
    const [one, other, far] = [0x50000, 0x51000, 0x405_0000];
    const at = (modrm: number, address: number): number[] => [modrm | 4, 0x25, ...le(address)];
    const invlpg = [0x0f, 0x01, ...at(0x38, one)];
    const reload = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
    // A page that has the same place in the TLB: mov eax, [far]
    const touch = [0x8b, ...at(0, far)];
    it.each([
      ['INVLPG', invlpg, false],
      ['INVLPG, of a global page', invlpg, true],
      ['a load of CR3', reload, false],
      ['INVLPG, when the TLB has another page in its place', [...touch, ...invlpg], false],
    ] as const)('after %s', (_, flush, global) => {
      // call one, often enough to be known; xor dword [entry], 0x1000
      const entry = entryOf(bits, one);
      const calls = [0, 1, 2, 3].flatMap((i) => call(CODE + 5 + 5 * i, one));
      const body = [...calls, 0x81, ...at(0x30, entry), ...le(0x1000), ...flush];
      const { words, regions } = both(
        bits,
        (machine) => {
          machine.put(CODE, looped(body));
          // inc dword [rbx]; ret, and inc dword [rbx + 4]; ret
          machine.put(one, [0xff, 0x03, 0xc3]);
          machine.put(other, [0xff, 0x43, 0x04, 0xc3]);
          const [directory, size] = bits === 64 ? [0x12000 + 32 * 8, 8] : [0x10000 + 16 * 4, 4];
          machine.put(directory, le(0x18027));
          machine.put(0x18000 + 0x50 * size, le(0x80063));
          if (!global) return;
          machine.put(entry, le(machine.read32(entry) | 0x100));
          machine.state.cr4 = machine.state.cr4 | 0x80;
        },
        [LOG, LOG + 4],
      );
      expect(words).toEqual([2 * ROUNDS, 2 * ROUNDS]);
      expect(regions).toBeGreaterThan(1);
    });
  });

  it('SSE raises #NM in a region that is called when CR0.TS is set', () => {
    const f = 0x50000;
    const recover = CODE + 5 + 11 + 5;
    // call f; clts; call f; mov eax, cr0; or eax, 8; mov cr0, eax
    const before = set(RECOVER, recover);
    const body = [
      ...before, ...call(CODE + 5 + 11, f), 0x0f, 0x06, ...call(CODE + 5 + 18, f), 0x0f, 0x20, 0xc0, 0x83, 0xc8, 0x08, 0x0f, 0x22, 0xc0,
    ]; // prettier-ignore
    const { outcome, words } = both(
      bits,
      (machine) => {
        machine.put(CODE, looped(body));
        // paddd xmm0, xmm1; inc dword [rbx]; ret
        machine.put(f, [0x66, 0x0f, 0xfe, 0xc1, 0xff, 0x03, 0xc3]);
        machine.state.cr0 = machine.state.cr0 + 8;
        machine.engine.helpers.updateReach(CPUS);
      },
      [LOG],
    );
    expect(Number(outcome['faults'])).toBe(ROUNDS);
    expect(words).toEqual([ROUNDS]);
  });

  it('flags that a region left are in the image that a fault in the next pushes', () => {
    const f = 0x50000;
    const recover = CODE + 5 + 11 + 4 + 5;
    // mov al, 1; cmp al, 1; call f, where a load faults; the image is 8 or 4 * (RIP, CS, flags) below the stack's top after the return address and code
    const body = [...set(RECOVER, recover), 0xb0, 1, 0x3c, 1, ...call(CODE + 5 + 11 + 4, f)];
    const wide = bits === 64 ? 8 : 4;
    // In 64-bit mode SS and RSP are pushed first, on an aligned stack.
    const flags = bits === 64 ? ((STACK - 8) & ~15) - 3 * wide : STACK - 2 * wide;
    const { outcome, words } = both(
      bits,
      (machine) => {
        machine.put(CODE, looped(body));
        // mov ecx, [0x83000]; ret
        machine.put(f, [0x8b, 0x0c, 0x25, ...le(0x83000), 0xc3]);
      },
      [flags],
    );
    expect(Number(outcome['faults'])).toBe(ROUNDS);
    expect(words[0]! & 0x8d5).toBe(0x44);
  });
});
