/** Machine code that the whole processor runs: self-modifying code, interrupts on and off, CPUID, mode switches (SDM vol. 3A). */
import { beforeAll, describe, expect, test } from 'vitest';
import { FEATURE_WORDS } from '../spec/cpuid.ts';
import { featureWords, parseCpu } from '../spec/models.ts';
import { CPUS, CS, Control, EXIT_BUDGET, EXIT_HALT, SS } from '../state/index.ts';
import { CODE, Machine, prepareMachines, STACK } from './machine-fixture.ts';

beforeAll(prepareMachines);

const HLT = 0xf4;
const STI = 0xfb;
const CLI = 0xfa;
const NOP = 0x90;

describe('self-modifying code', () => {
  test('the next instruction of the same block is executed as written', () => {
    // mov byte [CODE + 8], 0x43; inc eax (-> inc ebx); hlt
    const m = new Machine().protect(0xc6, 0x05, 8, 0, 1, 0, 0x43, NOP, 0x40, HLT);
    m.halt();
    expect([m.gpr(0), m.gpr(3)]).toEqual([0, 1]);
  });

  test('a loop that rewrites its own instruction each time round', () => {
    // L: inc byte [CODE + 13]; nop; mov bl, imm8 (imm8 at CODE + 13); add eax, ebx; loop L; hlt
    const m = new Machine().protect(0xfe, 0x05, 13, 0, 1, 0, ...Array<number>(6).fill(NOP), 0xb3, 0, 0x01, 0xd8, 0xe2, 0xee, HLT);
    m.state.gpr.set(1, 50);
    m.halt();
    expect(m.gpr(0)).toBe((50 * 51) / 2);
  });

  test('REP MOVS over code that has been executed', () => {
    // call 0x11000; rep movsb to 0x11000; call 0x11000; hlt
    const m = new Machine().protect(0xe8, 0xfb, 0x0f, 0, 0, 0xf3, 0xa4, 0xe8, 0xf4, 0x0f, 0, 0, HLT);
    m.put(0x11000, 0x40, 0xc3);
    m.put(0x12000, 0x42, 0xc3);
    Object.entries({ 1: 2, 6: 0x12000, 7: 0x11000 }).forEach(([r, v]) => m.state.gpr.set(Number(r), v));
    m.halt();
    expect([m.gpr(0), m.gpr(2)]).toEqual([1, 1]);
  });

  test('data beside code in one page is written without harm, and code there stays decoded', () => {
    // mov [CODE + 0x800], ecx; loop; hlt
    const m = new Machine().protect(0x89, 0x0d, 0, 8, 1, 0, 0xe2, 0xf8, HLT);
    m.state.gpr.set(1, 1000);
    m.halt();
    expect(m.word(CODE + 0x800)).toBe(1);
    expect(Control.view(m.buffer, 0).invalidations).toBe(0);
  });

  test('a device that writes code makes it stale', () => {
    const m = new Machine().protect(0x40, HLT);
    m.halt();
    m.put(CODE, 0x43);
    m.engine.helpers.invalidateCode(CODE >> 12, 0, 0);
    m.state.rip = CODE;
    m.state.halted = 0;
    m.halt();
    expect([m.gpr(0), m.gpr(3)]).toEqual([1, 1]);
  });
});

describe('interrupts', () => {
  test('STI; HLT loses none: the interrupt is taken after HLT', () => {
    const m = new Machine().protect(STI, HLT, NOP, HLT);
    m.raise(0x40);
    expect(m.halt()).toBe(0x40400);
    // Return address: after the HLT.
    expect(m.word(m.gpr(4))).toBe(CODE + 2);
  });

  test('STI; CLI takes none', () => {
    const m = new Machine().protect(STI, CLI, NOP, HLT);
    m.raise(0x40);
    expect(m.halt()).toBe(CODE + 3);
  });

  test('STI; NOP; CLI takes one between NOP and CLI', () => {
    const m = new Machine().protect(STI, NOP, CLI, HLT);
    m.raise(0x40);
    expect(m.halt()).toBe(0x40400);
    expect(m.word(m.gpr(4))).toBe(CODE + 2);
  });

  test('an interrupt that comes while a block with CLI runs is taken before CLI', () => {
    // The port read is where it comes: sti; nop; in al, dx; nop; cli; hlt
    const m = new Machine().protect(STI, NOP, NOP, 0xec, NOP, CLI, HLT);
    m.readPort = () => {
      m.raise(0x41);
      return 0;
    };
    expect(m.halt()).toBe(0x40410);
    expect(m.word(m.gpr(4))).toBeLessThanOrEqual(CODE + 5);
  });

  test('POPF sets IF and an interrupt is taken at once', () => {
    const m = new Machine().protect(0x68, 2, 2, 0, 0, 0x9d, NOP, NOP, HLT);
    m.raise(0x42);
    expect(m.halt()).toBe(0x40420);
    expect(m.word(m.gpr(4))).toBe(CODE + 6);
  });

  test('a halted processor without an interrupt stays halted; a budget that is used up ends a loop', () => {
    const m = new Machine().protect(HLT);
    m.halt();
    expect(m.run()).toBe(EXIT_HALT);
    const n = new Machine().protect(0xeb, 0xfe);
    expect(n.run(5000)).toBe(EXIT_BUDGET);
  });
});

describe('control registers', () => {
  const GP = 0x40000 + 13 * 16;

  test.each([
    ['PG without PE', [0x0f, 0x22, 0xc0], 0x80000000],
    ['NW without CD', [0x0f, 0x22, 0xc0], 0x20000001],
    ['CR4 bit that the model lacks (SMEP)', [0x0f, 0x22, 0xe0], 1 << 20],
  ] as const)('%s: #GP(0)', (_, code, value) => {
    const m = new Machine().protect(...code, HLT);
    m.state.gpr.set(0, value);
    expect(m.halt()).toBe(GP);
    expect([m.word(m.gpr(4)), m.word(m.gpr(4) + 4)]).toEqual([0, CODE]);
  });

  test('CR1 does not exist', () => {
    expect(new Machine().protect(0x0f, 0x20, 0xc8, HLT).halt()).toBe(0x40000 + 6 * 16);
  });

  test('EFER.LME, CR4.PAE and CR0.PG enter long mode; leaving it clears LMA', () => {
    // mov ecx, 0xc0000080; wrmsr; mov cr4, esi; mov cr3, edi; mov cr0, ebp; rdmsr; mov cr0, ebx; hlt
    const m = new Machine().protect(
      0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x30, 0x0f, 0x22, 0xe6, 0x0f, 0x22, 0xdf, 0x0f, 0x22, 0xc5, 0x0f, 0x32, 0x0f, 0x22, 0xc3, HLT,
    ); // prettier-ignore
    m.word(0x1000, 0x2003);
    m.word(0x2000, 0x83); // A 1 GiB page at 0.
    Object.entries({ 0: 0x100, 6: 0x20, 7: 0x1000, 5: 0x80000001, 3: 1 }).forEach(([r, v]) => m.state.gpr.set(Number(r), v));
    m.halt();
    expect([m.gpr(0), m.gpr(2), m.state.efer, m.state.cr0]).toEqual([0x500, 0, 0x100, 0x11]);
  });

  test('WRMSR of a non-canonical address, and of an unknown register: #GP(0)', () => {
    for (const msr of [0xc0000102, 0x12345]) {
      const m = new Machine().protect(0x0f, 0x30, HLT);
      Object.entries({ 1: msr, 0: 0, 2: 0x8000 }).forEach(([r, v]) => m.state.gpr.set(Number(r), v));
      expect(m.halt()).toBe(GP);
    }
  });

  test('RDTSC goes on with what was written to the TSC', () => {
    // wrmsr; rdtsc; hlt
    const m = new Machine().protect(0x0f, 0x30, 0x0f, 0x31, HLT);
    Object.entries({ 1: 0x10, 0: 5000, 2: 7 }).forEach(([r, v]) => m.state.gpr.set(Number(r), v));
    m.halt();
    expect([m.gpr(0), m.gpr(2)]).toEqual([5100, 7]);
  });

  test('SMSW, LMSW and CLTS', () => {
    // mov eax, 0xe; lmsw ax; smsw ebx; clts; smsw ecx; hlt
    const m = new Machine().protect(0xb8, 0xe, 0, 0, 0, 0x0f, 0x01, 0xf0, 0x0f, 0x01, 0xe3, 0x0f, 0x06, 0x0f, 0x01, 0xe1, HLT);
    m.halt();
    expect([m.gpr(3), m.gpr(1)]).toEqual([0x1f, 0x17]);
  });
});

describe('data breakpoints', () => {
  const DB = 0x40000 + 16;
  /** mov eax, [CODE + 0x1ff0]; mov dr0, ebx; mov dr7, ecx; then `code`; hlt. */
  const watch = (kind: number, length: number, ...code: number[]): Machine => {
    const m = new Machine().protect(0xa1, 0xf0, 0x1f, 1, 0, 0x0f, 0x23, 0xc3, 0x0f, 0x23, 0xf9, ...code, HLT);
    m.state.gpr.set(3, CODE + 0x1ff4);
    m.state.gpr.set(1, 1 | (kind << 16) | (length << 18));
    return m;
  };
  const WRITES = 1;
  const BOTH = 3;

  test.each([
    ['a write', WRITES, [0xa3, 0xf4, 0x1f, 1, 0], true],
    ['a write that overlaps', WRITES, [0xa3, 0xf2, 0x1f, 1, 0], true],
    ['a write beside it', WRITES, [0xa3, 0xf8, 0x1f, 1, 0], false],
    ['a read, watching writes', WRITES, [0xa1, 0xf4, 0x1f, 1, 0], false],
    ['a read, watching both', BOTH, [0xa1, 0xf4, 0x1f, 1, 0], true],
  ])('%s', (_, kind, code, met) => {
    const m = watch(kind, 3, ...code);
    expect(m.halt()).toBe(met ? DB : CODE + 16);
    if (met) expect([m.word(m.gpr(4)), m.state.dr.get(6) & 15]).toEqual([CODE + 16, 1]);
  });

  test('REP STOS stops after the element that meets one', () => {
    const m = watch(WRITES, 3, 0xb9, 20, 0, 0, 0, 0xf3, 0xab);
    m.state.gpr.set(7, CODE + 0x1fe8);
    expect(m.halt()).toBe(DB);
    expect([m.gpr(1), m.gpr(7)]).toEqual([16, CODE + 0x1ff8]);
  });
});

describe('ports and MMIO', () => {
  test('IN and OUT in every size', () => {
    // in al, 0x70; mov edx, 0x3f8; out dx, ax; out dx, eax; in eax, dx; hlt
    const m = new Machine().protect(0xe4, 0x70, 0xba, 0xf8, 3, 0, 0, 0x66, 0xef, 0xef, 0xed, HLT);
    m.state.gpr.set(0, 0xaabbcc00);
    m.halt();
    expect(m.reads).toEqual(['port 70/1', 'port 3f8/4']);
    expect(m.writes).toEqual(['port 3f8/2=ccb4', 'port 3f8/4=aabbccb4']);
    expect(m.gpr(0)).toBe(0x11223344 + 0x3f8);
  });

  test('at CPL 3 the bitmap of the TSS decides', () => {
    for (const permitted of [true, false]) {
      const m = new Machine().protect(0xe4, 0x64, 0xeb, 0xfe);
      m.state.cpl = 3;
      Object.assign(m.state.segments[CS]!, { selector: 0x1b, attributes: 0xc0fb });
      Object.assign(m.state.segments[SS]!, { selector: 0x23, attributes: 0xc0f3 });
      Object.assign(m.state.segments[7]!, { base: 0x50000, limit: 0x87, attributes: 0x8b });
      m.word(0x50000 + 4, STACK);
      m.word(0x50000 + 8, 16);
      m.word(0x50000 + 100, 0x68 << 16);
      for (let i = 0; i < 32; i++) m.put(0x50068 + i, 0xff);
      if (permitted) m.put(0x50068 + (0x64 >> 3), 0xff & ~(1 << (0x64 & 7)));
      m.engine.helpers.updateReach(CPUS);
      if (permitted) {
        expect(m.run()).toBe(EXIT_BUDGET);
        expect(m.reads).toEqual(['port 64/1']);
      } else {
        expect(m.halt()).toBe(0x40000 + 13 * 16);
        expect(m.reads).toEqual([]);
      }
    }
  });

  test('a wide access arrives in aligned pieces; ROM ignores writes', () => {
    // mov [0xfee00002], eax; mov ax, [0xfee00001]; mov [0xf0000], eax; hlt
    const m = new Machine().protect(0xa3, 2, 0, 0xe0, 0xfe, 0xa3, 0, 0, 0x0f, 0, HLT);
    m.state.gpr.set(0, 0x11223344);
    m.word(0xf0000, 0x99);
    m.halt();
    expect(m.writes).toEqual(['0:fee00002/2=3344', '0:fee00004/2=1122']);
    expect(m.word(0xf0000)).toBe(0x99);
  });
});

describe('CPUID', () => {
  const cpuid = (m: Machine, leaf: number, subleaf = 0): number[] => {
    m.protect(0x0f, 0xa2, HLT);
    m.state.halted = 0;
    m.state.gpr.set(0, leaf);
    m.state.gpr.set(1, subleaf);
    m.halt();
    return [0, 3, 1, 2].map((r) => m.gpr(r));
  };

  test('shows the model and the features that the decoder obeys', () => {
    const m = new Machine('qemu64');
    const text = (words: number[]): string => Buffer.from(Uint32Array.from(words).buffer).toString('latin1');
    const [, b, c, d] = cpuid(m, 0);
    expect(text([b!, d!, c!])).toBe('AuthenticAMD');
    for (const [i, w] of FEATURE_WORDS.entries()) {
      const registers = cpuid(m, w.leaf, w.subleaf);
      const value = registers[['eax', 'ebx', 'ecx', 'edx'].indexOf(w.register)]!;
      const wanted = featureWords(parseCpu('qemu64').features)[i]!;
      expect(((value & wanted) >>> 0).toString(16)).toBe(wanted.toString(16));
    }
    const brand = [2, 3, 4].flatMap((n) => cpuid(m, 0x80000000 + n));
    expect(text(brand)).toContain('qemu64');
  });

  test('OSXSAVE follows CR4, the APIC bit follows IA32_APIC_BASE', () => {
    const m = new Machine('default,+xsave');
    expect([(cpuid(m, 1)[2]! >>> 27) & 1, (cpuid(m, 1)[3]! >>> 9) & 1]).toEqual([0, 1]);
    m.state.cr4 = 1 << 18;
    m.state.apicBase = 0xfee00100;
    expect([(cpuid(m, 1)[2]! >>> 27) & 1, (cpuid(m, 1)[3]! >>> 9) & 1]).toEqual([1, 0]);
  });

  test('an instruction that the model lacks is #UD', () => {
    const code = [0xf3, 0x0f, 0xb8, 0xc3, HLT]; // popcnt eax, ebx
    expect(new Machine('default').protect(...code).halt()).toBe(CODE + 4);
    expect(new Machine('default,-popcnt').protect(...code).halt()).toBe(0x40000 + 6 * 16);
  });
});
