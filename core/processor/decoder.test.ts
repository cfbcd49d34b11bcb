/** The decoder (assembly/decoder.ts): from bytes to records. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  CODE_16, CODE_32, CODE_64, Cpu, HANDLER_FIRST, HANDLER_TOO_LONG, HANDLER_UNDEFINED, PREFIX_LOCK, Reach, Record,
} from '../state/index.ts'; // prettier-ignore
import { handlerRow, numberedRows } from './handlers.ts';
import { DECODED_END, Machine, NEEDS_MORE, prepareMachines } from './machine-fixture.ts';
import { opcodeTables, OPCODE_CONSTANTS } from './opcodes.ts';

const LENGTH_MAX = 15;

let machine: Machine;
let meagre: Machine;
beforeAll(async () => {
  await prepareMachines();
  machine = new Machine();
  meagre = new Machine('default,-popcnt,-sse4_2');
});

/** RAM offset of the bytes. */
const BYTES = 0x1000;

function decode(mode: number, bytes: readonly number[], available = 100, on = machine) {
  on.put(BYTES, ...bytes, ...Array.from({ length: 16 }, () => 0));
  const { returned, record: at } = on.decode(mode, BYTES, available);
  const record = Record.view(on.buffer, at);
  const row = returned === NEEDS_MORE ? undefined : handlerRow(record.handler)?.row;
  return { length: returned === NEEDS_MORE ? NEEDS_MORE : returned & (DECODED_END - 1), ends: returned >= DECODED_END, row, record };
}
const match = (mode: number, ...bytes: number[]) => decode(mode, bytes);

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
    expect([found.row?.mnemonic, found.length]).toEqual([mnemonic, length]);
  });

  test('what a mode does not have is undefined', () => {
    expect(match(CODE_64, 0x06).record.handler).toBe(HANDLER_UNDEFINED); // PUSH ES
    expect(match(CODE_32, 0x63, 0xc1).row?.mnemonic).toBe('ARPL');
    expect(match(CODE_64, 0x63, 0xc1).row?.mnemonic).toBe('MOVSXD');
  });

  test('LOCK goes with a memory destination of some instructions only', () => {
    expect(match(CODE_64, 0xf0, 0x01, 0x03).record.prefixes).toBe(PREFIX_LOCK);
    expect(match(CODE_64, 0xf0, 0x01, 0x03).row).toBeDefined();
    expect(match(CODE_64, 0xf0, 0x01, 0xc3).row).toBeUndefined();
    expect(match(CODE_64, 0xf0, 0x03, 0x03).row).toBeUndefined();
    expect(match(CODE_64, 0xf0, 0x89, 0x03).row).toBeUndefined();
  });

  test('features gate', () => {
    expect(decode(CODE_64, [0xf3, 0x0f, 0xb8, 0xc1], 100, meagre).record.handler).toBe(HANDLER_UNDEFINED);
  });

  test('an instruction has at most 15 bytes', () => {
    const prefixes = Array.from({ length: 14 }, () => 0x66);
    expect(match(CODE_64, ...prefixes, 0x90)).toMatchObject({ length: 15, row: { mnemonic: 'NOP' } });
    const long = match(CODE_64, ...prefixes, 0x66, 0x90);
    expect([long.length, long.record.handler]).toEqual([15, HANDLER_TOO_LONG]);
  });

  test('every row is found by a candidate at its opcode', () => {
    const { index, candidates } = opcodeTables();
    const bases = new Uint8Array(candidates);
    const view = new DataView(bases.buffer);
    const { CANDIDATE_SIZE, CANDIDATE_BASE } = OPCODE_CONSTANTS;
    for (const { row, base } of numberedRows()) {
      const opcode = (row.map << 8) | row.opcode;
      const at = Array.from({ length: index[opcode + 1]! - index[opcode]! }, (_, i) => (index[opcode]! + i) * CANDIDATE_SIZE);
      expect(at.map((a) => view.getUint16(a + CANDIDATE_BASE, true))).toContain(base);
    }
  });
});

describe('operands', () => {
  const O = Cpu.offsets;
  const reach = (segment: number): number => O.reach + segment * Reach.size;

  test('registers, with and without REX', () => {
    expect(match(CODE_32, 0x88, 0xe1).record).toMatchObject({ reg: O.gpr + 1, base: O.gpr + 8, segment: 0xffff }); // mov cl, ah
    expect(match(CODE_64, 0x40, 0x88, 0xe1).record).toMatchObject({ reg: O.gpr + 4 * 8, base: O.gpr + 8 }); // mov cl, spl
    expect(match(CODE_64, 0x45, 0x89, 0xc1).record).toMatchObject({ reg: O.gpr + 8 * 8, base: O.gpr + 9 * 8 }); // mov r9d, r8d
    expect(match(CODE_64, 0x41, 0x0f, 0x28, 0xc9).record).toMatchObject({ reg: O.xmm + 16, base: O.xmm + 9 * 16 }); // movaps xmm1, xmm9
    expect(match(CODE_64, 0x41, 0x0f, 0xc8).record.reg).toBe(O.gpr + 8 * 8); // bswap r8d
    expect(match(CODE_32, 0x0f, 0x22, 0x18).record).toMatchObject({ extra: 3, base: O.gpr }); // mov cr3, eax, whatever modrm.mod is
  });

  test('base, index, scale, displacement and segment', () => {
    // mov eax, [rbp + r9 * 4 - 2]
    const found = match(CODE_64, 0x42, 0x8b, 0x44, 0x8d, 0xfe).record;
    expect(found).toMatchObject({ base: O.gpr + 5 * 8, index: O.gpr + 9 * 8, scale: 2, segment: reach(2) });
    expect(found.displacement).toBe(2 ** 64 - 2);
    expect(match(CODE_64, 0x65, 0x8b, 0x44, 0x24, 0x08).record).toMatchObject({ base: O.gpr + 4 * 8, index: O.zero, segment: reach(5) });
    expect(match(CODE_16, 0x8b, 0x42, 0xfe).record).toMatchObject({ base: O.gpr + 5 * 8, index: O.gpr + 6 * 8, addressMask: 0xffff });
    expect(match(CODE_64, 0x2e, 0x8b, 0x00).record.segment).toBe(reach(3));
    expect(match(CODE_32, 0x2e, 0x8b, 0x00).record.segment).toBe(reach(1));
    // Relative to the next instruction; `ripBase` is that of the page.
    expect(match(CODE_64, 0x8b, 0x05, 1, 0, 0, 0).record).toMatchObject({ base: O.ripBase, displacement: 7 });
  });

  test('immediates, extended as the row says', () => {
    expect(match(CODE_64, 0x83, 0xc0, 0xfe).record.immediate).toBe(2 ** 64 - 2);
    expect(match(CODE_64, 0xb0, 0xfe).record.immediate).toBe(0xfe);
    expect(match(CODE_64, 0x48, 0x05, 0, 0, 0, 0x80).record.immediate).toBe(2 ** 64 - 2 ** 31);
    expect(match(CODE_32, 0xea, 1, 2, 3, 0x84, 5, 6).record).toMatchObject({ immediate: 0x84030201, extra: 0x0605 });
  });
});

describe('any bytes', () => {
  const bytes = fc.uint8Array({ minLength: 15, maxLength: 15 });
  const mode = fc.constantFrom(CODE_16, CODE_32, CODE_64);

  test('match or do not, within 15 bytes, and not in a mode that has no such row', () => {
    fc.assert(
      fc.property(bytes, mode, (b, m) => {
        const { length, row, record, ends } = decode(m, [...b]);
        expect(length).toBeGreaterThan(0);
        expect(length).toBeLessThanOrEqual(LENGTH_MAX);
        expect(record.length).toBe(length);
        expect(ends).toBe(row?.end ?? true);
        if (row?.i64) expect(m).not.toBe(CODE_64);
        if (!row) expect(record.handler).toBeLessThan(HANDLER_FIRST);
      }),
      { numRuns: 5000 },
    );
  });

  test('are decoded from no more bytes than the instruction has, and not from fewer', () => {
    fc.assert(
      fc.property(bytes, mode, (b, m) => {
        const { length, record } = decode(m, [...b]);
        const { handler } = record;
        for (let n = 0; n < length; n++) expect(decode(m, [...b], n).length).toBe(NEEDS_MORE);
        const exact = decode(m, [...b].slice(0, length), length);
        expect([exact.length, exact.record.handler]).toEqual([length, handler]);
      }),
      { numRuns: 1000 },
    );
  });
});
