/**
 * The instructions of Robin and Irvine (2000), which see or do what a VMM must hide and do not trap: at ring 1 they are wrong under trap-and-emulate
 * alone, and right where they are translated. What is right is what the same code does bare.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { buildCore, readModule } from '../../../build/core.ts';
import { compileModules, type EngineModules } from '../../processor/engine.ts';
import { CPUS, FULL_ADAPT, FULL_ON, FULL_TRANSLATE, GROUP_SEGMENT, VMM_CALLOUT } from '../../state/index.ts';
import { Translator } from '../../translator/translator.ts';
import { CODE, CODE0, DATA, DATA0, FullMachine, STACK, TASK, type Bits } from './testing.ts';

let modules: EngineModules;
beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

type Seen = Readonly<Record<string, number | string>>;

interface Case {
  readonly name: string;
  readonly bits: readonly Bits[];
  code(bits: Bits): readonly number[];
  /** What is looked at when the code, or a handler, has come to HLT. */
  see(machine: FullMachine): Seen;
  /** What is seen at ring 1 without translation. */
  wrong(bits: Bits): Seen;
  readonly ring?: 0 | 1;
  readonly flags?: number;
}

const ALL = [16, 32, 64] as const;
const OLD = [16, 32] as const;
const HLT = 0xf4;
const le16 = (n: number): number[] => [n & 255, (n >> 8) & 255];
const le32 = (n: number): number[] => [...le16(n), ...le16(n >>> 16)];
/** modrm and displacement of an operand at an address below 64 KiB. */
const at = (bits: Bits, reg: number, address: number): number[] =>
  bits === 16
    ? [6 | (reg << 3), ...le16(address)]
    : bits === 32
      ? [5 | (reg << 3), ...le32(address)]
      : [4 | (reg << 3), 0x25, ...le32(address)];
/** MOV CX, imm. */
const moveCx = (bits: Bits, n: number): number[] => [...(bits === 16 ? [] : [0x66]), 0xb9, ...le16(n)];
const push = (bits: Bits, n: number): number[] => [0x68, ...(bits === 16 ? le16(n) : le32(n))];
const size = (bits: Bits): number => bits / 8;

const vector = (m: FullMachine): Seen => ({ vector: m.halt() });
const error = (m: FullMachine): Seen => {
  const ended = m.halt();
  return ended === 'end' ? { vector: ended } : { vector: ended, error: m.word(m.state.gpr.get(4)) };
};
const ax = (m: FullMachine): Seen => ({ ...vector(m), ax: m.state.gpr.get(0) & 0xffff });
const zero = (m: FullMachine): Seen => ({ ...vector(m), zf: (m.engine.helpers.getFlags(CPUS) >> 6) & 1 });
const flags = (m: FullMachine): Seen => ({
  ...vector(m),
  flags: (m.asBelieved().engine.helpers.getFlags(CPUS) & 0x3200).toString(16),
});
const table = (m: FullMachine): Seen => ({
  ...vector(m),
  limit: m.half(DATA),
  base: (m.word(DATA + 2) + m.word(DATA + 6) * 2 ** 32).toString(16),
});
/** A pushed word. */
const pushed = (m: FullMachine): Seen => ({ ...vector(m), pushed: m.half(m.state.gpr.get(4)) });
const ended = { vector: 'end' };

/** A selector of ring 0's data with RPL 1: not for ring 0's own eyes (RPL > DPL), but as good as any at ring 1, where its DPL is 1. */
const LOW = DATA0 | 1;
const refused = { name: 'a selector with RPL 1 of a segment with DPL 0 is not refused', see: error, wrong: () => ended };
const far = (bits: Bits, offset: number, selector: number): number[] => [...(bits === 16 ? le16(offset) : le32(offset)), ...le16(selector)];
/** MOV of an immediate to a doubleword of DATA, for far pointers in memory. */
const pointer = (bits: Bits, offset: number, selector: number): number[] =>
  bits === 16
    ? [0xc7, ...at(16, 0, DATA), ...le16(offset), 0xc7, ...at(16, 0, DATA + 2), ...le16(selector)]
    : [0xc7, ...at(bits, 0, DATA), ...le32(offset), 0xc7, ...at(bits, 0, DATA + 4), ...le32(selector)];

const loads: readonly [string, readonly Bits[], (bits: Bits) => readonly number[]][] = [
  ['POP DS', OLD, (bits) => [...push(bits, LOW), 0x1f]],
  ['POP ES', OLD, (bits) => [...push(bits, LOW), 0x07]],
  ['POP FS', ALL, (bits) => [...push(bits, LOW), 0x0f, 0xa1]],
  ['POP GS', ALL, (bits) => [...push(bits, LOW), 0x0f, 0xa9]],
  ['MOV DS, r16', ALL, (bits) => [...moveCx(bits, LOW), 0x8e, 0xd9]],
  ['MOV FS, m16', ALL, (bits) => [...pointer(bits, LOW, 0), 0x8e, ...at(bits, 4, DATA)]],
  ['LES', OLD, (bits) => [...pointer(bits, 0, LOW), 0xc4, ...at(bits, 0, DATA)]],
  ['LDS', OLD, (bits) => [...pointer(bits, 0, LOW), 0xc5, ...at(bits, 0, DATA)]],
  ['LFS', ALL, (bits) => [...pointer(bits, 0, LOW), 0x0f, 0xb4, ...at(bits, 0, DATA)]],
  ['LGS', ALL, (bits) => [...pointer(bits, 0, LOW), 0x0f, 0xb5, ...at(bits, 0, DATA)]],
];

const stacks: readonly [string, readonly Bits[], (bits: Bits) => readonly number[]][] = [
  ['POP SS', OLD, (bits) => [...push(bits, DATA0), 0x17]],
  ['MOV SS, r16', ALL, (bits) => [...moveCx(bits, DATA0), 0x8e, 0xd1]],
  ['LSS', ALL, (bits) => [...pointer(bits, STACK, DATA0), 0x0f, 0xb2, ...at(bits, 4, DATA)]],
];

/** Physical CR0: what the VMM needs is set, whatever the guest believes. */
const CR0 = 0x8001_0031;

const cases: readonly Case[] = [
  { name: 'SGDT: where the VMM’s GDT is', bits: ALL, code: (bits) => [0x0f, 0x01, ...at(bits, 0, DATA)], see: table,
    wrong: (bits) => ({ ...ended, limit: 0xfeff, base: bits === 64 ? (0xfffffe00ffff0000).toString(16) : 'ffff0000' }) },
  { name: 'SIDT: where the VMM’s IDT is', bits: ALL, code: (bits) => [0x0f, 0x01, ...at(bits, 1, DATA)], see: table,
    wrong: (bits) => ({ ...ended, limit: 0xfff, base: bits === 64 ? (0xfffffe00fffef000).toString(16) : 'fffef000' }) },
  { name: 'SLDT: the VMM’s LDT', bits: ALL, code: () => [0x0f, 0x00, 0xc0], see: ax, wrong: () => ({ ...ended, ax: 0xfe80 }) },
  { name: 'STR: the VMM’s task', bits: ALL, code: () => [0x0f, 0x00, 0xc8], see: ax, wrong: () => ({ ...ended, ax: 0xfe90 }) },
  { name: 'SMSW: paging and the rest of physical CR0', bits: ALL, code: () => [0x0f, 0x01, 0xe0],
    see: (m) => ({ ...vector(m), eax: m.state.gpr.get(0) % 2 ** 32 }), wrong: (bits) => ({ ...ended, eax: bits === 16 ? CR0 & 0xffff : CR0 }) },
  { name: 'PUSHF: IF is set, IOPL is 0', bits: ALL, flags: 0x3002, code: () => [0x9c],
    see: (m) => ({ ...vector(m), pushed: (m.half(m.state.gpr.get(4)) & 0x3200).toString(16) }), wrong: () => ({ ...ended, pushed: '200' }) },
  { name: 'POPF: IF and IOPL stay', bits: ALL, code: (bits) => [...push(bits, 0x3202), 0x9d], see: flags, wrong: () => ({ ...ended, flags: '0' }) },
  { name: 'LAR: DPL is 1', bits: ALL, code: (bits) => [...moveCx(bits, DATA0), 0x0f, 0x02, 0xc1], see: ax, wrong: () => ({ ...ended, ax: 0xb300 }) },
  { name: 'LSL: a limit that is none of its business', bits: ALL, code: (bits) => [...moveCx(bits, LOW), 0x0f, 0x03, 0xc1], see: zero, wrong: () => ({ ...ended, zf: 1 }) },
  { name: 'VERR: readable', bits: ALL, code: (bits) => [...moveCx(bits, LOW), 0x0f, 0x00, 0xe1], see: zero, wrong: () => ({ ...ended, zf: 1 }) },
  { name: 'VERW: writable', bits: ALL, code: (bits) => [...moveCx(bits, LOW), 0x0f, 0x00, 0xe9], see: zero, wrong: () => ({ ...ended, zf: 1 }) },
  { name: 'PUSH CS: RPL is 1', bits: OLD, code: () => [0x0e], see: pushed, wrong: () => ({ ...ended, pushed: CODE0 | 1 }) },
  { name: 'PUSH SS: RPL is 1', bits: OLD, code: () => [0x16], see: pushed, wrong: () => ({ ...ended, pushed: DATA0 | 1 }) },
  { name: 'MOV r16, CS: RPL is 1', bits: ALL, code: () => [0x8c, 0xc8], see: ax, wrong: () => ({ ...ended, ax: CODE0 | 1 }) },
  { name: 'MOV m16, SS: RPL is 1', bits: ALL, code: (bits) => [0x8c, ...at(bits, 2, DATA)], see: (m) => ({ ...vector(m), stored: m.half(DATA) }),
    wrong: () => ({ ...ended, stored: DATA0 | 1 }) },
  ...loads.map(([name, bits, code]): Case => ({ ...refused, name: `${name}: ${refused.name}`, bits, code })),
  ...stacks.map(([name, bits, code]): Case => ({
    name: `${name}: ring 0’s own stack is refused`, bits, code, see: error, wrong: () => ({ vector: 13, error: DATA0 }),
  })),
  { name: 'CALL far: CS is pushed with RPL 1', bits: ALL,
    code: (bits) => bits === 64 ? [...pointer(64, CODE + 64, CODE0), 0xff, ...at(64, 3, DATA)] : [0x9a, ...far(bits, CODE + 64, CODE0)],
    see: (m) => ({ ...vector(m), pushed: m.half(m.state.gpr.get(4) + (m.bits === 16 ? 2 : 4)) }), wrong: () => ({ ...ended, pushed: CODE0 | 1 }) },
  { name: 'JMP far: a selector with RPL 1 is not refused', bits: ALL,
    code: (bits) => bits === 64 ? [...pointer(64, CODE + 64, CODE0 | 1), 0xff, ...at(64, 5, DATA)] : [0xea, ...far(bits, CODE + 64, CODE0 | 1)],
    see: error, wrong: () => ended },
  { name: 'RET far: back to ring 0 is refused', bits: ALL,
    code: (bits) => bits === 64 ? [0x6a, CODE0, ...push(64, CODE + 64), 0x48, 0xcb] : [0x6a, CODE0, ...push(bits, CODE + 64), 0xcb],
    see: error, wrong: () => ({ vector: 13, error: CODE0 }) },
  { name: 'IRET: back to ring 0 is refused', bits: ALL,
    code: (bits) => bits === 64
      ? [0x6a, DATA0, ...push(64, STACK), 0x6a, 2, 0x6a, CODE0, ...push(64, CODE + 64), 0x48, 0xcf]
      : [0x6a, 2, 0x6a, CODE0, ...push(bits, CODE + 64), 0xcf],
    see: error, wrong: () => ({ vector: 13, error: CODE0 }) },
  { name: 'INT n: from ring 1, a gate of ring 0 is open', bits: ALL, ring: 1, code: () => [0xcd, 0x21], see: vector, wrong: () => ({ vector: 0x21 }) },
  { name: 'INT3: from ring 1, a gate of ring 0 is open', bits: ALL, ring: 1, code: () => [0xcc], see: vector, wrong: () => ({ vector: 3 }) },
]; // prettier-ignore

/** Runs the code often enough to be translated, where that can be; the same must be seen each time. */
function seen(machine: FullMachine, c: Case): Seen {
  const code = [...c.code(machine.bits), HLT];
  const bytes = [...code, ...Array.from({ length: 64 - code.length }, () => 0x90), HLT];
  let first: Seen | undefined;
  for (let round = 0; round < 6; round++) {
    machine.begin(bytes, c.ring, c.flags);
    const now = c.see(machine);
    expect(now).toEqual((first ??= now));
  }
  return first!;
}

describe.each(ALL)('%d-bit code', (bits) => {
  it.each(cases.filter((c) => c.bits.includes(bits)))('$name', (c) => {
    const right = seen(new FullMachine(bits, 0, modules), c);
    const wrong = seen(new FullMachine(bits, FULL_ON | FULL_ADAPT, modules), c);
    expect(wrong).toEqual(c.wrong(bits));
    expect(wrong).not.toEqual(right);

    const interpreted = new FullMachine(bits, FULL_ON | FULL_TRANSLATE | FULL_ADAPT, modules);
    expect(seen(interpreted, c)).toEqual(right);
    let regions = 0;
    const translated = new FullMachine(bits, FULL_ON | FULL_TRANSLATE | FULL_ADAPT, modules, {
      translator: (host) => new Translator(host, { after: 1, batch: 1, onRegion: () => regions++ }),
    });
    expect(seen(translated, c)).toEqual(right);
    if (bits !== 16) expect(regions).toBeGreaterThan(0);
    // All that at ring 1, and by exits.
    for (const machine of [interpreted, translated]) {
      machine.begin([HLT]).halt();
      expect(machine.ring).toBe(1);
      expect(machine.exits).toBeGreaterThan(6);
    }
  });
});

it('the instructions themselves are at ring 1', () => {
  for (const bits of ALL) {
    // Two that nothing has to do with: a run of one ends between them.
    const machine = new FullMachine(bits, FULL_ON | FULL_TRANSLATE, modules).begin([0x90, 0xeb, 0xfd]);
    machine.run(5);
    expect(machine.state.compressed).toBe(1);
    expect(machine.ring).toBe(1);
    expect(machine.state.eflags & 0x3200).toBe(0x200);
    expect(machine.asBelieved().ring).toBe(0);
    expect(machine.state.eflags & 0x3200).toBe(0);
    expect(machine.state.segments[7]!.selector).toBe(TASK);
  }
});

it.each([
  ['DS', [0x1e], OLD],
  ['ES', [0x06], OLD],
  ['FS', [0x0f, 0xa0], ALL],
  ['GS', [0x0f, 0xa8], ALL],
] as const)('PUSH %s is sensitive in name only: selectors of data are what the guest loaded, and it is no call-out', (_, code, modes) => {
  for (const bits of modes)
    for (const full of [0, FULL_ON, FULL_ON | FULL_TRANSLATE]) {
      const machine = new FullMachine(bits, full, modules).begin([...code, HLT]);
      expect(pushed(machine)).toEqual({ ...ended, pushed: DATA0 });
      expect(machine.state.gpr.get(4)).toBe(STACK - size(bits));
      expect(machine.state.sensitive).toBe(1);
      expect(machine.state.exits.get(VMM_CALLOUT + GROUP_SEGMENT)).toBe(0);
    }
});
