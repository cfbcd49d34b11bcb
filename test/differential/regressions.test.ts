/** Programs that once came to something else under the translator, as small as they could be made: see test/fuzz. */
import { beforeAll, expect, it } from 'vitest';
import { buildCore, readModule } from '../../build/core.ts';
import { compileModules, type EngineModules } from '../../core/processor/engine.ts';
import { assemble, type Step } from '../fuzz/assembler.ts';
import { LOG } from '../fuzz/places.ts';
import type { Program } from '../fuzz/program.ts';
import { Pair } from '../fuzz/run.ts';

let modules: EngineModules;

beforeAll(async () => {
  await buildCore();
  modules = await compileModules(async (name) => readModule(name));
});

interface Case {
  readonly name: string;
  readonly bits: 32 | 64;
  /** From 0x10000 on, in hexadecimal. */
  readonly code: string;
  readonly settings?: Partial<Program['settings']>;
  readonly pace?: Partial<Program['pace']>;
}

function program({ bits, code, settings, pace }: Case): Program {
  const step: Step = { bytes: [...Buffer.from(code.replaceAll(/\s/g, ''), 'hex')], fixes: [], labels: new Map(), sites: [] };
  return {
    settings: {
      bits, pae: false, ring: 0, flags: 2, cr0: 0x80010033, cr4: bits === 64 ? 0x620 : 0x600, mxcsr: 0x1f80, fpuControl: 0x37f, fill: 1, ...settings,
    }, // prettier-ignore
    pace: {
      after: 1,
      compile: 'at once',
      batch: 1,
      regions: 'small',
      revisit: 1 << 15,
      turn: 500,
      interrupts: 0,
      patches: 0,
      seed: 1,
      most: 3000,
      ...pace,
    },
    steps: [step],
    pointers: [],
  };
}

const CASES: readonly Case[] = [
  { name: 'an 80-bit operand whose address has a register that just changed', bits: 32, code: 'b8 fdffffff  db6c0620  e9 f2ffffff' },
  { name: 'upper halves of registers in 32-bit code of a 64-bit system', bits: 64, settings: { ring: 3 },
    code: '681b000000 680c000100 48cb  0400  ea150001002b00  683b000000 6821000000 48cb  66ea29000100 2b00  e9d2ffffff' },
  { name: 'the shadow of MOV SS, which is over before the block is', bits: 32, settings: { flags: 0x3202 },
    code: '8cd0 8ed0 40 6a23 0fa9 c7054070000002000000 e710 d2f8 e9e4ffffff' },
  { name: 'instructions of ring 3 before one that leaves it in the midst of a block', bits: 32, settings: { ring: 3 }, code: 'bdf71f0200 cd83 e9f4ffffff' },
]; // prettier-ignore

it.each(CASES)('$name', (one) => {
  const outcome = new Pair(modules).run(program(one))!;
  expect(outcome.differences).toEqual([]);
  expect(outcome.retired).toBeGreaterThanOrEqual(3000);
});

it('an instruction at the end of a page, where one was that crossed into the next, has nothing to do with that page', () => {
  const { reference } = new Pair(modules);
  const bytes = (hex: string): Step => ({
    bytes: [...Buffer.from(hex.replaceAll(' ', ''), 'hex')],
    fixes: [],
    labels: new Map(),
    sites: [],
  });
  const place: Step = { ...bytes(''), before: 2 };
  // At 0x12ffe, the next page being absent: mov eax, 1. Then jle is put there instead, and the page is absent again.
  const steps = [bytes('eb10 66c705fe2f01007e00 cd82 e9ec2f0000'), place, place, place, bytes('b801000000 e9facfffff')];
  const base = program({ name: '', bits: 32, code: '' });
  reference.begin({ ...base, steps }, assemble(steps)!);
  reference.run(400);
  // The events' log (test/fuzz/kernel.ts): vector and EIP.
  const log = [0, 1, 2].map((n) => [40, 48].map((at) => reference.view.getUint32(reference.ram + LOG + n * 256 + at, true).toString(16)));
  expect(log).toEqual([['e', '12ffe'], ['82', '1000d'], ['e', '13000']]); // prettier-ignore
});

it('code in a translation, of a block whose other part changed before', () => {
  const pair = new Pair(modules);
  // e: inc r8d; jmp b; b: mov eax, 1; fxsave [..] (which is not translated); nop ..; c, in other 64 bytes: mov edx, 1; jmp e
  const code =
    'eb1e90909090909090909090909090909090909090909090909090909090909041ffc0eb1b909090909090909090909090909090909090909090909090909090b8010000000fae042500000200909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090909090ba01000000eb99';
  const looped = program({ name: '', bits: 64, code, pace: { after: 10 } });
  expect(pair.run(looped)!.differences).toEqual([]);
  const { tested } = pair;
  const change = (address: number, value: number): void => {
    tested.bytes[tested.ram + address] = value;
    tested.engine.helpers.invalidateCode(address >>> 12, address & 0xfff, address & 0xfff);
    tested.run(300);
  };
  change(0x10081, 2);
  change(0x10041, 3);
  expect([tested.state.gpr.get(2), tested.state.gpr.get(0)]).toEqual([2, 3]);
});

it('an operand that begins at the last byte of all addresses', () => {
  // mov esi, 8; shl dword [rsi - 9], 1
  const outcome = new Pair(modules).run(program({ name: '', bits: 64, code: 'be08000000d176f7' }));
  expect(outcome!.differences).toEqual([]);
});

it('an aligned operand that is not aligned, on page 0 while that is not in the TLB', () => {
  // mov dword [0x7000], 0x1000f; mov ebx, 0x41; movapd [ebx], xmm6; jmp 0x10000
  const code = 'c705007000000f000100 bb41000000 660f297300 e9e7ffffff';
  const outcome = new Pair(modules).run(program({ name: '', bits: 32, code, pace: { turn: 300, most: 1000 } }));
  expect(outcome!.differences).toEqual([]);
});

it('carry under a condition, after flags that were changed under a condition', () => {
  // cmp al, 0xac; ror r8w, cl; rcl al, cl; jmp 0x10000
  const outcome = new Pair(modules).run(program({ name: '', bits: 64, code: '3cac 6641d3c8 d2d0 e9f3ffffff', pace: { most: 1000 } }));
  expect(outcome!.differences).toEqual([]);
});

it('a loop with a block that no way leads to, its condition being known never to hold', () => {
  const pair = new Pair(modules);
  // call f; jmp e; .. f: sbb ah, 0x80; pextrw ecx, xmm4, 0x4d; and ecx, ecx; jb r; setl al; in the next page r: ret; e: jmp 0x10000
  const gap = '90'.repeat(0xfee - 10);
  const code = `e8e90f0000 e9fa0f0000 ${gap} 80dc80 660fc5cc4d 21c9 0f8203000000 0f9cc0 c20000 e9f7efffff`;
  const outcome = pair.run(
    program({
      name: '',
      bits: 32,
      code,
      settings: { pae: true, cr0: 0x80000033, cr4: 0x620 },
      pace: { revisit: 16, turn: 100_000, most: 3000 },
    }),
  );
  expect(outcome!.differences).toEqual([]);
});
