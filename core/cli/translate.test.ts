import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildCore } from '../../build/core.ts';
import { UserError } from '../host/api.ts';
import { address, translateCommand } from './translate.ts';
import { translateFile } from './translate-file.ts';

let folder: string;
beforeAll(async () => {
  await buildCore();
  folder = mkdtempSync(path.join(tmpdir(), 'ringside-translate-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, bytes: ArrayLike<number>): string => {
  const where = path.join(folder, name);
  writeFileSync(where, Uint8Array.from(bytes));
  return where;
};
/** xor eax, eax; mov ecx, 100; L: add eax, ecx; dec ecx; jnz L; ret */
const LOOP = [0x31, 0xc0, 0xb9, 100, 0, 0, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa, 0xc3];

test('addresses', () => {
  expect(address('0xffffffff81000000', '--at')).toBe(0xffff_ffff_8100_0000n);
  expect(address('4096', '--at')).toBe(4096n);
  for (const text of ['', '0x', 'x', '-1', '0x10000000000000000', '18446744073709551616', '1e3'])
    expect(() => address(text, '--at'), text).toThrow(UserError);
});

describe('a file of code', () => {
  const translate = (code: readonly number[], bits: 64 | 32, base: bigint, at = base, cpu = ''): Promise<string> =>
    translateFile({ file: file('code', code), bits, base, at, cpu });

  test.each([
    [64, 0n],
    [64, 0xffff_ffff_8100_0f80n],
    [32, 0xc010_0000n],
  ] as const)('becomes a loop beside its instructions, in %i-bit mode at %s', async (bits, base) => {
    const text = await translate(LOOP, bits, base);
    const at = (offset: number): string => (base + BigInt(offset)).toString(16);
    for (const line of [`${at(0)}  xor eax, eax`, `${at(7)}  add eax, ecx`, `${at(11)}  jnz 0x${at(7)}`]) expect(text).toContain(line);
    expect(text).toMatch(/\|\s+loop @/);
    expect(text).toContain(`; ${bits}-bit, `);
  });

  test('is followed into other pages, by calls and back', async () => {
    // mov ecx, 9; L: call F; dec ecx; jnz L; ret; ... F, in the next page: add eax, ecx; ret
    const code = [0xb9, 9, 0, 0, 0, 0xe8, 0xf6, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xc3];
    const far = Array.from({ length: 0x1103 }, (_, i) => code[i] ?? [0x01, 0xc8, 0xc3][i - 0x1100] ?? 0x90);
    const text = await translate(far, 64, 0xffff_ffff_8100_0000n);
    for (const line of ['call 0xffffffff81001100', 'ffffffff81001100  add eax, ecx', 'jnz 0xffffffff81000005'])
      expect(text).toContain(line);
  });

  test('is entered anywhere, and only what is reached from there is shown', async () => {
    const text = await translate(LOOP, 64, 0x1000n, 0x1007n);
    expect(text).toContain('1007  add eax, ecx');
    expect(text).not.toContain('xor eax, eax');
  });

  test('ends where the file does', async () => {
    // add eax, ecx and nothing more: an INT3 stands behind it.
    const text = await translate([0x01, 0xc8], 64, 0n);
    expect(text).toMatch(/2 {2}int3 +\(interpreted\)/);
  });

  test('has what the CPU model has', async () => {
    // movaps xmm0, xmm1
    expect(await translate([0x0f, 0x28, 0xc1, 0xc3], 32, 0n)).toContain('movaps xmm0, xmm1');
    await expect(translate([0x0f, 0x28, 0xc1, 0xc3], 32, 0n, 0n, 'pentium3,-sse')).rejects.toThrow(/nothing to translate/);
    await expect(translate(LOOP, 32, 0n, 0n, 'abacus')).rejects.toThrow(/unknown CPU model "abacus"/);
  });

  test('that cannot be had is one sentence', async () => {
    await expect(translate(LOOP, 64, 0x1000n, 0x100en)).rejects.toThrow(
      '--at 0x100e is outside of the code, which lies from 0x1000 to 0x100d.',
    );
    await expect(translate(LOOP, 32, 0xffff_fff8n)).rejects.toThrow(/32-bit addresses end/);
    // ud2
    await expect(translate([0x0f, 0x0b], 64, 0n)).rejects.toThrow('At 0x0 there is nothing to translate');
    await expect(translate([], 64, 0n)).rejects.toThrow(/is empty/);
    await expect(translateFile({ file: path.join(folder, 'none'), bits: 64, base: 0n, at: 0n, cpu: '' })).rejects.toThrow(/cannot be read/);
    await expect(translateFile({ file: file('big', new Uint8Array((1 << 20) + 1)), bits: 64, base: 0n, at: 0n, cpu: '' })).rejects.toThrow(
      /at most 1048576/,
    );
  });
});

test.each([
  [[], /Give a file of machine code, or either --at or --hottest/],
  [['--at', '0', '--hottest', '1'], /either --at or --hottest/],
  [['--hottest', '0'], /--hottest is a whole number/],
  [['--hottest', '1', '--mode', '64'], /--mode goes with a file/],
  [['--hottest', '1', '--engine', 'interpreter'], /translates nothing/],
  [['code', '--kernel', 'k'], /--kernel goes with a guest/],
  [['code', '--mode', '16'], /16-bit code is left to the interpreter/],
  [['code', 'more'], /no place for "more"/],
  [['--at', '0', '--kernel', '/none/such'], /does not exist/],
])('%j is a mistake that is named', async (args, words) => {
  await expect(translateCommand(args)).rejects.toThrow(UserError);
  await expect(translateCommand(args)).rejects.toThrow(words);
});
