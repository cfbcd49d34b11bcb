import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CODE_16, CODE_32, CODE_64, PREFIX_LOCK } from '../state/index.ts';
import { LENGTH_MAX, Matcher } from './match.ts';

function matcher(bytes: readonly number[], has = true): Matcher {
  return new Matcher(
    (i) => bytes[i] ?? 0,
    () => has,
  );
}
const match = (mode: number, ...bytes: number[]) => matcher(bytes).match(mode);

describe('matching', () => {
  test.each<[string, number, number[], string, number]>([
    ['nothing before the opcode', CODE_64, [0x90], 'NOP', 1],
    ['REX.B makes 90 an exchange', CODE_64, [0x41, 0x90], 'XCHG', 2],
    ['REX is INC in 32-bit code', CODE_32, [0x41], 'INC', 1],
    ['a REX that is not last does not count', CODE_64, [0x48, 0x66, 0xb8, 1, 2], 'MOV', 5],
    ['imm64', CODE_64, [0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 'MOV', 10],
    ['imm16 with 66', CODE_32, [0x66, 0x05, 1, 2], 'ADD', 4],
    ['imm32 in 16-bit code with 66', CODE_16, [0x66, 0x05, 1, 2, 3, 4], 'ADD', 6],
    ['16-bit addressing with a displacement', CODE_16, [0x8b, 0x46, 0xfe], 'MOV', 3],
    ['SIB without base', CODE_32, [0x8b, 0x04, 0x8d, 1, 2, 3, 4], 'MOV', 7],
    ['RIP-relative', CODE_64, [0x8b, 0x05, 1, 2, 3, 4], 'MOV', 6],
    ['a mandatory prefix', CODE_64, [0xf3, 0x0f, 0xb8, 0xc1], 'POPCNT', 4],
    ['F2 wins over 66', CODE_64, [0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc1], 'CRC32', 6],
    ['moffs by address size', CODE_32, [0x67, 0xa1, 1, 2], 'MOV', 4],
    ['a near branch stays 32 bits wide in 64-bit code', CODE_64, [0x66, 0xe9, 1, 2, 3, 4], 'JMP', 6],
    ['ENTER has two immediates', CODE_64, [0xc8, 0x10, 0, 1], 'ENTER', 4],
  ])('%s', (_what, mode, bytes, mnemonic, length) => {
    const found = match(mode, ...bytes);
    expect([found.row?.row.mnemonic, found.length]).toEqual([mnemonic, length]);
  });

  test('what a mode does not have is undefined', () => {
    expect(match(CODE_64, 0x06).row).toBeUndefined(); // PUSH ES
    expect(match(CODE_32, 0x63, 0xc1).row?.row.mnemonic).toBe('ARPL');
    expect(match(CODE_64, 0x63, 0xc1).row?.row.mnemonic).toBe('MOVSXD');
  });

  test('LOCK goes with a memory destination of some instructions only', () => {
    expect(match(CODE_64, 0xf0, 0x01, 0x03)).toMatchObject({ prefixes: PREFIX_LOCK });
    expect(match(CODE_64, 0xf0, 0x01, 0x03).row).toBeDefined();
    expect(match(CODE_64, 0xf0, 0x01, 0xc3).row).toBeUndefined();
    expect(match(CODE_64, 0xf0, 0x03, 0x03).row).toBeUndefined();
    expect(match(CODE_64, 0xf0, 0x89, 0x03).row).toBeUndefined();
  });

  test('features gate', () => {
    expect(matcher([0xf3, 0x0f, 0xb8, 0xc1], false).match(CODE_64).row).toBeUndefined();
  });

  test('an instruction has at most 15 bytes', () => {
    expect(match(CODE_64, ...Array.from({ length: 14 }, () => 0x66), 0x90)).toMatchObject({ tooLong: false, length: 15 });
    expect(match(CODE_64, ...Array.from({ length: 15 }, () => 0x66), 0x90)).toMatchObject({ tooLong: true });
  });

  test('any bytes match or do not, within 15 bytes, and fetch in order without gaps', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 15, maxLength: 15 }), fc.constantFrom(CODE_16, CODE_32, CODE_64), (bytes, mode) => {
        let next = 0;
        const found = new Matcher(
          (i) => {
            expect(i).toBe(next++);
            return bytes[i]!;
          },
          () => true,
        ).match(mode);
        expect(found.length).toBe(next);
        expect(found.length).toBeLessThanOrEqual(LENGTH_MAX);
        if (found.row?.row.i64) expect(mode).not.toBe(CODE_64);
      }),
      { numRuns: 5000 },
    );
  });
});
