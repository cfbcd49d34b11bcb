/** The loop of blocks: counts, instructions that cross pages, branches to code that changed, single steps. */
import { beforeAll, describe, expect, test } from 'vitest';
import { Control, CPUS, CS, EXIT_BUDGET, EXIT_SHUTDOWN, SHUTDOWN_TRIPLE_FAULT } from '../state/index.ts';
import { CODE, IDT, Machine, prepareMachines } from './machine-fixture.ts';

beforeAll(prepareMachines);

const HLT = 0xf4;

/** Instructions retired by the last `run` with this budget. */
const retired = (m: Machine, budget: number): number => budget - m.state.budget;

describe('instruction counts', () => {
  test('of a loop, exactly', () => {
    // mov ecx, 100; L: inc eax; dec ecx; jnz L; hlt
    const m = new Machine().protect(0xb9, 100, 0, 0, 0, 0x40, 0x49, 0x75, 0xfc, HLT);
    m.halt(10_000);
    expect(retired(m, 10_000)).toBe(1 + 3 * 100 + 1);
  });

  test('of a block that faults in its middle: what came before the fault', () => {
    // inc eax; inc eax; ud2 -> handler at 0x40060: hlt
    const m = new Machine().protect(0x40, 0x40, 0x0f, 0x0b);
    expect(m.halt(10_000)).toBe(0x40060);
    expect(retired(m, 10_000)).toBe(2 + 1);
  });

  test('the budget ends an endless loop soon after it is used up, and it goes on where it was', () => {
    // L: inc eax; jmp L
    const m = new Machine().protect(0x40, 0xeb, 0xfd);
    let total = 0;
    for (let i = 0; i < 5; i++) {
      expect(m.run(1000)).toBe(EXIT_BUDGET);
      total += retired(m, 1000);
    }
    expect(m.gpr(0)).toBe(total / 2);
    expect(total).toBeLessThan(5 * 1100);
  });

  test('at CPL 0 nothing counts as the user’s', () => {
    const m = new Machine().protect(0x40, HLT);
    m.halt();
    expect(m.state.userInstructions).toBe(0);
  });
});

describe('instructions that cross a page', () => {
  test('are executed, and see what the second page holds now', () => {
    // mov ebx, imm32 from 0x10ffe to 0x11002, its immediate in the second page; hlt
    const m = new Machine().protect(0xe9, 0xf9, 0x0f, 0, 0);
    m.put(CODE + 0xffe, 0xbb, 0x01, 0x02, 0x03, 0x04, HLT);
    m.halt();
    expect(m.gpr(3)).toBe(0x04030201);
    m.put(CODE + 0x1000, 0x22);
    m.state.rip = CODE;
    m.state.halted = 0;
    m.halt();
    expect(m.gpr(3)).toBe(0x04032201);
  });

  test('are kept, and yet see what a loop writes into their second page', () => {
    // jmp L (0x10ffe); L: mov ebx, imm32 across the page; inc byte [0x11000]; dec ecx; jnz L; hlt
    const m = new Machine().protect(0xe9, 0xf9, 0x0f, 0, 0);
    m.put(CODE + 0xffe, 0xbb, 0, 0, 0, 0, 0xfe, 0x05, 0x00, 0x10, 0x01, 0x00, 0x49, 0x75, 0xf2, HLT);
    m.state.gpr.set(1, 5);
    const before = Control.view(m.buffer, 0).decodedInstructions;
    m.halt();
    expect(m.gpr(3)).toBe(0x0400);
    expect(m.byte(CODE + 0x1000)).toBe(5);
    m.state.rip = CODE;
    m.state.halted = 0;
    m.state.gpr.set(1, 1);
    const decoded = Control.view(m.buffer, 0).decodedInstructions;
    expect(decoded).toBeGreaterThan(before);
    m.halt();
    expect(m.gpr(3)).toBe(0x0500);
  });

  test('that did not change are not decoded again', () => {
    // L: mov ebx, imm32 across the page; dec ecx; jnz L; hlt
    const m = new Machine().protect(0xe9, 0xf9, 0x0f, 0, 0);
    m.put(CODE + 0xffe, 0xbb, 1, 2, 3, 4, 0x49, 0x75, 0xf8, HLT);
    m.state.gpr.set(1, 100);
    m.halt();
    expect(m.gpr(3)).toBe(0x04030201);
    expect(Control.view(m.buffer, 0).decodedInstructions).toBeLessThan(10);
  });

  test('see which page comes second now', () => {
    const m = new Machine().protect(0xe9, 0xf9, 0x0f, 0, 0);
    m.put(CODE + 0xffe, 0xbb, 1, 2, 3, 4, HLT);
    m.put(CODE + 0x5000, 7, 8, 9, HLT);
    // 32-bit paging: the first 4 MiB are where they are, but for the page after CODE's in the second run and none there in the third.
    const [directory, table] = [0x60000, 0x61000];
    m.word(directory, table | 3);
    for (let i = 0; i < 1024; i++) m.word(table + i * 4, (i << 12) | 3);
    m.state.cr3 = directory;
    m.state.cr0 |= 0x8000_0000;
    const go = (): number => {
      m.engine.helpers.flushTlb(CPUS, 0);
      m.state.rip = CODE;
      m.state.halted = 0;
      return m.halt();
    };
    expect(go()).toBe(CODE + 0x1003);
    expect(m.gpr(3)).toBe(0x04030201);
    m.word(table + ((CODE + 0x1000) >>> 12) * 4, (CODE + 0x5000) | 3);
    expect(go()).toBe(CODE + 0x1003);
    expect(m.gpr(3)).toBe(0x09080701);
    m.word(table + ((CODE + 0x1000) >>> 12) * 4, 0);
    expect(go()).toBe(0x40000 + 14 * 16);
    expect(m.state.cr2).toBe(CODE + 0x1000);
  });

  test('are limited as a whole: one that reaches beyond CS faults', () => {
    const m = new Machine().protect(0xe9, 0xf9, 0x0f, 0, 0);
    m.put(CODE + 0xffe, 0xbb, 1, 2, 3, 4, HLT);
    m.halt();
    m.state.segments[CS]!.limit = CODE + 0x1001;
    m.engine.helpers.updateReach(CPUS);
    m.state.rip = CODE;
    m.state.halted = 0;
    expect(m.halt()).toBe(0x40000 + 13 * 16);
  });

  test('the block before one ends, and goes on with it', () => {
    const m = new Machine().protect(0xe9, 0xf6, 0x0f, 0, 0);
    // inc eax three times up to the page's end - 2, then mov ebx, imm32
    m.put(CODE + 0xffb, 0x40, 0x40, 0x40, 0xbb, 5, 0, 0, 0, HLT);
    m.halt();
    expect([m.gpr(0), m.gpr(3)]).toEqual([3, 5]);
  });
});

describe('branches', () => {
  test('to code that was rewritten find the new code, again and again', () => {
    // L: call F; dec ecx; jnz L; hlt   F (at +0x20): inc eax; ret
    const m = new Machine().protect(0xe8, 0x1b, 0, 0, 0, 0x49, 0x75, 0xf8, HLT);
    m.put(CODE + 0x20, 0x40, 0xc3);
    const go = (): void => {
      m.state.rip = CODE;
      m.state.halted = 0;
      m.state.gpr.set(1, 10);
      m.halt();
    };
    go();
    m.put(CODE + 0x20, 0x43);
    m.engine.helpers.invalidateCode(CODE >> 12, 0x20, 0x20);
    go();
    go();
    expect([m.gpr(0), m.gpr(3)]).toEqual([10, 20]);
  });

  test('everything is forgotten when there is no room for more records, and execution goes on', () => {
    const m = new Machine().protect(0x40, 0xeb, 0x00, 0x40, HLT);
    m.halt();
    const control = Control.view(m.buffer, 0);
    control.recordsNext = control.recordsEnd - 8;
    m.put(0x12000, 0x43, HLT);
    m.state.rip = 0x12000;
    m.state.halted = 0;
    m.halt();
    m.state.rip = CODE;
    m.state.halted = 0;
    m.halt();
    expect([m.gpr(0), m.gpr(3), control.codeFlushes]).toEqual([4, 1, 1]);
  });
});

describe('TF', () => {
  test('traps after each instruction, and none follows the one that clears it', () => {
    // pushfd; or dword [esp], 0x100; popfd; inc eax; inc eax; handler 1: inc ebx; iretd ... ; the third trap's handler clears TF
    const m = new Machine().protect(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x40, 0x40, 0x40, HLT);
    // 0x50000: inc ebx; cmp ebx, 2; jb out; and dword [esp + 8], ~0x100; out: iretd
    m.put(0x50000, 0x43, 0x83, 0xfb, 2, 0x72, 8, 0x81, 0x64, 0x24, 8, 0xff, 0xfe, 0xff, 0xff, 0xcf);
    m.word(IDT + 8, 0x00080000);
    m.word(IDT + 12, 0x00058e00);
    m.halt();
    expect([m.gpr(0), m.gpr(3)]).toEqual([3, 2]);
  });
});

describe('the end', () => {
  test('a fault that cannot be delivered shuts the processor down', () => {
    const m = new Machine().protect(0x0f, 0x0b);
    m.state.idtr.limit = 0;
    expect(m.run()).toBe(EXIT_SHUTDOWN);
    expect(m.state.shutdown).toBe(SHUTDOWN_TRIPLE_FAULT);
    expect(m.run()).toBe(EXIT_SHUTDOWN);
  });

  test('an undefined instruction is counted by name, where it is executed', () => {
    // jmp over an undefined opcode; then another one
    const m = new Machine().protect(0xeb, 0x02, 0x0f, 0x24, 0x0f, 0x36, HLT);
    m.halt();
    expect([...m.engine.undefinedOpcodes]).toEqual([['0f 36 /0', 1]]);
  });
});
