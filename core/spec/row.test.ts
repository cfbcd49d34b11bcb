import { describe, expect, test } from 'vitest';
import { rowSets } from './index.ts';
import { parseRow, parseRows, variants } from './row.ts';

describe('rows', () => {
  test('the manual’s notation', () => {
    const row = parseRow('83 /0 ib | ADD r/mv, imm8s | lock');
    expect(row).toMatchObject({
      mnemonic: 'ADD',
      map: 0,
      opcode: 0x83,
      digit: 0,
      immediates: ['b'],
      lock: true,
      family: 'add',
      class: 'innocuous',
    });
    expect(row.operands.map((o) => [o.kind, o.size])).toEqual([['rm', 'v'], ['imms', 8]]); // prettier-ignore
    expect(variants(row)).toEqual([16, 32, 64]);

    expect(parseRow('66 REX.W 0F 6E /r | MOVQ xmm, r/m64 | needs=sse2 simd')).toMatchObject({
      prefix: '66',
      rexW: true,
      map: 1,
      opcode: 0x6e,
    });
    expect(parseRow('0F 01 /2 m | LGDT m | priv end helper=lgdt')).toMatchObject({
      class: 'privileged',
      form: 'm',
      end: true,
      helper: 'lgdt',
    });
    expect(parseRow('D8 C0+i | FADD ST0, STi | x87')).toMatchObject({ fixedModrm: 0xc0, plusI: true, form: 'r', unit: 'x87' });
    expect(variants(parseRow('E8 cz | CALL relz | f64 end'))).toEqual([16, 32, 64]);
    expect(variants(parseRow('60 | PUSHA | i64 v'))).toEqual([16, 32]);
  });

  test('what does not follow the grammar is refused with the row’s text', () => {
    expect(() => parseRow('00 /r | ADD r/m8, r7')).toThrow('row "00 /r | ADD r/m8, r7"');
    expect(() => parseRow('00 /r | ADD r/m8, r8 | locked')).toThrow('unknown attribute "locked"');
    expect(() => parseRow('0G /r | ADD r/m8, r8')).toThrow('unknown token "0G"');
  });

  test('no two rows are the same', () => {
    const rows = rowSets.flatMap(parseRows);
    const keys = rows.map((r) =>
      [
        r.map,
        r.opcode,
        r.prefix,
        r.rexW,
        r.digit,
        r.form,
        r.fixedModrm,
        r.plusR,
        r.i64,
        r.o64,
        r.needs,
        r.mnemonic === 'NOP' && r.plusR,
      ].join(),
    );
    expect(keys.filter((k, i) => keys.indexOf(k) !== i)).toEqual([]);
  });
});
